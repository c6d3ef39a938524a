//! The host's local time, from the bytes of `/etc/localtime` (RFC 8536), without the C library.

/// A moment as a clock on the host's wall shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
    /// Hour.
    pub hour: i64,
    /// Minute.
    pub minute: i64,
    /// Second.
    pub second: i64,
    /// Seconds east of UTC.
    pub offset_s: i64,
    /// Day of the week, Sunday is 0.
    pub weekday: i64,
}

impl LocalTime {
    /// `YYYY-MM-DD`, something between, `HH:MM:SS`.
    pub fn format(&self, between: &str) -> String {
        let LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
    }
}

/// The local time of a moment (seconds since the epoch), given the content of a time zone file. What is not such a
/// file counts as UTC, as the C library has it.
pub fn local_time(zone: &[u8], unix_s: i64) -> LocalTime {
    shown(unix_s, in_zone(zone, unix_s).map_or(0, |it| it.offset_s))
}

/// A moment by a clock that many seconds east of UTC.
pub(crate) fn shown(unix_s: i64, offset_s: i64) -> LocalTime {
    let local = unix_s + offset_s;
    let (days, rest) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    LocalTime {
        year,
        month,
        day,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
        offset_s,
        weekday: (days + 4).rem_euclid(7),
    }
}

/// What holds in a time zone at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InZone {
    /// Seconds east of UTC.
    pub(crate) offset_s: i64,
    /// Is it summer time?
    pub(crate) summer: bool,
    /// What the zone is called then (`CEST`).
    pub(crate) name: String,
}

/// Days since the epoch to year, month and day (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Year, month and day to days since the epoch (Howard Hinnant's `days_from_civil`).
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

struct Header {
    counts: [usize; 6],
}

impl Header {
    const LEN: usize = 44;

    fn read(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(b"TZif") {
            return None;
        }
        let mut counts = [0; 6];
        for (at, count) in counts.iter_mut().enumerate() {
            let start = 20 + at * 4;
            let word: [u8; 4] = bytes.get(start..start + 4)?.try_into().ok()?;
            // Zone files have some hundred entries; larger numbers are nonsense.
            *count = usize::try_from(u32::from_be_bytes(word))
                .ok()
                .filter(|it| *it < 100_000)?;
        }
        Some(Header { counts })
    }

    /// Length of the data block behind the header, with times of `size` bytes.
    fn block_len(&self, size: usize) -> usize {
        let [is_ut, is_std, leaps, times, types, chars] = self.counts;
        times * (size + 1) + types * 6 + chars + leaps * (size + 4) + is_std + is_ut
    }
}

/// What a time zone file says of a moment; `None` if it is no such file.
pub(crate) fn in_zone(zone: &[u8], unix_s: i64) -> Option<InZone> {
    let first = Header::read(zone)?;
    // Version 1 has 32-bit times only; later versions repeat all with 64 bits behind it.
    if zone.get(4).is_none_or(|version| *version < b'2') {
        return table(&zone[Header::LEN..], &first, 4, unix_s).map(|found| found.0);
    }
    let second = zone.get(Header::LEN + first.block_len(4)..)?;
    let header = Header::read(second)?;
    let block = &second[Header::LEN..];
    let (by_table, is_last) = table(block, &header, 8, unix_s)?;
    if !is_last {
        return Some(by_table);
    }
    let footer = block.get(header.block_len(8)..).unwrap_or_default();
    let footer = std::str::from_utf8(footer)
        .unwrap_or_default()
        .trim_matches('\n');
    Some(by_rule(footer, unix_s).unwrap_or(by_table))
}

