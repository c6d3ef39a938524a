//! Running tasks: a thread each, which can be cancelled and whose crash costs only itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hostler_change::Outcome;
use hostler_module_api::{Applier, Mode};
use hostler_protocol::{FromAgent, RunTask};
use hostler_value::Value;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::crash;
use crate::host::{Host, Shared};
use crate::overlay::{Ground, Preview};

/// Tasks that run at the same time; more wait for their turn.
const RUNNING_MAX: usize = 32;
/// Stack of a task's thread: parsers of what a host holds may nest.
const STACK: usize = 8 << 20;

/// One task as others see it: it can be cancelled.
#[derive(Default)]
pub(crate) struct Task {
    state: Mutex<TaskState>,
    woken: Condvar,
}

#[derive(Default)]
struct TaskState {
    cancelled: bool,
    groups: HashSet<Pid>,
}

impl Task {
    fn lock(&self) -> MutexGuard<'_, TaskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Was it cancelled?
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Cancels it: its programs are asked to end (and killed by who waits for them, if they do not).
    pub(crate) fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        for group in &state.groups {
            let _ = kill_process_group(*group, Signal::TERM);
        }
        self.woken.notify_all();
    }

    /// Remembers a program's process group. False: the task was cancelled meanwhile, and the group was killed.
    pub(crate) fn started(&self, group: Pid) -> bool {
        let mut state = self.lock();
        if state.cancelled {
            let _ = kill_process_group(group, Signal::KILL);
        }
        state.groups.insert(group);
        !state.cancelled
    }

    /// Collects a program with `reap`, and forgets its group if it has ended: nobody may signal a number that is
    /// free again.
    pub(crate) fn reaped<T>(&self, group: Pid, reap: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        let ended = reap()?;
        state.groups.remove(&group);
        Some(ended)
    }

    /// Waits; false if the task was cancelled.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let state = self.lock();
        let woken = self
            .woken
            .wait_timeout_while(state, time, |state| !state.cancelled);
        !woken.unwrap_or_else(PoisonError::into_inner).0.cancelled
    }
}

/// Runs a module by name; `None` if there is no such module.
type RunModule = fn(&str, &Value, Mode, &mut dyn Applier) -> Option<Outcome>;

/// All tasks of this agent.
pub(crate) struct Tasks {
    run_module: RunModule,
    state: Mutex<Lists>,
    ended: Condvar,
}

#[derive(Default)]
struct Lists {
    running: HashMap<u32, Arc<Task>>,
    waiting: VecDeque<RunTask>,
}

