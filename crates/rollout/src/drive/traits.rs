//! What the driver needs of the world. The app implements these.

use std::future::Future;
use std::pin::Pin;

use hostler_patch::plan::Gate;

use crate::{CommandOutcome, Entry, Order, StepCall, StepOutcome};

/// Something that will be there.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Hosts that do steps.
pub trait Hosts: Send + Sync {
    /// Has a step done. Under the name that host, step and attempt make it is done at most once, whatever happens to the
    /// connection and to the controller ([`StepCall::again`]). Dropping the future gives up waiting, nothing else.
    fn step(&self, call: StepCall) -> Later<'_, StepOutcome>;

    /// Runs a command line of a gate, which only looks; may be run any number of times.
    fn command(&self, host: String, line: String) -> Later<'_, CommandOutcome>;
}

/// Where notes are kept.
pub trait Notes: Send {
    /// Writes one. It is durable when this is done.
    fn write(&mut self, entry: Entry) -> Later<'_, Result<(), NotWritten>>;
}

/// A note could not be written. The run goes no further; jobs under way end on their hosts and are found again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a note of the run could not be written: {message}")]
pub struct NotWritten {
    /// Why.
    pub message: String,
}

/// Asks a gate once.
pub trait Gates: Send + Sync {
    /// `on` is the host for a command. The driver stops waiting after the gate's time and takes that for a no; it also
    /// asks again as often as the gate says.
    fn ask(&self, gate: Gate, on: Option<String>) -> Later<'_, GateAnswer>;
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateAnswer {
    /// Yes?
    pub green: bool,
    /// What it says, a line.
    pub evidence: String,
}

/// Orders of people, from the store.
pub trait Orders: Send {
    /// Orders that are there now. The same ones may come again: they are told apart by their ids.
    fn poll(&mut self) -> Later<'_, Vec<NewOrder>>;
}

/// See [`Orders`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Names it for ever.
    pub id: String,
    /// Who ordered.
    pub by: String,
    /// What.
    pub order: Order,
}

/// Time.
pub trait Clock: Send + Sync {
    /// Microseconds since the epoch.
    fn now_us(&self) -> i64;

    /// Is done at that time, or soon after.
    fn sleep_until(&self, us: i64) -> Later<'_, ()>;
}
