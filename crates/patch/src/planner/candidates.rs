//! Which hosts can be patched, with which transaction; for the others the one reason why not.

use std::collections::BTreeMap;

use hostler_updates::{Action, ActionKind, PackageName, Resolution, changes_arch};

use super::{Asked, Input, Scanned};
use crate::glob;
use crate::known;
use crate::plan::{LeftOut, LeftOutCode, RebootRule};
use crate::policy::{SnapshotMode, Step};
use crate::select::{Selection, shown};

/// A host that can be patched.
pub(super) struct Candidate<'a> {
    pub(super) scanned: &'a Scanned,
    /// The selection without what cannot be had.
    pub(super) selection: Selection,
    pub(super) resolution: Resolution,
    /// Why it will be rebooted; empty: it will not.
    pub(super) reboot_reasons: Vec<String>,
    pub(super) expected_s: u32,
    pub(super) p95_s: u32,
}

pub(super) enum Verdict<'a> {
    Candidate(Box<Candidate<'a>>),
    Ask(Box<Selection>),
    LeftOut(LeftOut),
}

fn out<'a>(code: LeftOutCode, reason: String, rule: Option<String>) -> Verdict<'a> {
    Verdict::LeftOut(LeftOut { code, reason, rule })
}

/// Can the host be patched?
pub(super) fn judge<'a>(input: &Input<'a>, host: &str) -> Verdict<'a> {
    let scanned: &'a Scanned = match input.hosts.get(host) {
        Some(Asked::Scanned(scanned)) => scanned,
        Some(Asked::Unreachable(why)) => {
            return out(LeftOutCode::Unreachable, shown(why), None);
        }
        Some(Asked::Failed(why)) => return out(LeftOutCode::ScanFailed, shown(why), None),
        None => return out(LeftOutCode::Unreachable, "it did not answer".into(), None),
    };
    if let Some(why) = &scanned.selection.left_out {
        return Verdict::LeftOut(why.clone());
    }
    let most = input.file.policy.preflight.clock_skew_max.0;
    if let Some(reason) = super::clock_refusal(scanned.skew_s, most) {
        let rule = [Step::Key("preflight"), Step::Key("clock_skew_max")];
        return out(LeftOutCode::Clock, reason, input.file.rule(&rule));
    }
    let resolution = match &scanned.resolution {
        Some(resolution) => resolution.clone(),
        None if scanned.selection.wanted.is_empty() => Resolution::default(),
        None => return Verdict::Ask(Box::new(scanned.selection.clone())),
    };
    let mut impossible: BTreeMap<PackageName, String> = BTreeMap::new();
    for (package, why) in &resolution.impossible {
        impossible.insert(package.clone(), format!("cannot be had: {}", shown(why)));
    }
    let selection = scanned.selection.without(&impossible);
    if let Some(verdict) = refused(input, scanned, &selection, &resolution) {
        return verdict;
    }
    if let Some(verdict) = nothing_left(input, &selection, &resolution) {
        return verdict;
    }
    if let Some(verdict) = unfit(input, scanned, &resolution) {
        return verdict;
    }
    if let Some(verdict) = no_way_back(input, host, &resolution) {
        return verdict;
    }
    Verdict::Candidate(Box::new(candidate(input, scanned, selection, resolution)))
}

fn candidate<'a>(
    input: &Input<'_>,
    scanned: &'a Scanned,
    selection: Selection,
    resolution: Resolution,
) -> Candidate<'a> {
    let reboot_reasons = reboot_reasons(input, &selection, &resolution);
    let scan = &scanned.scan;
    let reboots = u32::from(!reboot_reasons.is_empty())
        + u32::from(!selection.reboot_due.is_empty() && !resolution.reboot_reasons.is_empty());
    let work = known::Work {
        os: &scan.os,
        boot_class: &scan.boot_class,
        packages: resolution.actions.len(),
        download_bytes: resolution.download_bytes,
        reboots,
    };
    let (expected_s, p95_s) = known::expected(input.known, &work);
    Candidate {
        scanned,
        selection,
        resolution,
        reboot_reasons,
        expected_s,
        p95_s,
    }
}

