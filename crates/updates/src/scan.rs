//! What a host says of itself and of the updates that wait for it. Only looked at, nothing is changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BootClass, Class, PackageName, Reboot, Severity};

/// All that is to be known of a host before it is patched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scan {
    /// When, by the host's clock: microseconds since the epoch.
    pub taken_us: i64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Seconds since it was booted.
    pub uptime_s: u64,
    /// Distribution.
    pub os: Os,
    /// Architecture, as `uname -m` says it.
    pub arch: String,
    /// Kernels.
    pub kernel: Kernel,
    /// How it boots.
    pub boot_class: BootClass,
    /// What manages its packages.
    pub manager: Manager,
    /// SHA-256 over the sorted list of installed packages with versions: hosts with equal ones are equal, and one that
    /// has changed since it was scanned is not what was scanned.
    pub installed_sha256: String,
    /// How many packages are installed.
    pub installed: u32,
    /// Where updates come from, and in which state those sources were.
    pub repositories: Vec<Repository>,
    /// Updates that the package manager would make today (all of them: the policy chooses later).
    pub updates: Vec<Update>,
    /// Packages that are kept at their version.
    pub holds: Vec<Hold>,
    /// Should it be rebooted, before anything is done?
    pub reboot: Reboot,
    /// Processes that still run files which have been replaced.
    pub stale: Vec<StaleProcess>,
    /// Is the package database whole?
    pub database: DatabaseState,
    /// Space on `/`, `/var` and `/boot`, where those are file systems of their own; `/` always.
    pub space: Vec<Space>,
    /// Others that update packages by themselves.
    pub competitors: Vec<Competitor>,
    /// Configuration files of installed packages that were changed by hand and belong to a package with an update.
    pub conffiles: Vec<Conffile>,
    /// First line of the file that forbids patching this host, if it is there (`/etc/hostler/no-patch`).
    pub forbidden: Option<String>,
    /// Is somebody logged in (besides this connection)? User names.
    pub users: Vec<String>,
    /// What an engineer should know besides: repositories without classification, sources that could not be
    /// refreshed, `fstab` entries by device name, ...
    pub findings: Vec<Finding>,
}

/// Distribution, from `os-release(5)`.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Os {
    /// `ID` (`debian`).
    pub id: String,
    /// `VERSION_ID` (`13`); empty on rolling distributions.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
    /// `VERSION_CODENAME` (`trixie`), by which advisories name a release; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub codename: String,
}

/// Kernels of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Kernel {
    /// `uname -r`.
    pub running: String,
    /// The newest installed one, which the next boot brings; `None` if none is installed (containers) or it cannot be
    /// told.
    pub newest: Option<String>,
    /// Is a live patch service active? What it covers, in words.
    pub livepatch: Option<String>,
}

/// Package managers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    /// apt and dpkg.
    Apt,
    /// dnf 4 or 5, with rpm.
    Dnf,
    /// zypper, with rpm.
    Zypper,
    /// apk of Alpine.
    Apk,
    /// pacman of Arch.
    Pacman,
}

/// A source of packages.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Repository {
    /// Where: URI and suite, without credentials.
    pub name: String,
    /// SHA-256 of its signed index (`InRelease`, `repomd.xml`): another one means that the archive has moved.
    pub sha256: String,
    /// When the index was made, seconds since the epoch, where it says so.
    pub date_s: Option<i64>,
    /// Does it say which updates are security updates?
    pub classifies: bool,
}

/// An update that waits.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Update {
    /// The package.
    pub package: PackageName,
    /// What is installed; `None` for a package that would come with another update.
    pub from: Option<String>,
    /// What would be.
    pub to: String,
    /// Where that comes from.
    pub suites: Vec<String>,
    /// The source package that both versions are built of, which is what advisories of Debian and Ubuntu name; `None`
    /// where the package manager does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// What it is for.
    pub class: Class,
    /// Where several versions are between the installed one and the newest: the newest of those that are security
    /// updates, if that is not `to`.
    pub security_version: Option<String>,
    /// Severity, where the distribution says it.
    pub severity: Option<Severity>,
    /// Advisories (`DSA-5678-1`, `RHSA-2026:1234`).
    pub advisories: Vec<String>,
    /// CVE ids.
    pub cves: Vec<String>,
    /// Bytes to download.
    pub download_bytes: u64,
    /// Why it is not installed by an ordinary upgrade: held, phased, kept back for a removal, in words.
    pub kept_back: Option<String>,
    /// Phased: the percentage of hosts that get it now.
    pub phased_percent: Option<u8>,
}

/// What a package is built of. Its versions are often those of the package, and not always.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct SourcePackage {
    /// Its name (`glibc` of `libc6`).
    pub name: String,
    /// The version that the installed package was built of; `None` if nothing is installed, or it was built of another
    /// source package.
    pub from: Option<String>,
    /// The version that the new one is built of.
    pub to: String,
}

/// A package that is kept at its version.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Hold {
    /// Its name, or a pattern (versionlock).
    pub package: String,
    /// By what: `apt-mark hold`, `pin in /etc/apt/preferences.d/x`, `versionlock`, ...
    pub by: String,
}

/// A process that runs files which are not there any more.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct StaleProcess {
    /// Process number.
    pub pid: u32,
    /// Its command's name.
    pub command: String,
    /// The systemd unit that it belongs to.
    pub unit: Option<String>,
    /// The files, at most ten.
    pub files: Vec<String>,
}

/// Is the package database whole?
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseState {
    /// It is.
    Whole,
    /// A transaction was interrupted, or packages are half installed: what the package manager says.
    Interrupted(String),
}

/// Space of a file system.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Space {
    /// Where it is mounted.
    pub path: String,
    /// Bytes free.
    pub free_bytes: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Free inodes; `None` where the file system does not count them.
    pub free_inodes: Option<u64>,
}

/// Something that updates packages by itself.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Competitor {
    /// Its unit or program (`apt-daily-upgrade.timer`).
    pub name: String,
    /// What it does now: `active`, `running (pid 812)`.
    pub state: String,
}

/// A configuration file that was changed by hand.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Conffile {
    /// The file.
    pub path: String,
    /// The package that brought it.
    pub package: String,
}

/// Something worth knowing.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Finding {
    /// A word for the kind (`no-classification`, `stale-index`, `fstab-device-name`, `conffile-left`).
    pub code: String,
    /// A sentence.
    pub text: String,
}

impl Finding {
    /// The package manager names no advisories and CVE ids: files on the controller may.
    pub const NO_ADVISORIES: &'static str = "no-advisories";
}
