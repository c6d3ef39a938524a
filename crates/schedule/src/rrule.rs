//! RRULE texts (RFC 5545, 3.3.10).

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::{Timestamp, tz::Offset};

use crate::problem::{Problem, shown};
use crate::rule::{Frequency, Rule};
use crate::zone::Zone;

/// Longer rules are refused before they are looked at.
const LONGEST: usize = 1_000;
const MOST_COUNT: u32 = 10_000;
const PARTS: &str =
    "FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY, BYSETPOS, BYHOUR, BYMINUTE and WKST";

/// Reads a rule, `FREQ=MONTHLY;BYDAY=2TU;BYHOUR=22;BYMINUTE=0`. The zone is for an UNTIL that is in UTC.
pub fn parse_rrule(text: &str, zone: &Zone) -> Result<Rule, Problem> {
    let text = text.trim();
    let text = text.strip_prefix("RRULE:").unwrap_or(text);
    if text.len() > LONGEST {
        return Err(Problem::new("the rule is too long"));
    }
    let mut parts: Vec<(String, &str)> = Vec::new();
    for part in text.split(';').filter(|it| !it.trim().is_empty()) {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| Problem::new(format!("{} is no part of a rule", shown(part))))?;
        let name = name.trim().to_uppercase();
        if parts.iter().any(|(earlier, _)| *earlier == name) {
            return Err(Problem::new(format!("{name} is there twice")));
        }
        parts.push((name, value.trim()));
    }
    let frequency = parts.iter().find(|(name, _)| name == "FREQ");
    let (_, frequency) = frequency.ok_or_else(|| {
        Problem::new("the rule has no FREQ").hint("`FREQ=MONTHLY;BYDAY=2TU` for the second Tuesday")
    })?;
    let mut rule = Rule::of(parse_frequency(frequency)?);
    let (mut hour, mut minute) = (None, None);
    for (name, value) in &parts {
        match name.as_str() {
            "FREQ" => {}
            "INTERVAL" => rule.interval = number(name, value, 1, 1_000)?,
            "COUNT" => rule.count = Some(number(name, value, 1, MOST_COUNT)?),
            "UNTIL" => rule.until = Some(parse_until(value, zone)?),
            "BYMONTH" => rule.months = numbers(name, value, 1, 12)?,
            "BYMONTHDAY" => rule.month_days = around_zero(name, value, 31)?,
            "BYDAY" => rule.weekdays = list(name, value, parse_byday)?,
            "BYSETPOS" => rule.set_positions = around_zero(name, value, 366)?,
            "BYHOUR" => hour = Some(single(name, value, 23)?),
            "BYMINUTE" => minute = Some(single(name, value, 59)?),
            "BYSECOND" if matches!(*value, "0" | "00") => {}
            "WKST" => rule.week_start = parse_weekday_code(value)?,
            _ => {
                let what = format!("{} of a rule is not supported", shown(name));
                return Err(Problem::new(what).hint(format!("supported: {PARTS}")));
            }
        }
    }
    rule.at = match (hour, minute) {
        (Some(hour), minute) => Some(Time::constant(hour, minute.unwrap_or(0), 0, 0)),
        (None, Some(_)) => return Err(Problem::new("BYMINUTE needs BYHOUR")),
        (None, None) => None,
    };
    check(&rule)?;
    Ok(rule)
}

