//! apt, dnf, zypper, apk and pacman behind one trait, on the host.
//!
//! A package manager looks through [`Inspect`] and gives programs for what is to be done; the modules `patch_*` make
//! edits of those, and the agent's applier runs them.

mod apk;
mod apt;
mod ask;
mod conffiles;
mod dates;
mod detect;
mod dnf;
mod host;
mod locks;
mod pacman;
mod repomd;
mod rpm;
mod xml;
mod zypper;

use std::collections::BTreeMap;
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::{
    Action, Conffile, Conffiles, DatabaseState, Finding, Hold, Manager, PackageName, PatchLock,
    Repository, Resolution, Update,
};

pub use apk::Apk;
pub use apt::Apt;
pub use detect::{MANAGERS, manager, manager_of, metadata_name};
pub use dnf::{DNF4, DNF5, Dnf};
pub use host::{
    UPDATERS, boot_class, competitors, has_older, installed_kernels, is_container, kernel,
    kernel_package, mapping, reboot, snapshot_provider, stale, unit_of,
};

pub use pacman::Pacman;
pub use rpm::file_name as rpm_file_name;
pub use zypper::Zypper;

/// Where Hostler keeps what it needs on a host for patching. Passed through by the user that apt downloads as (mode
/// 0711), listed by root alone.
pub const PATCH: &str = "/var/lib/hostler/patch";
/// Indexes of repositories, a directory for each package manager.
pub const METADATA: &str = "/var/lib/hostler/patch/metadata";
/// Package files: downloads, and old versions for the way back.
pub const PACKAGES: &str = "/var/lib/hostler/patch/packages";
/// Forbids patching this host; its first line is the reason.
pub const FORBIDDEN: &str = "/etc/hostler/no-patch";

fn finding(code: &str, text: impl Into<String>) -> Finding {
    Finding {
        code: code.to_owned(),
        text: text.into(),
    }
}

/// What a package manager knows: its part of a [`hostler_updates::Scan`].
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Where updates come from.
    pub repositories: Vec<Repository>,
    /// What it would update today, holds and phasing told apart.
    pub updates: Vec<Update>,
    /// Packages that are kept.
    pub holds: Vec<Hold>,
    /// Changed configuration files of packages with updates.
    pub conffiles: Vec<Conffile>,
    /// What an engineer should know.
    pub findings: Vec<Finding>,
}

impl Survey {
    /// With a finding if updates could not be classified.
    fn completed(mut self) -> Self {
        let unclassified = rpm::unclassified(&self.repositories, &self.updates);
        self.findings.extend(unclassified);
        self
    }
}

/// An exact version that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The package.
    pub package: PackageName,
    /// The version; `None`: it is to be removed.
    pub version: Option<String>,
}

/// One package manager. Methods that take `metadata` keep the indexes of repositories in that directory, which is
/// Hostler's own: what the host's own tools see stays as it is.
pub trait PackageManager: Sync {
    /// Which.
    fn kind(&self) -> Manager;

    /// Does it manage this host?
    fn is_here(&self, host: &dyn Inspect) -> bool;

    /// Every installed package with its version.
    fn installed(&self, host: &dyn Inspect) -> Result<BTreeMap<PackageName, String>, ModuleError>;

    /// Refreshes the indexes in `metadata` (if wanted) and says what is there.
    fn survey(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        refresh: bool,
    ) -> Result<Survey, ModuleError>;

    /// Refreshes the indexes in `metadata`; what is wrong with single sources is given back.
    fn refresh(&self, host: &dyn Inspect, metadata: &Path) -> Result<Vec<Finding>, ModuleError> {
        Ok(self.survey(host, metadata, true)?.findings)
    }

    /// Simulates a transaction that brings exactly the wanted versions.
    fn resolve(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        wanted: &[Wanted],
    ) -> Result<Resolution, ModuleError>;

    /// Is the package database whole?
    fn database(&self, host: &dyn Inspect) -> Result<DatabaseState, ModuleError>;

    /// Who holds a lock that a transaction needs, if somebody does.
    fn lock_holder(&self, host: &dyn Inspect) -> Option<PatchLock>;

    /// Programs that bring an interrupted database in order.
    fn repair(&self) -> Vec<Program>;

    /// An exact version as a word for its own programs; `None`: no name or version that it could be asked for.
    fn exact(&self, package: &PackageName, version: &str) -> Option<String>;

    /// Programs that download versions, named as [`PackageManager::exact`] gives them, into a directory, verified by the
    /// package manager.
    fn fetch_new(&self, exact: &[String], metadata: &Path, to: &Path) -> Vec<Program>;

    /// A program that downloads a version that is installed now into a directory, and fails where it cannot be had.
    fn fetch_old(
        &self,
        package: &PackageName,
        version: &str,
        metadata: &Path,
        to: &Path,
    ) -> Option<Program>;

    /// Programs that download the new versions of a transaction into a directory, verified by the package manager.
    fn download(&self, actions: &[Action], metadata: &Path, to: &Path) -> Vec<Program> {
        let exact = |it: &Action| self.exact(&it.package, it.to.as_deref()?);
        let exact: Vec<String> = actions.iter().filter_map(exact).collect();
        if exact.is_empty() {
            return Vec::new();
        }
        self.fetch_new(&exact, metadata, to)
    }

    /// What its downloads print when no source has a version any more: its own words, each alone says so.
    fn gone(&self) -> &'static [&'static str];

    /// Programs that download the versions that are installed now into a directory, where they can be had.
    /// A program that fails says that its package cannot be had.
    fn download_old(
        &self,
        actions: &[Action],
        metadata: &Path,
        to: &Path,
    ) -> Vec<(PackageName, Program)> {
        let one = |it: &Action| {
            let program = self.fetch_old(&it.package, it.from.as_deref()?, metadata, to)?;
            Some((it.package.clone(), program))
        };
        actions.iter().filter_map(one).collect()
    }

    /// Programs that carry out a transaction from package files in a directory, without the network, asking nothing,
    /// waiting for locks so many seconds.
    fn install(
        &self,
        actions: &[Action],
        from: &Path,
        conffiles: Conffiles,
        locks_wait_s: u64,
    ) -> Vec<Program>;

    /// Configuration files that lie beside others (`*.dpkg-dist`, `*.rpmnew`).
    fn conffiles_left(&self, host: &dyn Inspect) -> Result<Vec<String>, ModuleError>;

    /// Can exact versions be asked for? Where mirrors keep only the newest (Alpine, Arch), a plan cannot be held
    /// against later waves.
    fn pins_versions(&self) -> bool;
}
