//! apk, of Alpine. `docs/patching/package-managers.md` says what is exact and what is not.
//!
//! **`apk add` is not used.** It would write each version that it installs into `/etc/apk/world`, and so pin it. A
//! transaction is an upgrade from a repository that is made of its own files and nothing else: what is not in there
//! cannot come, and `world` stays as it is.

mod database;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::{exists, names, text};
use hostler_updates::{
    Action, ActionKind, Class, Conffile, Conffiles, DatabaseState, Hold, Manager, PackageName,
    PatchLock, Repository, Resolution, Update, WayBack,
};

use self::database::{Database, Step, directory, is_whole, newer, steps};
use crate::ask::{ASK_MAX_S, REFRESH_MAX_S, ask, ask_well, failed, last_lines, script, word};
use crate::host::{forecast, has_older, snapshot_provider};
use crate::locks::{self, Lock};
use crate::{PACKAGES, PackageManager, Survey, Wanted, conffiles, finding};

/// apk.
#[derive(Debug)]
pub struct Apk;

/// Most changed configuration files that are told of.
const CONFFILES_MAX: usize = 200;
/// Seconds for which questions wait for another apk.
const WAIT_S: &str = "60";

/// apk with its indexes in `metadata`, as old as they are there.
fn program<'a>(metadata: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    let mut program = Program::new(["apk", "--no-progress", "--wait", WAIT_S, "--cache-dir"]);
    program.argv.push(metadata.display().to_string());
    program
        .argv
        .extend(arguments.into_iter().map(str::to_owned));
    program
}

/// The same, asking nobody else.
fn offline<'a>(metadata: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    program(metadata, std::iter::once("--no-network").chain(arguments))
}

/// Repositories by their addresses. apk names index files by hashes of its own making, so each repository is given the
/// hash of all of them together.
fn repositories(host: &dyn Inspect, metadata: &Path) -> Vec<Repository> {
    let indexes = names(host, metadata).into_iter();
    let indexes = indexes.filter(|it| it.starts_with("APKINDEX."));
    let hash = |it: String| host.checksum(&metadata.join(it), "sha256").ok().flatten();
    let all: Vec<String> = indexes.filter_map(hash).collect();
    let all = hostler_module_api::digest(all.concat().as_bytes(), "sha256").unwrap_or_default();
    let list = text(host, "/etc/apk/repositories").unwrap_or_default();
    let lines = list.lines().map(str::trim);
    let lines = lines.filter(|it| !it.is_empty() && !it.starts_with('#'));
    let repository = |line: &str| {
        let address = line.split_whitespace().last().unwrap_or_default();
        Repository {
            name: without_password(address),
            sha256: all.clone(),
            date_s: None,
            classifies: false,
        }
    };
    lines.map(repository).collect()
}

/// An address without `user:password@`.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |it| it.1);
    format!("{scheme}://{authority}{path}")
}

/// Versions that `world` asks for: `tool=1.2-r0`, `tool<2`, `tool~1.2`.
fn holds(host: &dyn Inspect) -> Vec<Hold> {
    let world = text(host, "/etc/apk/world").unwrap_or_default();
    let words = world.split_whitespace().filter(|it| !it.starts_with('!'));
    let hold = |it: &str| {
        let end = it.find(['=', '<', '>', '~'])?;
        Some(Hold {
            package: it.get(..end)?.to_owned(),
            by: format!("{it} in /etc/apk/world"),
        })
    };
    words.filter_map(hold).take(1000).collect()
}

fn held_by<'a>(holds: &'a [Hold], name: &str) -> Option<&'a str> {
    let hold = holds.iter().find(|it| it.package == name)?;
    Some(hold.by.as_str())
}

/// Configuration files of packages that are not as they came: `apk audit` says `U etc/motd`, and who owns that is asked.
fn changed(host: &dyn Inspect, packages: &BTreeSet<&str>) -> Result<Vec<Conffile>, ModuleError> {
    let audit = ask(host, Program::new(["apk", "audit"]), ASK_MAX_S)?.stdout_text();
    let paths = audit.lines().filter_map(|it| it.strip_prefix("U "));
    let mut changed = Vec::new();
    for path in paths.take(CONFFILES_MAX) {
        let path = format!("/{path}");
        let who = Program::new(["apk", "info", "--who-owns", &path]);
        // `/etc/motd is owned by alpine-baselayout-data-3.4.3-r2`
        let said = ask(host, who, ASK_MAX_S)?.stdout_text();
        let owner = said.trim_end().rsplit_once(" is owned by ").map(|it| it.1);
        let name = owner.and_then(|it| Some(it.rsplit_once('-')?.0.rsplit_once('-')?.0));
        if let Some(package) = name.filter(|it| packages.contains(it)).map(str::to_owned) {
            changed.push(Conffile { path, package });
        }
    }
    Ok(changed)
}

