//! Maintenance windows: a recurrence in a zone, with a duration.

use jiff::civil::{Date, Time, Weekday};

use crate::freeze::Freeze;
use crate::interval::{Interval, Occurrence, subtract};
use crate::problem::Problem;
use crate::rrule::{parse_rrule, rrule_text};
use crate::rule::{Rule, plus_days};
use crate::text::{DAY_S, DayOfMonth, YEARS, duration_text, parse_day_of_month};
use crate::zone::Zone;

/// The longest window.
const LONGEST_S: u64 = 7 * DAY_S;
/// How far ahead occurrences are looked for.
pub(crate) const HORIZON_DAYS: i64 = 400;
pub(crate) const DAY_US: i64 = 86_400 * 1_000_000;
/// No question is answered with more occurrences.
const MOST: usize = 5_000;

/// The dates of a window's starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Those of rules; a date that two of them name counts once.
    Rules(Vec<Rule>),
    /// These.
    Once(Vec<Date>),
}

impl Pattern {
    /// `daily`.
    pub fn daily() -> Self {
        Self::Rules(vec![Rule::daily()])
    }

    /// `weekly: [sat, sun]`.
    pub fn weekly(days: &[Weekday]) -> Self {
        Self::Rules(vec![Rule::weekly(days)])
    }

    /// `monthly: [2nd tuesday, 15]`.
    pub fn monthly(days: &[DayOfMonth]) -> Self {
        Self::Rules(days.iter().map(|it| Rule::monthly(*it)).collect())
    }

    /// The same from a text, `2nd tuesday`.
    pub fn parse_monthly(text: &str) -> Result<Self, Problem> {
        Ok(Self::monthly(&[parse_day_of_month(text)?]))
    }

    /// `rrule: FREQ=MONTHLY;BYDAY=2TU;BYHOUR=22`.
    pub fn parse_rrule(text: &str, zone: &Zone) -> Result<Self, Problem> {
        Ok(Self::Rules(vec![parse_rrule(text, zone)?]))
    }
}

/// When a window starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// On which dates.
    pub pattern: Pattern,
    /// At what time of the day; `None`: the rule says it (BYHOUR).
    pub at: Option<Time>,
    /// So many calendar days after the dates of the pattern.
    pub offset_days: u16,
    /// The first date of the pattern: what INTERVAL and COUNT count from.
    pub from: Option<Date>,
    /// Dates (of starts, offset included) on which it does not start.
    pub except: Vec<Date>,
}

/// A maintenance window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    name: String,
    zone: Zone,
    start: Start,
    at: Time,
    duration_s: u64,
}

impl Window {
    /// A window that starts then and lasts so many seconds, whatever clocks do meanwhile.
    pub fn new(
        name: impl Into<String>,
        zone: Zone,
        start: Start,
        duration_s: u64,
    ) -> Result<Self, Problem> {
        let at = start_time(&start)?;
        check_pattern(&start)?;
        if duration_s == 0 {
            return Err(Problem::new("the window has no duration").hint("`duration: 4h`"));
        }
        if duration_s > LONGEST_S {
            let what = format!("a window of {} is too long", duration_text(duration_s));
            return Err(Problem::new(what).hint("at most 7d"));
        }
        let window = Self {
            name: name.into(),
            zone,
            start,
            at,
            duration_s,
        };
        window.check_period()?;
        Ok(window)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Its recurrence.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The time of day of its starts.
    pub fn at(&self) -> Time {
        self.at
    }

    /// How long it is, seconds.
    pub fn duration_s(&self) -> u64 {
        self.duration_s
    }

    /// Says when it opens and for how long, in a line that is the same for equal windows, in all versions. Its name is no part
    /// of it.
    pub fn fingerprint(&self) -> String {
        let dates = |all: &[Date]| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            all.join(",")
        };
        let pattern = match &self.start.pattern {
            Pattern::Rules(rules) => {
                let rules: Vec<String> = rules.iter().map(rrule_text).collect();
                rules.join(" and ")
            }
            Pattern::Once(all) => dates(all),
        };
        let mut words = vec![
            pattern,
            format!("at {} {}", self.at.strftime("%H:%M"), self.zone.name()),
        ];
        if self.start.offset_days > 0 {
            words.push(format!("{}d later", self.start.offset_days));
        }
        words.extend(self.start.from.map(|from| format!("from {from}")));
        if !self.start.except.is_empty() {
            words.push(format!("except {}", dates(&self.start.except)));
        }
        words.push(format!("for {}", duration_text(self.duration_s)));
        words.join(" ")
    }

