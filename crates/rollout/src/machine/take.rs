//! Notes change the state; nothing else does.

use super::host::{Doing, Owed, Stage};
use super::place::Place;
use super::waves::{WavePhase, is_failure};
use super::{Halt, Machine, Misfit};
use crate::{Entry, FailureKind, HaltCause, Moment, Note, Order, Outcome, Step};

impl Machine {
    /// Applies a note.
    ///
    /// # Errors
    /// If the note is of another form or run, or is about something that the plan does not have.
    pub fn take(&mut self, entry: &Entry) -> Result<(), Misfit> {
        if entry.v != crate::note::FORM {
            return Err(Misfit(format!("it has form {}", entry.v)));
        }
        let at_us = entry.at_us;
        if !self.opened && !matches!(entry.note, Note::Opened { .. }) {
            return Err(Misfit("the first note does not open the run".to_owned()));
        }
        match &entry.note {
            Note::Opened { plan, run, .. } => {
                if *plan != self.id.0 {
                    return Err(Misfit(format!("it is of plan {plan}")));
                }
                self.run.clone_from(run);
                self.opened = true;
            }
            Note::Resumed { .. } => self.resumed(at_us),
            Note::Ordered { id, by, order } => {
                if self.orders.insert(id.clone()) {
                    self.ordered(by, order, at_us);
                }
            }
            Note::WaveOpened { wave } => self.phase(*wave, WavePhase::Open, at_us)?,
            Note::Soaking { wave, until_us } => {
                let phase = WavePhase::Soaking {
                    until_us: *until_us,
                    green: false,
                };
                self.phase(*wave, phase, at_us)?;
            }
            Note::Watched {
                wave,
                green,
                evidence,
            } => self.watched(*wave, *green, evidence, at_us)?,
            Note::WavePassed { wave, proven } => {
                self.phase(*wave, WavePhase::Passed, at_us)?;
                self.prove(proven);
            }
            Note::Halted { cause } => self.halt(cause.clone(), at_us),
            Note::Disproven { versions } => {
                self.versions.disprove(versions);
                self.hosts.iter_mut().for_each(|it| it.disproof_due = false);
            }
            Note::Closed { end } => self.closed = Some(*end),
            note => self.take_of_host(note, at_us)?,
        }
        Ok(())
    }

    fn take_of_host(&mut self, note: &Note, at_us: i64) -> Result<(), Misfit> {
        match note {
            Note::Admitted { host, until_us } => {
                let index = self.find(host)?;
                self.admitted(index, *until_us, at_us);
            }
            Note::Asked { host, moment } => {
                let index = self.find(host)?;
                self.hosts[index].asking = Some(*moment);
            }
            Note::Answered {
                host,
                moment,
                green,
                evidence,
            } => {
                let index = self.find(host)?;
                self.answered(index, *moment, *green, evidence, at_us);
            }
            Note::Begun {
                host,
                step,
                attempt,
            } => {
                let index = self.find(host)?;
                self.begin(index, *step, *attempt, at_us)?;
            }
            Note::Ended {
                host,
                step,
                attempt,
                outcome,
            } => {
                let index = self.find(host)?;
                let state = &mut self.hosts[index];
                let doing = state.doing.take();
                let Some(doing) = doing.filter(|it| it.step == *step && it.attempt == *attempt)
                else {
                    return Err(Misfit(format!(
                        "{host} was not doing {step}, attempt {attempt}"
                    )));
                };
                // An answer that is asked for again may be from the first time.
                state.asked_us = if doing.again {
                    state.admitted_us
                } else {
                    doing.began_us
                };
                self.ended(index, *step, *attempt, outcome, at_us);
            }
            Note::Left { host, reason } => {
                let index = self.find(host)?;
                let state = &mut self.hosts[index];
                state.leaving = true;
                state.redo = None;
                state.lost = None;
                state.blocked = Some(reason.clone());
                self.go(index, Place::Settle, at_us);
            }
            Note::RebootPutOff { host, reason } => {
                let index = self.find(host)?;
                self.hosts[index].put_off = Some(reason.clone());
                self.go(index, Place::Verify, at_us);
            }
            Note::GivenUp { host, reason } => {
                let index = self.find(host)?;
                self.give_up(index, reason, at_us);
            }
            Note::Came { host, outcome } => {
                let index = self.find(host)?;
                self.came(index, outcome, at_us);
            }
            Note::RollingBack { host, .. } => {
                let index = self.find(host)?;
                self.rolling_back(index, at_us);
            }
            other => return Err(Misfit(format!("{other:?} is not of a host"))),
        }
        Ok(())
    }

