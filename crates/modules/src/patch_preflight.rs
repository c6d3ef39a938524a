//! `patch_preflight`: may this host be patched now?

mod room;

use std::collections::BTreeMap;

use hostler_module_api::prelude::*;
use hostler_package_managers::{self as managers, PackageManager, Wanted};
use hostler_updates::{
    Action, ActionKind, Conffiles, DatabaseState, Finding, PackageName, Preflight, PreflightLimits, compare,
};

use crate::patch_scan::system;
use crate::patching::{files, locks, manager, one_line, value_of};

/// Look whether a host can be patched as planned, just before it is: space, locks, the package database, what has changed
/// since the plan was made. Reasons against it are return values, not a failure. An interrupted package database is
/// repaired, if that is allowed.
///
/// ```yaml
/// - patch_preflight:
///     limits: { free_bytes: { /: 1073741824 }, locks_wait_s: 300, repair: true }
///     actions: "{{ planned }}"
///     installed_sha256: "{{ scanned.installed_sha256 }}"
///   register: preflight
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What the host must have.
    #[serde(default)]
    limits: PreflightLimits,
    /// What is going to be done to packages.
    #[serde(default)]
    actions: Vec<Action>,
    /// Hash of the list of installed packages, as it was when the plan was made.
    installed_sha256: Option<String>,
    /// What is going to be done with configuration files that were changed by hand.
    #[serde(default)]
    conffiles: Conffiles,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_preflight")
}

pub(crate) struct This;

pub(crate) struct State {
    manager: &'static dyn PackageManager,
    /// What is against it, besides the database.
    refused: Vec<String>,
    findings: Vec<Finding>,
    /// What the package manager says of an interrupted transaction.
    interrupted: Option<String>,
    /// What the clock says, microseconds since the epoch.
    clock_us: i64,
}

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_preflight";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        let manager = manager::manager(host)?;
        let mut state = State { manager, refused: Vec::new(), findings: Vec::new(), interrupted: None, clock_us: system::micros(host.now()) };
        if let Some(reason) = system::forbidden(host) {
            state.refused.push(format!("{} forbids it: {}", managers::FORBIDDEN, one_line(&reason, 200)));
        }
        if let Err(error) = locks::wait(host, manager, args.limits.locks_wait_s) {
            if !error.unknown.is_empty() {
                return Err(error);
            }
            // Who holds it may be in the middle of a transaction, so that nothing more can be said.
            state.refused.push(error.into_parts().msg);
            return Ok(state);
        }
        if let DatabaseState::Interrupted(said) = manager.database(host)? {
            state.interrupted = Some(one_line(&said, 300));
        }
        room::check(&args.limits, &args.actions, host, &mut state.refused);
        let installed = manager.installed(host)?;
        changed(args, manager, &installed, &mut state);
        if args.conffiles == Conffiles::Fail && state.interrupted.is_none() {
            conffiles(args, host, &mut state)?;
        }
        system::fstab(host, &mut state.findings);
        initramfs(host, &mut state.findings);
        Ok(state)
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        if now.interrupted.is_some() && args.limits.repair && now.refused.is_empty() {
            for program in now.manager.repair() {
                let delta = Delta::action("package database", "repair");
                // Whether it helped is seen afterwards; it is not tried over and over.
                let run = Run { always: true, ok_rc: Vec::new(), ..Run::new(program) };
                plan.push(delta, Edit::Run(run));
            }
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let now = ran.after;
        let mut preflight =
            Preflight {
                refused: now.refused.clone(),
                findings: now.findings.clone(),
                repaired: Vec::new(),
                clock_us: now.clock_us,
            };
        match (&ran.before.interrupted, &now.interrupted) {
            (Some(was), None) => preflight.repaired.push(format!("the package database: {was}")),
            (_, Some(is)) if !(ran.check && args.limits.repair) => {
                let tried = if ran.applied.is_empty() { "" } else { ", and could not be repaired" };
                preflight.refused.push(format!("the package database is not whole{tried}: {is}"));
            }
            _ => {}
        }
        Report::default().with("preflight", value_of(&preflight))
    }
}

/// Has something changed since the plan was made? What no action touches does no harm.
fn changed(
    args: &Args,
    manager: &dyn PackageManager,
    installed: &BTreeMap<PackageName, String>,
    state: &mut State,
) {
    let scheme = manager.kind().scheme();
    let mut unfit = Vec::new();
    for action in &args.actions {
        let now = manager::version_of(action, installed);
        if now == action.from.as_ref() || now == action.to.as_ref() {
            continue;
        }
        let name = &action.package;
        match (now, &action.from, &action.to) {
            (Some(now), _, Some(to)) if action.kind != ActionKind::Downgrade && compare(scheme, now, to).is_gt() => {
                let text = format!("{name} is {now}, which is newer than the planned {to}");
                state.findings.push(Finding { code: "drift-newer".to_owned(), text });
            }
            (Some(now), Some(from), _) => unfit.push(format!("{name} is {now}, not {from}")),
            (Some(now), None, _) => unfit.push(format!("{name} is {now}, and was not installed")),
            (None, Some(from), _) => unfit.push(format!("{name} is not installed, and was {from}")),
            (None, None, _) => {}
        }
    }
    let shown = unfit.iter().take(10).map(|it| one_line(it, 200)).collect::<Vec<_>>().join("; ");
    if !unfit.is_empty() {
        let more = if unfit.len() > 10 { format!("; and {} more", unfit.len() - 10) } else { String::new() };
        state.refused.push(format!("the host has changed since it was planned: {shown}{more}"));
    } else if args.installed_sha256.as_ref().is_some_and(|it| *it != system::installed_sha256(installed)) {
        let text = "the host has changed since it was planned: other packages were installed, upgraded or removed";
        state.findings.push(Finding { code: "host-changed".to_owned(), text: text.to_owned() });
    }
}

/// Where configuration files that were changed by hand must not be at stake: which are?
fn conffiles(args: &Args, host: &dyn Inspect, state: &mut State) -> Result<(), ModuleError> {
    let wanted: Vec<Wanted> = args
        .actions
        .iter()
        .map(|it| Wanted { package: it.package.clone(), version: it.to.clone() })
        .collect();
    let resolution = state.manager.resolve(host, &files::metadata(state.manager.kind()), &wanted)?;
    let names: Vec<String> =
        resolution.conffiles.iter().map(|it| format!("{} (of {})", one_line(&it.path, 200), it.package)).collect();
    if !names.is_empty() {
        let shown = names.join(", ");
        state.refused.push(one_line(&format!("configuration files were changed by hand: {shown}"), 2000));
    }
    Ok(())
}

/// A kernel without its initial file system does not come up.
fn initramfs(host: &dyn Inspect, findings: &mut Vec<Finding>) {
    for version in managers::installed_kernels(host) {
        let places = ["initrd.img-", "initramfs-", "initrd-"];
        let paths = places.map(|it| format!("/boot/{it}{version}"));
        let other = format!("/boot/initramfs-{version}.img");
        let found = paths.iter().chain([&other]).find_map(|it| {
            let stat = host.stat(std::path::Path::new(it), Follow::Yes).ok().flatten()?;
            Some((it, stat.size))
        });
        if let Some((path, 0)) = found {
            let text = format!("{path} is empty: a boot of that kernel would fail");
            findings.push(Finding { code: "initramfs".to_owned(), text });
        }
    }
}

#[cfg(test)]
mod tests;
