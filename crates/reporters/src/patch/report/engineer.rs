//! What an engineer looks at in the morning: each run by wave, with its evidence; then what is open, by host.

use std::collections::{BTreeMap, BTreeSet};

use hostler_patch::ledger::{HostEnd, RunOutcome};
use hostler_patch::report::{HostState, Report, RunPage};

use super::sheet::{Block, Tone, cell, line, names, number, table, text, whole};
use super::{manager, words};
use crate::export::When;

/// Versions that a run brought, of which so many are listed.
const VERSIONS_MAX: usize = 300;
/// Directories with logs of one run that are named: it has one, unless hosts lie.
const LOGS_MAX: usize = 3;
/// Files, services and rollbacks of one run that are listed.
const ROWS_MAX: usize = 100;

pub(super) fn page(report: &Report, when: When<'_>) -> Vec<Block> {
    let mut page = vec![
        line(cell(words::compliance(report))),
        line(cell(format!(
            "State of {}, period since {}",
            when(report.made_us),
            when(report.since_us)
        ))),
    ];
    if report.runs.rows.is_empty() {
        page.push(Block::Section("Runs".into()));
        page.push(line(cell("None in the period.")));
    }
    for run in &report.runs.rows {
        page.extend(run_blocks(run, when));
    }
    if report.runs.more() > 0 {
        let text = format!("and {} earlier runs", report.runs.more());
        page.push(line(cell(text).tone(Tone::Dim)));
    }
    page.extend(hosts(report, when));
    page.extend(breaches(report));
    page.extend(reboots(report));
    page.extend(skew(report));
    page.extend(drift(report, when));
    page.extend(manager::exceptions(&report.exceptions, when));
    page.push(Block::Small("Definitions", report.definitions.clone()));
    page
}

fn run_blocks(page: &RunPage, when: When<'_>) -> Vec<Block> {
    let run = &page.outcome;
    let mut facts = vec![
        (
            "Began",
            cell(format!("{} by {}", when(run.started_us), run.by)),
        ),
        ("Plan", cell(run.plan.chars().take(16).collect::<String>())),
    ];
    if let Some(ended) = run.ended_us {
        let seconds = ended.saturating_sub(run.started_us).max(0) / 1_000_000;
        let took = words::span(u64::try_from(seconds).unwrap_or(0));
        facts.push(("Ended", cell(format!("{}, took {took}", when(ended)))));
    }
    for it in &run.approvals {
        let text = format!("{} by {}, {}", it.wave, it.by, when(it.at_us));
        facts.push(("Approved", cell(text)));
    }
    let well = page.ends.iter().all(|(end, _)| *end == HostEnd::Done);
    let mut blocks = vec![
        Block::Section(format!("Run {}", run.run)),
        line(cell(&page.sentence).tone(if well { Tone::Good } else { Tone::Warn })),
        Block::Facts(facts),
        waves(page, when),
    ];
    blocks.extend(gates(run, when));
    blocks.extend(failures(page));
    blocks.extend(put_off(page));
    for (title, rows) in [
        ("Configuration files left beside others", &page.conffiles),
        ("Services", &page.services),
        ("Put back", &page.rollbacks),
    ] {
        blocks.extend(by_what(title, rows));
    }
    blocks.extend(versions(run));
    blocks
}

fn waves(page: &RunPage, when: When<'_>) -> Block {
    let rows = page.waves.iter().map(|it| {
        let share = match (it.worked_s, it.window_s) {
            (Some(worked), Some(window)) if window > 0 => {
                format!("{} %", worked.saturating_mul(100) / window)
            }
            _ => "-".to_owned(),
        };
        let verdict = match (it.passed, it.opened_us) {
            (true, _) => cell("passed").tone(Tone::Good),
            (false, Some(_)) => cell("not passed").tone(Tone::Bad),
            (false, None) => cell("not opened").tone(Tone::Dim),
        };
        vec![
            cell(&it.name),
            verdict,
            cell(it.opened_us.map_or_else(|| "-".to_owned(), when)),
            cell(words::maybe_span(it.worked_s)),
            cell(words::maybe_span(it.soaked_s)),
            cell(share),
            cell(it.proven.to_string()),
            cell(words::ends(&it.ends)),
        ]
    });
    let columns = [
        text("wave"),
        whole("verdict"),
        whole("opened").spare(),
        number("worked"),
        number("soaked").spare(),
        number("window"),
        number("proven").spare(),
        text("hosts"),
    ];
    table(columns, rows.collect(), 0)
}

