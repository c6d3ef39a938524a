//! Windows as calendar expressions of systemd timers (systemd.time(7)).
//!
//! A timer may elapse more often than a window starts: what it starts looks for itself whether an occurrence is due. So what
//! cannot be said (each other week, an end, exceptions) becomes an expression that covers it. One thing a timer does not do:
//! where daylight saving leaves out the time of day, systemd leaves out the day.

use jiff::civil::{Date, Weekday};

use crate::rule::{Frequency, Rule, plus_days};
use crate::window::{Pattern, Window};

/// Days that each month has.
const SHORTEST_MONTH: i64 = 28;

/// Expressions for a timer, and whether they say the same as the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnCalendar {
    /// Values of `OnCalendar=`: `Sat *-*-12..18 22:00:00 Europe/Berlin`.
    pub lines: Vec<String>,
    /// False: the timer elapses on other days too.
    pub exact: bool,
}

/// The expressions of a window.
pub fn on_calendar(window: &Window) -> OnCalendar {
    let start = window.start();
    let offset = i64::from(start.offset_days);
    let time = format!(
        "{}:00 {}",
        window.at().strftime("%H:%M"),
        window.zone().name()
    );
    let mut exact = start.except.is_empty();
    let days: Option<Vec<String>> = match &start.pattern {
        Pattern::Once(dates) => {
            let moved = |it: &Date| plus_days(*it, offset).map(|it| it.to_string());
            dates.iter().map(moved).collect()
        }
        Pattern::Rules(rules) => {
            exact &= start.from.is_none();
            exact &= rules
                .iter()
                .all(|it| it.count.is_none() && it.until.is_none());
            let each = rules.iter().map(|it| days_of(it, offset));
            each.collect::<Option<Vec<_>>>().map(|it| it.concat())
        }
    };
    let days = days.unwrap_or_else(|| {
        exact = false;
        vec!["*-*-*".to_owned()]
    });
    OnCalendar {
        lines: days.into_iter().map(|it| format!("{it} {time}")).collect(),
        exact,
    }
}

/// The dates of a rule, so many days later; `None` if they cannot be said.
fn days_of(rule: &Rule, offset: i64) -> Option<Vec<String>> {
    let plain_weekdays = rule.weekdays.iter().all(|(nth, _)| nth.is_none());
    let of_year = rule.frequency == Frequency::Yearly && rule.months.is_empty();
    if rule.interval > 1
        || !rule.set_positions.is_empty()
        || rule.needs_anchor().is_some()
        || (of_year && !plain_weekdays)
        // A date that an offset moves into the next month would have to be said of that month.
        || (offset > 0 && !rule.months.is_empty() && rule.month_days.is_empty() && plain_weekdays)
    {
        return None;
    }
    let months = if rule.months.is_empty() {
        "*".to_owned()
    } else {
        let months = rule.months.iter().map(|it| format!("{it:02}"));
        months.collect::<Vec<_>>().join(",")
    };
    let weekdays: Vec<Weekday> = rule.weekdays.iter().map(|(_, day)| *day).collect();
    if !rule.month_days.is_empty() {
        if !plain_weekdays || (offset > 0 && !weekdays.is_empty()) {
            return None;
        }
        let prefix = names(&weekdays, 0);
        let day = |it: &i8| month_day(i64::from(*it), offset);
        let days = rule
            .month_days
            .iter()
            .map(day)
            .collect::<Option<Vec<_>>>()?;
        return Some(
            days.iter()
                .map(|it| format!("{prefix}*-{months}{it}"))
                .collect(),
        );
    }
    if plain_weekdays {
        return Some(vec![format!("{}*-{months}-*", names(&weekdays, offset))]);
    }
    let each = rule.weekdays.iter().map(|(nth, weekday)| {
        let prefix = names(&[*weekday], offset);
        let days = nth.map_or_else(|| None, |nth| nth_week(i64::from(nth), offset))?;
        Some(format!("{prefix}*-{months}{days}"))
    });
    each.collect()
}

/// `-15`, or `~02` for the second last day.
fn month_day(day: i64, offset: i64) -> Option<String> {
    match (day, offset) {
        (1.., 0) => Some(format!("-{day:02}")),
        (1.., _) => (day + offset <= SHORTEST_MONTH).then(|| format!("-{:02}", day + offset)),
        (_, 0) => Some(format!("~{:02}", -day)),
        _ => None,
    }
}

/// The seven days that the n-th weekday of a month is among.
fn nth_week(nth: i64, offset: i64) -> Option<String> {
    match nth {
        5 if offset == 0 => Some("-29..31".to_owned()),
        1..=4 => {
            let last = nth * 7 + offset;
            (last <= SHORTEST_MONTH).then(|| format!("-{:02}..{last:02}", last - 6))
        }
        // There is no range from the end of the month, but "from the seventh last day on".
        -1 if offset == 0 => Some("~07/1".to_owned()),
        _ => None,
    }
}

/// `Sat,Sun `, or nothing for all days.
fn names(weekdays: &[Weekday], offset: i64) -> String {
    let name = |day: &Weekday| match day.wrapping_add(offset) {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    let mut names: Vec<&str> = weekdays.iter().map(name).collect();
    names.dedup();
    if names.is_empty() {
        String::new()
    } else {
        names.join(",") + " "
    }
}
