//! Waves: when they open, when they are over, how many failures they take.

use hostler_patch::plan::WaveRollback;

use super::{Halt, Machine};
use crate::{HaltCause, Note, Outcome, RunEnd};

/// A wave of the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WaveState {
    /// Its hosts, in the order in which they start.
    pub(crate) hosts: Vec<usize>,
    pub(crate) phase: WavePhase,
    pub(crate) since_us: i64,
    /// What its gates said last.
    pub(crate) evidence: Option<String>,
}

/// How far a wave is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WavePhase {
    Closed,
    Open,
    Soaking { until_us: i64, green: bool },
    Passed,
}

impl WaveState {
    pub(crate) fn new(hosts: Vec<usize>) -> Self {
        Self {
            hosts,
            phase: WavePhase::Closed,
            since_us: 0,
            evidence: None,
        }
    }
}

impl Machine {
    /// The first wave that is not over.
    pub(crate) fn current_wave(&self) -> Option<usize> {
        self.waves
            .iter()
            .position(|it| it.phase != WavePhase::Passed)
    }

    /// Failures of a wave that count. Plans that do not fit count if more than one in ten hosts has one.
    pub(crate) fn failures(&self, wave: usize) -> u32 {
        let hosts = || self.waves[wave].hosts.iter().map(|&it| &self.hosts[it]);
        let open = || hosts().filter(|it| !it.accepted);
        let failed = open().filter(|it| it.has_failed()).count();
        let mismatch = |it: &Option<Outcome>| matches!(it, Some(Outcome::PlanMismatch { .. }));
        let all = hosts().filter(|it| mismatch(&it.outcome)).count();
        let counted = open().filter(|it| mismatch(&it.outcome)).count();
        let many = all * 10 > self.waves[wave].hosts.len();
        u32::try_from(failed + if many { counted } else { 0 }).unwrap_or(u32::MAX)
    }

    /// A halt that is due because of failures.
    pub(crate) fn too_many_failures(&self) -> Option<Note> {
        if self.stopping() {
            return None;
        }
        let wave = self.current_wave()?;
        let number = u32::try_from(wave).unwrap_or(u32::MAX);
        let failed = self.failures(wave);
        let allowed = self.plan.waves[wave].max_failures;
        if failed > allowed {
            return Some(Note::Halted {
                cause: HaltCause::WaveFailures {
                    wave: number,
                    failed,
                    allowed,
                },
            });
        }
        let failed: u32 = (0..self.waves.len()).map(|it| self.failures(it)).sum();
        let allowed = self.plan.max_failures;
        (failed > allowed).then_some(Note::Halted {
            cause: HaltCause::RunFailures {
                wave: number,
                failed,
                allowed,
            },
        })
    }

