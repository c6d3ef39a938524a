//! What a run writes down. Each line is durable before what it announces is done.

use hostler_updates::PackageName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Step, StepOutcome};

/// Version of the form of notes.
pub const FORM: u32 = 1;

/// A line of the notes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`FORM`].
    pub v: u32,
    /// When, by the controller's clock: microseconds since the epoch.
    pub at_us: i64,
    /// What.
    #[serde(flatten)]
    pub note: Note,
}

/// Something that was decided, or that came of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// The run begins.
    Opened {
        /// Id of the plan; other notes belong to no other plan.
        plan: String,
        /// Id of the run, for paths on hosts.
        run: String,
        /// By whom.
        by: String,
    },
    /// Another process goes on with it.
    Resumed {
        /// By whom.
        by: String,
    },
    /// Somebody ordered something.
    Ordered {
        /// Names the order: it is taken once.
        id: String,
        /// By whom.
        by: String,
        /// What.
        order: Order,
    },
    /// A wave may start hosts.
    WaveOpened {
        /// Index in the plan.
        wave: u32,
    },
    /// A host has its slot and its share of the budgets.
    Admitted {
        /// The host.
        host: String,
        /// End of the stretch of time that it has; `None`: no end.
        until_us: Option<i64>,
    },
    /// The gates of a host's groups are asked.
    Asked {
        /// The host.
        host: String,
        /// When.
        moment: Moment,
    },
    /// They answered.
    Answered {
        /// The host.
        host: String,
        /// When.
        moment: Moment,
        /// All of them said yes.
        green: bool,
        /// What they said, a line.
        evidence: String,
    },
    /// A step is begun.
    Begun {
        /// The host.
        host: String,
        /// The step.
        step: Step,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A step has ended.
    Ended {
        /// The host.
        host: String,
        /// The step.
        step: Step,
        /// Which attempt.
        attempt: u32,
        /// What came of it.
        outcome: StepOutcome,
    },
    /// A host on which nothing was changed yet goes no further: what was begun is undone, and it waits again.
    Left {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// The reboot that is due is not made in this run.
    RebootPutOff {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// A host is given up: it is out of reach for too long.
    GivenUp {
        /// The host.
        host: String,
        /// Why it could not be reached.
        reason: String,
    },
    /// A host has its outcome.
    Came {
        /// The host.
        host: String,
        /// What came of it.
        outcome: Outcome,
    },
    /// All hosts of a wave have their outcome: its gates are watched.
    Soaking {
        /// The wave.
        wave: u32,
        /// Until when.
        until_us: i64,
    },
    /// The gates of a wave have answered for the last time.
    Watched {
        /// The wave.
        wave: u32,
        /// All were green all the time.
        green: bool,
        /// What they said, a line.
        evidence: String,
    },
    /// A wave is over, and well.
    WavePassed {
        /// The wave.
        wave: u32,
        /// What it has proven; empty unless it is one that proves.
        proven: Vec<Proof>,
    },
    /// No new host is started from here on.
    Halted {
        /// Why.
        cause: HaltCause,
    },
    /// Versions that no host of this run may install any more.
    Disproven {
        /// The versions; their hosts are those on which they went wrong.
        versions: Vec<Proof>,
    },
    /// A host that was changed is put back.
    RollingBack {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// The run is over.
    Closed {
        /// How.
        end: RunEnd,
    },
}

/// When the gates of a host's groups are asked.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before it is taken.
    Take,
    /// Before the first step that cannot be undone.
    Change,
    /// Before a reboot.
    Reboot,
    /// After it is back.
    Back,
}

/// What a person orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "order")]
pub enum Order {
    /// A wave may start, when its turn comes.
    Approve {
        /// Its name.
        wave: String,
    },
    /// No new hosts.
    Halt {
        /// Why, for the notes.
        reason: String,
    },
    /// Go on after a halt.
    Resume {
        /// Hosts that have failed so far count no more. Without it, a run that was halted by failures or gates stays so.
        accept_failures: bool,
    },
    /// No new hosts, then undo what is owed, then close.
    Abort {
        /// Why.
        reason: String,
    },
    /// Put hosts back that the run has changed.
    Rollback {
        /// Which; empty: all that were changed.
        hosts: Vec<String>,
    },
}

/// Why a run was halted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum HaltCause {
    /// More failures than the wave takes.
    WaveFailures {
        /// The wave.
        wave: u32,
        /// How many.
        failed: u32,
        /// How many it takes.
        allowed: u32,
    },
    /// More failures than the run takes.
    RunFailures {
        /// In which wave.
        wave: u32,
        /// How many.
        failed: u32,
        /// How many it takes.
        allowed: u32,
    },
    /// A gate of a wave is red.
    Gate {
        /// The wave.
        wave: u32,
        /// What the gate said.
        evidence: String,
    },
    /// A wave that should prove versions patched no host, no earlier one did, and others are to come.
    NothingProven {
        /// The wave.
        wave: u32,
    },
    /// Somebody ordered it.
    Ordered {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// What came of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Everything was done, and it is well.
    Done,
    /// Updates are installed and it is well, but the reboot that they need was not made.
    InstalledPendingReboot {
        /// Why not.
        reason: String,
    },
    /// Nothing was done: none of its versions may be installed.
    Held {
        /// Why.
        reason: String,
    },
    /// Nothing was done in this run.
    Deferred {
        /// Why.
        reason: String,
    },
    /// Nothing was done: the host is not any more as the plan takes it to be.
    PlanMismatch {
        /// What the package manager would do instead.
        reason: String,
    },
    /// It failed, and is as the failure has left it.
    Failed {
        /// What failed.
        failure: Failure,
        /// Was something changed on it?
        changed: bool,
    },
    /// It could not be reached.
    Unreachable {
        /// Why.
        reason: String,
        /// Was something changed on it, or may have been?
        changed: bool,
        /// Does it count as a failure, by the plan's rule?
        counts: bool,
    },
    /// It was put back, and is well.
    RolledBack {
        /// What had failed, if it had.
        failure: Option<Failure>,
        /// What could not be put back, a line each.
        left: Vec<String>,
    },
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The kind, for grouping.
    pub kind: FailureKind,
    /// At which step; `None`: at a gate.
    pub step: Option<Step>,
    /// In words, as the host or the gate says it.
    pub message: String,
}

/// Kinds of failures.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A step before anything is changed.
    Preparation,
    /// A hook before or after.
    Hook,
    /// The undo of a hook.
    Undo,
    /// The package manager.
    Install,
    /// It did not come back in time.
    RebootTimeout,
    /// It answers, but has not been rebooted, twice.
    NotRebooted,
    /// Another one answers at its address.
    HostKey,
    /// It is not as it was before.
    Verify,
    /// A gate of one of its groups is red after it is back.
    Gate,
    /// What came of a step cannot be found out.
    Unknown,
    /// Putting it back failed.
    Rollback,
}

/// A version on a distribution, proven or disproven.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Proof {
    /// Distribution and version (`debian 13`).
    pub os: String,
    /// Architecture, as `uname -m` says it.
    pub arch: String,
    /// The package.
    pub package: PackageName,
    /// The version; `None`: its removal.
    pub version: Option<String>,
    /// Hosts that have it.
    pub hosts: Vec<String>,
    /// Those of them that were rebooted on it.
    #[serde(default)]
    pub rebooted_hosts: Vec<String>,
}

/// An update of the plan that a host did not get.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Held {
    /// The package.
    pub package: PackageName,
    /// The version that the plan has.
    pub version: Option<String>,
    /// Why not.
    pub reason: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// All waves were gone through.
    Complete,
    /// It was aborted.
    Aborted,
}

impl Entry {
    /// A line of now.
    pub fn new(at_us: i64, note: Note) -> Self {
        Self {
            v: FORM,
            at_us,
            note,
        }
    }
}
