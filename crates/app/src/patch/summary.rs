//! What came of a run, from its notes, in the words of the ledger.

use std::collections::BTreeMap;

use hostler_events::RunId;
use hostler_patch::ledger::{
    ApprovalOutcome, GateOutcome, HostEnd, HostOutcome, RunOutcome, RunState, WaveOutcome,
};
use hostler_patch::plan::{Plan, PlanId, Waiting};
use hostler_rollout::{
    Entry, Failure, FailureKind, HaltCause, Note, Order, Outcome, RunEnd, Step, StepOutcome,
};
use serde::de::DeserializeOwned;

/// Reads the notes of a run.
pub(crate) fn summary(plan: &Plan, id: &PlanId, run: &RunId, entries: &[Entry]) -> RunOutcome {
    let mut reader = Reader::new(plan, id, run);
    for entry in entries {
        reader.take(entry);
    }
    reader.finish()
}

struct Reader<'a> {
    plan: &'a Plan,
    /// The last halt was ordered: any order to go on lifts it.
    halted_by_order: bool,
    outcome: RunOutcome,
    hosts: BTreeMap<&'a str, HostOutcome>,
}

impl<'a> Reader<'a> {
    fn new(plan: &'a Plan, id: &PlanId, run: &RunId) -> Self {
        let waves = plan.waves.iter().map(|wave| WaveOutcome {
            name: wave.name.clone(),
            opened_us: None,
            hosts_done_us: None,
            passed_us: None,
            window_end_us: None,
            proven: 0,
        });
        let hosts = plan.hosts.iter().map(|(host, planned)| {
            let outcome = HostOutcome {
                host: host.clone(),
                wave: planned.wave,
                end: HostEnd::Open,
                cause: None,
                step: None,
                message: String::new(),
                started_us: None,
                ended_us: None,
                expected_s: planned.expected_s,
                actions: Vec::new(),
                held: planned.waiting.clone(),
                rebooted: false,
                restarted: Vec::new(),
                conffiles_left: Vec::new(),
                differences: Vec::new(),
                rolled_back: None,
                kept_in: None,
            };
            (host.as_str(), outcome)
        });
        Reader {
            plan,
            halted_by_order: false,
            hosts: hosts.collect(),
            outcome: RunOutcome {
                run: run.0.clone(),
                plan: id.0.clone(),
                policy: plan.policy.clone(),
                by: String::new(),
                started_us: 0,
                ended_us: None,
                state: RunState::Open,
                reason: None,
                waves: waves.collect(),
                gates: Vec::new(),
                approvals: Vec::new(),
                hosts: Vec::new(),
            },
        }
    }

    fn finish(mut self) -> RunOutcome {
        self.outcome.hosts = self.hosts.into_values().collect();
        self.outcome
    }

    fn wave(&mut self, wave: u32) -> Option<&mut WaveOutcome> {
        self.outcome.waves.get_mut(usize::try_from(wave).ok()?)
    }

    fn wave_name(&self, wave: u32) -> Option<String> {
        let wave = self.outcome.waves.get(usize::try_from(wave).ok()?)?;
        Some(wave.name.clone())
    }

    fn take(&mut self, entry: &Entry) {
        let at_us = entry.at_us;
        match &entry.note {
            Note::Opened { by, .. } => {
                self.outcome.by.clone_from(by);
                self.outcome.started_us = at_us;
            }
            Note::Ordered {
                by,
                order: Order::Approve { wave },
                ..
            } => {
                self.outcome.approvals.push(ApprovalOutcome {
                    wave: wave.clone(),
                    by: by.clone(),
                    at_us,
                });
            }
            Note::Ordered {
                order: Order::Resume { accept_failures },
                ..
            } if self.outcome.state == RunState::Halted
                && (*accept_failures || self.halted_by_order) =>
            {
                self.outcome.state = RunState::Open;
                self.outcome.reason = None;
            }
            Note::Halted { cause } => {
                self.halted_by_order = matches!(cause, HaltCause::Ordered { .. });
                self.outcome.state = RunState::Halted;
                self.outcome.reason = Some(serde_json::to_string(cause).unwrap_or_default());
            }
            Note::Closed { end } => {
                self.outcome.ended_us = Some(at_us);
                self.outcome.state = match end {
                    RunEnd::Complete => RunState::Complete,
                    RunEnd::Aborted => RunState::Aborted,
                };
            }
            Note::WaveOpened { .. }
            | Note::Soaking { .. }
            | Note::Watched { .. }
            | Note::WavePassed { .. } => {
                self.take_wave(at_us, &entry.note);
            }
            note => self.take_host(at_us, note),
        }
    }

    fn take_wave(&mut self, at_us: i64, note: &Note) {
        match note {
            Note::WaveOpened { wave } => {
                if let Some(wave) = self.wave(*wave) {
                    wave.opened_us = Some(at_us);
                }
            }
            Note::Soaking { wave, .. } => {
                if let Some(wave) = self.wave(*wave) {
                    wave.hosts_done_us = Some(at_us);
                }
            }
            Note::Watched {
                wave,
                green,
                evidence,
            } => {
                let wave = self.wave_name(*wave);
                self.outcome.gates.push(GateOutcome {
                    wave,
                    host: None,
                    at_us,
                    green: *green,
                    evidence: evidence.clone(),
                });
            }
            Note::WavePassed { wave, proven } => {
                let count = u32::try_from(proven.len()).unwrap_or(u32::MAX);
                if let Some(wave) = self.wave(*wave) {
                    wave.passed_us = Some(at_us);
                    wave.hosts_done_us.get_or_insert(at_us);
                    wave.proven = count;
                }
            }
            _ => {}
        }
    }