    /// Dates of its starts from the one to the other, both included.
    pub fn dates(&self, from: Date, until: Date) -> Vec<Date> {
        let offset = i64::from(self.start.offset_days);
        let (Some(first), Some(last)) = (plus_days(from, -offset), plus_days(until, -offset))
        else {
            return Vec::new();
        };
        let mut dates: Vec<Date> = match &self.start.pattern {
            Pattern::Once(dates) => dates
                .iter()
                .copied()
                .filter(|it| (first..=last).contains(it))
                .collect(),
            Pattern::Rules(rules) => rules
                .iter()
                .flat_map(|it| it.dates(self.start.from, self.at, first, last))
                .collect(),
        };
        dates.sort();
        dates.dedup();
        let moved = dates.into_iter().filter_map(|it| plus_days(it, offset));
        moved.filter(|it| !self.start.except.contains(it)).collect()
    }

    /// Two starts must not be nearer to each other than the window is long.
    fn check_period(&self) -> Result<(), Problem> {
        // A year of each kind, and all month lengths: what is true of them is true of all.
        let dates = match &self.start.pattern {
            Pattern::Once(_) => {
                self.dates(Date::constant(1970, 1, 1), Date::constant(2199, 12, 31))
            }
            Pattern::Rules(_) => {
                let from = self.start.from.unwrap_or(Date::constant(2026, 1, 1));
                let until = plus_days(from, 3 * 366).unwrap_or(from);
                self.dates(from, until)
            }
        };
        let near = dates.windows(2).find(|pair| {
            let apart = pair[0].duration_until(pair[1]).as_secs();
            u64::try_from(apart).unwrap_or(0) < self.duration_s
        });
        let Some(pair) = near else { return Ok(()) };
        let what = format!(
            "a window of {} that starts on {} is still open when it starts again on {}",
            duration_text(self.duration_s),
            pair[0],
            pair[1]
        );
        Err(Problem::new(what).hint("a shorter duration, or fewer starts"))
    }
}

fn start_time(start: &Start) -> Result<Time, Problem> {
    let of_rule = match &start.pattern {
        Pattern::Rules(rules) => rules.iter().find_map(|it| it.at),
        Pattern::Once(_) => None,
    };
    match (start.at, of_rule) {
        (Some(at), Some(other)) if at != other => {
            let what = "`at` and BYHOUR of the rule say different times";
            Err(Problem::new(what).hint("leave one of them out"))
        }
        (Some(at), _) | (None, Some(at)) => Ok(at),
        (None, None) => Err(
            Problem::new("the window does not say at what time it starts").hint("`at: \"22:00\"`"),
        ),
    }
}

fn check_pattern(start: &Start) -> Result<(), Problem> {
    match &start.pattern {
        Pattern::Once(dates) if dates.is_empty() => {
            Err(Problem::new("the window has no date").hint("`once: 2026-12-12`"))
        }
        Pattern::Rules(rules) if rules.is_empty() => {
            Err(Problem::new("the window never starts").hint("`weekly: [sat]`"))
        }
        Pattern::Once(_) => Ok(()),
        Pattern::Rules(rules) => {
            let empty = rules
                .iter()
                .any(|it| it.frequency == crate::Frequency::Weekly && it.weekdays.is_empty());
            if empty && start.from.is_none() {
                let what = "the window has no day of the week";
                return Err(Problem::new(what).hint("`weekly: [sat]`"));
            }
            match rules.iter().find_map(Rule::needs_anchor) {
                Some(why) if start.from.is_none() => {
                    let what = format!("the rule needs its first date: {why}");
                    Err(Problem::new(what).hint("`from: 2026-01-03`"))
                }
                _ => Ok(()),
            }
        }
    }
}

