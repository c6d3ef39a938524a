//! Carries out what the machine decides: writes notes, does jobs, waits.

mod clock;
mod jobs;
mod traits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinSet};

use crate::machine::{Command, End, Machine, Misfit};
use crate::{Entry, JobName, Note};
pub use clock::SystemClock;
use jobs::Worker;
pub use traits::{Clock, GateAnswer, Gates, Hosts, Later, NewOrder, NotWritten, Notes, Orders};

/// Decisions that may follow each other without anything happening in between; more are a fault of this program.
const DECISIONS: usize = 1000;
const DECISIONS_OF_A_HOST: usize = 20;

/// What a run needs.
pub struct World {
    /// Hosts.
    pub hosts: Arc<dyn Hosts>,
    /// Gates.
    pub gates: Arc<dyn Gates>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The notes of this run, after those that the machine was given already.
    pub notes: Box<dyn Notes>,
    /// Orders for this run.
    pub orders: Box<dyn Orders>,
    /// Microseconds between two looks for orders.
    pub orders_every_us: i64,
    /// Do not stay for what is further away than that, with nothing under way: [`Stand::Waiting`]. `None`: stay.
    pub stay_us: Option<i64>,
}

/// How the run stands when the driver goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// There is nothing to do.
    Ended(End),
    /// There is nothing to do until then; `None`: until somebody approves something.
    Waiting {
        /// Microseconds since the epoch.
        until_us: Option<i64>,
    },
}

/// Why a run could not be driven on. It can be resumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriveError {
    /// See [`NotWritten`].
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
    /// See [`Misfit`]; one that the driver itself has made is a fault of this program.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// A job ended without a result: a fault of this program.
    #[error("a job of the run broke: {0}")]
    Broken(String),
}

/// Drives a run until nothing is left to do. The machine has taken all notes of the run that there are; if there are any,
/// this is a resume.
///
/// # Errors
/// See [`DriveError`]. What is under way goes on on the hosts and is found again by a resume.
pub async fn drive(machine: &mut Machine, world: World, by: &str) -> Result<Stand, DriveError> {
    let worker = Worker {
        hosts: world.hosts,
        gates: world.gates,
        clock: Arc::clone(&world.clock),
        plan: Arc::clone(&machine.plan),
    };
    let mut driver = Driver {
        machine,
        notes: world.notes,
        clock: world.clock,
        worker: Arc::new(worker),
        running: JoinSet::new(),
        handles: BTreeMap::new(),
    };
    let first = match driver.machine.opening() {
        Some(opening) => opening,
        None => Note::Resumed { by: by.to_owned() },
    };
    driver.write(first).await?;
    let mut orders = world.orders;
    let mut next_orders = i64::MIN;
    loop {
        if driver.clock.now_us() >= next_orders {
            for order in orders.poll().await {
                driver.order(order).await?;
            }
            next_orders = driver
                .clock
                .now_us()
                .saturating_add(world.orders_every_us.max(1));
        }
        let commands = driver.decided().await?;
        driver.start(&commands)?;
        for command in commands {
            match command {
                Command::End(end) => return Ok(Stand::Ended(end)),
                Command::Wait { until_us } if driver.handles.is_empty() => {
                    let far = world
                        .stay_us
                        .map(|it| driver.clock.now_us().saturating_add(it));
                    if let Some(far) = far
                        && until_us.is_none_or(|it| it > far)
                    {
                        return Ok(Stand::Waiting { until_us });
                    }
                    driver.pause(until_us, next_orders).await?;
                }
                Command::Wait { until_us } => driver.pause(until_us, next_orders).await?,
                Command::Write(_) | Command::Run(_) => {}
            }
        }
    }
}

struct Driver<'a> {
    machine: &'a mut Machine,
    notes: Box<dyn Notes>,
    clock: Arc<dyn Clock>,
    worker: Arc<Worker>,
    /// Dropped with the driver, and everything in it: nobody waits for it any more.
    running: JoinSet<(JobName, Note)>,
    handles: BTreeMap<JobName, AbortHandle>,
}

impl Driver<'_> {
    async fn write(&mut self, note: Note) -> Result<(), DriveError> {
        let entry = Entry::new(self.clock.now_us(), note);
        self.notes.write(entry.clone()).await?;
        self.machine.take(&entry)?;
        Ok(())
    }

    async fn order(&mut self, order: NewOrder) -> Result<(), DriveError> {
        if self.machine.knows_order(&order.id) {
            return Ok(());
        }
        let NewOrder { id, by, order } = order;
        self.write(Note::Ordered { id, by, order }).await
    }

    /// Writes decisions until there are none left, and gives what is to be done.
    async fn decided(&mut self) -> Result<Vec<Command>, DriveError> {
        let limit = DECISIONS + self.machine.plan.hosts.len() * DECISIONS_OF_A_HOST;
        for _ in 0..limit {
            let mut commands = self.machine.decide(self.clock.now_us());
            match commands.pop() {
                Some(Command::Write(note)) if commands.is_empty() => self.write(note).await?,
                Some(last) => {
                    commands.push(last);
                    return Ok(commands);
                }
                None => return Ok(commands),
            }
        }
        Err(DriveError::Broken("it decides without end".to_owned()))
    }

    /// Begins jobs that are new, and drops those that are not wanted any more.
    fn start(&mut self, commands: &[Command]) -> Result<(), DriveError> {
        let mut wanted = BTreeSet::new();
        for command in commands {
            let Command::Run(name) = command else {
                continue;
            };
            if !self.handles.contains_key(name) {
                let job = self.machine.job(name);
                let job = job.ok_or_else(|| DriveError::Broken(format!("{name:?} is no job")))?;
                let (worker, key) = (Arc::clone(&self.worker), name.clone());
                let task = async move { (key, worker.work(job).await) };
                self.handles.insert(name.clone(), self.running.spawn(task));
            }
            wanted.insert(name);
        }
        self.handles.retain(|key, handle| {
            let keep = wanted.contains(key);
            if !keep {
                handle.abort();
            }
            keep
        });
        Ok(())
    }

    /// Until a job ends, whose note is then written, or until it is time to look again.
    async fn pause(&mut self, until_us: Option<i64>, orders_us: i64) -> Result<(), DriveError> {
        let until = until_us.map_or(orders_us, |it| it.min(orders_us));
        let sleep = self.clock.sleep_until(until);
        let ended = tokio::select! {
            biased;
            Some(ended) = self.running.join_next() => Some(ended),
            () = sleep => None,
        };
        match ended {
            None => Ok(()),
            Some(Ok((key, note))) => {
                // One that was dropped may have ended just before: nobody asks for its note.
                match self.handles.remove(&key) {
                    Some(_) => self.write(note).await,
                    None => Ok(()),
                }
            }
            Some(Err(error)) if error.is_cancelled() => Ok(()),
            Some(Err(error)) => Err(DriveError::Broken(error.to_string())),
        }
    }
}
