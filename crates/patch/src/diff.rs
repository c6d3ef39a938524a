//! What differs between two plans.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{HostPlan, Plan};

/// What differs. Empty lists: nothing that hosts would notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDiff {
    /// About the plan as a whole: the policy's file, waves, limits, a line each.
    pub about: Vec<String>,
    /// Hosts that differ, with what does, a line each.
    pub hosts: BTreeMap<String, Vec<String>>,
}

/// What the second plan has otherwise.
pub fn diff(first: &Plan, second: &Plan) -> PlanDiff {
    let mut diff = PlanDiff::default();
    about(first, second, &mut diff.about);
    let names: BTreeSet<&String> = [first, second]
        .iter()
        .flat_map(|it| it.hosts.keys().chain(it.left_out.keys()))
        .collect();
    for name in names {
        let lines = host(first, second, name);
        if !lines.is_empty() {
            diff.hosts.insert(name.clone(), lines);
        }
    }
    diff
}

fn about(first: &Plan, second: &Plan, lines: &mut Vec<String>) {
    let mut differs = |what: &str, a: String, b: String| {
        if a != b {
            lines.push(format!("{what}: {a} → {b}"));
        }
    };
    differs("policy", first.policy.clone(), second.policy.clone());
    let short = |it: &str| it.get(..12).unwrap_or(it).to_owned();
    differs(
        "the policy's file",
        short(&first.policy_sha256),
        short(&second.policy_sha256),
    );
    let waves = |plan: &Plan| {
        let all: Vec<String> = plan
            .waves
            .iter()
            .zip(0_u32..)
            .map(|(it, index)| format!("{} ({})", it.name, plan.hosts_of(index).len()))
            .collect();
        all.join(", ")
    };
    differs("waves", waves(first), waves(second));
    differs(
        "failures that are allowed",
        first.max_failures.to_string(),
        second.max_failures.to_string(),
    );
    let windows = |plan: &Plan| {
        let all: Vec<&str> = plan
            .windows
            .values()
            .flatten()
            .map(|it| it.id.as_str())
            .collect();
        all.join(", ")
    };
    differs("windows", windows(first), windows(second));
    if first.procedure != second.procedure {
        lines.push("what is done on each host differs".into());
    }
    if first.gates != second.gates {
        lines.push("the gates differ".into());
    }
    if first.groups != second.groups {
        lines.push("the groups differ".into());
    }
}

fn host(first: &Plan, second: &Plan, name: &str) -> Vec<String> {
    let out = |plan: &Plan| plan.left_out.get(name).map(|it| it.reason.clone());
    match (first.hosts.get(name), second.hosts.get(name)) {
        (Some(a), Some(b)) => versions(first, second, a, b),
        (None, Some(_)) => vec![match out(first) {
            Some(reason) => format!("is patched now (before: {reason})"),
            None => "is new".into(),
        }],
        (Some(_), None) => vec![match out(second) {
            Some(reason) => format!("is left out now: {reason}"),
            None => "is gone".into(),
        }],
        (None, None) => match (out(first), out(second)) {
            (Some(a), Some(b)) if a != b => vec![format!("is left out: {b} (before: {a})")],
            (None, Some(b)) => vec![format!("is new, and left out: {b}")],
            (Some(_), None) => vec!["is gone".into()],
            _ => Vec::new(),
        },
    }
}

fn versions(first: &Plan, second: &Plan, a: &HostPlan, b: &HostPlan) -> Vec<String> {
    let mut lines = Vec::new();
    let wave = |plan: &Plan, host: &HostPlan| {
        let wave = plan.waves.get(host.wave as usize);
        wave.map(|it| it.name.clone()).unwrap_or_default()
    };
    let (before, now) = (wave(first, a), wave(second, b));
    if before != now {
        lines.push(format!("wave {before} → {now}"));
    }
    let of = |host: &HostPlan| -> BTreeMap<String, String> {
        let actions = host.actions.iter();
        actions
            .map(|it| {
                let to = it.to.clone().unwrap_or_else(|| "is removed".into());
                (it.package.to_string(), to)
            })
            .collect()
    };
    let (before, now) = (of(a), of(b));
    for (package, to) in &now {
        match before.get(package) {
            None => lines.push(format!("+ {package} {to}")),
            Some(other) if other != to => lines.push(format!("~ {package} {other} → {to}")),
            Some(_) => {}
        }
    }
    for (package, to) in before.iter().filter(|(it, _)| !now.contains_key(*it)) {
        lines.push(format!("- {package} {to}"));
    }
    match (a.reboot_reasons.is_empty(), b.reboot_reasons.is_empty()) {
        (true, false) => lines.push("is rebooted now".into()),
        (false, true) => lines.push("is not rebooted any more".into()),
        _ => {}
    }
    lines
}
