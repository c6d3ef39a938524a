//! Running tasks: a thread each, which can be cancelled and whose crash costs only itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hostler_change::Outcome;
use hostler_module_api::{Applier, Mode};
use hostler_protocol::{FromAgent, RunTask, TaskKey};
use hostler_value::Value;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::crash;
use crate::host::{Host, Shared, plain};
use crate::kept::{Begin, Record};
use crate::outbox::encode_done;
use crate::overlay::{Ground, Preview};
use crate::progress;

/// Tasks that run at the same time; more wait for their turn.
const RUNNING_MAX: usize = 32;
/// Stack of a task's thread: parsers of what a host holds may nest.
const STACK: usize = 8 << 20;

/// One task as others see it: it can be cancelled, and asked what it does.
#[derive(Default)]
pub(crate) struct Task {
    number: u32,
    /// Is it finished although the connection ends?
    keyed: bool,
    state: Mutex<TaskState>,
    woken: Condvar,
}

#[derive(Default)]
struct TaskState {
    cancelled: bool,
    /// Process groups of its programs; are they let be when it is cancelled?
    groups: HashMap<Pid, bool>,
    /// Content that it needs can no longer come.
    lacks_content: bool,
    /// What it does, and since when; the module's name while it runs no program.
    doing: String,
    since: Option<Instant>,
    /// Bytes of its programs' output that may still be sent, if it is watched.
    watched: bool,
    sent: usize,
}

impl Task {
    fn lock(&self) -> MutexGuard<'_, TaskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new(number: u32, keyed: bool, doing: &str) -> Arc<Self> {
        let task = Task {
            number,
            keyed,
            ..Task::default()
        };
        {
            let mut state = task.lock();
            doing.clone_into(&mut state.doing);
            state.since = Some(Instant::now());
        }
        Arc::new(task)
    }

    /// The controller's number for it.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Says what it does from now on; gives what it did until now.
    pub(crate) fn does(&self, what: String) -> String {
        std::mem::replace(&mut self.lock().doing, what)
    }

    /// What it does, if it has been running for a while, and the process groups of its programs.
    pub(crate) fn doing(&self, at_least: Duration) -> Option<(String, Vec<Pid>)> {
        let state = self.lock();
        let since = state.since.filter(|since| since.elapsed() >= at_least);
        since.map(|_| (state.doing.clone(), state.groups.keys().copied().collect()))
    }

    /// Starts or stops the sending of output.
    fn watch(&self, on: bool) {
        self.lock().watched = on;
    }

    /// How many of these bytes of output shall be sent?
    pub(crate) fn may_send(&self, bytes: usize) -> usize {
        let mut state = self.lock();
        if !state.watched {
            return 0;
        }
        let granted = bytes.min(progress::OUTPUT_MAX - state.sent);
        state.sent += granted;
        granted
    }

    /// Content that it waits for can no longer come, since the connection has ended.
    pub(crate) fn must_do_without(&self) {
        self.lock().lacks_content = true;
    }

    /// Is that so?
    pub(crate) fn lacks_content(&self) -> bool {
        self.lock().lacks_content
    }

    /// Was it cancelled?
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Cancels it: its programs are asked to end (and killed by who waits for them, if they do not).
    pub(crate) fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        for group in ended_with(&state) {
            let _ = kill_process_group(*group, Signal::TERM);
        }
        self.woken.notify_all();
    }

    /// Remembers a program's process group. If the task was cancelled meanwhile, the group is killed, but for one that
    /// is `spared`: who interrupts it leaves the host worse than who lets it end.
    pub(crate) fn started(&self, group: Pid, spared: bool) {
        let mut state = self.lock();
        if state.cancelled && !spared {
            let _ = kill_process_group(group, Signal::KILL);
        }
        state.groups.insert(group, spared);
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

/// Process groups that end with the task.
fn ended_with(state: &TaskState) -> impl Iterator<Item = &Pid> {
    let ends = state.groups.iter().filter(|(_, spared)| !**spared);
    ends.map(|(group, _)| group)
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
    /// Is somebody telling how long tasks get on?
    told: bool,
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
        let task = Task::new(run.task, run.key.is_some(), &run.module);
        task.watch(run.watch);
        lists.running.insert(run.task, task.clone());
        self.tell_progress(&mut lists, shared);
        drop(lists);
        Work {
            run: Arc::new(run),
            at: 0,
            task,
            tasks: self.clone(),
            shared: shared.clone(),
            record: None,
        }
        .spawn(Work::begin);
    }

    /// Tells what came of a task of an earlier connection; waits until it has ended.
    pub(crate) fn resolve(self: &Arc<Self>, number: u32, key: TaskKey, shared: &Arc<Shared>) {
        let task = Task::new(number, false, "waits for what an earlier connection began");
        let mut lists = self.lock();
        lists.running.insert(number, task.clone());
        self.tell_progress(&mut lists, shared);
        drop(lists);
        let (tasks, its_shared) = (self.clone(), shared.clone());
        let body = move || {
            its_shared.kept.resolve(key, &task, &its_shared.outbox);
            tasks.finish(number, &its_shared);
        };
        if thread::Builder::new().spawn(body).is_err() {
            // Nothing is known, and that is what an agent's end means.
            let why = hostler_protocol::Unresolved::AgentDied;
            let message = FromAgent::Unresolved { task: number, why };
            shared.outbox.send(&message);
            self.lock().running.remove(&number);
        }
    }

    /// Has somebody look after tasks that take long.
    fn tell_progress(self: &Arc<Self>, lists: &mut Lists, shared: &Arc<Shared>) {
        if std::mem::replace(&mut lists.told, true) {
            return;
        }
        let (tasks, shared) = (self.clone(), shared.clone());
        let body = move || {
            loop {
                thread::sleep(progress::EVERY);
                let running: Vec<Arc<Task>> = tasks.lock().running.values().cloned().collect();
                for task in &running {
                    progress::tell(task, &shared);
                }
            }
        };
        // It is a courtesy: where there is no thread for it, the tasks go on all the same.
        let _ = thread::Builder::new().spawn(body);
    }

    /// Starts or stops the sending of a task's output.
    pub(crate) fn watch(&self, number: u32, on: bool) {
        let mut lists = self.lock();
        if let Some(task) = lists.running.get(&number) {
            task.watch(on);
        } else if let Some(run) = lists.waiting.iter_mut().find(|run| run.task == number) {
            run.watch = on;
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
            let mut done = message(number, item.index, Outcome::failure(CANCELLED));
            shared.outbox.forward(&encode_done(&mut done), false);
        }
        shared.outbox.send(&FromAgent::End { task: number });
    }

    /// The connection has ended. Tasks with a key go on to their ends, which is waited for; others are cancelled and
    /// have a while to clean up. What waits for its turn has not begun and will not.
    pub(crate) fn end_all(&self, shared: &Shared, patience: Duration) {
        let mut lists = self.lock();
        lists.waiting.clear();
        for task in lists.running.values().filter(|task| !task.keyed) {
            task.cancel();
        }
        shared.blobs.close();
        let others = |lists: &mut Lists| lists.running.values().any(|task| !task.keyed);
        let ended = self.ended.wait_timeout_while(lists, patience, others);
        let lists = ended.unwrap_or_else(PoisonError::into_inner).0;
        let keyed = |lists: &mut Lists| lists.running.values().any(|task| task.keyed);
        drop(self.ended.wait_while(lists, keyed));
    }
}

