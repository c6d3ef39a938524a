//! Runs that are bound by a plan: begun, and gone on with.

use std::collections::{HashMap, HashSet};

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::Reporter;
use hostler_executor::{Bound, Execution as BoundExecution, Interrupts, Permit, is_harmless};
use hostler_history::StoreError;
use hostler_journal::Memory;
use hostler_preview::{Agreed, Execution, Executions, allowed};

use crate::apply::{Audience, Terms};
use crate::inputs::Inputs;
use crate::keeping::{Keeping, refused};
use crate::plan::observe;
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};
use crate::resume::Again;

/// Holds a run to what was agreed on.
pub(crate) fn bind(terms: &mut Terms, agreed: &Agreed) {
    terms.bound = Some(Bound::new(permits(&agreed.executions)));
    terms.refused.clone_from(&agreed.refused);
}

/// What each execution may do.
fn permits(executions: &Executions) -> HashMap<BoundExecution, Permit> {
    // Which host comes first to a third one may be another each time: what one of them may do there, all may.
    let mut delegated: HashMap<(&str, u32), Vec<&Execution>> = HashMap::new();
    let all = executions.values().flatten();
    for execution in all.filter(|it| it.delegated_to.is_some()) {
        let key = (execution.place.as_str(), execution.nth);
        delegated.entry(key).or_default().push(execution);
    }
    let mut permits = HashMap::new();
    for (host, executions) in executions {
        for execution in executions {
            let all = delegated.get(&(execution.place.as_str(), execution.nth));
            let permit = match all {
                _ if execution.free => Permit::Free,
                Some(all) if execution.delegated_to.is_some() => {
                    Permit::Only(allowed(all.iter().copied()))
                }
                _ => Permit::Only(allowed([execution])),
            };
            let key = BoundExecution {
                host: host.clone(),
                place: execution.place.clone(),
                nth: execution.nth,
            };
            permits.insert(key, permit);
        }
    }
    permits
}

/// What the run that goes on was begun with.
///
/// # Errors
/// It is not in the store, or cannot be read.
fn agreed(again: &Again) -> Result<Agreed, Refusal> {
    let run = &again.record.summary.run;
    let refuse = |why: &str| {
        let text = format!("what run {} may do cannot be read: {why}", run.0);
        let diagnostic = Diagnostic::error("not-resumable", text);
        let hint = "make a new plan, or apply the playbooks";
        Refusal::new(ExitCode::UnreachableOrInput, diagnostic.hint(hint))
    };
    let kept = again.store.mandate(run).map_err(|error| refused(&error))?;
    let kept = kept.ok_or_else(|| refuse("it is not in the run store"))?;
    Agreed::unpack(&kept).map_err(|error| refuse(&error.to_string()))
}

/// Binds a run that goes on to the plan that it was begun with. Hosts on which it has not changed anything yet are looked at
/// once more, as before a run that begins; where it has, the agent holds every edit against the plan's. False: the user
/// does not want to go on.
///
/// # Errors
/// The run still goes on, an input is not what it was, or what was agreed on is gone.
pub(crate) async fn bind_again(
    again: &mut Again,
    request: &ApplyRequest,
    inputs: &Inputs,
    sources: &SourceMap,
    watching: Vec<Box<dyn Reporter>>,
    interrupts: &Interrupts,
    terms: &mut Terms,
) -> Result<bool, Refusal> {
    // Before anything is contacted; once more when the run is taken over.
    still_running(again, request)?;
    again.check_texts(sources)?;
    let mut agreed = agreed(again)?;
    let memory = again.store.memory(&again.record.summary.run);
    let begun = begun(&memory.map_err(|error| refused(&error))?);
    let fresh: HashSet<String> = inputs
        .hosts()
        .into_iter()
        .filter(|host| !begun.contains(host) && !agreed.refused.contains_key(host))
        .collect();
    if !fresh.is_empty() {
        let look = ApplyRequest {
            check: true,
            ..request.clone()
        };
        let watching = Audience {
            reporters: watching,
            interrupts: interrupts.clone(),
            tell: Box::new(|_| {}),
        };
        let (_, _, now) = observe(&look, inputs, sources, watching, Keeping::Nothing).await?;
        if interrupts.draining() {
            return Ok(false);
        }
        let moved = agreed.moved(&now, &fresh);
        agreed.refused.extend(moved);
    }
    again.refused = agreed.refused.keys().cloned().collect();
    // Those that a limit leaves out are for another time.
    let hosts = inputs.hosts();
    agreed.refused.retain(|host, _| hosts.contains(host));
    bind(terms, &agreed);
    Ok(true)
}

fn still_running(again: &Again, request: &ApplyRequest) -> Result<(), Refusal> {
    let breaks = request.locks.breaks.as_deref();
    match &again.record.summary.held {
        Some(held) if !held.life.is_gone() && breaks != Some(held.lock.as_str()) => {
            let held = Box::new(held.clone());
            Err(refused(&StoreError::StillRunning { held }))
        }
        _ => Ok(()),
    }
}

/// Hosts that were sent something that may have changed them.
fn begun(memory: &Memory) -> HashSet<String> {
    let hosts = memory.tasks.values().flat_map(|task| task.hosts.values());
    let attempts = hosts.flat_map(|host| host.steps.values().flatten());
    let intents = attempts.map(|it| &it.intent);
    intents
        .filter(|it| !is_harmless(&it.module))
        .flat_map(|it| [it.host.clone(), it.place.clone()])
        .collect()
}