fn gates(run: &RunOutcome, when: When<'_>) -> Vec<Block> {
    if run.gates.is_empty() {
        return Vec::new();
    }
    let rows = run.gates.iter().take(ROWS_MAX).map(|it| {
        let of = match (&it.wave, &it.host) {
            (Some(wave), _) => format!("wave {wave}"),
            (None, Some(host)) => format!("host {host}"),
            (None, None) => String::new(),
        };
        let verdict = if it.green {
            cell("green").tone(Tone::Good)
        } else {
            cell("red").tone(Tone::Bad)
        };
        vec![cell(when(it.at_us)), cell(of), verdict, cell(&it.evidence)]
    });
    let more = run.gates.len().saturating_sub(ROWS_MAX) as u64;
    let columns = [
        whole("at"),
        text("gates of"),
        whole("verdict"),
        text("evidence"),
    ];
    vec![
        Block::Part("Gates".into()),
        table(columns, rows.collect(), more),
    ]
}

fn failures(page: &RunPage) -> Vec<Block> {
    if page.failures.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![Block::Part("Failures by cause".into())];
    let rows = page.failures.iter().map(|it| {
        vec![
            cell(&it.cause).tone(Tone::Bad),
            cell(it.count.to_string()),
            names(&it.hosts),
            cell(it.messages.join(" | ")),
        ]
    });
    let columns = [
        text("cause"),
        number("times"),
        text("hosts"),
        text("messages"),
    ];
    blocks.push(table(columns, rows.collect(), 0));
    let failed = page.outcome.hosts.iter();
    let failed = failed.filter(|it| it.end == HostEnd::Failed);
    let logs: BTreeSet<&str> = failed.filter_map(|it| it.kept_in.as_deref()).collect();
    for directory in logs.iter().take(LOGS_MAX) {
        let text = format!("Logs on these hosts: {directory}");
        blocks.push(line(cell(text).tone(Tone::Dim)));
    }
    blocks
}

fn put_off(page: &RunPage) -> Vec<Block> {
    if page.put_off.is_empty() {
        return Vec::new();
    }
    let rows = page.put_off.iter().take(ROWS_MAX).map(|it| {
        vec![
            cell(&it.what),
            cell(&it.reason),
            cell(it.hosts.len().to_string()),
            names(&it.hosts),
        ]
    });
    let more = page.put_off.len().saturating_sub(ROWS_MAX) as u64;
    let columns = [text("what"), text("reason"), number("count"), text("hosts")];
    vec![
        Block::Part("Held and put off".into()),
        table(columns, rows.collect(), more),
    ]
}

/// Rows `(host, what)`, folded by what.
fn by_what(title: &str, rows: &[(String, String)]) -> Vec<Block> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut folded: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (host, what) in rows {
        let hosts = folded.entry(what).or_default();
        if hosts.last() != Some(host) {
            hosts.push(host.clone());
        }
    }
    let more = folded.len().saturating_sub(ROWS_MAX) as u64;
    let rows = folded.iter().take(ROWS_MAX);
    let rows = rows.map(|(what, hosts)| vec![cell(*what), names(hosts)]);
    vec![
        Block::Part(title.into()),
        table([text("what"), text("hosts")], rows.collect(), more),
    ]
}

fn versions(run: &RunOutcome) -> Vec<Block> {
    let mut folded: BTreeMap<(String, &str, &str), Vec<String>> = BTreeMap::new();
    for host in &run.hosts {
        for it in &host.actions {
            let key = (
                it.package.to_string(),
                it.from.as_deref().unwrap_or("-"),
                it.to.as_deref().unwrap_or("-"),
            );
            folded.entry(key).or_default().push(host.host.clone());
        }
    }
    if folded.is_empty() {
        return Vec::new();
    }
    let more = folded.len().saturating_sub(VERSIONS_MAX) as u64;
    let rows = folded.iter().take(VERSIONS_MAX);
    let rows = rows.map(|((package, from, to), hosts)| {
        vec![
            cell(package),
            cell(*from),
            cell(*to),
            cell(hosts.len().to_string()),
            names(hosts),
        ]
    });
    let columns = [
        text("package"),
        text("before"),
        text("after"),
        number("count"),
        text("hosts"),
    ];
    vec![
        Block::Part("Versions".into()),
        table(columns, rows.collect(), more),
    ]
}