    fn find(&self, host: &str) -> Result<usize, Misfit> {
        let index = self.index.get(host).copied();
        index.ok_or_else(|| Misfit(format!("the plan has no host {host}")))
    }

    fn phase(&mut self, wave: u32, phase: WavePhase, at_us: i64) -> Result<(), Misfit> {
        let state = self.waves.get_mut(wave as usize);
        let state = state.ok_or_else(|| Misfit(format!("the plan has no wave {wave}")))?;
        state.phase = phase;
        state.since_us = at_us;
        Ok(())
    }

    fn watched(
        &mut self,
        wave: u32,
        green: bool,
        evidence: &str,
        at_us: i64,
    ) -> Result<(), Misfit> {
        let state = self.waves.get_mut(wave as usize);
        let state = state.ok_or_else(|| Misfit(format!("the plan has no wave {wave}")))?;
        state.evidence = Some(evidence.to_owned());
        if let WavePhase::Soaking { until_us, .. } = state.phase
            && green
        {
            state.phase = WavePhase::Soaking { until_us, green };
        }
        if !green {
            let evidence = evidence.to_owned();
            self.halt(HaltCause::Gate { wave, evidence }, at_us);
        }
        Ok(())
    }

    /// The halt is a note of its own; no host is started before it is written.
    fn order_halt(&mut self, cause: HaltCause) {
        if self.halted.is_none() && self.closed.is_none() {
            self.halt_due = Some(cause);
        }
    }

    fn halt(&mut self, cause: HaltCause, at_us: i64) {
        self.halt_due = None;
        if self.halted.is_none() && self.closed.is_none() {
            self.halted = Some(Halt {
                cause,
                since_us: at_us,
            });
        }
    }

    /// Another process: what was begun may have been done, and what was tried in vain is tried again. What is only waited
    /// for has its whole time again: nobody has looked in between.
    fn resumed(&mut self, at_us: i64) {
        for host in &mut self.hosts {
            host.given_up.clear();
            if let Some(doing) = &mut host.doing {
                doing.again = true;
                if matches!(doing.step, Step::Back | Step::Verify) {
                    doing.began_us = at_us;
                }
            }
        }
    }

    fn ordered(&mut self, by: &str, order: &Order, at_us: i64) {
        let ordered = |reason: &str| HaltCause::Ordered {
            by: by.to_owned(),
            reason: reason.to_owned(),
        };
        match order {
            Order::Approve { wave } => {
                if self.plan.waves.iter().any(|it| it.name == *wave) {
                    self.approved.insert(wave.clone(), by.to_owned());
                } else {
                    self.refused
                        .push(format!("approve: there is no wave {wave}"));
                }
            }
            Order::Halt { reason } => self.order_halt(ordered(reason)),
            Order::Abort { reason } => {
                self.order_halt(ordered(reason));
                self.aborting = self.closed.is_none();
            }
            Order::Resume { accept_failures } => self.go_on(*accept_failures, at_us),
            Order::Rollback { hosts } => {
                self.order_halt(ordered("rollback"));
                for (name, host) in self.names.iter().zip(&mut self.hosts) {
                    // It is about what is on them now, not about what they may get later.
                    let has = host.changed || host.in_progress();
                    if !(hosts.is_empty() || hosts.contains(name)) {
                        continue;
                    }
                    if has {
                        host.rollback_ordered = true;
                        host.rollback_tried = false;
                    } else if !hosts.is_empty() {
                        let line = format!("rollback: the run has changed nothing on {name}");
                        self.refused.push(line);
                    }
                }
                let unknown = hosts.iter().filter(|it| !self.index.contains_key(*it));
                self.refused
                    .extend(unknown.map(|it| format!("rollback: the plan has no host {it}")));
            }
        }
    }

    fn go_on(&mut self, accept: bool, at_us: i64) {
        if self.closed.is_some() || self.aborting {
            self.refused.push("resume: the run is over".to_owned());
            return;
        }
        self.halt_due = None;
        let Some(halt) = &self.halted else { return };
        if !accept && !matches!(halt.cause, HaltCause::Ordered { .. }) {
            let line =
                "resume: it was halted by failures; they must be accepted (--accept-failures)";
            self.refused.push(line.to_owned());
            return;
        }
        self.halted = None;
        if !accept {
            return;
        }
        let wave = self.current_wave();
        for host in &mut self.hosts {
            let bad = is_failure(host.outcome.as_ref());
            let bad = bad || matches!(host.outcome, Some(Outcome::PlanMismatch { .. }));
            host.accepted |= bad;
        }
        if let Some(wave) = wave {
            // A wave that proved nothing goes on, by order; one whose gates were red is watched again.
            let all: Vec<usize> = self.waves[wave].hosts.clone();
            if all.iter().all(|&it| self.hosts[it].outcome.is_some()) {
                for &it in &all {
                    self.hosts[it].accepted = true;
                }
                self.waves[wave].phase = WavePhase::Open;
                self.waves[wave].since_us = at_us;
            }
        }
    }

