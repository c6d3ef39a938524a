//! "Why was it not patched?": the one reason, and the rule that makes it.

use std::collections::BTreeMap;

use hostler_updates::{Scan, Update};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::glob;
use crate::plan::{HostPlan, Plan, Waiting};
use crate::planner::few;
use crate::simulate::{Pace, Turn, simulate};
use crate::text::wave_name;

/// The answer for a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The host.
    pub host: String,
    /// The sentence.
    pub answer: String,
    /// The place in the policy that decides it, if one does.
    pub rule: Option<String>,
    /// More about it: what becomes of the package that was asked for; all updates that wait if none was.
    pub details: Vec<String>,
}

/// Explains what the plan does with a host, and with one package of it if `what` names one (a name or a pattern), or with the
/// packages of its scan that close a CVE. `None`: the host is none of the policy's. `now_us`: from when on windows count,
/// microseconds since the epoch.
pub fn explain(
    plan: &Plan,
    host: &str,
    what: Option<&str>,
    scan: Option<&Scan>,
    now_us: i64,
) -> Option<Explanation> {
    if let Some(why) = plan.left_out.get(host) {
        return Some(Explanation {
            host: host.to_owned(),
            answer: format!("it is left out ({}): {}", why.code.words(), why.reason),
            rule: why.rule.clone(),
            details: match (what, scan) {
                (Some(what), Some(scan)) => lacking(scan, what),
                _ => Vec::new(),
            },
        });
    }
    let planned = plan.hosts.get(host)?;
    let wave = plan.waves.get(planned.wave as usize);
    let name = wave.map_or_else(String::new, |it| wave_name(&it.name));
    let explanation = |answer: String, details: Vec<String>| Explanation {
        host: host.to_owned(),
        answer,
        rule: None,
        details,
    };
    let Some(what) = what else {
        let turn = planned.order + 1;
        let answer = match obstacle(plan, host, now_us) {
            Some(why) => format!("{} in {name}, but {why}", what_is_done(planned)),
            None => format!("{} in {name}, turn {turn}", what_is_done(planned)),
        };
        return Some(explanation(
            answer,
            planned.waiting.iter().map(line).collect(),
        ));
    };
    let closing = scan.map(|scan| closing(scan, what)).unwrap_or_default();
    let named = |it: &str| {
        it == what
            || it.split(':').next() == Some(what)
            || glob::matches(what, it)
            || closing.iter().any(|closing| closing == it)
    };
    let actions: Vec<String> = planned
        .actions
        .iter()
        .filter(|it| named(&it.package.to_string()))
        .map(|it| {
            let to = it.to.as_deref().unwrap_or("none");
            format!(
                "{} {} → {to}",
                it.package,
                it.from.as_deref().unwrap_or("none")
            )
        })
        .collect();
    let waiting: Vec<&Waiting> = planned
        .waiting
        .iter()
        .filter(|it| named(&it.package))
        .collect();
    if !actions.is_empty() {
        let waits = waiting.into_iter().map(line);
        let details = actions.into_iter().chain(waits).collect();
        return Some(explanation(format!("it gets {what} in {name}"), details));
    }
    Some(match waiting.first() {
        Some(first) => {
            let answer = line(first);
            explanation(answer, waiting.into_iter().skip(1).map(line).collect())
        }
        None => explanation(format!("nothing waits there for {what}"), Vec::new()),
    })
}

/// Packages, with architecture, of which an update that waits closes a CVE.
fn closing(scan: &Scan, cve: &str) -> Vec<String> {
    let closes = |it: &&Update| it.cves.iter().any(|it| it.eq_ignore_ascii_case(cve));
    let updates = scan.updates.iter().filter(closes);
    updates.map(|it| it.package.to_string()).collect()
}

/// Updates that wait on a host that is left out and that would close a CVE.
fn lacking(scan: &Scan, cve: &str) -> Vec<String> {
    let closes = |it: &&Update| it.cves.iter().any(|it| it.eq_ignore_ascii_case(cve));
    let updates = scan.updates.iter().filter(closes);
    let line = |it: &Update| {
        let from = it.from.as_deref().unwrap_or("none");
        format!("{} {from} → {} would close it", it.package, it.to)
    };
    updates.map(line).collect()
}

/// What stands in a host's way that is in the plan: no window has time for it, or its group can miss no host more.
fn obstacle(plan: &Plan, host: &str, now_us: i64) -> Option<String> {
    let simulation = simulate(plan, now_us, Pace::Likely, &BTreeMap::new());
    match simulation.turns.get(host)? {
        Turn::Works(_) => None,
        Turn::NoTime => Some("no window has time for it".into()),
        Turn::Blocked(name) => {
            let group = plan.groups.iter().find(|it| it.name == *name)?;
            let away = match few(group.unavailable.iter().map(String::as_str)) {
                none if none.is_empty() => "none is missing".into(),
                some => format!("{some} is missing already"),
            };
            let most = group.max_unavailable;
            Some(format!("its group {name} may miss {most}, and {away}"))
        }
    }
}

fn line(waiting: &Waiting) -> String {
    format!(
        "{} {} waits: {}",
        waiting.package, waiting.version, waiting.reason
    )
}

/// What is done on a host, in a few words.
pub(crate) fn what_is_done(host: &HostPlan) -> String {
    let packages = match host.actions.len() {
        0 => None,
        1 => Some("1 package".to_owned()),
        more => Some(format!("{more} packages")),
    };
    let reboot = (!host.reboot_reasons.is_empty()).then(|| "a reboot".to_owned());
    let all: Vec<String> = packages.into_iter().chain(reboot).collect();
    if all.is_empty() {
        "a rehearsal".into()
    } else {
        format!("it gets {}", all.join(" and "))
    }
}