/// The rule as a text that [`parse_rrule`] reads; the same for equal rules, in all versions.
pub(crate) fn rrule_text(rule: &Rule) -> String {
    let frequency = match rule.frequency {
        Frequency::Daily => "DAILY",
        Frequency::Weekly => "WEEKLY",
        Frequency::Monthly => "MONTHLY",
        Frequency::Yearly => "YEARLY",
    };
    let mut parts = vec![format!("FREQ={frequency}")];
    let mut part = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            parts.push(format!("{name}={}", values.join(",")));
        }
    };
    let texts = |values: &[i8]| values.iter().map(ToString::to_string).collect();
    let interval = (rule.interval != 1).then(|| rule.interval.to_string());
    part("INTERVAL", interval.into_iter().collect());
    part(
        "COUNT",
        rule.count.iter().map(ToString::to_string).collect(),
    );
    let until = rule.until.iter();
    part(
        "UNTIL",
        until
            .map(|it| it.strftime("%Y%m%dT%H%M%S").to_string())
            .collect(),
    );
    part("BYMONTH", texts(&rule.months));
    part("BYMONTHDAY", texts(&rule.month_days));
    let weekday = |(nth, day): &(Option<i16>, Weekday)| {
        let nth = nth.map(|it| it.to_string()).unwrap_or_default();
        format!("{nth}{}", weekday_code(*day))
    };
    part("BYDAY", rule.weekdays.iter().map(weekday).collect());
    part(
        "BYSETPOS",
        rule.set_positions.iter().map(ToString::to_string).collect(),
    );
    if let Some(at) = rule.at {
        part("BYHOUR", vec![at.hour().to_string()]);
        part("BYMINUTE", vec![at.minute().to_string()]);
    }
    if rule.week_start != Weekday::Monday {
        part("WKST", vec![weekday_code(rule.week_start).to_owned()]);
    }
    parts.join(";")
}

fn weekday_code(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "MO",
        Weekday::Tuesday => "TU",
        Weekday::Wednesday => "WE",
        Weekday::Thursday => "TH",
        Weekday::Friday => "FR",
        Weekday::Saturday => "SA",
        Weekday::Sunday => "SU",
    }
}

/// What the RFC forbids, and what would never happen.
fn check(rule: &Rule) -> Result<(), Problem> {
    let nth = rule.weekdays.iter().any(|(nth, _)| nth.is_some());
    let by_days = matches!(rule.frequency, Frequency::Daily | Frequency::Weekly);
    if nth && by_days {
        let what = "BYDAY with a number needs FREQ=MONTHLY or FREQ=YEARLY";
        return Err(Problem::new(what).hint("`BYDAY=TU` for each Tuesday"));
    }
    if rule.frequency == Frequency::Weekly && !rule.month_days.is_empty() {
        return Err(Problem::new("BYMONTHDAY cannot be with FREQ=WEEKLY"));
    }
    let has_set =
        !rule.months.is_empty() || !rule.month_days.is_empty() || !rule.weekdays.is_empty();
    if !rule.set_positions.is_empty() && !has_set {
        let what = "BYSETPOS needs another BY part to pick from";
        return Err(Problem::new(what).hint("`BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1`"));
    }
    if rule.count.is_some() && rule.until.is_some() {
        return Err(Problem::new("COUNT and UNTIL cannot be in one rule"));
    }
    Ok(())
}

fn parse_frequency(text: &str) -> Result<Frequency, Problem> {
    match text.to_uppercase().as_str() {
        "DAILY" => Ok(Frequency::Daily),
        "WEEKLY" => Ok(Frequency::Weekly),
        "MONTHLY" => Ok(Frequency::Monthly),
        "YEARLY" => Ok(Frequency::Yearly),
        _ => Err(
            Problem::new(format!("FREQ {} is not supported", shown(text)))
                .hint("DAILY, WEEKLY, MONTHLY or YEARLY"),
        ),
    }
}

fn number(name: &str, text: &str, least: u32, most: u32) -> Result<u32, Problem> {
    let found = text.parse().ok().filter(|it| (least..=most).contains(it));
    found.ok_or_else(|| {
        let what = format!("{name} {} is not from {least} to {most}", shown(text));
        Problem::new(what)
    })
}

fn single(name: &str, text: &str, most: u32) -> Result<i8, Problem> {
    if text.contains(',') {
        let what = format!("{name} may have one value only");
        return Err(Problem::new(what).hint("a window for each hour"));
    }
    let value = number(name, text, 0, most)?;
    i8::try_from(value).map_err(|_| Problem::new(format!("{name} is out of range")))
}

fn list<T>(
    name: &str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    if text.is_empty() {
        return Err(Problem::new(format!("{name} is empty")));
    }
    text.split(',').map(|it| parse(it.trim())).collect()
}

fn numbers(name: &str, text: &str, least: u32, most: u32) -> Result<Vec<i8>, Problem> {
    list(name, text, |it| {
        let value = number(name, it, least, most)?;
        i8::try_from(value).map_err(|_| Problem::new(format!("{name} is out of range")))
    })
}

