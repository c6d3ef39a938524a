//! What a scheduler opens, and what it has missed.

use std::collections::BTreeSet;

use hostler_schedule::{Due, Interval, MissedRule, Occurrence, Watch, due};

const HOUR: i64 = 3_600_000_000;

fn occurrence(window: &str, day: i64, open: &[(i64, i64)]) -> Occurrence {
    let base = day * 24 * HOUR;
    let span = |(from, to): (i64, i64)| Interval {
        start_us: base + from * HOUR,
        end_us: base + to * HOUR,
    };
    Occurrence {
        id: format!("p/{window}/{day}"),
        window: window.into(),
        whole: span((22, 26)),
        open: open.iter().copied().map(span).collect(),
        remarks: Vec::new(),
    }
}

struct Case {
    rule: MissedRule,
    known_since_us: i64,
    starts: Vec<Occurrence>,
    others: Vec<Occurrence>,
    opened: BTreeSet<String>,
}

impl Case {
    /// Days 0, 7 and 14, 22:00 to 02:00; known since the start of day 0.
    fn weekly(rule: MissedRule) -> Self {
        let starts = [0, 7, 14].map(|day| occurrence("sat", day, &[(22, 26)]));
        Self {
            rule,
            known_since_us: 0,
            starts: starts.into(),
            others: vec![occurrence("wed", 4, &[(22, 26)])],
            opened: BTreeSet::new(),
        }
    }

    fn at(&self, day: i64, hour: i64) -> Due {
        let now_us = (day * 24 + hour) * HOUR;
        let all = self.starts.iter().chain(&self.others);
        let mut any: Vec<Occurrence> = all.filter(|it| it.whole.end_us > now_us).cloned().collect();
        any.sort_by_key(|it| it.whole);
        let watch = Watch {
            rule: self.rule,
            known_since_us: self.known_since_us,
            starts: &self.starts,
            any: &any,
            opened: &self.opened,
        };
        due(watch, now_us)
    }

    fn opens(&self, day: i64, hour: i64) -> Option<String> {
        self.at(day, hour).open.map(|it| it.id)
    }
}

#[test]
fn it_opens_at_the_start_and_once() {
    let mut case = Case::weekly(MissedRule::NextWindow);
    let before = case.at(0, 21);
    assert_eq!((before.open, before.next_us), (None, Some(22 * HOUR)));
    let open = case.at(0, 22).open.unwrap();
    assert_eq!((open.id.as_str(), open.late_us), ("p/sat/0", 0));
    case.opened.insert(open.id);
    assert_eq!(case.opens(0, 22), None);
    assert_eq!(case.opens(0, 25), None);
    assert_eq!(case.at(1, 0).next_us, Some((7 * 24 + 22) * HOUR));
    assert_eq!(case.opens(7, 22).as_deref(), Some("p/sat/7"));
}

#[test]
fn who_comes_late_opens_what_is_still_open() {
    let case = Case::weekly(MissedRule::NextWindow);
    let open = case.at(0, 24).open.unwrap();
    assert_eq!((open.id.as_str(), open.late_us), ("p/sat/0", 2 * HOUR));
    assert_eq!(case.opens(0, 26), None);
}

#[test]
fn editing_a_policy_never_opens_what_has_begun() {
    let mut case = Case::weekly(MissedRule::CatchUp);
    case.known_since_us = 23 * HOUR;
    let due = case.at(0, 23);
    assert_eq!((due.open, due.missed), (None, Vec::new()));
    assert_eq!(
        case.opens(4, 23),
        None,
        "nothing was promised, nothing was missed"
    );
    assert_eq!(case.opens(7, 22).as_deref(), Some("p/sat/7"));
}

#[test]
fn missed_ones_are_said_and_the_next_does_the_work() {
    for rule in [MissedRule::NextWindow, MissedRule::Report] {
        let mut case = Case::weekly(rule);
        let due = case.at(4, 23);
        assert_eq!(due.open, None);
        assert_eq!(due.missed, ["p/sat/0"]);
        case.opened.extend(due.missed);
        assert!(case.at(5, 0).missed.is_empty());
        let open = case.at(7, 22).open.unwrap();
        assert_eq!((open.id.as_str(), open.makes_up_for.len()), ("p/sat/7", 0));
    }
}

#[test]
fn missed_ones_are_made_up_for_in_any_window() {
    let mut case = Case::weekly(MissedRule::CatchUp);
    let due = case.at(2, 0);
    assert_eq!((due.open, due.missed.len()), (None, 0));
    assert_eq!(due.next_us, Some((4 * 24 + 22) * HOUR));
    let open = case.at(4, 22).open.unwrap();
    assert_eq!(
        (open.id.as_str(), open.within.id.as_str()),
        ("p/sat/0", "p/wed/4")
    );
    case.opened.insert(open.id);
    assert_eq!(case.opens(4, 23), None);

    // Several at once are made up for by one.
    let case = Case::weekly(MissedRule::CatchUp);
    let open = case.at(14, 22).open.unwrap();
    assert_eq!(open.id, "p/sat/14");
    assert_eq!(open.makes_up_for, ["p/sat/0", "p/sat/7"]);
}

#[test]
fn freezes_put_off_and_nobody_misses_what_is_frozen() {
    let mut case = Case::weekly(MissedRule::Report);
    case.starts = vec![
        occurrence("sat", 0, &[]),
        occurrence("sat", 7, &[(22, 23), (25, 26)]),
    ];
    assert_eq!(
        case.at(1, 0),
        Due {
            open: None,
            missed: Vec::new(),
            next_us: Some((7 * 24 + 22) * HOUR)
        }
    );
    // In the freeze in its middle it is not open, and not over.
    let frozen = case.at(7, 23);
    assert_eq!(
        (frozen.open, frozen.missed.len(), frozen.next_us),
        (None, 0, Some((7 * 24 + 25) * HOUR))
    );
    assert_eq!(case.opens(7, 25).as_deref(), Some("p/sat/7"));
    assert_eq!(case.at(7, 26).missed, ["p/sat/7"]);
}
