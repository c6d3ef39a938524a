//! Puts a plan together from what was decided.

use std::collections::{BTreeMap, BTreeSet};

use hostler_updates::PreflightLimits;

use super::assign::{ALL_DIMENSIONS, Place, class_of};
use super::candidates::Candidate;
use super::{Asked, Input, PlanProblem, fit, proof, risks};
use crate::plan::{
    FORM, Gate, GateCheck, Group, Hook, HookWork, HostPlan, LeftOut, Pin, Plan, Procedure, Proven,
    Rollback, SnapshotRule, Wave,
};
use crate::policy::{
    Amount, Approve, CommandGate, CommandOn, Competing, GateRule, GroupRule, HookRule, HttpGate,
    PackageDb, PendingReboot, RestartServices, SnapshotMode, sha256_hex,
};

type All<'a, 'b> = &'a BTreeMap<String, Candidate<'b>>;

pub(super) fn plan(
    input: &Input<'_>,
    times: &fit::Times,
    all: All<'_, '_>,
    places: &BTreeMap<String, Place>,
    left_out: BTreeMap<String, LeftOut>,
) -> Result<Plan, PlanProblem> {
    let file = input.file;
    let policy = &file.policy;
    let waves = waves(input, all, places);
    let groups = groups(input);
    let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let hosts: BTreeMap<String, HostPlan> = all
        .iter()
        .filter_map(|(host, candidate)| {
            let place = places.get(host)?;
            let wave = waves.iter().position(|(index, _)| *index == place.wave)?;
            let wave = u32::try_from(wave).unwrap_or(u32::MAX);
            let own = times.own(input, host);
            Some((
                host.clone(),
                host_plan(host, candidate, wave, place.order, &groups, own),
            ))
        })
        .collect();
    let used: BTreeSet<&str> = waves
        .iter()
        .filter_map(|(_, it)| it.window.as_deref())
        .collect();
    let windows = times.windows.clone().into_iter();
    let mut plan = Plan {
        form: FORM,
        policy: policy.name.clone(),
        policy_path: file.path.display().to_string(),
        policy_sha256: file.sha256.clone(),
        made_us: input.now_us,
        made_by: input.made_by.to_owned(),
        valid_until_us: times.valid_until_us,
        zone: input
            .schedule
            .zone(policy.default_window())
            .name()
            .to_owned(),
        windows: windows
            .filter(|(name, _)| used.contains(name.as_str()))
            .collect(),
        waves: waves.into_iter().map(|(_, wave)| wave).collect(),
        groups,
        gates: BTreeMap::new(),
        procedure: procedure(input)?,
        max_failures: policy.run.max_failures.max_failures(count),
        unreachable: policy.run.unreachable,
        pin: policy.pin.mode,
        if_gone: policy.pin.if_gone,
        boot_critical: policy.select.boot_critical.0.clone(),
        proven: proven(input, all),
        rollback: Rollback {
            on_host_failure: policy.rollback.on_host_failure,
            on_wave_failure: policy.rollback.on_wave_failure,
            never_downgrade: policy.rollback.never_downgrade.0.clone(),
            keep_old_packages: policy.rollback.keep_old_packages,
        },
        hosts,
        left_out,
        risks: Vec::new(),
    };
    plan.gates = gates(input, &plan);
    plan.risks = risks::of(input, all, &plan);
    Ok(plan)
}

