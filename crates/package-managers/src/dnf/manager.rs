//! dnf as a [`PackageManager`].

use std::collections::BTreeMap;
use std::path::Path;

use hostler_change::{CommandOutput, Program};
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::exists;
use hostler_updates::{
    Action, ActionKind, Conffiles, DatabaseState, Manager, PackageName, PatchLock, Resolution,
};

use super::table::Table;
use super::{Dnf, ROUNDS_MAX, held_by, holds, stale};
use crate::ask::{ASK_MAX_S, REFRESH_MAX_S, ask, ask_well, failed, last_lines, script};
use crate::locks::{self, Lock};
use crate::rpm::{self, Advisories, Installed, Row, Section};
use crate::{PackageManager, Survey, Wanted, conffiles};

impl PackageManager for Dnf {
    fn kind(&self) -> Manager {
        Manager::Dnf
    }

    fn is_here(&self, host: &dyn Inspect) -> bool {
        let link = host.read_link(Path::new("/usr/bin/dnf")).ok().flatten();
        let is_five = exists(host, "/usr/bin/dnf5")
            && (link.is_some_and(|it| it.ends_with("dnf5")) || !exists(host, "/usr/bin/dnf"));
        if self.five {
            is_five
        } else {
            !is_five && exists(host, "/usr/bin/dnf")
        }
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
            // `-y`: keys that sign indexes are taken from where the repository's settings say, into this directory.
            let program = self.program(metadata, ["-y", "makecache", "--refresh"]);
            let shown = program.shown().to_string();
            let output = ask(host, program, REFRESH_MAX_S)?;
            survey.findings = stale(&output);
            if !output.success() {
                return Err(failed(&shown, &output));
            }
        }
        survey.repositories = self.repositories(host, metadata)?;
        let installed = Installed::read(host)?;
        let table = self.simulate(host, metadata, &["upgrade"])?;
        let table = whole(&table)?;
        let offers = self.offers(host, metadata, &["--upgrades".to_owned()])?;
        let advisories = self.advisories(host, metadata)?;
        let held = |name: &str| held_by(&survey.holds, name).map(|it| it.by.clone());
        survey.updates = rpm::updates(&table.rows, &installed, (&offers, &advisories), held);
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
        let mut resolution = Resolution::default();
        let mut rows = self.install_rows(host, metadata, wanted, &installed, &mut resolution)?;
        let by_name = installed.by_name();
        // What has to go for what is installed does not have to be asked for.
        let goes = |package: &PackageName| {
            let mut gone = rows.iter().flat_map(|row| {
                let own = (row.name.clone(), row.arch.clone(), row.evr.clone());
                let own = (row.section == Section::Remove).then_some(own);
                own.into_iter().chain(row.replaces.iter().cloned())
            });
            gone.any(|(name, arch, evr)| installed.called(&name, &arch, &evr) == *package)
        };
        let removed = wanted
            .iter()
            .filter(|it| it.version.is_none() && !goes(&it.package));
        let removed =
            removed.filter_map(|it| Some(rpm::spec(&it.package, by_name.get(&it.package)?)));
        let removed: Vec<String> = removed.collect();
        if !removed.is_empty() {
            let mut arguments = vec!["remove", "--setopt=clean_requirements_on_remove=0"];
            arguments.extend(removed.iter().map(String::as_str));
            let output = self.simulate(host, metadata, &arguments)?;
            let table = Table::parse(&output.stdout_text());
            if table.is_whole {
                rows.extend(table.rows);
            } else {
                // A package that dnf protects: itself, the kernel that runs.
                let why = last_lines(&output);
                let gone = wanted.iter().filter(|it| it.version.is_none());
                let gone = gone.map(|it| (it.package.clone(), why.clone()));
                resolution.impossible.extend(gone);
            }
        }
        if rows.is_empty() {
            return Ok(resolution);
        }
        let touched = rpm::touched(&rows, &installed).into_iter();
        let specs = touched.map(|(name, arch, evr)| rpm::spec(&PackageName { name, arch }, &evr));
        let offers = self.offers(host, metadata, &specs.collect::<Vec<_>>())?;
        let advisories = self.advisories(host, metadata)?;
        let known = (&offers, &advisories);
        rpm::conclude(host, &rows, wanted, &installed, known, &mut resolution)?;
        Ok(resolution)
    }

    fn database(&self, host: &dyn Inspect) -> Result<DatabaseState, ModuleError> {
        rpm::database(host)
    }

    fn lock_holder(&self, host: &dyn Inspect) -> Option<PatchLock> {
        locks::holder(host, &self.locks())
    }

    fn repair(&self) -> Vec<Program> {
        rpm::repair()
    }

    fn exact(&self, package: &PackageName, version: &str) -> Option<String> {
        Some(rpm::spec(package, version))
    }

    fn fetch_new(&self, exact: &[String], metadata: &Path, to: &Path) -> Vec<Program> {
        self.fetch("install", exact, metadata, to)
    }

    fn gone(&self) -> &'static [&'static str] {
        // By HTTP, from a directory, and where no repository lists it either.
        &[
            "Status code: 404",
            "Curl error (37)",
            "No match for argument: ",
        ]
    }

    fn fetch_old(
        &self,
        package: &PackageName,
        version: &str,
        metadata: &Path,
        to: &Path,
    ) -> Option<Program> {
        let spec = rpm::spec(package, version);
        Some(in_a_row(&self.fetch("reinstall", &[spec], metadata, to)))
    }

    fn install(
        &self,
        actions: &[Action],
        from: &Path,
        conffiles: Conffiles,
        locks_wait_s: u64,
    ) -> Vec<Program> {
        let name = if self.five { "dnf5" } else { "dnf" };
        let files = |is_it: fn(ActionKind) -> bool| -> Vec<String> {
            let those = actions.iter().filter(|it| is_it(it.kind));
            let files = those.filter_map(|it| Some(rpm::file_name(&it.package, it.to.as_deref()?)));
            files
                .map(|it| from.join(it).display().to_string())
                .collect()
        };
        let transaction = |verb: &str, files: &[String]| {
            let head = [name, "-C", "-y", "--disablerepo=*", "--setopt=best=0", verb];
            let head = head.map(str::to_owned).into_iter();
            (!files.is_empty()).then(|| Program::new(head.chain(files.iter().cloned())))
        };
        let new = files(|it| matches!(it, ActionKind::Upgrade | ActionKind::Install));
        let lower = files(|it| it == ActionKind::Downgrade);
        let (lower, new) = (
            transaction("downgrade", &lower),
            transaction("install", &new),
        );
        let remove = rpm::remove(actions);
        let new = match (&new, &remove) {
            (Some(new), Some(remove)) => Some(unless_obsolete(new, remove)),
            _ => new,
        };
        let programs = [lower, new, remove].into_iter().flatten().collect();
        let mark = from.join(".before").display().to_string();
        let programs = conffiles::around(programs, conffiles, &mark, ".rpmnew", ".rpmsave");
        let wait = locks::wait(&self.locks(), locks_wait_s);
        std::iter::once(wait).chain(programs).collect()
    }

    fn conffiles_left(&self, host: &dyn Inspect) -> Result<Vec<String>, ModuleError> {
        conffiles::left(host, &[".rpmnew", ".rpmsave", ".rpmorig"])
    }

    fn pins_versions(&self) -> bool {
        true
    }
}

