//! What each step asks of the host.

use std::collections::BTreeSet;

use hostler_patch::plan::{GateCheck, SnapshotRule};
use hostler_updates::ActionKind;
use serde_json::{Value, json};

use super::Machine;
use super::host::{Doing, Owed};
use super::place::Place;
use super::waves::{WavePhase, is_good};
use crate::{Job, JobName, Moment, Step, StepCall, StepWork};

/// Seconds that what is starting may take after services were restarted, without a reboot.
const SETTLE_S: u32 = 120;
/// Seconds between the answer of the host and its reboot.
const REBOOT_DELAY_S: u32 = 2;

fn module(name: &'static str, args: Value) -> StepWork {
    StepWork::Module { name, args }
}

impl Machine {
    /// Everything that is under way.
    pub(crate) fn jobs(&self) -> Vec<JobName> {
        let mut jobs: Vec<JobName> = Vec::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let name = || self.names[index].clone();
            if let Some(doing) = host.doing {
                jobs.push(JobName::Step {
                    host: name(),
                    step: doing.step,
                    attempt: doing.attempt,
                });
            }
            if let Some(moment) = host.asking {
                jobs.push(JobName::Groups {
                    host: name(),
                    moment,
                });
            }
        }
        let soaking = self.current_wave().filter(|_| !self.stopping());
        if let Some(wave) = soaking
            && let WavePhase::Soaking {
                until_us,
                green: false,
            } = self.waves[wave].phase
        {
            let wave = u32::try_from(wave).unwrap_or(u32::MAX);
            jobs.push(JobName::Watch { wave, until_us });
        }
        jobs
    }

    /// What a job is that is under way; `None` if it is not.
    pub fn job(&self, name: &JobName) -> Option<Job> {
        let find = |host: &String| self.index.get(host).copied();
        match name {
            JobName::Step {
                host,
                step,
                attempt,
            } => {
                let index = find(host)?;
                let doing = self.hosts[index].doing?;
                let same = doing.step == *step && doing.attempt == *attempt;
                same.then(|| self.step_job(index, doing))
            }
            JobName::Groups { host, moment } => {
                let index = find(host)?;
                (self.hosts[index].asking == Some(*moment)).then(|| Job::Groups {
                    host: host.clone(),
                    moment: *moment,
                    gates: self.group_gates(index),
                })
            }
            JobName::Watch { wave, until_us } => {
                let number = *wave as usize;
                self.waves.get(number)?;
                Some(Job::Watch {
                    wave: *wave,
                    gates: self.wave_gates(number),
                    until_us: *until_us,
                })
            }
        }
    }

    fn step_job(&self, index: usize, doing: Doing) -> Job {
        let host = &self.hosts[index];
        let timeout = self.plan.procedure.reboot_timeout_s;
        let call = |work| StepCall {
            host: self.names[index].clone(),
            step: doing.step,
            attempt: doing.attempt,
            work,
            again: doing.again,
        };
        let until = |seconds: u32| doing.began_us + i64::from(seconds) * 1_000_000;
        match doing.step {
            Step::Back => Job::Back {
                host: self.names[index].clone(),
                attempt: doing.attempt,
                boot_id: host.got.boot_id.clone(),
                logins: self.plan.procedure.logins.max(1),
                until_us: until(timeout),
            },
            Step::Verify => {
                let rebooted = self.just_rebooted(index);
                Job::Verify {
                    call: call(self.work(index, doing.step)),
                    until_us: until(if rebooted {
                        timeout.max(SETTLE_S)
                    } else {
                        SETTLE_S
                    }),
                }
            }
            step => Job::Step(call(self.work(index, step))),
        }
    }

    fn just_rebooted(&self, index: usize) -> bool {
        let host = &self.hosts[index];
        match host.place {
            Place::FirstVerify => true,
            Place::RollbackVerify => self.reboots_back(index),
            _ => host.got.rebooted,
        }
    }

    fn work(&self, index: usize, step: Step) -> StepWork {
        let (host, plan) = (&self.hosts[index], self.plan_of(index));
        let procedure = &self.plan.procedure;
        let actions = || json!(self.actions_of(index));
        match step {
            Step::Resolve => module("patch_resolve", self.resolve_args(index)),
            Step::Preflight => module(
                "patch_preflight",
                json!({
                    "limits": procedure.preflight,
                    "actions": actions(),
                    "installed_sha256": plan.installed_sha256,
                    "conffiles": procedure.conffiles,
                }),
            ),
            Step::Mask => module(
                "patch_competitors",
                json!({"state": "masked", "run": self.run}),
            ),
            Step::Release => module(
                "patch_competitors",
                json!({"state": "released", "run": self.run}),
            ),
            Step::Download => module(
                "patch_download",
                json!({
                    "actions": actions(),
                    "keep_old": self.plan.rollback.keep_old_packages,
                    "run": self.run,
                }),
            ),
            Step::Look => module("patch_scan", json!({"refresh": false})),
            Step::Pre(n) => hook(procedure.pre.get(n as usize), false),
            Step::Post(n) => hook(procedure.post.get(n as usize), false),
            Step::Undo(n) => hook(procedure.pre.get(n as usize), true),
            // Probes are made by the job that waits; a step of its own would be one of them.
            Step::Back => StepWork::Probe,
            Step::Baseline => module("patch_baseline", json!({})),
            Step::Snapshot => match &procedure.snapshot {
                SnapshotRule::Hook { make, .. } => hook(Some(make), false),
                _ => module("patch_snapshot", self.snapshot_args(index, "present")),
            },
            Step::RemoveSnapshot => module("patch_snapshot", self.snapshot_args(index, "absent")),
            Step::Install => module("patch_install", self.install_args(index)),
            Step::Restart => module(
                "patch_restart",
                json!({"allow": procedure.restart_allow, "deny": procedure.restart_deny}),
            ),
            Step::Reboot => module(
                "patch_reboot",
                json!({
                    "boot_id": host.got.boot_id,
                    "delay_s": REBOOT_DELAY_S,
                    "message": format!("rebooted by hostler, run {}", self.run),
                }),
            ),
            Step::Verify => module("patch_verify", self.verify_args(index)),
            Step::Rollback => match &procedure.snapshot {
                SnapshotRule::Hook { restore, .. } if self.by_snapshot(index) => {
                    hook(Some(restore), false)
                }
                _ => module("patch_rollback", self.rollback_args(index)),
            },
        }
    }

    fn resolve_args(&self, index: usize) -> Value {
        let wanted = self.wanted(index).into_iter();
        let wanted: Vec<Value> = wanted
            .map(|it| json!({"name": it.package.name, "arch": it.package.arch, "version": it.to}))
            .collect();
        json!({"wanted": wanted, "refresh": true})
    }

    fn install_args(&self, index: usize) -> Value {
        let procedure = &self.plan.procedure;
        let actions = self.actions_of(index);
        let removed = actions.iter().filter(|it| it.kind == ActionKind::Remove);
        let names: BTreeSet<&str> = removed.map(|it| it.package.name.as_str()).collect();
        json!({
            "actions": actions,
            "allow_remove": names,
            "conffiles": procedure.conffiles,
            "locks_wait_s": procedure.preflight.locks_wait_s,
            "run": self.run,
        })
    }

    fn rollback_args(&self, index: usize) -> Value {
        let got = &self.hosts[index].got;
        let done = got.installed.as_ref().map(|it| it.actions.as_slice());
        let actions = done
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| self.actions_of(index));
        let snapshot = got.snapshot.as_ref().filter(|_| self.by_snapshot(index));
        json!({
            "actions": actions,
            "never_downgrade": self.plan.rollback.never_downgrade,
            "run": self.run,
            "snapshot": snapshot,
        })
    }

    fn snapshot_args(&self, index: usize, state: &str) -> Value {
        let made = self.hosts[index]
            .got
            .snapshot
            .as_ref()
            .map(|it| it.provider);
        let provider = made.or(self.plan_of(index).way_back.snapshot);
        json!({"run": self.run, "provider": provider, "state": state})
    }

    fn verify_args(&self, index: usize) -> Value {
        let host = &self.hosts[index];
        let rebooted = self.just_rebooted(index);
        let look = match host.place {
            Place::FirstVerify => host.got.look_first.as_ref(),
            Place::RollbackVerify => None,
            _ => host.got.look.as_ref(),
        };
        let kernel = look.filter(|_| rebooted).and_then(|it| it.kernel.clone());
        let installed = !matches!(host.place, Place::FirstVerify | Place::RollbackVerify);
        let mut baseline = host.got.baseline.clone();
        if let Some(id) = baseline.as_mut().and_then(|it| it.get_mut("boot_id"))
            && !rebooted
        {
            // It may have been rebooted since the baseline, but not since its boot id was seen last. What a hook that goes
            // back to a snapshot does to it is the hook's.
            let by_hook = host.place == Place::RollbackVerify && host.got.rolled_back.is_none();
            *id = json!(if by_hook { "" } else { &host.got.boot_id });
        }
        json!({
            "baseline": baseline,
            "actions": if installed { json!(self.actions_of(index)) } else { json!([]) },
            "expected_kernel": kernel,
            "rebooted": rebooted,
        })
    }

    /// Gates of the host's groups that are asked, each with the member that it is asked on.
    pub(crate) fn group_gates(&self, index: usize) -> Vec<(String, Option<String>)> {
        let groups = self.plan_of(index).groups.iter();
        groups
            .filter_map(|&number| {
                let group = self.plan.groups.get(number as usize)?;
                let gate = group.gate.clone()?;
                let on_host = self
                    .plan
                    .gates
                    .get(&gate)
                    .is_some_and(|it| asks_a_host(&it.check));
                let member = on_host
                    .then(|| self.member(number as usize, index))
                    .flatten();
                Some((gate, member))
            })
            .collect()
    }

    /// Another member of the group that can be asked: the next one after the host.
    fn member(&self, group: usize, index: usize) -> Option<String> {
        let missing = self.missing(group, Some(index));
        let (group, own) = (&self.plan.groups[group], &self.names[index]);
        let at = group.hosts.iter().position(|it| it == own).unwrap_or(0);
        let others = group
            .hosts
            .iter()
            .cycle()
            .skip(at + 1)
            .take(group.hosts.len());
        let mut fit = others.filter(|it| *it != own && !missing.contains(&it.as_str()));
        fit.next().cloned()
    }

    fn wave_gates(&self, wave: usize) -> Vec<(String, Option<String>)> {
        let mut all = Vec::new();
        for gate in &self.plan.waves[wave].gates {
            let on_host = self
                .plan
                .gates
                .get(gate)
                .is_some_and(|it| asks_a_host(&it.check));
            if !on_host {
                all.push((gate.clone(), None));
                continue;
            }
            let hosts = self.waves[wave].hosts.iter();
            let patched = hosts.filter(|&&it| is_good(self.hosts[it].outcome.as_ref()));
            all.extend(patched.map(|&it| (gate.clone(), Some(self.names[it].clone()))));
        }
        all
    }

    /// Is it the snapshot that the host goes back to?
    pub(crate) fn by_snapshot(&self, index: usize) -> bool {
        let got = &self.hosts[index].got;
        let wanted =
            self.plan.rollback.on_host_failure == hostler_patch::plan::HostRollback::Snapshot;
        wanted && (got.snapshot.is_some() || got.snapshot_hook)
    }
}

