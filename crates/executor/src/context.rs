//! What everything in a run shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::RunEvent;
use hostler_journal::{JournalError, Note};
use hostler_module_api::Catalog;
use hostler_template::Engine;
use hostler_value::Secret;
use hostler_vars::VarStore;
use tokio::sync::{Semaphore, mpsc};

use crate::bound::Bound;
use crate::failure::{Failure, Left};
use crate::files::ControllerFiles;
use crate::fleet::{ConnectDefaults, Fleet};
use crate::foresight::Foresight;
use crate::interrupts::Interrupts;
use crate::past::Past;
use crate::recording::Recording;

/// How to run, decided by the command line.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Check mode.
    pub check: bool,
    /// Diff mode.
    pub diff: bool,
    /// In check mode: run `command` and `shell` tasks with `changed_when: false` where nothing is pending.
    pub run_read_only: bool,
    /// Hosts worked on at the same time.
    pub forks: usize,
    /// Run tasks with one of these tags; empty means all.
    pub tags: Vec<String>,
    /// Do not run tasks with one of these.
    pub skip_tags: Vec<String>,
    /// Skip tasks up to the one of this name.
    pub start_at_task: Option<String>,
    /// Run handlers of failed hosts too.
    pub force_handlers: bool,
    /// Number of `-v`.
    pub verbosity: u8,
    /// How to reach hosts where nothing else says.
    pub connect: ConnectDefaults,
    /// How long things may take.
    pub limits: Limits,
}

/// How long things may take on one host, so that no host keeps the others waiting for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A connection that was lost while a task ran is made anew for so long.
    pub reconnect: Duration,
    /// One message with work, where the task has no `timeout` of its own; `None` is for ever.
    pub task: Option<Duration>,
    /// All work on a host in this run, waiting for other hosts not counted; `None` is for ever.
    pub host: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            reconnect: Duration::from_secs(300),
            task: Some(Duration::from_secs(4 * 3600)),
            host: Some(Duration::from_secs(12 * 3600)),
        }
    }
}

/// Is told passwords.
pub type SecretSink = Arc<dyn Fn(&Secret) + Send + Sync>;

/// Everything that a run's tasks share.
pub struct RunContext {
    /// How to run.
    pub settings: RunSettings,
    /// The modules.
    pub catalog: Arc<Catalog>,
    /// The template engine.
    pub engine: Engine,
    /// Variables of all hosts.
    pub vars: Arc<VarStore>,
    /// Connections.
    pub fleet: Fleet,
    /// The user's files.
    pub sources: SourceMap,
    /// Where events go.
    pub events: mpsc::UnboundedSender<RunEvent>,
    /// The user's wish to stop.
    pub interrupts: Interrupts,
    bound: Option<Bound>,
    pub(crate) recording: Option<Recording>,
    /// What the run did before it was interrupted.
    pub(crate) past: Past,
    journal_broken: Mutex<Option<JournalError>>,
    may_fall_behind: AtomicBool,
    /// Time spent on each host.
    spent: Mutex<HashMap<String, Duration>>,
    secrets: Option<SecretSink>,
    /// What a preview remembers.
    pub(crate) foresight: Foresight,
    files: ControllerFiles,
    forks: Arc<Semaphore>,
    warned: Mutex<std::collections::HashSet<String>>,
}

impl RunContext {
    /// Puts the parts together.
    pub fn new(
        settings: RunSettings,
        catalog: Arc<Catalog>,
        vars: Arc<VarStore>,
        fleet: Fleet,
        sources: SourceMap,
        events: mpsc::UnboundedSender<RunEvent>,
        interrupts: Interrupts,
    ) -> Self {
        let forks = Arc::new(Semaphore::new(settings.forks.max(1)));
        let files = ControllerFiles::new(sources.clone());
        RunContext {
            settings,
            catalog,
            engine: Engine::new(),
            vars,
            fleet,
            sources,
            events,
            interrupts,
            bound: None,
            recording: None,
            past: Past::default(),
            journal_broken: Mutex::default(),
            may_fall_behind: AtomicBool::new(true),
            spent: Mutex::default(),
            secrets: None,
            foresight: Foresight::default(),
            files,
            forks,
            warned: Mutex::default(),
        }
    }

    /// Binds the run by a plan.
    #[must_use]
    pub fn bound_by(mut self, bound: Bound) -> Self {
        self.bound = Some(bound);
        self
    }

    /// Writes the run down, and goes on where its memory ends.
    #[must_use]
    pub fn recorded(mut self, mut recording: Recording) -> Self {
        self.past = Past::new(std::mem::take(&mut recording.memory));
        self.recording = Some(recording);
        self
    }

