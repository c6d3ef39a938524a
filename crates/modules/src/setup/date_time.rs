//! The host's clock, in its time zone.

use std::time::{SystemTime, UNIX_EPOCH};

use hostler_module_api::prelude::*;

use crate::local_time::{InZone, by_rule, days_of, in_zone, shown};

/// A compiled time zone has some kilobytes.
const ZONE_MAX: u64 = 256 << 10;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) fn facts(host: &dyn Inspect, facts: &mut Map) {
    facts.insert("date_time", describe(host.now(), &zone(host)));
}

/// Where the rules of the time zone come from.
enum Zone {
    /// The content of a time zone file.
    File(Vec<u8>),
    /// A rule as in the variable `TZ`.
    Rule(String),
    Utc,
}

impl Zone {
    fn at(&self, unix_s: i64) -> InZone {
        let found = match self {
            Zone::File(bytes) => in_zone(bytes, unix_s),
            Zone::Rule(rule) => by_rule(rule, unix_s),
            Zone::Utc => None,
        };
        found.unwrap_or_else(|| InZone { offset_s: 0, summer: false, name: "UTC".into() })
    }
}

/// As `tzset(3)`: the variable `TZ`, else `/etc/localtime`, else UTC.
fn zone(host: &dyn Inspect) -> Zone {
    let read = |path: &str| {
        let bytes = host.read(std::path::Path::new(path), ZONE_MAX).ok()??;
        in_zone(&bytes, 0).is_some().then_some(Zone::File(bytes))
    };
    let variable = host.identity().env.iter().find(|(name, _)| name == "TZ").map(|(_, value)| value.trim_start_matches(':'));
    let zone = match variable {
        Some("") => None,
        Some(path) if path.starts_with('/') => read(path),
        Some(name) if name.contains("..") => None,
        Some(name) => read(&format!("/usr/share/zoneinfo/{name}")).or_else(|| Some(Zone::Rule(name.to_owned()))),
        None => read("/etc/localtime"),
    };
    zone.unwrap_or(Zone::Utc)
}

fn describe(now: SystemTime, zone: &Zone) -> Map {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (unix_s, micros) = (i64::try_from(since.as_secs()).unwrap_or(0), since.subsec_micros());
    let holds = zone.at(unix_s);
    let (here, utc) = (shown(unix_s, holds.offset_s), shown(unix_s, 0));
    let day_of_year = days_of(here.year, here.month, here.day) - days_of(here.year, 1, 1);
    // As `%W`: weeks begin on Mondays, and what is before the first Monday is week 0.
    let week = (day_of_year + 7 - (here.weekday + 6) % 7) / 7;
    let weekday = usize::try_from(here.weekday).ok().and_then(|it| WEEKDAYS.get(it)).copied().unwrap_or_default();
    let (date, time) = here.format("T").split_once('T').map(|(date, time)| (date.to_owned(), time.to_owned())).unwrap_or_default();
    let basic = here.format("T").replace(['-', ':'], "");
    let east = holds.offset_s.abs() / 60;
    let sign = if holds.offset_s < 0 { '-' } else { '+' };
    let two = |number: i64| format!("{number:02}");
    let fields = [
        ("year", format!("{:04}", here.year)), ("month", two(here.month)), ("weekday", weekday.to_owned()),
        ("weekday_number", here.weekday.to_string()), ("weeknumber", two(week)), ("day", two(here.day)),
        ("hour", two(here.hour)), ("minute", two(here.minute)), ("second", two(here.second)),
        ("epoch", unix_s.to_string()), ("epoch_int", unix_s.to_string()), ("date", date), ("time", time),
        ("iso8601_basic_short", basic.clone()), ("tz", holds.name),
        ("tz_offset", format!("{sign}{:02}{:02}", east / 60, east % 60)),
        ("iso8601", format!("{}Z", utc.format("T"))),
        ("iso8601_micro", format!("{}.{micros:06}Z", utc.format("T"))),
        ("iso8601_basic", format!("{basic}{micros:06}")),
        ("tz_dst", summer_name(zone, here.year)),
    ];
    fields.into_iter().collect()
}

/// The zone's name in summer time; its only name if it has none.
fn summer_name(zone: &Zone, year: i64) -> String {
    let [winter, summer] = [1, 7].map(|month| zone.at(days_of(year, month, 1) * 86_400));
    if summer.summer && !winter.summer { summer.name } else { winter.name }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn described(unix_us: u64, zone: &Zone) -> impl Fn(&str) -> String + use<> {
        let map = describe(UNIX_EPOCH + Duration::from_micros(unix_us), zone);
        move |key| map.get(key).unwrap().to_text()
    }

    #[test]
    fn summer_and_winter() {
        // 2026-01-02T03:04:05.000678Z
        let time = 1_767_323_045_000_678;
        let get = described(time, &Zone::Rule("CET-1CEST,M3.5.0,M10.5.0/3".into()));
        assert_eq!((get("tz"), get("tz_dst"), get("tz_offset")), ("CET".into(), "CEST".into(), "+0100".into()));
        assert_eq!((get("hour"), get("weekday"), get("weeknumber")), ("04".into(), "Friday".into(), "00".into()));
        assert_eq!((get("date"), get("time"), get("weekday_number")), ("2026-01-02".into(), "04:04:05".into(), "5".into()));
        assert_eq!(get("iso8601_micro"), "2026-01-02T03:04:05.000678Z");
        assert_eq!(get("iso8601_basic"), "20260102T040405000678");
        assert_eq!(get("iso8601_basic_short"), "20260102T040405");
        assert_eq!(get("epoch"), "1767323045");
        let utc = described(time, &Zone::Utc);
        assert_eq!((utc("tz"), utc("tz_dst"), utc("tz_offset")), ("UTC".into(), "UTC".into(), "+0000".into()));
    }

    #[test]
    fn the_south_and_the_west() {
        // 2026-07-06T12:00:00Z, a Monday.
        let time = 1_783_339_200_000_000;
        let sydney = described(time, &Zone::Rule("AEST-10AEDT,M10.1.0,M4.1.0/3".into()));
        assert_eq!((sydney("tz"), sydney("tz_dst"), sydney("weeknumber")), ("AEST".into(), "AEDT".into(), "27".into()));
        let west = described(time, &Zone::Rule("NST3:30NDT,M3.2.0,M11.1.0".into()));
        assert_eq!((west("tz"), west("tz_offset"), west("hour")), ("NDT".into(), "-0230".into(), "09".into()));
    }
}
