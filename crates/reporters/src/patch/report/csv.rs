//! Tables for spreadsheets (RFC 4180). Times are UTC.

use hostler_patch::report::Report;

use super::words;
use crate::export::csv::row;
use crate::export::utc;

/// A row for each host of the policy.
pub(super) fn hosts(report: &Report) -> String {
    let mut out = String::new();
    let head = [
        "policy",
        "host",
        "system",
        "state",
        "reason",
        "missing",
        "missing_security",
        "waiting",
        "reboot",
        "restarts",
        "scanned",
        "oldest_security_days",
        "exception_of",
        "last_run",
        "last_end",
    ];
    row(&mut out, head);
    for it in &report.hosts {
        let reboot = match it.reboot {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let (run, end) = match &it.last {
            Some((run, end)) => (run.as_str(), end.words()),
            None => ("", ""),
        };
        let oldest = it.oldest_days.map(|it| it.to_string());
        row(
            &mut out,
            [
                report.policy.as_str(),
                &it.host,
                &it.os,
                it.state.words(),
                &it.reason,
                &it.missing.to_string(),
                &it.missing_security.to_string(),
                &it.waiting.to_string(),
                reboot,
                &it.restarts.to_string(),
                &it.scanned_us.map(utc).unwrap_or_default(),
                &oldest.unwrap_or_default(),
                it.excepted.as_deref().unwrap_or_default(),
                run,
                end,
            ],
        );
    }
    out
}

/// A row for each package that a run of the period changed on a host, and one for each host on which none did.
pub(super) fn versions(report: &Report) -> String {
    let mut out = String::new();
    let head = [
        "policy", "run", "plan", "wave", "host", "end", "started", "ended", "package", "before",
        "after", "class", "message",
    ];
    row(&mut out, head);
    for page in &report.runs.rows {
        let run = &page.outcome;
        for host in &run.hosts {
            let wave = run.waves.get(host.wave as usize);
            let wave = wave.map_or("", |it| it.name.as_str());
            let started = host.started_us.map(utc).unwrap_or_default();
            let ended = host.ended_us.map(utc).unwrap_or_default();
            let mut push = |package: &str, before: &str, after: &str, class: &str| {
                let cells = [
                    report.policy.as_str(),
                    &run.run,
                    &run.plan,
                    wave,
                    &host.host,
                    host.end.words(),
                    &started,
                    &ended,
                    package,
                    before,
                    after,
                    class,
                    &host.message,
                ];
                row(&mut out, cells);
            };
            for it in &host.actions {
                let package = it.package.to_string();
                let (before, after) = (it.from.as_deref(), it.to.as_deref());
                push(
                    &package,
                    before.unwrap_or_default(),
                    after.unwrap_or_default(),
                    words::class(it.class),
                );
            }
            if host.actions.is_empty() {
                push("", "", "", "");
            }
        }
    }
    out
}
