//! What a panic costs: the item of the task that ran on the thread, or, if there was none, the agent.
//!
//! The agent is built without unwinding, which makes it a sixth smaller (docs/design/0004-agent-size.md). So the
//! panic hook, which runs on the thread that panics and before anything is lost, answers for the item, has another
//! thread go on with the items behind it, and never returns: the thread sleeps on, with what it owns. A temporary file that the crashed item was writing is left behind.

use std::cell::RefCell;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::thread;

use hostler_change::Outcome;

use crate::task::Work;

/// Exit status of an agent that crashed as a whole; Rust's own.
const CRASHED: i32 = 101;

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

/// Does something for a task; if it panics, the panic is `work`'s result and this does not return.
pub(crate) fn guarded<T>(work: &Work, body: impl FnOnce() -> T) -> T {
    WORK.set(Some(work.clone()));
    let result = body();
    WORK.take();
    result
}

/// Installs the panic hook.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        if !answer(info) {
            give_up(info);
        }
        loop {
            thread::park();
        }
    }));
}

/// Answers for the item that this thread works on; false if there is none.
fn answer(info: &PanicHookInfo<'_>) -> bool {
    let Some(work) = WORK.take() else {
        return false;
    };
    let what = describe(info);
    let outcome = Outcome::failure(format!("module `{}` crashed: {what}", work.module()));
    work.crashed(outcome);
    true
}

#[expect(
    clippy::exit,
    reason = "nobody can go on with what a thread of the agent itself left undone"
)]
fn give_up(info: &PanicHookInfo<'_>) {
    let what = describe(info);
    let _ = writeln!(std::io::stderr(), "hostler-agent: crashed: {what}");
    std::process::exit(CRASHED);
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let what = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let what = what.unwrap_or("no message");
    match info.location() {
        Some(place) => format!("{what} ({}:{})", place.file(), place.line()),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hostler_module_api::{Applier, Identity, Mode};
    use hostler_protocol::{Frames, FromAgent, Item, RunTask, decode};
    use hostler_value::Value;

    use super::*;
    use crate::blobs::Blobs;
    use crate::host::Shared;
    use crate::outbox::Outbox;
    use crate::task::Tasks;

    #[expect(clippy::unnecessary_wraps, reason = "the type of what runs a module")]
    fn touchy(_: &str, args: &Value, _: Mode, _: &mut dyn Applier) -> Option<Outcome> {
        assert_ne!(args.as_str(), Some("bad"), "that was too much");
        Some(Outcome::default())
    }

    /// The same hook, but the thread ends instead of sleeping: who sleeps holds the hook's lock, which the test runner
    /// wants in the end.
    fn keep_panics_of_tasks() {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !answer(info) {
                others(info);
            }
        }));
    }

    /// What the controller is told of a task with these items, up to its end.
    fn run(items: &[&str], stop_on_failure: bool) -> Vec<(u32, Option<String>)> {
        keep_panics_of_tasks();
        let outbox = Arc::new(Outbox::default());
        let shared = Arc::new(Shared {
            blobs: Blobs::new(outbox.clone()),
            outbox: outbox.clone(),
            identity: Identity::default(),
            overlay: crate::overlay::Overlay::default(),
            kept: crate::kept::Kept::default(),
        });
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pump = thread::spawn({
            let outbox = outbox.clone();
            move || outbox.pump(writer)
        });
        let task = RunTask {
            task: 7,
            module: "touchy".to_owned(),
            items: (0..)
                .zip(items)
                .map(|(index, text)| Item {
                    index,
                    args: Value::from(*text),
                    payload: None,
                })
                .collect(),
            preview: None,
            allowed: None,
            check: false,
            diff: false,
            environment: Vec::new(),
            stop_on_failure,
            key: None,
            keep_replaced: false,
            watch: false,
        };
        let tasks = Arc::new(Tasks::new(touchy));
        tasks.start(task, &shared);
        let told = until_end(&mut reader);
        // It is out of the list of those that run, or this would be the end of the test's patience.
        tasks.end_all(&shared, std::time::Duration::from_secs(60));
        outbox.close();
        pump.join().unwrap();
        told
    }

    fn until_end(reader: &mut impl std::io::Read) -> Vec<(u32, Option<String>)> {
        let (mut frames, mut told, mut buffer) = (Frames::new(), Vec::new(), [0; 4096]);
        loop {
            let count = reader.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "no end after {told:?}");
            frames.push(&buffer[..count]);
            while let Some((_, body)) = frames.next_frame().unwrap() {
                match decode(&body).unwrap() {
                    FromAgent::Done { index, outcome, .. } => {
                        told.push((index, outcome.failed.map(|it| it.msg)));
                    }
                    FromAgent::End { task: 7 } => return told,
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_crash_costs_one_item() {
        let told = run(&["good", "bad", "good", "bad"], false);
        let crashed: Vec<bool> = told.iter().map(|(_, msg)| msg.is_some()).collect();
        assert_eq!(crashed, [false, true, false, true]);
        assert!(told.iter().map(|(index, _)| *index).eq(0..4));
        let msg = told[1].1.as_deref().unwrap();
        assert!(msg.starts_with("module `touchy` crashed:"), "{msg}");
        assert!(
            msg.contains("too much") && msg.contains("crash.rs:"),
            "{msg}"
        );
    }

    #[test]
    fn a_crash_ends_a_task_that_stops_at_failures() {
        assert_eq!(run(&["good", "bad", "good"], true).len(), 2);
    }
}
