//! What came of patch runs: of those that have ended from the ledger, of the others from their notes so far.

use std::collections::BTreeMap;

use hostler_history::{FactFilter, FactKind, RunFilter, RunState, Store};
use hostler_patch::ledger::RunOutcome;
use hostler_patch::plan::{Plan, PlanId};
use hostler_rollout::Note;

use super::book::body;
use super::{notes, summary};
use crate::refusal::Refusal;

/// Of each run what came of it, and when something was heard of it last, microseconds since the epoch.
///
/// # Errors
/// The run store cannot be read.
pub(crate) fn outcomes(store: &Store) -> Result<Vec<(i64, RunOutcome)>, Refusal> {
    let mut runs: BTreeMap<String, (i64, RunOutcome)> = BTreeMap::new();
    for fact in store.facts(&FactFilter::all(FactKind::Outcome))? {
        if let Some(run) = body::<RunOutcome>(&fact) {
            runs.insert(run.run.clone(), (fact.at_us, run));
        }
    }
    for run in store.runs(&RunFilter::default())? {
        let open = run.resumable || run.state == RunState::Running;
        if !open || runs.contains_key(&run.run.0) {
            continue;
        }
        // What another version of hostler wrote is left out: a report must not fail for it.
        let entries = notes::read(store, &run.run).unwrap_or_default();
        let Some((last, plan)) = entries.last().zip(entries.iter().find_map(plan_of)) else {
            continue;
        };
        let kept = store.newest_fact(FactKind::Plan, plan)?;
        if let Some(kept) = kept.as_ref().and_then(body::<Plan>) {
            let id = PlanId(plan.to_owned());
            let outcome = summary::summary(&kept, &id, &run.run, &entries);
            runs.insert(run.run.0, (last.at_us, outcome));
        }
    }
    Ok(runs.into_values().collect())
}

fn plan_of(entry: &hostler_rollout::Entry) -> Option<&str> {
    match &entry.note {
        Note::Opened { plan, .. } => Some(plan),
        _ => None,
    }
}
