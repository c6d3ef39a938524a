//! What came of a task on a host.

use hostler_change::{Delta, Forecast};
use hostler_diag::Location;
use hostler_value::{Cause, Value};
use serde::{Deserialize, Serialize};

/// How a task ended on a host. Observed, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Done, nothing changed.
    Ok,
    /// Done, something changed (in check mode: would change).
    Changed,
    /// Not done: its condition was false, or it cannot be previewed.
    Skipped,
    /// It failed.
    Failed,
    /// The host could not be reached.
    Unreachable,
    /// In a preview: whether it would be done, change anything or fail is decided by tasks that were not run. In a run: it
    /// was sent, and what came of it cannot be learned.
    Unknown,
}

/// Why a host could not be reached; short stable words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreachable {
    /// Such as `refused`, `timeout`, `auth`, `host-key-changed`.
    pub reason: String,
    /// For people.
    pub detail: String,
}

/// What came of a task on one host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskResult {
    /// How it ended.
    pub status: Status,
    /// It failed (or the host was unreachable), and the playbook says to go on as if it had not.
    pub ignored: bool,
    /// It failed, and a `rescue` takes over.
    pub rescued: bool,
    /// What a `register` holds; censored for `no_log`.
    pub value: Value,
    /// Failure, skip reason or other message, one or more lines.
    pub message: Option<String>,
    /// What to do about a failure.
    pub hint: Option<String>,
    /// Where in the user's files the failure comes from, if that is another place than the task.
    pub location: Option<Location>,
    /// What changed, or would.
    pub deltas: Vec<Delta>,
    /// Warnings from the module.
    pub warnings: Vec<String>,
    /// Host that did the work, if another one.
    pub delegated_to: Option<String>,
    /// Why it was unreachable.
    pub unreachable: Option<Unreachable>,
    /// `no_log` hides its contents.
    pub censored: bool,
    /// Attempts, for `until`.
    pub attempts: u32,
    /// Items of its loop; `None` without a loop.
    pub items: Option<u32>,
    /// Check mode: more may follow that cannot be foreseen.
    pub incomplete: bool,
    /// The tasks that decide what of this one is not known; in a preview with [`Status::Unknown`] never empty. A task whose status is
    /// known may have some too: it would change a file, and part of the text is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Cause>,
    /// What a preview would carry out, for plan files; not for people and not for programs that read events.
    #[serde(skip)]
    pub forecast: Option<Box<Forecast>>,
    /// Wall time in microseconds.
    pub duration_us: u64,
}

/// What came of one item of a loop on one host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemResult {
    /// Place in the loop, from 0.
    pub index: u32,
    /// The item (`loop_control.label` if given), as text.
    pub label: String,
    /// How it ended.
    pub status: Status,
    /// It failed and is ignored.
    pub ignored: bool,
    /// What it returned; censored for `no_log`.
    pub value: Value,
    /// Failure, skip reason or other message.
    pub message: Option<String>,
    /// What changed, or would.
    pub deltas: Vec<Delta>,
    /// As [`TaskResult::unknown`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Cause>,
    /// As [`TaskResult::forecast`].
    #[serde(skip)]
    pub forecast: Option<Box<Forecast>>,
}
