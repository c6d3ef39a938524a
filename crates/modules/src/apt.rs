//! `apt`: packages of Debian and its kin.
//!
//! What an installation would do is never guessed: `apt-get --simulate` resolves it, and its answer is the preview.
//! Where dpkg's database already shows that all is as wanted, no program is started. See
//! `docs/design/0007-package-previews.md`.

mod args;
mod command;
mod look;
mod resolve;
mod shown;
mod spec;

use hostler_module_api::prelude::*;

pub(crate) use args::{Args, Generic, PackageState, spec};
use args::Upgrade;
use hostler_change::Effect;
use hostler_probes::Transaction;
use look::{LISTS, Seen};
use resolve::Job;

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "apt";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        args.check()?;
        look::look(args, host)
    }

    fn plan(args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        if args.clean && now.has_archives {
            plan.run(Delta::action(CACHE, "remove downloaded packages"), command::clean(now));
        }
        if now.update_due {
            update(args, now, &mut plan);
        }
        for (url, path) in &now.to_fetch {
            plan.push(Delta::action(format!("package {url}"), "download"), command::fetch(url, path));
            plan.incomplete = true;
        }
        for job in &now.jobs {
            carry_out(job, now, &mut plan)?;
        }
        if !now.marked_auto.is_empty() {
            let deltas = now.marked_auto.iter().map(|name| Delta::field(package(name), "auto", true, false));
            let effects = now.marks.as_deref().map(marks).into_iter().collect();
            let run = Run::new(command::mark_manual(now)).bringing(effects);
            plan.push_all(deltas.collect(), Edit::Run(run));
        }
        let works = plan.edits.iter().any(|it| matches!(it.edit, Edit::Run(_)));
        if let (true, Some(holder)) = (works, &now.lock_holder) {
            let (pid, name, file, seconds) = (holder.pid, &holder.name, holder.file, args.lock_timeout);
            plan.warnings.push(format!(
                "{file} is held by process {pid} ({name}); apt waits up to {seconds} seconds for it"
            ));
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        let (before, after) = (ran.before, ran.after);
        let is_new = if ran.check { is_update_sure(args, before) } else { before.lists_s != after.lists_s };
        let cache_updated = before.update_due && is_new;
        let mut report =
            Report::default().with("cache_updated", cache_updated).with("cache_update_time", after.lists_s);
        let does_more = ran.plan.edits.iter().any(|it| changes_packages(&it.deltas));
        report.changed = Some(if args.wants_packages() {
            // A download alone is no change; in a preview nobody knows what is in it.
            does_more || before.dpkg != after.dpkg || (ran.check && !before.to_fetch.is_empty())
        } else {
            does_more || cache_updated
        });
        let programs = ran.plan.edits.iter().zip(ran.applied);
        let of_jobs: Vec<Applied> =
            programs.filter(|(edit, _)| changes_packages(&edit.deltas)).map(|(_, done)| done.clone()).collect();
        report = report.with_printed(&of_jobs);
        if ran.check {
            let jobs = before.jobs.iter().filter(|it| it.does_something());
            let said: String = jobs.map(|it| it.printed.as_str()).collect();
            report = if said.is_empty() { report } else { report.with("stdout", said) };
            let refused = before.jobs.iter().filter_map(|it| it.simulated.as_ref().err());
            report.warnings = refused.map(|it| format!("{}; refreshed package lists decide that", it.msg)).collect();
        }
        if let (true, Some(out)) = (args.upgrade != Upgrade::No, report.fields.get("stdout").cloned()) {
            report = report.with("msg", out);
        }
        report
    }
}

/// Subject of deltas of the package lists and of downloaded packages.
const CACHE: &str = "apt cache";
/// What is done to the lists.
const REFRESH: &str = "refresh package lists";

fn package(name: &str) -> String {
    format!("package {name}")
}

/// Not for the refreshed lists and downloads, which Ansible does not count.
fn changes_packages(deltas: &[Delta]) -> bool {
    let quiet = |delta: &Delta| matches!(&delta.change, Change::Action(what) if what == REFRESH || what == "download");
    !deltas.is_empty() && !deltas.iter().all(quiet)
}

fn update(args: &Args, now: &Seen, plan: &mut Plan) {
    let times = hostler_change::Times { atime_ns: None, mtime_ns: Some(now.now_ns) };
    let times = Edit::SetTimes { path: LISTS.into(), times };
    let is_time_set = args.cache_valid_time > 0;
    let run = Run {
        always: true,
        effects: if is_time_set { Vec::new() } else { vec![Effect::Edit(times.clone())] },
        ..Run::new(command::update(args, now))
    };
    plan.push(Delta::action(CACHE, REFRESH), Edit::Run(run));
    if is_time_set {
        // apt leaves the directory's time alone if all lists are current, and the next run would ask again.
        plan.push_all(Vec::new(), times);
    }
    plan.incomplete = true;
}

fn carry_out(job: &Job, now: &Seen, plan: &mut Plan) -> Result<(), ModuleError> {
    let transaction = match &job.simulated {
        Ok(transaction) => transaction,
        // With fresh lists it may be possible; the next round tells.
        Err(_) if now.update_due => return Ok(()),
        Err(refusal) => return Err(refusal.clone().into()),
    };
    let held: Vec<&String> = transaction.kept_back.iter().filter(|it| is_held(now, it)).collect();
    if !held.is_empty() {
        let names: Vec<&str> = held.iter().map(|it| it.as_str()).collect();
        plan.warnings.push(format!("held back (apt-mark hold): {}", names.join(", ")));
    }
    let deltas = shown::deltas(job, transaction, now);
    if deltas.is_empty() {
        return Ok(());
    }
    plan.incomplete |= job.is_vague || (job.work.needs_lists() && !now.decided_by().is_empty());
    let mut effects = effects(transaction);
    effects.extend(job.marks.as_deref().map(marks));
    let run = Run::new(job.program.clone()).bringing(effects);
    plan.push_all(deltas, Edit::Run(run));
    Ok(())
}

/// Which packages are there for others' sake only.
fn marks(text: &str) -> Effect {
    Effect::Edit(Edit::WriteFile(WriteFile {
        path: hostler_probes::AUTO.into(),
        content: Content::Bytes(text.as_bytes().to_vec()),
        attrs: Attrs::default(),
        backup: false,
        validate: None,
        unsafe_writes: false,
    }))
}

/// What apt brings about. What is purged is declared twice: removed, and then its configuration.
fn effects(transaction: &Transaction) -> Vec<Effect> {
    let effect = |name: &String, version: &Option<String>| {
        let (name, version) = (name.clone(), version.clone());
        Effect::Package { name, version }
    };
    let mut effects = Vec::new();
    for step in &transaction.steps {
        effects.push(effect(&step.package, &step.after));
        if step.purged && step.before.is_some() {
            effects.push(effect(&step.package, &None));
        }
    }
    effects
}

/// Does refreshing the lists count as a change for sure? Where the time of the lists is set, or where there are new
/// sources; else only if a mirror has something new.
fn is_update_sure(args: &Args, now: &Seen) -> bool {
    args.cache_valid_time > 0 || !now.sources_by.is_empty() || now.lists_s == 0
}

fn is_held(now: &Seen, name: &str) -> bool {
    now.dpkg.get(name).is_some_and(|it| it.held)
}

#[cfg(test)]
mod tests;
