//! What a resumed run did before it was interrupted, looked up as it goes through its plays again.
//!
//! A host finds its part by the task as it is written and by how often this play has run it there, not by numbers of the
//! run: batches may be cut otherwise now, since hosts that were lost take part again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_events::{Status, TaskId, TaskKind};
use hostler_journal::{Finished, Memory, OwedHandler, Print, RememberedHost};

/// A task as written, in a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Written {
    /// Number of the play in the run.
    pub(crate) play: u32,
    pub(crate) kind: TaskKind,
    pub(crate) print: Print,
}

/// One execution of a task on a host, as the journal knows it.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    pub(crate) task: TaskId,
    pub(crate) on_host: RememberedHost,
}

/// See the module. Empty in a run that begins.
#[derive(Default)]
pub(crate) struct Past {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By host and task, in the order in which they ran.
    executions: HashMap<(String, Written), Vec<Remembered>>,
    counts: HashMap<(String, Written), usize>,
    last_task: u32,
    owed: Vec<OwedHandler>,
}

impl Past {
    /// Of a memory.
    pub(crate) fn new(memory: Memory) -> Self {
        let past = Past::default();
        past.replace(memory);
        past
    }

    /// Begins anew with another memory.
    pub(crate) fn replace(&self, memory: Memory) {
        let mut state = State {
            last_task: memory.last_task,
            owed: memory.owed,
            ..State::default()
        };
        for (execution, task) in memory.tasks {
            let written = Written {
                play: execution.play,
                kind: execution.kind,
                print: execution.print,
            };
            for (host, on_host) in task.hosts {
                let key = (host, written);
                state.executions.entry(key).or_default().push(Remembered {
                    task: task.id,
                    on_host,
                });
            }
        }
        for list in state.executions.values_mut() {
            list.sort_by_key(|it| it.task);
        }
        *self.lock() = state;
    }

    /// Forgets what is known of a host, and takes what this memory has of it.
    pub(crate) fn replace_host(&self, host: &str, memory: Memory) {
        let fresh = Past::new(memory);
        let fresh = fresh
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        state.executions.retain(|(known, _), _| known != host);
        state.counts.retain(|(known, _), _| known != host);
        let mine = fresh
            .executions
            .into_iter()
            .filter(|((known, _), _)| known == host);
        state.executions.extend(mine);
        state.last_task = state.last_task.max(fresh.last_task);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest number that a task has.
    pub(crate) fn last_task(&self) -> u32 {
        self.lock().last_task
    }

    /// Handlers that earlier runs left.
    pub(crate) fn owed(&self) -> Vec<OwedHandler> {
        self.lock().owed.clone()
    }

    /// The host runs the task (again): what it did this time, if it did.
    pub(crate) fn take(&self, host: &str, written: Written) -> Option<Remembered> {
        let mut state = self.lock();
        let key = (host.to_owned(), written);
        let count = state.counts.entry(key.clone()).or_default();
        let nth = *count;
        *count += 1;
        state.executions.get(&key)?.get(nth).cloned()
    }

    /// A task runs once for all of `hosts`, for the `nth` time: how it ended on the one that did it.
    pub(crate) fn once(
        &self,
        hosts: &[String],
        written: Written,
        nth: usize,
    ) -> Option<(String, Remembered)> {
        let state = self.lock();
        hosts.iter().find_map(|host| {
            let list = state.executions.get(&(host.clone(), written))?;
            let found = list.get(nth).filter(|it| it.is_final())?;
            Some((host.clone(), found.clone()))
        })
    }
}

impl Remembered {
    /// Did the task end here so that there is nothing to try again?
    pub(crate) fn is_final(&self) -> bool {
        self.on_host.finished.as_ref().is_some_and(is_final)
    }
}

fn is_final(finished: &Finished) -> bool {
    let result = &finished.result;
    match result.status {
        Status::Ok | Status::Changed | Status::Skipped => true,
        Status::Failed => result.ignored || result.rescued,
        Status::Unreachable => result.ignored,
        Status::Unknown => false,
    }
}