    /// The next step of the current wave as a whole.
    pub(crate) fn wave_decision(&self, now_us: i64) -> Option<Note> {
        if self.stopping() {
            return None;
        }
        let wave = self.current_wave()?;
        let number = u32::try_from(wave).ok()?;
        let (state, plan) = (&self.waves[wave], &self.plan.waves[wave]);
        match state.phase {
            WavePhase::Closed => {
                let may = !plan.approve || self.approved.contains_key(&plan.name);
                may.then_some(Note::WaveOpened { wave: number })
            }
            WavePhase::Open => {
                let ended = |it: &usize| {
                    self.hosts[*it].outcome.is_some() && !self.hosts[*it].in_progress()
                };
                if !state.hosts.iter().all(ended) {
                    return None;
                }
                let patched = state
                    .hosts
                    .iter()
                    .any(|&it| is_good(self.hosts[it].outcome.as_ref()));
                let earlier = self.waves[..wave].iter().flat_map(|it| &it.hosts);
                let mut earlier = earlier.map(|&it| self.hosts[it].outcome.as_ref());
                let first = !earlier.any(is_good);
                let later = self.waves[wave + 1..].iter().any(|it| !it.hosts.is_empty());
                if plan.proves && first && later && !patched && !state.hosts.is_empty() {
                    let accepted = state.hosts.iter().all(|&it| self.hosts[it].accepted);
                    let cause = HaltCause::NothingProven { wave: number };
                    return Some(if accepted {
                        self.passed(wave, number)
                    } else {
                        Note::Halted { cause }
                    });
                }
                if !patched {
                    return Some(self.passed(wave, number));
                }
                let soak_us = i64::try_from(plan.soak_s)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1_000_000);
                Some(Note::Soaking {
                    wave: number,
                    until_us: now_us.saturating_add(soak_us),
                })
            }
            WavePhase::Soaking { green: true, .. } => Some(self.passed(wave, number)),
            WavePhase::Soaking { .. } | WavePhase::Passed => None,
        }
    }

    fn passed(&self, wave: usize, number: u32) -> Note {
        let proven = if self.plan.waves[wave].proves {
            let hosts = self.waves[wave]
                .hosts
                .iter()
                .map(|&it| (it, &self.hosts[it]));
            self.proofs(hosts.filter(|(_, it)| is_good(it.outcome.as_ref())))
        } else {
            Vec::new()
        };
        Note::WavePassed {
            wave: number,
            proven,
        }
    }

    /// Versions that have to be noted as having gone wrong.
    pub(crate) fn disproof(&self) -> Option<Note> {
        let due = |hosts: &[usize]| {
            let hosts = hosts.iter().map(|&it| (it, &self.hosts[it]));
            self.proofs(hosts.filter(|(_, it)| it.got.installed.is_some() || it.changed))
        };
        let returned: Vec<usize> = (0..self.hosts.len())
            .filter(|&it| self.hosts[it].disproof_due)
            .collect();
        if !returned.is_empty() {
            let (ordered, failed): (Vec<usize>, Vec<usize>) = returned
                .into_iter()
                .partition(|&it| self.hosts[it].rollback_ordered);
            let mut versions = due(&ordered);
            versions.extend(self.unproven(due(&failed)));
            return Some(Note::Disproven { versions });
        }
        let halt = self.halted.as_ref()?;
        let versions = match halt.cause {
            HaltCause::Gate { wave, .. } => due(&self.waves.get(wave as usize)?.hosts),
            HaltCause::WaveFailures { wave, .. } | HaltCause::RunFailures { wave, .. } => {
                let hosts = &self.waves.get(wave as usize)?.hosts;
                let failed = hosts.iter().filter(|&&it| self.hosts[it].has_failed());
                due(&failed.copied().collect::<Vec<_>>())
            }
            HaltCause::NothingProven { .. } | HaltCause::Ordered { .. } => return None,
        };
        // Hosts that were under way when it was halted may fail later.
        let mut versions = self.unproven(versions);
        versions.retain(|it| !self.versions.is_disproven(it));
        (!versions.is_empty()).then_some(Note::Disproven { versions })
    }

    /// Is the host to be put back, and why?
    pub(crate) fn rollback_wanted(&self, index: usize) -> Option<String> {
        let host = &self.hosts[index];
        let busy = host.in_progress() || host.doing.is_some();
        if host.outcome.is_none() || busy || !host.changed || host.rollback_tried {
            return None;
        }
        if host.rollback_ordered {
            return Some("ordered".to_owned());
        }
        let wave = self.halted.as_ref().and_then(halted_wave)?;
        if wave != self.plan_of(index).wave {
            return None;
        }
        let failed = is_failure(host.outcome.as_ref());
        match self.plan.rollback.on_wave_failure {
            WaveRollback::None => None,
            WaveRollback::FailedHosts => {
                failed.then(|| "the wave failed, and the host in it".to_owned())
            }
            WaveRollback::WholeWave => Some("the wave failed".to_owned()),
        }
    }

    /// A host that is put back now.
    pub(crate) fn rollback_decision(&self) -> Option<Note> {
        // What was ordered is done, whatever was ordered since.
        let now = |it: usize| self.stopping() || self.hosts[it].rollback_ordered;
        let wanted = |it: usize| {
            let why = self.rollback_wanted(it).filter(|_| now(it));
            why.map(|why| (it, why))
        };
        let mut all: Vec<(usize, String)> = (0..self.hosts.len()).filter_map(wanted).collect();
        // Those that failed use up budgets: what becomes well again makes room for the others.
        all.sort_by_key(|(it, _)| !self.hosts[*it].unavailable());
        let (index, reason) = all.into_iter().find(|&(it, _)| {
            let wave = self.plan_of(it).wave as usize;
            let hosts = self.waves[wave].hosts.iter();
            let busy = hosts.filter(|&&it| self.hosts[it].in_progress()).count();
            let room = busy < self.plan.waves[wave].parallel.max(1) as usize;
            room && (self.hosts[it].unavailable() || self.budget_block(it).is_none())
        })?;
        Some(Note::RollingBack {
            host: self.names[index].clone(),
            reason,
        })
    }

    /// Closes the run, or gives hosts that will not be started their outcome.
    pub(crate) fn closing(&self) -> Option<Note> {
        if self.closed.is_some()
            || self
                .hosts
                .iter()
                .any(|it| it.in_progress() || it.doing.is_some())
        {
            return None;
        }
        if self.aborting {
            let waiting = self.hosts.iter().position(|it| it.outcome.is_none());
            return Some(match waiting {
                Some(index) => Note::Came {
                    host: self.names[index].clone(),
                    outcome: Outcome::Deferred {
                        reason: "the run was aborted".to_owned(),
                    },
                },
                None => Note::Closed {
                    end: RunEnd::Aborted,
                },
            });
        }
        (self.halted.is_none() && self.current_wave().is_none()).then_some(Note::Closed {
            end: RunEnd::Complete,
        })
    }
}

/// The wave whose failure halted the run.
fn halted_wave(halt: &Halt) -> Option<u32> {
    match halt.cause {
        HaltCause::WaveFailures { wave, .. }
        | HaltCause::RunFailures { wave, .. }
        | HaltCause::Gate { wave, .. } => Some(wave),
        HaltCause::NothingProven { .. } | HaltCause::Ordered { .. } => None,
    }
}

/// Was the host patched, and is well?
pub(crate) fn is_good(outcome: Option<&Outcome>) -> bool {
    matches!(
        outcome,
        Some(Outcome::Done | Outcome::InstalledPendingReboot { .. })
    )
}

/// Does it count against the limits of failures?
pub(crate) fn is_failure(outcome: Option<&Outcome>) -> bool {
    matches!(
        outcome,
        Some(
            Outcome::Failed { .. }
                | Outcome::Unreachable { counts: true, .. }
                | Outcome::RolledBack {
                    failure: Some(_),
                    ..
                }
        )
    )
}
