//! Lanes: this binary as another user, started through sudo, su or doas, and its frames.

mod classify;
mod public;
mod start;
mod tty;

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hostler_protocol::{Become, Frames, FromAgent, HEADER_LEN, LaneError, LaneErrorKind};

use crate::outbox::Outbox;
use crate::process::exit_code;
use start::{Event, Started};

pub(crate) use tty::{TTY_WORD, make_input_raw, on_terminal};

/// Frames that may wait for a lane that does not read; then it is given up.
const WAITING_MAX: usize = 256;

type Inputs = Arc<Mutex<HashMap<u16, SyncSender<Vec<u8>>>>>;

/// The lanes of this agent.
pub(crate) struct Lanes {
    outbox: Arc<Outbox>,
    sha256: [u8; 32],
    inputs: Inputs,
}

impl Lanes {
    pub(crate) fn new(outbox: Arc<Outbox>, sha256: [u8; 32]) -> Self {
        Lanes {
            outbox,
            sha256,
            inputs: Inputs::default(),
        }
    }

    /// Opens a lane; the answer is its hello or a [`FromAgent::LaneFailed`].
    pub(crate) fn open(&self, lane: u16, r#become: Become) {
        let (outbox, inputs, sha256) = (self.outbox.clone(), self.inputs.clone(), self.sha256);
        let body = move || {
            let ended = start::start(&r#become, &sha256);
            drop(r#become);
            let message = match ended {
                Ok(started) => FromAgent::LaneClosed {
                    lane,
                    reason: relay(lane, started, &outbox, &inputs),
                },
                Err((kind, message)) => FromAgent::LaneFailed(LaneError {
                    lane,
                    kind,
                    message,
                }),
            };
            inputs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&lane);
            outbox.send(&message);
        };
        if let Err(error) = thread::Builder::new().spawn(body) {
            self.outbox.send(&FromAgent::LaneFailed(LaneError {
                lane,
                kind: LaneErrorKind::Failed,
                message: format!("cannot start a thread: {error}"),
            }));
        }
    }

    /// Hands a frame to a lane. One that is not there (any more) gets nothing: its end was told.
    pub(crate) fn pass_on(&self, lane: u16, body: &[u8]) {
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(input) = inputs.get(&lane) else {
            return;
        };
        let mut frame = Vec::with_capacity(HEADER_LEN + body.len());
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        frame.extend_from_slice(&len.to_le_bytes());
        frame.extend_from_slice(&[0, 0]);
        frame.extend_from_slice(body);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = input.try_send(frame) {
            inputs.remove(&lane);
        }
    }

    /// Ends their inputs, and so them.
    pub(crate) fn close_all(&self) {
        self.inputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Copies frames both ways until the process ends; says how it ended.
fn relay(lane: u16, started: Started, outbox: &Outbox, inputs: &Inputs) -> String {
    let Started {
        mut child,
        mut stdin,
        events,
        first,
        mut said,
    } = started;
    let (sender, queue) = sync_channel::<Vec<u8>>(WAITING_MAX);
    inputs
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(lane, sender);
    // Ends when the sender is gone (the connection or the lane ended) or the process reads no more.
    let writer = move || {
        for frame in queue {
            if stdin.write_all(&frame).is_err() {
                break;
            }
        }
    };
    if let Err(error) = thread::Builder::new().spawn(writer) {
        return format!("cannot start a thread: {error}");
    }
    let mut frames = Frames::new();
    frames.push(&first);
    loop {
        loop {
            match frames.next_frame() {
                Ok(Some((_, body))) => outbox.relay(lane, &body),
                Ok(None) => break,
                Err(error) => return format!("it sent what is not a frame: {error}"),
            }
        }
        match events.recv() {
            Ok(Event::Out(bytes)) => frames.push(&bytes),
            Ok(Event::Said(bytes)) => said.push(&bytes),
            Ok(Event::OutEnded) | Err(_) => break,
        }
    }
    inputs
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&lane);
    let status = child.wait();
    // What it said last may still be on its way.
    while let Ok(event) = events.recv_timeout(start::LAST_WORDS) {
        if let Event::Said(bytes) = event {
            said.push(&bytes);
        }
    }
    let how = match status.map(exit_code) {
        Ok(code) if code < 0 => format!("ended by signal {}", -code),
        Ok(code) => format!("ended with exit status {code}"),
        Err(error) => format!("ended: {error}"),
    };
    match said.last_line() {
        Some(line) => format!("{how}: {line}"),
        None => how,
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
