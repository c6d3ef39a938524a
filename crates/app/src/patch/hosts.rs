//! Hosts, as the rollout needs them: each step is work of the crew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hostler_executor::RunContext;
use hostler_patch::plan::{Gate, HookWork};
use hostler_rollout::{
    CommandOutcome, GateAnswer, Gates, Hosts, Later, RealGates, Step, StepCall, StepOutcome,
    StepWork,
};
use serde_json::json;

use super::crew::{Answer, Crew, Work};

/// Steps of a host, each with so many attempts.
const STEPS: u32 = 128;
/// See [`STEPS`].
const ATTEMPTS: u32 = 256;
/// Numbers from here on are of work that only looks and is not remembered.
pub(super) const FLEETING: u32 = 1 << 31;

/// Hosts of a patch run.
pub(crate) struct PatchHosts {
    run: Arc<RunContext>,
    crew: Crew,
    /// Place of each host in the plan.
    places: HashMap<String, u32>,
    fleeting: AtomicU32,
}

impl PatchHosts {
    /// `hosts` in the order of the plan, which never changes.
    pub(crate) fn new<'a>(
        run: Arc<RunContext>,
        crew: Crew,
        hosts: impl Iterator<Item = &'a String>,
    ) -> Self {
        let begin = u32::try_from(crate::plan::now_us() / 1000 % i64::from(FLEETING / 2));
        PatchHosts {
            run,
            crew,
            places: hosts.cloned().zip(0..).collect(),
            fleeting: AtomicU32::new(FLEETING | begin.unwrap_or_default()),
        }
    }

    /// Number of the play that does a step: always the same for the same call. 0 if there is none.
    fn number(&self, call: &StepCall) -> u32 {
        let place = self.places.get(&call.host).copied();
        let step = step_number(call.step);
        let number = place.zip(step).and_then(|(place, step)| {
            let number = place.checked_mul(STEPS)?.checked_add(step)?;
            let attempt = (call.attempt < ATTEMPTS).then_some(call.attempt)?;
            number.checked_mul(ATTEMPTS)?.checked_add(attempt)
        });
        number.filter(|number| *number < FLEETING).unwrap_or(0)
    }

    fn fleeting(&self) -> u32 {
        self.fleeting.fetch_add(1, Ordering::Relaxed) | FLEETING
    }

    async fn do_step(&self, call: StepCall) -> StepOutcome {
        if matches!(call.work, StepWork::Probe) {
            return self.probe(&call.host).await;
        }
        // What only looks is done anew each time: an answer from before would be no answer.
        let number = if call.only_looks() {
            self.fleeting()
        } else {
            self.number(&call)
        };
        if number == 0 {
            let message = format!("{} was tried too often on {}", call.step, call.host);
            return StepOutcome::Failed { message };
        }
        if call.again
            && let Err(error) = self.run.recall_host(&call.host).await
        {
            let message = error.to_string();
            return StepOutcome::Unknown { message };
        }
        let title = format!("{} ({})", sentence(call.step), call.host);
        let answer = match call.work {
            StepWork::Module { name, args } => {
                let title = sentence(call.step);
                self.one(number, &title, name, &call.host, args, false)
                    .await
            }
            StepWork::Hook { name, work } => match work {
                HookWork::Tasks { path, sha256 } => {
                    self.crew
                        .run_tasks(number, &call.host, &title, &path, &sha256)
                        .await
                }
                HookWork::Command { command } => {
                    let args = json!({ "cmd": command });
                    let answer = self.one(number, &name, "shell", &call.host, args, false);
                    match answer.await {
                        // What it wrote is in the run's events, masked; notes need only that it went well.
                        Answer::Done(_) => Answer::Done(serde_json::Value::Null),
                        other => other,
                    }
                }
            },
            StepWork::Probe => return self.probe(&call.host).await,
        };
        outcome(answer)
    }

    async fn one(
        &self,
        number: u32,
        title: &str,
        module: &str,
        host: &str,
        args: serde_json::Value,
        lenient: bool,
    ) -> Answer {
        let work = Work {
            number,
            title,
            module,
            lenient,
            arguments: BTreeMap::from([(host.to_owned(), args)]),
        };
        let answer = self.crew.ask(work).await.remove(host);
        answer.unwrap_or_else(|| Answer::Unknown("there was no answer".to_owned()))
    }

    async fn probe(&self, host: &str) -> StepOutcome {
        let probed = self.run.probe(host).await.map_err(|mut lost| {
            self.crew.hide(&mut lost.detail);
            lost
        });
        match probed {
            Ok(boot_id) => StepOutcome::Done {
                values: boot_id.into(),
            },
            Err(lost) => unreachable(lost),
        }
    }

    async fn ask_command(&self, host: String, line: String) -> CommandOutcome {
        let args = json!({ "cmd": line });
        let answer = self
            .one(self.fleeting(), "Gate", "shell", &host, args, true)
            .await;
        let values = match answer {
            Answer::Done(values) => values,
            Answer::Failed(reason) | Answer::Gone(reason) | Answer::Unknown(reason) => {
                return CommandOutcome::NotRun { reason };
            }
            Answer::Unreachable(lost) => {
                return CommandOutcome::NotRun {
                    reason: format!("{}: {}", lost.reason, lost.detail),
                };
            }
        };
        let text = |name: &str| {
            values
                .get(name)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
        };
        let rc = values.get("rc").and_then(serde_json::Value::as_i64);
        let Some(rc) = rc.and_then(|rc| i32::try_from(rc).ok()) else {
            return CommandOutcome::NotRun {
                reason: text("msg").to_owned(),
            };
        };
        let said = [text("stdout"), text("stderr")].join("\n");
        CommandOutcome::Ended {
            rc,
            text: said.trim().to_owned(),
        }
    }
}

