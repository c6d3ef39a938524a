//! Words and figures of a report.

use hostler_patch::ledger::HostEnd;
use hostler_patch::report::{HostState, Report, Totals};
use hostler_updates::{Class, Severity};

use super::sheet::Tone;

/// `94.3 %`, rounded down; `100.0 %` means all.
pub(super) fn percent(totals: &Totals) -> Option<String> {
    let it = totals.per_mille()?;
    Some(format!("{}.{} %", it / 10, it % 10))
}

/// `94.3 % compliant: 200 of 212 hosts`.
pub(super) fn compliance(report: &Report) -> String {
    let totals = &report.totals;
    match percent(totals) {
        Some(percent) => format!(
            "{percent} compliant: {} of {}",
            totals.compliant,
            crate::words::hosts(totals.hosts as usize)
        ),
        None => "The policy has no hosts.".to_owned(),
    }
}

pub(super) fn days(count: u32) -> String {
    if count == 1 {
        "1 day".to_owned()
    } else {
        format!("{count} days")
    }
}

/// `2.5 days`, or a dash.
pub(super) fn decimal_days(count: Option<f64>) -> String {
    count.map_or_else(|| "-".to_owned(), |it| format!("{it:.1} days"))
}

pub(super) fn severity(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical) => "critical",
        Some(Severity::Important) => "important",
        Some(Severity::Moderate) => "moderate",
        Some(Severity::Low) => "low",
        None => "-",
    }
}

pub(super) fn class(class: Class) -> &'static str {
    match class {
        Class::Security => "security",
        Class::Bugfix => "bugfix",
        Class::Unknown => "unclassified",
    }
}

pub(super) fn state_tone(state: HostState) -> Tone {
    match state {
        HostState::Compliant => Tone::Good,
        HostState::Missing => Tone::Bad,
        HostState::NotRunning | HostState::Unknown => Tone::Warn,
    }
}

pub(super) fn end_tone(end: HostEnd) -> Tone {
    match end {
        HostEnd::Done => Tone::Good,
        HostEnd::PendingReboot
        | HostEnd::Held
        | HostEnd::Deferred
        | HostEnd::PlanMismatch
        | HostEnd::Open => Tone::Warn,
        HostEnd::Failed | HostEnd::Unreachable | HostEnd::RolledBack => Tone::Bad,
    }
}

/// `12 patched, 1 failed`.
pub(super) fn ends(ends: &[(HostEnd, u32)]) -> String {
    let parts: Vec<String> = ends
        .iter()
        .map(|(end, count)| format!("{count} {}", end.words()))
        .collect();
    parts.join(", ")
}

/// `45 s`, `12 min`, `3 h 05 min`.
pub(super) fn span(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        format!("{hours} h {minutes:02} min")
    } else if minutes > 0 {
        format!("{minutes} min")
    } else {
        format!("{seconds} s")
    }
}

pub(super) fn maybe_span(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), span)
}
