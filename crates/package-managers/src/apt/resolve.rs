//! What bringing exact versions would take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_module_api::{Follow, Inspect, ModuleError};
use hostler_probes::{Dpkg, Step, Transaction, parse_simulation};
use hostler_updates::{Action, ActionKind, PackageName, Resolution, WayBack};

use super::policy::Policy;
use super::private::{self, ask};
use super::sources::Sources;
use super::survey::{complaint, unmet};
use super::table::{self, Records};
use super::{conffiles, names, status};
use crate::host::{forecast, has_older, kernel_package, snapshot_provider};
use crate::{PACKAGES, Wanted};

/// How often what cannot be had is left out and the rest is tried again.
const ROUNDS_MAX: usize = 12;
/// Most packages that are tried alone when apt does not say which one is the matter.
const ALONE_MAX: usize = 40;
/// Most packages that can be asked for.
const WANTED_MAX: usize = 5000;

/// See [`crate::PackageManager::resolve`].
pub(super) fn resolve(
    host: &dyn Inspect,
    dir: &Path,
    wanted: &[Wanted],
) -> Result<Resolution, ModuleError> {
    if wanted.len() > WANTED_MAX {
        return Err(ModuleError::new(format!(
            "more than {WANTED_MAX} packages are wanted"
        )));
    }
    private::prepare(host, dir)?;
    let dpkg = hostler_probes::dpkg(host)?;
    let sources = Sources::read(host, dir, &mut Vec::new())?;
    let mut asked = Asked::check(host, dir, &dpkg, wanted)?;
    let transaction = asked.simulate(host, dir)?;
    complete(host, dir, &dpkg, &sources, asked, &transaction)
}

/// What is asked for, and what cannot be had of it.
struct Asked<'a> {
    dpkg: &'a Dpkg,
    policies: BTreeMap<String, Policy>,
    /// Package files on this host of versions that no source has any more.
    files: BTreeMap<PackageName, String>,
    wanted: Vec<Wanted>,
    impossible: Vec<(PackageName, String)>,
}

impl<'a> Asked<'a> {
    /// Leaves out what cannot be had at all, and what is there already.
    fn check(
        host: &dyn Inspect,
        dir: &Path,
        dpkg: &'a Dpkg,
        wanted: &[Wanted],
    ) -> Result<Self, ModuleError> {
        let words: Vec<String> = wanted
            .iter()
            .filter_map(|it| table::word_of(&it.package.name, &it.package.arch, dpkg.native()))
            .collect();
        let policies = table::policies(host, dir, &words)?;
        let mut asked = Asked {
            dpkg,
            policies,
            files: BTreeMap::new(),
            wanted: Vec::new(),
            impossible: Vec::new(),
        };
        for it in wanted {
            let obstacle = asked.obstacle(it);
            if let (Some(Obstacle::Gone(_)), Some(version)) = (&obstacle, &it.version)
                && let Some(file) = file_of(host, &it.package, version, 0)
            {
                asked.files.insert(it.package.clone(), file);
                asked.wanted.push(it.clone());
                continue;
            }
            match obstacle {
                Some(Obstacle::Gone(reason) | Obstacle::Other(reason)) => {
                    asked.impossible.push((it.package.clone(), reason));
                }
                None if !asked.is_done(it) => asked.wanted.push(it.clone()),
                None => {}
            }
        }
        Ok(asked)
    }

