//! Runs a plan over a simulated fleet, in one go or with the driver killed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_patch::plan::{Gate, GateCheck, Plan};
use hostler_rollout::{
    Clock, DriveError, Entry, GateAnswer, Gates, Later, Machine, NewOrder, NotWritten, Note, Notes,
    Order, Orders, Outcome, Stand, StepOutcome, World, drive,
};

use super::fleet::{Fleet, START_US, Seen};

struct SimClock(Arc<Fleet>);

impl Clock for SimClock {
    fn now_us(&self) -> i64 {
        self.0.now_us()
    }

    fn sleep_until(&self, us: i64) -> Later<'_, ()> {
        Box::pin(async move {
            let left = us.saturating_sub(self.0.now_us());
            let left = u64::try_from(left)
                .unwrap_or(0)
                .min(400 * 86_400 * 1_000_000);
            tokio::time::sleep(Duration::from_micros(left)).await;
        })
    }
}

/// A gate is red while its line is in [`Fleet::red`]: `health`, or `health@host`; `hang` never answers.
struct SimGates(Arc<Fleet>);

impl Gates for SimGates {
    fn ask(&self, gate: Gate, on: Option<String>) -> Later<'_, GateAnswer> {
        Box::pin(async move {
            let GateCheck::Command { command, .. } = gate.check else {
                panic!("only commands are simulated");
            };
            tokio::time::sleep(Duration::from_secs(1)).await;
            let on = on.unwrap_or_default();
            let red = self.0.red.lock().expect("lock").clone();
            if red.contains(&"hang".to_owned()) {
                std::future::pending::<()>().await;
            }
            let is_red = red.contains(&command) || red.contains(&format!("{command}@{on}"));
            GateAnswer {
                green: !is_red,
                evidence: if is_red { "rc 1" } else { "rc 0" }.to_owned(),
            }
        })
    }
}

/// When the notes stop being writable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// At which write of this process, from 0.
    pub(crate) at: usize,
    /// Is that one kept?
    pub(crate) kept: bool,
}

struct SimNotes {
    lines: Arc<Mutex<Vec<String>>>,
    kill: Option<Kill>,
    written: usize,
}

impl Notes for SimNotes {
    fn write(&mut self, entry: Entry) -> Later<'_, Result<(), NotWritten>> {
        Box::pin(async move {
            let killed = self.kill.filter(|it| it.at == self.written);
            self.written += 1;
            if killed.is_none_or(|it| it.kept) {
                let line = serde_json::to_string(&entry).expect("JSON");
                self.lines.lock().expect("lock").push(line);
            }
            match killed {
                Some(_) => Err(NotWritten {
                    message: "killed".to_owned(),
                }),
                None => Ok(()),
            }
        })
    }
}

struct SimOrders {
    fleet: Arc<Fleet>,
    orders: Vec<(i64, Order)>,
}

impl Orders for SimOrders {
    fn poll(&mut self) -> Later<'_, Vec<NewOrder>> {
        let now = self.fleet.seconds();
        let due = (0..).zip(&self.orders).filter(|(_, (at, _))| *at <= now);
        let due: Vec<NewOrder> = due
            .map(|(number, (_, order))| NewOrder {
                id: format!("order-{number}"),
                by: "ada".to_owned(),
                order: order.clone(),
            })
            .collect();
        Box::pin(async move { due })
    }
}

/// A run.
pub(crate) struct Sim {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) lines: Arc<Mutex<Vec<String>>>,
    pub(crate) orders: Vec<(i64, Order)>,
    pub(crate) stay_us: Option<i64>,
}

