//! Dates: `now()`, `to_datetime`, `strftime`, and what their results can do.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::args::{Args, required};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::objects::Object;
use crate::text;
use crate::value::Val;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Microseconds since the start of 1970, on a clock without zone.
pub(crate) fn micros(time: DateTime) -> i128 {
    time.duration_since(EPOCH).as_micros()
}

/// The time shifted by microseconds.
pub(crate) fn shift(time: DateTime, micros: i128) -> Option<DateTime> {
    time.checked_add(SignedDuration::from_micros(i64::try_from(micros).ok()?))
        .ok()
}

/// Python's `str()` of a datetime.
pub(crate) fn show(time: DateTime) -> String {
    let base = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    match time.subsec_nanosecond() / 1000 {
        0 => base,
        micros => format!("{base}.{micros:06}"),
    }
}

/// Python's `str()` of a timedelta.
pub(crate) fn show_delta(micros: i128) -> String {
    let days = micros.div_euclid(86_400_000_000);
    let rest = micros.rem_euclid(86_400_000_000);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let clock = format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    let clock = if fraction == 0 {
        clock
    } else {
        format!("{clock}.{fraction:06}")
    };
    match days {
        0 => clock,
        1 | -1 => format!("{days} day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

/// A named part of a datetime.
pub(crate) fn attribute(time: DateTime, name: &str) -> Option<Val> {
    let int = |n: i128| Some(Val::Int(n));
    match name {
        "year" => int(time.year().into()),
        "month" => int(time.month().into()),
        "day" => int(time.day().into()),
        "hour" => int(time.hour().into()),
        "minute" => int(time.minute().into()),
        "second" => int(time.second().into()),
        "microsecond" => int((time.subsec_nanosecond() / 1000).into()),
        _ => None,
    }
}

/// A named part of a timedelta.
pub(crate) fn delta_attribute(micros: i128, name: &str) -> Option<Val> {
    let day = 86_400_000_000;
    match name {
        "days" => Some(Val::Int(micros.div_euclid(day))),
        "seconds" => Some(Val::Int(micros.rem_euclid(day) / 1_000_000)),
        "microseconds" => Some(Val::Int(micros.rem_euclid(1_000_000))),
        _ => None,
    }
}

/// Calls a datetime's method.
pub(crate) fn method(cx: &Cx<'_>, time: DateTime, name: &str, args: Args) -> Res<Val> {
    match name {
        "strftime" => {
            let [format] = args.bind(["format"])?;
            let format = text::str(cx, &required(format, "format")?)?;
            let zoned = time
                .to_zoned(TimeZone::system())
                .map_err(|error| Fail::runtime(error.to_string()))?;
            formatted(&format, &zoned).map(Val::str)
        }
        "isoformat" => {
            args.none()?;
            Ok(Val::str(show(time).replacen(' ', "T", 1)))
        }
        "date" => {
            args.none()?;
            Ok(Object::Time(time.date().to_datetime(jiff::civil::Time::midnight())).val())
        }
        "timestamp" => {
            args.none()?;
            let zoned = time
                .to_zoned(TimeZone::system())
                .map_err(|error| Fail::runtime(error.to_string()))?;
            #[expect(clippy::cast_precision_loss, reason = "as Python's timestamp() does")]
            let seconds = zoned.timestamp().as_microsecond() as f64 / 1e6;
            Ok(Val::Float(seconds))
        }
        _ => bail!("'datetime' object has no attribute '{name}'"),
    }
}

/// Reads a date; Python's directives.
pub(crate) fn parse(format: &str, source: &str) -> Option<DateTime> {
    let parsed = jiff::fmt::strtime::parse(format, source).ok()?;
    if let Ok(time) = parsed.to_datetime() {
        return Some(time);
    }
    // Parts that are not given are those of 1900-01-01 00:00:00, as in Python.
    let date = parsed.to_date().unwrap_or_else(|_| {
        jiff::civil::Date::new(
            parsed.year().unwrap_or(1900),
            parsed.month().unwrap_or(1),
            parsed.day().unwrap_or(1),
        )
        .unwrap_or(jiff::civil::Date::constant(1900, 1, 1))
    });
    let time = parsed.to_time().unwrap_or_else(|_| {
        jiff::civil::Time::new(
            parsed.hour().unwrap_or(0),
            parsed.minute().unwrap_or(0),
            parsed.second().unwrap_or(0),
            0,
        )
        .unwrap_or(jiff::civil::Time::midnight())
    });
    Some(date.to_datetime(time))
}

fn formatted(format: &str, zoned: &Zoned) -> Res<String> {
    jiff::fmt::strtime::format(format, zoned)
        .map_err(|error| Fail::runtime(format!("invalid date format '{format}': {error}")))
}

/// The time at some seconds since 1970 (now, if none are given) in a format of Python's.
pub(crate) fn strftime(format: &str, seconds: Option<f64>, utc: bool) -> Res<String> {
    let timestamp = match seconds {
        None => Timestamp::now(),
        Some(seconds) => SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|since| Timestamp::from_duration(since).ok())
            .ok_or_else(|| Fail::runtime(format!("Invalid value for epoch value ({seconds})")))?,
    };
    let zone = if utc {
        TimeZone::UTC
    } else {
        TimeZone::system()
    };
    formatted(format, &timestamp.to_zoned(zone))
}

/// `now(utc, fmt)`.
pub(crate) fn now(utc: bool, format: Option<&str>) -> Res<Val> {
    if let Some(format) = format {
        return strftime(format, None, utc).map(Val::str);
    }
    let zone = if utc {
        TimeZone::UTC
    } else {
        TimeZone::system()
    };
    Ok(Object::Time(Timestamp::now().to_zoned(zone).datetime()).val())
}
