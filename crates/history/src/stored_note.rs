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

#[cfg(test)]
mod tests {
    use hostler_events::TaskKind;
    use hostler_journal::Print;

    use super::*;
    use crate::event_text::hex;

    /// Whoever has to change these bytes counts [`FORM`] up: journals of the old form are not understood any more. The
    /// result in [`Finished`] is JSON, which may grow.
    #[test]
    fn the_form_is_what_its_number_says() {
        let notes = [
            Note::Task {
                id: TaskId(3),
                execution: Execution {
                    play: 1,
                    batch: 2,
                    kind: TaskKind::Handler,
                    print: Print([9; 16]),
                    occurrence: 4,
                },
                name: "n".into(),
                module: "m".into(),
            },
            Note::Intent(Intent {
                task: TaskId(3),
                host: "h".into(),
                step: 1,
                attempt: 2,
                key: TaskKey([7; 16]),
                place: "p".into(),
                boot_id: "b".into(),
                module: "m".into(),
                request: Print([8; 16]),
                items: vec![5],
                repeatable: true,
            }),
            Note::Answer {
                key: TaskKey([7; 16]),
                outcomes: BTreeMap::from([(5, Outcome::failure("f"))]),
                unknown: true,
            },
        ];
        let bytes: Vec<u8> = notes
            .into_iter()
            .flat_map(|note| prepare(note).unwrap().bytes)
            .collect();
        assert_eq!(FORM, 1);
        assert_eq!(hex(&bytes), FORM_1);
        assert_eq!(read(&bytes).unwrap().len(), 3);
        assert!(read(&bytes[..bytes.len() - 1]).is_err());
    }

    const FORM_1: &str = "00030102010909090909090909090909090909090904016e016d010301680102070707070707\
        0707070707070707070701700162016d08080808080808080808080808080808010501020707\
        070707070707070707070707070701050000010166000000000000000000000001";
}
