//! What follows from the outcome of a step.

use hostler_patch::plan::{HostRollback, RebootRule, SnapshotRule};
use hostler_updates::{
    Baseline, Difference, Downloaded, Installed, Preflight, RebootNeed, Resolution, Restarted,
    RolledBack, Snapshot,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Machine;
use super::admission::RED_WAIT_US;
use super::back::is_boot_id;
use super::host::{Look, Owed, Stage};
use super::place::Place;
use crate::{Failure, FailureKind, Outcome, Step, StepOutcome};

/// Between two tries to reach a host.
const LOST_WAIT_US: i64 = 60_000_000;
/// How often a module is begun at one place if nobody knows what came of it.
const UNKNOWN_TRIES: u32 = 3;
/// How often competitors are tried to be released.
const RELEASE_TRIES: u32 = 3;
const SHORT_WAIT_US: i64 = 5_000_000;
/// Messages of hosts are kept up to so many characters.
const MESSAGE: usize = 2000;
/// Lines of findings that a host may have.
const FINDINGS: usize = 200;

/// Begins the message of a step that found the host not as planned.
pub const PLAN_MISMATCH: &str = "plan_mismatch:";
/// Begins the message of a download whose version no source has any more.
pub const VERSION_GONE: &str = "version_gone:";

impl Machine {
    /// To a place, or to the first one after it that applies.
    pub(crate) fn go(&mut self, index: usize, place: Place, at_us: i64) {
        let (pre, post) = (
            u32::try_from(self.plan.procedure.pre.len()).unwrap_or(u32::MAX),
            u32::try_from(self.plan.procedure.post.len()).unwrap_or(u32::MAX),
        );
        let mut place = place;
        while place != Place::End && !self.applies(index, place) {
            place = place.following(pre, post);
        }
        let host = &mut self.hosts[index];
        host.place = place;
        host.tries = 0;
        host.redo = None;
        host.not_before_us = i64::MIN;
        host.since_us = at_us;
        if place == Place::End && host.leaving && host.coming.is_none() {
            host.wait_again(at_us);
        }
    }

    fn next(&mut self, index: usize, at_us: i64) {
        let (pre, post) = (
            u32::try_from(self.plan.procedure.pre.len()).unwrap_or(u32::MAX),
            u32::try_from(self.plan.procedure.post.len()).unwrap_or(u32::MAX),
        );
        let place = self.hosts[index].place.following(pre, post);
        self.go(index, place, at_us);
    }

    fn applies(&self, index: usize, place: Place) -> bool {
        let (host, plan) = (&self.hosts[index], self.plan_of(index));
        let procedure = &self.plan.procedure;
        let empty = self.actions_of(index).is_empty();
        let first = host
            .got
            .look_first
            .as_ref()
            .is_some_and(|it| it.need == RebootNeed::Yes);
        let gates = || !self.group_gates(index).is_empty();
        let back = host.got.rolled_back.as_ref();
        match place {
            Place::Mask => procedure.mask_competitors,
            Place::AgainMask => procedure.mask_competitors && !host.owed.contains(&Owed::Release),
            Place::AgainPre(n) => {
                let drains = procedure
                    .pre
                    .get(n as usize)
                    .is_some_and(|it| it.undo.is_some());
                drains && !host.owed.contains(&Owed::Undo(n))
            }
            Place::LookFirst => procedure.reboot_first && procedure.reboot != RebootRule::Never,
            Place::Snapshot => match procedure.snapshot {
                SnapshotRule::None => false,
                SnapshotRule::IfPossible => !empty && plan.way_back.snapshot.is_some(),
                SnapshotRule::Required | SnapshotRule::Hook { .. } => !empty,
            },
            Place::GatesChange => (first || !empty) && gates(),
            Place::FirstReboot | Place::FirstBack | Place::FirstVerify => first,
            Place::Resolve | Place::Download | Place::Install | Place::Restart => !empty,
            Place::Look | Place::Reboot | Place::Back => self.reboot_due(index),
            Place::GatesReboot => self.reboot_due(index) && gates(),
            Place::RollbackRestart => {
                back.is_some_and(|it| !it.needs_reboot && !it.actions.is_empty())
            }
            Place::RollbackReboot | Place::RollbackBack => back.is_some_and(|it| it.needs_reboot),
            Place::RollbackVerify => host.got.baseline.is_some(),
            Place::Settle => host.next_owed(self.snapshot_goes(index)).is_some(),
            Place::GatesBack => {
                let taken = matches!(host.coming, None | Some(Outcome::RolledBack { .. }));
                taken && !host.leaving && gates()
            }
            Place::Preflight
            | Place::Pre(_)
            | Place::Baseline
            | Place::Verify
            | Place::Post(_)
            | Place::Rollback
            | Place::End => true,
        }
    }

    /// How long the gates of the host's groups are left alone after a no.
    pub(crate) fn red_wait(&self, index: usize) -> i64 {
        let groups = self.plan_of(index).groups.iter();
        let gates = groups.filter_map(|&it| {
            let gate = self.plan.groups.get(it as usize)?.gate.as_ref()?;
            self.plan.gates.get(gate)
        });
        let longest = gates.map(|it| i64::from(it.every_s) * 1_000_000).max();
        longest.unwrap_or(0).max(RED_WAIT_US)
    }

    /// The outcome of a step.
    pub(crate) fn ended(
        &mut self,
        index: usize,
        step: Step,
        attempt: u32,
        outcome: &StepOutcome,
        at_us: i64,
    ) {
        if self.hosts[index].stage == Stage::Ended {
            self.kept_house(index, step, outcome);
            return;
        }
        match outcome {
            StepOutcome::Unreachable { reason } => match step {
                // It went down before it could answer, most likely. What comes then finds out.
                Step::Reboot => self.next(index, at_us),
                Step::Back => {
                    let message = format!("it did not come back in time: {reason}");
                    self.cut(
                        index,
                        FailureKind::RebootTimeout,
                        Some(step),
                        &message,
                        at_us,
                    );
                }
                _ => self.lose(index, step, attempt, reason, at_us),
            },
            StepOutcome::HostKey { message } => {
                self.cut(index, FailureKind::HostKey, Some(step), message, at_us);
            }
            answered => {
                let host = &mut self.hosts[index];
                host.lost = None;
                host.unreached = 0;
                match answered {
                    StepOutcome::Done { values } => self.done(index, step, values, at_us),
                    StepOutcome::Failed { message } => self.failed(index, step, message, at_us),
                    StepOutcome::Unknown { message } => self.unknown(index, step, message, at_us),
                    StepOutcome::Unreachable { .. } | StepOutcome::HostKey { .. } => {}
                }
            }
        }
    }

    fn kept_house(&mut self, index: usize, step: Step, outcome: &StepOutcome) {
        let Some(owed) = Owed::of(step) else { return };
        let text = match outcome {
            StepOutcome::Done { .. } => {
                self.hosts[index].owed.remove(&owed);
                return;
            }
            StepOutcome::Failed { message }
            | StepOutcome::Unknown { message }
            | StepOutcome::HostKey { message } => message.clone(),
            StepOutcome::Unreachable { reason } => reason.clone(),
        };
        self.hosts[index].given_up.insert(owed);
        self.finding(index, format!("{step}: {}", short(&text)));
    }

    fn lose(&mut self, index: usize, step: Step, attempt: u32, reason: &str, at_us: i64) {
        let host = &mut self.hosts[index];
        let since = host.lost.as_ref().map_or(at_us, |it| it.0);
        host.lost = Some((since, short(reason)));
        host.unreached += 1;
        host.redo = Some((step, attempt));
        host.not_before_us = at_us.saturating_add(LOST_WAIT_US);
        host.uncertain |= step == Step::Install;
    }

    /// Ends work on a host that cannot be worked on: what is owed stays owed.
    fn cut(
        &mut self,
        index: usize,
        kind: FailureKind,
        step: Option<Step>,
        message: &str,
        at_us: i64,
    ) {
        let host = &mut self.hosts[index];
        host.coming = Some(Outcome::Failed {
            failure: Failure {
                kind,
                step,
                message: short(message),
            },
            changed: host.changed,
        });
        host.healthy = false;
        host.lost = None;
        host.given_up = host.owed.clone();
        self.go(index, Place::End, at_us);
    }

    pub(crate) fn give_up(&mut self, index: usize, reason: &str, at_us: i64) {
        let rule = self.plan.unreachable;
        let host = &mut self.hosts[index];
        let touched = host.changed || !host.healthy;
        host.coming = Some(Outcome::Unreachable {
            reason: reason.to_owned(),
            changed: touched,
            counts: touched || rule == hostler_patch::plan::UnreachableRule::CountAsFailure,
        });
        host.given_up = host.owed.clone();
        host.lost = None;
        host.leaving = false;
        self.go(index, Place::End, at_us);
    }

    fn done(&mut self, index: usize, step: Step, values: &Value, at_us: i64) {
        match self.learn(index, step, values) {
            Ok(Next::On) => match Owed::of(step) {
                Some(owed) => {
                    self.hosts[index].owed.remove(&owed);
                    self.go(index, Place::Settle, at_us);
                }
                None => self.next(index, at_us),
            },
            Ok(Next::Settle) => self.go(index, Place::Settle, at_us),
            Err(message) => self.failed(index, step, &message, at_us),
        }
    }

    /// Keeps what a step gave. An error is the step's failure.
    fn learn(&mut self, index: usize, step: Step, values: &Value) -> Result<Next, String> {
        match step {
            Step::Resolve => {
                let resolution: Resolution = read(values, "resolution")?;
                self.resolved(index, resolution)?;
                let held = self.hosts[index].coming.is_some();
                return Ok(if held { Next::Settle } else { Next::On });
            }
            Step::Preflight => {
                let preflight: Preflight = read(values, "preflight")?;
                for line in preflight.repaired {
                    self.finding(index, format!("repaired: {line}"));
                }
                for it in preflight.findings {
                    self.finding(index, format!("{}: {}", it.code, it.text));
                }
                if !preflight.refused.is_empty() {
                    let reason = format!("refused: {}", preflight.refused.join("; "));
                    self.hosts[index].coming = Some(Outcome::Deferred {
                        reason: short(&reason),
                    });
                    return Ok(Next::Settle);
                }
            }
            Step::Download => {
                let downloaded: Downloaded = read(values, "downloaded")?;
                for it in downloaded.without_way_back {
                    self.finding(
                        index,
                        format!("no way back: the installed version of {it} cannot be had again"),
                    );
                }
            }
            Step::Look => {
                let look = Look {
                    need: read(
                        values.pointer("/scan/reboot").unwrap_or(&Value::Null),
                        "need",
                    )?,
                    kernel: read(
                        values.pointer("/scan/kernel").unwrap_or(&Value::Null),
                        "newest",
                    )?,
                };
                let host = &mut self.hosts[index];
                match host.place {
                    Place::LookFirst => host.got.look_first = Some(look),
                    _ => host.got.look = Some(look),
                }
            }
            Step::Baseline => {
                let baseline: Baseline = read(values, "baseline")?;
                if !is_boot_id(&baseline.boot_id) {
                    return Err("the host has no valid boot id".to_owned());
                }
                let got = &mut self.hosts[index].got;
                got.boot_id = baseline.boot_id;
                got.baseline = values.get("baseline").cloned();
            }
            Step::Snapshot => {
                if self.snapshot_is_hook() {
                    self.hosts[index].got.snapshot_hook = true;
                } else {
                    let snapshot: Snapshot = read(values, "snapshot")?;
                    self.hosts[index].got.snapshot = Some(snapshot);
                }
            }
            Step::Install => {
                let installed: Installed = read(values, "installed")?;
                for path in &installed.conffiles_left {
                    self.finding(
                        index,
                        format!("configuration file left beside another: {path}"),
                    );
                }
                self.hosts[index].got.installed = Some(installed);
            }
            Step::Restart => {
                let restarted: Restarted = read(values, "restarted")?;
                for (unit, why) in &restarted.left {
                    self.finding(index, format!("{unit} still runs replaced files: {why}"));
                }
                if restarted.reboot.need == RebootNeed::Unknown {
                    self.finding(
                        index,
                        "whether a reboot is needed cannot be told".to_owned(),
                    );
                }
                if self.hosts[index].place == Place::Restart {
                    self.hosts[index].got.restarted = Some(restarted);
                }
            }
            Step::Back => {
                let boot_id: String = read(values, "boot_id")?;
                let reboots: u32 = read(values, "reboots")?;
                let host = &mut self.hosts[index];
                host.got.boot_id = boot_id;
                host.got.reboots += reboots;
                host.got.rebooted |= host.place == Place::Back;
                host.reboot_again = false;
                if reboots > 1 {
                    self.finding(index, format!("it booted {reboots} times"));
                }
            }
            Step::Verify => self.verified(index, values)?,
            Step::Rollback => {
                let hook = self.snapshot_is_hook() && self.by_snapshot(index);
                if !hook {
                    let back: RolledBack = read(values, "rolled_back")?;
                    self.hosts[index].got.rolled_back = Some(back);
                }
                self.hosts[index].changed = false;
            }
            Step::Mask
            | Step::Pre(_)
            | Step::Post(_)
            | Step::Undo(_)
            | Step::Release
            | Step::RemoveSnapshot
            | Step::Reboot => {}
        }
        Ok(Next::On)
    }

    fn verified(&mut self, index: usize, values: &Value) -> Result<(), String> {
        let differences: Vec<Difference> = read(values, "differences")?;
        let mut problems: Vec<String> = read(values, "problems")?;
        let settling: bool = read(values, "settling")?;
        let now: Baseline = read(values, "baseline")?;
        problems.extend(differences.iter().map(|it| {
            let word = if it.missing { "missing" } else { "new" };
            format!("{word} {}: {}", it.what, it.which)
        }));
        if settling {
            problems.push("it is still starting".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let host = &mut self.hosts[index];
        host.healthy = true;
        if is_boot_id(&now.boot_id) {
            host.got.boot_id = now.boot_id;
        }
        if host.place == Place::RollbackVerify {
            let back = host.got.rolled_back.as_ref();
            let lines = back.into_iter().flat_map(|it| &it.left);
            let left: Vec<String> = lines
                .map(|(package, why)| format!("{package}: {why}"))
                .collect();
            let failure = match host.coming.take() {
                Some(Outcome::Failed { failure, .. }) => Some(failure),
                Some(Outcome::RolledBack { failure, .. }) => failure,
                _ => None,
            };
            host.coming = Some(Outcome::RolledBack { failure, left });
        }
        Ok(())
    }

    fn failed(&mut self, index: usize, step: Step, message: &str, at_us: i64) {
        if self.tried_again(index, step, at_us) {
            return;
        }
        let host = &mut self.hosts[index];
        let message = short(message);
        match step {
            Step::Install | Step::Download | Step::Resolve | Step::Preflight
                if message.starts_with(PLAN_MISMATCH) && !host.uncertain =>
            {
                let reason = message[PLAN_MISMATCH.len()..].trim().to_owned();
                host.changed = false;
                host.healthy = true;
                host.coming = Some(Outcome::PlanMismatch { reason });
                self.go(index, Place::Settle, at_us);
            }
            Step::Download if is_gone(&message) => {
                let reason = message.trim_start_matches(VERSION_GONE).trim().to_owned();
                match self.gone(index, &reason) {
                    Ok(()) => self.go(index, Place::Settle, at_us),
                    Err(message) => self.step_failed(index, step, message, at_us),
                }
            }
            Step::Look => {
                self.finding(index, format!("{step}: {message}"));
                self.next(index, at_us);
            }
            Step::Snapshot if self.plan.procedure.snapshot == SnapshotRule::IfPossible => {
                self.finding(index, format!("no snapshot: {message}"));
                self.next(index, at_us);
            }
            Step::Snapshot => {
                host.coming = Some(Outcome::Deferred {
                    reason: format!("refused: no snapshot can be made: {message}"),
                });
                self.go(index, Place::Settle, at_us);
            }
            Step::Undo(_) | Step::Release | Step::RemoveSnapshot => {
                self.settle_failed(index, step, &message, at_us);
            }
            Step::Back if !host.reboot_again => {
                host.reboot_again = true;
                let place = match host.place {
                    Place::FirstBack => Place::FirstReboot,
                    Place::RollbackBack => Place::RollbackReboot,
                    _ => Place::Reboot,
                };
                self.go(index, place, at_us);
            }
            _ => self.step_failed(index, step, message, at_us),
        }
    }

    /// Hooks have tries of their own, and competitors are released if it can be done at all.
    fn tried_again(&mut self, index: usize, step: Step, at_us: i64) -> bool {
        let procedure = &self.plan.procedure;
        let hook = match step {
            Step::Pre(n) | Step::Undo(n) => procedure.pre.get(n as usize),
            Step::Post(n) => procedure.post.get(n as usize),
            Step::Release => None,
            _ => return false,
        };
        let (tries, wait) = match hook {
            Some(it) => (
                it.retries.saturating_add(1),
                i64::from(it.every_s) * 1_000_000,
            ),
            None => (RELEASE_TRIES, SHORT_WAIT_US),
        };
        let host = &mut self.hosts[index];
        let again = host.tries < tries;
        if again {
            host.not_before_us = at_us.saturating_add(wait);
        }
        again
    }

    fn settle_failed(&mut self, index: usize, step: Step, message: &str, at_us: i64) {
        if let Some(owed) = Owed::of(step) {
            self.hosts[index].given_up.insert(owed);
        }
        self.finding(index, format!("{step}: {message}"));
        let host = &mut self.hosts[index];
        if matches!(step, Step::Undo(_)) && !matches!(host.coming, Some(Outcome::Failed { .. })) {
            host.coming = Some(Outcome::Failed {
                failure: Failure {
                    kind: FailureKind::Undo,
                    step: Some(step),
                    message: message.to_owned(),
                },
                changed: host.changed,
            });
        }
        self.go(index, Place::Settle, at_us);
    }

    fn unknown(&mut self, index: usize, step: Step, message: &str, at_us: i64) {
        let host = &mut self.hosts[index];
        host.uncertain |= step == Step::Install;
        match step {
            Step::Reboot => self.next(index, at_us),
            Step::Pre(_) | Step::Post(_) | Step::Undo(_) => {
                self.failed(index, step, message, at_us)
            }
            // Modules look before they act: what was done is found there, what was interrupted is completed.
            _ if host.tries < UNKNOWN_TRIES => {
                host.not_before_us = at_us.saturating_add(SHORT_WAIT_US)
            }
            _ => {
                let message = format!("what came of it cannot be found out: {message}");
                self.failed(index, step, &message, at_us);
            }
        }
    }

    fn step_failed(&mut self, index: usize, step: Step, message: String, at_us: i64) {
        let kind = match step {
            Step::Pre(_) | Step::Post(_) => FailureKind::Hook,
            Step::Install => FailureKind::Install,
            Step::Reboot | Step::Back => FailureKind::NotRebooted,
            Step::Restart | Step::Verify => FailureKind::Verify,
            _ => FailureKind::Preparation,
        };
        self.fail(index, kind, Some(step), message, at_us);
    }

    /// The host has failed: it is put back if the policy says so, and what is owed is done as far as it may be.
    pub(crate) fn fail(
        &mut self,
        index: usize,
        kind: FailureKind,
        step: Option<Step>,
        message: String,
        at_us: i64,
    ) {
        let policy = self.plan.rollback.on_host_failure;
        let host = &mut self.hosts[index];
        let rolling = host.place.is_rollback();
        let after = matches!(step, Some(Step::Post(_) | Step::Verify | Step::Restart));
        if after || rolling {
            host.healthy = false;
        }
        let message = match &host.coming {
            Some(
                Outcome::Failed { failure, .. }
                | Outcome::RolledBack {
                    failure: Some(failure),
                    ..
                },
            ) => format!("{message}; it was put back because of: {}", failure.message),
            _ => message,
        };
        host.coming = Some(Outcome::Failed {
            failure: Failure {
                kind: if rolling { FailureKind::Rollback } else { kind },
                step,
                message: short(&message),
            },
            changed: host.changed,
        });
        let back = host.changed && !rolling && !host.rollback_tried && policy != HostRollback::None;
        host.rollback_tried |= back;
        self.go(
            index,
            if back {
                Place::AgainMask
            } else {
                Place::Settle
            },
            at_us,
        );
    }

    fn finding(&mut self, index: usize, line: String) {
        let findings = &mut self.hosts[index].findings;
        if findings.len() < FINDINGS && !findings.contains(&line) {
            findings.push(line);
        }
    }
}

enum Next {
    On,
    Settle,
}

fn read<T: DeserializeOwned>(values: &Value, name: &str) -> Result<T, String> {
    let value = values.get(name).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value)
        .map_err(|error| format!("the answer of the host cannot be read: {name}: {error}"))
}

/// Does a download say that no source has the version any more? What apt, pacman and apk, dnf, and zypper say of it.
fn is_gone(message: &str) -> bool {
    let words = [
        "404  Not Found",
        "404 Not Found",
        "error: 404",
        "Status code: 404",
        "not found on medium",
    ];
    message.starts_with(VERSION_GONE) || words.iter().any(|it| message.contains(it))
}

fn short(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}
