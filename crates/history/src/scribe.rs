//! The thread that writes a run down: everything that waits makes one transaction.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::error::{Result, StoreError, is_full};
use crate::lease::{self, Conflict};
use crate::memory;
use crate::pen::Pen;
use crate::queue::{Batch, Command, Queue, Recall};
use crate::seal::Sealer;
use crate::store::{DbError, Store, now_us, transact};
use crate::stored_note::Prepared;
use crate::writer::journal_error;
use crate::{RunEnd, prune};

/// How often a lock gives a sign of life.
const BEAT: Duration = Duration::from_secs(10);
/// After the journal broke, notes of this many bytes are kept to be written with the end of the run, if that succeeds.
const STRANDED_MAX: usize = 16 << 20;

/// Writes one run.
pub(crate) struct Scribe {
    store: Store,
    connection: Connection,
    pen: Pen,
    lock: String,
    /// Which file the database was when the run began.
    identity: Option<(u64, u64)>,
    beaten: Instant,
    /// Hosts that this run has leased.
    leased: i64,
    lock_broken: Arc<AtomicBool>,
    stranded: Vec<Prepared>,
    stranded_bytes: usize,
    lost_events: u64,
    disk_full: bool,
    finished: bool,
}

impl Scribe {
    pub(crate) fn new(store: &Store, connection: Connection, pen: Pen, lock: String) -> Self {
        Scribe {
            store: store.clone(),
            connection,
            pen,
            lock,
            identity: store.identity(),
            beaten: Instant::now(),
            leased: 0,
            lock_broken: Arc::default(),
            stranded: Vec::new(),
            stranded_bytes: 0,
            lost_events: 0,
            disk_full: false,
            finished: false,
        }
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        self.store.sealer()
    }

    pub(crate) fn lock(&self) -> &str {
        &self.lock
    }

