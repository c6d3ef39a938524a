//! `apt`: packages of Debian and its kin.
//!
//! What an installation would do is never guessed: `apt-get --simulate` resolves it, and its answer is the preview.
//! Where dpkg's database already shows that all is as wanted, no program is started.

mod args;
mod command;
mod look;
mod spec;

use hostler_module_api::prelude::*;

pub(crate) use args::{Args, Generic, PackageState, spec};
use args::Upgrade;
use look::{Job, Seen};

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
            let run = Run::new(command::mark_manual(now));
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
        let cache_updated = before.update_due && (ran.check || before.lists_s != after.lists_s);
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
    plan.run_always(Delta::action(CACHE, REFRESH), command::update(args, now));
    if args.cache_valid_time > 0 {
        // apt leaves the directory's time alone if all lists are current, and the next run would ask again.
        let times = hostler_change::Times { atime_ns: None, mtime_ns: Some(now.now_ns) };
        plan.push_all(Vec::new(), Edit::SetTimes { path: "/var/lib/apt/lists".into(), times });
    }
    plan.incomplete = true;
}

fn carry_out(job: &Job, now: &Seen, plan: &mut Plan) -> Result<(), ModuleError> {
    let transaction = match &job.simulated {
        Ok(transaction) => transaction,
        // With fresh lists it may be possible; the next round tells.
        Err(_) if now.update_due => return Ok(()),
        Err(refusal) if refusal.is_missing => {
            plan.unmet.push(refusal.message().to_owned());
            let deltas = job.packages.iter();
            let deltas = deltas.map(|it| Delta::field(package(it), "version", Value::Null, "unknown"));
            plan.push_all(deltas.collect(), real(job));
            return Ok(());
        }
        Err(refusal) => return Err(refusal.clone().into()),
    };
    let held: Vec<&String> = transaction.kept_back.iter().filter(|it| is_held(now, it)).collect();
    if !held.is_empty() {
        let names: Vec<&str> = held.iter().map(|it| it.as_str()).collect();
        plan.warnings.push(format!("held back (apt-mark hold): {}", names.join(", ")));
    }
    // Versions seen before the lists are refreshed are the least that will be installed.
    let shown = |version: &String| if now.update_due { format!("{version} or newer") } else { version.clone() };
    let mut deltas: Vec<Delta> = transaction
        .steps
        .iter()
        .map(|step| {
            let after = step.after.as_ref().map(shown);
            let rest_only = step.purged && now.dpkg.installed(&step.package).is_none();
            let name = if rest_only { "configuration" } else { "version" };
            let before = step.before.clone().or_else(|| step.purged.then(|| "removed".to_owned()));
            Delta::field(package(&step.package), name, before, after)
        })
        .collect();
    deltas.extend(job.more.iter().map(|what| Delta::action(CACHE, what.as_str())));
    if deltas.is_empty() {
        return Ok(());
    }
    plan.push_all(deltas, real(job));
    Ok(())
}

fn real(job: &Job) -> Edit {
    Edit::Run(Run::new(job.program.clone()))
}

fn is_held(now: &Seen, name: &str) -> bool {
    now.dpkg.get(name).is_some_and(|it| it.held)
}

#[cfg(test)]
mod tests;
