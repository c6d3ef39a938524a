//! What an engineer should know before a plan is approved.

use std::collections::BTreeMap;

use super::Input;
use super::candidates::Candidate;
use crate::plan::{LeftOutCode, Plan, RebootRule};
use crate::select::exception_ends_us;

/// The lines of a plan.
pub(super) fn of(
    input: &Input<'_>,
    all: &BTreeMap<String, Candidate<'_>>,
    plan: &Plan,
) -> Vec<String> {
    let mut risks = Vec::new();
    groups(plan, &mut risks);
    waves(plan, &mut risks);
    hosts(input, all, plan, &mut risks);
    for exception in &input.file.policy.exceptions {
        if exception_ends_us(exception).is_some_and(|end| end <= input.now_us) {
            risks.push(format!(
                "the exception of {} ({}) ended on {} and counts for nothing",
                exception.owner, exception.reason, exception.expires
            ));
        }
    }
    risks
}

fn groups(plan: &Plan, risks: &mut Vec<String>) {
    for group in &plan.groups {
        let away = u32::try_from(group.unavailable.len()).unwrap_or(u32::MAX);
        let touched = group.hosts.iter().any(|it| plan.hosts.contains_key(it));
        if !touched {
            continue;
        }
        let most = group.max_unavailable;
        if most == 0 {
            risks.push(format!(
                "group {}: none of its hosts may be unavailable, so none will be patched",
                group.name
            ));
        } else if away > 0 {
            let margin = most.saturating_sub(away);
            let what = if margin == 0 {
                "its hosts will not be patched before that is over".to_owned()
            } else {
                format!("margin {margin}")
            };
            risks.push(format!(
                "group {}: {} unreachable already, {most} may be: {what}",
                group.name,
                few(group.unavailable.iter().map(String::as_str)),
            ));
        }
    }
}

fn waves(plan: &Plan, risks: &mut Vec<String>) {
    if plan.waves.len() == 1 && plan.hosts.len() > 1 {
        risks.push(format!(
            "all {} hosts are in one wave: nothing is proven before it",
            plan.hosts.len()
        ));
        return;
    }
    // What the last wave that proves leaves open, the run proves nowhere.
    let last = plan
        .waves
        .iter()
        .rfind(|it| it.proves && !it.uncovered.is_empty());
    let after = last.filter(|last| {
        plan.waves
            .iter()
            .rfind(|it| it.proves)
            .is_some_and(|it| it.name == last.name)
    });
    if let Some(wave) = after {
        risks.push(format!(
            "no canary for: {}",
            few(wave.uncovered.iter().map(String::as_str))
        ));
    }
}

fn hosts(
    input: &Input<'_>,
    all: &BTreeMap<String, Candidate<'_>>,
    plan: &Plan,
    risks: &mut Vec<String>,
) {
    let mut told: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut tell = |text: String, host: &'_ String| {
        // The names live as long as the plan's.
        if let Some((name, _)) = plan.hosts.get_key_value(host) {
            told.entry(text).or_default().push(name);
        }
    };
    for (host, candidate) in all {
        for risk in &candidate.selection.risks {
            tell(risk.clone(), host);
        }
        if !candidate.resolution.conffiles.is_empty() {
            tell(
                "configuration files changed by hand get another version".into(),
                host,
            );
        }
        let back = &candidate.resolution.way_back;
        if !back.missing.is_empty() && back.snapshot.is_none() {
            tell("no way back for all packages".into(), host);
        }
        let due = !candidate.resolution.reboot_reasons.is_empty();
        if due && input.file.policy.reboot.mode == RebootRule::Never {
            tell(
                "will wait for a reboot, which the policy never does".into(),
                host,
            );
        }
    }
    for (text, hosts) in told {
        let count = hosts.len();
        let hosts = few(hosts.into_iter());
        risks.push(if count == 1 {
            format!("{hosts}: {text}")
        } else {
            format!("{count} hosts: {text} ({hosts})")
        });
    }
    let unclassified: Vec<&str> = plan
        .left_out
        .iter()
        .filter(|(_, it)| it.code == LeftOutCode::Unclassified)
        .map(|(host, _)| host.as_str())
        .collect();
    if !unclassified.is_empty() {
        risks.push(format!(
            "{} hosts are not patched since their sources do not classify updates: {}",
            unclassified.len(),
            few(unclassified.iter().copied())
        ));
    }
}

/// The first few, and how many more there are.
pub(crate) fn few<'a>(all: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 5;
    let all: Vec<&str> = all.collect();
    let first = all
        .iter()
        .take(MOST)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match all.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