    fn installed(&self, package: &PackageName) -> Option<&'a hostler_probes::Package> {
        self.dpkg.installed(&names::word(package))
    }

    fn is_done(&self, it: &Wanted) -> bool {
        self.installed(&it.package).map(|it| it.version.as_str()) == it.version.as_deref()
    }

    /// Why it cannot be had, if that is clear without a simulation.
    fn obstacle(&self, it: &Wanted) -> Option<Obstacle> {
        let other = |reason: &str| Some(Obstacle::Other(reason.to_owned()));
        if !names::is_askable(&it.package) {
            return other("this is no name of a package");
        }
        if !self.is_done(it) && self.installed(&it.package).is_some_and(|it| it.held) {
            return other("it is held (apt-mark hold)");
        }
        let version = it.version.as_deref()?;
        if !names::is_version(version) {
            return other("this is no version");
        }
        if self.is_done(it) {
            return None;
        }
        let shown = names::shown(&it.package.name, &it.package.arch, self.dpkg.native());
        let there = self.policies.get(&shown);
        let there = there.map(|it| it.versions.as_slice()).unwrap_or_default();
        let mut available = there.iter().filter(|it| it.is_available());
        let newest = available.clone().next().map(|it| it.number.as_str());
        if available.any(|it| it.number == version) {
            return None;
        }
        Some(Obstacle::Gone(match newest {
            None => format!("no source has version {version}, or any other"),
            Some(newest) => {
                format!("no source has version {version}; the newest there is {newest}")
            }
        }))
    }

    /// Lets apt say what it would do; what it refuses is left out, and the rest is tried again.
    fn simulate(&mut self, host: &dyn Inspect, dir: &Path) -> Result<Transaction, ModuleError> {
        for _ in 0..ROUNDS_MAX {
            if self.wanted.is_empty() {
                return Ok(Transaction::default());
            }
            let words = self.words(&self.wanted);
            let said = match ask(host, dir, "apt-get", words.iter().map(String::as_str))? {
                Ok(text) => return Ok(parse_simulation(&text)),
                Err(said) => said,
            };
            let before = self.wanted.len();
            for (name, reason) in culprits(&said) {
                self.leave_out(&reason, |it| it.package.name == name);
            }
            if self.wanted.len() == before {
                self.try_alone(host, dir)?;
            }
            if self.wanted.len() == before {
                let reason = complaint(&said);
                self.leave_out(&reason, |_| true);
            }
        }
        self.leave_out("apt could not resolve it with the others", |_| true);
        Ok(Transaction::default())
    }

    /// apt names nobody who is wanted: whoever cannot be had alone is left out.
    fn try_alone(&mut self, host: &dyn Inspect, dir: &Path) -> Result<(), ModuleError> {
        if self.wanted.len() < 2 {
            return Ok(());
        }
        let mut refused = Vec::new();
        for it in self.wanted.iter().take(ALONE_MAX) {
            let words = self.words(std::slice::from_ref(it));
            if let Err(said) = ask(host, dir, "apt-get", words.iter().map(String::as_str))? {
                refused.push((it.package.clone(), complaint(&said)));
            }
        }
        for (package, reason) in refused {
            self.leave_out(&reason, |it| it.package == package);
        }
        Ok(())
    }

    /// Words of the simulation. A lower version is only brought if it was asked for.
    fn words(&self, wanted: &[Wanted]) -> Vec<String> {
        let mut words = ["-q", "-y", "--simulate"].map(str::to_owned).to_vec();
        if wanted.iter().any(|it| self.is_lower(it)) {
            words.push("--allow-downgrades".to_owned());
        }
        words.push("install".to_owned());
        words.extend(wanted.iter().map(|it| {
            let word = names::word(&it.package);
            match (&it.version, self.files.get(&it.package)) {
                (Some(_), Some(file)) => file.clone(),
                (Some(version), None) => format!("{word}={version}"),
                (None, _) => format!("{word}-"),
            }
        }));
        words
    }

    fn is_lower(&self, it: &Wanted) -> bool {
        let (Some(version), Some(now)) = (&it.version, self.installed(&it.package)) else {
            return false;
        };
        hostler_probes::compare_versions(version, &now.version).is_lt()
    }

    fn leave_out(&mut self, reason: &str, is_out: impl Fn(&Wanted) -> bool) {
        let (out, left) = std::mem::take(&mut self.wanted)
            .into_iter()
            .partition(is_out);
        self.wanted = left;
        let out: Vec<Wanted> = out;
        self.impossible
            .extend(out.into_iter().map(|it| (it.package, reason.to_owned())));
    }
}

