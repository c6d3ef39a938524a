//! Looking: what is installed, what apt would do.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use hostler_module_api::prelude::*;
use hostler_probes::{Dpkg, LockHolder, PackageState as Installed, names, read_only_options};
use hostler_value::Cause;

use super::args::{Args, PackageState, Upgrade};
use super::command::Work;
use super::resolve::{Job, add, refuse_too_old, unknown};
use super::spec::{self, Spec};

/// What was seen.
pub(crate) struct Seen {
    pub(super) dpkg: Dpkg,
    /// When the lists were refreshed, seconds since the epoch.
    pub(super) lists_s: i64,
    /// They are older than wanted.
    pub(super) update_due: bool,
    pub(super) now_ns: i64,
    /// Downloaded packages lie around.
    pub(super) has_archives: bool,
    /// What apt has to do.
    pub(super) jobs: Vec<Job>,
    /// Wanted packages that are marked as installed for others' sake.
    pub(super) marked_auto: Vec<String>,
    /// `extended_states` when that is changed.
    pub(super) marks: Option<String>,
    /// Packages to download, and where to.
    pub(super) to_fetch: Vec<(String, PathBuf)>,
    pub(super) lock_holder: Option<LockHolder>,
    /// Earlier tasks of a preview that would refresh the lists.
    pub(super) lists_by: Vec<Cause>,
    /// Earlier tasks of a preview that would change where packages come from, or which are preferred.
    pub(super) sources_by: Vec<Cause>,
    /// The task's environment has a say about needrestart.
    pub(super) needrestart_is_set: bool,
}

/// Where the package lists are.
pub(super) const LISTS: &str = "/var/lib/apt/lists";
/// What says where packages come from, and which are preferred.
const SOURCES: [&str; 4] = [
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d",
    "/etc/apt/preferences",
    "/etc/apt/preferences.d",
];

impl Seen {
    /// Earlier tasks of a preview that decide which packages there are to install.
    pub(super) fn decided_by(&self) -> Vec<Cause> {
        let mut all: Vec<Cause> = self.lists_by.iter().chain(&self.sources_by).cloned().collect();
        hostler_value::order::sort(&mut all);
        all.dedup();
        all
    }
}

pub(super) fn look(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
    if hostler_probes::program(host, "apt-get").is_none() {
        return Err(ModuleError::new("Failed to find required executable \"apt-get\"")
            .hint("the host is not a Debian; `package` finds its package manager"));
    }
    let now = host.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    let lists_s = hostler_probes::lists_refreshed_s(host);
    let wants_update = args.update_cache.unwrap_or(args.cache_valid_time > 0) || args.cache_valid_time > 0;
    let is_old = lists_s.saturating_add(args.cache_valid_time) < now_ns / 1_000_000_000;
    let archives = names(host, "/var/cache/apt/archives");
    let mut seen = Seen {
        dpkg: hostler_probes::dpkg(host)?,
        lists_s,
        update_due: wants_update && (is_old || args.cache_valid_time == 0),
        now_ns,
        has_archives: archives.iter().any(|it| Path::new(it).extension().is_some_and(|it| it == "deb")),
        jobs: Vec::new(),
        marked_auto: Vec::new(),
        marks: None,
        to_fetch: Vec::new(),
        lock_holder: None,
        lists_by: host.pending(Path::new(LISTS)),
        sources_by: SOURCES.iter().flat_map(|it| host.pending(Path::new(it))).collect(),
        needrestart_is_set: host.identity().env.iter().any(|(name, _)| name.starts_with("NEEDRESTART_")),
    };
    jobs(args, host, &mut seen)?;
    if seen.jobs.iter().any(Job::does_something) && hostler_probes::dpkg_interrupted(host) {
        let words = "dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.";
        return Err(ModuleError::new(words));
    }
    if !seen.jobs.is_empty() || !seen.marked_auto.is_empty() {
        seen.lock_holder = hostler_probes::lock_holder(host);
    }
    Ok(seen)
}