fn locks(host: &dyn Inspect) -> Vec<Lock> {
    vec![Lock::File(format!("{}/lock", directory(host)))]
}

impl PackageManager for Apk {
    fn kind(&self) -> Manager {
        Manager::Apk
    }

    fn is_here(&self, host: &dyn Inspect) -> bool {
        exists(host, format!("{}/installed", directory(host)))
            && hostler_probes::program(host, "apk").is_some()
    }

    fn installed(&self, host: &dyn Inspect) -> Result<BTreeMap<PackageName, String>, ModuleError> {
        let database = Database::read(host)?;
        let all = database.packages.iter();
        let name = |it: &String| package(it, &database);
        Ok(all
            .map(|(it, package)| (name(it), package.version.clone()))
            .collect())
    }

    fn survey(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        refresh: bool,
    ) -> Result<Survey, ModuleError> {
        let mut survey = Survey {
            holds: holds(host),
            ..Survey::default()
        };
        if refresh {
            let make = Program::new(["mkdir", "-p", &metadata.display().to_string()]);
            ask_well(host, make, ASK_MAX_S)?;
            let update = program(metadata, ["update"]);
            let shown = update.shown().to_string();
            let output = ask(host, update, REFRESH_MAX_S)?;
            let said = output.stdout_text() + "\n" + &output.stderr_text();
            let is_stale = |it: &&str| it.starts_with("WARNING:") || it.starts_with("ERROR:");
            let stale = said.lines().filter(is_stale).take(20);
            survey.findings = stale.map(|it| finding("stale-index", it)).collect();
            if !output.success() && !said.contains("unavailable") {
                return Err(failed(&shown, &output));
            }
        }
        survey.repositories = repositories(host, metadata);
        let database = Database::read(host)?;
        let upgrade = offline(metadata, ["upgrade", "--simulate", "--no-self-upgrade"]);
        let output = ask(host, upgrade, ASK_MAX_S)?;
        let said = output.stdout_text();
        let steps = if is_whole(&said) {
            steps(&said)
        } else {
            let why = last_lines(&output);
            let text = format!("apk would not upgrade this host today: {why}");
            survey.findings.push(finding("unsolved", text));
            Vec::new()
        };
        let would = steps.iter().filter(|it| !it.downgrade);
        let would = would.filter_map(|it| Some((it.name.as_str(), it.to.as_deref()?, None)));
        let mut updates: Vec<Update> = would
            .map(|(name, to, reason)| update(name, to, reason, &database))
            .collect();
        let newer_ones = offline(metadata, ["version", "-l", "<"]);
        for (name, to) in newer(&ask_well(host, newer_ones, ASK_MAX_S)?) {
            if updates.iter().any(|it| it.package.name == name) {
                continue;
            }
            let reason = match held_by(&survey.holds, &name) {
                Some(by) => format!("held by {by}"),
                None => "an ordinary upgrade would leave it as it is".to_owned(),
            };
            updates.push(update(&name, &to, Some(reason), &database));
        }
        hostler_value::order::sort_by(&mut updates, |a, b| a.package.cmp(&b.package));
        let names = updates.iter().map(|it| it.package.name.as_str());
        survey.conffiles = changed(host, &names.collect())?;
        survey.updates = updates;
        Ok(survey.completed())
    }

    fn resolve(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        wanted: &[Wanted],
    ) -> Result<Resolution, ModuleError> {
        let database = Database::read(host)?;
        let holds = holds(host);
        let mut resolution = Resolution::default();
        let mut open: Vec<(&Wanted, &str)> = Vec::new();
        for it in wanted {
            let Some(version) = &it.version else { continue };
            let installed = database.packages.get(&it.package.name);
            match held_by(&holds, &it.package.name) {
                _ if installed.is_some_and(|it| it.version == *version) => {}
                Some(by) => {
                    let reason = format!("it is held: {by}");
                    resolution.impossible.push((it.package.clone(), reason));
                }
                None => open.push((it, version)),
            }
        }
        let mut found = simulate(host, metadata, open, &database, &mut resolution)?;
        let removed = wanted.iter().filter(|it| it.version.is_none());
        let is_open = |name: &String| {
            database.packages.contains_key(name) && !found.iter().any(|it| it.name == *name)
        };
        let removed = removed.map(|it| it.package.name.clone()).filter(is_open);
        let removed: Vec<String> = removed.map(|it| word(&it)).collect();
        if !removed.is_empty() {
            let head = ["del", "--simulate", "--"];
            let arguments = head.into_iter().chain(removed.iter().map(String::as_str));
            let output = ask(host, offline(metadata, arguments), ASK_MAX_S)?;
            let said = output.stdout_text();
            if is_whole(&said) {
                found.extend(steps(&said));
            } else {
                let why = last_lines(&output);
                let gone = wanted.iter().filter(|it| it.version.is_none());
                let gone = gone.map(|it| (it.package.clone(), why.clone()));
                resolution.impossible.extend(gone);
            }
        }
        conclude(host, &found, wanted, &database, &mut resolution)?;
        Ok(resolution)
    }

