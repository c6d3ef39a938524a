//! How a patch run stands, from its notes. No host is asked.

use std::sync::Arc;

use hostler_patch::plan::PlanId;
use hostler_rollout::{Machine, Status};

use super::apply::kept_plan;
use super::notes;
use crate::keeping;
use crate::plan::now_us;
use crate::refusal::Refusal;
use crate::request::StateRequest;

/// The status of a run (by its id or the beginning of one), or of the newest patch run.
///
/// # Errors
/// There is no such run, or the store cannot be read.
pub fn status(state: &StateRequest, run: Option<&str>) -> Result<Status, Refusal> {
    let told = |error| keeping::refused(&error);
    let store = keeping::open(state).map_err(told)?;
    let refuse = |text: String| -> Refusal {
        vec![hostler_diag::Diagnostic::error("patch-status", text)].into()
    };
    let (id, plan) = match run {
        Some(text) => {
            let id = store.find(text).map_err(told)?;
            let record = store.run(&id).map_err(told)?;
            let plan =
                plan_of(&record).ok_or_else(|| refuse(format!("run {} does not patch", id.0)))?;
            (id, plan)
        }
        None => newest(&store)?.ok_or_else(|| refuse("there is no patch run yet".to_owned()))?,
    };
    let id_of_plan = PlanId(plan.clone());
    let plan = kept_plan(&store, &plan)?;
    let mut machine = Machine::new(Arc::new(plan), id_of_plan, id.0.clone(), String::new());
    for entry in notes::read(&store, &id)? {
        machine
            .take(&entry)
            .map_err(|misfit| refuse(misfit.to_string()))?;
    }
    Ok(machine.status(now_us()))
}

/// The newest run that patches, and the id of its plan.
fn newest(
    store: &hostler_history::Store,
) -> Result<Option<(hostler_events::RunId, String)>, Refusal> {
    let told = |error| keeping::refused(&error);
    let filter = hostler_history::RunFilter {
        without_checks: true,
        limit: Some(RUNS_MAX),
        ..hostler_history::RunFilter::default()
    };
    for summary in store.runs(&filter).map_err(told)? {
        let record = store.run(&summary.run).map_err(told)?;
        if let Some(plan) = plan_of(&record) {
            return Ok(Some((summary.run, plan)));
        }
    }
    Ok(None)
}

/// Id of the plan that a run carries out, if it patches.
fn plan_of(record: &hostler_history::RunRecord) -> Option<String> {
    let plan = record.request.get("patch")?.as_str()?;
    Some(plan.to_owned())
}

/// Runs that are looked at for the newest that patches.
const RUNS_MAX: usize = 2000;
