//! Time zones by their IANA names, and what a local time is in them.

use std::fmt;

use hostler_diag::did_you_mean;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, db};

use crate::problem::{Problem, shown};

/// Files of the database that are no places: copies with leap seconds, and what a machine was set to.
const NO_PLACES: [&str; 5] = ["posix/", "right/", "posixrules", "localtime", "factory"];

/// A time zone of the IANA database.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    tz: TimeZone,
}

/// A local time as an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The instant, microseconds since the epoch.
    pub at_us: i64,
    /// What daylight saving did to it.
    pub remark: Option<String>,
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl Zone {
    /// The zone with the name. Fixed offsets are refused: with them a window wanders by an hour twice a year.
    pub fn parse(name: &str) -> Result<Self, Problem> {
        let name = name.trim();
        if is_fixed(name) {
            let what = format!("{} is a fixed offset, not a time zone", shown(name));
            return Err(Problem::new(what).hint("the name of a place, `Europe/Berlin`, or `UTC`"));
        }
        Self::known(name).ok_or_else(|| {
            let problem = Problem::new(format!("there is no time zone {}", shown(name)));
            match nearest(name) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("a name of the IANA database, like `Europe/Berlin` or `UTC`"),
            }
        })
    }

    /// Also zones with a fixed offset.
    pub(crate) fn known(name: &str) -> Option<Self> {
        // The database would look for a file of this name.
        let plausible = name.len() <= 64
            && name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"/_+-".contains(&it))
            && !NO_PLACES
                .iter()
                .any(|it| name.to_lowercase().starts_with(it));
        let tz = plausible.then(|| db().get(name).ok())??;
        let name = tz.iana_name().unwrap_or(name).to_owned();
        Some(Self { name, tz })
    }

    /// UTC.
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            tz: TimeZone::UTC,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The instant of a local time. In a gap of daylight saving the offset before the gap counts (02:30 is then 03:30; RFC
    /// 5545, 3.3.5), of two equal local times the first one does.
    pub fn resolve(&self, local: DateTime) -> Resolved {
        let found = self.tz.to_ambiguous_timestamp(local);
        let offset = found.offset();
        let at = found.compatible().unwrap_or({
            // Only at the ends of time, which dates of policies and calendars do not reach.
            if local.year() < 1970 {
                Timestamp::MIN
            } else {
                Timestamp::MAX
            }
        });
        let at_us = at.as_microsecond();
        let wanted = local.strftime("%H:%M");
        let remark = match offset {
            AmbiguousOffset::Unambiguous { .. } => None,
            AmbiguousOffset::Gap { .. } => Some(format!(
                "starts at {} since {wanted} does not exist on {}: the clocks go forward",
                self.to_local(at_us).strftime("%H:%M"),
                local.date()
            )),
            AmbiguousOffset::Fold { .. } => Some(format!(
                "{wanted} happens twice on {}: starts at the first one, before the clocks go back",
                local.date()
            )),
        };
        Resolved { at_us, remark }
    }

    /// Midnight at the start of the day; the first instant of it where midnight does not exist.
    pub(crate) fn midnight(&self, date: Date) -> i64 {
        self.resolve(date.to_datetime(jiff::civil::Time::midnight()))
            .at_us
    }

    /// The local time at an instant.
    pub fn to_local(&self, at_us: i64) -> DateTime {
        self.tz.to_datetime(timestamp(at_us))
    }

    /// The local time with the zone's abbreviation, for people: `2026-12-12 22:00 CET`.
    pub fn show(&self, at_us: i64) -> String {
        let zoned = timestamp(at_us).to_zoned(self.tz.clone());
        zoned.strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// Seconds that local time is ahead of UTC at an instant.
    pub(crate) fn offset_s(&self, at_us: i64) -> i32 {
        self.tz.to_offset(timestamp(at_us)).seconds()
    }
}

/// The instant; the end of time that is nearer if there is none.
fn timestamp(at_us: i64) -> Timestamp {
    let end = if at_us < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_microsecond(at_us).unwrap_or(end)
}

/// `+02:00`, `UTC+2`, `GMT-5`, `Etc/GMT+5`, `EST`: no place, and no daylight saving.
fn is_fixed(name: &str) -> bool {
    let upper = name.to_uppercase();
    if ["EST", "MST", "HST"].contains(&upper.as_str()) {
        return true;
    }
    let rest = upper.strip_prefix("ETC/").unwrap_or(&upper);
    let rest = ["UTC", "GMT", "Z"]
        .iter()
        .find_map(|it| rest.strip_prefix(it))
        .unwrap_or(rest);
    rest.starts_with(['+', '-'])
        && rest
            .bytes()
            .skip(1)
            .all(|it| it.is_ascii_digit() || it == b':')
}

/// The zone that was meant: one with a name that differs by a slip, or the one of a city that was named alone.
fn nearest(name: &str) -> Option<String> {
    let all: Vec<String> = db().available().map(|it| it.as_str().to_owned()).collect();
    let all = || all.iter().map(String::as_str);
    let city = name.replace(' ', "_");
    let of_city = all().find(|it| {
        it.rsplit_once('/')
            .is_some_and(|(_, last)| last.eq_ignore_ascii_case(&city))
    });
    let found = of_city.or_else(|| did_you_mean(name, all()));
    found.map(str::to_owned)
}
