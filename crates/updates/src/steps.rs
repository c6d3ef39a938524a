//! What the steps on a host give: return values of the modules `patch_*`. Each module's file says what it takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Action, Conffile, Finding, PackageName};

/// What the package manager would do for an exact set of versions. Of `patch_resolve`, which simulates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// The whole transaction, sorted: wanted packages and what comes with them.
    pub actions: Vec<Action>,
    /// Wanted packages that cannot be had, each with the reason: the version is gone from every source, it is held, it
    /// conflicts.
    pub impossible: Vec<(PackageName, String)>,
    /// Configuration files that were changed by hand and of which the transaction brings another version.
    pub conffiles: Vec<Conffile>,
    /// Units that would run replaced files afterwards.
    pub restarts: Vec<String>,
    /// Why a reboot will be needed afterwards, a line each; empty if it will not.
    pub reboot_reasons: Vec<String>,
    /// Bytes that are not downloaded yet.
    pub download_bytes: u64,
    /// Bytes that the packages will take in addition.
    pub disk_bytes: u64,
    /// What can be undone.
    pub way_back: WayBack,
}

/// How a host could be put back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WayBack {
    /// Packages of the transaction whose installed version can be had again (from a cache or a source).
    pub packages: u32,
    /// Packages of the transaction that replace an installed version.
    pub of: u32,
    /// Those whose installed version cannot be had again.
    pub missing: Vec<PackageName>,
    /// What can make a snapshot of the root file system, if anything can.
    pub snapshot: Option<SnapshotProvider>,
    /// Is another kernel installed that could be booted?
    pub older_kernel: bool,
}

/// What makes snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotProvider {
    /// A btrfs subvolume.
    Btrfs,
    /// A logical volume, in a thin pool or with free space in its group.
    Lvm,
}

/// What a host must have before anything is done to it. An argument of `patch_preflight`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreflightLimits {
    /// Bytes that must be free, by mount point.
    #[serde(default)]
    pub free_bytes: std::collections::BTreeMap<String, u64>,
    /// How long the locks of the package manager are waited for, seconds.
    #[serde(default)]
    pub locks_wait_s: u64,
    /// Repair an interrupted package database, instead of refusing?
    #[serde(default)]
    pub repair: bool,
}

/// What was found before anything is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preflight {
    /// Why the host must not be patched now, a line each; empty if it may.
    pub refused: Vec<String>,
    /// What was repaired.
    pub repaired: Vec<String>,
    /// What an engineer should know.
    pub findings: Vec<Finding>,
    /// What its clock said, microseconds since the epoch.
    pub clock_us: i64,
}

/// Who holds a lock of the package manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatchLock {
    /// The lock file.
    pub path: String,
    /// The process, as it shows itself (`unattended-upgr (pid 812)`).
    pub holder: String,
}

/// Return value of a failed `patch_download`: true if no source has a version any more.
pub const VERSION_GONE: &str = "version_gone";

/// What was downloaded. Of `patch_download`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Downloaded {
    /// Package files that are there now, verified by their hashes.
    pub files: Vec<Located>,
    /// Files of the versions that are installed now, kept for the way back.
    pub kept_for_way_back: Vec<Located>,
    /// Installed versions that could not be had for the way back.
    pub without_way_back: Vec<PackageName>,
    /// Bytes that were downloaded.
    pub bytes: u64,
}

/// A package file on the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Located {
    /// The package.
    pub package: PackageName,
    /// Its version.
    pub version: String,
    /// Where the file is.
    pub path: String,
    /// SHA-256 of the file, lower-case hex digits.
    pub sha256: String,
}

/// What is done with configuration files that were changed by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conffiles {
    /// They stay; the package's new one is put beside it.
    #[default]
    KeepOld,
    /// The package's new one takes their place; the old one is kept beside it.
    KeepNew,
    /// The host is refused before anything is done.
    Fail,
}

/// What was installed. Of `patch_install`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Installed {
    /// What was done, as the package database tells it.
    pub actions: Vec<Action>,
    /// Configuration files that were left beside others (`*.dpkg-dist`, `*.rpmnew`, ...).
    pub conffiles_left: Vec<String>,
    /// Directory on the host with the log and the package lists from before and after.
    pub kept_in: String,
    /// Seconds that it took.
    pub seconds: u64,
}

/// Services that were restarted. Of `patch_restart`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restarted {
    /// Units that were.
    pub units: Vec<String>,
    /// Units and processes that still run replaced files, and why they were left: not allowed, denied, no unit.
    pub left: Vec<(String, String)>,
    /// Should the host be rebooted now?
    pub reboot: crate::Reboot,
}

/// A snapshot. Of `patch_snapshot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Who made it.
    pub provider: SnapshotProvider,
    /// How the provider names it.
    pub name: String,
    /// What must be done so that the host is as it was in the snapshot, for people.
    pub how_back: String,
}

/// What was put back. Of `patch_rollback`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolledBack {
    /// What was done.
    pub actions: Vec<Action>,
    /// What could not be put back, and why (its file is not there, it is never downgraded).
    pub left: Vec<(PackageName, String)>,
    /// Does it take a reboot (a snapshot, a kernel)?
    pub needs_reboot: bool,
}