/// Hosts that are not well, each; the others in one line.
fn hosts(report: &Report, when: When<'_>) -> Vec<Block> {
    let mut rows: Vec<_> = report
        .hosts
        .iter()
        .filter(|it| it.state != HostState::Compliant)
        .collect();
    // Stable: hosts of one state stay sorted by name.
    rows.sort_by_key(|it| it.state);
    let mut blocks = vec![Block::Section("Hosts".into())];
    let rows: Vec<_> = rows
        .iter()
        .map(|it| {
            let last = it.last.as_ref().map(|(_, end)| *end);
            let tone = last.map_or(Tone::Dim, words::end_tone);
            vec![
                cell(&it.host),
                cell(it.state.words()).tone(words::state_tone(it.state)),
                cell(&it.reason),
                cell(it.missing_security.to_string()).tone_if(it.missing_security > 0, Tone::Bad),
                cell(it.scanned_us.map_or_else(|| "never".to_owned(), when)),
                cell(last.map_or("-", HostEnd::words)).tone(tone),
                cell(it.excepted.as_deref().unwrap_or("-")),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let columns = [
            text("host"),
            whole("state"),
            text("why"),
            number("security"),
            whole("scanned").spare(),
            text("last run"),
            text("exception of").spare(),
        ];
        blocks.push(table(columns, rows, 0));
    }
    let compliant = report
        .hosts
        .iter()
        .filter(|it| it.state == HostState::Compliant);
    let compliant: Vec<String> = compliant.map(|it| it.host.clone()).collect();
    if !compliant.is_empty() {
        blocks.push(Block::Facts(vec![(
            "Compliant",
            names(&compliant).tone(Tone::Good),
        )]));
    }
    blocks
}

fn breaches(report: &Report) -> Vec<Block> {
    if report.breaches.count == 0 {
        return Vec::new();
    }
    let rows = report.breaches.rows.iter().map(|it| {
        let state = if it.installed {
            "not running"
        } else {
            "missing"
        };
        vec![
            cell(&it.host),
            cell(&it.package),
            cell(&it.version),
            cell(words::severity(it.severity)),
            cell(words::days(it.days)).tone(Tone::Bad),
            cell(words::days(it.sla_days)),
            cell(state),
            cell(it.cves.join(" ")),
        ]
    });
    let columns = [
        text("host"),
        text("package"),
        text("version").spare(),
        whole("severity"),
        number("open"),
        number("allowed"),
        whole("state").spare(),
        text("CVE").spare(),
    ];
    vec![
        Block::Section("Security updates that are open for too long".into()),
        table(columns, rows.collect(), report.breaches.more()),
    ]
}

fn reboots(report: &Report) -> Vec<Block> {
    if report.reboots.hosts.is_empty() {
        return Vec::new();
    }
    let rows = report.reboots.hosts.iter().map(|it| {
        vec![
            cell(&it.host),
            cell(words::days(it.days)),
            cell(it.reasons.join("; ")),
        ]
    });
    let columns = [text("host"), number("since"), text("reasons")];
    vec![
        Block::Section("Pending reboots".into()),
        table(columns, rows.collect(), 0),
    ]
}

fn skew(report: &Report) -> Vec<Block> {
    if report.skew.count == 0 {
        return Vec::new();
    }
    let rows = report.skew.rows.iter().map(|it| {
        let versions: Vec<String> = it
            .versions
            .iter()
            .map(|it| format!("{} on {}", it.version, it.hosts))
            .collect();
        vec![cell(&it.package), cell(&it.os), cell(versions.join(", "))]
    });
    let columns = [text("package"), text("system"), text("versions on hosts")];
    vec![
        Block::Section("Version skew".into()),
        table(columns, rows.collect(), report.skew.more()),
    ]
}

fn drift(report: &Report, when: When<'_>) -> Vec<Block> {
    if report.drift.count == 0 {
        return Vec::new();
    }
    let rows = report.drift.rows.iter().map(|it| {
        let packages: Vec<String> = it
            .packages
            .iter()
            .map(|it| {
                let to = it.to.as_deref().unwrap_or("newer or gone");
                format!("{} {} -> {to}", it.package, it.from)
            })
            .collect();
        let what = if packages.is_empty() {
            format!("packages differ ({:+} installed)", it.installed_more)
        } else {
            packages.join(", ")
        };
        vec![
            cell(&it.host),
            cell(format!("{} to {}", when(it.after_us), when(it.found_us))),
            cell(what),
        ]
    });
    let columns = [text("host"), whole("between"), text("what")];
    vec![
        Block::Section("Changes outside of runs".into()),
        table(columns, rows.collect(), report.drift.more()),
    ]
}
