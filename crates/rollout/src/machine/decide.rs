//! What is to be done now.

use hostler_patch::plan::RebootRule;
use hostler_updates::RebootNeed;

use super::admission::RED_LIMIT;
use super::host::{Host, Stage};
use super::place::Place;
use super::waves::{WavePhase, is_good};
use super::{Command, End, Machine};
use crate::{Moment, Note, Outcome, RunEnd, Step};

/// A host on which nothing was begun is given up after so many tries to reach it.
const REACH_TRIES: u32 = 3;
/// Where no window ends: so long is a host tried that was lost in the middle.
const LOST_US: i64 = 900_000_000;

impl Machine {
    /// What is to be done at this time. The same state and time give the same commands.
    pub fn decide(&self, now_us: i64) -> Vec<Command> {
        if let Some(note) = self.next_note(now_us) {
            return vec![Command::Write(note)];
        }
        let mut commands: Vec<Command> = self.jobs().into_iter().map(Command::Run).collect();
        let idle = commands.is_empty() && !self.hosts.iter().any(Host::in_progress);
        let end = match (&self.closed, &self.halted) {
            (Some(RunEnd::Complete), _) => Some(End::Complete),
            (Some(RunEnd::Aborted), _) => Some(End::Aborted),
            (None, Some(halt)) => Some(End::Halted(halt.cause.clone())),
            (None, None) => None,
        };
        match end.filter(|_| idle) {
            Some(end) => commands.push(Command::End(end)),
            None => commands.push(Command::Wait {
                until_us: self.next_look(now_us),
            }),
        }
        commands
    }

    /// The note that the run begins with, if it has not begun.
    pub(crate) fn opening(&self) -> Option<Note> {
        (!self.opened).then(|| Note::Opened {
            plan: self.id.0.clone(),
            run: self.run.clone(),
            by: self.by.clone(),
        })
    }

    fn next_note(&self, now_us: i64) -> Option<Note> {
        if let Some(opening) = self.opening() {
            return Some(opening);
        }
        if let Some(cause) = &self.halt_due {
            return Some(Note::Halted {
                cause: cause.clone(),
            });
        }
        let hosts = || 0..self.hosts.len();
        // What is owed comes first.
        hosts()
            .find_map(|it| self.housekeeping(it))
            .or_else(|| self.too_many_failures())
            .or_else(|| self.disproof())
            .or_else(|| hosts().find_map(|it| self.host_note(it, now_us)))
            .or_else(|| self.rollback_decision())
            .or_else(|| self.wave_decision(now_us))
            .or_else(|| self.admission(now_us))
            .or_else(|| self.closing())
    }

    fn begun(&self, index: usize, step: Step) -> Note {
        let host = &self.hosts[index];
        let attempt = match host.redo {
            Some((redo, attempt)) if redo == step => attempt,
            _ => host.attempts.get(&step).copied().unwrap_or(0) + 1,
        };
        Note::Begun {
            host: self.names[index].clone(),
            step,
            attempt,
        }
    }

    /// What is still owed on a host that has its outcome.
    fn housekeeping(&self, index: usize) -> Option<Note> {
        let host = &self.hosts[index];
        if host.owed.is_empty()
            || host.in_progress()
            || host.doing.is_some()
            || self.rollback_wanted(index).is_some()
        {
            return None;
        }
        let wave = self.plan_of(index).wave as usize;
        let over = self.waves[wave].phase == WavePhase::Passed && is_good(host.outcome.as_ref());
        let owed = host.next_owed(over || host.got.installed.is_none())?;
        Some(self.begun(index, owed.step()))
    }