impl Sim {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut names: Vec<String> = plan.hosts.keys().cloned().collect();
        names.extend(plan.groups.iter().flat_map(|it| it.hosts.clone()));
        let fleet = Fleet::new(names);
        for (name, host) in &plan.hosts {
            fleet.with(name, |it| {
                for action in &host.actions {
                    it.packages
                        .insert(action.package.name.clone(), "1".to_owned());
                }
            });
        }
        Self {
            fleet,
            plan: Arc::new(plan),
            lines: Arc::default(),
            orders: Vec::new(),
            stay_us: None,
        }
    }

    /// The machine after the notes that are there.
    pub(crate) fn machine(&self) -> Machine {
        let id = self.plan.id().expect("an id");
        let mut machine = Machine::new(
            Arc::clone(&self.plan),
            id,
            "run1".to_owned(),
            "ada".to_owned(),
        );
        for entry in self.entries() {
            machine.take(&entry).expect("its own note");
        }
        machine
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let lines = self.lines.lock().expect("lock");
        lines
            .iter()
            .map(|it| serde_json::from_str(it).expect("a note"))
            .collect()
    }

    /// One process.
    pub(crate) async fn process(&self, kill: Option<Kill>) -> Result<Stand, DriveError> {
        let mut machine = self.machine();
        let world = World {
            hosts: Arc::new(Seen(Arc::clone(&self.fleet))),
            gates: Arc::new(SimGates(Arc::clone(&self.fleet))),
            clock: Arc::new(SimClock(Arc::clone(&self.fleet))),
            notes: Box::new(SimNotes {
                lines: Arc::clone(&self.lines),
                kill,
                written: 0,
            }),
            orders: Box::new(SimOrders {
                fleet: Arc::clone(&self.fleet),
                orders: self.orders.clone(),
            }),
            orders_every_us: 20_000_000,
            stay_us: self.stay_us,
        };
        let stand = drive(&mut machine, world, "ada").await;
        if stand.is_ok() {
            assert_eq!(
                machine,
                self.machine(),
                "the notes tell another story than the machine"
            );
        }
        stand
    }

    pub(crate) async fn run(&self) -> Stand {
        self.process(None).await.expect("it is driven to the end")
    }

    pub(crate) fn outcome(&self, host: &str) -> Option<Outcome> {
        let entries = self.entries();

        entries.into_iter().rev().find_map(|it| match it.note {
            Note::Came {
                host: name,
                outcome,
            } if name == host => Some(outcome),
            _ => None,
        })
    }

    /// The notes, a short line each, times in seconds since the start.
    pub(crate) fn told(&self) -> Vec<String> {
        self.entries().iter().map(brief).collect()
    }

    /// Notes about a host, without times.
    pub(crate) fn told_of(&self, host: &str) -> Vec<String> {
        let lines = self.told();
        let lines = lines.iter().filter_map(|it| {
            let (_, rest) = it.split_once(' ')?;
            rest.strip_prefix(&format!("{host}: ")).map(str::to_owned)
        });
        lines.collect()
    }
}

pub(crate) fn brief(entry: &Entry) -> String {
    let seconds = (entry.at_us - START_US) / 1_000_000;
    let text = match &entry.note {
        Note::Opened { .. } => "opened".to_owned(),
        Note::Resumed { .. } => "resumed".to_owned(),
        Note::Ordered { order, .. } => format!("ordered {order:?}"),
        Note::WaveOpened { wave } => format!("wave {wave} opened"),
        Note::Admitted { host, .. } => format!("{host}: admitted"),
        Note::Asked { host, moment } => format!("{host}: asked {moment:?}"),
        Note::Answered {
            host,
            moment,
            green,
            ..
        } => format!(
            "{host}: {moment:?} {}",
            if *green { "green" } else { "red" }
        ),
        Note::Begun {
            host,
            step,
            attempt,
        } => format!("{host}: begun {} {attempt}", step.word()),
        Note::Ended {
            host,
            step,
            outcome,
            ..
        } => {
            let came = match outcome {
                StepOutcome::Done { .. } => "done".to_owned(),
                StepOutcome::Failed { message } => format!("failed ({message})"),
                StepOutcome::Gone { message } => format!("gone ({message})"),
                StepOutcome::Unreachable { .. } => "unreachable".to_owned(),
                StepOutcome::HostKey { .. } => "other host key".to_owned(),
                StepOutcome::Unknown { .. } => "unknown".to_owned(),
            };
            format!("{host}: {} {came}", step.word())
        }
        Note::Left { host, reason } => format!("{host}: left ({reason})"),
        Note::RebootPutOff { host, reason } => format!("{host}: reboot put off ({reason})"),
        Note::GivenUp { host, .. } => format!("{host}: given up"),
        Note::Came { host, outcome } => format!("{host}: came {outcome:?}"),
        Note::Soaking { wave, .. } => format!("wave {wave} soaking"),
        Note::Watched { wave, green, .. } => {
            format!("wave {wave} {}", if *green { "green" } else { "red" })
        }
        Note::WavePassed { wave, proven } => format!("wave {wave} passed, {} proven", proven.len()),
        Note::Halted { cause } => format!("halted {cause:?}"),
        Note::Disproven { versions } => format!("disproven {}", versions.len()),
        Note::RollingBack { host, .. } => format!("{host}: rolling back"),
        Note::Closed { end } => format!("closed {end:?}"),
    };
    format!("+{seconds} {text}")
}
