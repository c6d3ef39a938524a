//! Keys while a run goes on: give a host up, see output of running tasks.
//!
//! [`dialog`] decides, as a plain state machine; [`tty`] reads single keys and leaves the terminal as it was, whatever
//! happens; this file is the thread between them.

mod dialog;
pub(crate) mod tty;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hostler_app::Interrupts;
use hostler_events::{Reporter, RunEvent, Stamped};
use hostler_reporters::Control;

use dialog::{Dialog, Effect};

/// How long a key is waited for before the thread looks whether it is still wanted.
const TICK: Duration = Duration::from_millis(100);

/// Reads keys as long as it lives; a reporter, since a task that asks the user something needs the keyboard, and the end
/// of the run ends it.
pub(crate) struct Keys {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Somebody else reads the keyboard.
    paused: AtomicBool,
    over: AtomicBool,
}

impl Keys {
    /// Starts to read, if standard input is a terminal and ours.
    pub(crate) fn start(control: Control, interrupts: Interrupts) -> Option<Self> {
        if !std::io::stdin().is_terminal() || !tty::is_foreground() {
            return None;
        }
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || read(&shared, &control, &interrupts)
        });
        Some(Keys {
            shared,
            thread: Some(thread),
        })
    }
}

impl Reporter for Keys {
    fn event(&mut self, event: &Stamped) {
        match &event.event {
            RunEvent::TaskStarted(info) if info.module == "pause" => {
                self.shared.paused.store(true, Ordering::Relaxed);
                tty::restore();
            }
            RunEvent::TaskStarted(_) | RunEvent::TaskEnded { .. } => {
                self.shared.paused.store(false, Ordering::Relaxed);
            }
            RunEvent::RunFinished { .. } => self.end(),
            _ => {}
        }
    }
}

impl Keys {
    fn end(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked reads no more keys; that is all.
            let _ended = thread.join();
        }
        tty::restore();
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.end();
    }
}

fn read(shared: &Shared, control: &Control, interrupts: &Interrupts) {
    let mut dialog = Dialog::default();
    while !shared.over.load(Ordering::Relaxed) {
        if shared.paused.load(Ordering::Relaxed) {
            std::thread::park_timeout(TICK);
            continue;
        }
        let key = match tty::key(TICK) {
            Ok(Some(key)) => key,
            Ok(None) => continue,
            // The terminal is gone.
            Err(_) => break,
        };
        let effect = dialog.key(key, || control.longest(dialog::CHOICES));
        match effect {
            Effect::None => {}
            Effect::Drop(host) => interrupts.drop_host(&host, "by the user"),
            Effect::ToggleOutput => {
                let on = !interrupts.watches_output();
                interrupts.watch_output(on);
                dialog.said_output(on);
            }
        }
        control.notice(dialog.lines());
    }
    tty::restore();
}
