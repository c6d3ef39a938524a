//! What a transaction of rpm packages does, whichever solver made it up.

use std::collections::{BTreeMap, BTreeSet};

use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::exists;
use hostler_updates::{
    Action, ActionKind, Class, Finding, PackageName, Repository, Resolution, Update, WayBack,
};

use super::{Advisories, Installed, changed_conffiles, compare, file_name, real_name, spec};
use crate::ask::{ASK_MAX_S, ask, script, word};
use crate::host::{forecast, has_older, snapshot_provider};
use crate::{PACKAGES, Wanted, finding};

/// What happens to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// A higher version.
    Upgrade,
    /// Asked for, and not there (or another version of a package of which several may be there).
    Install,
    /// Needed by another.
    Dependency,
    /// A lower version.
    Downgrade,
    /// It goes.
    Remove,
    /// It would not be installed: it conflicts, or what it needs is not there.
    Skip,
}

/// A package of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What happens.
    pub(crate) section: Section,
    /// Name.
    pub(crate) name: String,
    /// Architecture.
    pub(crate) arch: String,
    /// Version.
    pub(crate) evr: String,
    /// Where it comes from.
    pub(crate) repository: String,
    /// What it takes the place of: name, architecture, version.
    pub(crate) replaces: Vec<(String, String, String)>,
}

/// A package that a repository has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Available {
    /// Which repository.
    pub(crate) repository: String,
    /// Bytes to download.
    pub(crate) download_bytes: u64,
    /// Bytes that it takes.
    pub(crate) size: u64,
    /// Hash of its file.
    pub(crate) sha256: Option<String>,
}

/// By name, architecture and version.
pub(crate) type Offers = BTreeMap<(String, String, String), Available>;

impl Row {
    /// As rpm and dnf take it.
    pub(crate) fn spec(&self) -> String {
        let package = PackageName {
            name: self.name.clone(),
            arch: self.arch.clone(),
        };
        spec(&package, &self.evr)
    }
}

/// What one row of a transaction does.
fn actions_of(
    row: &Row,
    installed: &Installed,
    offers: &Offers,
    advisories: &Advisories,
    wanted: &[Wanted],
) -> Vec<Action> {
    let gone = |name: &str, arch: &str, evr: &str| Action {
        package: installed.called(name, arch, evr),
        kind: ActionKind::Remove,
        from: Some(evr.to_owned()),
        to: None,
        suites: Vec::new(),
        class: Class::Unknown,
        download_bytes: 0,
        sha256: None,
        dependency: !is_wanted(wanted, &installed.called(name, arch, evr)),
    };
    if row.section == Section::Remove {
        return vec![gone(&row.name, &row.arch, &row.evr)];
    }
    let old = installed.newest(&row.name, &row.arch);
    let package = called(row, installed);
    let beside = package.name != row.name;
    let from = old.map(|it| it.evr.as_str());
    let kind = match (row.section, from.filter(|_| !beside)) {
        (_, None) => ActionKind::Install,
        (Section::Downgrade, Some(_)) => ActionKind::Downgrade,
        (_, Some(_)) => ActionKind::Upgrade,
    };
    let offer = (row.name.clone(), row.arch.clone(), row.evr.clone());
    let offer = offers.get(&offer).cloned().unwrap_or_default();
    let told = advisories.of(&row.name, &row.arch, from, &row.evr);
    let mut actions = vec![Action {
        dependency: !is_wanted(wanted, &package),
        package,
        kind,
        from: from.filter(|_| !beside).map(str::to_owned),
        to: Some(row.evr.clone()),
        suites: vec![row.repository.clone()],
        class: told.class,
        download_bytes: offer.download_bytes,
        sha256: offer.sha256,
    }];
    let mut replaced = row.replaces.clone();
    // A package that becomes one for all architectures, or no longer is.
    if let (Section::Upgrade, None, Some(other)) =
        (row.section, old, installed.other_arch(&row.name, &row.arch))
    {
        replaced.push((other.name.clone(), other.arch.clone(), other.evr.clone()));
    }
    let others = replaced
        .iter()
        .filter(|(name, arch, _)| (name, arch) != (&row.name, &row.arch));
    actions.extend(others.map(|(name, arch, evr)| gone(name, arch, evr)));
    actions
}