fn host_plan(
    host: &str,
    candidate: &Candidate<'_>,
    wave: u32,
    order: u32,
    groups: &[Group],
    own_windows: Option<Vec<hostler_schedule::Interval>>,
) -> HostPlan {
    let scan = &candidate.scanned.scan;
    let resolution = &candidate.resolution;
    let mut actions = resolution.actions.clone();
    actions.sort_by(|a, b| a.package.cmp(&b.package));
    let member = groups.iter().zip(0_u32..);
    let member = member.filter(|(group, _)| group.hosts.iter().any(|it| it == host));
    HostPlan {
        os: scan.os.clone(),
        arch: scan.arch.clone(),
        boot_class: scan.boot_class.clone(),
        manager: scan.manager,
        installed_sha256: scan.installed_sha256.clone(),
        wave,
        order,
        groups: member.map(|(_, index)| index).collect(),
        actions,
        waiting: candidate.selection.waiting.clone(),
        reboot_reasons: candidate.reboot_reasons.clone(),
        restarts: resolution.restarts.clone(),
        conffiles: resolution.conffiles.clone(),
        download_bytes: resolution.download_bytes,
        expected_s: candidate.expected_s,
        expected_p95_s: candidate.p95_s,
        way_back: resolution.way_back.clone(),
        own_windows,
    }
}

/// Waves that have hosts, each with its index in the policy.
fn waves(
    input: &Input<'_>,
    all: All<'_, '_>,
    places: &BTreeMap<String, Place>,
) -> Vec<(usize, Wave)> {
    let policy = &input.file.policy;
    let of = policy.waves.len();
    let soak = soak_factor(input, all);
    let rules = policy.waves.iter().enumerate();
    let waves = rules.filter_map(|(index, rule)| {
        let hosts = all
            .keys()
            .filter(|it| places.get(*it).is_some_and(|it| it.wave == index));
        let hosts = u32::try_from(hosts.count()).unwrap_or(u32::MAX);
        if hosts == 0 {
            return None;
        }
        let window = policy.window_of(rule);
        let reserve_s = window
            .and_then(|it| input.schedule.windows.get(it))
            .map_or(0, |it| it.reserve_s);
        let proves = rule.proves(index, of);
        Some((
            index,
            Wave {
                name: rule.shown_name(index, of),
                window: window.map(str::to_owned),
                reserve_s,
                parallel: rule.parallel.hosts(hosts),
                ramp: rule.ramp,
                max_failures: rule.failures_of(index, of, hosts),
                soak_s: scaled(rule.soak_s(index, of), soak),
                gates: rule.gates.0.clone(),
                approve: rule.approve == Approve::Manual,
                proves,
                uncovered: if proves {
                    uncovered(input, all, places, index)
                } else {
                    Vec::new()
                },
            },
        ))
    });
    waves.collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a soak is far below 2^53 seconds, the factor is between 0 and 1"
)]
fn scaled(seconds: u64, factor: f64) -> u64 {
    (seconds as f64 * factor.clamp(0.0, 1.0)).ceil() as u64
}

/// Soaks are shortened only if nothing but urgent updates is installed.
fn soak_factor(input: &Input<'_>, all: All<'_, '_>) -> f64 {
    let mut wanted = all.values().flat_map(|it| &it.selection.wanted).peekable();
    if wanted.peek().is_some() && wanted.all(|it| it.urgent) {
        input.file.policy.select.urgent.soak_factor
    } else {
        1.0
    }
}

/// Classes of hosts in later waves that no host of this wave or an earlier one stands for.
fn uncovered(
    input: &Input<'_>,
    all: All<'_, '_>,
    places: &BTreeMap<String, Place>,
    wave: usize,
) -> Vec<String> {
    let mut covered: BTreeSet<String> = BTreeSet::new();
    let mut later: BTreeMap<String, usize> = BTreeMap::new();
    for (host, candidate) in all {
        let Some(place) = places.get(host) else {
            continue;
        };
        let class = class_of(input, host, candidate, &ALL_DIMENSIONS);
        if place.wave <= wave {
            covered.insert(class);
        } else {
            *later.entry(class).or_default() += 1;
        }
    }
    later.retain(|class, _| !covered.contains(class));
    let line = |(class, count): (String, usize)| {
        let hosts = if count == 1 { "host" } else { "hosts" };
        format!("{class} ({count} {hosts})")
    };
    later.into_iter().map(line).collect()
}

