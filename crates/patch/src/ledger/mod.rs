//! The ledger: what is known from earlier scans and runs. Bodies of its facts, and the keys under which they are kept.
//!
//! ```text
//! Scan of a host ── absorb ──> first seen, HostExposure, Fixed, Drift   (facts, appended)
//! notes of a run ─────────────> Outcome, Proven, Disproven, Duration     (facts, appended)
//! ```
//!
//! The store of the facts knows nothing of what they mean; here nothing is stored. What comes from hosts in them is
//! hostile: it is counted, compared and shown, nothing else.

mod absorb;
mod outcome;
#[cfg(test)]
pub(crate) mod samples;

use hostler_updates::{BootClass, Class, Os, PackageName, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use absorb::{Absorbed, Before, absorb, first_seen};
pub use outcome::{
    ApprovalOutcome, GateOutcome, HostEnd, HostOutcome, RunOutcome, RunState, WaveOutcome,
};

/// Longest part of a key (characters).
const PART_MAX: usize = 200;

/// Key of [`FirstSeen`]: `debian 13 openssl:amd64 3.5.1-1`.
pub fn version_key(os: &Os, package: &PackageName, version: &str) -> String {
    key(&[
        &os.id,
        &os.version,
        &format!("{}:{}", package.name, package.arch),
        version,
    ])
}

/// Key of [`Proven`] and [`Disproven`]: `debian 13 x86_64 openssl:amd64`.
pub fn package_key(os: &Os, arch: &str, package: &PackageName) -> String {
    key(&[
        &os.id,
        &os.version,
        arch,
        &format!("{}:{}", package.name, package.arch),
    ])
}

/// Key of [`Took`]: step and what hosts have in common that decides how long it takes.
pub fn duration_key(step: &str, os: &Os, boot_class: &BootClass) -> String {
    key(&[
        step,
        &os.id,
        &os.version,
        &boot_class.virtualisation,
        &boot_class.model,
    ])
}

/// Parts with a space between them. No host can put a space into a part and so speak for others.
fn key(parts: &[&str]) -> String {
    let mut key = String::new();
    for part in parts {
        if !key.is_empty() {
            key.push(' ');
        }
        let harmless = part.chars().take(PART_MAX).map(|it| {
            if it.is_whitespace() || it.is_control() {
                '_'
            } else {
                it
            }
        });
        let before = key.len();
        key.extend(harmless);
        if key.len() == before {
            key.push('-');
        }
    }
    key
}

/// A version was seen for the first time: it is available since then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstSeen {
    /// On which host.
    pub host: String,
    /// Where it came from there.
    pub suites: Vec<String>,
    /// What it was for, as its source said.
    pub class: Class,
}

/// A version passed its wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proven {
    /// The version; `None`: its removal.
    pub version: Option<String>,
    /// Hosts that had it.
    pub hosts: Vec<String>,
    /// Those of them that were rebooted on it.
    #[serde(default)]
    pub rebooted_hosts: Vec<String>,
}

/// A version went wrong; or somebody says that it may be installed all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disproven {
    /// The version; `None`: its removal.
    pub version: Option<String>,
    /// Hosts on which it went wrong.
    pub hosts: Vec<String>,
    /// What went wrong, or why it is cleared.
    pub why: String,
    /// Who cleared it; `None`: it is disproven.
    pub cleared_by: Option<String>,
}

/// How long a step took on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Took {
    /// Seconds.
    pub seconds: u32,
    /// Packages of the transaction.
    pub packages: u32,
    /// Bytes that were downloaded.
    pub bytes: u64,
}

/// An occurrence of a window was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Opened {
    /// Id of the plan that is carried out in it.
    pub plan: String,
    /// By whom: `user@controller`.
    pub by: String,
}

/// Somebody approved a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// Its name; `None`: every wave.
    pub wave: Option<String>,
    /// Who: `user@controller`.
    pub by: String,
    /// It counts until then, microseconds since the epoch.
    pub expires_us: Option<i64>,
}

/// A host did not get its updates in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missed {
    /// Id of the occurrence.
    pub occurrence: String,
    /// Why.
    pub reason: String,
}

/// What a host lacks, as its newest scan says, each update since it was seen first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostExposure {
    /// Sorted by package and version. At most [`HostExposure::OPEN_MAX`], security updates first if there are more.
    pub open: Vec<Open>,
    /// Since when it says that a reboot is pending: the first scan that said so.
    pub reboot_since_us: Option<i64>,
    /// Since when processes run replaced files, likewise.
    pub stale_since_us: Option<i64>,
}

impl HostExposure {
    /// Most updates of one host that are followed.
    pub const OPEN_MAX: usize = 5000;
}

/// An update that a host lacks, or has and does not run yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Open {
    /// The package, with architecture.
    pub package: String,
    /// The version that it lacks.
    pub version: String,
    /// What was installed when that was seen.
    pub from: String,
    /// What it is for.
    pub class: Class,
    /// Severity, where the distribution says it.
    pub severity: Option<Severity>,
    /// CVE ids, at most 20.
    pub cves: Vec<String>,
    /// Since when the version is available, microseconds since the epoch.
    pub since_us: i64,
    /// Since when it is installed, where a reboot or a restart is still pending.
    pub installed_us: Option<i64>,
}

/// An update that a host lacked and now has, and runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fixed {
    /// What it was.
    #[serde(flatten)]
    pub was: Open,
    /// Since when it runs: the first scan that said so, microseconds since the epoch.
    pub fixed_us: i64,
}

/// The packages of a host changed, and no run did that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// Scan before it, microseconds since the epoch.
    pub after_us: i64,
    /// How many packages were installed before.
    pub installed_before: u32,
    /// How many are now.
    pub installed_now: u32,
    /// Packages of which an update had waited and whose version is another one now, at most 100.
    pub packages: Vec<DriftedPackage>,
}

/// See [`Drift`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct DriftedPackage {
    /// With architecture.
    pub package: String,
    /// What was installed.
    pub from: String,
    /// What is installed; `None`: the newest of that time, or nothing.
    pub to: Option<String>,
}

/// The figures of a policy at a time: a point of the trend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Hosts of the policy.
    pub hosts: u32,
    /// Those that are compliant.
    pub compliant: u32,
    /// Hosts that wait for a reboot.
    pub reboots: u32,
    /// Security updates that hosts lack.
    pub open_security: u32,
    /// Those of them that are older than the policy allows.
    pub breaches: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_key_can_speak_for_another() {
        let package = |name: &str| PackageName {
            name: name.into(),
            arch: "amd64".into(),
        };
        let os = |id: &str, version: &str| Os {
            id: id.into(),
            version: version.into(),
            name: String::new(),
            codename: String::new(),
        };
        let plain = version_key(&os("debian", "13"), &package("openssl"), "3.5");
        assert_eq!(plain, "debian 13 openssl:amd64 3.5");
        let forged = version_key(&os("debian 13 openssl:amd64", "3.5"), &package("x"), "1");
        assert_eq!(forged, "debian_13_openssl:amd64 3.5 x:amd64 1");
        assert_eq!(
            version_key(&os("arch", ""), &package("a\nb"), &"9".repeat(5000)).len(),
            "arch - a_b:amd64 ".len() + PART_MAX
        );
    }
}