fn is_wanted(wanted: &[Wanted], package: &PackageName) -> bool {
    wanted.iter().any(|it| it.package == *package)
}

/// What the package of a row is called in plans: one that would be installed beside another version has its version in
/// its name.
fn called(row: &Row, installed: &Installed) -> PackageName {
    let beside =
        row.section == Section::Install && installed.newest(&row.name, &row.arch).is_some();
    let package = installed.called(&row.name, &row.arch, &row.evr);
    if beside && package.name == row.name {
        let name = format!("{}-{}", row.name, row.evr);
        return PackageName { name, ..package };
    }
    package
}

/// Names that rpm knows of all versions that a transaction has to do with: the new ones, and those that go.
pub(crate) fn touched(rows: &[Row], installed: &Installed) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for row in rows {
        all.insert((row.name.clone(), row.arch.clone(), row.evr.clone()));
        all.extend(row.replaces.iter().cloned());
        let old = installed.newest(&row.name, &row.arch);
        all.extend(old.map(|it| (it.name.clone(), it.arch.clone(), it.evr.clone())));
    }
    all
}

/// Makes a resolution of the rows of a transaction: its actions, what of them can be undone, what they ask for afterwards.
pub(crate) fn conclude(
    host: &dyn Inspect,
    rows: &[Row],
    wanted: &[Wanted],
    installed: &Installed,
    (offers, advisories): (&Offers, &Advisories),
    resolution: &mut Resolution,
) -> Result<(), ModuleError> {
    for row in rows {
        let actions = actions_of(row, installed, offers, advisories, wanted);
        resolution.actions.extend(actions);
    }
    hostler_value::order::sort(&mut resolution.actions);
    resolution.actions.dedup();
    let bytes = resolution.actions.iter().map(|it| it.download_bytes);
    resolution.download_bytes = bytes.fold(0, u64::saturating_add);
    let (mut new, mut old) = (0_u64, 0_u64);
    let mut way_back = WayBack::default();
    let mut changed = BTreeSet::new();
    for action in &resolution.actions {
        let offer = |evr: &String| {
            let name = real_name(&action.package, evr).to_owned();
            offers.get(&(name, action.package.arch.clone(), evr.clone()))
        };
        if let Some(to) = &action.to {
            new = new.saturating_add(offer(to).map_or(0, |it| it.size));
        }
        let Some(from) = &action.from else { continue };
        let name = real_name(&action.package, from);
        changed.insert(name);
        let version = installed.version(name, &action.package.arch, from);
        old = old.saturating_add(version.map_or(0, |it| it.size));
        way_back.of += 1;
        let file = format!("{PACKAGES}/{}", file_name(&action.package, from));
        if offer(from).is_some() || exists(host, file) {
            way_back.packages += 1;
        } else {
            way_back.missing.push(action.package.clone());
        }
    }
    way_back.snapshot = snapshot_provider(host);
    way_back.older_kernel = has_older(host, &resolution.actions);
    resolution.disk_bytes = new.saturating_sub(old);
    resolution.way_back = way_back;
    resolution.conffiles = changed_conffiles(host, &changed)?;
    let files = files(host, &changed)?;
    forecast(host, &files, resolution);
    Ok(())
}

/// Files of packages that processes may run.
const FILES: &str = "rpm -ql -- \"$@\" 2>/dev/null | grep -v -e ^/usr/share/ -e ^/usr/include/ -e ^/usr/src/ \
    -e /modules/ -e ^/usr/lib/python -e ^/usr/lib/firmware -e /.build-id/ | head -n 20000";

