//! Content that the controller streams: asked for once, checked against its hash, shared by all who need it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use hostler_protocol::{Blob, FromAgent};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, memfd_create, openat};
use sha2::{Digest, Sha256};

use crate::outbox::Outbox;
use crate::task::Task;

/// Larger content is kept in a file without a name instead of in memory.
const MEMORY_MAX: u64 = 1 << 20;
/// Directories for such files, first to last; memory is the last resort.
const DIRS: &[&str] = &["/var/tmp", "/tmp"];

/// All of the connection.
pub(crate) struct Blobs {
    outbox: Arc<Outbox>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    blobs: HashMap<[u8; 32], Entry>,
    closed: bool,
}

enum Entry {
    Coming(Box<Coming>),
    Here(Stored),
    Failed(String),
}

struct Coming {
    size: u64,
    received: u64,
    hash: Sha256,
    store: Stored,
}

/// Where the bytes are.
#[derive(Clone)]
pub(crate) enum Stored {
    /// In memory.
    Memory(Arc<Vec<u8>>),
    /// In a file that has no name.
    File(Arc<File>),
}

impl Blobs {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Blobs {
            outbox,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blob; asks the controller for it if nobody has, and waits until it is here.
    pub(crate) fn get(&self, sha256: [u8; 32], size: u64, task: &Task) -> Result<Stored, String> {
        let mut state = self.lock();
        let asked = matches!(
            state.blobs.get(&sha256),
            Some(Entry::Coming(_) | Entry::Here(_))
        );
        if !asked {
            let coming = Coming {
                size,
                received: 0,
                hash: Sha256::new(),
                store: Stored::empty(size)?,
            };
            state.blobs.insert(sha256, Entry::Coming(Box::new(coming)));
            drop(state);
            self.outbox.send(&FromAgent::NeedBlob { sha256 });
            state = self.lock();
        }
        loop {
            match state.blobs.get(&sha256) {
                Some(Entry::Here(stored)) => return Ok(stored.clone()),
                Some(Entry::Failed(reason)) => return Err(reason.clone()),
                Some(Entry::Coming(_)) | None => {}
            }
            if state.closed {
                task.must_do_without();
                return Err("the connection ended".into());
            }
            if task.is_cancelled() {
                return Err(crate::task::CANCELLED.into());
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes a piece. One that nobody asked for is dropped.
    pub(crate) fn receive(&self, piece: &Blob) {
        let mut state = self.lock();
        let Some(Entry::Coming(coming)) = state.blobs.get_mut(&piece.sha256) else {
            return;
        };
        let next = match coming.take(piece) {
            Ok(()) if !piece.last => return,
            Ok(()) if coming.received != coming.size => Entry::Failed(format!(
                "{} bytes came, {} were announced",
                coming.received, coming.size
            )),
            Ok(()) if <[u8; 32]>::from(coming.hash.clone().finalize()) != piece.sha256 => {
                Entry::Failed("what came does not have the announced hash".into())
            }
            Ok(()) => Entry::Here(coming.store.clone()),
            Err(reason) => Entry::Failed(reason),
        };
        state.blobs.insert(piece.sha256, next);
        drop(state);
        self.changed.notify_all();
    }

    /// The controller cannot deliver it.
    pub(crate) fn refuse(&self, sha256: [u8; 32], reason: String) {
        self.lock().blobs.insert(sha256, Entry::Failed(reason));
        self.changed.notify_all();
    }

    /// Lets those who wait look whether their task was cancelled.
    pub(crate) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

impl Coming {
    fn take(&mut self, piece: &Blob) -> Result<(), String> {
        let end = self.received + piece.bytes.len() as u64;
        if piece.offset != self.received || end > self.size {
            return Err(format!(
                "a piece at {} came where {} of {} bytes were received",
                piece.offset, self.received, self.size
            ));
        }
        match &mut self.store {
            Stored::Memory(bytes) => match Arc::get_mut(bytes) {
                Some(bytes) => bytes.extend_from_slice(&piece.bytes),
                None => return Err("content is read before it is complete".into()),
            },
            Stored::File(file) => file
                .write_all_at(&piece.bytes, piece.offset)
                .map_err(|error| format!("cannot keep it on the host: {error}"))?,
        }
        self.hash.update(&piece.bytes);
        self.received = end;
        Ok(())
    }
}

impl Stored {
    fn empty(size: u64) -> Result<Self, String> {
        if size <= MEMORY_MAX {
            return Ok(Stored::Memory(Arc::default()));
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let nameless = |dir: &str| openat(CWD, dir, flags, Mode::from_raw_mode(0o600)).ok();
        let file = match DIRS.iter().find_map(|dir| nameless(dir)) {
            Some(file) => file,
            None => memfd_create("hostler-blob", MemfdFlags::CLOEXEC)
                .map_err(|error| format!("no place to keep {size} bytes: {error}"))?,
        };
        Ok(Stored::File(Arc::new(file.into())))
    }

    /// Reads from an offset; 0 bytes at the end.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        match self {
            Stored::File(file) => file.read_at(buffer, offset),
            Stored::Memory(bytes) => {
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let count = buffer.len().min(bytes.len() - start);
                buffer[..count].copy_from_slice(&bytes[start..start + count]);
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(content: &[u8], range: std::ops::Range<usize>) -> Blob {
        Blob {
            sha256: Sha256::digest(content).into(),
            offset: range.start as u64,
            last: range.end == content.len(),
            bytes: content[range].to_vec(),
        }
    }

    fn read(stored: &Stored) -> Vec<u8> {
        let mut buffer = vec![0; 8 << 20];
        let count = stored.read_at(&mut buffer, 0).unwrap();
        buffer.truncate(count);
        buffer
    }

    fn asked_for(content: &[u8], size: u64, pieces: &[Blob]) -> Result<Stored, String> {
        let blobs = Blobs::new(Arc::default());
        let sha256 = Sha256::digest(content).into();
        let coming = Coming {
            size,
            received: 0,
            hash: Sha256::new(),
            store: Stored::empty(size).unwrap(),
        };
        let entry = Entry::Coming(Box::new(coming));
        blobs.lock().blobs.insert(sha256, entry);
        for piece in pieces {
            blobs.receive(piece);
        }
        blobs.close();
        blobs.get(sha256, size, &Task::default())
    }

    #[test]
    fn small_and_large_ones_arrive_whole() {
        for len in [0, 10, 3 << 20] {
            let content: Vec<u8> = (0..=250).cycle().take(len).collect();
            let half = len / 2;
            let pieces = if len == 0 {
                vec![piece(&content, 0..0)]
            } else {
                vec![piece(&content, 0..half), piece(&content, half..len)]
            };
            let stored = asked_for(&content, len as u64, &pieces).unwrap();
            assert!(read(&stored) == content);
        }
    }

    #[test]
    fn wrong_content_length_or_order_is_refused() {
        let content = b"0123456789";
        let mut forged = piece(content, 0..10);
        forged.bytes[0] = b'x';
        assert!(asked_for(content, 10, &[forged]).is_err());
        assert!(asked_for(content, 9, &[piece(content, 0..10)]).is_err());
        assert!(asked_for(content, 11, &[piece(content, 0..10)]).is_err());
        assert!(asked_for(content, 10, &[piece(content, 5..10)]).is_err());
    }
}
