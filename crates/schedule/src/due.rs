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
    /// Open this one now.
    pub open: Option<Opening>,
    /// Ids that are over and were never opened, in order.
    pub missed: Vec<String>,
    /// When to look again at the latest; `None`: there is nothing to wait for.
    pub next_us: Option<i64>,
}

/// An occurrence to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The id that is opened by it and never again.
    pub id: String,
    /// The occurrence in whose time the work is done: the same one, or another if a missed one is made up for.
    pub within: Occurrence,
    /// Microseconds since it could have been opened.
    pub late_us: i64,
}

/// What is due at an instant.
pub fn due(watch: Watch<'_>, now_us: i64) -> Due {
    let mut due = Due::default();
    let ours = |it: &&Occurrence| {
        it.whole.start_us >= watch.known_since_us && !watch.opened.contains(&it.id)
    };
    for it in watch.starts.iter().filter(ours) {
        let Some(end_us) = it.open.last().map(|last| last.end_us) else {
            // Frozen from start to end: nobody missed it.
            continue;
        };
        if end_us <= now_us {
            due.missed.push(it.id.clone());
        } else if let Some(span) = it.open.iter().find(|span| span.holds(now_us)) {
            if due.open.is_none() {
                due.open = Some(Opening {
                    id: it.id.clone(),
                    within: it.clone(),
                    late_us: now_us - span.start_us,
                });
            }
        }
    }
    let later = watch.starts.iter().filter(ours).flat_map(|it| &it.open);
    due.next_us = later.map(|it| it.start_us).filter(|it| *it > now_us).min();
    if watch.rule == MissedRule::CatchUp
        && due.open.is_none()
        && let Some(id) = due.missed.last().cloned()
    {
        let open_now = |it: &&Occurrence| it.open.iter().any(|span| span.holds(now_us));
        let next = watch.any.iter().flat_map(|it| &it.open);
        let next = next.map(|it| it.start_us).filter(|it| *it > now_us).min();
        due.next_us = [due.next_us, next].into_iter().flatten().min();
        due.open = watch.any.iter().find(open_now).map(|within| Opening {
            id,
            within: within.clone(),
            late_us: 0,
        });
    }
    due
}
