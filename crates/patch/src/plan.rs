//! The plan: exact versions per host, waves, budgets, times. Its id is the hash of its content.

use std::collections::BTreeMap;

use hostler_schedule::Occurrence;
use hostler_updates::{
    Action, BootClass, Conffile, Conffiles, Manager, Os, PackageName, PreflightLimits, WayBack,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Number of the form of plans; another one cannot be read.
pub const FORM: u32 = 1;

/// A plan. Times are microseconds since the epoch, UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`FORM`].
    pub form: u32,
    /// Name of the policy.
    pub policy: String,
    /// Its file, an absolute path.
    pub policy_path: String,
    /// SHA-256 of the file, hex digits.
    pub policy_sha256: String,
    /// When it was made.
    pub made_us: i64,
    /// By whom: `user@controller`.
    pub made_by: String,
    /// It is not carried out any more from then on.
    pub valid_until_us: i64,
    /// The time zone (IANA name) in which times are shown: the one of the windows.
    pub zone: String,
    /// Windows by name, each with the occurrences until [`Plan::valid_until_us`], freezes cut out. A wave without a window may
    /// run at any time.
    pub windows: BTreeMap<String, Vec<Occurrence>>,
    /// In order. Every host of [`Plan::hosts`] is in exactly one.
    pub waves: Vec<Wave>,
    /// Availability constraints, whatever the wave.
    pub groups: Vec<Group>,
    /// Gates by name.
    pub gates: BTreeMap<String, Gate>,
    /// What is done on each host, in which way.
    pub procedure: Procedure,
    /// How many failures the whole run takes: it halts when there are more.
    pub max_failures: u32,
    /// Does a host that cannot be reached count as a failure?
    pub unreachable: UnreachableRule,
    /// Which versions later waves may install.
    pub pin: Pin,
    /// What to do on a host for which a version of the plan cannot be had any more.
    pub if_gone: IfGone,
    /// Packages (patterns) that decide whether a host boots: with [`Pin::Proven`], later waves install them only if a host of
    /// the same boot class was rebooted with them (or they are in [`Plan::proven`]).
    pub boot_critical: Vec<String>,
    /// What earlier runs have proven, as far as hosts of this plan get it: later waves may install it without a canary.
    pub proven: Vec<Proven>,
    /// What is done on hosts that failed, without asking.
    pub rollback: Rollback,
    /// Hosts that will be patched.
    pub hosts: BTreeMap<String, HostPlan>,
    /// Hosts of the policy that will not, each with the one reason.
    pub left_out: BTreeMap<String, LeftOut>,
    /// What an engineer should know before approving, a line each.
    pub risks: Vec<String>,
}

/// A host's part of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostPlan {
    /// Distribution.
    pub os: Os,
    /// Architecture, as `uname -m` says it.
    pub arch: String,
    /// How it boots.
    pub boot_class: BootClass,
    /// Package manager.
    pub manager: Manager,
    /// [`hostler_updates::Scan::installed_sha256`] when it was planned.
    pub installed_sha256: String,
    /// Index in [`Plan::waves`].
    pub wave: u32,
    /// Place in its wave: lower ones start first.
    pub order: u32,
    /// Indexes in [`Plan::groups`].
    pub groups: Vec<u32>,
    /// The whole transaction, sorted. Empty: only the procedure is rehearsed, or only a reboot is due.
    pub actions: Vec<Action>,
    /// Updates that wait, each with the reason.
    pub waiting: Vec<Waiting>,
    /// Will it be rebooted? The reasons; empty if not.
    pub reboot_reasons: Vec<String>,
    /// Units that will be restarted.
    pub restarts: Vec<String>,
    /// Configuration files that were changed by hand and of which another version comes.
    pub conffiles: Vec<Conffile>,
    /// Bytes to download.
    pub download_bytes: u64,
    /// How long it takes, seconds, most likely and in 19 of 20 cases: all steps, reboot and checks included.
    pub expected_s: u32,
    /// See [`HostPlan::expected_s`].
    pub expected_p95_s: u32,
    /// What can be undone.
    pub way_back: WayBack,
    /// Intervals that the host's own windows leave; `None` if it has none.
    pub own_windows: Option<Vec<hostler_schedule::Interval>>,
}

/// An update that is not installed now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// The package.
    pub package: String,
    /// The version.
    pub version: String,
    /// Why: `delay: first seen 2 days ago, 7 wanted`, `excluded by docker-ce*`, `held by apt-mark`, ...
    pub reason: String,
}

/// Why a host of the policy is not in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// A word for the kind.
    pub code: LeftOutCode,
    /// A sentence with the figures.
    pub reason: String,
    /// The place in the policy that decides it (`monthly.yml:14:5`), if one does.
    pub rule: Option<String>,
}

