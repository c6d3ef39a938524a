//! Signals: the first Ctrl-C lets running tasks finish, the second cancels them, the third leaves at once.

use hostler_app::{ExitCode, Interrupts, Level};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::problem::Problem;

/// Listens for signals from now on. Must be called in a runtime.
pub(crate) fn watch(interrupts: &Interrupts) -> Result<(), Problem> {
    let listen = |kind| {
        signal(kind).map_err(|error| Problem::machine(format!("cannot watch for signals: {error}")))
    };
    let ctrl_c = listen(SignalKind::interrupt())?;
    let terminate = listen(SignalKind::terminate())?;
    let hang_up = listen(SignalKind::hangup())?;
    tokio::spawn(raise(interrupts.clone(), ctrl_c, [terminate, hang_up]));
    Ok(())
}

async fn raise(interrupts: Interrupts, mut ctrl_c: Signal, gentle: [Signal; 2]) {
    let [mut terminate, mut hang_up] = gentle;
    loop {
        let pressed = tokio::select! {
            _ = ctrl_c.recv() => true,
            _ = terminate.recv() => false,
            _ = hang_up.recv() => false,
        };
        match (pressed, interrupts.level()) {
            (true, Level::Cancel) => leave(),
            // A request to terminate is never more than the first Ctrl-C: it often comes twice.
            (false, Level::Drain | Level::Cancel) => {}
            _ => {
                interrupts.raise();
            }
        }
    }
}

#[expect(
    clippy::exit,
    reason = "the user asked three times; agents end with their connections"
)]
fn leave() -> ! {
    std::process::exit(ExitCode::Interrupted as i32)
}
