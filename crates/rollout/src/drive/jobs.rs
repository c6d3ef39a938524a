//! Jobs: each ends with the note that tells what came of it.

use std::sync::Arc;

use hostler_patch::plan::{Gate, Plan};
use tokio::task::JoinSet;

use super::{Clock, GateAnswer, Gates, Hosts};
use crate::machine::back::{Back, PROBE_EVERY_US};
use crate::{Job, Note, Step, StepCall, StepOutcome, StepWork};

/// A probe that takes longer has failed.
const PROBE_TIME_US: i64 = 30_000_000;
/// Between two verifications while something is still starting.
const VERIFY_EVERY_US: i64 = 5_000_000;
/// What is missing right after everything has started may still come: ports are listened on, containers come up.
const VERIFY_GRACE_US: i64 = 60_000_000;
/// Gates of a wave that are asked at the same time.
const GATES_AT_ONCE: usize = 16;
/// Gates of a wave are not asked more often than that.
const WATCH_EVERY_US: i64 = 10_000_000;

/// Does jobs.
pub(super) struct Worker {
    pub(super) hosts: Arc<dyn Hosts>,
    pub(super) gates: Arc<dyn Gates>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) plan: Arc<Plan>,
}

impl Worker {
    pub(super) async fn work(self: Arc<Self>, job: Job) -> Note {
        match job {
            Job::Step(call) => {
                let (host, step, attempt) = (call.host.clone(), call.step, call.attempt);
                let outcome = self.hosts.step(call).await;
                Note::Ended {
                    host,
                    step,
                    attempt,
                    outcome,
                }
            }
            Job::Verify { call, until_us } => {
                let (host, attempt) = (call.host.clone(), call.attempt);
                let outcome = self.verify(call, until_us).await;
                Note::Ended {
                    host,
                    step: Step::Verify,
                    attempt,
                    outcome,
                }
            }
            Job::Back {
                host,
                attempt,
                boot_id,
                logins,
                until_us,
            } => {
                let back = Back::new(boot_id, logins, until_us);
                let outcome = self.back(&host, attempt, back).await;
                Note::Ended {
                    host,
                    step: Step::Back,
                    attempt,
                    outcome,
                }
            }
            Job::Groups {
                host,
                moment,
                gates,
            } => {
                let answer = self.groups(&gates).await;
                Note::Answered {
                    host,
                    moment,
                    green: answer.green,
                    evidence: answer.evidence,
                }
            }
            Job::Watch {
                wave,
                gates,
                until_us,
            } => {
                let answer = self.watch(&gates, until_us).await;
                Note::Watched {
                    wave,
                    green: answer.green,
                    evidence: answer.evidence,
                }
            }
        }
    }

    async fn back(&self, host: &str, attempt: u32, mut back: Back) -> StepOutcome {
        loop {
            let began = self.clock.now_us();
            let probe = self.hosts.step(StepCall {
                host: host.to_owned(),
                step: Step::Back,
                attempt,
                work: StepWork::Probe,
                again: false,
            });
            let outcome = tokio::select! {
                outcome = probe => outcome,
                () = self.clock.sleep_until(began + PROBE_TIME_US) => StepOutcome::Unreachable {
                    reason: "no answer to a probe in 30 seconds".to_owned(),
                },
            };
            let now = self.clock.now_us();
            if let Some(verdict) = back.take(now, &outcome) {
                return verdict;
            }
            self.clock
                .sleep_until((began + PROBE_EVERY_US).max(now))
                .await;
        }
    }

    /// As long as something is starting; then a little longer, if not all is well.
    async fn verify(&self, call: StepCall, until_us: i64) -> StepOutcome {
        let mut settled: Option<i64> = None;
        loop {
            let outcome = self.hosts.step(call.clone()).await;
            let StepOutcome::Done { values } = &outcome else {
                return outcome;
            };
            let flag = |name: &str| values.get(name).and_then(serde_json::Value::as_bool);
            let empty = |name: &str| {
                let list = values.get(name).and_then(serde_json::Value::as_array);
                list.is_none_or(Vec::is_empty)
            };
            let now = self.clock.now_us();
            let last = if flag("settling") == Some(true) {
                until_us
            } else if empty("differences") && empty("problems") {
                return outcome;
            } else {
                *settled.get_or_insert(now) + VERIFY_GRACE_US
            };
            if now >= last {
                return outcome;
            }
            self.clock.sleep_until(now + VERIFY_EVERY_US).await;
        }
    }

