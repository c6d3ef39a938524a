//! `patch_install`: carries out exactly the planned transaction, from files, without the network.

use std::path::PathBuf;

use hostler_change::Remove;
use hostler_module_api::prelude::*;
use hostler_package_managers::{PackageManager, Wanted};
use hostler_updates::{Action, Conffiles, DatabaseState, Installed, Resolution};

use crate::patching::job::{Job, Progress};
use crate::patching::manager::{InstalledVersions, list, parse_list};
use crate::patching::{
    files, locks, make_dirs, manager, mismatch, missing_dirs, one_line, private_file, run_dir,
    transaction, value_of,
};

/// Installs what was downloaded, if that is exactly what was planned; otherwise fails with `plan_mismatch:` and installs
/// nothing. The work goes on if the connection ends. Called again, it waits for work that still runs, and repairs and
/// completes work that was interrupted.
///
/// ```yaml
/// - patch_install:
///     actions: "{{ planned }}"
///     locks_wait_s: 600
///     run: "{{ run_id }}"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What is to be done to packages.
    actions: Vec<Action>,
    /// Patterns of packages that may be removed, if they are among `actions`.
    #[serde(default)]
    allow_remove: Vec<String>,
    /// What is done with configuration files that were changed by hand.
    #[serde(default)]
    conffiles: Conffiles,
    /// Seconds for which locks of other package managers are waited for.
    #[serde(default)]
    locks_wait_s: u64,
    /// The run.
    run: String,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_install")
}

pub(crate) struct This;

pub(crate) struct State {
    manager: &'static dyn PackageManager,
    dir: PathBuf,
    missing: Vec<PathBuf>,
    installed: InstalledVersions,
    /// What is not done yet.
    open: Vec<Action>,
    /// Lists from before the first attempt.
    before: Option<InstalledVersions>,
    conffiles_before: Vec<String>,
    conffiles_left: Vec<String>,
    /// The list from afterwards is kept.
    has_after: bool,
    job: (Job, Progress),
    repair: (Job, Progress),
    rollback: (Job, Progress),
    /// What is wrong with the package database.
    interrupted: Option<String>,
    /// What the package manager would do; `None` if that was not asked for.
    resolution: Option<Resolution>,
    /// What is wrong with package files.
    complaints: Vec<String>,
}

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_install";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        let dir = run_dir(&args.run)?;
        let manager = manager::manager(host)?;
        let with_progress = |verb| {
            let job = Job::new(&dir, &args.run, verb);
            let progress = job.look(host);
            (job, progress)
        };
        let (job, repair) = (with_progress("install"), with_progress("repair"));
        let rollback = with_progress("rollback");
        let is_running = job.1.running || repair.1.running;
        if !is_running && !transaction::open(&args.actions, &manager.installed(host)?).is_empty() {
            locks::wait(host, manager, args.locks_wait_s)?;
        }
        let installed = manager.installed(host)?;
        let kept = |name: &str| hostler_probes::text(host, dir.join(name));
        let mut state = State {
            manager,
            missing: missing_dirs(host, &dir)?,
            open: transaction::open(&args.actions, &installed),
            before: kept("before.txt").map(|it| parse_list(&it)),
            conffiles_before: lines(kept("conffiles-before.txt")),
            conffiles_left: Vec::new(),
            has_after: kept("after.txt").is_some(),
            installed,
            dir,
            job,
            repair,
            rollback,
            interrupted: None,
            resolution: None,
            complaints: Vec::new(),
        };
        if is_running {
            return Ok(state);
        }
        state.conffiles_left = manager.conffiles_left(host)?;
        if let DatabaseState::Interrupted(why) = manager.database(host)? {
            state.interrupted = Some(one_line(&why, 300));
        } else if !state.open.is_empty() && state.job.1.rc != Some(0) {
            let metadata = files::metadata(manager.kind());
            let wanted: Vec<Wanted> = state.open.iter().map(wanted).collect();
            state.resolution = Some(manager.resolve(host, &metadata, &wanted)?);
            state.complaints = complaints(host, manager, &state.open)?;
        }
        Ok(state)
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        for (job, progress) in [&now.job, &now.repair] {
            if progress.running {
                job.wait(&mut plan);
                return Ok(plan);
            }
        }
        if let Some(why) = &now.interrupted {
            if !now.job.1.begun {
                let msg = format!("the package database is not whole: {why}");
                return Err(ModuleError::new(msg)
                    .hint("something else was interrupted; `patch_preflight` can repair it"));
            }
            let (job, progress) = &now.repair;
            let deltas = vec![Delta::action("package database", "repair")];
            job.begin(&mut plan, progress, deltas, &[], &now.manager.repair())?;
            return Ok(plan);
        }
        if now.open.is_empty() {
            if now.job.1.begun && !now.has_after {
                let file = private_file(now.dir.join("after.txt"), list(&now.installed));
                plan.write(Vec::new(), file);
            }
            return Ok(plan);
        }
        if now.job.1.rc == Some(0) {
            let wrong = manager::not_as_planned(&now.open, &now.installed);
            let msg = format!("the installation ended well, but {}", wrong.join("; "));
            return Err(ModuleError::new(one_line(&msg, 2000)));
        }
        now.check(args)?;
        make_dirs(&mut plan, &now.missing);
        // A rollback that ended well: what follows is a new piece of work, and so is going back once more.
        let anew = now.rollback.1.rc == Some(0);
        if now.before.is_none() || anew {
            for (name, text) in [
                ("conffiles-before.txt", now.conffiles_left.join("\n")),
                ("before.txt", list(&now.installed)),
            ] {
                plan.write(Vec::new(), private_file(now.dir.join(name), text));
            }
        }
        let stale = [(now.has_after, "after.txt"), (anew, "before-rollback.txt")];
        for (_, name) in stale.into_iter().filter(|it| it.0) {
            let path = now.dir.join(name);
            let recursive = false;
            plan.push_all(Vec::new(), Edit::Remove(Remove { path, recursive }));
        }
        now.rollback.0.forget(&mut plan, &now.rollback.1);
        let programs = now.manager.install(
            &now.open,
            &files::dir(),
            args.conffiles,
            args.locks_wait_s.max(30),
        );
        let (job, progress) = &now.job;
        job.begin(
            &mut plan,
            progress,
            transaction::deltas(&now.open),
            &[],
            &programs,
        )?;
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let after = ran.after;
        let (actions, others) = match &after.before {
            Some(before) => transaction::done(before, &after.installed, &args.actions),
            None => Default::default(),
        };
        let new = |it: &&String| !after.conffiles_before.contains(it);
        let installed = Installed {
            actions,
            conffiles_left: after.conffiles_left.iter().filter(new).cloned().collect(),
            kept_in: after.dir.display().to_string(),
            seconds: after.job.1.seconds,
        };
        let mut report = Report::default().with("installed", value_of(&installed));
        report.warnings = others;
        report
    }

    fn failure_fields(_: &Args, before: &State, _: &ModuleError) -> Map {
        [("kept_in", before.dir.display().to_string())]
            .into_iter()
            .collect()
    }
}

