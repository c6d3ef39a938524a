//! Failures by cause.

use std::collections::{BTreeMap, BTreeSet};

use super::model::FailureRow;
use super::{first_line, text};
use crate::ledger::{HostEnd, HostOutcome, RunOutcome};

/// Different messages of one cause that are shown.
const MESSAGES_MAX: usize = 3;

/// Causes, the most frequent first.
pub(super) fn by_cause<'a>(runs: impl Iterator<Item = &'a RunOutcome>) -> Vec<FailureRow> {
    let mut causes: BTreeMap<String, (u32, BTreeSet<String>, Vec<String>)> = BTreeMap::new();
    for host in runs.flat_map(|it| &it.hosts) {
        let Some(cause) = cause(host) else {
            continue;
        };
        let (count, hosts, messages) = causes.entry(cause).or_default();
        *count += 1;
        hosts.insert(host.host.clone());
        let message = first_line(&host.message);
        if messages.len() < MESSAGES_MAX && !message.is_empty() && !messages.contains(&message) {
            messages.push(message);
        }
    }
    let mut rows: Vec<FailureRow> = causes
        .into_iter()
        .map(|(cause, (count, hosts, messages))| FailureRow {
            cause,
            count,
            hosts: hosts.into_iter().collect(),
            messages,
        })
        .collect();
    rows.sort_by_key(|it| std::cmp::Reverse(it.count));
    rows
}

/// What kind of failure a host had, if it had one.
fn cause(host: &HostOutcome) -> Option<String> {
    let failed = match host.end {
        HostEnd::Failed | HostEnd::Unreachable | HostEnd::PlanMismatch => true,
        HostEnd::RolledBack => host.cause.is_some(),
        HostEnd::Open
        | HostEnd::Done
        | HostEnd::PendingReboot
        | HostEnd::Held
        | HostEnd::Deferred => false,
    };
    let cause = || match (&host.cause, &host.step) {
        (Some(cause), Some(step)) if cause != step => format!("{cause} ({step})"),
        (Some(cause), _) => cause.clone(),
        (None, _) => host.end.words().to_owned(),
    };
    failed.then(|| text(&cause()))
}
