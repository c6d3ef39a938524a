//! Words and numbers as people read them.

use hostler_events::{Counts, Status};
use hostler_value::{Cause, Unknown};

use crate::sanitize;

/// `1 host`, `2 hosts`.
pub(crate) fn hosts(count: usize) -> String {
    if count == 1 {
        "1 host".to_owned()
    } else {
        format!("{count} hosts")
    }
}

/// Seconds for a view that ticks: `9 s`, `1:02`, `1:02:03`.
pub(crate) fn clock(us: i64) -> String {
    let seconds = us.max(0) / 1_000_000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else if minutes > 0 {
        format!("{minutes}:{rest:02}")
    } else {
        format!("{rest} s")
    }
}

/// A time that is over: `0.4 s`, `12.3 s`, `2:05`.
pub(crate) fn duration(us: u64) -> String {
    let tenths = us / 100_000;
    if tenths >= 1200 {
        clock(i64::try_from(us).unwrap_or(i64::MAX))
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

/// Over the differences of a task of which is not known whether it makes them.
pub(crate) const PERHAPS: &str = "perhaps:";

/// Why a status is unknown: a preview always says, a run may just have got no answer.
pub(crate) fn unknown(message: Option<&str>, check: bool) -> &str {
    match message {
        Some(message) => message,
        None if check => "",
        None => "sent, no answer",
    }
}

/// How to go on with a run that did not get to its end.
pub(crate) fn resume_with(run: &str) -> String {
    format!("resume with: hostler resume {}", sanitize::name(run))
}

/// What is said of a status; in check mode nothing has changed yet.
pub(crate) fn status(status: Status, check: bool) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Changed if check => "would change",
        Status::Changed => "changed",
        Status::Skipped => "skipped",
        Status::Failed => "failed",
        Status::Unreachable => "unreachable",
        Status::Unknown => "unknown",
    }
}

/// Of a task that would change something: what of it is not known.
pub(crate) fn partly(causes: &[Cause]) -> String {
    let until = causes.to_vec();
    let unknown = Unknown {
        until,
        sketch: None,
    };
    format!("partly {}", unknown.words())
}

/// The counts that are not zero, `ok` always: `ok 12  changed 3`.
pub(crate) fn counts(counts: &Counts, check: bool) -> String {
    let changed = if check { "would change" } else { "changed" };
    let all = [
        ("ok", counts.ok, true),
        (changed, counts.changed, false),
        ("failed", counts.failed, false),
        ("unreachable", counts.unreachable, false),
        ("skipped", counts.skipped, false),
        ("rescued", counts.rescued, false),
        ("ignored", counts.ignored, false),
        ("unknown", counts.unknown, false),
    ];
    all.iter()
        .filter(|(_, count, always)| *always || *count > 0)
        .map(|(word, count, _)| format!("{word} {count}"))
        .collect::<Vec<_>>()
        .join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(clock(9_900_000), "9 s");
        assert_eq!(clock(62_000_000), "1:02");
        assert_eq!(clock(3_723_000_000), "1:02:03");
        assert_eq!(duration(430_000), "0.4 s");
        assert_eq!(duration(125_000_000), "2:05");
    }
}
