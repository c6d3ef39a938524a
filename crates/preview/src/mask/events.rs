//! Every text of every event. The match names every field: whoever adds one decides here whether it may hold a secret.

use hostler_diag::Diagnostic;
use hostler_events::{ItemResult, RunEvent, TaskInfo, TaskResult};
use hostler_value::{Cause, Unknown};

use super::Mask;

impl Mask {
    /// Takes the secrets out of an event.
    #[expect(
        clippy::too_many_lines,
        reason = "one list of all events and their fields"
    )]
    pub fn event(&self, event: &mut RunEvent) {
        if self.is_empty() {
            return;
        }
        match event {
            // Names of hosts and files are what a reader finds things by; they come from the user's inventory.
            RunEvent::RunStarted {
                run: _,
                version: _,
                playbooks: _,
                check: _,
                diff: _,
                hosts: _,
                by: _,
                resumed: _,
            }
            | RunEvent::HostChanged { host: _, state: _ }
            | RunEvent::HostStarted { task: _, host: _ }
            | RunEvent::TaskRetried {
                task: _,
                host: _,
                attempt: _,
                attempts: _,
            }
            | RunEvent::TaskEnded { task: _ }
            | RunEvent::RunFinished {
                recap: _,
                exit_code: _,
                elapsed_us: _,
                bytes: _,
                round_trips: _,
                resumable: _,
            } => {}
            RunEvent::Warned {
                diagnostic,
                location: _,
                host: _,
            } => self.diagnostic(diagnostic),
            RunEvent::PlaySkipped { name, reason } => {
                self.text(name);
                self.text(reason);
            }
            RunEvent::ItemFinished {
                task: _,
                host: _,
                item,
            } => self.item(item),
            RunEvent::TaskFinished {
                task: _,
                host: _,
                result,
            } => self.result(result),
            RunEvent::PlayStarted {
                name: text,
                number: _,
                hosts: _,
                batch: _,
            }
            | RunEvent::TaskStarted(TaskInfo {
                id: _,
                name: text,
                module: _,
                kind: _,
                location: _,
                hosts: _,
                position: _,
            })
            | RunEvent::HandlerNotified {
                host: _,
                handler: text,
                certain: _,
            }
            | RunEvent::HandlerOwed {
                host: _,
                handler: text,
                run: _,
                runs_now: _,
            }
            | RunEvent::TaskProgress {
                task: _,
                host: _,
                doing: text,
            }
            | RunEvent::TaskOutput {
                task: _,
                host: _,
                is_stderr: _,
                text,
            }
            | RunEvent::HostDropped {
                host: _,
                reason: text,
            }
            | RunEvent::Stopping { reason: text } => self.text(text),
        }
    }

    /// Takes the secrets out of the words of a problem.
    pub fn diagnostic(&self, diagnostic: &mut Diagnostic) {
        self.text(&mut diagnostic.message);
        diagnostic.hints.iter_mut().for_each(|it| self.text(it));
        let labels = diagnostic.labels.iter_mut();
        labels.for_each(|it| self.text(&mut it.message));
    }

    /// Takes them out of what is shown of a result.
    pub fn result(&self, result: &mut TaskResult) {
        if self.is_empty() {
            return;
        }
        self.value(&mut result.value);
        self.deltas(&mut result.deltas);
        self.causes(&mut result.unknown);
        if let Some(unreachable) = &mut result.unreachable {
            self.text(&mut unreachable.detail);
        }
        let texts = result.message.iter_mut().chain(&mut result.hint);
        texts
            .chain(&mut result.warnings)
            .for_each(|it| self.text(it));
    }

    /// Takes them out of what is shown of an item.
    pub fn item(&self, item: &mut ItemResult) {
        if self.is_empty() {
            return;
        }
        self.value(&mut item.value);
        self.deltas(&mut item.deltas);
        self.causes(&mut item.unknown);
        self.text(&mut item.label);
        item.message.iter_mut().for_each(|it| self.text(it));
    }

    fn causes(&self, causes: &mut [Cause]) {
        for cause in causes {
            let mut name = cause.name.to_string();
            self.text(&mut name);
            if name != *cause.name {
                cause.name = name.into();
            }
        }
    }

    /// Takes them out of what is known of an unknown value.
    pub(super) fn unknown(&self, unknown: &mut Unknown) {
        self.causes(&mut unknown.until);
        if let Some(sketch) = &mut unknown.sketch {
            let mut text = sketch.to_string();
            self.text(&mut text);
            *sketch = text.into();
        }
    }
}
