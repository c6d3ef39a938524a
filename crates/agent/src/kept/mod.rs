//! What a host keeps of tasks until the controller has it: a private file for each key.
//!
//! The file is made before the task begins and is locked (`flock`) as long as its process works on it. It holds the frames
//! of the answers as they are made, the last is [`FromAgent::End`](hostler_protocol::FromAgent::End). So the file is
//! the stream that a later agent hands over, and an unlocked one without an end is a task whose agent died. See
//! docs/design/0010-results-on-hosts.md.

mod lock;
mod place;
mod record;
mod relay;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_protocol::TaskKey;

pub(crate) use record::Record;

/// After so many tasks of a process it is looked again how much is kept.
const TIDY_EVERY: usize = 256;

/// The store of this agent's user.
#[derive(Default)]
pub(crate) struct Kept {
    dirs: Vec<PathBuf>,
    writes: bool,
    begun: AtomicUsize,
    /// Tasks of which this connection has learned what came of them: only they may begin after all.
    asked: Mutex<Vec<TaskKey>>,
    lock: Mutex<Option<lock::HostLock>>,
}

/// May a task begin?
pub(crate) enum Begin {
    /// Yes, and its answers go here too.
    New(Record),
    /// No, it has begun before.
    Known,
}

impl Kept {
    /// Finds the directory.
    pub(crate) fn open() -> Self {
        let (dirs, writes) = place::find();
        Kept {
            dirs,
            writes,
            ..Kept::default()
        }
    }

    /// Is there a place for results?
    pub(crate) fn works(&self) -> bool {
        self.writes
    }

    /// The directory for new results, which is there now.
    fn dir(&self) -> Option<&Path> {
        let dir = self
            .dirs
            .first()
            .filter(|dir| self.writes && place::make(dir))?;
        Some(dir)
    }

    fn paths(&self, key: TaskKey) -> impl Iterator<Item = PathBuf> {
        let name = crate::lane::hex(&key.0);
        self.dirs.iter().map(move |dir| dir.join(&name))
    }

    fn asked(&self) -> MutexGuard<'_, Vec<TaskKey>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn promise(&self, key: TaskKey) {
        self.asked().push(key);
    }

    /// Notes that a task begins.
    ///
    /// # Errors
    /// If that cannot be noted. Then it must not begin: nobody would know.
    pub(crate) fn begin(&self, key: TaskKey) -> io::Result<Begin> {
        let Some(dir) = self.dir() else {
            return Err(io::Error::other("its directory belongs to somebody else"));
        };
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(TIDY_EVERY) {
            place::tidy(dir);
        }
        self.take_lock_again();
        let mut paths = self.paths(key);
        let first = paths.next().ok_or(io::ErrorKind::NotFound)?;
        if paths.any(|path| fs::symlink_metadata(path).is_ok()) {
            return Ok(Begin::Known);
        }
        let mut record = record::create(&first, b"")?;
        if record.is_none() && self.asked().contains(&key) {
            record = record::claim(&first);
        }
        Ok(record.map_or(Begin::Known, Begin::New))
    }

    /// The controller has these. One that this connection was asked about may still come in late on the connection
    /// that was given up, so its file stays, and says that it must not begin.
    pub(crate) fn forget(&self, keys: &[TaskKey]) {
        for key in keys {
            let stays = self.asked().contains(key);
            for path in self.paths(*key) {
                if !stays || record::bar(&path).is_err() {
                    let _ = fs::remove_file(path);
                }
            }
        }
    }
}