    fn take_host(&mut self, at_us: i64, note: &Note) {
        match note {
            Note::Admitted { host, until_us } => {
                let wave = self.hosts.get_mut(host.as_str()).map(|it| {
                    it.started_us = Some(at_us);
                    it.wave
                });
                if let Some(wave) = wave.and_then(|wave| self.wave(wave)) {
                    wave.window_end_us = until_us.or(wave.window_end_us);
                }
            }
            Note::Answered {
                host,
                green: false,
                evidence,
                ..
            } => {
                self.outcome.gates.push(GateOutcome {
                    wave: None,
                    host: Some(host.clone()),
                    at_us,
                    green: false,
                    evidence: evidence.clone(),
                });
            }
            Note::Ended {
                host,
                step,
                outcome: StepOutcome::Done { values },
                ..
            } => {
                if let Some(host) = self.hosts.get_mut(host.as_str()) {
                    take_values(host, *step, values);
                }
            }
            Note::Came { host, outcome } => {
                let planned = self.plan.hosts.get(host);
                if let Some(it) = self.hosts.get_mut(host.as_str()) {
                    it.ended_us = Some(at_us);
                    come(it, outcome);
                    if let (HostEnd::Held, Some(planned)) = (it.end, planned) {
                        let reason = it.message.clone();
                        it.held.extend(planned.actions.iter().map(|action| Waiting {
                            package: action.package.to_string(),
                            version: action.to.clone().unwrap_or_default(),
                            reason: reason.clone(),
                        }));
                    }
                }
            }
            _ => {}
        }
    }
}

/// A return value of a step, if it has one of that name and type.
fn value<T: DeserializeOwned>(values: &serde_json::Value, name: &str) -> Option<T> {
    serde_json::from_value(values.get(name)?.clone()).ok()
}

fn take_values(host: &mut HostOutcome, step: Step, values: &serde_json::Value) {
    match step {
        Step::Install => {
            if let Some(installed) = value::<hostler_updates::Installed>(values, "installed") {
                host.actions = installed.actions;
                host.conffiles_left = installed.conffiles_left;
                host.kept_in = Some(installed.kept_in);
            }
        }
        Step::Restart => {
            if let Some(restarted) = value::<hostler_updates::Restarted>(values, "restarted") {
                host.restarted = restarted.units;
            }
        }
        Step::Back => host.rebooted = true,
        Step::Verify => host.differences = value(values, "differences").unwrap_or_default(),
        Step::Rollback => {
            if let Some(back) = value::<hostler_updates::RolledBack>(values, "rolled_back") {
                host.rolled_back = Some(format!("{} packages", back.actions.len()));
            }
        }
        _ => {}
    }
}

fn come(host: &mut HostOutcome, outcome: &Outcome) {
    let (end, message) = match outcome {
        Outcome::Done => (HostEnd::Done, String::new()),
        Outcome::InstalledPendingReboot { reason } => (HostEnd::PendingReboot, reason.clone()),
        Outcome::Held { reason } => (HostEnd::Held, reason.clone()),
        Outcome::Deferred { reason } => (HostEnd::Deferred, reason.clone()),
        Outcome::PlanMismatch { reason } => (HostEnd::PlanMismatch, reason.clone()),
        Outcome::Failed { failure, .. } => {
            failed(host, failure);
            (HostEnd::Failed, failure.message.clone())
        }
        Outcome::Unreachable { reason, .. } => {
            host.cause = Some("unreachable".to_owned());
            (HostEnd::Unreachable, reason.clone())
        }
        Outcome::RolledBack { failure, left } => {
            if let Some(failure) = failure {
                failed(host, failure);
            }
            host.rolled_back
                .get_or_insert_with(|| "everything".to_owned());
            let message = failure.as_ref().map(|it| it.message.clone());
            (
                HostEnd::RolledBack,
                message.unwrap_or_else(|| left.join("; ")),
            )
        }
    };
    host.end = end;
    host.message = message;
}

fn failed(host: &mut HostOutcome, failure: &Failure) {
    host.cause = Some(cause(failure.kind).to_owned());
    host.step = failure.step.map(|step| step.to_string());
}

fn cause(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Preparation => "preparation",
        FailureKind::Hook => "hook",
        FailureKind::Undo => "undo",
        FailureKind::Install => "install",
        FailureKind::RebootTimeout => "reboot_timeout",
        FailureKind::NotRebooted => "not_rebooted",
        FailureKind::HostKey => "host_key",
        FailureKind::Verify => "verify",
        FailureKind::Gate => "gate",
        FailureKind::Unknown => "unknown",
        FailureKind::Rollback => "rollback",
    }
}
