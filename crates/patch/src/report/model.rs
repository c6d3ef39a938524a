//! What a report holds. The same for every form that it is written in.

use hostler_updates::{Class, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{DriftedPackage, Figures, HostEnd, RunOutcome};

/// Number of the form of reports in JSON.
pub const FORM: u32 = 1;

/// A report on one policy. Times are microseconds since the epoch, UTC; days are 86,400 seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`FORM`].
    pub form: u32,
    /// Name of the policy.
    pub policy: String,
    /// When the report was made.
    pub made_us: i64,
    /// Beginning of its period: of what was fixed, failed and drifted. How hosts stand is said of now.
    pub since_us: i64,
    /// What the words in it mean, a sentence each.
    pub definitions: Vec<String>,
    /// Hosts by state.
    pub totals: Totals,
    /// How much is known.
    pub coverage: Coverage,
    /// Approved updates that hosts lack, by class and severity, the gravest first.
    pub missing: Vec<MissingRow>,
    /// Updates that hosts lack and the policy does not approve (yet): they wait for a delay, a hold, an exclusion.
    pub waiting: u64,
    /// How long hosts were exposed to holes that could have been closed.
    pub exposure: Exposure,
    /// Security updates that were open for longer than the policy allows, oldest first.
    pub breaches: Bounded<Breach>,
    /// Hosts that wait for a reboot.
    pub reboots: Reboots,
    /// Failures of the period, the most frequent cause first.
    pub failures: Vec<FailureRow>,
    /// Exceptions, expired ones first, then those that expire next.
    pub exceptions: Vec<ExceptionRow>,
    /// Packages of which hosts of one distribution have different versions, the widest first.
    pub skew: Bounded<SkewRow>,
    /// Hosts whose packages changed outside of any run, newest first.
    pub drift: Bounded<DriftRow>,
    /// A point for each day of the last 90 that has one, oldest first; the last one is now.
    pub trend: Vec<TrendPoint>,
    /// The newest run, in one sentence.
    pub last_run: Option<String>,
    /// Runs of the period, newest first.
    pub runs: Bounded<RunPage>,
    /// Every host of the policy once, sorted by name.
    pub hosts: Vec<HostRow>,
}

/// The first rows of a list, and how many it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bounded<T> {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<T>,
}

impl<T> Bounded<T> {
    /// The first `most` of a list.
    pub fn of(mut rows: Vec<T>, most: usize) -> Self {
        let count = rows.len() as u64;
        rows.truncate(most);
        Bounded { count, rows }
    }

    /// How many rows are not shown.
    pub fn more(&self) -> u64 {
        self.count.saturating_sub(self.rows.len() as u64)
    }
}

/// Hosts by state; each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Hosts of the policy.
    pub hosts: u32,
    /// See [`HostState::Compliant`].
    pub compliant: u32,
    /// See [`HostState::Missing`].
    pub missing: u32,
    /// See [`HostState::NotRunning`].
    pub not_running: u32,
    /// See [`HostState::Unknown`].
    pub unknown: u32,
    /// Hosts that are not compliant and have an exception that counts. They are in the other counts, too.
    pub excepted: u32,
}

impl Totals {
    /// Compliant hosts of a thousand, rounded down: 1000 means all of them. `None` without hosts.
    pub fn per_mille(&self) -> Option<u32> {
        let all = u64::from(self.hosts);
        (all > 0).then(|| u32::try_from(u64::from(self.compliant) * 1000 / all).unwrap_or(1000))
    }
}

/// How a host stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It lacks approved updates.
    Missing,
    /// It has them, and a reboot or a restart is pending: what was replaced may still run.
    NotRunning,
    /// It cannot be told: never or too long ago scanned, updates without classification, no signal for reboots.
    Unknown,
    /// It lacks no approved update, and nothing is pending.
    Compliant,
}

impl HostState {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            HostState::Missing => "updates missing",
            HostState::NotRunning => "installed, not running",
            HostState::Unknown => "unknown",
            HostState::Compliant => "compliant",
        }
    }
}

/// How much is known of the hosts of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Hosts that were scanned within the last seven days.
    pub scanned: u32,
    /// Hosts whose newest scan is older.
    pub stale: Vec<String>,
    /// Hosts that were never scanned.
    pub never: Vec<String>,
    /// Hosts with a source that does not say which updates are security updates.
    pub unclassified: Vec<String>,
}

/// Approved updates that hosts lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingRow {
    /// What they are for.
    pub class: Class,
    /// Severity, where the distribution says it.
    pub severity: Option<Severity>,
    /// How many: each update counts on each host.
    pub updates: u32,
    /// On how many hosts.
    pub hosts: u32,
    /// Days that the oldest is available.
    pub oldest_days: u32,
    /// Days that the policy allows.
    pub sla_days: Option<u32>,
    /// How many are open for longer.
    pub over_sla: u32,
}

/// Exposure to security updates, in days with one decimal place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exposure {
    /// Security updates that were fixed on hosts in the period.
    pub fixed: u64,
    /// Half of those took at most so long, from available to running.
    pub median_days: Option<f64>,
    /// 19 of 20 took at most so long.
    pub p95_days: Option<f64>,
    /// Security updates that hosts lack now, or have and do not run.
    pub open: u64,
    /// Half of those are open for at most so long.
    pub open_median_days: Option<f64>,
    /// The oldest of them.
    pub oldest_open_days: Option<f64>,
    /// Those of them that are installed and may not run.
    pub installed_not_running: u64,
    /// Updates without classification that hosts lack: nobody knows whether they are security updates.
    pub unclassified_open: u64,
}

