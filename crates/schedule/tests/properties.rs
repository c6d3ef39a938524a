//! What holds for all windows, zones and freezes.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use hostler_schedule::{
    Admission, Calendar, Date, Freeze, Interval, Occurrence, Pattern, Rule, Start, Time, Weekday,
    Window, Zone, admits, merge, occurrences, parse_rrule,
};
use proptest::prelude::*;

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/St_Johns",
    "Pacific/Apia",
    "Africa/Casablanca",
];
const RULES: [&str; 7] = [
    "FREQ=DAILY",
    "FREQ=WEEKLY;BYDAY=SA,SU",
    "FREQ=WEEKLY;BYDAY=WE",
    "FREQ=MONTHLY;BYDAY=2TU",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU",
];
const HOUR_US: i64 = 3_600_000_000;
/// 2011-01-01 to 2036, in hours.
const HOURS: std::ops::Range<i64> = 359_400..578_500;

fn window() -> impl Strategy<Value = Window> {
    (
        0..ZONES.len(),
        0..RULES.len(),
        0_i8..24,
        0_i8..60,
        0_u16..6,
        1_u64..24,
    )
        .prop_map(|(zone, rule, hour, minute, offset_days, hours)| {
            let zone = Zone::parse(ZONES[zone]).unwrap();
            let start = Start {
                pattern: Pattern::parse_rrule(RULES[rule], &zone).unwrap(),
                at: Some(Time::constant(hour, minute, 0, 0)),
                offset_days,
                from: None,
                except: Vec::new(),
            };
            Window::new("w", zone, start, hours * 3600).unwrap()
        })
}

/// A freeze of whole hours as a calendar.
fn freeze(start_hour: i64, hours: i64) -> Freeze {
    let stamp = |hour: i64| {
        let at = jiff::Timestamp::from_second(hour * 3600).unwrap();
        at.strftime("%Y%m%dT%H%M%SZ").to_string()
    };
    let text = format!(
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:{}\nDTEND:{}\nEND:VEVENT\nEND:VCALENDAR\n",
        stamp(start_hour),
        stamp(start_hour + hours)
    );
    Freeze::calendar("f", Calendar::parse(&text, &Zone::utc()).unwrap())
}

