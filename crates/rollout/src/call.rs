//! What is asked of a host, and what came of it.

use hostler_patch::plan::HookWork;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A step of the procedure on a host. The number of a hook is its index in [`hostler_patch::plan::Procedure::pre`] or
/// [`hostler_patch::plan::Procedure::post`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// `patch_resolve`: is the transaction still what the plan says, or what is left of it if only proven versions are
    /// installed?
    Resolve,
    /// `patch_preflight`.
    Preflight,
    /// `patch_competitors`, masked.
    Mask,
    /// `patch_download`.
    Download,
    /// A hook before.
    Pre(u32),
    /// `patch_baseline`.
    Baseline,
    /// `patch_snapshot`, present; or the hook that makes one.
    Snapshot,
    /// `patch_install`.
    Install,
    /// `patch_restart`.
    Restart,
    /// `patch_scan` without refresh: is a reboot due, and which kernel does it bring?
    Look,
    /// `patch_reboot`.
    Reboot,
    /// Fresh connections until the host is back with another boot id.
    Back,
    /// `patch_verify`, until nothing is starting any more.
    Verify,
    /// A hook after.
    Post(u32),
    /// What undoes a hook before.
    Undo(u32),
    /// `patch_competitors`, released.
    Release,
    /// `patch_rollback`; or the hook that goes back to the snapshot.
    Rollback,
    /// `patch_snapshot`, absent.
    RemoveSnapshot,
}

/// Something that a host is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCall {
    /// Inventory name.
    pub host: String,
    /// Which step.
    pub step: Step,
    /// Which attempt at this step of this host in this run, from 1. Host, step and attempt name the call for ever: under
    /// that name it is done at most once, unless it only looks ([`StepCall::only_looks`]).
    pub attempt: u32,
    /// What is done.
    pub work: StepWork,
    /// It was begun before, and what came of it is not known (the controller died, or the host was out of reach):
    /// what was done under the call's name is to be found out; only if nothing was, it is done now.
    pub again: bool,
}

/// See [`StepCall`].
#[derive(Clone, Debug, PartialEq)]
pub enum StepWork {
    /// A module, as root; its return values are the outcome.
    Module {
        /// Its name.
        name: &'static str,
        /// Its arguments.
        args: Value,
    },
    /// A hook of the user's; [`StepOutcome::Done`] with anything.
    Hook {
        /// For people.
        name: String,
        /// What is run.
        work: HookWork,
    },
    /// A login over a fresh connection that shares nothing with earlier ones. [`StepOutcome::Done`] with the text of
    /// `/proc/sys/kernel/random/boot_id` as a JSON string. Not noted, may be done any number of times.
    Probe,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "came")]
pub enum StepOutcome {
    /// It was done. The module's return values, an object (`{"installed": ..}`).
    Done {
        /// The values.
        values: Value,
    },
    /// It was done, and failed; the host answered.
    Failed {
        /// What the module or the hook says. What begins with `plan_mismatch:` is no failure of the host but of the plan.
        message: String,
    },
    /// A download that failed because no source has a version any more; the host answered.
    Gone {
        /// What the package manager says.
        message: String,
    },
    /// The host is out of reach. Whether the step was begun there is not known; it is asked for again.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// Whoever answers at the host's address is not the host that is known.
    HostKey {
        /// Both fingerprints.
        message: String,
    },
    /// The host answers, but nobody knows what came of the step: it was begun, and its result is lost.
    Unknown {
        /// What is known.
        message: String,
    },
}

/// What came of a command line of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It ended.
    Ended {
        /// Its exit status.
        rc: i32,
        /// The end of what it wrote.
        text: String,
    },
    /// It could not be run, or its end is not known.
    NotRun {
        /// Why.
        reason: String,
    },
}

