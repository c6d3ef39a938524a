//! When a policy's windows open next: `hostler patch windows`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_patch::policy::SchedulePart;
use hostler_schedule::{Interval, Listed, Occurrence, duration_text, intersect, next_occurrences};

use super::diary::Diary;
use crate::keeping;
use crate::patch::policy::{self, Policed};
use crate::plan::now_us;
use crate::refusal::Refusal;
use crate::request::ApplyRequest;

const DAY_US: i64 = 86_400_000_000;

/// What is to be listed.
#[derive(Clone, Debug, Default)]
pub struct WindowsRequest {
    /// Inventory, where runs are kept.
    pub given: ApplyRequest,
    /// The policy.
    pub policy: PathBuf,
    /// So many occurrences.
    pub next: usize,
    /// Only what is open for this host.
    pub host: Option<String>,
}

/// The next occurrences of a policy's windows, by their start.
///
/// # Errors
/// Problems of the policy or the inventory; the policy has no window; the host is none of its hosts.
pub fn windows(
    request: &WindowsRequest,
    sources: &SourceMap,
) -> Result<(Vec<Listed>, Vec<Diagnostic>), Refusal> {
    let policed = policy::load(&request.given, &request.policy, sources)?;
    let limits = match &request.host {
        Some(host) => Some(limits_of(&policed, host)?),
        None => None,
    };
    let policy = &policed.file.policy;
    if policed.schedule.windows.is_empty() {
        let text = format!(
            "the policy `{}` has no window: it may be carried out at any time",
            policy.name
        );
        return Err(vec![Diagnostic::error("no-window", text)].into());
    }
    let now_us = now_us();
    let mut all: Vec<Listed> = Vec::new();
    for part in policed.schedule.windows.values() {
        // Limits open nothing: they are said of the windows that they cut.
        if part.is_limit {
            continue;
        }
        let found = next_occurrences(
            &policy.name,
            &part.window,
            &policed.schedule.freezes,
            now_us,
            request.next,
        );
        all.extend(found.into_iter().map(|it| listed(&policed, part, it)));
    }
    all.sort_by_key(|it| it.occurrence.whole);
    all.truncate(request.next);
    for it in &mut all {
        match &limits {
            Some(limits) => narrow(it, limits, &policed),
            None => say_limits(it, &policed),
        }
    }
    mark_opened(request, &policed, now_us, &mut all)?;
    Ok((all, policed.warnings))
}

fn listed(policed: &Policed, part: &SchedulePart, occurrence: Occurrence) -> Listed {
    let policy = &policed.file.policy;
    let window = part.window.name();
    let count = policy.waves.len();
    let waves = policy.waves.iter().enumerate();
    let waves = waves.filter(|(_, it)| policy.window_of(it) == Some(window));
    Listed {
        waves: waves
            .map(|(index, it)| it.shown_name(index, count))
            .collect(),
        hosts: policed.members.targets.len(),
        ..Listed::new(occurrence, part.window.zone())
    }
}

/// Names of the windows that are limits for the host.
fn limits_of(policed: &Policed, host: &str) -> Result<Vec<String>, Refusal> {
    if !policed.members.targets.contains(host) {
        let text = format!(
            "{host} is no host of the policy `{}`",
            policed.file.policy.name
        );
        let known = policed.members.targets.iter().map(String::as_str);
        return Err(vec![Diagnostic::error("no-hosts", text).suggest(host, known)].into());
    }
    let limits = policed.members.windows.iter();
    let limits = limits.filter(|(_, hosts)| hosts.contains(host));
    Ok(limits.map(|(name, _)| name.clone()).collect())
}

/// What of an occurrence is open for a host with these limits.
fn narrow(it: &mut Listed, limits: &[String], policed: &Policed) {
    for limit in limits {
        let left = within(&it.occurrence, limit, policed);
        if left != it.occurrence.open {
            let remark = format!("only while `{limit}` is open, too");
            it.occurrence.remarks.push(remark);
        }
        it.occurrence.open = left;
    }
    it.hosts = 1;
    it.left = length(&it.occurrence.open);
}

/// Says what the limits of some hosts leave of it.
fn say_limits(it: &mut Listed, policed: &Policed) {
    for (limit, hosts) in &policed.members.windows {
        let left = within(&it.occurrence, limit, policed);
        if left != it.occurrence.open {
            let (count, left) = (hosts.len(), length(&left));
            let remark = format!("`{limit}` leaves {left} of it to {count} of the hosts");
            it.occurrence.remarks.push(remark);
        }
    }
}

/// What of an occurrence is open while a limit is, too.
fn within(it: &Occurrence, limit: &str, policed: &Policed) -> Vec<Interval> {
    let (from_us, until_us) = (it.whole.start_us, it.whole.end_us);
    intersect(&it.open, &policed.schedule.open(limit, from_us, until_us))
}

fn length(open: &[Interval]) -> String {
    let us: i64 = open.iter().map(Interval::length_us).sum();
    duration_text(us.unsigned_abs() / 1_000_000)
}

fn mark_opened(
    request: &WindowsRequest,
    policed: &Policed,
    now_us: i64,
    all: &mut [Listed],
) -> Result<(), Refusal> {
    let told = |error| keeping::refused(&error);
    let directory = keeping::state_directory(&request.given.state).map_err(told)?;
    // Who only looks makes no run store.
    if !directory.exists() {
        return Ok(());
    }
    let diary = Diary::new(keeping::open(&request.given.state).map_err(told)?);
    let opened = diary
        .opened(&policed.file.policy.name, now_us - 15 * DAY_US)
        .map_err(told)?;
    let ids: BTreeSet<String> = opened.into_iter().map(|it| it.id).collect();
    for it in all {
        it.opened = ids.contains(&it.occurrence.id);
    }
    Ok(())
}
