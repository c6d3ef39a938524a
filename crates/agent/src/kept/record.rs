//! The file of a task that began: the frames of its answers, as they were made.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hostler_protocol::{FromAgent, Unresolved, encode};

use super::place;

/// How long a file that others look at for a moment is waited for.
const CLAIM_TRIES: u32 = 20;
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// The open file. While it is open the task counts as running, since the file is locked.
pub(crate) struct Record {
    file: File,
    /// Length up to which there are whole frames; `None` once one is missing.
    whole: Mutex<Option<u64>>,
}

impl Record {
    fn of(file: File) -> Self {
        Record {
            file,
            whole: Mutex::new(Some(0)),
        }
    }

    /// Keeps a frame.
    ///
    /// # Errors
    /// If it cannot be written whole. Nothing of it is in the file then, and nothing will be behind it: a later
    /// answer without this one would look as if this item had never begun.
    pub(crate) fn append(&self, frame: &[u8]) -> io::Result<()> {
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(len) = *whole else {
            return Err(io::Error::other("an earlier one could not be kept"));
        };
        if let Err(error) = self.file.write_all_at(frame, len) {
            *whole = None;
            let _ = self.file.set_len(len);
            return Err(error);
        }
        *whole = Some(len + frame.len() as u64);
        Ok(())
    }
}

/// What a file says of a task that was asked for before it began: it shall not begin on another connection.
pub(super) fn never_began(task: u32) -> Vec<u8> {
    let why = Unresolved::NeverBegan;
    encode(0, &FromAgent::Unresolved { task, why }).unwrap_or_default()
}

/// Makes the file of a task; `None` if there is one. It is locked before it has its name: nobody sees it unlocked
/// while its task runs.
pub(super) fn create(path: &Path, content: &[u8]) -> io::Result<Option<Record>> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!(".{}-{number}", std::process::id()));
    let open = || {
        fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
    };
    let file = match open() {
        // Left behind by a process that had our number.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary)?;
            open()?
        }
        other => other?,
    };
    let written = || {
        if !place::is_free(&file) {
            return Err(ErrorKind::WouldBlock.into());
        }
        file.write_all_at(content, 0)?;
        fs::hard_link(&temporary, path)
    };
    let linked = written();
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => Ok(Some(Record::of(file))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Leaves nothing in a file but that its task must not begin.
pub(super) fn bar(path: &Path) -> io::Result<()> {
    let file = place::open(path, true)?;
    file.set_len(0)?;
    file.write_all_at(&never_began(0), 0)
}

/// Takes over the file of a task of which this connection was told that it never began; `None` if it has begun meanwhile.
pub(super) fn claim(path: &Path) -> Option<Record> {
    let mut file = place::open(path, true).ok()?;
    for _ in 0..CLAIM_TRIES {
        if !place::is_free(&file) {
            thread::sleep(CLAIM_PAUSE);
            continue;
        }
        let mark = never_began(0);
        let mut content = Vec::new();
        let limit = mark.len() as u64 + 1;
        Read::by_ref(&mut file)
            .take(limit)
            .read_to_end(&mut content)
            .ok()?;
        if content != mark || file.set_len(0).is_err() {
            return None;
        }
        return Some(Record::of(file));
    }
    None
}