/// A security update that was open for longer than the policy allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Breach {
    /// The host.
    pub host: String,
    /// The package, with architecture.
    pub package: String,
    /// The version that it lacks.
    pub version: String,
    /// Severity, where the distribution says it.
    pub severity: Option<Severity>,
    /// CVE ids.
    pub cves: Vec<String>,
    /// Days that it is open.
    pub days: u32,
    /// Days that the policy allows.
    pub sla_days: u32,
    /// It is installed, and does not run.
    pub installed: bool,
    /// Owner of the exception that covers the host, if one does.
    pub owner: Option<String>,
}

/// Hosts that wait for a reboot or for restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reboots {
    /// Hosts that wait for a reboot, the longest first.
    pub hosts: Vec<RebootRow>,
    /// Hosts that wait for no reboot, and on which processes run replaced files.
    pub restarts: u32,
    /// Hosts of which nobody can tell.
    pub unknown: u32,
}

/// A host that waits for a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebootRow {
    /// The host.
    pub host: String,
    /// Days since a scan said so first.
    pub days: u32,
    /// Why, a line each.
    pub reasons: Vec<String>,
}

/// Failures of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureRow {
    /// The cause.
    pub cause: String,
    /// How often, in all runs of the period.
    pub count: u32,
    /// Hosts, sorted.
    pub hosts: Vec<String>,
    /// What was said, the first lines of up to three different messages.
    pub messages: Vec<String>,
}

/// An exception of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExceptionRow {
    /// Who answers for it.
    pub owner: String,
    /// Why there is one.
    pub reason: String,
    /// Where that is followed.
    pub ticket: Option<String>,
    /// Hosts of the policy that it covers.
    pub hosts: Vec<String>,
    /// Patterns of packages, and CVE ids; empty: all updates.
    pub packages: Vec<String>,
    /// When it expires.
    pub expires_us: Option<i64>,
    /// It has expired: it covers nothing any more.
    pub expired: bool,
    /// Whole days until it expires; negative: since it has.
    pub days_left: Option<i64>,
}

/// A package of which hosts have different versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkewRow {
    /// The package, with architecture.
    pub package: String,
    /// Distribution (`debian 13`).
    pub os: String,
    /// Versions with the number of hosts that are known to have them, the most frequent first.
    pub versions: Vec<VersionCount>,
}

/// See [`SkewRow`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct VersionCount {
    /// The version.
    pub version: String,
    /// How many hosts.
    pub hosts: u32,
}

/// A host whose packages changed outside of any run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DriftRow {
    /// The host.
    pub host: String,
    /// The scan that found it.
    pub found_us: i64,
    /// The scan before.
    pub after_us: i64,
    /// Packages whose version changed, as far as that can be told.
    pub packages: Vec<DriftedPackage>,
    /// How many packages more (or, negative, less) are installed.
    pub installed_more: i64,
}

/// A point of the trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrendPoint {
    /// When.
    pub at_us: i64,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A host of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostRow {
    /// Inventory name.
    pub host: String,
    /// Distribution; empty if it was never scanned.
    pub os: String,
    /// How it stands.
    pub state: HostState,
    /// Why.
    pub reason: String,
    /// Approved updates that it lacks.
    pub missing: u32,
    /// Those of them that are security updates.
    pub missing_security: u32,
    /// Updates that wait for something: a delay, a hold, an exclusion.
    pub waiting: u32,
    /// Does it wait for a reboot? `None`: nobody can tell.
    pub reboot: Option<bool>,
    /// Processes that run replaced files.
    pub restarts: u32,
    /// When it was scanned last.
    pub scanned_us: Option<i64>,
    /// Days that the oldest security update is open.
    pub oldest_days: Option<u32>,
    /// Owner of the exception that covers it, if one does.
    pub excepted: Option<String>,
    /// The newest run that had it, and how that ended for it.
    pub last: Option<(String, HostEnd)>,
}

/// A run, for engineers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPage {
    /// In one sentence.
    pub sentence: String,
    /// Hosts by how they ended.
    pub ends: Vec<(HostEnd, u32)>,
    /// Its waves.
    pub waves: Vec<WavePage>,
    /// Failures by cause.
    pub failures: Vec<FailureRow>,
    /// What was not done, by reason.
    pub put_off: Vec<PutOff>,
    /// Configuration files that were left beside others: host, file.
    pub conffiles: Vec<(String, String)>,
    /// What is not as it was, or was restarted: host, what.
    pub services: Vec<(String, String)>,
    /// What was put back: host, what.
    pub rollbacks: Vec<(String, String)>,
    /// All of it.
    pub outcome: RunOutcome,
}

/// A wave of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WavePage {
    /// Its name.
    pub name: String,
    /// Hosts by how they ended.
    pub ends: Vec<(HostEnd, u32)>,
    /// When it was opened.
    pub opened_us: Option<i64>,
    /// Seconds until its last host had its outcome.
    pub worked_s: Option<u64>,
    /// Seconds from then until it passed: soak and gates.
    pub soaked_s: Option<u64>,
    /// Seconds that its window gave from when it was opened.
    pub window_s: Option<u64>,
    /// Did it pass?
    pub passed: bool,
    /// Packages that it has proven.
    pub proven: u32,
}

/// Hosts, or updates on hosts, that were left for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PutOff {
    /// What was left: `host`, or the package with its version.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Where, sorted.
    pub hosts: Vec<String>,
}