/// What the table of transitions says, and whether the moment is behind the last of them.
fn table(block: &[u8], header: &Header, size: usize, unix_s: i64) -> Option<(InZone, bool)> {
    let [.., times, types, chars] = header.counts;
    let time_at = |index: usize| -> Option<i64> {
        let bytes = block.get(index * size..(index + 1) * size)?;
        Some(match size {
            4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
            _ => i64::from_be_bytes(bytes.try_into().ok()?),
        })
    };
    let mut passed = 0;
    while passed < times && time_at(passed)? <= unix_s {
        passed += 1;
    }
    let kind = match passed {
        0 => 0,
        _ => usize::from(*block.get(times * size + passed - 1)?),
    };
    if kind >= types {
        return None;
    }
    let start = times * (size + 1) + kind * 6;
    let bytes: [u8; 6] = block.get(start..start + 6)?.try_into().ok()?;
    let [a, b, c, d, summer, name] = bytes;
    let names = times * (size + 1) + types * 6;
    let name = block.get(names + usize::from(name)..names + chars)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let found = InZone {
        offset_s: i32::from_be_bytes([a, b, c, d]).into(),
        summer: summer != 0,
        name: String::from_utf8_lossy(name).into_owned(),
    };
    Some((found, passed == times))
}

/// What a rule such as `CET-1CEST,M3.5.0,M10.5.0/3` says (POSIX `TZ`, with RFC 8536's wider hours); `None` if it is
/// none, or does not say when summer time is.
pub(crate) fn by_rule(rule: &str, unix_s: i64) -> Option<InZone> {
    let mut rest = rule;
    let standard = take_name(&mut rest)?;
    let standard_s = -take_time(&mut rest)?;
    let offset = |offset_s: i64, summer: bool, name: &str| InZone {
        offset_s,
        summer,
        name: name.to_owned(),
    };
    if rest.is_empty() {
        return Some(offset(standard_s, false, standard));
    }
    let summer = take_name(&mut rest)?;
    let summer_s = if rest.starts_with(',') {
        standard_s + 3600
    } else {
        -take_time(&mut rest)?
    };
    let (start, end) = rest.strip_prefix(',')?.split_once(',')?;
    let year = civil((unix_s + standard_s).div_euclid(86_400)).0;
    let start = moment(start, year)? - standard_s;
    let end = moment(end, year)? - summer_s;
    let is_summer = if start < end {
        (start..end).contains(&unix_s)
    } else {
        !(end..start).contains(&unix_s)
    };
    Some(if is_summer {
        offset(summer_s, true, summer)
    } else {
        offset(standard_s, false, standard)
    })
}

/// A zone's name: letters, or anything in angle brackets.
fn take_name<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (name, after) = match rest.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?,
        None => rest.split_at(
            rest.find(|ch: char| !ch.is_ascii_alphabetic())
                .unwrap_or(rest.len()),
        ),
    };
    *rest = after;
    (!name.is_empty()).then_some(name)
}

/// `[+-]hh[:mm[:ss]]` in seconds.
fn take_time(rest: &mut &str) -> Option<i64> {
    let end = rest.find(|ch: char| !(ch.is_ascii_digit() || "+-:".contains(ch)));
    let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
    *rest = after;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0;
    for (part, unit) in digits.split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<i64>().ok().filter(|it| *it < 1000)? * unit;
    }
    Some(sign * seconds)
}

