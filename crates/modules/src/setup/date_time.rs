//! The host's clock, in its time zone.

use hostler_module_api::prelude::*;
use jiff::tz::{Dst, TimeZone};
use jiff::{Timestamp, Zoned};

/// A compiled time zone has some kilobytes.
const ZONE_MAX: u64 = 256 << 10;

pub(super) fn facts(host: &dyn Inspect, facts: &mut Map) {
    let now = Timestamp::try_from(host.now()).unwrap_or(Timestamp::UNIX_EPOCH);
    facts.insert("date_time", describe(&now.to_zoned(zone(host))));
}

/// As `tzset(3)`: the variable `TZ`, else `/etc/localtime`, else UTC.
fn zone(host: &dyn Inspect) -> TimeZone {
    let read = |path: &str| {
        let bytes = host.read(std::path::Path::new(path), ZONE_MAX).ok()??;
        TimeZone::tzif("local", &bytes).ok()
    };
    let variable = host.identity().env.iter().find(|(name, _)| name == "TZ").map(|(_, value)| value.trim_start_matches(':'));
    let zone = match variable {
        Some("") => Some(TimeZone::UTC),
        Some(path) if path.starts_with('/') => read(path),
        Some(name) if name.contains("..") => None,
        Some(name) => read(&format!("/usr/share/zoneinfo/{name}")).or_else(|| TimeZone::posix(name).ok()),
        None => read("/etc/localtime"),
    };
    zone.unwrap_or(TimeZone::UTC)
}

fn describe(now: &Zoned) -> Map {
    let utc = now.timestamp().to_zoned(TimeZone::UTC);
    let micros = now.subsec_nanosecond() / 1000;
    let mut map = Map::new();
    let formats = [
        ("year", "%Y"), ("month", "%m"), ("weekday", "%A"), ("weekday_number", "%w"), ("weeknumber", "%W"),
        ("day", "%d"), ("hour", "%H"), ("minute", "%M"), ("second", "%S"), ("epoch", "%s"), ("epoch_int", "%s"),
        ("date", "%Y-%m-%d"), ("time", "%H:%M:%S"), ("iso8601_basic_short", "%Y%m%dT%H%M%S"), ("tz", "%Z"),
        ("tz_offset", "%z"),
    ];
    for (name, format) in formats {
        map.insert(name, now.strftime(format).to_string());
    }
    map.insert("iso8601", utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    map.insert("iso8601_micro", format!("{}.{micros:06}Z", utc.strftime("%Y-%m-%dT%H:%M:%S")));
    map.insert("iso8601_basic", format!("{}{micros:06}", now.strftime("%Y%m%dT%H%M%S")));
    map.insert("tz_dst", summer_name(now));
    map
}

/// The zone's name in summer time; its only name if it has none.
fn summer_name(now: &Zoned) -> String {
    let zone = now.time_zone();
    let name = |month: i8| {
        let day = jiff::civil::date(now.year(), month, 1).to_zoned(zone.clone()).ok()?;
        let info = zone.to_offset_info(day.timestamp());
        Some((info.dst(), info.abbreviation().to_owned()))
    };
    let names: Vec<_> = [1, 7].into_iter().filter_map(name).collect();
    let summer = names.iter().find(|it| it.0 == Dst::Yes).or(names.first());
    summer.map(|it| it.1.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_and_winter() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let time: Timestamp = "2026-01-02T03:04:05.000678Z".parse().unwrap();
        let map = describe(&time.to_zoned(zone));
        let get = |key: &str| map.get(key).unwrap().to_text();
        assert_eq!((get("tz"), get("tz_dst"), get("tz_offset")), ("CET".into(), "CEST".into(), "+0100".into()));
        assert_eq!((get("hour"), get("weekday"), get("weeknumber")), ("04".into(), "Friday".into(), "00".into()));
        assert_eq!(get("iso8601_micro"), "2026-01-02T03:04:05.000678Z");
        assert_eq!(get("iso8601_basic"), "20260102T040405000678");
        assert_eq!(get("epoch"), "1767323045");
        let utc = describe(&time.to_zoned(TimeZone::UTC));
        assert_eq!(utc.get("tz_dst"), Some(&Value::str("UTC")));
    }
}