/// Numbers up to the size, positive or negative, but not 0.
fn around_zero<T: TryFrom<i16>>(name: &str, text: &str, size: i16) -> Result<Vec<T>, Problem> {
    list(name, text, |it| {
        let value = it.parse::<i16>().ok();
        let value = value.filter(|it| *it != 0 && (-size..=size).contains(it));
        value.and_then(|it| T::try_from(it).ok()).ok_or_else(|| {
            let what = format!("{name} {} is not 1 to {size} or -1 to -{size}", shown(it));
            Problem::new(what)
        })
    })
}

fn parse_byday(text: &str) -> Result<(Option<i16>, Weekday), Problem> {
    let split = text.len().saturating_sub(2);
    let (Some(nth), Some(day)) = (text.get(..split), text.get(split..)) else {
        return Err(Problem::new(format!("BYDAY {} is no day", shown(text))));
    };
    let day = parse_weekday_code(day)?;
    if nth.is_empty() {
        return Ok((None, day));
    }
    let number = nth.strip_prefix('+').unwrap_or(nth).parse::<i16>().ok();
    match number.filter(|it| *it != 0 && (-53..=53).contains(it)) {
        Some(number) => Ok((Some(number), day)),
        None => Err(Problem::new(format!(
            "BYDAY {} has no such number",
            shown(text)
        ))),
    }
}

fn parse_weekday_code(text: &str) -> Result<Weekday, Problem> {
    match text.to_uppercase().as_str() {
        "MO" => Ok(Weekday::Monday),
        "TU" => Ok(Weekday::Tuesday),
        "WE" => Ok(Weekday::Wednesday),
        "TH" => Ok(Weekday::Thursday),
        "FR" => Ok(Weekday::Friday),
        "SA" => Ok(Weekday::Saturday),
        "SU" => Ok(Weekday::Sunday),
        _ => Err(
            Problem::new(format!("{} is no day of the week", shown(text)))
                .hint("MO, TU, WE, TH, FR, SA or SU; `2TU` is the second Tuesday"),
        ),
    }
}

/// A date (all of that day), a local time, or a time in UTC.
fn parse_until(text: &str, zone: &Zone) -> Result<DateTime, Problem> {
    match parse_stamp(text) {
        Some(Stamp::Date(date)) => Ok(date.at(23, 59, 59, 0)),
        Some(Stamp::Local(local)) => Ok(local),
        Some(Stamp::Utc(at)) => Ok(zone.to_local(at.as_microsecond())),
        None => Err(Problem::new(format!("UNTIL {} is no date", shown(text)))
            .hint("`20261231`, `20261231T220000` or `20261231T210000Z`")),
    }
}

/// A DATE or DATE-TIME of RFC 5545.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    Date(Date),
    Local(DateTime),
    Utc(Timestamp),
}

/// `20261212`, `20261212T220000` or `20261212T210000Z`.
pub(crate) fn parse_stamp(text: &str) -> Option<Stamp> {
    let digits = |range: std::ops::Range<usize>| -> Option<i16> {
        let part = text.get(range)?;
        part.bytes()
            .all(|it| it.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let small = |range| i8::try_from(digits(range)?).ok();
    let date = Date::new(digits(0..4)?, small(4..6)?, small(6..8)?).ok()?;
    // Calendars have dates of birth and of founders. Before 1900 and after 2200 there is nothing that is meant.
    if !(1900..=2199).contains(&date.year()) {
        return None;
    }
    if text.len() == 8 {
        return Some(Stamp::Date(date));
    }
    if text.get(8..9)? != "T" {
        return None;
    }
    // A leap second is the last second of its minute.
    let second = small(13..15)?.min(59);
    let time = Time::new(small(9..11)?, small(11..13)?, second, 0).ok()?;
    let local = date.to_datetime(time);
    match text.get(15..)? {
        "" => Some(Stamp::Local(local)),
        "Z" => Some(Stamp::Utc(Offset::UTC.to_timestamp(local).ok()?)),
        _ => None,
    }
}