/// The occurrences of a window that are open, or would be, at some time from the one instant up to the other, in order. Those
/// that freezes cover are among them, with nothing left open. What is further ahead than ten years is not looked for.
pub fn occurrences(
    policy: &str,
    window: &Window,
    freezes: &[Freeze],
    from_us: i64,
    until_us: i64,
) -> Vec<Occurrence> {
    let until_us = until_us.min(from_us.saturating_add(3_653 * DAY_US));
    if until_us <= from_us {
        return Vec::new();
    }
    let duration_us = i64::try_from(window.duration_s * 1_000_000).unwrap_or(i64::MAX);
    let first = window
        .zone
        .to_local(from_us.saturating_sub(duration_us + DAY_US));
    let last = window
        .zone
        .to_local(until_us.saturating_add(duration_us + DAY_US));
    if !YEARS.contains(&last.year()) {
        return Vec::new();
    }
    let mut found: Vec<(Date, Interval, Vec<String>)> = Vec::new();
    for date in window.dates(first.date(), last.date()) {
        let (whole, remarks) = resolve(window, date, duration_us);
        // A day of 23 hours is shorter than a window of 24: the next one begins where it would still be open. A whole day that a
        // zone leaves out (Samoa, 2011-12-30) would put two starts on one instant: the later date has it.
        if let Some((_, last, _)) = found.last_mut() {
            last.end_us = last.end_us.min(whole.start_us);
            if last.end_us <= last.start_us {
                found.pop();
            }
        }
        if whole.start_us >= until_us || found.len() >= MOST {
            break;
        }
        if whole.end_us > from_us {
            found.push((date, whole, remarks));
        }
    }
    let Some((_, last, _)) = found.last() else {
        return Vec::new();
    };
    let range = Interval {
        start_us: found[0].1.start_us,
        end_us: last.end_us,
    };
    let frozen: Vec<(Interval, String)> = freezes.iter().flat_map(|it| it.spans(range)).collect();
    found
        .into_iter()
        .map(|(date, whole, remarks)| Occurrence {
            id: format!("{policy}/{}/{date}", window.name),
            window: window.name.clone(),
            whole,
            open: vec![whole],
            remarks,
        })
        .map(|it| without(it, &window.zone, &frozen))
        .collect()
}

/// The next occurrences that are not over, at most so many, within 400 days or (for rare ones) ten years.
pub fn next_occurrences(
    policy: &str,
    window: &Window,
    freezes: &[Freeze],
    now_us: i64,
    count: usize,
) -> Vec<Occurrence> {
    let mut found = Vec::new();
    for days in [14, 100, HORIZON_DAYS, 3_653] {
        found = occurrences(policy, window, freezes, now_us, now_us + days * DAY_US);
        if found.len() > count {
            break;
        }
    }
    found.truncate(count);
    found
}

/// The occurrence of a date, without freezes.
fn resolve(window: &Window, date: Date, duration_us: i64) -> (Interval, Vec<String>) {
    let zone = &window.zone;
    let start = zone.resolve(date.to_datetime(window.at));
    let whole = Interval {
        start_us: start.at_us,
        end_us: start.at_us.saturating_add(duration_us),
    };
    let mut remarks: Vec<String> = start.remark.into_iter().collect();
    let shift = zone.offset_s(whole.end_us) - zone.offset_s(whole.start_us);
    if shift != 0 {
        let direction = if shift > 0 { "forward" } else { "back" };
        remarks.push(format!(
            "the clocks go {direction} by {} while it is open: {} are over at {}",
            duration_text(u64::from(shift.unsigned_abs())),
            duration_text(window.duration_s),
            zone.show(whole.end_us),
        ));
    }
    (whole, remarks)
}

/// The occurrence with the freezes cut out.
fn without(mut it: Occurrence, zone: &Zone, frozen: &[(Interval, String)]) -> Occurrence {
    for (span, why) in frozen {
        if span.start_us >= it.whole.end_us || span.end_us <= it.whole.start_us {
            continue;
        }
        it.open = subtract(&it.open, &[*span]);
        it.remarks.push(format!(
            "frozen by {why}: {} to {}",
            zone.show(span.start_us),
            zone.show(span.end_us)
        ));
    }
    it
}
