//! What came of a task on a host, taken into the run's state, the journal and the reporters' view.

use hostler_diag::{Diagnostic, Span};
use hostler_events::{RunEvent, Status, TaskId, TaskResult};
use hostler_journal::{self as journal, Note};
use hostler_playbook::Task;
use hostler_value::{Map, Value};

use crate::context::RunContext;
use crate::failure::Left;
use crate::host_task::Finished;
use crate::parts::Seen;
use crate::play::{Notice, PlayRun, RunState};

/// A task on one host, on its way to the run's state.
pub(super) struct Part<'a> {
    pub(super) task: &'a Task,
    pub(super) id: TaskId,
    /// A failure is a rescue's business.
    pub(super) rescuing: bool,
    pub(super) handler: bool,
    /// Its number in the journal, if it was done just now.
    pub(super) journal: Option<TaskId>,
    /// Reporters know it.
    pub(super) told: bool,
}

/// What hosts remember of a task.
struct Learned {
    registered: Value,
    facts: Option<Map>,
    facts_host: String,
    variables: Option<Map>,
}

impl PlayRun {
    /// Remembers what a host's task brought, and tells.
    pub(super) fn take(
        &self,
        run: &RunContext,
        state: &mut RunState,
        part: &Part<'_>,
        (host, applies_to): (&str, &[String]),
        finished: Finished,
    ) {
        let Part { task, id, .. } = *part;
        if let Some(left) = finished.left.filter(|it| *it != Left::Cancelled) {
            self.leave(run, state, host, left);
            self.still_owed(host, part);
            return;
        }
        foresee(run, id, host, &finished);
        let noted = part.journal.filter(|_| finished.left.is_none());
        let noted = noted.map(|_| journal::Finished::from(&finished));
        let Finished {
            mut result,
            registered,
            notified,
            notifies_maybe,
            undecided: _,
            touched: _,
            serves: _,
            facts,
            facts_host,
            variables,
            left: _,
        } = finished;
        let lost = result.status == Status::Unknown && !run.settings.check;
        let fatal = lost
            || matches!(result.status, Status::Failed | Status::Unreachable) && !result.ignored;
        result.rescued = fatal && part.rescuing && result.status == Status::Failed;
        if let (Some(journal), Some(mut noted)) = (part.journal, noted) {
            noted.result.rescued = result.rescued;
            run.note(Note::Finished {
                task: journal,
                host: host.to_owned(),
                finished: Box::new(noted),
            });
        }
        state.resumable |= fatal && !result.rescued && !run.settings.check;
        let seen = registered.clone();
        let learned = Learned {
            registered,
            facts,
            facts_host,
            variables,
        };
        self.learn(run, task, &result, fatal, applies_to, learned);
        state.recap.count(host, &result);
        state.see(|| Seen {
            host: host.to_owned(),
            result: result.clone(),
            registered: seen,
        });
        if part.handler && !fatal {
            self.pay(run, host, task);
        }
        if fatal {
            self.still_owed(host, part);
        }
        if !part.told {
            run.emit(RunEvent::TaskFinished {
                task: id,
                host: host.to_owned(),
                result: Box::new(result),
            });
        }
        for name in notified {
            if !self.notify(run, host, &name, notifies_maybe.as_ref(), part.told) {
                self.no_such_handler(run, state, host, &name, task.span);
            }
        }
    }

    fn no_such_handler(
        &self,
        run: &RunContext,
        state: &mut RunState,
        host: &str,
        name: &str,
        span: Span,
    ) {
        let message = format!("the handler `{name}` that was notified does not exist");
        let diagnostic = Diagnostic::error("unknown-handler", message).at(span);
        run.warn(diagnostic, Some(host));
        if let Some(flags) = self.flags().get_mut(host) {
            flags.failed = true;
        }
        state.recap.hosts.entry(host.to_owned()).or_default().failed += 1;
    }

    /// Variables, facts and flags of the hosts that a result is for.
    fn learn(
        &self,
        run: &RunContext,
        task: &Task,
        result: &TaskResult,
        fatal: bool,
        applies_to: &[String],
        learned: Learned,
    ) {
        let Learned {
            registered,
            facts,
            facts_host,
            variables,
        } = learned;
        for host in applies_to {
            if let Some(name) = &task.register {
                run.vars.register(host, name, registered.clone());
            }
            for (name, value) in variables.iter().flat_map(|map| map.iter()) {
                run.vars.set_fact(host, &name.to_text(), value.clone());
            }
            if result.rescued {
                let name = task
                    .name
                    .as_ref()
                    .map(|_| self.task_name(run, task, host))
                    .unwrap_or_default();
                let failed: Map = [
                    ("name", Value::from(name)),
                    ("action", Value::str(&task.module)),
                ]
                .into_iter()
                .collect();
                run.vars
                    .register(host, "ansible_failed_task", Value::from(failed));
                run.vars
                    .register(host, "ansible_failed_result", registered.clone());
            }
            let mut flags = self.flags();
            if let Some(flags) = flags.get_mut(host).filter(|_| fatal) {
                match result.status {
                    Status::Unreachable | Status::Unknown => flags.unreachable = true,
                    _ => flags.failed = true,
                }
            }
        }
        if let Some(facts) = facts {
            let hosts = if applies_to.len() > 1 {
                applies_to.to_vec()
            } else {
                vec![facts_host]
            };
            for host in hosts {
                run.vars.set_facts(&host, &facts);
            }
        }
    }

    /// A handler did not come to a good end: it stays notified.
    fn still_owed(&self, host: &str, part: &Part<'_>) {
        let mut handlers = self.play.handlers.iter();
        let index =
            handlers.position(|it| part.handler && std::ptr::eq(&raw const **it, part.task));
        if let (Some(index), Some(flags)) = (index, self.flags().get_mut(host)) {
            flags.notified.insert(index, Notice::Certain);
        }
    }

    /// A task has no result on a host: it takes no further part in this pass.
    fn leave(&self, run: &RunContext, state: &mut RunState, host: &str, left: Left) {
        if left == Left::Behind {
            state.behind.insert(host.to_owned());
        } else {
            state.resumable |= !run.settings.check;
        }
        // A host of which nothing was heard in this run stands in the recap all the same.
        state.recap.hosts.entry(host.to_owned()).or_default();
        if let Some(flags) = self.flags().get_mut(host) {
            flags.behind = true;
        }
    }
}

/// A preview remembers what the task may have left on its host.
fn foresee(run: &RunContext, id: TaskId, host: &str, finished: &Finished) {
    if !run.settings.check {
        return;
    }
    let delegate = finished.result.delegated_to.as_deref();
    for place in [Some(host), delegate].into_iter().flatten() {
        run.foresight
            .ended(place, id, finished.touched, finished.undecided);
        if finished.touched && finished.serves {
            run.foresight.serves(place, id);
        }
    }
}