fn check_order(all: &[Occurrence], duration_us: i64) {
    for it in all {
        assert_eq!(it.whole.length_us(), duration_us);
    }
    for pair in all.windows(2) {
        assert!(pair[0].whole.end_us <= pair[1].whole.start_us, "{pair:#?}");
        assert!(pair[0].id < pair[1].id, "{pair:#?}");
    }
    let ids: BTreeSet<&str> = all.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), all.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn open_time_is_in_the_window_and_never_in_a_freeze(
        window in window(),
        from in HOURS,
        length in 1_i64..2_000,
        freezes in prop::collection::vec((-100_i64..2_000, 1_i64..200), 0..4),
    ) {
        let (from_us, until_us) = (from * HOUR_US, (from + length) * HOUR_US);
        let spans: Vec<Interval> = freezes.iter().map(|(start, hours)| Interval {
            start_us: (from + start) * HOUR_US,
            end_us: (from + start + hours) * HOUR_US,
        }).collect();
        let freezes: Vec<Freeze> =
            freezes.iter().map(|(start, hours)| freeze(from + start, *hours)).collect();
        let all = occurrences("p", &window, &freezes, from_us, until_us);
        check_order(&all, i64::try_from(window.duration_s()).unwrap() * 1_000_000);
        for it in &all {
            prop_assert!(it.whole.start_us < until_us && it.whole.end_us > from_us);
            for open in &it.open {
                prop_assert!(open.start_us < open.end_us);
                prop_assert!(it.whole.start_us <= open.start_us && open.end_us <= it.whole.end_us);
                for span in &spans {
                    prop_assert!(open.end_us <= span.start_us || span.end_us <= open.start_us);
                }
            }
            prop_assert!(it.open.windows(2).all(|pair| pair[0].end_us < pair[1].start_us));
            // Nothing but freezes is cut out.
            let inside: Vec<Interval> = merge(spans.clone()).into_iter().map(|span| Interval {
                start_us: span.start_us.max(it.whole.start_us),
                end_us: span.end_us.min(it.whole.end_us),
            }).filter(|it| it.start_us < it.end_us).collect();
            let sum = |list: &[Interval]| list.iter().map(Interval::length_us).sum::<i64>();
            prop_assert_eq!(sum(&it.open) + sum(&inside), it.whole.length_us());
        }
    }

    #[test]
    fn asking_in_two_parts_gives_the_same_as_asking_once(
        window in window(),
        from in HOURS,
        first in 1_i64..1_000,
        second in 1_i64..1_000,
    ) {
        let at = |hours: i64| (from + hours) * HOUR_US;
        let whole = occurrences("p", &window, &[], at(0), at(first + second));
        let mut parts = occurrences("p", &window, &[], at(0), at(first));
        parts.extend(occurrences("p", &window, &[], at(first), at(first + second)));
        parts.dedup();
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn one_date_of_the_rule_is_one_start_at_its_local_time(window in window(), from in HOURS) {
        let all = occurrences("p", &window, &[], from * HOUR_US, (from + 2_000) * HOUR_US);
        for it in &all {
            let local = window.zone().to_local(it.whole.start_us);
            let wanted = format!("{}T{}", &it.id["p/w/".len()..], window.at());
            let gap = it.remarks.iter().any(|it| it.contains("does not exist"));
            prop_assert_eq!(local.to_string() == wanted, !gap, "{} {:?}", local, it);
        }
    }

    #[test]
    fn who_is_admitted_is_done_before_the_end(
        open in prop::collection::vec((0_i64..1_000, 1_i64..100), 0..6),
        now_s in 0_i64..1_000,
        needed in 0_u64..100,
        reserve in 0_u64..20,
    ) {
        let open = merge(open.into_iter().map(|(start, length)| Interval {
            start_us: start * 1_000_000,
            end_us: (start + length) * 1_000_000,
        }).collect());
        let needed_us = i64::try_from(needed + reserve).unwrap() * 1_000_000;
        let fits = |at: i64| open.iter().any(|it| it.holds(at) && at + needed_us <= it.end_us);
        let now_us = now_s * 1_000_000;
        match admits(&open, now_us, needed, reserve) {
            Admission::Now => prop_assert!(fits(now_us)),
            Admission::Later(at) => prop_assert!(!fits(now_us) && at > now_us && fits(at)),
            Admission::Never => {
                prop_assert!(!fits(now_us));
                prop_assert!(!open.iter().any(|it| it.start_us > now_us && fits(it.start_us)));
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", rule in "(FREQ|BYDAY|COUNT|UNTIL|BYMONTHDAY|;|=|,|[A-Z0-9-]{0,9}){0,12}") {
        let zone = Zone::utc();
        let _ = parse_rrule(&text, &zone);
        let _ = parse_rrule(&rule, &zone);
        let _ = Zone::parse(&text);
        let _ = hostler_schedule::parse_duration(&text);
        let _ = hostler_schedule::parse_day_of_month(&text);
        let _ = hostler_schedule::parse_time(&text);
        let _ = hostler_schedule::parse_date_time(&text);
        let _ = Freeze::parse("f", &text, &text, &zone);
        let event = format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260301\n{text}\nRRULE:{rule}\nEND:VEVENT\nEND:VCALENDAR");
        let range = Interval { start_us: 0, end_us: i64::from(u32::MAX) * 1_000_000 };
        if let Ok(calendar) = Calendar::parse(&event, &zone) {
            let _ = calendar.events(range);
        }
    }

    #[test]
    fn rules_keep_to_their_days(day in 0_usize..7, months in 1_i64..40) {
        let days = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday, Weekday::Saturday, Weekday::Sunday];
        let from = Date::constant(2026, 1, 1);
        let until = from.checked_add(jiff::Span::new().months(months)).unwrap();
        let found = Rule::weekly(&[days[day]]).dates(None, Time::midnight(), from, until);
        prop_assert!(found.iter().all(|it| it.weekday() == days[day]));
        prop_assert!(found.windows(2).all(|it| it[0].duration_until(it[1]).as_hours() == 168));
    }
}
