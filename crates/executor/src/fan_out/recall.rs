//! Which hosts did a task before the run was interrupted, and which do it now.

use hostler_events::TaskId;
use hostler_journal::{self as journal, Execution, Note, RememberedHost};
use hostler_playbook::Task;

use crate::context::RunContext;
use crate::host_task::{Finished, Trail};
use crate::past::{Remembered, Written};
use crate::play::{PlayRun, RunState};

/// A host that does a task.
pub(super) struct Worker {
    pub(super) host: String,
    pub(super) trail: Trail,
}

/// The number of a task: the one that it had before the run was interrupted, or a new one. Hosts that begin it get it.
pub(super) fn number(
    state: &mut RunState,
    workers: &mut [Worker],
    done: &[(String, Remembered)],
) -> TaskId {
    let known = workers.iter().map(|it| it.trail.task).filter(|id| id.0 > 0);
    let known = known.chain(done.iter().map(|(_, it)| it.task)).max();
    let id = known.unwrap_or_else(|| state.next_task());
    for worker in workers.iter_mut().filter(|it| it.trail.task.0 == 0) {
        worker.trail.task = id;
    }
    id
}

impl PlayRun {
    /// Parts the hosts into those that did the task before the run was interrupted, and those that do it now. `once`:
    /// one host does it for all of the batch.
    pub(super) fn recall(
        &self,
        run: &RunContext,
        task: &Task,
        written: Written,
        workers: &[String],
        once: bool,
    ) -> (Vec<(String, Remembered)>, Vec<Worker>) {
        if once {
            let nth = self.count_once(written);
            if let Some(done) = run.past.once(&self.hosts, written, nth) {
                return (vec![done], Vec::new());
            }
        }
        let judges = task.failed_when.is_some() || task.until.is_some() || task.retries.is_some();
        let (mut done, mut rest) = (Vec::new(), Vec::new());
        for host in workers {
            let remembered = run.past.take(host, written);
            match remembered {
                Some(remembered) if remembered.is_final() => done.push((host.clone(), remembered)),
                Some(remembered) => rest.push(Worker {
                    host: host.clone(),
                    trail: Trail::new(remembered.task, remembered.on_host, judges),
                }),
                None => rest.push(Worker {
                    host: host.clone(),
                    trail: Trail::new(TaskId(0), RememberedHost::default(), judges),
                }),
            }
        }
        (done, rest)
    }

    /// Tells the journal that a task began.
    pub(super) fn note_task(
        &self,
        run: &RunContext,
        id: TaskId,
        written: Written,
        name: &str,
        task: &Task,
    ) {
        let execution = Execution {
            play: written.play,
            batch: self.batch,
            kind: written.kind,
            print: written.print,
            occurrence: id.0,
        };
        run.note(Note::Task {
            id,
            execution,
            name: name.to_owned(),
            module: task.module.clone(),
        });
    }
}

impl From<&Finished> for journal::Finished {
    fn from(finished: &Finished) -> Self {
        journal::Finished {
            result: finished.result.clone(),
            registered: finished.registered.clone(),
            notified: finished.notified.clone(),
            facts: finished.facts.clone(),
            facts_host: finished.facts_host.clone(),
            variables: finished.variables.clone(),
        }
    }
}

impl From<journal::Finished> for Finished {
    fn from(finished: journal::Finished) -> Self {
        Finished {
            result: finished.result,
            registered: finished.registered,
            notified: finished.notified,
            notifies_maybe: None,
            undecided: false,
            touched: false,
            serves: false,
            facts: finished.facts,
            facts_host: finished.facts_host,
            variables: finished.variables,
            left: None,
        }
    }
}
