//! apt and dpkg: Debian, Ubuntu and their derivatives.
//!
//! Nothing is guessed that apt can be asked: which versions there are (`apt-cache policy`), what they are made of
//! (`apt-cache show`), what would be done (`apt-get --simulate`). All of it over lists in Hostler's own directory.

mod asked;
mod conffiles;
mod install;
mod names;
mod pins;
mod policy;
mod private;
mod records;
mod resolve;
mod sources;
mod status;
mod survey;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::Dpkg;
use hostler_updates::{
    Action, Conffiles, DatabaseState, Finding, Manager, PackageName, PatchLock, Resolution,
};

use crate::{PackageManager, Survey, Wanted};

/// apt and dpkg.
pub struct Apt;

/// Most characters of what `dpkg --audit` says.
const AUDIT_MAX: usize = 4000;
/// Most bytes of a package's list of files.
const LIST_MAX: u64 = 16 << 20;

impl PackageManager for Apt {
    fn kind(&self) -> Manager {
        Manager::Apt
    }

    fn is_here(&self, host: &dyn Inspect) -> bool {
        hostler_probes::program(host, "apt-get").is_some()
            && hostler_probes::exists(host, policy::STATUS)
    }

    fn installed(&self, host: &dyn Inspect) -> Result<BTreeMap<PackageName, String>, ModuleError> {
        let dpkg = hostler_probes::dpkg(host)?;
        let all = dpkg.all_installed().map(|(name, it)| {
            let name = PackageName {
                name: name.to_owned(),
                arch: it.architecture.clone(),
            };
            (name, it.version.clone())
        });
        Ok(all.collect())
    }

    fn survey(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        refresh: bool,
    ) -> Result<Survey, ModuleError> {
        survey::survey(host, metadata, refresh)
    }

    fn refresh(&self, host: &dyn Inspect, metadata: &Path) -> Result<Vec<Finding>, ModuleError> {
        private::prepare(host, metadata)?;
        private::refresh(host, metadata)
    }

    fn resolve(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        wanted: &[Wanted],
    ) -> Result<Resolution, ModuleError> {
        resolve::resolve(host, metadata, wanted)
    }

    fn database(&self, host: &dyn Inspect) -> Result<DatabaseState, ModuleError> {
        if hostler_probes::dpkg_interrupted(host) {
            let said = "dpkg was interrupted: its journal in /var/lib/dpkg/updates is not empty";
            return Ok(DatabaseState::Interrupted(said.to_owned()));
        }
        let output = host.look(&Program::new(["dpkg", "--audit"]).env("LC_ALL", "C"))?;
        let said = format!("{}{}", output.stdout_text(), output.stderr_text());
        let said = said.trim();
        if said.is_empty() && output.success() {
            return Ok(DatabaseState::Whole);
        }
        let said: String = said.chars().take(AUDIT_MAX).collect();
        Ok(DatabaseState::Interrupted(said))
    }

    fn lock_holder(&self, host: &dyn Inspect) -> Option<PatchLock> {
        let holder = hostler_probes::lock_holder(host)?;
        let name = match holder.name.as_str() {
            "" => "a process",
            name => name,
        };
        Some(PatchLock {
            path: holder.file.to_owned(),
            holder: format!("{name} (pid {})", holder.pid),
        })
    }

    fn repair(&self) -> Vec<Program> {
        install::repair()
    }

    fn exact(&self, package: &PackageName, version: &str) -> Option<String> {
        install::exact(package, version)
    }

    fn fetch_new(&self, exact: &[String], metadata: &Path, to: &Path) -> Vec<Program> {
        vec![install::fetch(metadata, to, exact)]
    }

    fn gone(&self) -> &'static [&'static str] {
        // By HTTP, from a directory (`copy:`, `file:`), and where its indexes do not list it either.
        &[
            "404  Not Found",
            "404 Not Found",
            "Failed to stat - stat (2: No such file",
            "File not found - ",
            "' was not found",
        ]
    }

    fn fetch_old(
        &self,
        package: &PackageName,
        version: &str,
        metadata: &Path,
        to: &Path,
    ) -> Option<Program> {
        let exact = install::exact(package, version)?;
        Some(install::fetch(metadata, to, &[exact]))
    }

    fn install(
        &self,
        actions: &[Action],
        from: &Path,
        conffiles: Conffiles,
        locks_wait_s: u64,
    ) -> Vec<Program> {
        install::install(actions, from, conffiles, locks_wait_s)
    }

    fn conffiles_left(&self, host: &dyn Inspect) -> Result<Vec<String>, ModuleError> {
        Ok(conffiles::left(host))
    }

    fn pins_versions(&self) -> bool {
        true
    }
}

/// Files of packages that are replaced or removed, as dpkg lists them.
#[derive(Default)]
struct Files {
    /// Those that may be mapped as code.
    code: BTreeSet<String>,
    /// Packages that have files in `/boot`.
    in_boot: BTreeSet<String>,
}

impl Files {
    fn of(host: &dyn Inspect, dpkg: &Dpkg, actions: &[Action]) -> Self {
        let mut files = Files::default();
        for action in actions.iter().filter(|it| it.from.is_some()) {
            let name = &action.package.name;
            let arch = match action.package.arch.as_str() {
                "all" | "" => dpkg.native(),
                arch => arch,
            };
            let paths = [format!("{name}.list"), format!("{name}:{arch}.list")];
            let list = paths.iter().find_map(|it| {
                let path = Path::new("/var/lib/dpkg/info").join(it);
                host.read(&path, LIST_MAX).ok().flatten()
            });
            let list = list.unwrap_or_default();
            let list = String::from_utf8_lossy(&list);
            if list.lines().any(|it| it.starts_with("/boot/")) {
                files.in_boot.insert(name.clone());
            }
            // Documentation and data would fill memory for nothing.
            let is_code = |it: &&str| !it.starts_with("/usr/share/") && !it.starts_with("/etc/");
            files
                .code
                .extend(list.lines().filter(is_code).map(str::to_owned));
        }
        files
    }
}

#[cfg(test)]
mod tests;