/// Installs. What has taken the place of a package that is to come back (it "obsoletes" it) has to go before.
const UNLESS_OBSOLETE: &str = r#"out=$(eval "$1" 2>&1) && status=0 || status=$?
printf '%s\n' "$out"
case $status$out in 0*) exit 0 ;; *obsoletes*) ;; *) exit "$status" ;; esac
eval "$2" && eval "$1""#;

/// A program as a line for the shell.
fn words(it: &Program) -> String {
    let plain = Program::new(it.argv.iter().cloned());
    plain.shown().to_string()
}

fn unless_obsolete(install: &Program, remove: &Program) -> Program {
    let shown = install.shown().to_string();
    script(UNLESS_OBSOLETE, &shown, [words(install), words(remove)])
}

/// Programs one after another, as one.
fn in_a_row(programs: &[Program]) -> Program {
    let lines: Vec<String> = programs.iter().map(words).collect();
    let shown = programs.first().map(|it| it.shown().to_string());
    script(
        &format!("set -e\n{}", lines.join("\n")),
        &shown.unwrap_or_default(),
        [],
    )
}

/// The table of a simulation that came to its end.
fn whole(output: &CommandOutput) -> Result<Table, ModuleError> {
    let table = Table::parse(&output.stdout_text());
    if table.is_whole {
        return Ok(table);
    }
    Err(failed("the simulation by dnf", output))
}

impl Dnf {
    fn locks(&self) -> Vec<Lock> {
        let mut locks = rpm::locks();
        if self.five {
            locks.push(Lock::File("/run/dnf/rpmtransaction.lock".into()));
        } else {
            locks.push(Lock::Pid("/var/lib/dnf/rpmdb_lock.pid"));
            locks.push(Lock::Pid("/var/cache/dnf/download_lock.pid"));
        }
        locks
    }

