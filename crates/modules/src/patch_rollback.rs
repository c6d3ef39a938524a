//! `patch_rollback`: puts a host back to what it was before a run.

use std::path::PathBuf;

use hostler_module_api::prelude::*;
use hostler_package_managers::PackageManager;
use hostler_package_managers::Wanted;
use hostler_updates::{
    Action, ActionKind, Conffiles, DatabaseState, PackageName, Resolution, RolledBack, Snapshot,
};

use crate::patching::job::{Job, Progress};
use crate::patching::manager::{InstalledVersions, list, parse_list};
use crate::patching::snapshots::{self, Restore};
use crate::patching::{
    files, glob, locks, make_dirs, manager, missing_dirs, one_line, private_file, run_dir,
    transaction, value_of,
};

/// Puts back what a run has done: packages to the versions from before, from the files that were kept, newly installed
/// ones away; or the snapshot that was made. Data and configuration that a new version has changed stay changed.
///
/// ```yaml
/// - patch_rollback:
///     actions: "{{ installed.actions }}"
///     never_downgrade: ["libc6*", "*-server-*"]
///     run: "{{ run_id }}"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What was to be done to packages by the run; what was not done is let be.
    #[serde(default)]
    actions: Vec<Action>,
    /// Patterns of packages that are left at their new version.
    #[serde(default)]
    never_downgrade: Vec<String>,
    /// Seconds for which locks of other package managers are waited for.
    #[serde(default = "locks_wait")]
    locks_wait_s: u64,
    /// The run.
    run: String,
    /// The snapshot to go back to, instead of packages.
    snapshot: Option<Snapshot>,
}

fn locks_wait() -> u64 {
    300
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_rollback")
}

pub(crate) struct This;

pub(crate) enum State {
    Packages(Box<Packages>),
    Snapshot(Restore),
}

pub(crate) struct Packages {
    manager: &'static dyn PackageManager,
    dir: PathBuf,
    missing: Vec<PathBuf>,
    installed: InstalledVersions,
    /// The list from before the first attempt.
    before: Option<InstalledVersions>,
    /// What has to be done.
    back: Vec<Action>,
    /// What cannot be, and why.
    left: Vec<(PackageName, String)>,
    job: (Job, Progress),
    install: (Job, Progress),
    interrupted: Option<String>,
    /// What the package manager would do, where it can tell.
    resolution: Option<Resolution>,
}

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_rollback";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        match &args.snapshot {
            Some(snapshot) => Ok(State::Snapshot(snapshots::restore(
                host, &args.run, snapshot,
            )?)),
            None => Ok(State::Packages(Box::new(Packages::look(args, host)?))),
        }
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        match now {
            State::Packages(it) => it.plan(args),
            State::Snapshot(restore) => restore.plan(),
        }
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let (rolled_back, others) = match ran.after {
            State::Packages(it) => it.report(args),
            State::Snapshot(_) => (
                RolledBack {
                    needs_reboot: true,
                    ..RolledBack::default()
                },
                Vec::new(),
            ),
        };
        let mut report = Report::default().with("rolled_back", value_of(&rolled_back));
        report.warnings = others;
        report
    }

    fn failure_fields(_: &Args, before: &State, _: &ModuleError) -> Map {
        match before {
            State::Packages(it) => [("kept_in", it.dir.display().to_string())]
                .into_iter()
                .collect(),
            State::Snapshot(_) => Map::new(),
        }
    }
}

impl Packages {
    fn look(args: &Args, host: &dyn Inspect) -> Result<Self, ModuleError> {
        let dir = run_dir(&args.run)?;
        let manager = manager::manager(host)?;
        let with_progress = |verb| {
            let job = Job::new(&dir, &args.run, verb);
            let progress = job.look(host);
            (job, progress)
        };
        let (job, install) = (with_progress("rollback"), with_progress("install"));
        let is_running = job.1.running || install.1.running;
        if !is_running {
            locks::wait(host, manager, args.locks_wait_s)?;
        }
        let installed = manager.installed(host)?;
        let before = hostler_probes::text(host, dir.join("before-rollback.txt"));
        let mut it = Packages {
            manager,
            missing: missing_dirs(host, &dir)?,
            before: before.map(|it| parse_list(&it)),
            dir,
            installed,
            back: Vec::new(),
            left: Vec::new(),
            job,
            install,
            interrupted: None,
            resolution: None,
        };
        if is_running {
            return Ok(it);
        }
        if let DatabaseState::Interrupted(why) = manager.database(host)? {
            it.interrupted = Some(one_line(&why, 300));
        }
        for action in &args.actions {
            it.turn_back(args, host, action)?;
        }
        if it.interrupted.is_none() && !it.back.is_empty() {
            let wanted = it.back.iter().map(|it| Wanted {
                package: it.package.clone(),
                version: it.to.clone(),
            });
            let wanted: Vec<Wanted> = wanted.collect();
            let resolution = manager.resolve(host, &files::metadata(manager.kind()), &wanted)?;
            // Where an old version is in no source any more, nothing can be simulated.
            it.resolution = Some(resolution).filter(|it| it.impossible.is_empty());
        }
        Ok(it)
    }

