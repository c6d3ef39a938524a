//! What a resumed run knows of its beginning.

use std::collections::{BTreeMap, HashMap};

use hostler_change::Outcome;
use hostler_events::{RunId, TaskId};
use serde::{Deserialize, Serialize};

use crate::{Execution, Finished, Intent};

/// All that a journal holds of a run. Empty for a run that begins.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Executions of tasks.
    pub tasks: HashMap<Execution, RememberedTask>,
    /// The highest number that a task got.
    pub last_task: u32,
    /// Handlers that earlier runs of the same playbooks notified and did not run, on hosts of this run.
    pub owed: Vec<OwedHandler>,
}

/// One execution of a task.
#[derive(Clone, Debug)]
pub struct RememberedTask {
    /// Its number.
    pub id: TaskId,
    /// What it did on hosts.
    pub hosts: HashMap<String, RememberedHost>,
}

/// A task on a host.
#[derive(Clone, Debug, Default)]
pub struct RememberedHost {
    /// How it ended, if it did.
    pub finished: Option<Finished>,
    /// Has its end been told to the reporters?
    pub told: bool,
    /// Messages by step, each with its attempts in order.
    pub steps: BTreeMap<u32, Vec<Attempt>>,
}

/// A message that was sent, or about to be.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The message.
    pub intent: Intent,
    /// Its answer, if there is one: outcomes by item, and whether that of the first item without one is unknown for
    /// good.
    pub answer: Option<(BTreeMap<u32, Outcome>, bool)>,
}

/// A handler that was notified on a host and has not run yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwedHandler {
    /// Inventory name of the host.
    pub host: String,
    /// The playbook, an absolute path.
    pub playbook: String,
    /// Name of the play.
    pub play: String,
    /// Name of the handler; of one without a name, its first topic.
    pub handler: String,
    /// The run that notified it.
    pub run: RunId,
}
