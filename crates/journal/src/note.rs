//! What is written down.

use std::collections::BTreeMap;

use hostler_change::Outcome;
use hostler_events::{TaskId, TaskKind, TaskResult};
use hostler_protocol::TaskKey;
use hostler_value::{Map, Value};
use serde::{Deserialize, Serialize};

use crate::OwedHandler;

/// A hash of what is written in a file, or of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Print(pub [u8; 16]);

/// Names one execution of a task in a run, whatever its number: a resumed run finds by it what it did before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Execution {
    /// Number of the play in the run, from 1.
    pub play: u32,
    /// Its batch, from 1.
    pub batch: u32,
    /// Task, handler or fact gathering.
    pub kind: TaskKind,
    /// Of the task as it is written.
    pub print: Print,
    /// Tells executions of equal tasks apart, in their order: the number of the task when it began.
    pub occurrence: u32,
}

/// A message that is about to be sent to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Task.
    pub task: TaskId,
    /// Host of the play; [`Intent::place`] does the work.
    pub host: String,
    /// Messages of this task for this host count from 0: pieces of a loop, attempts of `until`, directories first.
    pub step: u32,
    /// The same message counts from 0 each time it is sent (anew, since its outcome is not known, or for the items that
    /// did not begin).
    pub attempt: u32,
    /// Names it on the host.
    pub key: TaskKey,
    /// Inventory name of the host that does the work: of the delegate, if there is one.
    pub place: String,
    /// Boot id of that host when the message was sent; empty if unknown.
    pub boot_id: String,
    /// Module's short name.
    pub module: String,
    /// Of module, arguments and content.
    pub request: Print,
    /// Indexes of the items that it carries.
    pub items: Vec<u32>,
    /// Is the module one that looks before it acts, so that doing it again does no harm?
    pub repeatable: bool,
}

/// How a task ended on a host, with all that is to be remembered of it.
#[derive(Clone, Debug)]
pub struct Finished {
    /// For reporters.
    pub result: TaskResult,
    /// What `register` holds.
    pub registered: Value,
    /// Handlers that it notifies, by name or topic.
    pub notified: Vec<String>,
    /// Facts for `facts_host`, without prefix.
    pub facts: Option<Map>,
    /// The host that they are facts of.
    pub facts_host: String,
    /// Variables for the host.
    pub variables: Option<Map>,
}

/// One thing to write down.
#[derive(Clone, Debug)]
pub enum Note {
    /// A task execution began and got a number.
    Task {
        /// The number.
        id: TaskId,
        /// Which.
        execution: Execution,
        /// Its name, for people.
        name: String,
        /// Module's short name.
        module: String,
    },
    /// A message is about to be sent.
    Intent(Intent),
    /// A message was answered: by all items that will be.
    Answer {
        /// Names the message.
        key: TaskKey,
        /// Outcomes by the item's index; items in front of which the host stopped have none.
        outcomes: BTreeMap<u32, Outcome>,
        /// What came of an item is not known: the agent died in it, or the host rebooted. The first item of the intent
        /// without an outcome.
        unknown: bool,
    },
    /// A task ended on a host.
    Finished {
        /// Task.
        task: TaskId,
        /// Host.
        host: String,
        /// How.
        finished: Box<Finished>,
    },
    /// A handler was notified on a host.
    Owed(OwedHandler),
    /// It has run there, or will not any more since it is not wanted.
    Paid(OwedHandler),
}

/// [`Finished`] as it is stored: the result as JSON, since its form is the reporters'; values as values, exact.
#[derive(Serialize, Deserialize)]
struct Stored {
    result: String,
    shown: Option<Value>,
    registered: Value,
    notified: Vec<String>,
    facts: Option<Map>,
    facts_host: String,
    variables: Option<Map>,
}

impl Serialize for Finished {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut result = self.result.clone();
        let shown = std::mem::replace(&mut result.value, Value::Null);
        let stored = Stored {
            result: serde_json::to_string(&result).map_err(serde::ser::Error::custom)?,
            shown: (shown != self.registered).then_some(shown),
            registered: self.registered.clone(),
            notified: self.notified.clone(),
            facts: self.facts.clone(),
            facts_host: self.facts_host.clone(),
            variables: self.variables.clone(),
        };
        stored.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Finished {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(input)?;
        let mut result: TaskResult =
            serde_json::from_str(&stored.result).map_err(serde::de::Error::custom)?;
        result.value = stored.shown.unwrap_or_else(|| stored.registered.clone());
        Ok(Finished {
            result,
            registered: stored.registered,
            notified: stored.notified,
            facts: stored.facts,
            facts_host: stored.facts_host,
            variables: stored.variables,
        })
    }
}
