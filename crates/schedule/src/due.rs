//! What a scheduler does now: which occurrence it opens, which ones were missed.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interval::Occurrence;

/// What becomes of an occurrence that was over before anybody opened it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissedRule {
    /// Nothing: the next one does the work.
    #[default]
    NextWindow,
    /// It is made up for as soon as any window of the policy is open.
    CatchUp,
    /// As `next_window`, but reports show it until an occurrence was opened again.
    Report,
}

/// What is known when a scheduler looks at the clock.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// The policy's rule.
    pub rule: MissedRule,
    /// Since when this window is as it is now. An occurrence that starts before is none of ours: editing a policy never opens
    /// what is past.
    pub known_since_us: i64,
    /// Occurrences of the window that starts the policy's runs, from then on, in order.
    pub starts: &'a [Occurrence],
    /// Occurrences of all windows of the policy that are not over.
    pub any: &'a [Occurrence],
    /// Ids that were opened once, or made up for.
    pub opened: &'a BTreeSet<String>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Open this one now. All its ids are to be kept as opened, durably, before anything else is done.
    pub open: Option<Opening>,
    /// Ids that are over and were never opened, in order. They are to be kept too, so that they are said once; with
    /// [`MissedRule::CatchUp`] they are not missed but wait, and nothing is here.
    pub missed: Vec<String>,
    /// When to look again at the latest; `None`: there is nothing to wait for.
    pub next_us: Option<i64>,
}

/// An occurrence to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The id that is opened by it and never again.
    pub id: String,
    /// Missed ids that it makes up for as well: they are never opened either.
    pub makes_up_for: Vec<String>,
    /// The occurrence in whose time the work is done: the same one, or another if a missed one is made up for.
    pub within: Occurrence,
    /// Microseconds since it could have been opened.
    pub late_us: i64,
}

/// What is due at an instant.
pub fn due(watch: Watch<'_>, now_us: i64) -> Due {
    let ours: Vec<&Occurrence> = watch
        .starts
        .iter()
        .filter(|it| it.whole.start_us >= watch.known_since_us && !watch.opened.contains(&it.id))
        // Frozen from start to end: nobody can miss it.
        .filter(|it| !it.open.is_empty())
        .collect();
    let is_over = |it: &&&Occurrence| it.open.iter().all(|span| span.end_us <= now_us);
    let mut missed: Vec<String> = ours
        .iter()
        .filter(is_over)
        .map(|it| it.id.clone())
        .collect();
    let starts = ours.iter().flat_map(|it| &it.open).map(|it| it.start_us);
    let mut next_us = starts.filter(|it| *it > now_us).min();
    let mut open = ours.iter().find_map(|it| opening(it, now_us));
    if watch.rule == MissedRule::CatchUp && !missed.is_empty() {
        let any = watch.any.iter().flat_map(|it| &it.open);
        let any = any.map(|it| it.start_us).filter(|it| *it > now_us).min();
        next_us = [next_us, any].into_iter().flatten().min();
        let mut waiting = std::mem::take(&mut missed);
        if open.is_none() {
            open = watch.any.iter().find_map(|it| opening(it, now_us));
            let id = waiting.pop();
            open = open.zip(id).map(|(open, id)| Opening { id, ..open });
        }
        if let Some(open) = &mut open {
            open.makes_up_for = waiting;
        }
    }
    Due {
        open,
        missed,
        next_us,
    }
}

/// The occurrence, if it is open now.
fn opening(it: &Occurrence, now_us: i64) -> Option<Opening> {
    let span = it.open.iter().find(|span| span.holds(now_us))?;
    Some(Opening {
        id: it.id.clone(),
        makes_up_for: Vec::new(),
        within: it.clone(),
        late_us: now_us - span.start_us,
    })
}
