//! What bringing exact versions would take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_module_api::{Follow, Inspect, ModuleError};
use hostler_probes::{Dpkg, Step, Transaction};
use hostler_updates::{Action, ActionKind, PackageName, Resolution, WayBack};

use super::asked::Asked;
use super::policy::Policy;
use super::sources::Sources;
use super::table::{self, Records};
use super::{conffiles, names, private, status};
use crate::host::{forecast, has_older, kernel_package, snapshot_provider};
use crate::{PACKAGES, Wanted};

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
        let old_size = dpkg
            .installed(&step.package)
            .and_then(|it| details.get(&format!("{}:{}", action.package.name, it.architecture)))
            .map_or(0, |it| it.installed_size);
        count_bytes(host, &action, old_size, &records, &mut resolution);
        way_back(
            host,
            &action,
            asked.policies.get(&step.package),
            &mut resolution.way_back,
        );
        resolution.actions.push(action);
    }
    hostler_value::order::sort(&mut resolution.actions);
    hostler_value::order::sort(&mut resolution.impossible);
    resolution.conffiles = conffiles::at_stake(host, &resolution.actions, &details);
    let files = super::Files::of(host, dpkg, &resolution.actions);
    forecast(host, &files.code, &mut resolution);
    foresee_boot(&files.in_boot, &mut resolution);
    resolution.way_back.snapshot = snapshot_provider(host);
    resolution.way_back.older_kernel = has_older(host, &resolution.actions);
    Ok(resolution)
}

/// Bytes that are to be downloaded, and that are taken in addition.
fn count_bytes(
    host: &dyn Inspect,
    action: &Action,
    old_size: u64,
    records: &Records,
    resolution: &mut Resolution,
) {
    let Some(to) = action.to.as_deref() else {
        return;
    };
    let record = records.get(&action.package.name, &action.package.arch, to);
    let new_size = record.map_or(0, |it| it.installed_size);
    let grows = new_size.saturating_sub(old_size);
    resolution.disk_bytes = resolution.disk_bytes.saturating_add(grows);
    let bytes = action.download_bytes;
    if file_of(host, &action.package, to, bytes).is_none() {
        resolution.download_bytes = resolution.download_bytes.saturating_add(bytes);
    }
}

/// Packages with files in `/boot`, besides kernels, take effect at boot, too.
fn foresee_boot(in_boot: &BTreeSet<String>, resolution: &mut Resolution) {
    for action in &resolution.actions {
        let name = &action.package.name;
        let is_other = in_boot.contains(name) && !kernel_package(name);
        if let Some(to) = action.to.as_ref().filter(|_| is_other) {
            let reason = format!("{name} {to}: what it has in /boot takes effect at boot");
            resolution.reboot_reasons.push(reason);
        }
    }
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