impl State {
    /// May the transaction be carried out?
    fn check(&self, args: &Args) -> Result<(), ModuleError> {
        if let Some(resolution) = &self.resolution {
            let differences = mismatch::differences(&self.open, resolution, &args.allow_remove);
            if !differences.is_empty() {
                return Err(mismatch::failure(&differences));
            }
            if let (Conffiles::Fail, Some(first)) = (args.conffiles, resolution.conffiles.first()) {
                let (path, package) = (one_line(&first.path, 200), &first.package);
                let msg = format!(
                    "{path} of {package} was changed by hand, and the new version brings another"
                );
                return Err(ModuleError::new(msg));
            }
        }
        match self.complaints.first() {
            Some(first) => {
                Err(ModuleError::new(first).hint("`patch_download` fetches and verifies it"))
            }
            None => Ok(()),
        }
    }
}

fn wanted(action: &Action) -> Wanted {
    Wanted {
        package: action.package.clone(),
        version: action.to.clone(),
    }
}

fn complaints(
    host: &dyn Inspect,
    manager: &dyn PackageManager,
    open: &[Action],
) -> Result<Vec<String>, ModuleError> {
    let mut all = Vec::new();
    for action in open {
        let Some(version) = &action.to else { continue };
        let (kind, package) = (manager.kind(), &action.package);
        let path = files::find(host, kind, &files::dir(), package, version)?;
        let file = match &path {
            Some(path) => files::located(host, path, package, version)?,
            None => None,
        };
        all.extend(files::complaint(action, file.as_ref()));
    }
    Ok(all)
}

fn lines(text: Option<String>) -> Vec<String> {
    text.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
