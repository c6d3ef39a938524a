//! zypper as a [`PackageManager`].

use std::collections::BTreeMap;
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::exists;
use hostler_updates::{
    Action, ActionKind, Conffiles, DatabaseState, Hold, Manager, PackageName, PatchLock, Resolution,
};

use super::{
    Reasons, Summary, Zypper, candidates, holds, in_words, look, names_of, offers, offline,
    patches, program, repos, repository, summary, with_repositories,
};
use crate::ask::{ASK_MAX_S, REFRESH_MAX_S, ask, failed, script, word};
use crate::locks::{self, Lock};
use crate::rpm::{self, Installed, Row};
use crate::xml::{decoded, tags};
use crate::{PackageManager, Survey, Wanted, conffiles, finding};

/// How often a transaction is simulated again without what cannot be had.
const ROUNDS_MAX: usize = 4;

impl PackageManager for Zypper {
    fn kind(&self) -> Manager {
        Manager::Zypper
    }

    fn is_here(&self, host: &dyn Inspect) -> bool {
        exists(host, "/usr/bin/zypper")
    }

    fn installed(&self, host: &dyn Inspect) -> Result<BTreeMap<PackageName, String>, ModuleError> {
        Ok(Installed::read(host)?.by_name())
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
            let program = program(metadata, ["refresh"]);
            let shown = program.shown().to_string();
            let output = ask(host, program, REFRESH_MAX_S)?;
            let said = in_words(&output);
            match output.rc {
                0 => {}
                // Some repositories were left out.
                106 => survey.findings.push(finding(
                    "stale-index",
                    format!("zypper refresh: {}", crate::ask::last_lines(&said)),
                )),
                _ => return Err(failed(&shown, &said)),
            }
        }
        let repos = repos(host, metadata)?;
        let all = repos.iter().map(|it| repository(host, metadata, it));
        survey.repositories = all.collect();
        let installed = Installed::read(host)?;
        let candidates = candidates(&look(host, metadata, ["list-updates", "--all"])?);
        let said = look(host, metadata, ["update", "--dry-run"])?;
        let mut summary = summary(&said);
        if !summary.is_whole {
            let text = "zypper update finds no way by itself; what it would do is not known";
            survey.findings.push(finding("unsolved", text));
        }
        let offers = offers(host, metadata, &repos, &names_of(&summary.rows))?;
        with_repositories(&mut summary.rows, &offers);
        let advisories = patches::advisories(host, metadata)?;
        let held = |name: &str| {
            let is_it = |it: &&Hold| match it.package.split_once('*') {
                Some((start, _)) => name.starts_with(start),
                None => it.package == name,
            };
            survey.holds.iter().find(is_it).map(|it| it.by.clone())
        };
        let known = (&candidates, &advisories);
        survey.updates = rpm::updates(&summary.rows, &installed, known, held);
        survey.conffiles = rpm::conffiles_of(host, &survey.updates)?;
        Ok(survey.completed())
    }

    fn resolve(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        wanted: &[Wanted],
    ) -> Result<Resolution, ModuleError> {
        let installed = Installed::read(host)?;
        let repos = repos(host, metadata)?;
        let by_name = installed.by_name();
        let names = wanted.iter().filter_map(|it| {
            let version = it.version.as_deref()?;
            Some(word(rpm::real_name(&it.package, version)))
        });
        let offers_of_wanted = offers(host, metadata, &repos, &names.collect())?;
        let mut resolution = Resolution::default();
        let mut open: Vec<(&Wanted, Spec)> = Vec::new();
        for it in wanted {
            let arch = it.package.arch.clone();
            match &it.version {
                None => {
                    if let Some(version) = by_name.get(&it.package) {
                        open.push((it, Spec::removal(&it.package, version)));
                    }
                }
                Some(version) => {
                    let name = rpm::real_name(&it.package, version).to_owned();
                    if installed.version(&name, &arch, version).is_some() {
                        continue;
                    }
                    if offers_of_wanted.contains_key(&(name, arch, version.clone())) {
                        open.push((it, Spec::new(&it.package, version)));
                    } else {
                        let reason = "this version is in no source any more".to_owned();
                        resolution.impossible.push((it.package.clone(), reason));
                    }
                }
            }
        }
        let mut summary = simulate(host, metadata, open, &mut resolution)?;
        if summary.rows.is_empty() {
            return Ok(resolution);
        }
        let offers = offers(host, metadata, &repos, &names_of(&summary.rows))?;
        with_repositories(&mut summary.rows, &offers);
        let advisories = patches::advisories(host, metadata)?;
        let known = (&offers, &advisories);
        rpm::conclude(
            host,
            &summary.rows,
            wanted,
            &installed,
            known,
            &mut resolution,
        )?;
        // zypper says what the whole takes, not each package.
        resolution.download_bytes = summary.download_bytes;
        resolution.disk_bytes = summary.disk_bytes;
        Ok(resolution)
    }

    fn database(&self, host: &dyn Inspect) -> Result<DatabaseState, ModuleError> {
        rpm::database(host)
    }

    fn lock_holder(&self, host: &dyn Inspect) -> Option<PatchLock> {
        locks::holder(host, &locks())
    }

    fn repair(&self) -> Vec<Program> {
        rpm::repair()
    }

    fn exact(&self, package: &PackageName, version: &str) -> Option<String> {
        Some(Spec::new(package, version).text)
    }

    fn fetch_new(&self, exact: &[String], metadata: &Path, to: &Path) -> Vec<Program> {
        let cache = metadata.join("packages").display().to_string();
        let head = [
            "--no-refresh",
            "--pkg-cache-dir",
            &cache,
            "install",
            "--download-only",
        ];
        let more = ["--oldpackage", "--auto-agree-with-licenses", "--"];
        let arguments = head.into_iter().chain(more);
        let fetch = program(metadata, arguments.chain(exact.iter().map(String::as_str)));
        vec![run(&fetch), collect(&cache, to)]
    }

    fn gone(&self) -> &'static [&'static str] {
        &["not found on medium"]
    }

    fn fetch_old(
        &self,
        package: &PackageName,
        version: &str,
        metadata: &Path,
        to: &Path,
    ) -> Option<Program> {
        let cache = metadata.join("packages").display().to_string();
        let spec = Spec::new(package, version).text;
        let arguments = [
            "--no-refresh",
            "--pkg-cache-dir",
            &cache,
            "download",
            "--",
            &spec,
        ];
        let fetch = program(metadata, arguments);
        let file = to.join(rpm::file_name(package, version));
        // A package that is not to be had is no failure to zypper.
        let lines = [
            "set -e".to_owned(),
            words(&run(&fetch)),
            words(&collect(&cache, to)),
            format!(
                "test -f {}",
                words(&Program::new([file.display().to_string()]))
            ),
        ];
        let shown = fetch.shown().to_string();
        Some(script(&lines.join("\n"), &shown, []))
    }

    fn install(
        &self,
        actions: &[Action],
        from: &Path,
        conffiles: Conffiles,
        locks_wait_s: u64,
    ) -> Vec<Program> {
        let directory = from.display().to_string();
        let mut arguments = vec![directory, locks_wait_s.to_string()];
        for action in actions {
            if let Some(to) = &action.to {
                arguments.push(rpm::file_name(&action.package, to));
            } else if let (ActionKind::Remove, Some(old)) = (action.kind, &action.from) {
                arguments.push(format!("!{}", rpm::spec(&action.package, old)));
                arguments.push(Spec::removal(&action.package, old).text);
            }
        }
        let shown = format!("zypper install ({} packages)", actions.len());
        let programs = vec![
            locks::wait(&locks(), locks_wait_s),
            script(INSTALL, &shown, arguments),
        ];
        let mark = from.join(".before").display().to_string();
        conffiles::around(programs, conffiles, &mark, ".rpmnew", ".rpmsave")
    }

    fn conffiles_left(&self, host: &dyn Inspect) -> Result<Vec<String>, ModuleError> {
        conffiles::left(host, &[".rpmnew", ".rpmsave", ".rpmorig"])
    }

    fn pins_versions(&self) -> bool {
        true
    }
}