    fn host_note(&self, index: usize, now_us: i64) -> Option<Note> {
        let host = &self.hosts[index];
        let name = || self.names[index].clone();
        if host.doing.is_some() || host.asking.is_some() {
            return None;
        }
        match host.stage {
            Stage::Waiting | Stage::Ended => return None,
            Stage::Taking => {
                return Some(Note::Asked {
                    host: name(),
                    moment: Moment::Take,
                });
            }
            Stage::Working => {}
        }
        let untouched = !host.changed && host.healthy && host.coming.is_none();
        let may_leave = untouched && !host.leaving && host.place.may_leave();
        if may_leave && self.stopping() {
            return Some(Note::Left {
                host: name(),
                reason: "the run was halted".to_owned(),
            });
        }
        if let Some(reason) = self.given_up(host, now_us) {
            return Some(Note::GivenUp {
                host: name(),
                reason,
            });
        }
        let first = host.redo.is_none() && host.tries == 0;
        let endless = host.until_us.is_none() && host.reds >= RED_LIMIT;
        if may_leave && first && (endless || !self.change_fits(index, now_us)) {
            let reason = match &host.blocked {
                Some(blocked) if host.reds > 0 => blocked.clone(),
                _ => "its window ends too soon for what is left to do".to_owned(),
            };
            return Some(Note::Left {
                host: name(),
                reason,
            });
        }
        let reboot = matches!(host.place, Place::GatesReboot | Place::Reboot) && !host.reboot_again;
        if reboot && first && (endless || !self.reboot_fits(index, now_us)) {
            let reason = match &host.blocked {
                Some(blocked) if host.reds > 0 => blocked.clone(),
                _ => "its window ends too soon for a reboot".to_owned(),
            };
            return Some(Note::RebootPutOff {
                host: name(),
                reason,
            });
        }
        if now_us < host.not_before_us {
            return None;
        }
        if let Some((step, _)) = host.redo {
            return Some(self.begun(index, step));
        }
        if let Some(moment) = Moment::of(host.place) {
            return Some(Note::Asked {
                host: name(),
                moment,
            });
        }
        match host.place {
            Place::End => Some(Note::Came {
                host: name(),
                outcome: host.coming.clone().unwrap_or_else(|| self.good(index)),
            }),
            Place::Settle => {
                let owed = host.next_owed(self.snapshot_goes(index))?;
                Some(self.begun(index, owed.step()))
            }
            place => Some(self.begun(index, place.step()?)),
        }
    }

    /// Is the host out of reach for too long?
    fn given_up(&self, host: &Host, now_us: i64) -> Option<String> {
        let (since, reason) = host.lost.as_ref()?;
        let untouched = !host.changed && host.healthy && host.owed.is_empty();
        if untouched {
            return (host.unreached >= REACH_TRIES).then(|| reason.clone());
        }
        let reboot = i64::from(self.plan.procedure.reboot_timeout_s) * 1_000_000;
        let limit = host.until_us.unwrap_or(since + LOST_US).max(since + reboot);
        (now_us >= limit).then(|| reason.clone())
    }

    /// The outcome of a host on which all went well.
    fn good(&self, index: usize) -> Outcome {
        let host = &self.hosts[index];
        if let Some(reason) = &host.put_off {
            return Outcome::InstalledPendingReboot {
                reason: reason.clone(),
            };
        }
        let never = self.plan.procedure.reboot == RebootRule::Never;
        match self.reboot_need(index) {
            Some(why) if never => Outcome::InstalledPendingReboot {
                reason: format!("the policy reboots no host; due: {why}"),
            },
            _ => Outcome::Done,
        }
    }

    /// Why the host needs a reboot, if it does.
    fn reboot_need(&self, index: usize) -> Option<String> {
        let (host, plan) = (&self.hosts[index], self.plan_of(index));
        let predicted = host
            .got
            .reboot_reasons
            .as_ref()
            .unwrap_or(&plan.reboot_reasons);
        let restarted = host.got.restarted.as_ref().map(|it| &it.reboot);
        let reasons = match restarted {
            Some(it) if it.need == RebootNeed::Yes => &it.reasons,
            Some(it) if it.need == RebootNeed::No => return None,
            None if host.got.reboots > 0 => return None,
            Some(_) | None => predicted,
        };
        match restarted {
            Some(it) if it.need == RebootNeed::Yes && reasons.is_empty() => {
                Some("the host says so".to_owned())
            }
            _ => (!reasons.is_empty()).then(|| reasons.join("; ")),
        }
    }

    /// Is it rebooted after its packages?
    pub(crate) fn reboot_due(&self, index: usize) -> bool {
        let host = &self.hosts[index];
        if host.put_off.is_some() {
            return false;
        }
        match self.plan.procedure.reboot {
            RebootRule::Never => false,
            RebootRule::Always => host.got.reboots == 0 || !self.actions_of(index).is_empty(),
            RebootRule::IfRequired => self.reboot_need(index).is_some(),
        }
    }

    /// Is it rebooted after it was put back? A snapshot takes that, and packages do if it runs what it does not have any more.
    pub(crate) fn reboots_back(&self, index: usize) -> bool {
        let got = &self.hosts[index].got;
        let asked = got.rolled_back.as_ref().is_some_and(|it| it.needs_reboot);
        let need = got.restarted_back.as_ref().map(|it| it.reboot.need);
        asked || (got.rebooted && need == Some(RebootNeed::Yes))
    }

    /// Is a snapshot of the host of no more use when it settles?
    pub(crate) fn snapshot_goes(&self, index: usize) -> bool {
        let host = &self.hosts[index];
        !host.changed && host.got.installed.is_none()
    }
}