    fn advisories(&self, host: &dyn Inspect, metadata: &Path) -> Result<Advisories, ModuleError> {
        let verb = if self.five { "advisory" } else { "updateinfo" };
        let list = |more: &[&str]| {
            let arguments = ["-q", verb, "list"].into_iter().chain(more.iter().copied());
            ask_well(host, self.offline(metadata, arguments), ASK_MAX_S)
        };
        Ok(Advisories::parse(&list(&[])?, &list(&["--with-cve"])?))
    }

    /// Programs that put package files into a directory, with their signatures verified as the repository's settings
    /// demand. dnf 4 verifies what it only downloads; dnf 5 does not, but tests a whole transaction if asked to.
    fn fetch(&self, verb: &str, specs: &[String], metadata: &Path, to: &Path) -> Vec<Program> {
        let directory = to.display().to_string();
        let destination = format!("--downloaddir={directory}");
        let mut arguments = vec!["-y", "--setopt=*.metadata_expire=-1", "--setopt=best=0"];
        if self.five {
            arguments.extend(["--setopt=keepcache=1", "--setopt=tsflags=test", verb]);
        } else {
            arguments.extend([verb, "--downloadonly", &destination]);
        }
        arguments.extend(specs.iter().map(String::as_str));
        let fetch = self.program(metadata, arguments);
        let from = if self.five {
            format!("{}/*/packages", metadata.display())
        } else {
            directory.clone()
        };
        vec![fetch, rpm::collect(&directory, &[from])]
    }

    /// What dnf would do to install the wanted versions. Those that cannot be had are noted, and left out.
    fn install_rows(
        &self,
        host: &dyn Inspect,
        metadata: &Path,
        wanted: &[Wanted],
        installed: &Installed,
        resolution: &mut Resolution,
    ) -> Result<Vec<Row>, ModuleError> {
        let mut left: Vec<(&Wanted, String)> = Vec::new();
        for it in wanted {
            let Some(version) = &it.version else { continue };
            let name = rpm::real_name(&it.package, version);
            if installed.version(name, &it.package.arch, version).is_none() {
                left.push((it, rpm::spec(&it.package, version)));
            }
        }
        for _ in 0..ROUNDS_MAX {
            if left.is_empty() {
                return Ok(Vec::new());
            }
            let mut arguments = vec!["install"];
            arguments.extend(left.iter().map(|it| it.1.as_str()));
            let output = self.simulate(host, metadata, &arguments)?;
            let table = Table::parse(&output.stdout_text());
            let said = output.stdout_text() + "\n" + &output.stderr_text();
            let refused = |spec: &str| {
                if table.is_whole {
                    let is_it = |row: &Row| row.spec() == spec && row.section != Section::Skip;
                    let is_there = table.rows.iter().any(is_it);
                    return (!is_there).then(|| "dnf would not install this version".to_owned());
                }
                refusal(&said, spec)
            };
            let mut found: Vec<(&Wanted, String)> = Vec::new();
            left.retain(|(it, spec)| match refused(spec) {
                Some(reason) => {
                    found.push((it, reason));
                    false
                }
                None => true,
            });
            if found.is_empty() && table.is_whole {
                let rows = table.rows.into_iter();
                return Ok(rows.filter(|it| it.section != Section::Skip).collect());
            }
            if found.is_empty() {
                let reason = last_lines(&output);
                found = left.drain(..).map(|it| (it.0, reason.clone())).collect();
            }
            let found = found.into_iter().map(|(it, why)| (it.package.clone(), why));
            resolution.impossible.extend(found);
        }
        let rest = left.into_iter();
        let reason = "dnf finds no transaction with all that is wanted";
        let rest = rest.map(|it| (it.0.package.clone(), reason.to_owned()));
        resolution.impossible.extend(rest);
        Ok(Vec::new())
    }
}

/// Why dnf refuses a package, if it names that one.
pub(super) fn refusal(said: &str, spec: &str) -> Option<String> {
    let names_it = |line: &str| {
        let mut words = line.split([' ', '\'', '"', ',']);
        words.any(|it| it.trim_end_matches('.') == spec)
    };
    let line = said.lines().find(|it| names_it(it))?.trim();
    if line.contains("filtered out by exclude") || line.contains("excluded") {
        return Some("it is held: a version lock or an exclude keeps dnf from it".into());
    }
    if line.starts_with("No match for argument") {
        return Some("this version is in no source any more".into());
    }
    Some(line.trim_start_matches("- ").chars().take(300).collect())
}
