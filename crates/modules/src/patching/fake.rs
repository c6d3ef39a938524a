//! A package manager of nothing but files, for tests on the fake host: `tin`.
//!
//! Installed packages are the lines of `/tin` (`name:arch version`), what its archive has those of `/archive`; a package
//! file is named `name_version_arch.tin`.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::fake::FakeHost;
use hostler_module_api::{Inspect, ModuleError};
use hostler_package_managers::{PackageManager, Survey, Wanted};
use hostler_probes::{exists, text};
use hostler_updates::{
    Action, ActionKind, Class, Conffile, Conffiles, DatabaseState, Manager, PackageName, PatchLock,
    Resolution,
};

use super::manager::{InstalledVersions, list, parse_list};

pub(crate) struct Tin;

impl PackageManager for Tin {
    fn kind(&self) -> Manager {
        Manager::Apt
    }

    fn is_here(&self, host: &dyn Inspect) -> bool {
        exists(host, "/tin")
    }

    fn installed(&self, host: &dyn Inspect) -> Result<BTreeMap<PackageName, String>, ModuleError> {
        Ok(parse_list(&text(host, "/tin").unwrap_or_default()))
    }

    fn survey(&self, _: &dyn Inspect, _: &Path, _: bool) -> Result<Survey, ModuleError> {
        Ok(Survey::default())
    }

    /// What is wanted, and what `/needs` says comes with it.
    fn resolve(
        &self,
        host: &dyn Inspect,
        _: &Path,
        wanted: &[Wanted],
    ) -> Result<Resolution, ModuleError> {
        let installed = self.installed(host)?;
        let archive = parse_list(&text(host, "/archive").unwrap_or_default());
        let mut resolution = Resolution::default();
        for want in wanted {
            let gone =
                want.version.is_some() && archive.get(&want.package) != want.version.as_ref();
            if gone {
                let why = "the archive does not have this version any more".to_owned();
                resolution.impossible.push((want.package.clone(), why));
                continue;
            }
            let from = installed.get(&want.package).map(String::as_str);
            let to = want.version.as_deref();
            resolution
                .actions
                .extend((from != to).then(|| action(&want.package.name, from, to)));
        }
        for (package, version) in parse_list(&text(host, "/needs").unwrap_or_default()) {
            let to = Some(version.as_str()).filter(|it| *it != "gone");
            let from = installed.get(&package).map(String::as_str);
            resolution.actions.push(action(&package.name, from, to));
        }
        let changed = text(host, "/changed").unwrap_or_default();
        resolution.conffiles = changed
            .lines()
            .map(|path| Conffile {
                path: path.to_owned(),
                package: "a".into(),
            })
            .collect();
        Ok(resolution)
    }

    fn database(&self, host: &dyn Inspect) -> Result<DatabaseState, ModuleError> {
        Ok(match text(host, "/interrupted") {
            Some(why) => DatabaseState::Interrupted(why),
            None => DatabaseState::Whole,
        })
    }

    fn lock_holder(&self, host: &dyn Inspect) -> Option<PatchLock> {
        text(host, "/locked").map(|holder| PatchLock {
            path: "/locked".into(),
            holder,
        })
    }

    fn repair(&self) -> Vec<Program> {
        vec![Program::new(["tin", "repair"])]
    }

    fn exact(&self, package: &PackageName, version: &str) -> Option<String> {
        Some(format!("{package}={version}"))
    }

    fn fetch_new(&self, exact: &[String], _: &Path, to: &Path) -> Vec<Program> {
        vec![command("fetch", exact.iter().cloned(), to)]
    }

    fn gone(&self) -> &'static [&'static str] {
        &["no such tin"]
    }

    fn fetch_old(
        &self,
        package: &PackageName,
        version: &str,
        _: &Path,
        to: &Path,
    ) -> Option<Program> {
        Some(command("fetch-old", self.exact(package, version), to))
    }

    fn install(
        &self,
        actions: &[Action],
        from: &Path,
        _: Conffiles,
        locks_wait_s: u64,
    ) -> Vec<Program> {
        let older = actions.iter().any(|it| it.kind == ActionKind::Downgrade);
        let verb = if older { "install-older" } else { "install" };
        let word = |it: &Action| format!("{}={}", it.package, it.to.as_deref().unwrap_or("-"));
        let mut program = command(verb, actions.iter().map(word), from);
        program.env.push(("WAIT".into(), locks_wait_s.to_string()));
        vec![program]
    }

    fn conffiles_left(&self, host: &dyn Inspect) -> Result<Vec<String>, ModuleError> {
        Ok(text(host, "/left")
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect())
    }

    fn pins_versions(&self) -> bool {
        true
    }
}

fn command(verb: &str, words: impl IntoIterator<Item = String>, dir: &Path) -> Program {
    let start = ["tin".to_owned(), verb.to_owned(), dir.display().to_string()];
    Program::new(start.into_iter().chain(words))
}

/// An action on a package of amd64; which kind its versions tell.
pub(crate) fn action(name: &str, from: Option<&str>, to: Option<&str>) -> Action {
    let kind = match (from, to) {
        (None, _) => ActionKind::Install,
        (_, None) => ActionKind::Remove,
        (Some(from), Some(to)) if to < from => ActionKind::Downgrade,
        _ => ActionKind::Upgrade,
    };
    Action {
        package: package(name),
        kind,
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        suites: Vec::new(),
        class: Class::Unknown,
        download_bytes: 1000,
        sha256: None,
        dependency: false,
    }
}

/// A package of amd64.
pub(crate) fn package(name: &str) -> PackageName {
    PackageName {
        name: name.to_owned(),
        arch: "amd64".to_owned(),
    }
}

/// A host with `a` and `b` at 1; the archive has both at 2.
pub(crate) fn host() -> FakeHost {
    FakeHost::bare()
        .dir("/var/lib", 0o755)
        .file("/tin", "a:amd64 1\nb:amd64 1\n")
        .file("/archive", "a:amd64 2\nb:amd64 2\n")
}

/// Sets the version of an installed package.
pub(crate) fn set(host: &mut FakeHost, name: &str, version: Option<&str>) {
    let mut installed: InstalledVersions = parse_list(&host.text("/tin").unwrap_or_default());
    match version {
        Some(version) => drop(installed.insert(package(name), version.to_owned())),
        None => drop(installed.remove(&package(name))),
    }
    host.set_text("/tin", &list(&installed));
}