    /// Writes something down, if the run is one that is.
    pub(crate) fn note(&self, note: Note) {
        if let Some(recording) = self.recording.as_ref().filter(|_| !self.settings.check) {
            recording.journal.note(note);
        }
    }

    /// Waits until everything that was noted is on the disk.
    pub(crate) async fn written(&self) -> Result<(), Failure> {
        let Some(recording) = self.recording.as_ref().filter(|_| !self.settings.check) else {
            return Ok(());
        };
        recording.journal.sync().await.map_err(|error| {
            let mut broken = self.lock_broken();
            if broken.is_none() {
                self.emit(RunEvent::Stopping {
                    reason: format!("{error}: running tasks finish, no new ones start"),
                });
                *broken = Some(error);
            }
            Failure::Left(Left::Unwritten)
        })
    }

    fn lock_broken(&self) -> std::sync::MutexGuard<'_, Option<JournalError>> {
        self.journal_broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing can be written down any more, if so.
    pub fn journal_broken(&self) -> Option<JournalError> {
        self.lock_broken().clone()
    }

    /// May a host that is lost be left behind, to catch up later? Not in the pass in which it catches up.
    pub(crate) fn may_fall_behind(&self) -> bool {
        self.may_fall_behind.load(Ordering::Relaxed)
    }

    /// A host that is lost is waited for, as long as [`Limits::reconnect`] says: nobody else waits meanwhile.
    pub fn never_leave_behind(&self) {
        self.set_may_fall_behind(false);
    }

    pub(crate) fn set_may_fall_behind(&self, may: bool) {
        self.may_fall_behind.store(may, Ordering::Relaxed);
    }

    /// What a host did in this run so far is read from the journal again: the plays that ask it next go on where it stopped,
    /// also if that was in this process.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn recall_host(&self, host: &str) -> Result<(), JournalError> {
        let Some(recording) = &self.recording else {
            return Ok(());
        };
        let hosts = [host.to_owned()];
        let memory = recording.journal.recall(&hosts).await?;
        self.past.replace_host(host, memory);
        Ok(())
    }

    /// What is left of a host's time in this run; `None` is without end.
    pub(crate) fn time_left(&self, host: &str) -> Option<Duration> {
        let limit = self.settings.limits.host?;
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        Some(limit.saturating_sub(spent.get(host).copied().unwrap_or_default()))
    }

    /// A host was worked on for so long.
    pub(crate) fn spend(&self, host: &str, time: Duration) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        *spent.entry(host.to_owned()).or_default() += time;
    }

    /// Ends the connections when everything is written down; the hosts then forget what they kept. Gives what it cost:
    /// bytes sent, bytes received, round trips.
    pub async fn close(&self) -> (u64, u64, u64) {
        let written = self.written().await.is_ok();
        self.fleet.close(written && self.recording.is_some()).await
    }

    /// Has every password told that is used, so that it can be kept out of what is shown.
    #[must_use]
    pub fn telling_secrets(mut self, sink: SecretSink) -> Self {
        self.secrets = Some(sink);
        self
    }

    /// Gives it contents for `restore`, by their SHA-256 in hex digits.
    #[must_use]
    pub fn with_contents(mut self, contents: std::collections::HashMap<String, Arc<[u8]>>) -> Self {
        self.files.give(contents);
        self
    }

    /// A password is about to be used.
    pub(crate) fn tell_secret(&self, secret: Option<&Secret>) {
        if let (Some(sink), Some(secret)) = (&self.secrets, secret) {
            sink(secret);
        }
    }

    /// The plan that binds the run, if one does.
    pub(crate) fn bound(&self) -> Option<&Bound> {
        self.bound.as_ref()
    }

    /// Files of the controller that were sent to hosts, with the SHA-256 of their content.
    pub fn files_sent(&self) -> Vec<(std::path::PathBuf, [u8; 32])> {
        self.files.sent()
    }

    /// Tells the reporters.
    pub(crate) fn emit(&self, event: RunEvent) {
        // Without reporters there is nobody to tell.
        let _nobody_listens = self.events.send(event);
    }

    /// Tells the user about a problem that does not stop the run, once.
    pub(crate) fn warn(&self, diagnostic: Diagnostic, host: Option<&str>) {
        let place = diagnostic
            .labels
            .first()
            .map(|label| self.sources.locate(label.span));
        let key = format!("{}\0{}\0{place:?}", diagnostic.code, diagnostic.message);
        let is_new = self
            .warned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key);
        if is_new {
            self.emit(RunEvent::Warned {
                diagnostic,
                location: place,
                host: host.map(str::to_owned),
            });
        }
    }

    /// Files of the controller.
    pub(crate) fn files(&self) -> &ControllerFiles {
        &self.files
    }

    /// Places for hosts that are worked on.
    pub(crate) fn forks(&self) -> Arc<Semaphore> {
        self.forks.clone()
    }
}