/// See [`LeftOut`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutCode {
    /// Nothing is to be done.
    UpToDate,
    /// It could not be scanned: unreachable.
    Unreachable,
    /// It could not be scanned: the scan failed there.
    ScanFailed,
    /// Everything that could be done waits (delay, hold, exclusion).
    AllWaiting,
    /// The transaction cannot be made: conflicts, removals that are not allowed.
    Impossible,
    /// A file on the host forbids it.
    Forbidden,
    /// An exception of the policy covers it.
    Excepted,
    /// It does not fit into any occurrence of its windows.
    DoesNotFit,
    /// It has no way back, and the policy demands one.
    NoWayBack,
    /// Its clock is wrong.
    Clock,
    /// Its package database or its space is not fit for it.
    Unfit,
    /// Updates are not classified and the policy wants only security updates.
    Unclassified,
    /// A freeze covers all of its time.
    Frozen,
    /// No canary has what it would get, and the policy wants proof.
    NoCanary,
    /// No wave of the policy takes it.
    NoWave,
}

impl LeftOutCode {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            LeftOutCode::UpToDate => "up to date",
            LeftOutCode::Unreachable => "unreachable",
            LeftOutCode::ScanFailed => "scan failed",
            LeftOutCode::AllWaiting => "waiting",
            LeftOutCode::Impossible => "impossible",
            LeftOutCode::Forbidden => "forbidden",
            LeftOutCode::Excepted => "excepted",
            LeftOutCode::DoesNotFit => "does not fit",
            LeftOutCode::NoWayBack => "no way back",
            LeftOutCode::Clock => "clock",
            LeftOutCode::Unfit => "unfit",
            LeftOutCode::Unclassified => "unclassified",
            LeftOutCode::Frozen => "frozen",
            LeftOutCode::NoCanary => "no canary",
            LeftOutCode::NoWave => "no wave",
        }
    }
}

/// A wave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wave {
    /// Its name.
    pub name: String,
    /// Name of its window; `None`: at any time.
    pub window: Option<String>,
    /// No host is started if it is not expected to be done so many seconds before the window ends.
    pub reserve_s: u32,
    /// Most hosts at the same time.
    pub parallel: u32,
    /// Begin with one host, then two, four, ... up to `parallel`?
    pub ramp: bool,
    /// How many failures the wave takes: the run halts when there are more.
    pub max_failures: u32,
    /// Seconds between its last host and the gates' verdict, in which they must stay green.
    pub soak_s: u64,
    /// Names of gates that must be green after it.
    pub gates: Vec<String>,
    /// Must somebody approve it before it starts?
    pub approve: bool,
    /// Does it prove versions for later waves? Then it may install what no earlier wave has proven.
    pub proves: bool,
    /// Classes of hosts (distribution, architecture, boot class, role) that no host of the canary stands for, a line each.
    pub uncovered: Vec<String>,
}

/// An availability constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// All its hosts, also those that the plan does not touch.
    pub hosts: Vec<String>,
    /// How many of them may be unavailable at the same time: in progress, failed, unreachable, drained.
    pub max_unavailable: u32,
    /// Name of a gate that is asked on another member before each host is taken and after it is back.
    pub gate: Option<String>,
    /// Hosts that are not there already when the plan is made (unreachable at the scan).
    pub unavailable: Vec<String>,
}

/// A question with the answer yes or no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// What is asked.
    pub check: GateCheck,
    /// Seconds until no answer is a "no".
    pub timeout_s: u32,
    /// How often it is asked again before "no" is believed.
    pub retries: u32,
    /// Seconds between two of these.
    pub every_s: u32,
}

/// See [`Gate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum GateCheck {
    /// A command line on the host that was patched (gates of waves: on each of its hosts) or on another member (groups).
    Command {
        /// For the shell of the host.
        command: String,
        /// Exit statuses that mean yes.
        ok_rc: Vec<i32>,
        /// Run it on the controller instead.
        on_controller: bool,
    },
    /// An HTTP request from the controller.
    Http {
        /// Where.
        url: String,
        /// Statuses that mean yes; empty: 200 to 299.
        status: Vec<u16>,
        /// Text that the body must have.
        contains: Option<String>,
    },
    /// A query to Prometheus, from the controller: yes if its result is empty, or if no value is above the limit.
    Prometheus {
        /// The server (`http://prometheus:9090`).
        url: String,
        /// The query, in the language of Prometheus.
        query: String,
        /// The highest value that means yes; `None`: the result must be empty.
        at_most: Option<f64>,
    },
}

/// What an unreachable host counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnreachableRule {
    /// A failure.
    #[default]
    CountAsFailure,
    /// It is put off to the next window; budgets of its groups count it all the same.
    Defer,
}

/// Which versions later waves may install.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pin {
    /// Those that an earlier wave of the run has proven, for the same distribution and architecture. Others are held.
    #[default]
    Proven,
    /// Those of the plan, whatever earlier waves did.
    Plan,
}

/// What to do if a version cannot be had any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfGone {
    /// Nothing is installed on the host, and that is reported; it is no failure.
    #[default]
    Hold,
    /// The host has failed.
    Fail,
}

