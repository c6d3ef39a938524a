//! Lanes: this binary as another user, started through sudo, su or doas, and its frames.

mod classify;
mod public;
mod start;
mod tty;

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use hostler_protocol::{Become, Frames, FromAgent, HEADER_LEN, LaneError, LaneErrorKind};

use rustix::termios::isatty;

use crate::outbox::Outbox;
use crate::process::exit_code;
use start::{Event, Started};

pub(crate) use tty::{TTY_WORD, make_input_raw, on_terminal};

/// Frames that may wait for a lane that does not read; then it is given up.
const WAITING_MAX: usize = 256;

/// What ends the input of an agent whose input is a terminal: a frame without a message.
const END_OF_INPUT: [u8; HEADER_LEN] = [0; HEADER_LEN];

/// Lanes that are open.
#[derive(Default)]
struct Open {
    state: Mutex<OpenState>,
    changed: Condvar,
}

#[derive(Default)]
struct OpenState {
    inputs: HashMap<u16, SyncSender<Vec<u8>>>,
    /// Processes that have not ended.
    running: usize,
    /// The connection has ended.
    closed: bool,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, OpenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lanes of this agent.
pub(crate) struct Lanes {
    outbox: Arc<Outbox>,
    sha256: [u8; 32],
    open: Arc<Open>,
}

impl Lanes {
    pub(crate) fn new(outbox: Arc<Outbox>, sha256: [u8; 32]) -> Self {
        Lanes {
            outbox,
            sha256,
            open: Arc::default(),
        }
    }

    /// Opens a lane; the answer is its hello or a [`FromAgent::LaneFailed`].
    pub(crate) fn open(&self, lane: u16, r#become: Become) {
        let (outbox, open, sha256) = (self.outbox.clone(), self.open.clone(), self.sha256);
        let body = move || {
            let ended = start::start(&r#become, &sha256);
            drop(r#become);
            let message = match ended {
                Ok(started) => FromAgent::LaneClosed {
                    lane,
                    reason: relay(lane, started, &outbox, &open),
                },
                Err((kind, message)) => FromAgent::LaneFailed(LaneError {
                    lane,
                    kind,
                    message,
                }),
            };
            open.lock().inputs.remove(&lane);
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
        let mut open = self.open.lock();
        let Some(input) = open.inputs.get(&lane) else {
            return;
        };
        let mut frame = Vec::with_capacity(HEADER_LEN + body.len());
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        frame.extend_from_slice(&len.to_le_bytes());
        frame.extend_from_slice(&[0, 0]);
        frame.extend_from_slice(body);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = input.try_send(frame) {
            open.inputs.remove(&lane);
        }
    }

    /// Ends their inputs, and so them, when their tasks have ended.
    pub(crate) fn close_all(&self) {
        let mut open = self.open.lock();
        open.closed = true;
        open.inputs.clear();
    }

    /// Waits until all have ended. Who has not said hello is not waited for.
    pub(crate) fn wait(&self) {
        let running = |open: &mut OpenState| open.running > 0;
        drop(self.open.changed.wait_while(self.open.lock(), running));
    }
}

/// Copies frames both ways until the process ends; says how it ended.
fn relay(lane: u16, started: Started, outbox: &Outbox, open: &Open) -> String {
    let (sender, queue) = sync_channel::<Vec<u8>>(WAITING_MAX);
    {
        let mut open = open.lock();
        open.running += 1;
        if !open.closed {
            open.inputs.insert(lane, sender);
        }
    }
    let how = copy(lane, started, queue, outbox, open);
    open.lock().running -= 1;
    open.changed.notify_all();
    how
}

fn copy(
    lane: u16,
    started: Started,
    queue: Receiver<Vec<u8>>,
    outbox: &Outbox,
    open: &Open,
) -> String {
    let Started {
        mut child,
        mut stdin,
        events,
        first,
        mut said,
    } = started;
    // Ends when the sender is gone (the connection or the lane ended) or the process reads no more.
    let writer = move || {
        for frame in queue {
            if stdin.write_all(&frame).is_err() {
                return;
            }
        }
        if isatty(&stdin) {
            let _ = stdin.write_all(&END_OF_INPUT);
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
    open.lock().inputs.remove(&lane);
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