fn files(host: &dyn Inspect, names: &BTreeSet<&str>) -> Result<BTreeSet<String>, ModuleError> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let names = names.iter().map(|it| word(it));
    let said = ask(host, script(FILES, "rpm -ql", names), ASK_MAX_S)?.stdout_text();
    let files = said.lines().filter(|it| it.starts_with('/'));
    Ok(files.map(str::to_owned).collect())
}

/// What would be updated today, and what would not, of what repositories offer.
pub(crate) fn updates(
    rows: &[Row],
    installed: &Installed,
    (offers, advisories): (&Offers, &Advisories),
    held_by: impl Fn(&str) -> Option<String>,
) -> Vec<Update> {
    let update = |row: &Row, kept_back: Option<String>| {
        let offer = (row.name.clone(), row.arch.clone(), row.evr.clone());
        let offer = offers.get(&offer).cloned().unwrap_or_default();
        let from = installed
            .newest(&row.name, &row.arch)
            .map(|it| it.evr.clone());
        let told = advisories.of(&row.name, &row.arch, from.as_deref(), &row.evr);
        Update {
            package: called(row, installed),
            from,
            to: row.evr.clone(),
            suites: vec![row.repository.clone()],
            class: told.class,
            security_version: told.security_version,
            severity: told.severity,
            advisories: told.advisories,
            cves: told.cves,
            download_bytes: offer.download_bytes,
            kept_back,
            phased_percent: None,
            source: None,
        }
    };
    let would = rows
        .iter()
        .filter(|it| !matches!(it.section, Section::Skip | Section::Remove));
    let mut all: Vec<Update> = would.map(|row| update(row, None)).collect();
    let mut newest: BTreeMap<(&str, &str), (&str, &str)> = BTreeMap::new();
    for ((name, arch, evr), offer) in offers {
        let best = newest
            .entry((name, arch))
            .or_insert((evr, &offer.repository));
        if compare(evr, best.0).is_gt() {
            *best = (evr, &offer.repository);
        }
    }
    for ((name, arch), (evr, repository)) in newest {
        let is_it = |row: &&Row| row.name == name && row.arch == arch;
        let row = rows.iter().find(is_it);
        if row.is_some_and(|it| it.section != Section::Skip) {
            continue;
        }
        let reason = match (held_by(name), row) {
            (Some(by), _) => format!("held by {by}"),
            (None, Some(_)) => "it conflicts, or what it needs is not there".to_owned(),
            (None, None) => "an ordinary upgrade would leave it as it is".to_owned(),
        };
        let row = Row {
            section: Section::Upgrade,
            name: name.to_owned(),
            arch: arch.to_owned(),
            evr: evr.to_owned(),
            repository: repository.to_owned(),
            replaces: Vec::new(),
        };
        all.push(update(&row, Some(reason)));
    }
    hostler_value::order::sort_by(&mut all, |a, b| a.package.cmp(&b.package));
    all
}

/// Says loudly that security updates cannot be told from others.
pub(crate) fn unclassified(repositories: &[Repository], updates: &[Update]) -> Vec<Finding> {
    let used = |name: &str| {
        let mut suites = updates.iter().flat_map(|it| &it.suites);
        suites.any(|it| it == name)
    };
    let without = repositories.iter().filter(|it| !it.classifies);
    let without: Vec<&str> = without
        .map(|it| it.name.as_str())
        .filter(|it| used(it))
        .collect();
    if !repositories.is_empty() && repositories.iter().all(|it| !it.classifies) {
        return vec![finding(
            "no-classification",
            "NO repository of this host says which of its updates are security updates: every update counts as \
             unknown, and \"no security updates\" would be no statement at all",
        )];
    }
    if without.is_empty() {
        return Vec::new();
    }
    let text = format!(
        "these repositories do not say which of their updates are security updates; theirs count as unknown: {}",
        without.join(", ")
    );
    vec![finding("no-classification", text)]
}