    pub(crate) fn lock_broken(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lock_broken)
    }

    /// Until the queue is closed.
    pub(crate) fn write(mut self, queue: &Queue) {
        struct AtEnd<'a>(&'a Queue);
        impl Drop for AtEnd<'_> {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        let _whatever_happens = AtEnd(queue);
        loop {
            let mut batch = queue.take(self.beaten + BEAT);
            self.lost_events += batch.lost_events;
            let broken = match queue.broken() {
                Some(why) => Some(why),
                None => self.commit(queue, &batch),
            };
            if broken.is_some() {
                self.keep(&mut batch.notes);
                self.lost_events += batch.events.len() as u64;
            }
            for waiter in batch.waiters {
                waiter.complete(
                    broken
                        .as_deref()
                        .map_or(Ok(()), |why| Err(journal_error(why))),
                );
            }
            self.recall(batch.recalls, broken.as_deref());
            for command in batch.commands {
                self.obey(command, queue);
            }
            if batch.last {
                self.close(queue);
                return;
            }
        }
    }

    /// Writes a batch; why that failed, if it did.
    fn commit(&mut self, queue: &Queue, batch: &Batch) -> Option<String> {
        let beats = self.beaten.elapsed() >= BEAT && !self.finished;
        let nothing = batch.notes.is_empty() && batch.patch_notes.is_empty();
        if nothing && batch.events.is_empty() && !beats {
            return None;
        }
        let written = self.same_file().and_then(|()| {
            let (pen, lock, finished) = (&mut self.pen, &self.lock, self.finished);
            transact(&mut self.connection, |transaction| {
                if !finished {
                    lease::own(transaction, lock)?;
                } else if lease::is_held(transaction, pen.run)? {
                    // Late events of a run that somebody goes on with already: they would get into its own.
                    return Ok(0);
                }
                pen.notes(transaction, &batch.notes)?;
                pen.patch_notes(transaction, &batch.patch_notes)?;
                pen.events(transaction, &batch.events)?;
                if beats {
                    lease::beat(transaction, lock)?;
                }
                Ok(lease::count(transaction, lock)?)
            })
        });
        if beats {
            self.beaten = Instant::now();
        }
        match written {
            Ok(leased) => {
                if leased < self.leased {
                    self.lock_broken.store(true, Ordering::SeqCst);
                }
                None
            }
            Err(error) => {
                if matches!(error, DbError::Store(StoreError::LockBroken(_))) {
                    self.lock_broken.store(true, Ordering::SeqCst);
                }
                let why = self.explain(error);
                queue.break_for(&why);
                Some(why)
            }
        }
    }

    /// Is the database still where it was? A file that was removed takes writes, too, and nobody would ever read them.
    fn same_file(&self) -> std::result::Result<(), DbError> {
        if self.identity.is_some() && self.store.identity() == self.identity {
            return Ok(());
        }
        Err(StoreError::Failed {
            what: self.store.path().display().to_string(),
            why: "it was removed or replaced while the run went on".into(),
        }
        .into())
    }

    fn explain(&mut self, error: DbError) -> String {
        if let DbError::Sql(error) = &error {
            self.disk_full |= is_full(error);
        }
        match self.store.explain::<()>(Err(error)) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    /// Keeps notes that could not be written, as many as there is room for.
    fn keep(&mut self, notes: &mut Vec<Prepared>) {
        for note in notes.drain(..) {
            self.stranded_bytes += note.size();
            if self.stranded_bytes > STRANDED_MAX {
                // What follows must not be there without this one.
                self.stranded_bytes = usize::MAX / 2;
                return;
            }
            self.stranded.push(note);
        }
    }

    /// Answers those who want to be reminded; reading a long journal does not hold up the writing of it.
    fn recall(&self, recalls: Vec<Recall>, broken: Option<&str>) {
        if recalls.is_empty() {
            return;
        }
        if let Some(why) = broken {
            for recall in recalls {
                recall.waiter.complete(Err(journal_error(why)));
            }
            return;
        }
        let (store, run) = (self.store.clone(), self.pen.run);
        let read = move || {
            let memory = store.connect().and_then(|connection| {
                store.explain(memory::remember(&connection, store.sealer(), run))
            });
            for Recall { hosts, waiter } in recalls {
                waiter.complete(match &memory {
                    Ok(memory) => Ok(memory::of_hosts(memory, &hosts)),
                    Err(error) => Err(journal_error(&error.to_string())),
                });
            }
        };
        // Without a thread the waiters are dropped, which is an error for those who wait.
        let _detached = std::thread::Builder::new()
            .name("journal-recall".into())
            .spawn(read);
    }

    fn obey(&mut self, command: Command, queue: &Queue) {
        match command {
            Command::Acquire {
                hosts,
                breaks,
                reply,
            } => {
                let taken = self.acquire(&hosts, breaks.as_deref(), queue);
                let _gone = reply.send(taken);
            }
            Command::Finish { end, reply } => {
                let ended = self.finish(&end, queue.broken().as_deref());
                let _gone = reply.send(ended);
            }
        }
    }

    fn acquire(
        &mut self,
        hosts: &[String],
        breaks: Option<&str>,
        queue: &Queue,
    ) -> Result<Vec<Conflict>> {
        if let Some(why) = queue.broken() {
            return Err(StoreError::Failed {
                what: "the journal cannot be written".into(),
                why,
            });
        }
        let same = self.same_file();
        self.store.explain(same)?;
        let lock = &self.lock;
        let taken = transact(&mut self.connection, |transaction| {
            lease::own(transaction, lock)?;
            let conflicts = lease::acquire(transaction, lock, hosts, breaks)?;
            Ok((conflicts, lease::count(transaction, lock)?))
        });
        let (conflicts, leased) = self.store.explain(taken)?;
        self.leased = leased;
        Ok(conflicts)
    }

    /// Writes the end of the run, and what could not be written before it.
    fn finish(&mut self, end: &RunEnd, broken: Option<&str>) -> Result<()> {
        if self.disk_full {
            let _gone = fs::remove_file(self.store.dir().ballast());
        }
        let same = self.same_file();
        self.store.explain(same)?;
        let stranded = std::mem::take(&mut self.stranded);
        let lost = std::mem::take(&mut self.lost_events);
        let (pen, lock) = (&mut self.pen, &self.lock);
        let mut write = |stranded: &[Prepared]| {
            transact(&mut self.connection, |transaction| {
                lease::own(transaction, lock)?;
                pen.notes(transaction, stranded)?;
                prune::end(transaction, pen.run, end, broken, lost)?;
                lease::release(transaction, lock)?;
                Ok(())
            })
        };
        let mut ended = write(&stranded);
        if ended.is_err() && !stranded.is_empty() {
            ended = write(&[]);
        }
        self.store.explain(ended)?;
        self.finished = true;
        self.leased = 0;
        if broken.is_none() {
            // Housekeeping may fail: the next run does it.
            let _later = prune::at_end_of_run(&mut self.connection, &end.keep);
        }
        Ok(())
    }

    /// Nobody writes any more.
    fn close(&mut self, queue: &Queue) {
        if self.finished {
            return;
        }
        let broken = queue.broken();
        let lost = self.lost_events;
        let (run, lock) = (self.pen.run, &self.lock);
        let _best_effort = transact(&mut self.connection, |transaction| {
            lease::own(transaction, lock)?;
            prune::abandon(transaction, run, broken.as_deref(), lost)?;
            lease::release(transaction, lock)?;
            Ok(())
        });
    }
}

/// Makes the file that is given up when the disk is full; without one a run goes on, too.
pub(crate) fn lay_in_ballast(path: &PathBuf) {
    use std::os::unix::fs::OpenOptionsExt;

    /// Enough for the end of a run and the notes that were still in memory.
    const SIZE: u64 = 4 << 20;
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    if let Ok(file) = made {
        let taken = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, SIZE);
        if taken.is_err() {
            let _gone = fs::remove_file(path);
        }
    }
}

/// A new lock's id: short enough to be typed, too long to be met by chance.
pub(crate) fn lock_id(sealer: &Sealer, run: &str) -> String {
    let seed = format!("{run} {} {}", std::process::id(), now_us());
    let address = sealer.address(crate::seal::Kind::Request, seed.as_bytes());
    crate::event_text::hex(&address[..5])
}