/// Why something cannot be had.
enum Obstacle {
    /// No source has the version any more.
    Gone(String),
    /// Something else.
    Other(String),
}

/// Packages that apt's complaints are about, with the reasons.
fn culprits(said: &str) -> Vec<(String, String)> {
    let mut all = unmet(said);
    for (name, _) in &mut all {
        name.truncate(name.find(':').unwrap_or(name.len()));
    }
    let errors = said.lines().filter_map(|it| it.strip_prefix("E: "));
    all.extend(errors.filter_map(|line| Some((named(line)?, line.to_owned()))));
    all
}

/// The package that an error names: `Version '1' for 'foo' was not found`, `Unable to locate package foo`.
fn named(error: &str) -> Option<String> {
    let name = if let Some((_, rest)) = error.split_once("' for '") {
        rest.split('\'').next()?
    } else if let Some(rest) = error.strip_prefix("Unable to locate package ") {
        rest
    } else {
        error
            .strip_prefix("Package ")?
            .strip_suffix(" has no installation candidate")?
            .trim_matches('\'')
    };
    Some(name.split(':').next()?.to_owned())
}

/// Completes the simulated transaction with all that is to be known of it.
fn complete(
    host: &dyn Inspect,
    dir: &Path,
    dpkg: &Dpkg,
    sources: &Sources,
    mut asked: Asked<'_>,
    transaction: &Transaction,
) -> Result<Resolution, ModuleError> {
    let is_unknown = |it: &&String| !asked.policies.contains_key(*it);
    let more: Vec<String> = transaction
        .steps
        .iter()
        .map(|it| &it.package)
        .filter(is_unknown)
        .cloned()
        .collect();
    asked.policies.extend(table::policies(host, dir, &more)?);
    let exact: Vec<(String, String)> = transaction
        .steps
        .iter()
        .filter_map(|it| Some((it.package.clone(), it.after.clone()?)))
        .collect();
    let records = Records::read(host, dir, &exact)?;
    let wanted: BTreeSet<&str> = asked
        .wanted
        .iter()
        .map(|it| it.package.name.as_str())
        .collect();
    let touched: BTreeSet<&str> = transaction
        .steps
        .iter()
        .filter_map(|it| it.package.split(':').next())
        .collect();
    let details = status::details(host, |name| touched.contains(name))?;
    let mut resolution = Resolution {
        impossible: asked.impossible,
        ..Resolution::default()
    };
    for step in &transaction.steps {
        let mut action = action(step, dpkg, &asked.policies, sources, &records, &wanted);
        if let Some(file) = asked.files.get(&action.package) {
            describe_file(host, Path::new(file), &mut action);
        }
        let installed = dpkg.installed(&step.package);
        let old_size = installed
            .and_then(|it| details.get(&format!("{}:{}", action.package.name, it.architecture)))
            .map_or(0, |it| it.installed_size);
        let record = action
            .to
            .as_deref()
            .and_then(|to| records.get(&action.package.name, &action.package.arch, to));
        let grows = record
            .map_or(0, |it| it.installed_size)
            .saturating_sub(old_size);
        resolution.disk_bytes = resolution.disk_bytes.saturating_add(grows);
        let is_here = action
            .to
            .as_deref()
            .is_some_and(|to| file_of(host, &action.package, to, action.download_bytes).is_some());
        if !is_here {
            resolution.download_bytes = resolution
                .download_bytes
                .saturating_add(action.download_bytes);
        }
        way_back(
            host,
            &action,
            asked.policies.get(&step.package),
            &mut resolution.way_back,
        );
        resolution.actions.push(action);
    }
    resolution.actions.sort();
    resolution.impossible.sort();
    resolution.conffiles = conffiles::at_stake(host, &resolution.actions, &details);
    let files = super::Files::of(host, dpkg, &resolution.actions);
    forecast(host, &files.code, &mut resolution);
    for action in &resolution.actions {
        let name = &action.package.name;
        if let (Some(to), true, false) = (
            &action.to,
            files.in_boot.contains(name),
            kernel_package(name),
        ) {
            let reason = format!("{name} {to}: what it has in /boot takes effect at boot");
            resolution.reboot_reasons.push(reason);
        }
    }
    resolution.way_back.snapshot = snapshot_provider(host);
    resolution.way_back.older_kernel = has_older(host, &resolution.actions);
    Ok(resolution)
}

