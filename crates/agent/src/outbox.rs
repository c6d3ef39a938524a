//! What goes to the controller: messages are collected and written in few, large pieces.

use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostler_change::Outcome;
use hostler_protocol::{FromAgent, HEADER_LEN, encode};

/// Bytes that are written without waiting for more.
const BATCH: usize = 64 << 10;
/// How long the result of an item waits for those of the items behind it.
const LINGER: Duration = Duration::from_millis(20);
/// Bytes that may wait; who sends more waits until the controller has read.
const WAITING_MAX: usize = 8 << 20;
/// The same for what nobody misses.
const OFFER_MAX: usize = 256 << 10;

/// The frame of an item's result. One that is too large goes without the files that were replaced, then as a failure.
pub(crate) fn encode_done(done: &mut FromAgent) -> Vec<u8> {
    loop {
        let error = match encode(0, done) {
            Ok(frame) => return frame,
            Err(error) => error,
        };
        let FromAgent::Done { outcome, .. } = done else {
            return Vec::new();
        };
        if outcome.replaced.is_empty() {
            **outcome = Outcome::failure(format!("the result cannot be sent: {error}"));
        } else {
            outcome.replaced.clear();
            let words = "the result is too large to tell what was in the files that it replaced";
            outcome.warnings.push(words.to_owned());
        }
    }
}

/// Collects frames.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    oldest: Option<Instant>,
    urgent: bool,
    /// Nobody waits until what is there was read: the other end may be gone.
    ending: bool,
    closed: bool,
}

impl Outbox {
    /// Sends a message of this agent at once.
    pub(crate) fn send(&self, message: &FromAgent) {
        if let Ok(frame) = encode(0, message) {
            self.push(&[&frame], true);
        }
    }

    /// Sends a frame of this agent. Results of items wait a moment for company, all else is urgent.
    pub(crate) fn forward(&self, frame: &[u8], urgent: bool) {
        self.push(&[frame], urgent);
    }

    /// Sends what may get lost: not if much is waiting already.
    pub(crate) fn offer(&self, message: &FromAgent) {
        if self.lock().waiting.len() < OFFER_MAX {
            self.send(message);
        }
    }

    /// Passes on a message of a lane, unread.
    pub(crate) fn relay(&self, lane: u16, body: &[u8]) {
        let mut header = [0; HEADER_LEN];
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        header[..4].copy_from_slice(&len.to_le_bytes());
        header[4..].copy_from_slice(&lane.to_le_bytes());
        self.push(&[&header, body], true);
    }

    /// Bytes that are not a frame: the magic.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.push(&[bytes], false);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, parts: &[&[u8]], urgent: bool) {
        let mut state = self.lock();
        while state.waiting.len() > WAITING_MAX {
            if state.ending || state.closed {
                return;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return;
        }
        for part in parts {
            state.waiting.extend_from_slice(part);
        }
        let started = state.oldest.is_none();
        state.oldest.get_or_insert_with(Instant::now);
        let newly_urgent = urgent && !state.urgent;
        state.urgent |= urgent;
        if started || newly_urgent || state.waiting.len() >= BATCH {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Writes what comes until the outbox is closed and empty, or the other end has gone.
    pub(crate) fn pump(&self, mut out: impl Write) {
        while let Some(bytes) = self.next_batch() {
            if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
                self.close();
                return;
            }
        }
    }

    fn next_batch(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            let ready = state.urgent || state.closed || state.waiting.len() >= BATCH;
            let waited = state.oldest.map(|since| since.elapsed());
            if !state.waiting.is_empty() && (ready || waited >= Some(LINGER)) {
                let bytes = std::mem::take(&mut state.waiting);
                state.urgent = false;
                state.oldest = None;
                drop(state);
                self.changed.notify_all();
                return Some(bytes);
            }
            if state.closed {
                return None;
            }
            state = match waited {
                Some(waited) => {
                    let rest = LINGER.saturating_sub(waited);
                    let woken = self.changed.wait_timeout(state, rest);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// The other end may have gone: what is too much is dropped from now on.
    pub(crate) fn expect_end(&self) {
        self.lock().ending = true;
        self.changed.notify_all();
    }

    /// Nothing more is taken; what waits is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    struct Pieces(Sender<usize>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let sent = self.0.send(bytes.len());
            sent.map(|()| bytes.len()).map_err(std::io::Error::other)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn done(index: u32) -> Vec<u8> {
        encode_done(&mut FromAgent::Done {
            task: 1,
            index,
            outcome: Box::default(),
        })
    }

    #[test]
    fn a_loop_goes_out_in_few_pieces() {
        let outbox = Arc::new(Outbox::default());
        (0..1000).for_each(|index| outbox.forward(&done(index), false));
        outbox.send(&FromAgent::End { task: 1 });
        outbox.close();
        let (sender, pieces) = channel();
        outbox.pump(Pieces(sender));
        assert_eq!(pieces.iter().count(), 1);
    }

    #[test]
    fn a_lone_result_is_not_held_back_for_ever() {
        let outbox = Arc::new(Outbox::default());
        let (sender, pieces) = channel();
        let pump = std::thread::spawn({
            let outbox = outbox.clone();
            move || outbox.pump(Pieces(sender))
        });
        outbox.forward(&done(0), false);
        assert!(pieces.recv().unwrap() > 0);
        outbox.close();
        pump.join().unwrap();
    }

    #[test]
    fn a_result_that_is_too_large_becomes_a_failure() {
        let mut outcome = Outcome::default();
        outcome
            .fields
            .insert("big", "x".repeat(hostler_protocol::FRAME_MAX));
        let out = encode_done(&mut FromAgent::Done {
            task: 1,
            index: 0,
            outcome: Box::new(outcome),
        });
        assert!(out.len() > HEADER_LEN && out.len() < 1000);
    }
}
