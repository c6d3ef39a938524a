//! Reports: how the hosts of a policy stand, how long they were exposed, and what the runs did.
//!
//! ```text
//! scans, ledger, runs ── Material ── report ──> Report ──> terminal, Markdown, HTML, JSON, CSV, JUnit, OpenMetrics
//! ```
//!
//! Pure: the time now is an argument. What is not known is never counted as good: a host that was not scanned for seven
//! days, an update without classification and a reboot that nobody can tell of are unknown, and unknown is not compliant.

mod exceptions;
mod exposure;
mod failures;
mod hosts;
mod material;
mod model;
mod runs;
mod skew;
#[cfg(test)]
mod tests;
mod trend;

use std::collections::{BTreeMap, BTreeSet};

pub use exceptions::rows as exception_rows;
pub use material::{Exception, HostMaterial, Material, Sla};
pub use model::{
    Bounded, Breach, Coverage, DriftRow, ExceptionRow, Exposure, FORM, FailureRow, HostRow,
    HostState, MissingRow, PutOff, RebootRow, Reboots, Report, RunPage, SkewRow, Totals,
    TrendPoint, VersionCount, WavePage,
};

use crate::ledger::{Figures, RunOutcome};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// A scan that is older says nothing of now.
const SCAN_DAYS: i64 = 7;
/// Longest text of a host that is kept (characters).
const TEXT_MAX: usize = 300;
/// Rows of long lists.
const ROWS_MAX: usize = 200;
/// Runs that are told of.
const RUNS_MAX: usize = 20;

/// What the words in a report mean.
const DEFINITIONS: &[&str] = &[
    "A host is compliant if it lacks no update that the policy approves, and neither a reboot nor a restart is pending on it.",
    "Installed, not running: the updates are installed, and a reboot is pending or processes still run replaced files. It is not compliant.",
    "Unknown is not compliant: never scanned, not scanned for 7 days, updates without classification, or no signal that tells of reboots.",
    "Every host of the policy is in the percentage, also those that could not be scanned and those with an exception. It is rounded down.",
    "Exposure of a security update on a host begins when any scan has seen the version for the first time, and ends with the first scan that finds it installed with nothing pending.",
    "A security update without severity is judged by the limit for updates without severity, or else by that for important ones.",
    "Drift: the packages of a host are other ones than at the scan before, and no run has worked on it between.",
    "Version skew counts versions that are known: of packages for which an update waits, and of packages that runs have installed.",
    "Exceptions are shown, and change no figure. An expired one covers nothing.",
];

/// Makes the report.
pub fn report(material: &Material) -> Report {
    let material = &tidy(material);
    let exceptions = exceptions::rows(&material.exceptions, &names(material), material.now_us);
    let runs = runs::newest_first(&material.runs);
    let last = last_ends(&runs);
    let hosts: Vec<HostRow> = material
        .hosts
        .iter()
        .map(|host| hosts::row(host, material, last.get(host.host.as_str())))
        .collect();
    let breaches = exposure::breaches(material);
    let mut report = Report {
        form: FORM,
        policy: text(&material.policy),
        made_us: material.now_us,
        since_us: material.since_us,
        definitions: DEFINITIONS.iter().map(|&it| it.to_owned()).collect(),
        totals: hosts::totals(&hosts),
        coverage: hosts::coverage(material),
        missing: exposure::missing(material),
        waiting: material
            .hosts
            .iter()
            .map(|it| it.waiting.len() as u64)
            .sum(),
        exposure: exposure::exposure(material),
        breaches: Bounded::of(breaches, ROWS_MAX),
        reboots: hosts::reboots(material),
        failures: failures::by_cause(runs.iter().filter(|it| of_period(it, material)).copied()),
        exceptions,
        skew: Bounded::of(skew::rows(material, &runs), ROWS_MAX),
        drift: Bounded::of(hosts::drift(material), ROWS_MAX),
        trend: Vec::new(),
        last_run: runs.first().map(|it| runs::sentence(it)),
        runs: runs::pages(&runs, material),
        hosts,
    };
    report.trend = trend::points(material, figures(&report));
    report
}

/// The JSON schema of [`Report`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

/// The figures of a report, for the trend of later ones.
pub fn figures(report: &Report) -> Figures {
    let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Figures {
        hosts: report.totals.hosts,
        compliant: report.totals.compliant,
        reboots: small(report.reboots.hosts.len() as u64),
        open_security: small(report.exposure.open),
        breaches: small(report.breaches.count),
    }
}

/// Hosts sorted, each once; what belongs to other hosts or another time left out.
fn tidy(material: &Material) -> Material {
    let mut tidy = material.clone();
    tidy.hosts.sort_by(|a, b| a.host.cmp(&b.host));
    tidy.hosts.dedup_by(|later, first| later.host == first.host);
    let hosts: BTreeSet<&str> = tidy.hosts.iter().map(|it| it.host.as_str()).collect();
    let (since, now) = (tidy.since_us, tidy.now_us);
    tidy.fixed
        .retain(|(host, it)| hosts.contains(host.as_str()) && (since..=now).contains(&it.fixed_us));
    tidy.drift
        .retain(|(host, at, _)| hosts.contains(host.as_str()) && (since..=now).contains(at));
    tidy
}

fn names(material: &Material) -> BTreeSet<&str> {
    material.hosts.iter().map(|it| it.host.as_str()).collect()
}

fn of_period(run: &RunOutcome, material: &Material) -> bool {
    run.ended_us.is_none_or(|it| it >= material.since_us)
}

/// The newest run of each host in which it had its turn.
fn last_ends<'a>(
    runs: &[&'a RunOutcome],
) -> BTreeMap<&'a str, (&'a RunOutcome, &'a crate::ledger::HostOutcome)> {
    let mut last = BTreeMap::new();
    for run in runs {
        for host in &run.hosts {
            last.entry(host.host.as_str()).or_insert((*run, host));
        }
    }
    last
}

/// Whole days from then till now; not negative.
fn days(since_us: i64, now_us: i64) -> u32 {
    u32::try_from(now_us.saturating_sub(since_us).max(0) / DAY).unwrap_or(u32::MAX)
}

/// A text of a host, bounded. Whoever shows it makes it harmless.
fn text(raw: &str) -> String {
    let mut out: String = raw.chars().take(TEXT_MAX).collect();
    if out.len() < raw.len() {
        out.push('…');
    }
    out
}

/// The first line of a text of a host.
fn first_line(raw: &str) -> String {
    text(
        raw.trim_start()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end(),
    )
}
