//! What a run that has ended leaves in the ledger: what came of it, versions that it proved or disproved, how long steps took,
//! hosts that missed their window.

use std::collections::BTreeMap;

use hostler_events::RunId;
use hostler_history::{Fact, FactKind};
use hostler_patch::ledger::{self, Took};
use hostler_patch::plan::{Plan, PlanId};
use hostler_rollout::{Entry, Note, Outcome, Proof, Step, StepOutcome};

use super::book::{Book, fact};
use super::summary;
use crate::refusal::Refusal;

/// Keeps it.
///
/// # Errors
/// The store cannot be written.
pub(crate) fn keep(
    book: &Book,
    plan: &Plan,
    id: &PlanId,
    run: &RunId,
    entries: &[Entry],
) -> Result<(), Refusal> {
    let mut facts = Vec::new();
    let summary = summary::summary(plan, id, run, entries);
    facts.push(fact(
        FactKind::Outcome,
        plan.policy.clone(),
        Some(run),
        &summary,
    ));
    facts.extend(verdicts(run, entries));
    for entry in entries {
        if let Note::Came {
            host,
            outcome: Outcome::Deferred { reason } | Outcome::Unreachable { reason, .. },
        } = &entry.note
        {
            let missed = ledger::Missed {
                occurrence: run.0.clone(),
                reason: reason.clone(),
            };
            facts.push(fact(FactKind::Missed, host.clone(), Some(run), &missed));
        }
    }
    facts.extend(durations(plan, run, entries));
    book.append(&facts)
}

/// Keeps only what the run says of versions: also one that goes on later must keep others from what went wrong.
///
/// # Errors
/// The store cannot be written.
pub(crate) fn keep_verdicts(book: &Book, run: &RunId, entries: &[Entry]) -> Result<(), Refusal> {
    book.append(&verdicts(run, entries))
}

/// Versions that were proven or disproven.
fn verdicts(run: &RunId, entries: &[Entry]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for entry in entries {
        match &entry.note {
            Note::WavePassed { proven, .. } => {
                facts.extend(proven.iter().map(|it| proven_fact(it, run)));
            }
            Note::Disproven { versions } => {
                facts.extend(versions.iter().map(|it| disproven_fact(it, run)));
            }
            _ => {}
        }
    }
    facts
}

fn proven_fact(proof: &Proof, run: &RunId) -> Fact {
    let proven = ledger::Proven {
        version: proof.version.clone(),
        hosts: proof.hosts.clone(),
        rebooted: proof.rebooted,
    };
    fact(FactKind::Proven, key(proof), Some(run), &proven)
}

fn disproven_fact(proof: &Proof, run: &RunId) -> Fact {
    let disproven = ledger::Disproven {
        version: proof.version.clone(),
        hosts: proof.hosts.clone(),
        why: "it went wrong in a patch run".to_owned(),
        cleared_by: None,
    };
    fact(FactKind::Disproven, key(proof), Some(run), &disproven)
}

fn key(proof: &Proof) -> String {
    // `debian 13`; rolling distributions have no version.
    let (id, version) = proof.os.split_once(' ').unwrap_or((&proof.os, ""));
    let os = hostler_updates::Os {
        id: id.to_owned(),
        version: version.to_owned(),
        name: String::new(),
        codename: String::new(),
    };
    ledger::package_key(&os, &proof.arch, &proof.package)
}

/// How long steps took that came to a good end.
fn durations(plan: &Plan, run: &RunId, entries: &[Entry]) -> Vec<Fact> {
    let mut begun: BTreeMap<(&str, Step), i64> = BTreeMap::new();
    let mut facts = Vec::new();
    for entry in entries {
        match &entry.note {
            Note::Begun { host, step, .. } => {
                begun.insert((host, *step), entry.at_us);
            }
            Note::Ended {
                host,
                step,
                outcome: StepOutcome::Done { .. },
                ..
            } => {
                let since = begun.remove(&(host.as_str(), *step));
                let (Some(since), Some(planned)) = (since, plan.hosts.get(host)) else {
                    continue;
                };
                let seconds =
                    u32::try_from((entry.at_us - since).max(0) / 1_000_000).unwrap_or(u32::MAX);
                let took = Took {
                    seconds,
                    packages: u32::try_from(planned.actions.len()).unwrap_or(u32::MAX),
                    bytes: planned.download_bytes,
                };
                let key = ledger::duration_key(word(*step), &planned.os, &planned.boot_class);
                facts.push(fact(FactKind::Duration, key, Some(run), &took));
            }
            _ => {}
        }
    }
    facts
}

/// The word under which the time of a step is kept; hooks of a kind count together.
fn word(step: Step) -> &'static str {
    match step {
        Step::Resolve => "resolve",
        Step::Preflight => "preflight",
        Step::Mask => "mask",
        Step::Download => "download",
        Step::Pre(_) => "pre",
        Step::Baseline => "baseline",
        Step::Snapshot => "snapshot",
        Step::Install => "install",
        Step::Restart => "restart",
        Step::Look => "look",
        Step::Reboot => "reboot",
        Step::Back => "back",
        Step::Verify => "verify",
        Step::Post(_) => "post",
        Step::Undo(_) => "undo",
        Step::Release => "release",
        Step::Rollback => "rollback",
        Step::RemoveSnapshot => "remove-snapshot",
    }
}
