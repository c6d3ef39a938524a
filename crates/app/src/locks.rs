//! Hosts of a changing run are leased before its first connection, all or none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hostler_diag::Diagnostic;
use hostler_events::Recap;
use hostler_executor::{Interrupts, Level};
use hostler_history::{Conflict, Keep, LeaseError, Life, RunEnd, RunState, RunWriter, Store};

use crate::keeping::{Subject, refused};
use crate::plan::time_words;
use crate::refusal::Refusal;
use crate::request::ExitCode;

/// How often a lock that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Hosts of a lock that are named.
const NAMED_MAX: usize = 5;

/// Looks, and waits as long as the request says, until no other run holds a host of this one. `own` is the run itself, if
/// it goes on.
///
/// # Errors
/// Others still hold some, or the user does not want to wait any longer.
pub(crate) async fn wait(
    store: &Store,
    subject: &Subject<'_>,
    own: Option<&str>,
    interrupts: &Interrupts,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), Refusal> {
    let deadline = Deadline::new(subject);
    let mut told = None;
    loop {
        let conflicts = conflicts(store, subject, own)?;
        if conflicts.is_empty() {
            return Ok(());
        }
        deadline
            .pause(&conflicts, &mut told, interrupts, tell)
            .await?;
    }
}

/// Takes the leases. Somebody may have been faster since [`wait`]: then it is their turn first.
pub(crate) async fn acquire(
    store: &Store,
    writer: &RunWriter,
    subject: &Subject<'_>,
    interrupts: &Interrupts,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), Refusal> {
    let breaks = subject.request.locks.breaks.as_deref();
    let deadline = Deadline::new(subject);
    let mut told = None;
    let refusal = loop {
        match writer.acquire(&subject.hosts, breaks) {
            Ok(()) => return Ok(()),
            Err(LeaseError::Store(error)) => break refused(&error),
            Err(LeaseError::Conflicts(conflicts)) => {
                let paused = deadline.pause(&conflicts, &mut told, interrupts, tell);
                if let Err(refusal) = paused.await {
                    break refusal;
                }
            }
        }
    };
    let unused = writer.finish(RunEnd {
        state: RunState::Interrupted,
        exit_code: refusal.exit as u8,
        elapsed_us: 0,
        recap: Recap::default(),
        resumable: store
            .run(writer.run())
            .is_ok_and(|it| it.summary.attempts > 1),
        keep: Keep::default(),
    });
    match unused {
        Ok(()) => Err(refusal),
        Err(error) => Err(refused(&error)),
    }
}

fn conflicts(
    store: &Store,
    subject: &Subject<'_>,
    own: Option<&str>,
) -> Result<Vec<Conflict>, Refusal> {
    let wanted: BTreeSet<&String> = subject.hosts.iter().collect();
    let breaks = subject.request.locks.breaks.as_deref();
    let all = store.leases().map_err(|error| refused(&error))?.into_iter();
    let others = all
        .filter(|it| own != Some(it.held.run.0.as_str()) && breaks != Some(it.held.lock.as_str()));
    let conflicts = others.map(|mut conflict| {
        conflict.hosts.retain(|host| wanted.contains(host));
        conflict
    });
    Ok(conflicts.filter(|it| !it.hosts.is_empty()).collect())
}

/// How long others are waited for.
struct Deadline {
    at: Instant,
}

impl Deadline {
    fn new(subject: &Subject<'_>) -> Self {
        Deadline {
            at: Instant::now() + subject.request.locks.wait,
        }
    }

    /// Waits a moment; says for whom, whenever that changes.
    async fn pause(
        &self,
        conflicts: &[Conflict],
        told: &mut Option<Vec<String>>,
        interrupts: &Interrupts,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), Refusal> {
        if Instant::now() >= self.at {
            return Err(locked(conflicts));
        }
        let whom: Vec<String> = conflicts.iter().map(|it| it.held.lock.clone()).collect();
        if told.as_ref() != Some(&whom) {
            for conflict in conflicts {
                tell(&format!("Waiting for {} (Ctrl-C ends)", words(conflict)));
            }
            *told = Some(whom);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => Ok(()),
            () = interrupts.reached(Level::Drain) => {
                let text = "interrupted while waiting for hosts that are locked; nothing was done";
                Err(Refusal::new(ExitCode::Interrupted, Diagnostic::error("locked", text)))
            }
        }
    }
}

/// Who stands in the way, and what to do about each.
fn locked(conflicts: &[Conflict]) -> Refusal {
    let diagnostics = conflicts.iter().map(|conflict| {
        let held = &conflict.held;
        let (run, lock) = (&held.run.0, &held.lock);
        let diagnostic = Diagnostic::error("locked", format!("locked: {}", words(conflict)));
        if held.life.is_gone() {
            diagnostic
                .hint(format!("it did not get to its end: `hostler resume {run}` goes on with it, `hostler runs abandon {run}` gives it up"))
                .hint(format!("--break-lock {lock} takes the hosts from it"))
        } else if held.life == Life::Silent {
            diagnostic
                .hint("its process hangs, or its machine is gone or out of reach: make sure of that first")
                .hint(format!("--break-lock {lock} takes the hosts from it then"))
        } else {
            diagnostic.hint("--wait waits for it")
        }
    });
    Refusal {
        exit: ExitCode::Locked,
        diagnostics: diagnostics.collect(),
    }
}

/// Who, what, since when, and whether it is still there.
fn words(conflict: &Conflict) -> String {
    let held = &conflict.held;
    let hosts = conflict.hosts.len();
    let named: Vec<&str> = conflict
        .hosts
        .iter()
        .take(NAMED_MAX)
        .map(String::as_str)
        .collect();
    let more = if hosts > NAMED_MAX {
        format!(" and {} more hosts", hosts - NAMED_MAX)
    } else {
        String::new()
    };
    format!(
        "{}{more}, held by run {} since {}: {held}",
        named.join(", "),
        held.run.0,
        time_words(held.since_us),
    )
}
