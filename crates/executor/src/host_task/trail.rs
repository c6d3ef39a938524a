//! The messages of one task on one host, counted; and those that an interrupted run sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use hostler_events::TaskId;
use hostler_journal::{Attempt, RememberedHost};
use hostler_value::Value;

/// See the module.
#[derive(Debug)]
pub(crate) struct Trail {
    /// The task's number in the journal.
    pub(crate) task: TaskId,
    steps: BTreeMap<u32, Vec<Attempt>>,
    next: AtomicU32,
    /// Messages of the attempt before without an answer: they must have come to an end before it is tried again.
    open: Vec<Attempt>,
    /// What the items of its loop brought when it was tried before, some of them failed.
    results: Option<Value>,
}

impl Trail {
    /// Of a task that begins, or goes on.
    pub(crate) fn new(task: TaskId, remembered: RememberedHost) -> Self {
        let RememberedHost {
            finished, steps, ..
        } = remembered;
        // It ended, and is tried again: its answers are those of the failure. Without an answer the host did not even
        // come to fail.
        let failed = finished.filter(|it| it.result.status == hostler_events::Status::Failed);
        let Some(failed) = failed else {
            return Trail {
                task,
                steps,
                next: AtomicU32::new(0),
                open: Vec::new(),
                results: None,
            };
        };
        let next = steps.last_key_value().map_or(0, |(step, _)| step + 1);
        let sent = steps.into_values().flatten();
        Trail {
            task,
            open: sent.filter(|it| it.answer.is_none()).collect(),
            steps: BTreeMap::new(),
            next: AtomicU32::new(next),
            results: failed.registered.get("results").cloned(),
        }
    }

    /// The number of the next message, and what is known of it.
    pub(super) fn next(&self) -> (u32, Vec<Attempt>) {
        let step = self.next.fetch_add(1, Ordering::Relaxed);
        (step, self.steps.get(&step).cloned().unwrap_or_default())
    }

    /// Messages that have to come to an end before anything else is sent.
    pub(super) fn open(&self) -> &[Attempt] {
        &self.open
    }

    /// What an item brought before, if it need not be done again.
    pub(super) fn result_of(&self, index: usize, item: &Value, variable: &str) -> Option<&Value> {
        let result = self.results.as_ref()?.as_list()?.get(index)?;
        let flag = |name| result.get(name).and_then(Value::as_bool).unwrap_or(false);
        let done = !flag("failed") && !flag("unreachable") && result.get(variable) == Some(item);
        done.then_some(result)
    }
}
