//! From the engine's events to the reporters: stamped, without secrets, from one thread.

use std::collections::HashMap;
use std::thread::JoinHandle;

use hostler_diag::SourceMap;
use hostler_events::{Reporters, RunEvent, TaskId};
use hostler_preview::Mask;
use hostler_value::Secret;
use tokio::sync::mpsc;

/// Longest line (bytes) of streamed output that is held back until it is whole.
const LINE_MAX: usize = 16 << 10;

/// Hands events to reporters until every sender is gone.
pub(crate) fn start(
    reporters: Reporters,
    sources: &SourceMap,
    mask: &Mask,
) -> (mpsc::UnboundedSender<RunEvent>, JoinHandle<()>) {
    let (events, receiver) = mpsc::unbounded_channel();
    let mut hidden = HiddenTexts::new(sources, mask);
    let thread = std::thread::spawn(move || report(receiver, reporters, &mut hidden));
    (events, thread)
}

fn report(
    mut events: mpsc::UnboundedReceiver<RunEvent>,
    mut reporters: Reporters,
    hidden: &mut HiddenTexts,
) {
    let mut output = Output::default();
    while let Some(mut event) = events.blocking_recv() {
        // A file that was read on the way may have brought new ones.
        hidden.learn();
        let whole = match &mut event {
            RunEvent::TaskOutput {
                task,
                host,
                is_stderr,
                text,
            } => output.whole_lines(*task, host, *is_stderr, text),
            RunEvent::TaskFinished { task, host, .. } => {
                for mut rest in output.end(*task, host) {
                    hidden.mask.event(&mut rest);
                    reporters.emit(rest);
                }
                true
            }
            _ => true,
        };
        if whole {
            hidden.mask.event(&mut event);
            reporters.emit(event);
        }
    }
}

/// A mask that keeps learning what the user's files mark `!secret`.
pub(crate) struct HiddenTexts {
    sources: SourceMap,
    mask: Mask,
    known: usize,
}

impl HiddenTexts {
    pub(crate) fn new(sources: &SourceMap, mask: &Mask) -> Self {
        let mut hidden = HiddenTexts {
            sources: sources.clone(),
            mask: mask.clone(),
            known: 0,
        };
        hidden.learn();
        hidden
    }

    /// Takes out of a text what is secret by now.
    pub(crate) fn text(&mut self, text: &mut String) {
        self.learn();
        self.mask.text(text);
    }

    fn learn(&mut self) {
        let hidden = self.sources.hidden_since(self.known);
        self.known += hidden.len();
        self.mask
            .learn(hidden.iter().map(|it| Secret::new(&*it.text)));
    }
}

/// Streamed output comes in pieces, and a secret must not get through between two of them: whole lines are told.
#[derive(Default)]
struct Output {
    begun: HashMap<(TaskId, String, bool), String>,
}

impl Output {
    /// Makes `text` what was held back and this piece, up to the last line's end. False if there is no whole line yet.
    fn whole_lines(
        &mut self,
        task: TaskId,
        host: &str,
        is_stderr: bool,
        text: &mut String,
    ) -> bool {
        let key = (task, host.to_owned(), is_stderr);
        let mut all = self.begun.remove(&key).unwrap_or_default();
        all.push_str(text);
        let cut = match all.rfind('\n') {
            Some(at) => at + 1,
            None if all.len() > LINE_MAX => all.len(),
            None => 0,
        };
        let rest = all.split_off(cut);
        if !rest.is_empty() {
            self.begun.insert(key, rest);
        }
        *text = all;
        !text.is_empty()
    }

    /// What is left of a task that ended on a host.
    fn end(&mut self, task: TaskId, host: &str) -> Vec<RunEvent> {
        let mut rest = Vec::new();
        for is_stderr in [false, true] {
            let key = (task, host.to_owned(), is_stderr);
            if let Some(text) = self.begun.remove(&key) {
                rest.push(RunEvent::TaskOutput {
                    task,
                    host: host.to_owned(),
                    is_stderr,
                    text,
                });
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use hostler_events::{Reporter, Stamped};

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<String>>);

    impl Reporter for Seen {
        fn event(&mut self, event: &Stamped) {
            if let RunEvent::TaskOutput { text, .. } = &event.event {
                self.0.lock().unwrap().push_str(text);
            }
        }
    }

    #[test]
    fn a_secret_in_two_pieces_is_masked() {
        let seen = Seen::default();
        let reporters = Reporters::new(vec![Box::new(seen.clone())]);
        let mask = Mask::new([Secret::new("hunter2hunter2")]);
        let (events, thread) = start(reporters, &SourceMap::new(), &mask);
        for text in [
            "a password: hunter2",
            "hunter2 and\nmore hunter2",
            "hunter2",
        ] {
            let event = RunEvent::TaskOutput {
                task: TaskId(1),
                host: "web1".into(),
                is_stderr: false,
                text: text.into(),
            };
            events.send(event).unwrap();
        }
        let result = serde_json::json!({"event": "task_finished", "task": 1, "host": "web1", "result": {
            "status": "ok", "ignored": false, "rescued": false, "value": null, "message": null, "hint": null,
            "location": null, "deltas": [], "warnings": [], "delegated_to": null, "unreachable": null,
            "censored": false, "attempts": 1, "items": null, "incomplete": false, "duration_us": 1}});
        events
            .send(serde_json::from_value(result).unwrap())
            .unwrap();
        drop(events);
        thread.join().unwrap();
        let seen = seen.0.lock().unwrap();
        assert_eq!(*seen, "a password: ******** and\nmore ********");
    }
}
