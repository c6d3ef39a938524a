//! Hosts of a simulation. What was begun on one goes on whoever waits for it, and is remembered under its name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_rollout::{CommandOutcome, Hosts, Later, Step, StepCall, StepOutcome, StepWork};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where simulated time begins: a round number, so that notes are readable.
pub(crate) const START_US: i64 = 1_000_000_000_000_000;

pub(crate) fn at(seconds: i64) -> i64 {
    START_US + seconds * 1_000_000
}

/// What goes wrong at a step.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It fails with this message.
    Fail(&'static str),
    /// It fails with this message: no source has a version any more.
    Gone(&'static str),
    /// It is done, and these are its values.
    Answer(Value),
    /// Nobody knows what came of it; `true`: it was done.
    Unknown(bool),
    /// It takes so many seconds.
    Slow(u64),
}

/// What a probe gives, instead of what it should.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    Text(&'static str),
    OtherKey,
    Failed(&'static str),
    Refused,
}

/// A host.
#[derive(Debug, Default)]
pub(crate) struct SimHost {
    pub(crate) boots: u32,
    pub(crate) kernel: String,
    pub(crate) packages: BTreeMap<String, String>,
    pub(crate) drained: bool,
    pub(crate) masked: bool,
    pub(crate) snapshot: bool,
    pub(crate) down_until: Option<Instant>,
    /// Not reached from, until (seconds since the start).
    pub(crate) lost: Vec<(i64, i64)>,
    pub(crate) boot_s: u64,
    /// Reboots that do nothing.
    pub(crate) deaf_reboots: u32,
    /// What probes give first after it is up again.
    pub(crate) probes: VecDeque<Probe>,
    pub(crate) needs_reboot: bool,
    pub(crate) pending_reboot: bool,
    /// How far its clock is ahead.
    pub(crate) clock_off_s: i64,
    memory: BTreeMap<String, StepOutcome>,
    running: BTreeSet<String>,
    pub(crate) done: BTreeMap<String, u32>,
}

/// All hosts, and what was seen of them.
pub(crate) struct Fleet {
    pub(crate) hosts: Mutex<BTreeMap<String, SimHost>>,
    pub(crate) faults: Mutex<BTreeMap<(String, String), VecDeque<Fault>>>,
    /// Time, host, step: when it was begun on the host.
    pub(crate) log: Mutex<Vec<(i64, String, String)>>,
    pub(crate) start: Instant,
    pub(crate) red: Mutex<Vec<String>>,
    changed: Notify,
}

impl Fleet {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Arc<Self> {
        let hosts = names.into_iter().map(|name| {
            let host = SimHost {
                boot_s: 40,
                kernel: "6.1".into(),
                ..SimHost::default()
            };
            (name, host)
        });
        Arc::new(Self {
            hosts: Mutex::new(hosts.collect()),
            faults: Mutex::default(),
            log: Mutex::default(),
            start: Instant::now(),
            red: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(crate) fn now_us(&self) -> i64 {
        START_US + i64::try_from(self.start.elapsed().as_micros()).expect("short")
    }

    /// The next execution of the step on the host goes wrong like that.
    pub(crate) fn fault(&self, host: &str, step: &str, fault: Fault) {
        let mut faults = self.faults.lock().expect("lock");
        let key = (host.to_owned(), step.to_owned());
        faults.entry(key).or_default().push_back(fault);
    }

    pub(crate) fn with<T>(&self, host: &str, change: impl FnOnce(&mut SimHost) -> T) -> T {
        change(
            self.hosts
                .lock()
                .expect("lock")
                .get_mut(host)
                .expect("a host"),
        )
    }

    pub(crate) fn seconds(&self) -> i64 {
        (self.now_us() - START_US) / 1_000_000
    }

    fn reached(&self, host: &str) -> bool {
        let now = self.seconds();
        self.with(host, |it| {
            let up = it.down_until.is_none_or(|until| Instant::now() >= until);
            up && !it.lost.iter().any(|&(from, to)| from <= now && now < to)
        })
    }

    /// Steps that were carried out more than once under one name.
    pub(crate) fn doubled(&self) -> Vec<String> {
        let hosts = self.hosts.lock().expect("lock");
        let done = hosts.values().flat_map(|it| it.done.iter());
        done.filter(|(_, times)| **times > 1)
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub(crate) fn steps_of(&self, host: &str) -> Vec<String> {
        let log = self.log.lock().expect("lock");
        log.iter()
            .filter(|it| it.1 == host)
            .map(|it| it.2.clone())
            .collect()
    }

    fn next_fault(&self, call: &StepCall) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("lock");
        let waiting = faults.get_mut(&(call.host.clone(), call.step.word()))?;
        waiting.pop_front()
    }

    async fn carry_out(self: Arc<Self>, call: StepCall) {
        let name = call.name();
        let fault = self.next_fault(&call);
        {
            let mut log = self.log.lock().expect("lock");
            log.push((self.seconds(), call.host.clone(), call.step.word()));
        }
        self.with(&call.host, |it| {
            *it.done.entry(name.clone()).or_default() += 1;
        });
        let seconds = match fault {
            Some(Fault::Slow(seconds)) => seconds,
            _ => Self::lasts(call.step),
        };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let outcome = match fault {
            Some(Fault::Fail(message)) => Some(StepOutcome::Failed {
                message: message.to_owned(),
            }),
            Some(Fault::Gone(message)) => Some(StepOutcome::Gone {
                message: message.to_owned(),
            }),
            Some(Fault::Answer(values)) => Some(StepOutcome::Done { values }),
            Some(Fault::Unknown(done)) => {
                if done {
                    self.effect(&call);
                }
                Some(StepOutcome::Unknown {
                    message: "the result is lost".to_owned(),
                })
            }
            Some(Fault::Slow(_)) | None => None,
        };
        let mut outcome = outcome.unwrap_or_else(|| self.effect(&call));
        if let (Step::Preflight, StepOutcome::Done { values }) = (call.step, &mut outcome) {
            let off_us = self.with(&call.host, |it| it.clock_off_s) * 1_000_000;
            values["preflight"]["clock_us"] = (self.now_us() + off_us).into();
        }
        self.with(&call.host, |it| {
            it.running.remove(&name);
            it.memory.insert(name, outcome);
        });
        self.changed.notify_waiters();
    }

    fn probe(&self, host: &str) -> StepOutcome {
        if !self.reached(host) {
            return StepOutcome::Unreachable {
                reason: "connection refused".to_owned(),
            };
        }
        self.with(host, |it| match it.probes.pop_front() {
            Some(Probe::Text(text)) => StepOutcome::Done {
                values: Value::String(text.to_owned()),
            },
            Some(Probe::OtherKey) => StepOutcome::HostKey {
                message: "SHA256:aaaa is known, SHA256:bbbb answers".to_owned(),
            },
            Some(Probe::Failed(message)) => StepOutcome::Failed {
                message: message.to_owned(),
            },
            Some(Probe::Refused) => StepOutcome::Unreachable {
                reason: "connection refused".to_owned(),
            },
            None => StepOutcome::Done {
                values: Value::String(boot_id(it.boots)),
            },
        })
    }
}

/// The boot id of a host that was booted so often.
pub(crate) fn boot_id(boots: u32) -> String {
    format!("{boots:08x}-0000-4000-8000-000000000000")
}

/// The hosts as the driver sees them.
pub(crate) struct Seen(pub(crate) Arc<Fleet>);

impl Hosts for Seen {
    fn step(&self, call: StepCall) -> Later<'_, StepOutcome> {
        let fleet = Arc::clone(&self.0);
        Box::pin(async move {
            if matches!(call.work, StepWork::Probe) {
                tokio::time::sleep(Duration::from_millis(300)).await;
                return fleet.probe(&call.host);
            }
            let lost = || StepOutcome::Unreachable {
                reason: "no route to host".to_owned(),
            };
            if !fleet.reached(&call.host) {
                tokio::time::sleep(Duration::from_secs(10)).await;
                return lost();
            }
            let name = call.name();
            if call.only_looks() {
                fleet.with(&call.host, |it| it.memory.remove(&name));
            }
            let known = fleet.with(&call.host, |it| {
                it.memory.contains_key(&name) || it.running.contains(&name)
            });
            if !known {
                fleet.with(&call.host, |it| it.running.insert(name.clone()));
                if call.only_looks() {
                    fleet.with(&call.host, |it| it.done.remove(&name));
                }
                tokio::spawn(Arc::clone(&fleet).carry_out(call.clone()));
            }
            loop {
                let changed = fleet.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let outcome = fleet.with(&call.host, |it| it.memory.get(&name).cloned());
                if let Some(outcome) = outcome {
                    return if fleet.reached(&call.host) {
                        outcome
                    } else {
                        lost()
                    };
                }
                changed.await;
            }
        })
    }

    fn command(&self, _: String, _: String) -> Later<'_, CommandOutcome> {
        Box::pin(async {
            CommandOutcome::NotRun {
                reason: "gates of simulations are scripted".to_owned(),
            }
        })
    }
}