/// A rule's date in a year, as seconds of local time.
fn moment(text: &str, year: i64) -> Option<i64> {
    let (date, time) = text.split_once('/').unwrap_or((text, "2"));
    let seconds = take_time(&mut { time })?;
    let first = days_of(year, 1, 1);
    let leap = days_of(year + 1, 1, 1) - first == 366;
    let days = if let Some(rest) = date.strip_prefix('M') {
        let mut parts = rest.split('.').map(|part| part.parse::<i64>().ok());
        let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
        if !(1..=12).contains(&month) || !(1..=5).contains(&week) || !(0..=6).contains(&weekday) {
            return None;
        }
        let start = days_of(year, month, 1);
        let shift = (weekday - (start + 4)).rem_euclid(7);
        let next = if month == 12 {
            days_of(year + 1, 1, 1)
        } else {
            days_of(year, month + 1, 1)
        };
        let day = start + shift + (week - 1) * 7;
        if day >= next { day - 7 } else { day }
    } else if let Some(rest) = date.strip_prefix('J') {
        // Counts from 1, and never counts 29 February.
        let day = rest
            .parse::<i64>()
            .ok()
            .filter(|it| (1..=365).contains(it))?;
        first + day - 1 + i64::from(leap && day >= 60)
    } else {
        first
            + date
                .parse::<i64>()
                .ok()
                .filter(|it| (0..=365).contains(it))?
    };
    Some(days * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar() {
        let shown = |unix| local_time(b"", unix).format(" ");
        assert_eq!(shown(0), "1970-01-01 00:00:00");
        assert_eq!(shown(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(shown(4_102_444_799), "2099-12-31 23:59:59");
        assert_eq!(shown(-1), "1969-12-31 23:59:59");
        assert_eq!(local_time(b"", 0).weekday, 4);
        assert!((-1_000_000..1_000_000).step_by(997).all(|day| {
            let (year, month, date) = civil(day);
            days_of(year, month, date) == day
        }));
    }

    #[test]
    fn rules_north_south_and_fixed() {
        let by =
            |rule: &str, unix_s| by_rule(rule, unix_s).map(|it| (it.offset_s, it.summer, it.name));
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC are the changes.
        assert_eq!(by(berlin, 1_774_745_999), Some((3600, false, "CET".into())));
        assert_eq!(by(berlin, 1_774_746_000), Some((7200, true, "CEST".into())));
        assert_eq!(by(berlin, 1_792_889_999), Some((7200, true, "CEST".into())));
        assert_eq!(by(berlin, 1_792_890_000), Some((3600, false, "CET".into())));
        let sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
        assert_eq!(
            by(sydney, 1_767_225_600),
            Some((39_600, true, "AEDT".into()))
        );
        assert_eq!(
            by(sydney, 1_782_864_000),
            Some((36_000, false, "AEST".into()))
        );
        assert_eq!(by("<+0530>-5:30", 0), Some((19_800, false, "+0530".into())));
        assert_eq!(by("EST5", 0), Some((-18_000, false, "EST".into())));
        for none in [
            "",
            "nonsense!",
            "<>1",
            "<A",
            "EST5EDT",
            "EST5EDT,M3.2.0",
            "EST5EDT,M3.2.0,M11.1.0,M1.1.1",
        ] {
            assert_eq!(by(none, 0), None, "{none}");
        }
    }

    /// A file of version 1: two types, one change.
    fn small() -> Vec<u8> {
        let mut zone = b"TZif\0".to_vec();
        zone.extend([0; 15]);
        for count in [0_u32, 0, 0, 1, 2, 8] {
            zone.extend(count.to_be_bytes());
        }
        zone.extend(1000_i32.to_be_bytes());
        zone.push(1);
        zone.extend([0, 0, 0x0e, 0x10, 0, 0]);
        zone.extend([0, 0, 0x1c, 0x20, 1, 3]);
        zone.extend(b"CE\0CEST\0");
        zone
    }

    #[test]
    fn tables_name_what_holds() {
        let zone = small();
        let named = |unix_s| in_zone(&zone, unix_s).map(|it| (it.offset_s, it.summer, it.name));
        assert_eq!(named(999), Some((3600, false, "CE".into())));
        assert_eq!(named(1000), Some((7200, true, "CEST".into())));
        for len in 0..zone.len() {
            assert_eq!(in_zone(&zone[..len], 1000), None, "{len}");
        }
    }

    #[test]
    fn files_that_are_none_count_as_utc() {
        assert_eq!(in_zone(b"TZif2", 0), None);
        assert_eq!(
            in_zone(&[b"TZif2".as_slice(), &[0xff; 100]].concat(), 0),
            None
        );
        let mut empty = b"TZif1".to_vec();
        empty.extend([0; 39]);
        assert_eq!(in_zone(&empty, 0), None);
    }
}
