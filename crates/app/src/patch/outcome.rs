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
        rebooted_hosts: proof.rebooted_hosts.clone(),
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
    let taken = seconds_taken(entries).into_iter();
    let facts = taken.filter_map(|(host, step, seconds)| {
        let planned = plan.hosts.get(host)?;
        let took = Took {
            seconds,
            packages: u32::try_from(planned.actions.len()).unwrap_or(u32::MAX),
            bytes: planned.download_bytes,
        };
        let key = ledger::duration_key(word(step), &planned.os, &planned.boot_class);
        Some(fact(FactKind::Duration, key, Some(run), &took))
    });
    facts.collect()
}

/// Host, step and seconds of each step that was seen from its beginning to its good end.
fn seconds_taken(entries: &[Entry]) -> Vec<(&str, Step, u32)> {
    let mut begun: BTreeMap<(&str, Step), i64> = BTreeMap::new();
    let mut taken = Vec::new();
    for entry in entries {
        match &entry.note {
            // Nobody knows when what was under way ended: it may have been hours before somebody asked.
            Note::Resumed { .. } => begun.clear(),
            Note::Begun { host, step, .. } => {
                begun.insert((host, *step), entry.at_us);
            }
            Note::Ended {
                host,
                step,
                outcome: StepOutcome::Done { .. },
                ..
            } => {
                let Some(since) = begun.remove(&(host.as_str(), *step)) else {
                    continue;
                };
                let seconds = (entry.at_us - since).max(0) / 1_000_000;
                taken.push((
                    host.as_str(),
                    *step,
                    u32::try_from(seconds).unwrap_or(u32::MAX),
                ));
            }
            _ => {}
        }
    }
    taken
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_in_which_nobody_looked_are_no_duration() {
        let host = || "web1".to_owned();
        let begun = |step| Note::Begun {
            host: host(),
            step,
            attempt: 1,
        };
        let ended = |step| Note::Ended {
            host: host(),
            step,
            attempt: 1,
            outcome: StepOutcome::done(),
        };
        let by = || "me".to_owned();
        let notes = [
            (0, begun(Step::Download)),
            (20, ended(Step::Download)),
            (21, begun(Step::Install)),
            (9000, Note::Resumed { by: by() }),
            (9001, ended(Step::Install)),
            (9002, begun(Step::Restart)),
            (9005, ended(Step::Restart)),
        ];
        let entries = notes.map(|(at, note)| Entry::new(at * 1_000_000, note));
        assert_eq!(
            seconds_taken(&entries),
            [("web1", Step::Download, 20), ("web1", Step::Restart, 3)]
        );
    }
}