fn locks() -> Vec<Lock> {
    let mut locks = vec![Lock::Pid("/run/zypp.pid")];
    locks.extend(rpm::locks());
    locks
}

/// Installs the files in `$1`, waiting for locks `$2` seconds. What follows is a file's name, or `!NEVRA` and how zypper
/// is told to remove that, which is only done if it is there. Repositories play no part. Statuses are zypper's: 102 and
/// 106 are no failures; after 103 zypper itself was replaced and wants to be run again.
const INSTALL: &str = r#"cd "$1" || exit 1
export ZYPP_LOCK_TIMEOUT="$2"; shift 2
mkdir -p .none && rm -f .none/* || exit 1
count=$#
while [ "$count" -gt 0 ]; do
    word=$1; shift; count=$((count - 1))
    case $word in
    !*) removal=$1; shift; count=$((count - 1))
        ! rpm -q "${word#!}" >/dev/null 2>&1 || set -- "$@" "$removal" ;;
    *) [ -f "$word" ] || { echo "$word is not there" >&2; exit 1; }
        set -- "$@" "./$word" ;;
    esac
done
[ $# -gt 0 ] || exit 0
for try in 1 2 3; do
    zypper --non-interactive --no-refresh --reposd-dir "$PWD/.none" install --oldpackage --allow-unsigned-rpm \
        --auto-agree-with-licenses --no-recommends -- "$@"
    status=$?
    case $status in 103) ;; 100 | 101 | 102 | 106) exit 0 ;; *) exit "$status" ;; esac
done
exit "$status""#;

/// Runs zypper with the statuses that are no failure taken for success.
const RUN: &str =
    r#""$@"; status=$?; case $status in 100 | 101 | 102 | 103 | 106) ;; *) exit "$status" ;; esac"#;

fn run(program: &Program) -> Program {
    let shown = program.shown().to_string();
    let mut run = script(RUN, &shown, program.argv.iter().cloned());
    run.env.clone_from(&program.env);
    run
}

/// A program as a line for the shell.
fn words(program: &Program) -> String {
    let mut argv = vec!["env".to_owned()];
    argv.extend(
        program
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    if program.env.is_empty() {
        argv.clear();
    }
    argv.extend(program.argv.iter().cloned());
    Program::new(argv).shown().to_string()
}

/// Files are in directories of their repositories, and those may have more.
fn collect(cache: &str, to: &Path) -> Program {
    let depths = ["/*", "/*/*", "/*/*/*"].map(|it| format!("{cache}{it}"));
    rpm::collect(&to.display().to_string(), &depths)
}