/// A step of the simulation as an action.
fn action(
    step: &Step,
    dpkg: &Dpkg,
    policies: &BTreeMap<String, Policy>,
    sources: &Sources,
    records: &Records,
    wanted: &BTreeSet<&str>,
) -> Action {
    let name = step
        .package
        .split(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    let installed = dpkg.installed(&step.package);
    let arch = step
        .architecture
        .clone()
        .or_else(|| installed.map(|it| it.architecture.clone()));
    let package = PackageName {
        name,
        arch: arch.unwrap_or_default(),
    };
    let kind = match (&step.before, &step.after) {
        (_, None) => ActionKind::Remove,
        (None, Some(_)) => ActionKind::Install,
        (Some(from), Some(to)) if hostler_probes::compare_versions(from, to).is_gt() => {
            ActionKind::Downgrade
        }
        (Some(_), Some(_)) => ActionKind::Upgrade,
    };
    let policy = policies.get(&step.package);
    let version = step.after.as_deref().and_then(|to| policy?.version(to));
    let between = step
        .after
        .as_deref()
        .and_then(|to| Some(table::between(policy?, step.before.as_deref(), to, sources)));
    let record = step
        .after
        .as_deref()
        .and_then(|to| records.get(&package.name, &package.arch, to));
    Action {
        kind,
        from: step.before.clone(),
        to: step.after.clone(),
        suites: version
            .map(|it| sources.suites(it.origins()))
            .unwrap_or_default(),
        class: between.map(|it| it.class).unwrap_or_default(),
        download_bytes: record.map_or(0, |it| it.size),
        sha256: record.and_then(|it| it.sha256.clone()),
        dependency: !wanted.contains(package.name.as_str()),
        package,
    }
}

/// Size and hash of the file that takes the place of a source.
fn describe_file(host: &dyn Inspect, file: &Path, action: &mut Action) {
    let stat = host.stat(file, Follow::Yes).ok().flatten();
    action.download_bytes = stat.map_or(0, |it| it.size);
    action.sha256 = host.checksum(file, "sha256").ok().flatten();
}

/// A package file of a version on this host, if there is one of the size.
pub(super) fn file_of(
    host: &dyn Inspect,
    package: &PackageName,
    version: &str,
    size: u64,
) -> Option<String> {
    if !names::is_askable(package) || !names::is_version(version) {
        return None;
    }
    let name = names::file(package, version);
    let paths = [PACKAGES, "/var/cache/apt/archives"].map(|dir| format!("{dir}/{name}"));
    paths.into_iter().find(|path| {
        let stat = host.stat(Path::new(path), Follow::Yes).ok().flatten();
        stat.is_some_and(|it| size == 0 || it.size == size)
    })
}

/// Can the installed version be had again?
fn way_back(host: &dyn Inspect, action: &Action, policy: Option<&Policy>, way_back: &mut WayBack) {
    let Some(from) = &action.from else {
        return;
    };
    way_back.of += 1;
    let listed = policy
        .and_then(|it| it.version(from))
        .is_some_and(super::policy::Version::is_available);
    if listed || file_of(host, &action.package, from, 0).is_some() {
        way_back.packages += 1;
    } else {
        way_back.missing.push(action.package.clone());
    }
}