pub(crate) use hostler_protocol::CANCELLED;

fn message(task: u32, index: u32, outcome: Outcome) -> FromAgent {
    FromAgent::Done {
        task,
        index,
        outcome: Box::new(outcome),
    }
}

/// A task from a certain item on.
#[derive(Clone)]
pub(crate) struct Work {
    run: Arc<RunTask>,
    at: usize,
    task: Arc<Task>,
    tasks: Arc<Tasks>,
    shared: Arc<Shared>,
    /// Where its answers are kept.
    record: Option<Arc<Record>>,
}

impl Work {
    /// Does it on a thread of its own, if `first` lets it.
    fn spawn(self, first: fn(&mut Work) -> bool) {
        let mut work = self.clone();
        let body = move || {
            if !first(&mut work) {
                work.tasks.finish(work.run.task, &work.shared);
                return;
            }
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

    /// Notes on the host that it begins; false if it must not, which was answered.
    fn begin(&mut self) -> bool {
        let kept = &self.shared.kept;
        let Some(key) = self.run.key.filter(|_| kept.works()) else {
            return true;
        };
        match kept.begin(key) {
            Ok(Begin::New(record)) => {
                self.record = Some(Arc::new(record));
                return true;
            }
            Ok(Begin::Known) => kept.relay(key, &self.task, &self.shared.outbox),
            Err(error) => {
                let text = format!(
                    "nothing was done, since the host cannot note that it begins: {}",
                    plain(error)
                );
                if let Some(item) = self.run.items.first() {
                    self.done(item.index, Outcome::failure(text));
                }
                self.end();
            }
        }
        false
    }

    fn run_items(mut self) -> Host {
        let run = self.run.clone();
        let mut host = Host::new(self.shared.clone(), self.task.clone(), &run.environment);
        let keeps_replaced = run.keep_replaced && !run.check;
        if let Some(preview) = &run.preview {
            self.shared.overlay.catch_up(&host, preview);
        }
        host.allowed.clone_from(&run.allowed);
        while let Some(item) = run.items.get(self.at) {
            let outcome = if self.task.is_cancelled() {
                Outcome::failure(CANCELLED)
            } else {
                host.next_item(item.payload.clone(), keeps_replaced);
                crash::guarded(&self, || self.run_item(&item.args, &mut host))
            };
            let failed = outcome.failed.is_some();
            // Where content did not come before anything was changed, the item has not begun; nor will those behind it.
            if failed && self.task.lacks_content() && !host.changed {
                break;
            }
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
        let mut outcome = outcome.unwrap_or_else(|| {
            Outcome::failure(format!("the agent has no module `{}`", self.module()))
        });
        outcome.replaced = host.replaced.take().unwrap_or_default().files();
        outcome
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
        self.spawn(|_| true);
    }

    fn done(&self, index: u32, outcome: Outcome) {
        let mut done = message(self.run.task, index, outcome);
        let mut frame = encode_done(&mut done);
        if let Some(Err(error)) = self.record.as_ref().map(|record| record.append(&frame))
            && let FromAgent::Done { outcome, .. } = &mut done
        {
            let what = "the host cannot keep this result, which would be lost with the connection";
            outcome.warnings.push(format!("{what}: {}", plain(error)));
            frame = encode_done(&mut done);
        }
        self.shared.outbox.forward(&frame, false);
    }

    fn end(&self) {
        let task = self.run.task;
        let end = FromAgent::End { task };
        if let (Some(record), Ok(frame)) = (&self.record, hostler_protocol::encode(0, &end)) {
            // Without it the task counts as one whose agent died.
            let _ = record.append(&frame);
        }
        self.shared.outbox.send(&end);
    }
}