fn reboot_reasons(
    input: &Input<'_>,
    selection: &Selection,
    resolution: &Resolution,
) -> Vec<String> {
    let mut reasons = selection.reboot_due.clone();
    match input.file.policy.reboot.mode {
        RebootRule::Never => return Vec::new(),
        RebootRule::IfRequired => {}
        RebootRule::Always => reasons.push("the policy always reboots".into()),
    }
    reasons.extend(resolution.reboot_reasons.iter().map(|it| shown(it)));
    reasons
}

/// What a transaction must not do: remove, install or touch what the policy does not allow. Where it is known which update brings
/// it, the host is asked again without that one.
fn refused<'a>(
    input: &Input<'_>,
    scanned: &Scanned,
    selection: &Selection,
    resolution: &Resolution,
) -> Option<Verdict<'a>> {
    let (action, why, rule) = resolution
        .actions
        .iter()
        .find_map(|action| forbidden(input, scanned, selection, resolution, action))?;
    let what = match action.kind {
        ActionKind::Remove => "remove",
        ActionKind::Install => "install",
        ActionKind::Upgrade => "upgrade",
        ActionKind::Downgrade => "downgrade",
    };
    let sentence = format!("would {what} {}: {why}", shown(&action.package.to_string()));
    // An ordinary upgrade keeps such updates back: they are the ones that remove something.
    let culprits: BTreeMap<PackageName, String> = scanned
        .scan
        .updates
        .iter()
        .filter(|it| it.kept_back.is_some() && it.phased_percent.is_none())
        .filter(|it| {
            selection
                .wanted
                .iter()
                .any(|wanted| wanted.package == it.package)
        })
        .map(|it| (it.package.clone(), sentence.clone()))
        .collect();
    if !culprits.is_empty() && culprits.len() < selection.wanted.len() {
        return Some(Verdict::Ask(Box::new(selection.without(&culprits))));
    }
    Some(out(
        LeftOutCode::Impossible,
        format!("the transaction {sentence}"),
        input.file.rule(&rule),
    ))
}

type Refusal<'a> = (&'a Action, String, Vec<Step<'static>>);

fn forbidden<'a>(
    input: &Input<'_>,
    scanned: &Scanned,
    selection: &Selection,
    resolution: &Resolution,
    action: &'a Action,
) -> Option<Refusal<'a>> {
    let select = &input.file.policy.select;
    let name = &action.package.name;
    let path = |key: &'static str| vec![Step::Key("select"), Step::Key(key)];
    match action.kind {
        // To the policy one upgrade, which a package manager may do in two halves.
        _ if changes_arch(action, &resolution.actions) => {}
        ActionKind::Remove if !select.allow_remove.0.contains(name) => {
            return Some((
                action,
                "it is not in `allow_remove`".into(),
                path("allow_remove"),
            ));
        }
        ActionKind::Remove => return None,
        ActionKind::Install if !select.allow_new => {
            return Some((action, "`allow_new` is false".into(), path("allow_new")));
        }
        ActionKind::Downgrade => {
            return Some((action, "a plan never downgrades".into(), Vec::new()));
        }
        ActionKind::Install | ActionKind::Upgrade => {}
    }
    if let Some((_, pattern)) = glob::first_match(&select.exclude.0, name) {
        return Some((action, format!("`{pattern}` is excluded"), path("exclude")));
    }
    if scanned
        .scan
        .holds
        .iter()
        .any(|it| glob::matches(&it.package, name))
    {
        return Some((action, "it is held on the host".into(), Vec::new()));
    }
    // What was asked for in one version must not come in another.
    let wanted = selection
        .wanted
        .iter()
        .find(|it| it.package == action.package)?;
    if action.to.as_deref() == Some(wanted.version.as_str()) {
        return None;
    }
    let why = format!("{} was asked for", shown(&wanted.version));
    Some((action, why, Vec::new()))
}

