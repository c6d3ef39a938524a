//! Running tasks: a thread each, which can be cancelled and whose crash costs only itself.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hostler_change::Outcome;
use hostler_module_api::Mode;
use hostler_protocol::{FromAgent, Item, RunTask};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::host::{Host, Shared};
use crate::overlay::Preview;

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

/// All tasks of this agent.
#[derive(Default)]
pub(crate) struct Tasks {
    state: Mutex<Lists>,
    ended: Condvar,
}

#[derive(Default)]
struct Lists {
    running: HashMap<u32, Arc<Task>>,
    waiting: VecDeque<RunTask>,
}

impl Tasks {
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
        self.spawn(run, task, shared);
    }

    fn spawn(self: &Arc<Self>, run: RunTask, task: Arc<Task>, shared: &Arc<Shared>) {
        let number = run.task;
        let (tasks, here) = (self.clone(), shared.clone());
        let body = move || {
            let mut host = run_items(&run, &task, &here);
            here.outbox.send(&FromAgent::End { task: number });
            // The files are on the disk already; that their names are too need not be waited for.
            host.make_durable();
            tasks.finish(number, &here);
        };
        let spawned = thread::Builder::new().stack_size(STACK).spawn(body);
        if let Err(error) = spawned {
            let outcome = Outcome::failure(format!("cannot start a thread for the task: {error}"));
            shared.outbox.send(&FromAgent::Done {
                task: number,
                index: 0,
                outcome: Box::new(outcome),
            });
            shared.outbox.send(&FromAgent::End { task: number });
            self.lock().running.remove(&number);
        }
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

fn run_items(run: &RunTask, task: &Arc<Task>, shared: &Arc<Shared>) -> Host {
    let mut host = Host::new(shared.clone(), task.clone(), &run.environment);
    for item in &run.items {
        let outcome = if task.is_cancelled() {
            Outcome::failure(CANCELLED)
        } else {
            run_item(run, item, &mut host)
        };
        let failed = outcome.failed.is_some();
        send_done(shared, run.task, item.index, outcome);
        if failed && run.stop_on_failure && !task.is_cancelled() {
            break;
        }
    }
    host
}

fn run_item(run: &RunTask, item: &Item, host: &mut Host) -> Outcome {
    let mode = Mode {
        check: run.check,
        diff: run.diff,
    };
    host.set_payload(item.payload.clone());
    let attempt = AssertUnwindSafe(|| {
        if run.check && run.preview {
            let shared = host.shared.clone();
            let mut preview = Preview::new(host, &shared.overlay);
            hostler_modules::run(&run.module, &item.args, mode, &mut preview)
        } else {
            hostler_modules::run(&run.module, &item.args, mode, host)
        }
    });
    match catch_unwind(attempt) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Outcome::failure(format!("the agent has no module `{}`", run.module)),
        Err(_) => {
            let what = LAST_PANIC.with_borrow_mut(std::mem::take);
            Outcome::failure(format!("module `{}` crashed: {what}", run.module))
        }
    }
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a crash said for the task's result, instead of printing it.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let what = text.or_else(|| payload.downcast_ref::<&str>().copied());
        let what = what.unwrap_or("no message");
        let place = info
            .location()
            .map(|it| format!(" ({}:{})", it.file(), it.line()));
        let text = format!("{what}{}", place.unwrap_or_default());
        LAST_PANIC.with_borrow_mut(|last| *last = text);
    }));
}
