//! What a report is made of.

use std::collections::BTreeSet;

use hostler_updates::{Scan, Severity};

use crate::ledger::{Drift, Figures, Fixed, HostExposure, RunOutcome};
use crate::plan::Waiting;

/// Everything that a report on one policy is made of. Times are microseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Name of the policy.
    pub policy: String,
    /// The time now.
    pub now_us: i64,
    /// Beginning of the period.
    pub since_us: i64,
    /// How long updates may be open.
    pub sla: Sla,
    /// Every host of the policy; of two with one name the first counts.
    pub hosts: Vec<HostMaterial>,
    /// Exceptions of the policy.
    pub exceptions: Vec<Exception>,
    /// What hosts do not lack any more: host and update. Those before the period are left out.
    pub fixed: Vec<(String, Fixed)>,
    /// Hosts that drifted: host, when it was found, what. Those before the period are left out.
    pub drift: Vec<(String, i64, Drift)>,
    /// Figures of earlier days, with their times.
    pub figures: Vec<(i64, Figures)>,
    /// Runs of the policy, in any order. Those that ended before the period are left out, but for the newest.
    pub runs: Vec<RunOutcome>,
}

/// A host of the policy.
#[derive(Clone, Debug, Default)]
pub struct HostMaterial {
    /// Inventory name.
    pub host: String,
    /// Its newest scan, and when that was taken by the controller's clock.
    pub scan: Option<(i64, Scan)>,
    /// What it lacks, since when.
    pub exposure: HostExposure,
    /// Packages (with architecture) of the scan's updates that the policy would install now if it had no exceptions.
    pub approved: BTreeSet<String>,
    /// Updates that wait for something.
    pub waiting: Vec<Waiting>,
    /// Owner of the exceptions that cover everything that is not as it should be on it.
    pub excepted: Option<String>,
    /// Why the policy can say nothing of it: its updates are not classified, ...
    pub unknown: Option<String>,
}

/// How many days a security update may be open, by severity. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sla {
    /// Critical.
    pub critical: Option<u32>,
    /// Important or high.
    pub important: Option<u32>,
    /// Moderate or medium.
    pub moderate: Option<u32>,
    /// Low or negligible.
    pub low: Option<u32>,
    /// Without severity; if there is no such limit, the one for important ones counts.
    pub unrated: Option<u32>,
}

impl Sla {
    /// Days for a security update.
    pub fn days(&self, severity: Option<Severity>) -> Option<u32> {
        match severity {
            Some(Severity::Critical) => self.critical,
            Some(Severity::Important) => self.important,
            Some(Severity::Moderate) => self.moderate,
            Some(Severity::Low) => self.low,
            None => self.unrated.or(self.important),
        }
    }
}

/// An exception of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Who answers for it.
    pub owner: String,
    /// Why there is one.
    pub reason: String,
    /// Where that is followed.
    pub ticket: Option<String>,
    /// Hosts that it covers.
    pub hosts: Vec<String>,
    /// Patterns of packages, and CVE ids; empty: all updates.
    pub packages: Vec<String>,
    /// When it expires; `None`: never.
    pub expires_us: Option<i64>,
}