    /// What undoes one action, if it was done and can be undone.
    fn turn_back(
        &mut self,
        args: &Args,
        host: &dyn Inspect,
        action: &Action,
    ) -> Result<(), ModuleError> {
        let package = &action.package;
        let is = self.installed.get(package);
        let Some(old) = &action.from else {
            // What is there in part is not among the installed ones.
            if is.is_some() || self.interrupted.is_some() {
                self.back.push(back(action, is, None));
            }
            return Ok(());
        };
        if is == Some(old) {
            return Ok(());
        }
        let why = if is.is_some() && is != action.to.as_ref() {
            let is = is.map(|it| one_line(it, 100)).unwrap_or_default();
            Some(format!("{is} is installed, which this run did not bring"))
        } else if let Some(pattern) = glob::first_fit(&args.never_downgrade, &package.name)
            && action.kind == ActionKind::Upgrade
        {
            Some(format!("is never downgraded (`{pattern}`)"))
        } else if files::find(host, self.manager.kind(), &files::dir(), package, old)?.is_none() {
            Some(format!("the file of {} was not kept", one_line(old, 100)))
        } else {
            None
        };
        match why {
            Some(why) => self.left.push((package.clone(), why)),
            // What is there in part is not among the installed ones; to the package manager it is the new version.
            None if self.interrupted.is_some() => {
                self.back
                    .push(back(action, is.or(action.to.as_ref()), Some(old)));
            }
            None => self.back.push(back(action, is, Some(old))),
        }
        Ok(())
    }

    fn plan(&self, args: &Args) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        if self.install.1.running {
            self.install.0.wait_however_it_ends(&mut plan);
            return Ok(plan);
        }
        if self.job.1.running {
            self.job.0.wait(&mut plan);
            return Ok(plan);
        }
        if self.back.is_empty() && (self.interrupted.is_none() || !self.install.1.begun) {
            if self.job.1.begun {
                // Installing once more in this run is a new piece of work.
                self.install.0.forget(&mut plan, &self.install.1);
            }
            return Ok(plan);
        }
        if self.job.1.rc == Some(0) {
            let mut wrong = manager::not_as_planned(&self.back, &self.installed);
            wrong.extend(self.interrupted.clone());
            let msg = format!("the rollback ended well, but {}", wrong.join("; "));
            return Err(ModuleError::new(one_line(&msg, 2000)));
        }
        self.check()?;
        make_dirs(&mut plan, &self.missing);
        if self.before.is_none() {
            let path = self.dir.join("before-rollback.txt");
            plan.write(Vec::new(), private_file(path, list(&self.installed)));
        }
        let attempts = match self.interrupted {
            Some(_) => self.manager.repair(),
            None => Vec::new(),
        };
        let wait_s = args.locks_wait_s.max(30);
        let programs = if self.back.is_empty() {
            Vec::new()
        } else {
            self.manager
                .install(&self.back, &files::dir(), Conffiles::KeepOld, wait_s)
        };
        let (job, progress) = &self.job;
        let mut deltas = transaction::deltas(&self.back);
        if self.interrupted.is_some() {
            deltas.push(Delta::action("package database", "repair"));
        }
        job.begin(&mut plan, progress, deltas, &attempts, &programs)?;
        Ok(plan)
    }

    /// Would packages go that have nothing to do with the run?
    fn check(&self) -> Result<(), ModuleError> {
        let Some(resolution) = &self.resolution else {
            return Ok(());
        };
        let known = |it: &&Action| self.back.iter().any(|known| known.package == it.package);
        let others = resolution
            .actions
            .iter()
            .filter(|it| it.to.is_none() && !known(it));
        let others: Vec<String> = others.map(|it| it.package.to_string()).take(10).collect();
        if others.is_empty() {
            return Ok(());
        }
        let msg = format!("the rollback would also remove {}", others.join(", "));
        Err(ModuleError::new(msg).hint("something was installed since that needs the new versions"))
    }

    fn report(&self, args: &Args) -> (RolledBack, Vec<String>) {
        let meant = args
            .actions
            .iter()
            .map(|it| back(it, it.to.as_ref(), it.from.as_ref()));
        let (actions, others) = match &self.before {
            Some(before) => transaction::done(before, &self.installed, &meant.collect::<Vec<_>>()),
            None => Default::default(),
        };
        let rolled_back = RolledBack {
            actions,
            left: self.left.clone(),
            needs_reboot: false,
        };
        (rolled_back, others)
    }
}

/// An action that leads from what is installed to another version.
fn back(action: &Action, is: Option<&String>, to: Option<&String>) -> Action {
    let kind = match (is, to) {
        (_, None) => ActionKind::Remove,
        (None, Some(_)) => ActionKind::Install,
        (Some(_), Some(_)) if action.kind == ActionKind::Downgrade => ActionKind::Upgrade,
        (Some(_), Some(_)) => ActionKind::Downgrade,
    };
    Action {
        kind,
        from: is.cloned(),
        to: to.cloned(),
        sha256: None,
        ..action.clone()
    }
}

#[cfg(test)]
mod tests;
