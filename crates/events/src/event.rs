//! What happens in a run.

use hostler_diag::{Diagnostic, Location};
use serde::{Deserialize, Serialize};

use crate::{ItemResult, Recap, TaskResult};

/// Names a run: sortable by time, unique enough for a history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub String);

/// Names one execution of a task (or handler) in a run: each start of a task has its own, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId(pub u32);

/// An event with its time and number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stamped {
    /// Microseconds since the epoch, by the controller's clock.
    pub at_us: i64,
    /// Number in the run, from 1, without gaps.
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// What kind of task it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// A task that the playbook lists.
    Task,
    /// A handler that was notified.
    Handler,
    /// The facts at the start of a play.
    GatherFacts,
}

/// What is known about a task when it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskInfo {
    /// This execution.
    pub id: TaskId,
    /// Its name, templated where that is possible without a host; the module's name if it has none.
    pub name: String,
    /// The module's short name.
    pub module: String,
    /// Task, handler or fact gathering.
    pub kind: TaskKind,
    /// Where it stands.
    pub location: Option<Location>,
    /// On how many hosts it starts.
    pub hosts: u32,
    /// Total number of tasks in the play and the place of this one, where that is known.
    pub position: Option<(u32, u32)>,
}

/// What a host is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Waiting for its turn to connect, or connecting.
    Connecting,
    /// Connected; nothing runs.
    Idle,
    /// A task runs.
    Running,
    /// The connection was lost while a task ran; it is made anew, to learn what came of it.
    Reconnecting,
    /// Given up as unreachable.
    Lost,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// A run began.
    RunStarted {
        /// Which.
        run: RunId,
        /// Version of hostler.
        version: String,
        /// Playbooks, as given.
        playbooks: Vec<String>,
        /// Check mode?
        check: bool,
        /// Diff mode?
        diff: bool,
        /// Hosts that its plays will visit, as far as known.
        hosts: u32,
        /// `user@controller` that started it.
        #[serde(default)]
        by: String,
        /// It goes on with what was interrupted: tasks that ended before are not told again.
        #[serde(default)]
        resumed: bool,
    },
    /// A problem in a file that does not stop the run, or is found while it runs. `rendered` is for people.
    Warned {
        /// The problem.
        diagnostic: Diagnostic,
        /// Where, already looked up.
        location: Option<Location>,
        /// The host it concerns, if one.
        host: Option<String>,
    },
    /// A play (or its next batch) began.
    PlayStarted {
        /// Its name.
        name: String,
        /// Number of the play in the run, from 1.
        number: u32,
        /// Hosts of this batch, in order.
        hosts: Vec<String>,
        /// Batch number from 1 and number of batches, for `serial`.
        batch: Option<(u32, u32)>,
    },
    /// A play's pattern matched no host.
    PlaySkipped {
        /// Its name.
        name: String,
        /// Why, for people.
        reason: String,
    },
    /// A host's connection changed.
    HostChanged {
        /// Host.
        host: String,
        /// What it does now.
        state: HostState,
    },
    /// A task began.
    TaskStarted(TaskInfo),
    /// A task was sent to a host (the host is being waited for).
    HostStarted {
        /// Task.
        task: TaskId,
        /// Host.
        host: String,
    },
    /// One item of a loop ended on a host.
    ItemFinished {
        /// Task.
        task: TaskId,
        /// Host.
        host: String,
        /// What came of it.
        item: ItemResult,
    },
    /// An attempt of an `until` loop did not satisfy its condition.
    TaskRetried {
        /// Task.
        task: TaskId,
        /// Host.
        host: String,
        /// Attempts so far.
        attempt: u32,
        /// Attempts in all.
        attempts: u32,
    },
    /// A task ended on a host.
    TaskFinished {
        /// Task.
        task: TaskId,
        /// Host.
        host: String,
        /// What came of it.
        result: Box<TaskResult>,
    },
    /// A task ended on all its hosts.
    TaskEnded {
        /// Task.
        task: TaskId,
    },
    /// A changed task notified a handler.
    HandlerNotified {
        /// Host.
        host: String,
        /// Handler's name.
        handler: String,
        /// False in a preview if only tasks of unknown outcome notify it: it may run.
        certain: bool,
    },
    /// A handler was notified and has not run: since its host failed, or the run ended before.
    HandlerOwed {
        /// Host.
        host: String,
        /// Handler's name.
        handler: String,
        /// Run in which it was notified.
        run: RunId,
        /// It was notified by an earlier run, and this one runs it now. Else it is owed from now on.
        runs_now: bool,
    },
    /// What a task that takes long is doing on a host.
    TaskProgress {
        /// Task.
        task: TaskId,
        /// Host.
        host: String,
        /// Such as `apt-get: waits for the lock held by unattended-upgr (pid 812)`.
        doing: String,
    },
    /// What a program of a running task wrote, if that was asked for.
    TaskOutput {
        /// Task.
        task: TaskId,
        /// Host.
        host: String,
        /// Standard error?
        is_stderr: bool,
        /// The text, as far as it is text.
        text: String,
    },
    /// The user gave a host up: its task is cancelled, and no more start there.
    HostDropped {
        /// Host.
        host: String,
        /// Why, for people.
        reason: String,
    },
    /// No more tasks start: too many hosts failed, or the user asked.
    Stopping {
        /// Why, for people.
        reason: String,
    },
    /// The run is over.
    RunFinished {
        /// Counts of each host.
        recap: Recap,
        /// Exit status of the program.
        exit_code: u8,
        /// Wall time in microseconds.
        elapsed_us: u64,
        /// Bytes sent to and received from all hosts.
        bytes: (u64, u64),
        /// Messages sent to agents that waited for an answer.
        round_trips: u64,
        /// `hostler resume` has something to go on with: hosts that did not get to the end.
        #[serde(default)]
        resumable: bool,
    },
}
