//! What waits to be written, between those who give it and the thread that writes.

use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostler_journal::{JournalError, Memory};

use crate::event_text::PreparedEvent;
use crate::lease::Conflict;
use crate::stored_note::Prepared;
use crate::waiter::{self, Waiter, Waiting};
use crate::{Result, RunEnd};

/// What nobody waits for is written after this long.
pub(crate) const LAZY: Duration = Duration::from_millis(200);
/// Notes of this many bytes may wait; whoever gives more is held up until there is room.
const NOTE_BYTES_MAX: usize = 16 << 20;
/// Events of this many bytes may wait; after [`PATIENCE`] without room they are dropped and counted.
const EVENT_BYTES_MAX: usize = 8 << 20;
/// Events of this many bytes are written at once: they make one chunk.
const CHUNK_BYTES: usize = 128 << 10;
/// How long a slow disk may hold up the thread that shows events.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that the writing thread is asked to do.
pub(crate) enum Command {
    Acquire {
        hosts: Vec<String>,
        breaks: Option<String>,
        reply: Sender<Result<Vec<Conflict>>>,
    },
    Finish {
        end: Box<RunEnd>,
        reply: Sender<Result<()>>,
    },
}

/// Who wants to be reminded of which hosts.
pub(crate) struct Recall {
    pub(crate) hosts: Vec<String>,
    pub(crate) waiter: Waiter<Memory>,
}

/// What the writing thread takes at once.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) notes: Vec<Prepared>,
    pub(crate) patch_notes: Vec<String>,
    pub(crate) events: Vec<PreparedEvent>,
    pub(crate) lost_events: u64,
    pub(crate) waiters: Vec<Waiter<()>>,
    pub(crate) recalls: Vec<Recall>,
    pub(crate) commands: Vec<Command>,
    /// Nothing comes after this.
    pub(crate) last: bool,
}

#[derive(Default)]
struct State {
    batch: Batch,
    note_bytes: usize,
    event_bytes: usize,
    note_since: Option<Instant>,
    event_since: Option<Instant>,
    /// Since when there has been no room for events.
    full_since: Option<Instant>,
    broken: Option<String>,
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, note: std::result::Result<Prepared, String>) {
        let note = match note {
            Ok(note) => note,
            Err(why) => return self.break_for(&why),
        };
        let mut state = self.state();
        while state.note_bytes > NOTE_BYTES_MAX && state.broken.is_none() {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.note_bytes += note.size();
        state.batch.notes.push(note);
        if state.note_since.is_none() {
            state.note_since = Some(Instant::now());
            self.work.notify_one();
        }
    }

    /// A line of a patch run. Without a journal it goes nowhere, which [`Queue::sync`] tells.
    pub(crate) fn patch_note(&self, note: String) {
        let mut state = self.state();
        while state.note_bytes > NOTE_BYTES_MAX && state.broken.is_none() {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.broken.is_some() {
            return;
        }
        state.note_bytes += note.len();
        state.batch.patch_notes.push(note);
        if state.note_since.is_none() {
            state.note_since = Some(Instant::now());
            self.work.notify_one();
        }
    }

    pub(crate) fn event(&self, event: PreparedEvent) {
        let mut state = self.state();
        while state.event_bytes > EVENT_BYTES_MAX && state.broken.is_none() {
            let since = *state.full_since.get_or_insert_with(Instant::now);
            let Some(left) = PATIENCE.checked_sub(since.elapsed()) else {
                state.batch.lost_events += 1;
                return;
            };
            let waited = self.room.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.broken.is_some() {
            state.batch.lost_events += 1;
            return;
        }
        state.full_since = None;
        state.event_bytes += event.size();
        state.batch.events.push(event);
        if state.event_since.is_none() {
            state.event_since = Some(Instant::now());
            self.work.notify_one();
        } else if state.event_bytes >= CHUNK_BYTES {
            self.work.notify_one();
        }
    }

    pub(crate) fn sync(&self) -> Waiting<()> {
        let mut state = self.state();
        if let Some(why) = &state.broken {
            return waiter::ended(Err(JournalError(why.clone())));
        }
        let (waiter, waiting) = waiter::pair();
        state.batch.waiters.push(waiter);
        self.work.notify_one();
        waiting
    }

    pub(crate) fn recall(&self, hosts: Vec<String>) -> Waiting<Memory> {
        let mut state = self.state();
        if let Some(why) = &state.broken {
            return waiter::ended(Err(JournalError(why.clone())));
        }
        let (waiter, waiting) = waiter::pair();
        state.batch.recalls.push(Recall { hosts, waiter });
        self.work.notify_one();
        waiting
    }

    pub(crate) fn command(&self, command: Command) {
        self.state().batch.commands.push(command);
        self.work.notify_one();
    }

    pub(crate) fn close(&self) {
        self.state().batch.last = true;
        self.work.notify_one();
    }

    /// The writing thread is gone, by a panic perhaps: whoever waits, or will, is told.
    pub(crate) fn end(&self) {
        self.break_for("the run is not written any more");
        let left = std::mem::take(&mut self.state().batch);
        drop(left);
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    /// Nothing can be written any more; the first reason stays.
    pub(crate) fn break_for(&self, why: &str) {
        let mut state = self.state();
        if state.broken.is_none() {
            state.broken = Some(why.to_owned());
        }
        drop(state);
        self.room.notify_all();
        self.work.notify_one();
    }

    /// Waits until there is something to write, or until `at_latest`, and takes it.
    pub(crate) fn take(&self, at_latest: Instant) -> Batch {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let asked = !state.batch.commands.is_empty()
                || !state.batch.recalls.is_empty()
                || state.batch.last;
            let due = |since: Option<Instant>| since.is_some_and(|it| now >= it + LAZY);
            let events_due = asked || due(state.event_since) || state.event_bytes >= CHUNK_BYTES;
            let notes_due = asked || events_due || due(state.note_since);
            if notes_due || !state.batch.waiters.is_empty() || now >= at_latest {
                return state.split(events_due, &self.room);
            }
            let oldest = [state.note_since, state.event_since];
            let wake = oldest.into_iter().flatten().map(|it| it + LAZY).min();
            let wake = wake.map_or(at_latest, |it| it.min(at_latest));
            let waited = self.work.wait_timeout(state, wake.duration_since(now));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// Takes everything, but events that nobody waits for only if they are due.
    fn split(&mut self, with_events: bool, room: &Condvar) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        self.note_bytes = 0;
        self.note_since = None;
        if with_events {
            self.event_bytes = 0;
            self.event_since = None;
        } else {
            self.batch.events = std::mem::take(&mut batch.events);
        }
        room.notify_all();
        batch
    }
}