/// Names a job. The same job is given out until its note is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobName {
    /// A step on a host.
    Step {
        /// The host.
        host: String,
        /// The step.
        step: Step,
        /// Which attempt.
        attempt: u32,
    },
    /// The gates of a host's groups.
    Groups {
        /// The host.
        host: String,
        /// When.
        moment: crate::Moment,
    },
    /// The gates of a wave.
    Watch {
        /// The wave.
        wave: u32,
        /// Until when.
        until_us: i64,
    },
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// A step on a host.
    Step(StepCall),
    /// Wait until a host is back after a reboot: probes until one of the deadlines.
    Back {
        /// The host.
        host: String,
        /// Which attempt.
        attempt: u32,
        /// Its boot id before the reboot.
        boot_id: String,
        /// Good logins in a row that are wanted.
        logins: u32,
        /// Until when.
        until_us: i64,
    },
    /// Verify until nothing is starting any more and all is well, or until the time is over.
    Verify {
        /// The call.
        call: StepCall,
        /// Until when what is still starting is waited for.
        until_us: i64,
    },
    /// Ask the gates of a host's groups, each on another member.
    Groups {
        /// The host that is taken or is back.
        host: String,
        /// When.
        moment: crate::Moment,
        /// Names of gates, and on which host each is asked, if it needs one.
        gates: Vec<(String, Option<String>)>,
    },
    /// Ask the gates of a wave again and again. Ends with the first red one, or at the end of the time.
    Watch {
        /// The wave.
        wave: u32,
        /// Names of gates, and on which host each is asked, if it needs one.
        gates: Vec<(String, Option<String>)>,
        /// Until when they must be green.
        until_us: i64,
    },
}

impl StepCall {
    /// Does it only look, so that it may be done any number of times under the same name, and needs nothing remembered?
    pub fn only_looks(&self) -> bool {
        matches!(
            self.step,
            Step::Resolve | Step::Baseline | Step::Look | Step::Back | Step::Verify
        )
    }

    /// Its name in the run: host, step and attempt.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.host, self.step.word(), self.attempt)
    }
}

impl StepOutcome {
    /// Done, without return values.
    pub fn done() -> Self {
        Self::Done {
            values: Value::Null,
        }
    }
}

impl Step {
    /// A word for it, for keys and file names.
    pub fn word(self) -> String {
        match self {
            Self::Pre(n) => format!("pre-{n}"),
            Self::Post(n) => format!("post-{n}"),
            Self::Undo(n) => format!("undo-{n}"),
            Self::Resolve => "resolve".to_owned(),
            Self::Preflight => "preflight".to_owned(),
            Self::Mask => "mask".to_owned(),
            Self::Download => "download".to_owned(),
            Self::Baseline => "baseline".to_owned(),
            Self::Snapshot => "snapshot".to_owned(),
            Self::Install => "install".to_owned(),
            Self::Restart => "restart".to_owned(),
            Self::Look => "look".to_owned(),
            Self::Reboot => "reboot".to_owned(),
            Self::Back => "back".to_owned(),
            Self::Verify => "verify".to_owned(),
            Self::Release => "release".to_owned(),
            Self::Rollback => "rollback".to_owned(),
            Self::RemoveSnapshot => "remove-snapshot".to_owned(),
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resolve => f.write_str("resolve"),
            Self::Preflight => f.write_str("preflight"),
            Self::Mask => f.write_str("stop competitors"),
            Self::Download => f.write_str("download"),
            Self::Pre(n) => write!(f, "pre hook {}", n + 1),
            Self::Baseline => f.write_str("baseline"),
            Self::Snapshot => f.write_str("snapshot"),
            Self::Install => f.write_str("install"),
            Self::Restart => f.write_str("restart services"),
            Self::Look => f.write_str("look for a pending reboot"),
            Self::Reboot => f.write_str("reboot"),
            Self::Back => f.write_str("wait for the reboot"),
            Self::Verify => f.write_str("verify"),
            Self::Post(n) => write!(f, "post hook {}", n + 1),
            Self::Undo(n) => write!(f, "undo of pre hook {}", n + 1),
            Self::Release => f.write_str("release competitors"),
            Self::Rollback => f.write_str("rollback"),
            Self::RemoveSnapshot => f.write_str("remove the snapshot"),
        }
    }
}
