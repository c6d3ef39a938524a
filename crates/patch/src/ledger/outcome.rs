//! What came of a run, in short: what reports need of it when its notes are gone.

use hostler_updates::{Action, Difference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Waiting;

/// What came of a run. Times are microseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunOutcome {
    /// Its id.
    pub run: String,
    /// Id of its plan.
    pub plan: String,
    /// Name of the policy.
    pub policy: String,
    /// Who began it: `user@controller`.
    pub by: String,
    /// When.
    pub started_us: i64,
    /// When it ended; `None`: it goes on.
    pub ended_us: Option<i64>,
    /// How it stands.
    pub state: RunState,
    /// Why it was halted or aborted.
    pub reason: Option<String>,
    /// In the order of the plan.
    pub waves: Vec<WaveOutcome>,
    /// Gates that were asked, in order: of each wave, and the red ones of hosts.
    pub gates: Vec<GateOutcome>,
    /// Who approved what.
    pub approvals: Vec<ApprovalOutcome>,
    /// Every host of the plan, sorted by name.
    pub hosts: Vec<HostOutcome>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It goes on, or was interrupted.
    Open,
    /// It was halted, and can go on.
    Halted,
    /// All waves were gone through.
    Complete,
    /// It was aborted.
    Aborted,
}

/// What came of a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaveOutcome {
    /// Its name.
    pub name: String,
    /// When it was opened; `None`: not yet.
    pub opened_us: Option<i64>,
    /// When its last host had its outcome.
    pub hosts_done_us: Option<i64>,
    /// When it passed.
    pub passed_us: Option<i64>,
    /// End of the time that its window gave, where it had one.
    pub window_end_us: Option<i64>,
    /// Packages that it has proven.
    pub proven: u32,
}

/// What a gate said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateOutcome {
    /// Name of the wave.
    pub wave: Option<String>,
    /// The host whose group's gate it was.
    pub host: Option<String>,
    /// When.
    pub at_us: i64,
    /// Yes?
    pub green: bool,
    /// What it said, a line.
    pub evidence: String,
}

/// Who approved what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalOutcome {
    /// Name of the wave.
    pub wave: String,
    /// Who.
    pub by: String,
    /// When.
    pub at_us: i64,
}

/// What came of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostOutcome {
    /// Inventory name.
    pub host: String,
    /// Index in [`RunOutcome::waves`].
    pub wave: u32,
    /// How it ended.
    pub end: HostEnd,
    /// A word for the kind of failure (`install`, `reboot_timeout`), for grouping.
    pub cause: Option<String>,
    /// The step that failed.
    pub step: Option<String>,
    /// Why it failed, was held or put off: the first lines.
    pub message: String,
    /// When it was taken; `None`: never.
    pub started_us: Option<i64>,
    /// When it had its outcome.
    pub ended_us: Option<i64>,
    /// How long the plan expected it to take, seconds.
    pub expected_s: u32,
    /// What was installed.
    pub actions: Vec<Action>,
    /// Updates of the plan that it did not get, each with the reason.
    pub held: Vec<Waiting>,
    /// Was it rebooted?
    pub rebooted: bool,
    /// Units that were restarted.
    pub restarted: Vec<String>,
    /// Configuration files that were left beside others.
    pub conffiles_left: Vec<String>,
    /// What was not as before.
    pub differences: Vec<Difference>,
    /// What was put back, in words; `None`: nothing.
    pub rolled_back: Option<String>,
    /// Directory on the host with the log and the package lists.
    pub kept_in: Option<String>,
}

/// How a host ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HostEnd {
    /// Its turn has not come, or it is being worked on.
    Open,
    /// Everything was done, and it is well.
    Done,
    /// Updates are installed, and the reboot that they need was not made.
    PendingReboot,
    /// Nothing was done: none of its versions may be installed.
    Held,
    /// Nothing was done in this run.
    Deferred,
    /// Nothing was done: it was not as the plan took it to be.
    PlanMismatch,
    /// It failed, and is as the failure has left it.
    Failed,
    /// It could not be reached.
    Unreachable,
    /// It was put back.
    RolledBack,
}

impl HostEnd {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            HostEnd::Open => "not finished",
            HostEnd::Done => "patched",
            HostEnd::PendingReboot => "patched, reboot pending",
            HostEnd::Held => "held",
            HostEnd::Deferred => "deferred",
            HostEnd::PlanMismatch => "not as planned",
            HostEnd::Failed => "failed",
            HostEnd::Unreachable => "unreachable",
            HostEnd::RolledBack => "rolled back",
        }
    }
}
