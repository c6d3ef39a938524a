//! Dates and times: PyYAML makes `date` and `datetime` objects of them, and playbooks see their `str()`.

use std::fmt::Write;

/// Reads digits of `text` from `at`, between `min` and `max` of them.
fn digits(text: &[u8], at: usize, min: usize, max: usize) -> Option<(u32, usize)> {
    let end = (at..text.len().min(at + max))
        .find(|&index| !text[index].is_ascii_digit())
        .unwrap_or_else(|| text.len().min(at + max));
    if end < at + min {
        return None;
    }
    let number = text[at..end].iter().fold(0, |number: u32, digit| {
        number * 10 + u32::from(digit - b'0')
    });
    Some((number, end))
}

fn expect(text: &[u8], at: usize, wanted: u8) -> Option<usize> {
    (text.get(at) == Some(&wanted)).then_some(at + 1)
}

fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// The parts of a timestamp.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'a> {
    date: [u32; 3],
    /// Were month and day written with two digits? A date alone must be.
    two_digits: bool,
    time: Option<([u32; 3], &'a [u8])>,
    /// Minutes east of Greenwich.
    zone: Option<i64>,
}

fn parts(text: &[u8]) -> Option<Parts<'_>> {
    let (year, at) = digits(text, 0, 4, 4)?;
    let month_at = expect(text, at, b'-')?;
    let (month, at) = digits(text, month_at, 1, 2)?;
    let day_at = expect(text, at, b'-')?;
    let (day, at) = digits(text, day_at, 1, 2)?;
    let two_digits = day_at - month_at == 3 && at - day_at == 2;
    let date = [year, month, day];
    if at == text.len() {
        return Some(Parts {
            date,
            two_digits,
            time: None,
            zone: None,
        });
    }
    let hour_at = match text[at] {
        b'T' | b't' => at + 1,
        b' ' | b'\t' => skip_blanks(text, at),
        _ => return None,
    };
    let (hour, at) = digits(text, hour_at, 1, 2)?;
    let (minute, at) = digits(text, expect(text, at, b':')?, 2, 2)?;
    let (second, mut at) = digits(text, expect(text, at, b':')?, 2, 2)?;
    let mut fraction: &[u8] = &[];
    if let Some(start) = expect(text, at, b'.') {
        at = (start..text.len())
            .find(|&index| !text[index].is_ascii_digit())
            .unwrap_or(text.len());
        fraction = &text[start..at];
    }
    let time = Some(([hour, minute, second], fraction));
    if at == text.len() {
        return Some(Parts {
            date,
            two_digits,
            time,
            zone: None,
        });
    }
    let zone = zone(text, skip_blanks(text, at))?;
    Some(Parts {
        date,
        two_digits,
        time,
        zone: Some(zone),
    })
}

fn zone(text: &[u8], at: usize) -> Option<i64> {
    let sign = match text.get(at)? {
        b'Z' => return (at + 1 == text.len()).then_some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, at) = digits(text, at + 1, 1, 2)?;
    let minutes = if at == text.len() {
        0
    } else {
        let (minutes, at) = digits(text, expect(text, at, b':')?, 2, 2)?;
        if at != text.len() {
            return None;
        }
        minutes
    };
    Some(sign * (i64::from(hours) * 60 + i64::from(minutes)))
}

/// Does plain text look like a timestamp to PyYAML's resolver?
pub(crate) fn looks_like(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && parts(text.as_bytes()).is_some_and(|parts| parts.time.is_some() || parts.two_digits)
}

/// The text that Python prints for it, or what is wrong with it.
pub(crate) fn to_text(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not a date or time that exists");
    let parts = parts(text.as_bytes()).ok_or_else(wrong)?;
    let [year, month, day] = parts.date;
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return Err(wrong());
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(([hour, minute, second], fraction)) = parts.time else {
        return Ok(date);
    };
    let zone = parts.zone;
    if hour > 23 || minute > 59 || second > 59 || zone.is_some_and(|zone| zone.abs() >= 24 * 60) {
        return Err(wrong());
    }
    let mut out = format!("{date} {hour:02}:{minute:02}:{second:02}");
    let micros: String = fraction
        .iter()
        .map(|digit| char::from(*digit))
        .chain(std::iter::repeat('0'))
        .take(6)
        .collect();
    if micros != "000000" {
        out.push('.');
        out.push_str(&micros);
    }
    if let Some(zone) = zone {
        let sign = if zone < 0 { '-' } else { '+' };
        let zone = zone.abs();
        let _ = write!(out, "{sign}{:02}:{:02}", zone / 60, zone % 60);
    }
    Ok(out)
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}
