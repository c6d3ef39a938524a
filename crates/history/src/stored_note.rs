//! Notes in the form in which they are stored: postcard, one after the other.

use std::collections::BTreeMap;

use hostler_change::{Outcome, Replaced};
use hostler_events::TaskId;
use hostler_journal::{Execution, Finished, Intent, Note, OwedHandler};
use hostler_protocol::TaskKey;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};

/// Number of the form of journals, requests and replaced files. Postcard tells no fields apart: whoever changes the shape
/// of [`Intent`], [`Execution`], [`Finished`] or [`Outcome`] counts this up (a test holds the bytes), and runs of an
/// older form can be shown, but not resumed.
pub(crate) const FORM: u32 = 1;

/// A note that a resumed run remembers.
#[derive(Serialize, Deserialize)]
pub(crate) enum StoredNote {
    Task {
        id: TaskId,
        execution: Execution,
        name: String,
        module: String,
    },
    Intent(Intent),
    Answer {
        key: TaskKey,
        outcomes: BTreeMap<u32, Outcome>,
        unknown: bool,
    },
    Finished {
        task: TaskId,
        host: String,
        finished: Box<Finished>,
    },
}

/// What a note does besides being remembered.
#[derive(Clone, Debug)]
pub(crate) enum Side {
    None,
    /// Where the answer with this key will come from.
    Intent {
        key: TaskKey,
        task: TaskId,
        host: String,
        place: String,
    },
    /// Files that were replaced.
    Answer {
        key: TaskKey,
        replaced: Vec<Replaced>,
    },
    Owed(OwedHandler),
    Paid(OwedHandler),
}

/// A note that is ready to be written.
pub(crate) struct Prepared {
    /// What is remembered; may be empty.
    pub(crate) bytes: Vec<u8>,
    pub(crate) side: Side,
}

impl Prepared {
    /// Bytes that it holds in memory, about.
    pub(crate) fn size(&self) -> usize {
        let beside = match &self.side {
            Side::Answer { replaced, .. } => replaced.iter().map(kept).sum(),
            _ => 0,
        };
        self.bytes.len() + beside + 200
    }
}

fn kept(replaced: &Replaced) -> usize {
    let content = replaced.before.as_ref().and_then(|it| it.content.as_ref());
    content.map_or(0, Vec::len) + 200
}

/// Makes a note ready.
///
/// # Errors
/// In words, if it cannot be serialised.
pub(crate) fn prepare(note: Note) -> std::result::Result<Prepared, String> {
    let (stored, side) = match note {
        Note::Task {
            id,
            execution,
            name,
            module,
        } => {
            let stored = StoredNote::Task {
                id,
                execution,
                name,
                module,
            };
            (Some(stored), Side::None)
        }
        Note::Intent(intent) => {
            let side = Side::Intent {
                key: intent.key,
                task: intent.task,
                host: intent.host.clone(),
                place: intent.place.clone(),
            };
            (Some(StoredNote::Intent(intent)), side)
        }
        Note::Answer {
            key,
            mut outcomes,
            unknown,
        } => {
            let replaced = outcomes
                .values_mut()
                .flat_map(|outcome| std::mem::take(&mut outcome.replaced))
                .collect();
            let stored = StoredNote::Answer {
                key,
                outcomes,
                unknown,
            };
            (Some(stored), Side::Answer { key, replaced })
        }
        Note::Finished {
            task,
            host,
            finished,
        } => {
            let stored = StoredNote::Finished {
                task,
                host,
                finished,
            };
            (Some(stored), Side::None)
        }
        Note::Owed(owed) => (None, Side::Owed(owed)),
        Note::Paid(owed) => (None, Side::Paid(owed)),
    };
    let bytes = match stored {
        Some(stored) => postcard::to_allocvec(&stored).map_err(|error| error.to_string())?,
        None => Vec::new(),
    };
    Ok(Prepared { bytes, side })
}

/// Notes of one entry, in order.
pub(crate) fn read(mut bytes: &[u8]) -> Result<Vec<StoredNote>> {
    let mut notes = Vec::new();
    while !bytes.is_empty() {
        let (note, rest) = postcard::take_from_bytes(bytes).map_err(StoreError::unreadable)?;
        notes.push(note);
        bytes = rest;
    }
    Ok(notes)
}
