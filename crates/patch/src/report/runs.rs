//! Runs: in a sentence, and as a page for engineers.

use std::collections::{BTreeMap, BTreeSet};

use super::material::Material;
use super::model::{Bounded, PutOff, RunPage, WavePage};
use super::{RUNS_MAX, failures, first_line, of_period, text};
use crate::ledger::{HostEnd, HostOutcome, RunOutcome, RunState};

/// Longest text of a message that is kept.
const MESSAGE_MAX: usize = 4000;

pub(super) fn newest_first(runs: &[RunOutcome]) -> Vec<&RunOutcome> {
    let mut runs: Vec<&RunOutcome> = runs.iter().collect();
    runs.sort_by(|a, b| (b.started_us, &b.run).cmp(&(a.started_us, &a.run)));
    runs.dedup_by(|later, first| later.run == first.run);
    runs
}

pub(super) fn pages(newest_first: &[&RunOutcome], material: &Material) -> Bounded<RunPage> {
    let of_period: Vec<&&RunOutcome> = newest_first
        .iter()
        .filter(|it| of_period(it, material))
        .collect();
    let rows = of_period.iter().take(RUNS_MAX).map(|it| page(it)).collect();
    Bounded {
        count: of_period.len() as u64,
        rows,
    }
}

/// `198 of 212 hosts patched, 2 failed, 12 deferred; complete.`
pub(super) fn sentence(run: &RunOutcome) -> String {
    let patched = |it: &&HostOutcome| matches!(it.end, HostEnd::Done | HostEnd::PendingReboot);
    let all = run.hosts.len();
    let done = run.hosts.iter().filter(patched).count();
    let s = if all == 1 { "" } else { "s" };
    let mut parts = vec![format!("{done} of {all} host{s} patched")];
    for (end, count) in ends(&run.hosts) {
        match end {
            HostEnd::Done => {}
            HostEnd::PendingReboot => parts.push(format!("{count} of them wait for a reboot")),
            end => parts.push(format!("{count} {}", end.words())),
        }
    }
    let state = match run.state {
        RunState::Complete => "complete",
        RunState::Halted => "halted",
        RunState::Aborted => "aborted",
        RunState::Open => "not finished",
    };
    let reason = run.reason.as_deref().map(first_line).unwrap_or_default();
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    format!("{}; {state}{reason}.", parts.join(", "))
}

fn ends(hosts: &[HostOutcome]) -> Vec<(HostEnd, u32)> {
    let mut ends: BTreeMap<HostEnd, u32> = BTreeMap::new();
    for host in hosts {
        *ends.entry(host.end).or_default() += 1;
    }
    ends.into_iter().collect()
}

fn page(run: &RunOutcome) -> RunPage {
    let run = &bounded(run);
    let mut conffiles = Vec::new();
    let mut services = Vec::new();
    let mut rollbacks = Vec::new();
    for host in &run.hosts {
        let row = |what: String| (host.host.clone(), what);
        conffiles.extend(host.conffiles_left.iter().map(|it| row(text(it))));
        services.extend(host.differences.iter().map(|it| {
            let word = if it.missing { "is gone" } else { "is new" };
            row(text(&format!("{} {} {word}", it.what, it.which)))
        }));
        services.extend(
            host.restarted
                .iter()
                .map(|it| row(text(&format!("{it} restarted")))),
        );
        rollbacks.extend(host.rolled_back.iter().map(|it| row(text(it))));
    }
    RunPage {
        sentence: sentence(run),
        ends: ends(&run.hosts),
        waves: waves(run),
        failures: failures::by_cause(std::iter::once(run)),
        put_off: put_off(run),
        conffiles,
        services,
        rollbacks,
        outcome: run.clone(),
    }
}

fn waves(run: &RunOutcome) -> Vec<WavePage> {
    let seconds = |from: Option<i64>, to: Option<i64>| {
        let us = to?.saturating_sub(from?).max(0);
        u64::try_from(us / 1_000_000).ok()
    };
    (0_u32..)
        .zip(&run.waves)
        .map(|(index, wave)| {
            let hosts: Vec<HostOutcome> = run
                .hosts
                .iter()
                .filter(|it| it.wave == index)
                .cloned()
                .collect();
            WavePage {
                name: text(&wave.name),
                ends: ends(&hosts),
                opened_us: wave.opened_us,
                worked_s: seconds(wave.opened_us, wave.hosts_done_us),
                soaked_s: seconds(wave.hosts_done_us, wave.passed_us),
                window_s: seconds(wave.opened_us, wave.window_end_us),
                passed: wave.passed_us.is_some(),
                proven: wave.proven,
            }
        })
        .collect()
}

/// Hosts and updates that were left, by reason; what concerns most hosts first.
fn put_off(run: &RunOutcome) -> Vec<PutOff> {
    let mut rows: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut push = |what: String, reason: &str, host: &str| {
        let hosts = rows.entry((what, first_line(reason))).or_default();
        hosts.insert(host.to_owned());
    };
    for host in &run.hosts {
        match host.end {
            HostEnd::Held | HostEnd::Deferred => push("host".into(), &host.message, &host.host),
            HostEnd::PendingReboot => push("reboot".into(), &host.message, &host.host),
            _ => {}
        }
        for it in &host.held {
            let what = text(&format!("{} {}", it.package, it.version));
            push(what, &it.reason, &host.host);
        }
    }
    let mut rows: Vec<PutOff> = rows
        .into_iter()
        .map(|((what, reason), hosts)| PutOff {
            what,
            reason,
            hosts: hosts.into_iter().collect(),
        })
        .collect();
    rows.sort_by_key(|it| std::cmp::Reverse(it.hosts.len()));
    rows
}

/// The run with its long texts cut.
fn bounded(run: &RunOutcome) -> RunOutcome {
    let mut run = run.clone();
    run.reason = run.reason.as_deref().map(text);
    for gate in &mut run.gates {
        gate.evidence = text(&gate.evidence);
    }
    for host in &mut run.hosts {
        if host.message.len() > MESSAGE_MAX {
            host.message = host.message.chars().take(MESSAGE_MAX).collect();
        }
    }
    run.hosts.sort_by(|a, b| a.host.cmp(&b.host));
    run
}
