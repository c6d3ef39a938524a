//! Signals: the first Ctrl-C lets running tasks finish, the second cancels them, the third leaves at once.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use hostler_app::{Audience, ExitCode, Interrupts, Level};
use hostler_diag::SourceMap;
use hostler_events::{Reporter, RunEvent, Stamped};
use hostler_reporters::sanitize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::keys::tty;
use crate::output::Console;
use crate::problem::Problem;

/// The run that goes on, for those who leave it: a reporter that remembers its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Underway(Arc<Mutex<Option<String>>>);

impl Reporter for Underway {
    fn event(&mut self, event: &Stamped) {
        let mut run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.event {
            RunEvent::RunStarted {
                run: id,
                check: false,
                ..
            } => *run = Some(id.0.clone()),
            RunEvent::RunFinished { .. } => *run = None,
            _ => {}
        }
    }
}

/// Whoever watches a run on this console: signals are listened for from now on.
pub(crate) fn audience(
    console: &Console,
    sources: &SourceMap,
    interrupts: &Interrupts,
) -> Result<Audience, Problem> {
    let underway = Underway::default();
    watch(interrupts, underway.clone())?;
    let mut reporters = console.reporters(sources, interrupts);
    reporters.push(Box::new(underway));
    Ok(Audience {
        reporters,
        interrupts: interrupts.clone(),
        tell: console.teller(),
    })
}

/// Listens for signals from now on. Must be called in a runtime.
pub(crate) fn watch(interrupts: &Interrupts, underway: Underway) -> Result<(), Problem> {
    let listen = |kind| {
        signal(kind).map_err(|error| Problem::machine(format!("cannot watch for signals: {error}")))
    };
    // `nohup` has it ignored, and that is meant to last. Looked at before a handler is there.
    let hang_up = if ignores_hang_up() {
        None
    } else {
        Some(listen(SignalKind::hangup())?)
    };
    let ctrl_c = listen(SignalKind::interrupt())?;
    let terminate = listen(SignalKind::terminate())?;
    tokio::spawn(raise(
        interrupts.clone(),
        underway,
        ctrl_c,
        terminate,
        hang_up,
    ));
    Ok(())
}

/// Was SIGHUP ignored when the program started? proc(5): `SigIgn` is a mask in hexadecimal, signal 1 its lowest bit.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

async fn raise(
    interrupts: Interrupts,
    underway: Underway,
    mut ctrl_c: Signal,
    mut terminate: Signal,
    mut hang_up: Option<Signal>,
) {
    loop {
        let hung_up = async {
            match &mut hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        let pressed = tokio::select! {
            _ = ctrl_c.recv() => true,
            _ = terminate.recv() => false,
            _ = hung_up => false,
        };
        match (pressed, interrupts.level()) {
            (true, Level::Cancel) => leave(&underway),
            // A request to terminate is never more than the first Ctrl-C: it often comes twice. A closed terminal is one,
            // too; what is written to it from then on is lost, which no reporter minds.
            (false, Level::Drain | Level::Cancel) => {}
            _ => {
                interrupts.raise();
            }
        }
    }
}

#[expect(
    clippy::exit,
    reason = "the user asked three times; agents finish what they do by themselves"
)]
fn leave(underway: &Underway) -> ! {
    tty::restore();
    let run = underway.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(run) = &*run {
        let run = sanitize::name(run);
        let text = format!(
            "\nLeft at once: what runs on hosts goes on there. The run keeps its locks.\n\
             resume with: hostler resume {run}\ngive it up with: hostler runs abandon {run}\n"
        );
        // Without standard error there is nobody to tell.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    std::process::exit(ExitCode::Interrupted as i32)
}
