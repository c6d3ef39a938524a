//! Figures for Prometheus, in the text form of `OpenMetrics` 1.0. All are gauges: a report says how things stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hostler_patch::report::{HostState, Report};

use super::words;
use crate::sanitize;

/// Longest value of a label (columns).
const LABEL_MAX: usize = 300;

pub(super) fn metrics(report: &Report) -> String {
    let mut out = Metrics {
        policy: report.policy.clone(),
        text: String::new(),
    };
    hosts(report, &mut out);
    exposure(report, &mut out);
    open_ends(report, &mut out);
    last_run(report, &mut out);
    out.family(
        "report_timestamp_seconds",
        "When the report was made.",
        [(vec![], seconds(report.made_us))],
    );
    out.text.push_str("# EOF\n");
    out.text
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

struct Metrics {
    policy: String,
    text: String,
}

impl Metrics {
    /// A family of gauges; of two with the same labels the first counts.
    fn family<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        let mut seen = BTreeSet::new();
        let mut lines = String::new();
        for (labels, value) in samples {
            let policy = ("policy", self.policy.as_str());
            let all: Vec<String> = std::iter::once(policy)
                .chain(labels)
                .map(|(name, value)| format!("{name}=\"{}\"", label(value)))
                .collect();
            let all = all.join(",");
            if value.is_finite() && !seen.contains(&all) {
                let _ = writeln!(lines, "hostler_patch_{name}{{{all}}} {value}");
                seen.insert(all);
            }
        }
        if !lines.is_empty() {
            let _ = writeln!(self.text, "# TYPE hostler_patch_{name} gauge");
            if name.ends_with("_seconds") {
                let _ = writeln!(self.text, "# UNIT hostler_patch_{name} seconds");
            }
            let _ = writeln!(self.text, "# HELP hostler_patch_{name} {help}");
            self.text.push_str(&lines);
        }
    }

    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, [(vec![], value)]);
    }
}

/// A value of a label: in one line, controls visible, backslashes and quotes escaped.
fn label(raw: &str) -> String {
    let clean = sanitize::line(raw, LABEL_MAX);
    clean.replace('\\', "\\\\").replace('"', "\\\"")
}

fn hosts(report: &Report, out: &mut Metrics) {
    let totals = &report.totals;
    let states = [
        (HostState::Compliant, totals.compliant),
        (HostState::Missing, totals.missing),
        (HostState::NotRunning, totals.not_running),
        (HostState::Unknown, totals.unknown),
    ];
    out.family(
        "hosts",
        "Hosts of the policy by state; each is in one.",
        states.map(|(state, count)| (vec![("state", state_label(state))], f64::from(count))),
    );
    let ratio = totals.per_mille().map(|it| f64::from(it) / 1000.0);
    let ratio = ratio.map(|it| (vec![], it));
    out.family(
        "compliance_ratio",
        "Compliant hosts of all, rounded down to a thousandth.",
        ratio,
    );
    out.family(
        "host_compliant",
        "1 if the host is compliant.",
        report.hosts.iter().map(|it| {
            let labels = vec![("host", it.host.as_str()), ("state", state_label(it.state))];
            (
                labels,
                f64::from(u8::from(it.state == HostState::Compliant)),
            )
        }),
    );
    out.family(
        "host_scan_timestamp_seconds",
        "When the host was scanned last.",
        report
            .hosts
            .iter()
            .filter_map(|it| Some((vec![("host", it.host.as_str())], seconds(it.scanned_us?)))),
    );
}

fn state_label(state: HostState) -> &'static str {
    match state {
        HostState::Compliant => "compliant",
        HostState::Missing => "missing",
        HostState::NotRunning => "not_running",
        HostState::Unknown => "unknown",
    }
}

fn exposure(report: &Report, out: &mut Metrics) {
    let rows = || {
        report.missing.iter().map(|it| {
            let severity = match it.severity {
                Some(_) => words::severity(it.severity),
                None => "none",
            };
            (
                vec![("class", words::class(it.class)), ("severity", severity)],
                it,
            )
        })
    };
    out.family(
        "missing_updates",
        "Approved updates that hosts lack.",
        rows().map(|(labels, it)| (labels, f64::from(it.updates))),
    );
    out.family(
        "missing_updates_over_limit",
        "Those of them that are older than the policy allows.",
        rows().map(|(labels, it)| (labels, f64::from(it.over_sla))),
    );
    let it = &report.exposure;
    for (name, help, count) in [
        (
            "exposure_fixed",
            "Security updates that were fixed in the period.",
            it.fixed,
        ),
        (
            "exposure_open",
            "Security updates that hosts lack or do not run.",
            it.open,
        ),
        (
            "exposure_installed_not_running",
            "Security updates that are installed and may not run.",
            it.installed_not_running,
        ),
        (
            "exposure_unclassified",
            "Updates that hosts lack and that nobody classified.",
            it.unclassified_open,
        ),
        (
            "breaches",
            "Security updates that are open for longer than the policy allows.",
            report.breaches.count,
        ),
    ] {
        out.one(name, help, float(count));
    }
    let days = [
        ("fixed", "0.5", it.median_days),
        ("fixed", "0.95", it.p95_days),
        ("open", "0.5", it.open_median_days),
        ("open", "1", it.oldest_open_days),
    ];
    out.family(
        "exposure_days",
        "Days from available to running, or till now.",
        days.into_iter()
            .filter_map(|(of, part, days)| Some((vec![("of", of), ("part", part)], days?))),
    );
}

fn open_ends(report: &Report, out: &mut Metrics) {
    let reboots = &report.reboots;
    out.one(
        "reboots_pending",
        "Hosts that wait for a reboot.",
        float(reboots.hosts.len() as u64),
    );
    let oldest = reboots.hosts.iter().map(|it| it.days).max().unwrap_or(0);
    out.one(
        "reboots_oldest_days",
        "Days that one of them waits at most.",
        f64::from(oldest),
    );
    out.one(
        "reboots_unknown",
        "Hosts of which nobody can tell.",
        f64::from(reboots.unknown),
    );
    out.one(
        "restarts_pending",
        "Hosts on which processes run replaced files.",
        f64::from(reboots.restarts),
    );
    let expired = report.exceptions.iter().filter(|it| it.expired).count() as u64;
    let all = report.exceptions.len() as u64;
    out.family(
        "exceptions",
        "Exceptions of the policy.",
        [
            (vec![("state", "active")], float(all - expired)),
            (vec![("state", "expired")], float(expired)),
        ],
    );
    out.one(
        "drift",
        "Changes outside of runs in the period.",
        float(report.drift.count),
    );
    out.one(
        "skewed_packages",
        "Packages with several versions.",
        float(report.skew.count),
    );
}

fn last_run(report: &Report, out: &mut Metrics) {
    let Some(page) = report.runs.rows.first() else {
        return;
    };
    let run = page.outcome.run.as_str();
    let ends: BTreeMap<String, u32> = page
        .ends
        .iter()
        .map(|(end, count)| (end.words().replace([' ', ','], "_"), *count))
        .collect();
    out.family(
        "last_run_hosts",
        "Hosts of the newest run by how it ended for them.",
        ends.iter()
            .map(|(end, count)| (vec![("run", run), ("end", end.as_str())], f64::from(*count))),
    );
    out.family(
        "last_run_timestamp_seconds",
        "When the newest run began.",
        [(vec![("run", run)], seconds(page.outcome.started_us))],
    );
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of things on hosts are small"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of now are below 2^53"
)]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}