fn groups(input: &Input<'_>) -> Vec<Group> {
    let rules = input.file.policy.groups.iter();
    rules
        .map(|(name, rule)| {
            let hosts: Vec<String> = input
                .members
                .groups
                .get(name)
                .map_or_else(Vec::new, |it| it.iter().cloned().collect());
            let away = |host: &&String| {
                let target = input.members.targets.contains(*host);
                match input.hosts.get(*host) {
                    Some(Asked::Unreachable(_)) => true,
                    Some(Asked::Failed(_) | Asked::Scanned(_)) => false,
                    None => target,
                }
            };
            Group {
                name: name.clone(),
                max_unavailable: max_unavailable(rule, hosts.len()),
                gate: rule.gate.clone(),
                unavailable: hosts.iter().filter(away).cloned().collect(),
                hosts,
            }
        })
        .collect()
}

/// How many hosts of a group may be unavailable.
pub(crate) fn max_unavailable(rule: &GroupRule, hosts: usize) -> u32 {
    let of = u32::try_from(hosts).unwrap_or(u32::MAX);
    match (rule.max_unavailable, rule.min_available) {
        (Some(amount), _) => amount.max_unavailable(of),
        (None, Some(amount)) => amount.min_available(of),
        (None, None) => Amount::Count(1).max_unavailable(of),
    }
}

/// What earlier runs have proven of what this plan installs.
fn proven(input: &Input<'_>, all: All<'_, '_>) -> Vec<Proven> {
    let pin = &input.file.policy.pin;
    if pin.mode == Pin::Plan || !pin.earlier_runs {
        return Vec::new();
    }
    let mut found: BTreeSet<Proven> = BTreeSet::new();
    for candidate in all.values() {
        let scan = &candidate.scanned.scan;
        for action in &candidate.resolution.actions {
            let Some(rebooted) = proof::earlier(input, candidate, action) else {
                continue;
            };
            found.insert(Proven {
                os: scan.os.id.clone(),
                os_version: scan.os.version.clone(),
                arch: scan.arch.clone(),
                package: action.package.clone(),
                version: action.to.clone().unwrap_or_default(),
                rebooted: rebooted.into_iter().cloned().collect(),
            });
        }
    }
    found.into_iter().collect()
}

fn gates(input: &Input<'_>, plan: &Plan) -> BTreeMap<String, Gate> {
    let of_waves = plan.waves.iter().flat_map(|it| &it.gates);
    let of_groups = plan.groups.iter().filter_map(|it| it.gate.as_ref());
    let used: BTreeSet<&String> = of_waves.chain(of_groups).collect();
    let rules = used
        .into_iter()
        .filter_map(|name| Some((name, input.file.policy.gates.get(name)?)));
    rules
        .filter_map(|(name, rule)| Some((name.clone(), gate(rule)?)))
        .collect()
}

/// A gate. `None` if the rule asks nothing (lint refuses such).
fn gate(rule: &GateRule) -> Option<Gate> {
    let check = if let Some(command) = &rule.cmd {
        let (ok_rc, on) = match command {
            CommandGate::Line(_) => (vec![0], CommandOn::Hosts),
            CommandGate::Full(full) => (full.ok_rc.clone(), full.on),
        };
        GateCheck::Command {
            command: command.line().to_owned(),
            ok_rc,
            on_controller: on == CommandOn::Controller,
        }
    } else if let Some(http) = &rule.http {
        let (status, contains) = match http {
            HttpGate::Url(_) => (Vec::new(), None),
            HttpGate::Full(full) => (full.status.clone(), full.contains.clone()),
        };
        GateCheck::Http {
            url: http.url().to_owned(),
            status,
            contains,
        }
    } else {
        let query = rule.prometheus.as_ref()?;
        GateCheck::Prometheus {
            url: query.url.clone(),
            query: query.query.clone(),
            at_most: query.at_most,
        }
    };
    Some(Gate {
        check,
        timeout_s: rule.timeout.narrow(),
        retries: rule.retries,
        every_s: rule.every.narrow(),
    })
}

