//! Looking: what is installed, what apt would do.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use hostler_module_api::prelude::*;
use hostler_probes::{Dpkg, LockHolder, PackageState as Installed, Transaction, names, parse_simulation};

use super::args::{Args, PackageState, Upgrade};
use super::command::Work;
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
    /// Packages to download, and where to.
    pub(super) to_fetch: Vec<(String, PathBuf)>,
    pub(super) lock_holder: Option<LockHolder>,
    /// The task's environment has a say about needrestart.
    pub(super) needrestart_is_set: bool,
}

impl Refusal {
    pub(super) fn message(&self) -> &str {
        &self.msg
    }
}

/// Something for apt to do.
pub(super) struct Job {
    /// Packages that it is about, if it is about any by name.
    pub(super) packages: Vec<String>,
    pub(super) program: Program,
    /// What it would do.
    pub(super) simulated: Result<Transaction, Refusal>,
    /// More that it would do, in words.
    pub(super) more: Vec<String>,
}

/// Why apt would not do it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    msg: String,
    /// Something is not there that other lists or sources may have.
    pub(super) is_missing: bool,
    output: CommandOutput,
}

impl From<Refusal> for ModuleError {
    fn from(it: Refusal) -> Self {
        let error = ModuleError::new(it.msg).field("rc", it.output.rc);
        error.field("stdout", it.output.stdout_text()).field("stderr", it.output.stderr_text())
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
        to_fetch: Vec::new(),
        lock_holder: None,
        needrestart_is_set: host.identity().env.iter().any(|(name, _)| name.starts_with("NEEDRESTART_")),
    };
    jobs(args, host, &mut seen)?;
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
            let output = host.look(&Program::new(["apt-cache", "pkgnames"]))?;
            let mut all: Vec<String> = output.stdout_text().lines().map(str::to_owned).collect();
            all.extend(seen.dpkg.names().map(str::to_owned));
            all.sort();
            all.dedup();
            known = Some(all);
        }
        let found = known.iter().flatten().filter(|it| spec::matches(&spec.name, it));
        let found: Vec<Spec> = found.map(|it| Spec { name: it.clone(), version: spec.version.clone() }).collect();
        if found.is_empty() && !seen.update_due {
            return Err(ModuleError::new(format!("No package(s) matching '{}' available", spec.name)));
        }
        specs.extend(found);
    }
    Ok(specs)
}

/// Lets apt say what it would do.
fn add(work: &Work, args: &Args, host: &dyn Inspect, seen: &mut Seen) -> Result<(), ModuleError> {
    let output = host.look(&work.simulated())?;
    let stdout = output.stdout_text();
    let more = stdout.lines().filter(|it| it.starts_with("Del ")).map(|it| it.replacen("Del", "delete", 1)).collect();
    let selected = stdout.lines().find(|it| it.starts_with("Note, selecting") && it.contains(" for regex "));
    let simulated = if !output.success() {
        Err(refusal(work, output))
    } else if let Some(line) = selected {
        let name = line.rsplit('\'').nth(1).unwrap_or_default();
        Err(Refusal { msg: format!("No package matching '{name}' is available"), is_missing: true, output })
    } else {
        Ok(parse_simulation(&stdout))
    };
    let program = work.real(args, seen.needrestart_is_set);
    seen.jobs.push(Job { packages: work.packages().to_vec(), program, simulated, more });
    Ok(())
}

/// apt's refusal in Ansible's words where it has some.
fn refusal(work: &Work, output: CommandOutput) -> Refusal {
    let stderr = output.stderr_text();
    let stdout = output.stdout_text();
    let errors: Vec<&str> = stderr.lines().chain(stdout.lines()).filter_map(|it| it.strip_prefix("E: ")).collect();
    let quoted = |line: &str| line.split('\'').nth(1).unwrap_or_default().to_owned();
    let known = errors.iter().find_map(|line| {
        if let Some(name) = line.strip_prefix("Unable to locate package ") {
            Some(format!("No package matching '{name}' is available"))
        } else if line.contains("has no installation candidate") {
            Some(format!("no available installation candidate for {}", quoted(line)))
        } else if line.starts_with("Version '") && line.ends_with("was not found") {
            let package = line.split('\'').nth(3).unwrap_or_default();
            Some(format!("no available installation candidate for {package}={}", quoted(line)))
        } else {
            None
        }
    });
    let shown = work.simulated().shown().to_string().replacen(" --simulate", "", 1);
    let reason = if errors.is_empty() { stderr.trim().to_owned() } else { errors.join("; ") };
    Refusal { is_missing: known.is_some(), msg: known.unwrap_or_else(|| format!("'{shown}' failed: {reason}")), output }
}

/// A candidate that is older than "at least" must not be installed.
fn refuse_too_old(unmet: &[Spec], seen: &mut Seen) {
    let Some(job) = seen.jobs.last_mut() else { return };
    let Ok(transaction) = &job.simulated else { return };
    for spec in unmet {
        let spec::Version::AtLeast(least) = &spec.version else { continue };
        let step = transaction.steps.iter().find(|it| it.package == spec.name);
        let offered = step.and_then(|it| it.after.as_deref());
        if offered.is_none_or(|it| hostler_probes::compare_versions(it, least).is_lt()) {
            let msg = format!("no available installation candidate for {}>={least}", spec.name);
            job.simulated = Err(Refusal { msg, is_missing: true, output: CommandOutput::default() });
            return;
        }
    }
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