    fn database(&self, host: &dyn Inspect) -> Result<DatabaseState, ModuleError> {
        let database = Database::read(host)?;
        let broken = database.packages.iter().filter(|it| it.1.broken);
        let broken: Vec<&str> = broken.map(|it| it.0.as_str()).take(20).collect();
        if broken.is_empty() {
            return Ok(DatabaseState::Whole);
        }
        let text = format!("apk could not end its work on {}", broken.join(", "));
        Ok(DatabaseState::Interrupted(text))
    }

    fn lock_holder(&self, host: &dyn Inspect) -> Option<PatchLock> {
        locks::holder(host, &locks(host))
    }

    fn repair(&self) -> Vec<Program> {
        vec![Program::new([
            "apk",
            "--no-progress",
            "--wait",
            WAIT_S,
            "fix",
        ])]
    }

    fn exact(&self, package: &PackageName, version: &str) -> Option<String> {
        Some(spec(package, version))
    }

    fn fetch_new(&self, exact: &[String], metadata: &Path, to: &Path) -> Vec<Program> {
        vec![fetch(metadata, to, exact)]
    }

    fn gone(&self) -> &'static [&'static str] {
        // apk 2 and apk 3.
        &["package mentioned in index not found", "HTTP 404: "]
    }

    fn fetch_old(
        &self,
        package: &PackageName,
        version: &str,
        metadata: &Path,
        to: &Path,
    ) -> Option<Program> {
        Some(fetch(metadata, to, &[spec(package, version)]))
    }

    fn install(
        &self,
        actions: &[Action],
        from: &Path,
        conffiles: Conffiles,
        locks_wait_s: u64,
    ) -> Vec<Program> {
        let lowers = actions.iter().any(|it| it.kind == ActionKind::Downgrade);
        let available = if lowers { "--available" } else { "" };
        let mut arguments = vec![from.display().to_string(), locks_wait_s.to_string()];
        arguments.push(available.to_owned());
        for action in actions {
            let name = word(&action.package.name);
            match &action.to {
                Some(to) => arguments.push(format!("{name}-{}.apk", word(to))),
                None => arguments.push(format!("!{name}")),
            }
        }
        let shown = format!("apk upgrade ({} packages)", actions.len());
        let programs = vec![script(INSTALL, &shown, arguments)];
        let mark = from.join(".before").display().to_string();
        conffiles::around(programs, conffiles, &mark, ".apk-new", ".apk-old")
    }

    fn conffiles_left(&self, host: &dyn Inspect) -> Result<Vec<String>, ModuleError> {
        conffiles::left(host, &[".apk-new"])
    }

    fn pins_versions(&self) -> bool {
        false
    }
}

/// Upgrades from a repository made of files in `$1`, waiting for a lock `$2` seconds; `$3` is `--available` if versions
/// become lower. What follows is a file, or `!` and a package that goes (unless it went by itself). The index of that
/// repository is signed by nobody; the files were verified when they were downloaded.
const INSTALL: &str = r#"cd "$1" || exit 1
wait=$2; available=$3; shift 3
arch=$(apk --print-arch) || exit 1
repository=$PWD/.repository
rm -rf .repository && mkdir -p ".repository/$arch" || exit 1
gone=; files=
for it; do
    case $it in
    !*) gone="$gone ${it#!}" ;;
    *) [ -f "$it" ] || { echo "$it is not there" >&2; exit 1; }
        ln "$it" ".repository/$arch/$it" || exit 1; files=yes ;;
    esac
