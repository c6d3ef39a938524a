//! What follows from a step that failed.

use hostler_patch::plan::{HostRollback, SnapshotRule};

use super::Machine;
use super::host::Owed;
use super::place::Place;
use super::results::{PLAN_MISMATCH, SHORT_WAIT_US, short};
use crate::{Failure, FailureKind, Outcome, Step};

/// How often a module is begun at one place if nobody knows what came of it.
const UNKNOWN_TRIES: u32 = 3;
/// How often competitors are tried to be released.
const RELEASE_TRIES: u32 = 3;

impl Machine {
    pub(super) fn failed(&mut self, index: usize, step: Step, message: &str, at_us: i64) {
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

    /// A version that the plan has can be had no more.
    pub(super) fn version_gone(&mut self, index: usize, step: Step, message: &str, at_us: i64) {
        match self.gone(index, &short(message)) {
            Ok(()) => self.go(index, Place::Settle, at_us),
            Err(message) => self.step_failed(index, step, message, at_us),
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

    pub(super) fn unknown(&mut self, index: usize, step: Step, message: &str, at_us: i64) {
        let host = &mut self.hosts[index];
        host.uncertain |= step == Step::Install;
        match step {
            Step::Reboot => self.next(index, at_us),
            Step::Pre(_) | Step::Post(_) | Step::Undo(_) => {
                self.failed(index, step, message, at_us);
            }
            // Modules look before they act: what was done is found there, what was interrupted is completed.
            _ if host.tries < UNKNOWN_TRIES => {
                host.not_before_us = at_us.saturating_add(SHORT_WAIT_US);
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
}
