//! Handlers: who notified whom, and when they run.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_events::{RunEvent, TaskId, TaskKind};
use hostler_journal::{Note, OwedHandler};
use hostler_playbook::Task;
use hostler_value::Unknown;
use hostler_yaml::Node;

use crate::context::RunContext;
use crate::host_task::{HostTask, When};
use crate::play::{Notice, PlayRun, RunState};

/// Notes a notification. False if nothing is new; what is certain stays so.
fn add(notified: &mut BTreeMap<usize, Notice>, index: usize, maybe: Option<&Arc<Unknown>>) -> bool {
    match (notified.get_mut(&index), maybe) {
        (Some(Notice::Certain), _) => false,
        (Some(Notice::Maybe(known)), Some(more)) => {
            *known = Arc::new(Unknown::join([&**known, &**more]));
            false
        }
        (_, None) => {
            notified.insert(index, Notice::Certain);
            true
        }
        (None, Some(unknown)) => {
            notified.insert(index, Notice::Maybe(unknown.clone()));
            true
        }
    }
}

impl PlayRun {
    /// Notes that a host notified a name or topic. False if no handler answers to it.
    /// `maybe`: why it may not happen, in a preview.
    pub(crate) fn notify(
        &self,
        run: &RunContext,
        host: &str,
        name: &str,
        maybe: Option<&Arc<Unknown>>,
        told: bool,
    ) -> bool {
        let mut found: Vec<usize> = Vec::new();
        // Of several handlers with one name the last counts; all that listen to a topic count.
        let by_name = self
            .play
            .handlers
            .iter()
            .rposition(|it| self.handler_name(run, it, host) == name);
        found.extend(by_name);
        let listening = self.play.handlers.iter().enumerate();
        found.extend(
            listening
                .filter(|(_, it)| it.listen.iter().any(|topic| topic == name))
                .map(|(at, _)| at),
        );
        for index in &found {
            let is_new = self
                .flags()
                .get_mut(host)
                .is_some_and(|it| add(&mut it.notified, *index, maybe));
            if is_new
                && maybe.is_none()
                && let Some(owed) = self.owed(run, &self.play.handlers[*index], host)
            {
                run.note(Note::Owed(owed));
            }
            if is_new && !told {
                let handler = self.handler_name(run, &self.play.handlers[*index], host);
                run.emit(RunEvent::HandlerNotified {
                    host: host.to_owned(),
                    handler,
                    certain: maybe.is_none(),
                });
            }
        }
        !found.is_empty()
    }

    /// A notified handler as the journal knows it; `None` if the run is not written down.
    fn owed(&self, run: &RunContext, handler: &Task, host: &str) -> Option<OwedHandler> {
        let recording = run.recording.as_ref().filter(|_| !run.settings.check)?;
        let name = self.handler_name(run, handler, host);
        let topic = handler.listen.first().cloned().unwrap_or_default();
        Some(OwedHandler {
            host: host.to_owned(),
            playbook: self.playbook.clone(),
            play: self.name.clone(),
            handler: if name.is_empty() { topic } else { name },
            run: recording.run.clone(),
        })
    }

    /// The handler has run on the host.
    pub(crate) fn pay(&self, run: &RunContext, host: &str, handler: &Task) {
        if let Some(owed) = self.owed(run, handler, host) {
            run.note(Note::Paid(owed));
        }
    }

    /// Handlers that earlier runs of this play notified and did not run are notified from the start.
    pub(crate) fn remember_owed(&self, run: &RunContext) {
        for owed in run.past.owed() {
            let here = owed.playbook == self.playbook
                && owed.play == self.name
                && self.hosts.contains(&owed.host);
            if !here {
                continue;
            }
            let handlers = self.play.handlers.iter();
            let index = handlers.enumerate().find_map(|(index, handler)| {
                let known = self.owed(run, handler, &owed.host)?;
                (known.handler == owed.handler).then_some(index)
            });
            let Some(index) = index else {
                let message = format!(
                    "the handler `{}` was notified by run {} and did not run there; the play does not have it any more",
                    owed.handler, owed.run.0
                );
                let diagnostic = hostler_diag::Diagnostic::warning("owed-handler", message);
                run.warn(diagnostic, Some(&owed.host));
                run.note(Note::Paid(owed));
                continue;
            };
            if let Some(flags) = self.flags().get_mut(&owed.host) {
                add(&mut flags.notified, index, None);
            }
            run.emit(RunEvent::HandlerOwed {
                host: owed.host,
                handler: owed.handler,
                run: owed.run,
                runs_now: true,
            });
        }
    }