/// A package in a version, as zypper takes it.
struct Spec {
    text: String,
    /// As zypper's explanations name it.
    nevra: String,
    removal: bool,
}

impl Spec {
    fn new(package: &PackageName, version: &str) -> Self {
        let name = rpm::real_name(package, version);
        let (name, arch) = (word(name), word(&package.arch));
        let version = word(version);
        Spec {
            text: format!("{name}.{arch}={version}"),
            nevra: rpm::spec(package, &version),
            removal: false,
        }
    }

    fn removal(package: &PackageName, version: &str) -> Self {
        let spec = Self::new(package, version);
        Spec {
            text: format!("!{}", spec.text),
            removal: true,
            ..spec
        }
    }
}

/// Simulates until what is left can be had; what cannot is noted.
fn simulate(
    host: &dyn Inspect,
    metadata: &Path,
    mut open: Vec<(&Wanted, Spec)>,
    resolution: &mut Resolution,
) -> Result<Summary, ModuleError> {
    for _ in 0..ROUNDS_MAX {
        if open.is_empty() {
            return Ok(Summary::default());
        }
        let head = [
            "install",
            "--dry-run",
            "--oldpackage",
            "--auto-agree-with-licenses",
            "--",
        ];
        let arguments = head
            .into_iter()
            .chain(open.iter().map(|it| it.1.text.as_str()));
        let output = ask(host, offline(metadata, arguments), ASK_MAX_S)?;
        let said = output.stdout_text();
        let summary = summary(&said);
        let reasons = reasons(&said, &open);
        let reason = |spec: &Spec| {
            if !summary.is_whole {
                return reasons.get(&spec.nevra).cloned();
            }
            let is_it = |row: &Row| row.spec() == spec.nevra;
            let is_there = spec.removal || summary.rows.iter().any(is_it);
            (!is_there).then(|| "zypper would not install this version".to_owned())
        };
        let mut found: Vec<(PackageName, String)> = Vec::new();
        open.retain(|(it, spec)| match reason(spec) {
            Some(reason) => {
                found.push((it.package.clone(), reason));
                false
            }
            None => true,
        });
        if found.is_empty() && summary.is_whole {
            return Ok(summary);
        }
        if found.is_empty() {
            let why = crate::ask::last_lines(&in_words(&output));
            let all = open.drain(..).filter(|it| !it.1.removal);
            found = all.map(|it| (it.0.package.clone(), why.clone())).collect();
        }
        resolution.impossible.extend(found);
    }
    let reason = "zypper finds no transaction with all that is wanted";
    let rest = open
        .into_iter()
        .map(|it| (it.0.package.clone(), reason.to_owned()));
    resolution.impossible.extend(rest);
    Ok(Summary::default())
}

/// Why packages cannot be had, by how zypper names them in its explanations.
fn reasons(said: &str, open: &[(&Wanted, Spec)]) -> Reasons {
    let mut reasons = Reasons::new();
    // `Problem: nothing provides 'x' needed by the to be installed broken-2-1.noarch` and solutions below it.
    let texts: Vec<String> = tags(said).map(|it| decoded(it.text)).collect();
    let said = texts.join("\n");
    for (_, spec) in open {
        let names_it = |line: &&str| {
            let mut words = line.split([' ', '\'', '"', ',', '[', ']']);
            words.any(|it| it == spec.nevra || it == spec.text)
        };
        let lines: Vec<&str> = said.lines().filter(names_it).collect();
        let is_held = lines.iter().any(|it| it.contains("remove lock"));
        let problem = lines
            .iter()
            .find(|it| it.contains("Problem") || it.contains("provides"));
        let reason = match (is_held, problem.or(lines.first())) {
            (true, _) => "it is held: a lock of zypper keeps it".to_owned(),
            (false, Some(line)) => line.trim().chars().take(300).collect(),
            (false, None) => continue,
        };
        reasons.insert(spec.nevra.clone(), reason);
    }
    reasons
}
