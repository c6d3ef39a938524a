//! After a run: the hosts that it changed are looked at again, so that a report knows at once how they stand, and what was
//! installed counts as fixed as soon as it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hostler_diag::Diagnostic;
use hostler_patch::plan::Plan;
use hostler_rollout::{FailureKind, Outcome};
use hostler_updates::Scan;

use super::asking;
use super::book::Book;
use super::crew::Crew;
use super::hosts::FLEETING;
use crate::engine::Engine;
use crate::inputs::Inputs;
use crate::plan::now_us;

/// A host that is lost just now must not keep the run from its end.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Looks, and keeps what hosts said. Without an answer the scan from before the run stays the newest.
///
/// # Errors
/// Why nothing was learned; the run itself is as good as it was.
pub(crate) async fn look(
    engine: &Engine,
    inputs: &Inputs,
    plan: &Plan,
    book: &Book,
    outcomes: &BTreeMap<String, Outcome>,
) -> Result<(), Vec<Diagnostic>> {
    let hosts: Vec<String> = outcomes
        .iter()
        .filter(|(_, outcome)| is_changed(outcome) && answers(outcome))
        .map(|(host, _)| host.clone())
        .collect();
    if hosts.is_empty() {
        return Ok(());
    }
    let policy = Path::new(&plan.policy_path);
    let (catalog, hidden) = (inputs.catalog.clone(), engine.hidden());
    let crew = Crew::new(engine.run.clone(), catalog, policy, hidden)?;
    // The indexes are those of the scan for the plan: what has come since then is the next plan's.
    let asked = tokio::time::timeout(TIME_MAX, asking::scan(&crew, number(), &hosts, false));
    let answers = engine.watched(asked).await;
    let answers = answers.ok().and_then(Result::ok).unwrap_or_default();
    let scans: BTreeMap<String, Scan> = answers
        .into_iter()
        .filter_map(|(host, answer)| Some((host, answer.ok()?)))
        .collect();
    book.learn(&scans).map_err(|refusal| refusal.diagnostics)
}

fn is_changed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done | Outcome::InstalledPendingReboot { .. } | Outcome::RolledBack { .. } => true,
        Outcome::Failed { changed, .. } => *changed,
        Outcome::Held { .. }
        | Outcome::Deferred { .. }
        | Outcome::PlanMismatch { .. }
        | Outcome::Unreachable { .. } => false,
    }
}

/// Can the host be asked? One that did not come back would be waited for as if it had just been lost.
fn answers(outcome: &Outcome) -> bool {
    let Outcome::Failed { failure, .. } = outcome else {
        return true;
    };
    !matches!(
        failure.kind,
        FailureKind::RebootTimeout
            | FailureKind::NotRebooted
            | FailureKind::HostKey
            | FailureKind::Unknown
    )
}

/// Of the play: never the same again, since a run that goes on remembers its plays.
fn number() -> u32 {
    let upper_half = FLEETING / 2;
    let millis = u32::try_from(now_us() / 1000 % i64::from(upper_half)).unwrap_or_default();
    FLEETING | upper_half | millis
}
