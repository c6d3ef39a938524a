//! How a run is kept: begun in the run store, its hosts leased, its end written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::{Recap, Reporter, RunEvent, RunId};
use hostler_executor::{Interrupts, Recording};
use hostler_history::{
    Input, Keep, NewRun, RunEnd, RunState, RunWriter, StateDir, Store, StoreError,
};
use hostler_journal::Memory;
use hostler_transport::ssh_config::LocalUser;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::fingerprints;
use crate::locks;
use crate::mandate::Mandate;
use crate::plan::now_us;
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode, LockRequest, StateRequest};
use crate::resume::Again;
use crate::stored_request::StoredRequest;

/// How often a run looks whether its lock is still its own.
const GUARD_EVERY: Duration = Duration::from_secs(1);

/// What is to be kept of a run.
#[derive(Default)]
pub(crate) enum Keeping {
    /// Nothing: it is a part of something else.
    #[default]
    Nothing,
    /// A new run.
    New(Mandate),
    /// A new run that patches.
    Patch {
        /// Id of its plan.
        plan: String,
    },
    /// A run that goes on.
    Again(Box<Again>),
}

/// What a run is about.
pub(crate) struct Subject<'a> {
    pub(crate) request: &'a ApplyRequest,
    pub(crate) sources: &'a SourceMap,
    /// Files that its tasks send, as far as known.
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) hosts: Vec<String>,
}

impl Subject<'_> {
    /// The playbooks, absolute paths.
    pub(crate) fn playbooks(&self) -> Vec<String> {
        playbooks(self.request)
    }
}

/// A run that is kept, or at least has a name.
pub(crate) struct Kept {
    pub(crate) run: RunId,
    pub(crate) resumed: bool,
    open: Option<Open>,
}

/// A run in the store.
pub(crate) struct Open {
    pub(crate) writer: RunWriter,
    pub(crate) memory: Option<Memory>,
    pub(crate) rerun_unknown: bool,
    /// Hosts outside of this part of the run are left to do.
    pub(crate) others_left: bool,
}

/// `user@controller`.
pub(crate) fn who() -> String {
    let local = LocalUser::from_env();
    format!("{}@{}", local.name, local.hostname)
}

/// The playbooks of a request, by which later runs know them again: absolute paths.
pub(crate) fn playbooks(request: &ApplyRequest) -> Vec<String> {
    let paths = request.playbooks.iter();
    paths.map(|path| absolute(path)).collect()
}

/// An absolute path as text.
pub(crate) fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

/// Where runs are kept.
pub(crate) fn state_directory(state: &StateRequest) -> Result<PathBuf, StoreError> {
    match &state.directory {
        Some(directory) => Ok(directory.clone()),
        None => StateDir::default_path(),
    }
}

/// Opens the run store, made if there is none.
pub(crate) fn open(state: &StateRequest) -> Result<Store, StoreError> {
    Store::open(&StateDir::open(&state_directory(state)?)?)
}

/// Why the store cannot be used, and what to do about it.
pub(crate) fn refused(error: &StoreError) -> Refusal {
    let (exit, hint) = match error {
        StoreError::NoSuchRun(_) | StoreError::Ambiguous { .. } => (
            ExitCode::Usage,
            "`hostler runs list` shows the runs that are kept",
        ),
        StoreError::StillRunning { .. } => (
            ExitCode::Locked,
            "wait for it to end; if it is sure that nothing runs there any more, --break-lock with the id of the lock",
        ),
        StoreError::NotResumable(_) | StoreError::OtherForm { .. } => (
            ExitCode::UnreachableOrInput,
            "`hostler apply` runs the playbooks anew",
        ),
        _ => (
            ExitCode::JournalBroken,
            "no run starts without its journal; --state-dir (or HOSTLER_STATE_DIR) names another directory for it",
        ),
    };
    let diagnostic = Diagnostic::error("run-store", error.to_string());
    Refusal::new(exit, diagnostic.hint(hint))
}