impl Hosts for PatchHosts {
    fn step(&self, call: StepCall) -> Later<'_, StepOutcome> {
        Box::pin(self.do_step(call))
    }

    fn command(&self, host: String, line: String) -> Later<'_, CommandOutcome> {
        Box::pin(self.ask_command(host, line))
    }
}

/// Gates whose answers are fit to be shown and kept: neither a host nor a program of the controller brings a secret in.
pub(crate) struct QuietGates {
    gates: RealGates,
    hosts: Arc<PatchHosts>,
}

impl QuietGates {
    /// Asks for real; commands go through `hosts`.
    pub(crate) fn new(hosts: Arc<PatchHosts>) -> Self {
        let crew = hosts.clone();
        let hide = Arc::new(move |text: &mut String| crew.crew.hide(text));
        QuietGates {
            gates: RealGates::new(hosts.clone() as Arc<dyn Hosts>, hide),
            hosts,
        }
    }
}

impl Gates for QuietGates {
    fn ask(&self, gate: Gate, on: Option<String>) -> Later<'_, GateAnswer> {
        Box::pin(async move {
            let mut answer = self.gates.ask(gate, on).await;
            self.hosts.crew.hide(&mut answer.evidence);
            answer
        })
    }
}

fn outcome(answer: Answer) -> StepOutcome {
    match answer {
        Answer::Done(values) => StepOutcome::Done { values },
        Answer::Failed(message) => StepOutcome::Failed { message },
        Answer::Gone(message) => StepOutcome::Gone { message },
        Answer::Unreachable(lost) => unreachable(lost),
        Answer::Unknown(message) => StepOutcome::Unknown { message },
    }
}

fn unreachable(lost: hostler_events::Unreachable) -> StepOutcome {
    if lost.reason.starts_with("hostkey-") {
        return StepOutcome::HostKey {
            message: lost.detail,
        };
    }
    StepOutcome::Unreachable {
        reason: format!("{}: {}", lost.reason, lost.detail),
    }
}

/// A number below [`STEPS`] for each step.
fn step_number(step: Step) -> Option<u32> {
    let hook = |from: u32, index: u32| (index < 32).then_some(from + index);
    match step {
        Step::Resolve => Some(0),
        Step::Preflight => Some(1),
        Step::Mask => Some(2),
        Step::Download => Some(3),
        Step::Baseline => Some(4),
        Step::Snapshot => Some(5),
        Step::Install => Some(6),
        Step::Restart => Some(7),
        Step::Look => Some(8),
        Step::Reboot => Some(9),
        Step::Back => Some(10),
        Step::Verify => Some(11),
        Step::Release => Some(12),
        Step::Rollback => Some(13),
        Step::RemoveSnapshot => Some(14),
        Step::Pre(index) => hook(32, index),
        Step::Post(index) => hook(64, index),
        Step::Undo(index) => hook(96, index),
    }
}

/// A step as the name of a task.
fn sentence(step: Step) -> String {
    let mut words = step.to_string();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_step_has_a_number_of_its_own() {
        let mut all = vec![
            Step::Resolve,
            Step::Preflight,
            Step::Mask,
            Step::Download,
            Step::Baseline,
            Step::Snapshot,
            Step::Install,
            Step::Restart,
            Step::Look,
            Step::Reboot,
            Step::Back,
            Step::Verify,
            Step::Release,
            Step::Rollback,
            Step::RemoveSnapshot,
        ];
        for index in 0..32 {
            all.extend([Step::Pre(index), Step::Post(index), Step::Undo(index)]);
        }
        let numbers: BTreeSet<u32> = all.iter().filter_map(|it| step_number(*it)).collect();
        assert_eq!(numbers.len(), all.len());
        assert!(numbers.iter().all(|it| *it < STEPS));
        assert_eq!(step_number(Step::Pre(32)), None);
    }
}
