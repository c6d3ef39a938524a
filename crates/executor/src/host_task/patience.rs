//! How long a host that was lost is tried again, and what comes of it if it does not come back.

use std::time::{Duration, Instant};

use hostler_events::{HostState, RunEvent};
use hostler_transport::{Reason, Unreachable};

use super::HostTask;
use crate::failure::{Failure, Left};
use crate::interrupts::Level;

/// Pause between two attempts to connect: at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(300);
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// So long a lost host is waited for by the others; then they go on, and it catches up later.
const OTHERS_WAIT: Duration = Duration::from_secs(10);

/// Attempts to reach one host again.
pub(super) struct Patience {
    began: Instant,
    pause: Duration,
}

/// Why there is no further attempt.
pub(super) enum Exhausted {
    /// The time is up, or waiting changes nothing.
    Over,
    /// For a reason of the run.
    Ended(Failure),
}

impl Patience {
    pub(super) fn new() -> Self {
        Patience {
            began: Instant::now(),
            pause: PAUSE_MIN,
        }
    }

    /// Waits until the next attempt, if there is to be one.
    pub(super) async fn wait(
        &mut self,
        task: &HostTask<'_>,
        lost: &Unreachable,
    ) -> Result<(), Exhausted> {
        let run = task.run;
        let limit = run.settings.limits.reconnect;
        if !is_passing(lost.reason) {
            return Err(Exhausted::Over);
        }
        let spent = self.began.elapsed() + self.pause;
        if spent > limit {
            return Err(Exhausted::Over);
        }
        if run.may_fall_behind() && spent > OTHERS_WAIT {
            return Err(Exhausted::Ended(Failure::Left(Left::Behind)));
        }
        run.emit(RunEvent::HostChanged {
            host: task.host.to_owned(),
            state: HostState::Reconnecting,
        });
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            reason = run.interrupts.dropping(task.host) => {
                let msg = format!("the host was lost, and given up: {reason}");
                return Err(Exhausted::Ended(Failure::new(msg)));
            }
            () = run.interrupts.reached(Level::Cancel) => {
                let msg = "the host was lost, and the run cancelled before it could be reached again";
                return Err(Exhausted::Ended(Failure::new(msg)));
            }
        }
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}

/// May it be otherwise in a minute?
fn is_passing(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::Auth
            | Reason::HostKeyUnknown
            | Reason::HostKeyChanged
            | Reason::HostKeyRevoked
            | Reason::Config
            | Reason::Architecture
            | Reason::AgentProtocol
    )
}