fn hook(hook: Option<&hostler_patch::plan::Hook>, undo: bool) -> StepWork {
    let empty = || hostler_patch::plan::HookWork::Command {
        command: "true".to_owned(),
    };
    // Places and what is owed are made from the plan's hooks: one that is not there is not asked for.
    let name = hook.map_or("", |it| it.name.as_str());
    let work = match hook {
        Some(it) if undo => it.undo.clone(),
        it => it.map(|it| it.work.clone()),
    };
    StepWork::Hook {
        name: if undo {
            format!("undo of {name}")
        } else {
            name.to_owned()
        },
        work: work.unwrap_or_else(empty),
    }
}

/// Is the question for a host?
pub(crate) fn asks_a_host(check: &GateCheck) -> bool {
    matches!(
        check,
        GateCheck::Command {
            on_controller: false,
            ..
        }
    )
}

impl Moment {
    /// Where the host is then.
    pub(crate) fn of(place: Place) -> Option<Self> {
        match place {
            Place::GatesChange => Some(Self::Change),
            Place::GatesReboot => Some(Self::Reboot),
            Place::GatesBack => Some(Self::Back),
            _ => None,
        }
    }
}

impl Owed {
    /// In words, with the name of the hook.
    pub(crate) fn words(self, machine: &Machine) -> String {
        match self {
            Self::Snapshot => "its snapshot is still there".to_owned(),
            Self::Release => "what else updates packages is still stopped".to_owned(),
            Self::Undo(n) => {
                let hook = machine.plan.procedure.pre.get(n as usize);
                let name = hook.map_or("", |it| it.name.as_str());
                format!("{name} is not undone")
            }
        }
    }
}
