//! The messages of one task on one host, counted; and those that an interrupted run sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use hostler_events::{Status, TaskId};
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
    /// Of a task that begins, or goes on. `judges`: the task's own words decide about its failure, or repeat it.
    pub(crate) fn new(task: TaskId, remembered: RememberedHost, judges: bool) -> Self {
        let RememberedHost {
            finished,
            mut steps,
            ..
        } = remembered;
        let failed = finished.filter(|it| it.result.status == Status::Failed);
        let (mut open, mut next, mut results) = (Vec::new(), 0, None);
        match failed {
            // It ended well as far as the host knows, and is done again all the same, but for the items that are good.
            Some(failed) if judges => {
                next = steps.last_key_value().map_or(0, |(step, _)| step + 1);
                let sent = std::mem::take(&mut steps).into_values().flatten();
                open = sent.filter(|it| it.answer.is_none()).collect();
                results = failed.registered.get("results").cloned();
            }
            Some(_) => {
                let answers = steps.values_mut().flatten().flat_map(|it| &mut it.answer);
                for (outcomes, _) in answers {
                    outcomes.retain(|_, outcome| outcome.failed.is_none());
                }
            }
            // The host did not even come to fail.
            None => {}
        }
        Trail {
            task,
            steps,
            next: AtomicU32::new(next),
            open,
            results,
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
