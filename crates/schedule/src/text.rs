//! The small texts of policies: durations, times of day, dates, weekdays, days of the month.

use hostler_diag::did_you_mean;
use jiff::civil::{Date, DateTime, Time, Weekday};

use crate::problem::{Problem, shown};

/// Seconds in a day.
pub(crate) const DAY_S: u64 = 86_400;
/// The longest duration that can be said: ten years.
const LONGEST_S: u64 = 3_653 * DAY_S;
/// Years that dates may be in. Outside of these a date is a slip.
pub(crate) const YEARS: std::ops::RangeInclusive<i16> = 1970..=2199;

/// A duration in seconds: `4h`, `90m`, `45s`, `7d`, `2w`, `1h30m`. Units from large to small, each once.
pub fn parse_duration(text: &str) -> Result<u64, Problem> {
    let wrong = || {
        Problem::new(format!("{} is no duration", shown(text)))
            .hint("a number with a unit, `4h`, `90m`, `45s`, `7d` or `1h30m`")
    };
    let (mut total, mut number, mut last_unit) = (0_u64, None::<u64>, u64::MAX);
    for letter in text.trim().chars() {
        if let Some(digit) = letter.to_digit(10) {
            let next = number.unwrap_or(0).checked_mul(10);
            number = next.and_then(|it| it.checked_add(u64::from(digit)));
            if number.is_none_or(|it| it > LONGEST_S) {
                return Err(Problem::new(format!("{} is too long", shown(text))));
            }
            continue;
        }
        let unit = match letter {
            'w' => 7 * DAY_S,
            'd' => DAY_S,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(wrong()),
        };
        let amount = number.take().ok_or_else(wrong)?;
        if unit >= last_unit {
            return Err(wrong());
        }
        last_unit = unit;
        total = total.saturating_add(amount.saturating_mul(unit));
    }
    if number.is_some() || last_unit == u64::MAX {
        return Err(wrong());
    }
    if total > LONGEST_S {
        return Err(Problem::new(format!("{} is too long", shown(text))));
    }
    Ok(total)
}

/// A duration as people write it: `4h`, `1h30m`, `1d2h`.
pub fn duration_text(seconds: u64) -> String {
    let parts = [
        (seconds / DAY_S, "d"),
        (seconds % DAY_S / 3_600, "h"),
        (seconds % 3_600 / 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts = parts.iter().filter(|(amount, _)| *amount > 0);
    let words: Vec<String> = parts
        .map(|(amount, unit)| format!("{amount}{unit}"))
        .collect();
    if words.is_empty() {
        "0s".into()
    } else {
        words.concat()
    }
}

/// A number of whole calendar days: `4d`, `1w` or `0d`. At most 31 days.
pub fn parse_days(text: &str) -> Result<u16, Problem> {
    let seconds = parse_duration(text)?;
    if seconds % DAY_S != 0 {
        let what = format!("{} is not a number of whole days", shown(text));
        return Err(Problem::new(what).hint("`4d`; the hour is said with `at`"));
    }
    u16::try_from(seconds / DAY_S)
        .ok()
        .filter(|days| *days <= 31)
        .ok_or_else(|| Problem::new(format!("{} is more than 31 days", shown(text))))
}

/// A time of day, `22:00`.
pub fn parse_time(text: &str) -> Result<Time, Problem> {
    let wrong = || {
        let hint = "hours and minutes of 24, in quotes: `at: \"22:00\"`";
        Problem::new(format!("{} is no time of day", shown(text))).hint(hint)
    };
    let (hour, minute) = text.trim().split_once(':').ok_or_else(wrong)?;
    let number = |part: &str| {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok()).flatten()
    };
    if minute.len() != 2 {
        return Err(wrong());
    }
    let (hour, minute) = (
        number(hour).ok_or_else(wrong)?,
        number(minute).ok_or_else(wrong)?,
    );
    if (hour, minute) == (24, 0) {
        let what = "24:00 is no time of day";
        return Err(Problem::new(what).hint("`00:00` of the next day"));
    }
    Time::new(hour, minute, 0, 0).map_err(|_| wrong())
}

/// A date, `2026-12-12`.
pub fn parse_date(text: &str) -> Result<Date, Problem> {
    let wrong = || {
        let hint = "year, month and day: `2026-12-12`";
        Problem::new(format!("{} is no date", shown(text))).hint(hint)
    };
    let text = text.trim();
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, it)| match at {
            4 | 7 => it == b'-',
            _ => it.is_ascii_digit(),
        });
    if !shape {
        return Err(wrong());
    }
    let date: Date = text.parse().map_err(|_| {
        Problem::new(format!("{} does not exist", shown(text))).hint("no such day in the calendar")
    })?;
    if !YEARS.contains(&date.year()) {
        return Err(Problem::new(format!("{text} is too far away")));
    }
    Ok(date)
}

/// A local time, `2026-12-12T22:00` (a space is as good as the `T`).
pub fn parse_date_time(text: &str) -> Result<DateTime, Problem> {
    let wrong = || {
        let hint = "`2026-12-12` or `2026-12-12T22:00`, in the zone; no offset";
        Problem::new(format!("{} is no local time", shown(text))).hint(hint)
    };
    let text = text.trim();
    let (date, time) = text.split_once(['T', ' ']).ok_or_else(wrong)?;
    Ok(parse_date(date)?.to_datetime(parse_time(time).map_err(|_| wrong())?))
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// A day of the week: `sat`, `Saturday`. Three letters or all of it.
pub fn parse_weekday(text: &str) -> Result<Weekday, Problem> {
    let word = text.trim().to_lowercase();
    let found = WEEKDAYS
        .iter()
        .find(|(name, _)| *name == word || name[..3] == word);
    if let Some((_, day)) = found {
        return Ok(*day);
    }
    let problem = Problem::new(format!("{} is no day of the week", shown(text)));
    Err(
        match did_you_mean(&word, WEEKDAYS.iter().map(|(name, _)| *name)) {
            Some(name) => problem.hint(format!("did you mean `{name}`?")),
            None => problem.hint("mon, tue, wed, thu, fri, sat or sun"),
        },
    )
}

/// A day of each month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOfMonth {
    /// The day with the number, from 1; from the end if negative (`-1` is the last day). A month without it is left out.
    Day(i8),
    /// The n-th weekday, from 1; from the end if negative (`-1` is the last one).
    Weekday(i8, Weekday),
}

/// A day of each month: `15`, `last`, `2nd tuesday`, `last fri`.
pub fn parse_day_of_month(text: &str) -> Result<DayOfMonth, Problem> {
    let wrong = || {
        let hint = "`15`, `last`, `2nd tuesday` or `last friday`";
        Problem::new(format!("{} is no day of a month", shown(text))).hint(hint)
    };
    let lower = text.trim().to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    match words[..] {
        ["last"] => Ok(DayOfMonth::Day(-1)),
        [number] => {
            let day: i8 = number.parse().map_err(|_| wrong())?;
            if (1..=31).contains(&day) || (-31..=-1).contains(&day) {
                Ok(DayOfMonth::Day(day))
            } else {
                Err(wrong())
            }
        }
        [ordinal, weekday] => {
            let nth = match ordinal {
                "1st" | "first" => 1,
                "2nd" | "second" => 2,
                "3rd" | "third" => 3,
                "4th" | "fourth" => 4,
                "5th" | "fifth" => 5,
                "last" => -1,
                _ => return Err(wrong()),
            };
            Ok(DayOfMonth::Weekday(nth, parse_weekday(weekday)?))
        }
        _ => Err(wrong()),
    }
}
