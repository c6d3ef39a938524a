//! The vocabulary of operating system updates, spoken on both sides of a connection.
//!
//! ```text
//! host:        package-managers, the modules `patch_*`
//!                 │  Scan, Resolution, Baseline, ... (as the modules' return values)
//! controller:  patch (policy → plan), rollout (plan → steps on hosts), reports
//! ```
//!
//! Everything here comes from a host or goes to one. What comes from a host is hostile: it is data that is counted,
//! compared and shown, never a path on the controller, a shell word or a template.

mod action;
mod baseline;
mod boot;
mod scan;
mod steps;
mod version;

pub use action::{Action, ActionKind, Class, PackageName, Severity, changes_arch, is_cve};
pub use baseline::{Baseline, Difference};
pub use boot::{BootClass, Firmware, Reboot, RebootNeed};
pub use scan::{
    Competitor, Conffile, DatabaseState, Finding, Hold, Kernel, Manager, Os, Repository, Scan,
    SourcePackage, Space, StaleProcess, Update,
};
pub use steps::{
    Conffiles, Downloaded, Installed, Located, PatchLock, Preflight, PreflightLimits, Resolution,
    Restarted, RolledBack, Snapshot, SnapshotProvider, VERSION_GONE, WayBack,
};
pub use version::{Scheme, compare};