fn jobs(args: &Args, host: &dyn Inspect, seen: &mut Seen) -> Result<(), ModuleError> {
    if args.upgrade != Upgrade::No || args.upgrades_all() {
        return add(&Work::upgrade(args), args, host, seen);
    }
    if let Some(deb) = &args.deb {
        return debs(deb, args, host, seen);
    }
    let specs = expanded(args, host, seen)?;
    if specs.is_empty() && args.state != PackageState::Fixed {
        if args.autoclean {
            add(&Work::tidy(args, "autoclean"), args, host, seen)?;
        }
        if args.autoremove {
            add(&Work::tidy(args, "autoremove"), args, host, seen)?;
        }
        return Ok(());
    }
    let dpkg = &seen.dpkg;
    let wanted: Vec<&Spec> = match args.state {
        PackageState::Absent => specs.iter().filter(|it| is_to_remove(it, args, dpkg)).collect(),
        _ if args.only_upgrade => specs.iter().filter(|it| dpkg.installed(&it.name).is_some()).collect(),
        PackageState::Present => specs.iter().filter(|it| !it.is_satisfied(dpkg)).collect(),
        _ => specs.iter().collect(),
    };
    if matches!(args.state, PackageState::Present | PackageState::Latest) {
        let auto = hostler_probes::auto_installed(host);
        let marked = specs.iter().filter(|it| auto.contains(&it.name) && it.is_satisfied(dpkg));
        seen.marked_auto = marked.map(|it| it.name.clone()).collect();
        let names: Vec<&str> = seen.marked_auto.iter().map(String::as_str).collect();
        seen.marks = hostler_probes::marked(host, &[], &names);
    }
    if wanted.is_empty() && args.state != PackageState::Fixed {
        return Ok(());
    }
    let work = if args.state == PackageState::Absent {
        Work::remove(args, wanted.iter().map(|it| it.name.clone()).collect())
    } else {
        Work::install(args, wanted.iter().map(|it| it.for_apt()).collect())
    };
    let unmet: Vec<Spec> = wanted.into_iter().filter(|it| matches!(it.version, spec::Version::AtLeast(_))).cloned().collect();
    add(&work, args, host, seen)?;
    refuse_too_old(&unmet, seen);
    Ok(())
}

fn is_to_remove(spec: &Spec, args: &Args, dpkg: &Dpkg) -> bool {
    match dpkg.get(&spec.name).map(|it| it.state) {
        Some(Installed::Installed | Installed::Broken) => true,
        Some(Installed::ConfigFiles) => args.purge,
        _ => false,
    }
}

/// Specifications with patterns replaced by the names that they match.
fn expanded(args: &Args, host: &dyn Inspect, seen: &Seen) -> Result<Vec<Spec>, ModuleError> {
    let mut specs = Vec::new();
    let mut known: Option<Vec<String>> = None;
    for name in args.names() {
        let spec = Spec::parse(name)?;
        if !spec.is_pattern() {
            specs.push(spec);
            continue;
        }
        if known.is_none() {
            let words = ["apt-cache", "pkgnames"].into_iter().chain(read_only_options(host));
            let output = host.look(&Program::new(words).shown_as("apt-cache pkgnames"))?;
            let mut all: Vec<String> = output.stdout_text().lines().map(str::to_owned).collect();
            all.extend(seen.dpkg.names().map(str::to_owned));
            hostler_value::order::sort(&mut all);
            all.dedup();
            known = Some(all);
        }
        let found = known.iter().flatten().filter(|it| spec::matches(&spec.name, it));
        let found: Vec<Spec> = found.map(|it| Spec { name: it.clone(), version: spec.version.clone() }).collect();
        if found.is_empty() && !seen.update_due {
            let none = format!("No package(s) matching '{}' available", spec.name);
            return Err(unknown(none, seen.decided_by()));
        }
        specs.extend(found);
    }
    Ok(specs)
}

/// A downloaded package is looked at once; a later run downloads it again, since it may be another by then.
const FRESH_NS: i64 = 600 * 1_000_000_000;

fn debs(list: &str, args: &Args, host: &dyn Inspect, seen: &mut Seen) -> Result<(), ModuleError> {
    let mut wanted = Vec::new();
    for file in list.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let path = if file.contains("://") {
            let hash = hostler_module_api::digest(file.as_bytes(), "sha1").unwrap_or_default();
            let path = PathBuf::from(format!("/var/cache/apt/archives/fetched-{hash}.deb"));
            let stat = host.stat(&path, Follow::No)?;
            if stat.is_none_or(|it| (seen.now_ns - it.mtime_ns).abs() >= FRESH_NS) {
                seen.to_fetch.push((file.to_owned(), path));
                continue;
            }
            path
        } else if file.starts_with('/') {
            PathBuf::from(file)
        } else {
            return Err(ModuleError::new(format!("Unable to install package: '{file}' is not an absolute path")));
        };
        let by = host.pending(&path);
        if !by.is_empty() {
            return Err(unknown(format!("what package {file} is"), by));
        }
        let shown = path.display().to_string();
        let output = host.look(&Program::new(["dpkg-deb", "-f", &shown, "Package", "Version", "Architecture"]))?;
        if !output.success() {
            let reason = output.stderr_text();
            return Err(ModuleError::new(format!("Unable to install package: {}", reason.trim())));
        }
        let text = output.stdout_text();
        let field = |key: &str| text.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix(": ")).unwrap_or_default();
        let name = match field("Architecture") {
            "all" | "" => field("Package").to_owned(),
            architecture => format!("{}:{architecture}", field("Package")),
        };
        if seen.dpkg.installed(&name).map(|it| it.version.as_str()) != Some(field("Version")) {
            wanted.push(shown);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    add(&Work::install(args, wanted), args, host, seen)
}
