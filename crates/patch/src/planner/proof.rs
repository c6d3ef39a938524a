//! Proof: a wave that proves nothing installs only what an earlier wave (or an earlier run) has proven.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostler_updates::{Action, ActionKind, BootClass, Firmware, PackageName};

use super::assign::{Place, boot_text};
use super::candidates::Candidate;
use super::{Asked, Input};
use crate::glob;
use crate::plan::{LeftOut, LeftOutCode, Pin};
use crate::policy::Step;
use crate::select::{Selection, shown};

/// Who has to be asked again, and who cannot be patched.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) ask: BTreeMap<String, Selection>,
    pub(super) left_out: BTreeMap<String, LeftOut>,
}

/// A version for a distribution and an architecture.
type Key<'a> = (&'a str, &'a str, &'a str, &'a PackageName, &'a str);

fn key<'a>(candidate: &'a Candidate<'_>, action: &'a Action) -> Option<Key<'a>> {
    let scan = &candidate.scanned.scan;
    let to = action.to.as_deref()?;
    Some((
        &scan.os.id,
        &scan.os.version,
        &scan.arch,
        &action.package,
        to,
    ))
}

/// Holds what later waves install against what earlier waves prove.
pub(super) fn check(
    input: &Input<'_>,
    all: &BTreeMap<String, Candidate<'_>>,
    waves: &BTreeMap<String, Place>,
) -> Verdict {
    let mut verdict = Verdict::default();
    if input.file.policy.pin.mode == Pin::Plan {
        return verdict;
    }
    let rules = &input.file.policy.waves;
    let mut proven: HashMap<Key<'_>, BTreeSet<&BootClass>> = HashMap::new();
    if input.file.policy.pin.earlier_runs {
        for candidate in all.values() {
            for action in &candidate.resolution.actions {
                let Some(key) = key(candidate, action) else {
                    continue;
                };
                if let Some(classes) = earlier(input, candidate, action) {
                    proven.entry(key).or_default().extend(classes);
                }
            }
        }
    }
    for (index, rule) in rules.iter().enumerate() {
        let hosts = all
            .iter()
            .filter(|(host, _)| waves.get(*host).is_some_and(|it| it.wave == index));
        if rule.proves(index, rules.len()) {
            for (_, candidate) in hosts {
                let boots = !candidate.reboot_reasons.is_empty();
                for action in &candidate.resolution.actions {
                    let Some(key) = key(candidate, action) else {
                        continue;
                    };
                    let classes = proven.entry(key).or_default();
                    classes.extend(boots.then_some(&candidate.scanned.scan.boot_class));
                }
            }
            continue;
        }
        for (host, candidate) in hosts {
            unproven(input, host, candidate, &proven, &mut verdict);
        }
    }
    verdict
}

/// The boot classes that earlier runs have rebooted with a version; `None`: they have not proven it. Of hosts that cannot be
/// asked any more nothing is known.
pub(super) fn earlier<'a>(
    input: &Input<'a>,
    candidate: &Candidate<'_>,
    action: &Action,
) -> Option<BTreeSet<&'a BootClass>> {
    let scan = &candidate.scanned.scan;
    let to = action.to.as_deref()?;
    let mut proofs = input
        .known
        .proven(&scan.os, &scan.arch, &action.package, to)
        .peekable();
    proofs.peek()?;
    let rebooted = proofs.flat_map(|it| &it.rebooted_hosts);
    let class = |host: &String| match input.hosts.get(host) {
        Some(Asked::Scanned(scanned)) => Some(&scanned.scan.boot_class),
        _ => None,
    };
    Some(rebooted.filter_map(class).collect())
}

fn unproven(
    input: &Input<'_>,
    host: &str,
    candidate: &Candidate<'_>,
    proven: &HashMap<Key<'_>, BTreeSet<&BootClass>>,
    verdict: &mut Verdict,
) {
    let missing: Vec<(&Action, String)> = candidate
        .resolution
        .actions
        .iter()
        .filter_map(|action| Some((action, lacks_proof(input, candidate, action, proven)?)))
        .collect();
    let Some((first, reason)) = missing.first() else {
        return;
    };
    let wanted = |package: &PackageName| {
        candidate
            .selection
            .wanted
            .iter()
            .any(|it| it.package == *package)
    };
    let mut dropped: BTreeMap<PackageName, String> = missing
        .iter()
        .filter(|(action, _)| wanted(&action.package))
        .map(|(action, reason)| (action.package.clone(), reason.clone()))
        .collect();
    if dropped.is_empty() {
        // Something unproven comes along, and nobody knows with what: nothing is installed.
        let package = shown(&first.package.to_string());
        let comes = format!("{package} would come along: {reason}");
        let all = candidate.selection.wanted.iter();
        dropped = all.map(|it| (it.package.clone(), comes.clone())).collect();
    }
    let shorter = candidate.selection.without(&dropped);
    let due = !shorter.reboot_due.is_empty();
    if shorter.wanted.is_empty() && !due {
        let more = match missing.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more packages)"),
        };
        let version = first.to.as_deref().unwrap_or_default();
        let why = LeftOut {
            code: LeftOutCode::NoCanary,
            reason: format!(
                "{} {}: {reason}{more}",
                shown(&first.package.to_string()),
                shown(version)
            ),
            rule: input
                .file
                .rule(&[Step::Key("pin")])
                .or_else(|| input.file.rule(&[Step::Key("waves")])),
        };
        verdict.left_out.insert(host.to_owned(), why);
    } else {
        verdict.ask.insert(host.to_owned(), shorter);
    }
}

/// Why an action is not proven; `None`: it is.
fn lacks_proof(
    input: &Input<'_>,
    candidate: &Candidate<'_>,
    action: &Action,
    proven: &HashMap<Key<'_>, BTreeSet<&BootClass>>,
) -> Option<String> {
    if action.kind == ActionKind::Remove {
        return None;
    }
    let Some(classes) = key(candidate, action).and_then(|key| proven.get(&key)) else {
        return Some("no canary has it".into());
    };
    let boot_class = &candidate.scanned.scan.boot_class;
    let critical = glob::first_match(
        &input.file.policy.select.boot_critical.0,
        &action.package.name,
    )
    .is_some();
    let boots = !candidate.reboot_reasons.is_empty() && boot_class.firmware != Firmware::None;
    if critical && boots && !classes.contains(boot_class) {
        let class = boot_text(boot_class);
        return Some(format!(
            "no canary of its boot class ({class}) is rebooted with it"
        ));
    }
    None
}