    async fn groups(&self, gates: &[(String, Option<String>)]) -> GateAnswer {
        let mut said = Vec::new();
        for (name, on) in gates {
            let answer = self.ask(name, on.clone()).await;
            if !answer.green {
                return answer;
            }
            said.push(answer.evidence);
        }
        GateAnswer {
            green: true,
            evidence: said.join("; "),
        }
    }

    /// Asks a gate as often as it says before a "no" is believed.
    async fn ask(&self, name: &str, on: Option<String>) -> GateAnswer {
        let place = on
            .as_ref()
            .map(|it| format!(" on {it}"))
            .unwrap_or_default();
        let Some(gate) = self.plan.gates.get(name) else {
            return GateAnswer {
                green: false,
                evidence: format!("gate {name}: the plan has no such gate"),
            };
        };
        let mut tries = 0;
        loop {
            let answer = self.ask_once(gate, on.clone()).await;
            tries += 1;
            if answer.green || tries > gate.retries {
                return GateAnswer {
                    green: answer.green,
                    evidence: format!("gate {name}{place}: {}", answer.evidence),
                };
            }
            let wait = i64::from(gate.every_s) * 1_000_000;
            self.clock.sleep_until(self.clock.now_us() + wait).await;
        }
    }

    async fn ask_once(&self, gate: &Gate, on: Option<String>) -> GateAnswer {
        if on.is_none() && crate::machine::asks_a_host(&gate.check) {
            return GateAnswer {
                green: false,
                evidence: "there is no other member that could be asked".to_owned(),
            };
        }
        let time = i64::from(gate.timeout_s.max(1)) * 1_000_000;
        let until = self.clock.now_us() + time;
        tokio::select! {
            answer = self.gates.ask(gate.clone(), on) => answer,
            () = self.clock.sleep_until(until) => GateAnswer {
                green: false,
                evidence: format!("no answer in {} seconds", gate.timeout_s.max(1)),
            },
        }
    }

    /// All gates again and again until the time is over, at least once; red ends it.
    async fn watch(
        self: Arc<Self>,
        gates: &[(String, Option<String>)],
        until_us: i64,
    ) -> GateAnswer {
        let every = gates
            .iter()
            .filter_map(|(name, _)| self.plan.gates.get(name));
        let every = every
            .map(|it| i64::from(it.every_s) * 1_000_000)
            .max()
            .unwrap_or(0);
        let every = every.max(WATCH_EVERY_US);
        let mut rounds = 0u64;
        loop {
            let began = self.clock.now_us();
            if gates.is_empty() {
                self.clock.sleep_until(until_us).await;
                return GateAnswer {
                    green: true,
                    evidence: "no gates".to_owned(),
                };
            }
            for some in gates.chunks(GATES_AT_ONCE) {
                let mut asked = JoinSet::new();
                for (name, on) in some.iter().cloned() {
                    let worker = Arc::clone(&self);
                    asked.spawn(async move { worker.ask(&name, on).await });
                }
                while let Some(answer) = asked.join_next().await {
                    match answer {
                        Ok(answer) if answer.green => {}
                        Ok(answer) => return answer,
                        Err(error) => {
                            return GateAnswer {
                                green: false,
                                evidence: format!("a gate could not be asked: {error}"),
                            };
                        }
                    }
                }
            }
            rounds += 1;
            if began >= until_us {
                return GateAnswer {
                    green: true,
                    evidence: format!("green {rounds} times"),
                };
            }
            let next = (began + every).max(self.clock.now_us());
            self.clock.sleep_until(next.min(until_us)).await;
        }
    }
}