    fn admitted(&mut self, index: usize, until_us: Option<i64>, at_us: i64) {
        let held = self.held_now(index);
        let gates = self.group_gates(index);
        let host = &mut self.hosts[index];
        host.held = held;
        host.since_us = at_us;
        host.admitted_us = at_us;
        host.until_us = until_us;
        host.stage = Stage::Taking;
        if gates.is_empty() {
            self.start(index, at_us);
        }
    }

    fn start(&mut self, index: usize, at_us: i64) {
        self.hosts[index].stage = Stage::Working;
        self.go(index, Place::Resolve, at_us);
    }

    fn answered(&mut self, index: usize, moment: Moment, green: bool, evidence: &str, at_us: i64) {
        let wait = self.red_wait(index);
        let host = &mut self.hosts[index];
        host.asking = None;
        if green {
            host.reds = 0;
        } else {
            host.reds += 1;
            host.blocked = Some(evidence.to_owned());
            host.not_before_us = at_us.saturating_add(wait);
        }
        match (moment, green) {
            (Moment::Take, true) => self.start(index, at_us),
            (Moment::Take, false) => {
                host.stage = Stage::Waiting;
                host.since_us = at_us;
            }
            (Moment::Change, true) => self.go(index, Place::FirstReboot, at_us),
            (Moment::Reboot, true) => self.go(index, Place::Reboot, at_us),
            (Moment::Back, true) => self.go(index, Place::End, at_us),
            (Moment::Back, false) => {
                self.fail(index, FailureKind::Gate, None, evidence.to_owned(), at_us);
            }
            (Moment::Change | Moment::Reboot, false) => {}
        }
    }

    fn begin(&mut self, index: usize, step: Step, attempt: u32, at_us: i64) -> Result<(), Misfit> {
        let procedure = &self.plan.procedure;
        let undo = match step {
            Step::Pre(n) | Step::Undo(n) => {
                let hook = procedure.pre.get(n as usize);
                let hook = hook.ok_or_else(|| Misfit(format!("the plan has no {step}")))?;
                hook.undo.is_some()
            }
            Step::Post(n) if n as usize >= procedure.post.len() => {
                return Err(Misfit(format!("the plan has no {step}")));
            }
            _ => false,
        };
        let by_hook = self.snapshot_is_hook();
        let host = &mut self.hosts[index];
        let again = host.redo.take() == Some((step, attempt));
        host.doing = Some(Doing {
            step,
            attempt,
            began_us: at_us,
            again,
        });
        host.attempts.insert(step, attempt);
        host.tries += u32::from(!again);
        host.since_us = at_us;
        match step {
            Step::Pre(n) if undo => {
                host.owed.insert(Owed::Undo(n));
            }
            Step::Mask => {
                host.owed.insert(Owed::Release);
            }
            Step::Snapshot if !by_hook => {
                host.owed.insert(Owed::Snapshot);
            }
            Step::Install => {
                host.changed = true;
                host.healthy = false;
            }
            Step::Reboot | Step::Rollback => host.healthy = false,
            _ => {}
        }
        Ok(())
    }

    fn came(&mut self, index: usize, outcome: &Outcome, at_us: i64) {
        if matches!(outcome, Outcome::Held { .. }) && self.hosts[index].held.is_empty() {
            self.hosts[index].held = self.held_now(index);
        }
        let host = &mut self.hosts[index];
        host.stage = Stage::Ended;
        host.since_us = at_us;
        host.rollback_ordered &= host.changed || matches!(outcome, Outcome::RolledBack { .. });
        host.disproof_due = matches!(outcome, Outcome::RolledBack { .. });
        host.outcome = Some(outcome.clone());
        host.coming = None;
        host.leaving = false;
    }

    fn rolling_back(&mut self, index: usize, at_us: i64) {
        let host = &mut self.hosts[index];
        host.stage = Stage::Working;
        host.rollback_tried = true;
        host.given_up.clear();
        host.until_us = None;
        host.reboot_again = false;
        host.coming = Some(Outcome::RolledBack {
            failure: match &host.outcome {
                Some(Outcome::Failed { failure, .. }) => Some(failure.clone()),
                _ => None,
            },
            left: Vec::new(),
        });
        self.go(index, Place::AgainMask, at_us);
    }
}
