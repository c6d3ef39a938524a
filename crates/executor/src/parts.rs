//! Plays as parts of something larger that decides what runs when: a patch run, whose hosts each go their own way.
//!
//! Parts run side by side over one [`crate::RunContext`]: with connections, a journal and numbers of tasks in common.
//! Each part has a number of its own that is the same when the run is resumed, so that it finds what it did before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hostler_events::{TaskId, TaskResult};
use hostler_value::Value;

/// Numbers of the tasks of a run; clones count together.
#[derive(Clone, Debug, Default)]
pub struct TaskNumbers(Arc<AtomicU32>);

impl TaskNumbers {
    /// Goes on after a number that was given before.
    pub(crate) fn after(&self, last: u32) {
        self.0.fetch_max(last, Ordering::Relaxed);
    }

    /// The highest number so far.
    pub(crate) fn last(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// The next one.
    pub(crate) fn next(&self) -> TaskId {
        TaskId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What came of a task on a host.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The host.
    pub host: String,
    /// How it ended, as reporters are told.
    pub result: TaskResult,
    /// What `register` holds: the module's return values.
    pub registered: Value,
}