fn procedure(input: &Input<'_>) -> Result<Procedure, PlanProblem> {
    let policy = &input.file.policy;
    let preflight = &policy.preflight;
    let host = &policy.host;
    let hooks = |rules: &[HookRule]| -> Result<Vec<Hook>, PlanProblem> {
        rules
            .iter()
            .filter_map(|it| hook(input, it).transpose())
            .collect()
    };
    let free = preflight.disk.iter();
    Ok(Procedure {
        preflight: PreflightLimits {
            free_bytes: free.map(|(path, bytes)| (path.clone(), bytes.0)).collect(),
            locks_wait_s: preflight.locks_wait.0,
            repair: preflight.package_db == PackageDb::Repair,
        },
        clock_skew_max_s: preflight.clock_skew_max.narrow(),
        mask_competitors: preflight.competing_updaters == Competing::MaskDuringRun,
        reboot_first: preflight.pending_reboot == PendingReboot::RebootFirst,
        pre: hooks(&host.pre)?,
        post: hooks(&host.post)?,
        conffiles: host.conffiles,
        restart_allow: match host.restart_services {
            RestartServices::Never => Vec::new(),
            RestartServices::Listed => host.restart_allow.0.clone(),
            RestartServices::All => vec!["*".into()],
        },
        restart_deny: host.restart_deny.0.clone(),
        reboot: policy.reboot.mode,
        reboot_timeout_s: policy.reboot.timeout.narrow(),
        logins: policy.reboot.logins.max(1),
        snapshot: snapshot(input)?,
    })
}

fn snapshot(input: &Input<'_>) -> Result<SnapshotRule, PlanProblem> {
    let rules = &input.file.policy.rollback;
    Ok(match rules.snapshot {
        SnapshotMode::None => SnapshotRule::None,
        SnapshotMode::IfPossible => SnapshotRule::IfPossible,
        SnapshotMode::Required => SnapshotRule::Required,
        SnapshotMode::Hook => {
            let made = rules
                .snapshot_hook
                .as_ref()
                .map(|it| hook(input, it))
                .transpose()?;
            match made.flatten() {
                // Going back is done when it is needed, not owed: it is a hook of its own.
                Some(Hook {
                    undo: Some(back),
                    work,
                    name,
                    retries,
                    every_s,
                }) => SnapshotRule::Hook {
                    make: Hook {
                        name: name.clone(),
                        work,
                        undo: None,
                        retries,
                        every_s,
                    },
                    restore: Hook {
                        name: format!("back: {name}"),
                        work: back,
                        undo: None,
                        retries,
                        every_s,
                    },
                },
                // Lint refuses a policy without.
                Some(_) | None => SnapshotRule::None,
            }
        }
    })
}

/// A hook. `None` if the rule runs nothing (lint refuses such).
fn hook(input: &Input<'_>, rule: &HookRule) -> Result<Option<Hook>, PlanProblem> {
    let tasks = |path: &String| -> Result<HookWork, PlanProblem> {
        let file = input
            .files
            .read(path)
            .map_err(|why| PlanProblem::Unreadable {
                path: path.clone(),
                why,
            })?;
        Ok(HookWork::Tasks {
            sha256: sha256_hex(file.text.as_bytes()),
            path: file.path,
        })
    };
    let command = |line: &String| HookWork::Command {
        command: line.clone(),
    };
    let (name, work, undo) = match (&rule.tasks, &rule.cmd) {
        (Some(path), _) => (
            path,
            tasks(path)?,
            rule.undo.as_ref().map(tasks).transpose()?,
        ),
        (None, Some(line)) => (line, command(line), rule.undo.as_ref().map(command)),
        (None, None) => return Ok(None),
    };
    Ok(Some(Hook {
        name: name.clone(),
        work,
        undo,
        retries: rule.retries,
        every_s: rule.every.narrow(),
    }))
}
