//! What follows from the outcome of a step.

use hostler_patch::plan::{RebootRule, SnapshotRule, UnreachableRule};
use hostler_updates::RebootNeed;
use serde_json::Value;

use super::Machine;
use super::admission::RED_WAIT_US;
use super::host::Owed;
use super::learn::Next;
use super::place::Place;
use crate::{Failure, FailureKind, Outcome, Step, StepOutcome};

/// Between two tries to reach a host.
const LOST_WAIT_US: i64 = 60_000_000;
/// Between two tries at something else.
pub(super) const SHORT_WAIT_US: i64 = 5_000_000;
/// Messages of hosts are kept up to so many characters.
const MESSAGE: usize = 2000;
/// Lines of findings that a host may have.
const FINDINGS: usize = 200;

/// Begins the message of a step that found the host not as planned.
pub const PLAN_MISMATCH: &str = "plan_mismatch:";

impl Machine {
    /// To a place, or to the first one after it that applies.
    pub(crate) fn go(&mut self, index: usize, place: Place, at_us: i64) {
        let (pre, post) = self.hooks();
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

    /// How many hooks there are before and after.
    fn hooks(&self) -> (u32, u32) {
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let procedure = &self.plan.procedure;
        (count(procedure.pre.len()), count(procedure.post.len()))
    }

    pub(super) fn next(&mut self, index: usize, at_us: i64) {
        let (pre, post) = self.hooks();
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
            Place::RollbackReboot | Place::RollbackBack => self.reboots_back(index),
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
            | Place::RollbackLook
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
        if !self.hosts[index].in_progress() {
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
                    StepOutcome::Gone { message } => self.version_gone(index, step, message, at_us),
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
            | StepOutcome::Gone { message }
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
            counts: touched || rule == UnreachableRule::CountAsFailure,
        });
        host.given_up = host.owed.clone();
        host.lost = None;
        host.leaving = false;
        self.go(index, Place::End, at_us);
    }

    fn done(&mut self, index: usize, step: Step, values: &Value, at_us: i64) {
        match self.learn(index, step, values, at_us) {
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

    pub(super) fn finding(&mut self, index: usize, line: String) {
        let findings = &mut self.hosts[index].findings;
        if findings.len() < FINDINGS && !findings.contains(&line) {
            findings.push(line);
        }
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}