/// A version that passed all its waves.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Proven {
    /// [`Os::id`] of the hosts that have it.
    pub os: String,
    /// [`Os::version`] of them.
    pub os_version: String,
    /// Architecture of them, as `uname -m` says it.
    pub arch: String,
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: String,
    /// Boot classes that were rebooted with it, sorted.
    pub rebooted: Vec<BootClass>,
}

/// What is done on each host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Procedure {
    /// What it must have before.
    pub preflight: PreflightLimits,
    /// Seconds that a host's clock may be off.
    pub clock_skew_max_s: u32,
    /// Stop others that update packages while the host is worked on?
    pub mask_competitors: bool,
    /// Reboot first if a reboot is pending already?
    pub reboot_first: bool,
    /// Before anything is changed, in order. The ones with `undo` are drains: undone for certain.
    pub pre: Vec<Hook>,
    /// After everything, before it counts as done.
    pub post: Vec<Hook>,
    /// Configuration files that were changed by hand.
    pub conffiles: Conffiles,
    /// Which units are restarted, patterns; others need a reboot or are reported.
    pub restart_allow: Vec<String>,
    /// Which units never are; wins.
    pub restart_deny: Vec<String>,
    /// When it is rebooted.
    pub reboot: RebootRule,
    /// Seconds that a reboot may take.
    pub reboot_timeout_s: u32,
    /// Good logins, one after the other, that make a host one that is back.
    pub logins: u32,
    /// Make a snapshot before?
    pub snapshot: SnapshotRule,
}

/// When a host is rebooted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebootRule {
    /// Never; the host is then reported as waiting for one.
    Never,
    /// If it is needed.
    #[default]
    IfRequired,
    /// Always.
    Always,
}

/// Snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[expect(clippy::large_enum_variant, reason = "a plan has one")]
pub enum SnapshotRule {
    /// None.
    #[default]
    None,
    /// Where the host can make one.
    IfPossible,
    /// A host that cannot make one is not patched.
    Required,
    /// A tasks file makes one (of the virtual machine, say), another one goes back to it.
    Hook {
        /// Makes it.
        make: Hook,
        /// Goes back.
        restore: Hook,
    },
}

/// Something of the user's that is run for a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// For people: the file's name, or the command.
    pub name: String,
    /// What is run.
    pub work: HookWork,
    /// What undoes it. Once the hook has begun it is owed, until it has run with success.
    pub undo: Option<HookWork>,
    /// How often it is tried again.
    pub retries: u32,
    /// Seconds between two of these.
    pub every_s: u32,
}

/// See [`Hook`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum HookWork {
    /// A tasks file.
    Tasks {
        /// Absolute path.
        path: String,
        /// SHA-256 of the file when the plan was made, hex digits: another one is refused.
        sha256: String,
    },
    /// A command line for the host's shell, as root.
    Command {
        /// The line.
        command: String,
    },
}

/// The way back without asking.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// On a host that failed.
    pub on_host_failure: HostRollback,
    /// When a wave fails.
    pub on_wave_failure: WaveRollback,
    /// Packages that are never put back to a lower version, patterns.
    pub never_downgrade: Vec<String>,
    /// Keep the old package files, so that there is a way back?
    pub keep_old_packages: bool,
}

/// See [`Rollback`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostRollback {
    /// Nothing.
    #[default]
    None,
    /// Packages go back to the versions from before.
    Packages,
    /// The snapshot is restored.
    Snapshot,
}

/// See [`Rollback`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaveRollback {
    /// Nothing more.
    #[default]
    None,
    /// Hosts that failed, as [`Rollback::on_host_failure`] says (at least their packages).
    FailedHosts,
    /// All hosts of the wave that were patched.
    WholeWave,
}

/// Names a plan: SHA-256 of its canonical JSON, the first 16 hex digits of which people use.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct PlanId(pub String);

impl Plan {
    /// Its id. Equal plans have equal ids: fields are written in one order, maps are sorted.
    ///
    /// # Errors
    /// If a figure in it has no form in JSON (an infinite limit of a gate).
    pub fn id(&self) -> Result<PlanId, serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        let digest = Sha256::digest(&json);
        Ok(PlanId(digest.iter().fold(
            String::new(),
            |mut out, byte| {
                use std::fmt::Write as _;
                // Writing to a String cannot fail.
                let _ = write!(out, "{byte:02x}");
                out
            },
        )))
    }

    /// Hosts of a wave, in the order in which they start.
    pub fn hosts_of(&self, wave: u32) -> Vec<&str> {
        let mut hosts: Vec<(u32, &str)> = self
            .hosts
            .iter()
            .filter(|(_, it)| it.wave == wave)
            .map(|(name, it)| (it.order, name.as_str()))
            .collect();
        hosts.sort_unstable();
        hosts.into_iter().map(|(_, name)| name).collect()
    }
}

impl PlanId {
    /// The short form that people use.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}