    /// Tells which notified handlers did not run, at the end of the batch.
    pub(crate) fn tell_owed(&self, run: &RunContext) {
        let flags: Vec<(String, Vec<usize>)> = self
            .flags()
            .iter()
            .map(|(host, it)| (host.clone(), it.notified.keys().copied().collect()))
            .collect();
        for (host, indexes) in flags {
            for index in indexes {
                let handler = &self.play.handlers[index];
                if let Some(owed) = self.owed(run, handler, &host) {
                    run.emit(RunEvent::HandlerOwed {
                        host: owed.host,
                        handler: owed.handler,
                        run: owed.run,
                        runs_now: false,
                    });
                }
            }
        }
    }

    fn handler_name(&self, run: &RunContext, handler: &Task, host: &str) -> String {
        match &handler.name {
            None => String::new(),
            Some(name) if !name.is_dynamic() => name.as_str().unwrap_or_default().to_owned(),
            Some(_) => self.task_name(run, handler, host),
        }
    }

    /// Runs notified handlers in the order of their definition, again while they notify each other.
    pub(crate) async fn flush_handlers(
        self: &Arc<Self>,
        run: &Arc<RunContext>,
        state: &mut RunState,
    ) {
        // With `force_handlers` a failed host still gets what it changed into effect.
        let forced = if self.forces_handlers(run) {
            self.set_failed(&self.hosts, false)
        } else {
            Vec::new()
        };
        let handlers = self.play.handlers.clone();
        while self.any_notified() && self.stopped().is_none() {
            for (index, handler) in handlers.iter().enumerate() {
                let (hosts, maybe) = self.take_notified(index);
                if !hosts.is_empty() && run.settings.selects(handler) {
                    let kind = TaskKind::Handler;
                    self.run_task_perhaps(run, state, handler, kind, &hosts, false, &maybe)
                        .await;
                }
            }
        }
        self.set_failed(&forced, true);
    }

    fn any_notified(&self) -> bool {
        let live = self.live(&self.hosts);
        let flags = self.flags();
        live.iter()
            .any(|host| flags.get(host).is_some_and(|it| !it.notified.is_empty()))
    }

    /// Hosts that notified a handler, and those of them that only perhaps did; forgets it. Hosts that take no part keep
    /// it.
    fn take_notified(&self, index: usize) -> (Vec<String>, BTreeMap<String, Arc<Unknown>>) {
        let live = self.live(&self.hosts);
        let mut flags = self.flags();
        let mut hosts = Vec::new();
        let mut maybe = BTreeMap::new();
        for host in live {
            match flags
                .get_mut(&host)
                .and_then(|it| it.notified.remove(&index))
            {
                None => continue,
                Some(Notice::Certain) => {}
                Some(Notice::Maybe(unknown)) => {
                    maybe.insert(host.clone(), unknown);
                }
            }
            hosts.push(host);
        }
        (hosts, maybe)
    }

    fn forces_handlers(&self, run: &RunContext) -> bool {
        let literal = |node: &Node| node.to_literal().to_bool().unwrap_or(false);
        self.play
            .force_handlers
            .as_ref()
            .map_or(run.settings.force_handlers, literal)
    }

    /// Does `when` of a `meta` task hold for a host? What cannot be evaluated does not, and is told.
    pub(crate) fn meta_applies(&self, run: &RunContext, task: &Task, host: &str) -> bool {
        let host_task = HostTask {
            run,
            play: self,
            task,
            id: TaskId(0),
            host,
            maybe: None,
            keep: true,
            turn: None,
            trail: None,
        };
        let scope = self.scope(run, host, &task.context);
        match host_task.when(&scope) {
            Ok(When::Holds) => true,
            Ok(When::Unmet(_)) => false,
            Ok(When::Unknown(unknown)) => {
                let message = format!(
                    "whether this is done is {}; the preview goes on without it",
                    unknown.words()
                );
                let warning = hostler_diag::Diagnostic::warning("unknown-meta", message);
                run.warn(warning.at(task.span), Some(host));
                false
            }
            Err(failure) => {
                if let crate::failure::Failure::Failed(failed) = failure {
                    let diagnostic = hostler_diag::Diagnostic::error("bad-condition", failed.msg);
                    run.warn(diagnostic.at(failed.span.unwrap_or(task.span)), Some(host));
                }
                if let Some(flags) = self.flags().get_mut(host) {
                    flags.failed = true;
                }
                false
            }
        }
    }

    /// `meta: reset_connection`.
    pub(crate) async fn reset_connection(&self, run: &RunContext, task: &Task, host: &str) {
        let host_task = HostTask {
            run,
            play: self,
            task,
            id: TaskId(0),
            host,
            maybe: None,
            keep: true,
            turn: None,
            trail: None,
        };
        let scope = self.scope(run, host, &task.context);
        if let Ok(keywords) = host_task.keywords(&scope) {
            let link = run.fleet.link(&keywords.route);
            run.fleet.reset(&link).await;
        }
    }
}