done
if [ -n "$files" ]; then
    apk --allow-untrusted index --rewrite-arch "$arch" -o ".repository/$arch/APKINDEX.tar.gz" ".repository/$arch"/*.apk || exit 1
    # `--available` takes versions out of `world`; they are the host's.
    cp -p /etc/apk/world .world || exit 1
    # shellcheck disable=SC2086 # an option, or nothing
    apk --no-progress --wait "$wait" --no-network --no-cache --allow-untrusted --repositories-file /dev/null \
        --repository "$repository" upgrade --no-self-upgrade $available
    status=$?
    [ -z "$available" ] || cmp -s .world /etc/apk/world || cp -p .world /etc/apk/world || exit 1
    [ "$status" = 0 ] || exit "$status"
fi
for it in $gone; do
    ! apk info -e "$it" >/dev/null 2>&1 || apk --no-progress --wait "$wait" --no-network del "$it" || exit 1
done
rm -rf .repository"#;

fn package(name: &str, database: &Database) -> PackageName {
    PackageName {
        name: name.to_owned(),
        arch: database.arch.clone(),
    }
}

fn spec(package: &PackageName, version: &str) -> String {
    format!("{}={}", word(&package.name), word(version))
}

/// A program that downloads; apk verifies what it gets against the index, and its signature.
fn fetch(metadata: &Path, to: &Path, specs: &[String]) -> Program {
    let directory = to.display().to_string();
    // Minutes: the indexes are those that were simulated with, however old.
    let head = [
        "--cache-max-age",
        "5000000",
        "fetch",
        "--output",
        &directory,
        "--",
    ];
    program(
        metadata,
        head.into_iter().chain(specs.iter().map(String::as_str)),
    )
}

fn update(name: &str, to: &str, kept_back: Option<String>, database: &Database) -> Update {
    let installed = database.packages.get(name);
    Update {
        package: package(name, database),
        from: installed.map(|it| it.version.clone()),
        to: to.to_owned(),
        suites: Vec::new(),
        class: Class::Unknown,
        security_version: None,
        severity: None,
        advisories: Vec::new(),
        cves: Vec::new(),
        download_bytes: 0,
        kept_back,
        phased_percent: None,
        source: None,
    }
}

/// What apk would do to bring the wanted versions. What cannot be had is noted.
fn simulate(
    host: &dyn Inspect,
    metadata: &Path,
    open: Vec<(&Wanted, &str)>,
    database: &Database,
    resolution: &mut Resolution,
) -> Result<Vec<Step>, ModuleError> {
    let names = open.iter().map(|it| it.0.package.name.as_str());
    let names = names.filter(|it| database.packages.contains_key(*it));
    let names: Vec<String> = names.map(word).collect();
    let mut found = Vec::new();
    let mut why = "apk would not bring it: nothing that is installed asks for it".to_owned();
    if !names.is_empty() {
        let head = ["upgrade", "--simulate", "--no-self-upgrade", "--"];
        let arguments = head.into_iter().chain(names.iter().map(String::as_str));
        let output = ask(host, offline(metadata, arguments), ASK_MAX_S)?;
        let said = output.stdout_text();
        if is_whole(&said) {
            found = steps(&said);
        } else {
            why = last_lines(&output);
        }
    }
    for (it, version) in open {
        let step = found.iter().find(|step| step.name == it.package.name);
        let reason = match step.and_then(|it| it.to.as_deref()) {
            Some(to) if to == version => continue,
            Some(to) => format!("this version is in no source any more; {to} is"),
            None if found.is_empty() => why.clone(),
            None => "this version is in no source any more".to_owned(),
        };
        resolution.impossible.push((it.package.clone(), reason));
    }
    // What is not as wanted does not come either: apk cannot be asked for a part of it.
    let is_impossible = |step: &Step| {
        let mut all = resolution.impossible.iter();
        all.any(|it| it.0.name == step.name)
    };
    found.retain(|it| !is_impossible(it));
    Ok(found)
}

/// Makes a resolution of the steps of a transaction.
fn conclude(
    host: &dyn Inspect,
    found: &[Step],
    wanted: &[Wanted],
    database: &Database,
    resolution: &mut Resolution,
) -> Result<(), ModuleError> {
    let mut way_back = WayBack::default();
    let mut touched = BTreeSet::new();
    for step in found {
        let name = package(&step.name, database);
        let kind = match (&step.from, &step.to) {
            (_, None) => ActionKind::Remove,
            (None, Some(_)) => ActionKind::Install,
            (Some(_), Some(_)) if step.downgrade => ActionKind::Downgrade,
            (Some(_), Some(_)) => ActionKind::Upgrade,
        };
        if let Some(from) = &step.from {
            touched.insert(step.name.as_str());
            way_back.of += 1;
            let file = format!("{PACKAGES}/{}-{}.apk", word(&step.name), word(from));
            if exists(host, file) {
                way_back.packages += 1;
            } else {
                way_back.missing.push(name.clone());
            }
        }
        resolution.actions.push(Action {
            dependency: !wanted.iter().any(|it| it.package.name == step.name),
            package: name,
            kind,
            from: step.from.clone(),
            to: step.to.clone(),
            suites: Vec::new(),
            class: Class::Unknown,
            download_bytes: 0,
            sha256: None,
        });
    }
    hostler_value::order::sort(&mut resolution.actions);
    way_back.snapshot = snapshot_provider(host);
    way_back.older_kernel = has_older(host, &resolution.actions);
    resolution.way_back = way_back;
    if !touched.is_empty() {
        resolution.conffiles = changed(host, &touched)?;
    }
    forecast(host, &database.files(&touched), resolution);
    Ok(())
}