impl Tasks {
    /// No tasks yet; `run_module` is what they will run.
    pub(crate) fn new(run_module: RunModule) -> Self {
        Tasks {
            run_module,
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a task, or queues it if many run.
    pub(crate) fn start(self: &Arc<Self>, run: RunTask, shared: &Arc<Shared>) {
        let mut lists = self.lock();
        if lists.running.len() >= RUNNING_MAX {
            lists.waiting.push_back(run);
            return;
        }
        let task = Arc::new(Task::default());
        lists.running.insert(run.task, task.clone());
        drop(lists);
        Work {
            run: Arc::new(run),
            at: 0,
            task,
            tasks: self.clone(),
            shared: shared.clone(),
        }
        .spawn();
    }

    fn finish(self: &Arc<Self>, number: u32, shared: &Arc<Shared>) {
        let mut lists = self.lock();
        lists.running.remove(&number);
        let next = lists.waiting.pop_front();
        drop(lists);
        self.ended.notify_all();
        if let Some(run) = next {
            self.start(run, shared);
        }
    }

    /// Cancels a task, running or waiting.
    pub(crate) fn cancel(&self, number: u32, shared: &Shared) {
        let mut lists = self.lock();
        if let Some(task) = lists.running.get(&number) {
            task.cancel();
            drop(lists);
            shared.blobs.wake();
            return;
        }
        let place = lists.waiting.iter().position(|run| run.task == number);
        let Some(run) = place.and_then(|place| lists.waiting.remove(place)) else {
            return;
        };
        drop(lists);
        for item in &run.items {
            send_done(shared, number, item.index, Outcome::failure(CANCELLED));
        }
        shared.outbox.send(&FromAgent::End { task: number });
    }

    /// Cancels all and waits a while for them to clean up.
    pub(crate) fn end_all(&self, shared: &Shared, patience: Duration) {
        let mut lists = self.lock();
        lists.waiting.clear();
        for task in lists.running.values() {
            task.cancel();
        }
        shared.blobs.close();
        let ended = self
            .ended
            .wait_timeout_while(lists, patience, |lists| !lists.running.is_empty());
        drop(ended);
    }
}

/// What a cancelled task says.
pub(crate) const CANCELLED: &str = "the task was cancelled";

fn send_done(shared: &Shared, task: u32, index: u32, outcome: Outcome) {
    shared.outbox.send(&FromAgent::Done {
        task,
        index,
        outcome: Box::new(outcome),
    });
}

/// A task from a certain item on.
#[derive(Clone)]
pub(crate) struct Work {
    run: Arc<RunTask>,
    at: usize,
    task: Arc<Task>,
    tasks: Arc<Tasks>,
    shared: Arc<Shared>,
}

impl Work {
    /// Does it on a thread of its own.
    fn spawn(self) {
        let work = self.clone();
        let body = move || {
            let mut host = work.clone().run_items();
            work.end();
            // The files are on the disk already; that their names are too need not be waited for.
            host.make_durable();
            work.tasks.finish(work.run.task, &work.shared);
        };
        let spawned = thread::Builder::new().stack_size(STACK).spawn(body);
        if let Err(error) = spawned {
            let text = format!("cannot start a thread for the task: {error}");
            for item in self.run.items.iter().skip(self.at).take(1) {
                self.done(item.index, Outcome::failure(&text));
            }
            self.end();
            self.tasks.lock().running.remove(&self.run.task);
        }
    }

    fn run_items(mut self) -> Host {
        let run = self.run.clone();
        let mut host = Host::new(self.shared.clone(), self.task.clone(), &run.environment);
        if let Some(preview) = &run.preview {
            self.shared.overlay.catch_up(&host, preview);
        }
        host.allowed.clone_from(&run.allowed);
        while let Some(item) = run.items.get(self.at) {
            let outcome = if self.task.is_cancelled() {
                Outcome::failure(CANCELLED)
            } else {
                host.set_payload(item.payload.clone());
                crash::guarded(&self, || self.run_item(&item.args, &mut host))
            };
            let failed = outcome.failed.is_some();
            self.done(item.index, outcome);
            if failed && self.stops() {
                break;
            }
            self.at += 1;
        }
        host
    }

    fn run_item(&self, args: &Value, host: &mut Host) -> Outcome {
        let mode = Mode {
            check: self.run.check,
            diff: self.run.diff,
            forecast: self.run.preview.is_some(),
        };
        let run = self.tasks.run_module;
        let outcome = if let Some(preview) = self.run.preview.as_ref().filter(|_| self.run.check) {
            let ground = Ground::new(&self.shared.overlay, preview);
            let mut preview = Preview::new(host, ground.overlay(), preview);
            preview.gives(args);
            let mut outcome = run(self.module(), args, mode, &mut preview);
            if let Some(outcome) = &mut outcome {
                preview.finish(outcome);
            }
            outcome
        } else {
            run(self.module(), args, mode, host)
        };
        outcome.unwrap_or_else(|| {
            Outcome::failure(format!("the agent has no module `{}`", self.module()))
        })
    }

    /// Does the task end with an item that failed?
    fn stops(&self) -> bool {
        self.run.stop_on_failure && !self.task.is_cancelled()
    }

    /// The module that it runs.
    pub(crate) fn module(&self) -> &str {
        &self.run.module
    }

    /// Takes the item's thread for lost: answers for it, and goes on behind it on another.
    pub(crate) fn crashed(mut self, outcome: Outcome) {
        if let Some(item) = self.run.items.get(self.at) {
            self.done(item.index, outcome);
        }
        self.at = if self.stops() {
            self.run.items.len()
        } else {
            self.at + 1
        };
        self.spawn();
    }

    fn done(&self, index: u32, outcome: Outcome) {
        send_done(&self.shared, self.run.task, index, outcome);
    }

    fn end(&self) {
        let task = self.run.task;
        self.shared.outbox.send(&FromAgent::End { task });
    }
}