/// The host has nothing (more) to do.
fn nothing_left<'a>(
    input: &Input<'_>,
    selection: &Selection,
    resolution: &Resolution,
) -> Option<Verdict<'a>> {
    let policy = &input.file.policy;
    let rehearsal = policy.updates == crate::policy::Updates::None;
    let due = !selection.reboot_due.is_empty() || policy.reboot.mode == RebootRule::Always;
    if rehearsal || due || !resolution.actions.is_empty() {
        return None;
    }
    if let Some((package, why)) = resolution.impossible.first() {
        let more = match resolution.impossible.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more packages)"),
        };
        let reason = format!("{}: {}{more}", shown(&package.to_string()), shown(why));
        return Some(out(LeftOutCode::Impossible, reason, None));
    }
    let (code, reason) = match selection.waiting.first() {
        Some(first) => (
            LeftOutCode::AllWaiting,
            format!(
                "all that it lacks waits: {}: {}",
                shown(&first.package),
                first.reason
            ),
        ),
        None => (
            LeftOutCode::UpToDate,
            "nothing that the policy wants is missing".into(),
        ),
    };
    Some(out(code, reason, None))
}

/// Is there enough space for what comes?
fn unfit<'a>(input: &Input<'_>, scanned: &Scanned, resolution: &Resolution) -> Option<Verdict<'a>> {
    let limits = &input.file.policy.preflight.disk;
    for space in &scanned.scan.space {
        let Some(limit) = limits.get(&space.path) else {
            continue;
        };
        let kernel = resolution.actions.iter().any(|it| {
            glob::first_match(&input.file.policy.select.boot_critical.0, &it.package.name).is_some()
        });
        // /boot matters when something is put there.
        if space.path == "/boot" && !kernel {
            continue;
        }
        let own_var = scanned.scan.space.iter().any(|it| it.path == "/var");
        let takes = match space.path.as_str() {
            "/var" => resolution.download_bytes,
            "/" if own_var => resolution.disk_bytes,
            "/" => resolution
                .disk_bytes
                .saturating_add(resolution.download_bytes),
            _ => 0,
        };
        let needed = limit.0.saturating_add(takes);
        if space.free_bytes < needed {
            let rule = [
                Step::Key("preflight"),
                Step::Key("disk"),
                Step::Key(&space.path),
            ];
            let reason = format!(
                "{} has {} free, {} are needed",
                shown(&space.path),
                mib(space.free_bytes),
                mib(needed)
            );
            return Some(out(LeftOutCode::Unfit, reason, input.file.rule(&rule)));
        }
    }
    None
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Does the policy demand a way back that the host does not have?
fn no_way_back<'a>(input: &Input<'_>, host: &str, resolution: &Resolution) -> Option<Verdict<'a>> {
    let rules = &input.file.policy.rollback;
    let back = &resolution.way_back;
    if rules.snapshot == SnapshotMode::Required && back.snapshot.is_none() {
        let rule = [Step::Key("rollback"), Step::Key("snapshot")];
        let reason = "it cannot make a snapshot".into();
        return Some(out(LeftOutCode::NoWayBack, reason, input.file.rule(&rule)));
    }
    if !input.members.require_ready.contains(host) {
        return None;
    }
    let by_snapshot = match rules.snapshot {
        SnapshotMode::Hook => true,
        SnapshotMode::IfPossible | SnapshotMode::Required => back.snapshot.is_some(),
        SnapshotMode::None => false,
    };
    let stays = |action: &&Action| {
        action.kind == ActionKind::Upgrade
            && glob::first_match(&rules.never_downgrade.0, &action.package.name).is_some()
    };
    let reason = if by_snapshot {
        return None;
    } else if let Some(missing) = back.missing.first() {
        let package = shown(&missing.to_string());
        format!("the installed version of {package} cannot be had again")
    } else if let Some(action) = resolution.actions.iter().find(stays) {
        let package = shown(&action.package.to_string());
        format!("{package} is never downgraded")
    } else {
        return None;
    };
    let rule = [Step::Key("rollback"), Step::Key("require_ready")];
    Some(out(LeftOutCode::NoWayBack, reason, input.file.rule(&rule)))
}
