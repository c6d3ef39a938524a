//! Access and modification times.

use std::path::Path;

use hostler_module_api::change::Times;
use hostler_module_api::prelude::*;

use super::{Args, State};
use crate::local_time;

/// What a time shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// As it is.
    Preserve,
    /// The moment of the task.
    Now,
    /// Nanoseconds since the epoch.
    At(i64),
}

/// Both times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    access: Time,
    modification: Time,
}

impl Stamps {
    pub(super) fn observe(args: &Args, state: State, host: &dyn Inspect) -> Result<Self, ModuleError> {
        let usual = if state == State::Touch { Time::Now } else { Time::Preserve };
        let read = |text: Option<&String>, format: &str| match text.map(String::as_str) {
            None => Ok(usual),
            Some("preserve") => Ok(Time::Preserve),
            Some("now") => Ok(Time::Now),
            Some(text) => {
                let zone = host.read(Path::new("/etc/localtime"), 256 << 10)?;
                parse(text, format, &zone.unwrap_or_default()).map(Time::At)
            }
        };
        Ok(Stamps {
            access: read(args.access_time.as_ref(), &args.access_time_format)?,
            modification: read(args.modification_time.as_ref(), &args.modification_time_format)?,
        })
    }

    /// Plans what differs.
    pub(super) fn plan(&self, path: &Path, now: &FileStat, plan: &mut Plan) {
        let shown = path.display().to_string();
        // "Now" is another moment each time, so it is a program that runs each time.
        let flag = match (self.access, self.modification) {
            (Time::Now, Time::Now) => Some("-am"),
            (Time::Now, _) => Some("-a"),
            (_, Time::Now) => Some("-m"),
            _ => None,
        };
        if let Some(flag) = flag {
            let program = Program::new(["touch", "-c", flag, "--", &shown]);
            plan.run_always(Delta::action(&shown, "set its times to now"), program);
        }
        let (mut times, mut deltas) = (Times::default(), Vec::new());
        if let Time::At(ns) = self.access
            && ns != now.atime_ns
        {
            times.atime_ns = Some(ns);
            deltas.push(Delta::field(&shown, "atime", seconds(now.atime_ns), seconds(ns)));
        }
        if let Time::At(ns) = self.modification
            && ns != now.mtime_ns
        {
            times.mtime_ns = Some(ns);
            deltas.push(Delta::field(&shown, "mtime", seconds(now.mtime_ns), seconds(ns)));
        }
        if !deltas.is_empty() {
            let path = path.to_owned();
            plan.push_all(deltas, Edit::SetTimes { path, times });
        }
    }

    /// Plans the times of something new; "now" needs nothing.
    pub(super) fn plan_fixed(&self, path: &Path, plan: &mut Plan) {
        let at = |time| match time {
            Time::At(ns) => Some(ns),
            Time::Now | Time::Preserve => None,
        };
        let times = Times {
            atime_ns: at(self.access),
            mtime_ns: at(self.modification),
        };
        let shown = path.display().to_string();
        let named = [("atime", times.atime_ns), ("mtime", times.mtime_ns)];
        let deltas: Vec<Delta> = named
            .iter()
            .filter_map(|(name, ns)| Some(Delta::field(&shown, *name, Value::Null, seconds((*ns)?))))
            .collect();
        if !deltas.is_empty() {
            let path = path.to_owned();
            plan.push_all(deltas, Edit::SetTimes { path, times });
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown to people, as ansible-core shows times")]
fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

/// Reads a local time by a form of `strptime(3)`, of which the numeric parts are known.
fn parse(text: &str, format: &str, zone: &[u8]) -> Result<i64, ModuleError> {
    let fail = |why: &str| {
        ModuleError::new(format!(
            "Error while obtaining timestamp for time {text} using format {format}: {why}"
        ))
    };
    let mut parts = [1900, 1, 1, 0, 0, 0];
    let mut rest = text;
    let mut form = format.chars();
    while let Some(ch) = form.next() {
        if ch != '%' {
            rest = rest.strip_prefix(ch).ok_or_else(|| fail("it does not match"))?;
            continue;
        }
        let (place, digits, range) = match form.next() {
            Some('Y') => (0, 4, 1..=9999),
            Some('m') => (1, 2, 1..=12),
            Some('d') => (2, 2, 1..=31),
            Some('H') => (3, 2, 0..=23),
            Some('M') => (4, 2, 0..=59),
            Some('S') => (5, 2, 0..=61),
            Some('%') => {
                rest = rest.strip_prefix('%').ok_or_else(|| fail("it does not match"))?;
                continue;
            }
            other => {
                let name = other.map_or_else(String::new, String::from);
                return Err(fail(&format!("%{name} is not supported; %Y %m %d %H %M %S are")));
            }
        };
        let end = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let number = rest[..end].parse::<i64>().ok().filter(|it| range.contains(it));
        parts[place] = number.ok_or_else(|| fail("it does not match"))?;
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        return Err(fail("it does not match"));
    }
    let [year, month, day, hour, minute, second] = parts;
    let days = crate::local_time::days_of(year, month, day);
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    // The offset at the moment itself; twice, since the first guess may lie beyond a change of the clocks.
    let guess = local - local_time(zone, local).offset_s;
    let unix = local - local_time(zone, guess).offset_s;
    unix.checked_mul(1_000_000_000).ok_or_else(|| fail("it is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        let at = |text: &str, format: &str| parse(text, format, b"").map_err(|error| error.into_parts().msg);
        assert_eq!(at("197001020304.05", "%Y%m%d%H%M.%S"), Ok(97_445_000_000_000));
        assert_eq!(at("2026-11-20", "%Y-%m-%d"), Ok(1_795_132_800_000_000_000));
        assert!(at("20261301", "%Y%m%d").is_err());
        assert!(at("2026", "%Y%m").is_err());
        assert!(at("é", "%Y").is_err());
        assert!(at("Fri", "%a").unwrap_err().contains("%a is not supported"));
    }
}
