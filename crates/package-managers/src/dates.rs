//! Dates of indexes.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch of a time.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds since the epoch of a date as release files have it, `Sat, 11 Jan 2025 10:05:14 UTC` (RFC 5322, section 3.3;
/// their zone is always UTC).
pub(crate) fn rfc_5322_s(text: &str) -> Option<i64> {
    let rest = text.split_once(',').map_or(text, |it| it.1);
    let mut words = rest.split_whitespace();
    let day: i64 = words.next()?.parse().ok()?;
    let names = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = names.find(words.next()?).filter(|it| it % 3 == 0)?;
    let month = i64::try_from(month / 3).ok()? + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<i64>);
    let mut next = || clock.next()?.ok();
    let (hour, minute, second) = (next()?, next()?, next().unwrap_or(0));
    let is_sane = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    is_sane.then(|| days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::rfc_5322_s;

    #[test]
    fn dates_of_release_files() {
        assert_eq!(
            rfc_5322_s("Sat, 11 Jan 2025 10:05:14 UTC"),
            Some(1_736_589_914)
        );
        assert_eq!(
            rfc_5322_s("Thu, 29 Feb 2024 00:00:00 +0000"),
            Some(1_709_164_800)
        );
        assert_eq!(rfc_5322_s("1 Jan 1970 00:00 UTC"), Some(0));
        for bad in [
            "",
            "x",
            "99 Jan 2024 00:00:00",
            "1 anF 2024 00:00",
            "1 Jan 99999999999 1:1:1",
        ] {
            assert_eq!(rfc_5322_s(bad), None, "{bad}");
        }
    }
}