/// Begins what is to be kept. A run that changes something has leased all its hosts then.
///
/// # Errors
/// The store cannot be written, hosts are locked by other runs, or inputs of a run that goes on have changed.
pub(crate) async fn begin(
    subject: &Subject<'_>,
    keeping: Keeping,
    interrupts: &Interrupts,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<Kept, Refusal> {
    match keeping {
        Keeping::Nothing => Ok(Kept::nameless()),
        Keeping::New(mandate) if subject.request.check => {
            Ok(begin_preview(subject, &mandate, tell))
        }
        Keeping::New(mandate) => begin_changing(subject, &mandate, None, interrupts, tell).await,
        Keeping::Patch { plan } => {
            let mandate = Mandate::Playbooks;
            begin_changing(subject, &mandate, Some(plan), interrupts, tell).await
        }
        Keeping::Again(again) => {
            let open = again.reopen(subject, interrupts, tell).await?;
            Ok(Kept::open(open, true))
        }
    }
}

async fn begin_changing(
    subject: &Subject<'_>,
    mandate: &Mandate,
    patch: Option<String>,
    interrupts: &Interrupts,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<Kept, Refusal> {
    let store = open(&subject.request.state).map_err(|error| refused(&error))?;
    locks::wait(&store, subject, None, interrupts, tell).await?;
    let open = begin_new(&store, subject, mandate, patch).map_err(|error| refused(&error))?;
    locks::acquire(&store, &open.writer, subject, interrupts, tell).await?;
    Ok(Kept::open(open, false))
}

/// A preview goes on without a history: it changes nothing that somebody could want to resume.
fn begin_preview(
    subject: &Subject<'_>,
    mandate: &Mandate,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Kept {
    let begun =
        open(&subject.request.state).and_then(|store| begin_new(&store, subject, mandate, None));
    match begun {
        Ok(open) => Kept::open(open, false),
        Err(error) => {
            tell(&format!("This preview is not kept in the history: {error}"));
            Kept::nameless()
        }
    }
}

fn begin_new(
    store: &Store,
    subject: &Subject<'_>,
    mandate: &Mandate,
    patch: Option<String>,
) -> Result<Open, StoreError> {
    let request = subject.request;
    let directory = absolute(Path::new("."));
    let mut stored = StoredRequest::of(request, directory, mandate.carries());
    stored.patch = patch;
    let failed = |error: serde_json::Error| StoreError::Failed {
        what: "the request".into(),
        why: error.to_string(),
    };
    let playbooks = subject.playbooks();
    let new = NewRun {
        run: run_id(),
        started_us: now_us(),
        who: who(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        request: serde_json::to_value(&stored).map_err(failed)?,
        inventory: request.inventory.clone(),
        check: request.check,
        inputs: inputs(subject),
        hosts: subject.hosts.clone(),
        playbooks,
        // A preview is not resumed.
        mandate: (!request.check)
            .then(|| mandate.pack())
            .transpose()?
            .flatten(),
        needs: mandate.needs().filter(|_| !request.check),
    };
    let writer = store.begin(&new)?;
    let owed = if request.check {
        Vec::new()
    } else {
        store.owed(&new.playbooks, &new.hosts, Some(&new.run))?
    };
    Ok(Open {
        writer,
        memory: Some(Memory {
            owed,
            ..Memory::default()
        }),
        rerun_unknown: false,
        others_left: false,
    })
}

/// The files that the run was read from.
fn inputs(subject: &Subject<'_>) -> Vec<Input> {
    let all = fingerprints::of(subject.sources, &subject.files);
    let all = all.into_iter();
    all.map(|(path, sha256)| Input { path, sha256 }).collect()
}

/// Sortable by time; the process number keeps two runs of one moment apart.
pub(crate) fn run_id() -> RunId {
    let millis = now_us() / 1000;
    RunId(format!("{millis:010x}-{:06x}", std::process::id()))
}

impl Kept {
    fn nameless() -> Self {
        Kept {
            run: run_id(),
            resumed: false,
            open: None,
        }
    }

    fn open(open: Open, resumed: bool) -> Self {
        Kept {
            run: open.writer.run().clone(),
            resumed,
            open: Some(open),
        }
    }

    /// Stores what is told.
    pub(crate) fn reporter(&self) -> Option<Box<dyn Reporter>> {
        self.open.as_ref().map(|open| open.writer.reporter())
    }

    /// What the executor writes down and remembers; nothing for a preview.
    pub(crate) fn recording(&mut self, check: bool, locks: &LockRequest) -> Option<Recording> {
        let open = self.open.as_mut().filter(|_| !check)?;
        Some(Recording {
            run: self.run.clone(),
            journal: Arc::new(open.writer.clone()),
            memory: open.memory.take().unwrap_or_default(),
            lease: open.writer.lease(),
            breaks: locks.breaks.clone(),
            wait: locks.wait,
            rerun_unknown: open.rerun_unknown,
        })
    }

    /// Writes the run down; nothing for one that is not kept.
    pub(crate) fn writer(&self) -> Option<&RunWriter> {
        self.open.as_ref().map(|open| &open.writer)
    }

    /// Looks after the run's lock: if somebody breaks it, no new tasks start.
    pub(crate) fn guard(
        &self,
        interrupts: &Interrupts,
        events: mpsc::UnboundedSender<RunEvent>,
    ) -> JoinHandle<()> {
        let writer = self.open.as_ref().map(|open| open.writer.clone());
        let interrupts = interrupts.clone();
        tokio::spawn(async move {
            let Some(writer) = writer else { return };
            while !writer.lock_broken() {
                tokio::time::sleep(GUARD_EVERY).await;
            }
            let reason = "the lock of this run was broken by somebody else: running tasks finish, no new ones start";
            let _nobody_listens = events.send(RunEvent::Stopping {
                reason: reason.into(),
            });
            if !interrupts.draining() {
                interrupts.raise();
            }
        })
    }

    /// Was its lock taken away?
    pub(crate) fn lost_lock(&self) -> bool {
        self.open.as_ref().is_some_and(|it| it.writer.lock_broken())
    }

    /// Can `hostler resume` go on with it? `unfinished`: some of its hosts did not get to the end.
    pub(crate) fn resumable(&self, check: bool, unfinished: bool) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| !check && (unfinished || open.others_left))
    }

    /// The run is over: written down, and its hosts released. Gives why it could not be written, if so.
    pub(crate) fn finish(&mut self, end: End) -> Option<String> {
        let open = self.open.take()?;
        let state = match end.exit {
            ExitCode::Ok => RunState::Finished,
            ExitCode::JournalBroken => RunState::JournalBroken,
            ExitCode::Interrupted | ExitCode::Unexpected | ExitCode::Locked => {
                RunState::Interrupted
            }
            _ => RunState::Failed,
        };
        let finished = open.writer.finish(RunEnd {
            state,
            exit_code: end.exit as u8,
            elapsed_us: end.elapsed_us,
            recap: end.recap,
            resumable: end.resumable,
            keep: Keep::default(),
        });
        finished.err().map(|error| error.to_string())
    }
}

/// How a run ended.
pub(crate) struct End {
    pub(crate) exit: ExitCode,
    pub(crate) recap: Recap,
    pub(crate) elapsed_us: u64,
    /// `hostler resume` has something to go on with.
    pub(crate) resumable: bool,
}

impl End {
    /// As reporters are told.
    pub(crate) fn event(&self, bytes: (u64, u64), round_trips: u64) -> RunEvent {
        RunEvent::RunFinished {
            recap: self.recap.clone(),
            exit_code: self.exit as u8,
            elapsed_us: self.elapsed_us,
            bytes,
            round_trips,
            resumable: self.resumable,
        }
    }
}
