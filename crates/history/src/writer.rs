//! A run that is being written down.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use hostler_events::{Reporter, RunEvent, RunId, Stamped};
use hostler_journal::{Journal, JournalError, Memory, Note, Pending};
use hostler_protocol::Lease;

use crate::error::{Result, StoreError};
use crate::event_text;
use crate::lease::LeaseError;
use crate::queue::{Command, Queue};
use crate::scribe::Scribe;
use crate::seal::Sealer;
use crate::{RunEnd, stored_note};

/// Writes a run down. Cheap to clone; the run is closed with [`RunWriter::finish`], or, as interrupted, when the last
/// clone goes.
#[derive(Clone)]
pub struct RunWriter(Arc<Inner>);

struct Inner {
    queue: Arc<Queue>,
    sealer: Sealer,
    run: RunId,
    who: String,
    lock: String,
    since_us: i64,
    lock_broken: Arc<std::sync::atomic::AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RunWriter {
    pub(crate) fn start(scribe: Scribe, run: RunId, who: String, since_us: i64) -> Result<Self> {
        let queue = Arc::new(Queue::default());
        let sealer = scribe.sealer().clone();
        let lock = scribe.lock().to_owned();
        let lock_broken = scribe.lock_broken();
        let own = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || scribe.write(&own))
            .map_err(|error| StoreError::Failed {
                what: "cannot start a thread".into(),
                why: error.to_string(),
            })?;
        Ok(RunWriter(Arc::new(Inner {
            queue,
            sealer,
            run,
            who,
            lock,
            since_us,
            lock_broken,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.0.run
    }

    /// The lock that this process holds the run (and its leased hosts) with, as agents are told it.
    pub fn lease(&self) -> Lease {
        Lease {
            id: self.0.lock.clone(),
            run: self.0.run.0.clone(),
            who: self.0.who.clone(),
            since_us: self.0.since_us,
        }
    }

    /// Leases hosts: all of them or none. Hosts that the lock with the id `breaks` holds are taken from it. They are
    /// released when the run ends. Waits for the disk.
    ///
    /// # Errors
    /// If others hold some of them, or the store fails.
    pub fn acquire(
        &self,
        hosts: &[String],
        breaks: Option<&str>,
    ) -> std::result::Result<(), LeaseError> {
        let (reply, answer) = mpsc::channel();
        self.0.queue.command(Command::Acquire {
            hosts: hosts.to_vec(),
            breaks: breaks.map(str::to_owned),
            reply,
        });
        let conflicts = answer.recv().unwrap_or_else(|_| Err(gone()))?;
        if conflicts.is_empty() {
            Ok(())
        } else {
            Err(LeaseError::Conflicts(conflicts))
        }
    }

    /// Did somebody break this run's lock, or take hosts from it? Known with the next write, at most 10 s later. If the
    /// whole lock was broken, the journal is broken, too.
    pub fn lock_broken(&self) -> bool {
        self.0.lock_broken.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Why nothing can be written any more, if that is so.
    pub fn broken(&self) -> Option<String> {
        self.0.queue.broken()
    }

    /// Appends a line of JSON to the notes of a patch run. It is durable when the future has ended well, with everything
    /// that was given before it; it is written even if nobody waits for it. Lines keep their order.
    pub fn patch_note(&self, json: String) -> Pending<'_, ()> {
        self.0.queue.patch_note(json);
        self.sync()
    }

    /// Stores every event that it is given.
    pub fn reporter(&self) -> Box<dyn Reporter> {
        Box::new(Recorder {
            writer: self.clone(),
            play: String::new(),
        })
    }

    /// The run is over: writes everything down, lets its hosts go. Events may still follow. Waits for the disk.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn finish(&self, end: RunEnd) -> Result<()> {
        let (reply, answer) = mpsc::channel();
        let end = Box::new(end);
        self.0.queue.command(Command::Finish { end, reply });
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> StoreError {
    StoreError::Failed {
        what: "the journal".into(),
        why: "its thread has ended".into(),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Journal for RunWriter {
    fn note(&self, note: Note) {
        self.0.queue.note(stored_note::prepare(note));
    }

    fn sync(&self) -> Pending<'_, ()> {
        Box::pin(self.0.queue.sync())
    }

    fn recall<'a>(&'a self, hosts: &'a [String]) -> Pending<'a, Memory> {
        Box::pin(self.0.queue.recall(hosts.to_vec()))
    }
}

/// Gives events to the writer.
struct Recorder {
    writer: RunWriter,
    play: String,
}

impl Reporter for Recorder {
    fn event(&mut self, event: &Stamped) {
        if let RunEvent::PlayStarted { name, .. } = &event.event {
            self.play.clone_from(name);
        }
        let inner = &self.writer.0;
        if let Ok(event) = event_text::prepare(event, &self.play, &inner.sealer) {
            inner.queue.event(event);
        }
    }
}

/// For those who wait for a journal that is broken.
pub(crate) fn journal_error(why: &str) -> JournalError {
    JournalError(why.to_owned())
}
