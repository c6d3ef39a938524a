//! The state that a session's reader and its callers share: which task and lane waits for what.
//!
//! Everything here is quick and never waits, so that the channel is always drained. What a host may make us hold is
//! bounded: each item of a task answers once, a few blobs are sent at a time, and one frame is collected at most.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_change::Outcome;
use hostler_protocol::{FrameError, Frames, FromAgent, Hello, LaneError, Lease, Unresolved};
use tokio::sync::{mpsc, oneshot};

use super::blobs::{BlobSource, send_blob};
use crate::failure::{Reason, Unreachable, printable};

/// Blobs on their way to one host at the same time. An agent runs one task per lane, and each waits for one blob.
const BLOBS_AT_ONCE_MAX: usize = 32;

/// What a message costs that waits for its reader, beside its content.
const MESSAGE_COST: usize = 128;

/// Why a task has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The session is over; the outcome of what was running is unknown.
    #[error(transparent)]
    Lost(Unreachable),
    /// The agent of this lane ended (its `sudo` was killed, say); other lanes go on.
    #[error("the agent on lane {lane} ended: {reason}")]
    LaneClosed {
        /// Which.
        lane: u16,
        /// The other side's words, printable.
        reason: String,
    },
    /// The request cannot be sent at all.
    #[error("the task is too large to send: {0}")]
    TooLarge(String),
}

/// Why `become` did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneOpenError {
    /// The program that changes the user refused, or the agent under it did not start.
    #[error("{}", .0.message)]
    Refused(LaneError),
    /// The session is over.
    #[error(transparent)]
    Lost(Unreachable),
}

/// What a running task says.
#[derive(Debug)]
pub enum TaskMessage {
    /// An item is done.
    Done {
        /// The item's index, as it was sent.
        index: u32,
        /// What came of it.
        outcome: Box<Outcome>,
    },
    /// What a program of the task wrote, if the task is watched.
    Output {
        /// Standard error?
        is_stderr: bool,
        /// What.
        bytes: Vec<u8>,
    },
    /// What the task is doing, printable.
    Progress(String),
    /// Nothing more will come, since the host does not know more: only if it was asked what came of an earlier message.
    Unresolved(Unresolved),
    /// Nothing more will come.
    End,
}

pub(super) type TaskSender = mpsc::UnboundedSender<Result<TaskMessage, SessionError>>;

/// A task that waits for answers.
pub(super) struct Waiting {
    pub(super) lane: u16,
    /// Items that have not answered; what else answers is a fault.
    pub(super) items: HashSet<u32>,
    /// Was it asked what came of an earlier message? Only then the host may not know it.
    pub(super) asks: bool,
    /// Bytes of output and progress that it may still send: nobody waits for them, so they must not pile up.
    pub(super) talk: usize,
    /// Bytes of results that it may still send.
    pub(super) results: usize,
    pub(super) sender: TaskSender,
}

impl Waiting {
    /// Passes on what a watched task says; what is too much is dropped.
    fn says(&mut self, bytes: usize, message: TaskMessage) {
        if let Some(rest) = self.talk.checked_sub(bytes + MESSAGE_COST) {
            self.talk = rest;
            let _caller_gave_up = self.sender.send(Ok(message));
        }
    }
}

type LaneWaiter = oneshot::Sender<Result<Hello, LaneOpenError>>;

#[derive(Default)]
struct State {
    frames: Frames,
    tasks: HashMap<u32, Waiting>,
    opening: HashMap<u16, LaneWaiter>,
    open: HashSet<u16>,
    pings: HashMap<u64, oneshot::Sender<()>>,
    leases: HashMap<u16, oneshot::Sender<Option<Lease>>>,
    blobs: HashSet<(u16, [u8; 32])>,
    ended: Option<Unreachable>,
    frames_received: u64,
    bytes_received: u64,
}

/// See the module.
pub(super) struct Core {
    state: Mutex<State>,
    peer: String,
    sha256: [u8; 32],
    source: Arc<dyn BlobSource>,
    queue: mpsc::WeakSender<Vec<u8>>,
}

impl Core {
    pub(super) fn new(
        peer: &str,
        sha256: [u8; 32],
        frames: Frames,
        source: Arc<dyn BlobSource>,
        queue: &mpsc::Sender<Vec<u8>>,
    ) -> Self {
        let state = State {
            frames,
            open: HashSet::from([0]),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            peer: peer.to_owned(),
            sha256,
            source,
            queue: queue.downgrade(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn frames_received(&self) -> u64 {
        self.lock().frames_received
    }

    /// Bytes that the agent has said, whole messages or not.
    pub(super) fn bytes_received(&self) -> u64 {
        self.lock().bytes_received
    }

    /// Lanes with tasks that have not ended.
    pub(super) fn waiting_lanes(&self) -> HashSet<u16> {
        self.lock().tasks.values().map(|it| it.lane).collect()
    }

    /// Why the session is over, if it is.
    pub(super) fn ended(&self) -> Option<Unreachable> {
        self.lock().ended.clone()
    }

    /// Registers a task before it is sent.
    pub(super) fn expect_task(&self, task: u32, waiting: Waiting) -> Result<(), SessionError> {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(SessionError::Lost(ended.clone()));
        }
        if !state.open.contains(&waiting.lane) {
            return Err(SessionError::LaneClosed {
                lane: waiting.lane,
                reason: "it is not open".to_owned(),
            });
        }
        state.tasks.insert(task, waiting);
        Ok(())
    }

    pub(super) fn forget_task(&self, task: u32) {
        self.lock().tasks.remove(&task);
    }

    /// Registers a lane that is about to be opened.
    pub(super) fn expect_lane(&self, lane: u16, waiter: LaneWaiter) -> Result<(), LaneOpenError> {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(LaneOpenError::Lost(ended.clone()));
        }
        state.opening.insert(lane, waiter);
        Ok(())
    }

    /// Registers a lane that asks for its user's lock.
    pub(super) fn expect_lease(
        &self,
        lane: u16,
        waiter: oneshot::Sender<Option<Lease>>,
    ) -> Result<(), Unreachable> {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        if !state.open.contains(&lane) {
            let words = format!("{}: the agent on lane {lane} has ended", self.peer);
            return Err(Unreachable::new(Reason::Lost, words));
        }
        state.leases.insert(lane, waiter);
        Ok(())
    }

    pub(super) fn expect_pong(
        &self,
        number: u64,
        waiter: oneshot::Sender<()>,
    ) -> Result<(), Unreachable> {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        state.pings.insert(number, waiter);
        Ok(())
    }

    /// Takes bytes from the channel. An error ends the session.
    pub(super) fn receive(self: &Arc<Self>, bytes: &[u8]) -> Result<(), Unreachable> {
        let mut state = self.lock();
        state.frames.push(bytes);
        state.bytes_received += bytes.len() as u64;
        loop {
            let frame = state
                .frames
                .next_frame()
                .map_err(|error| self.fault(&error.to_string()))?;
            let Some((lane, body)) = frame else {
                return Ok(());
            };
            state.frames_received += 1;
            let message = hostler_protocol::decode(&body)
                .map_err(|error: FrameError| self.fault(&error.to_string()))?;
            self.dispatch(&mut state, lane, body.len(), message)?;
        }
    }

    fn fault(&self, words: &str) -> Unreachable {
        let words = printable(words.as_bytes(), 300);
        Unreachable::new(
            Reason::AgentProtocol,
            format!("{}: the agent broke the protocol: {words}", self.peer),
        )
    }

    fn dispatch(
        self: &Arc<Self>,
        state: &mut State,
        lane: u16,
        size: usize,
        message: FromAgent,
    ) -> Result<(), Unreachable> {
        match message {
            FromAgent::Hello(hello) => {
                let Some(waiter) = state.opening.remove(&lane) else {
                    return Err(self.fault("a hello that nobody waits for"));
                };
                if hello.sha256 != self.sha256 {
                    return Err(self.fault("another program answers on a lane"));
                }
                state.open.insert(lane);
                let _caller_gave_up = waiter.send(Ok(hello));
            }
            FromAgent::LaneFailed(error) => self.lane_failed(state, lane, &error)?,
            FromAgent::LaneClosed {
                lane: closed,
                reason,
            } => {
                if lane != 0 || !state.open.remove(&closed) || closed == 0 {
                    return Err(self.fault("a lane that is not open has closed"));
                }
                close_lane(state, closed, &printable(reason.as_bytes(), 500));
            }
            FromAgent::Done {
                task,
                index,
                outcome,
            } => {
                let Some(waiting) = state.tasks.get_mut(&task).filter(|w| w.lane == lane) else {
                    // A task whose caller has gone; its answers are nobody's.
                    return Ok(());
                };
                if !waiting.items.remove(&index) {
                    return Err(self.fault("an item that was not sent, or twice, is done"));
                }
                let Some(rest) = waiting.results.checked_sub(size) else {
                    return Err(self.fault("its results are larger than any real ones"));
                };
                waiting.results = rest;
                let _caller_gave_up = waiting
                    .sender
                    .send(Ok(TaskMessage::Done { index, outcome }));
            }
            FromAgent::End { task } => {
                if state.tasks.get(&task).is_some_and(|w| w.lane == lane)
                    && let Some(waiting) = state.tasks.remove(&task)
                {
                    let _caller_gave_up = waiting.sender.send(Ok(TaskMessage::End));
                }
            }
            FromAgent::Leased { held_by } => {
                let Some(waiter) = state.leases.remove(&lane) else {
                    return Err(self.fault("it answers for a lock that nobody asked for"));
                };
                let _caller_gave_up = waiter.send(held_by.as_ref().map(printable_lease));
            }
            FromAgent::Unresolved { task, why } => self.unresolved(state, lane, task, why)?,
            FromAgent::Output {
                task,
                is_stderr,
                bytes,
            } => {
                let message = TaskMessage::Output { is_stderr, bytes };
                says(state, lane, task, size, message);
            }
            FromAgent::Progress { task, doing } => {
                let doing = printable(doing.as_bytes(), 300);
                says(state, lane, task, size, TaskMessage::Progress(doing));
            }
            FromAgent::NeedBlob { sha256 } => self.start_blob(state, lane, sha256)?,
            FromAgent::Pong(number) => {
                if let Some(waiter) = state.pings.remove(&number) {
                    let _caller_gave_up = waiter.send(());
                }
            }
        }
        Ok(())
    }

    fn lane_failed(
        &self,
        state: &mut State,
        lane: u16,
        error: &LaneError,
    ) -> Result<(), Unreachable> {
        let error = LaneError {
            message: printable(error.message.as_bytes(), 500),
            ..*error
        };
        match state.opening.remove(&error.lane) {
            Some(waiter) if lane == 0 => {
                let _caller_gave_up = waiter.send(Err(LaneOpenError::Refused(error)));
                Ok(())
            }
            _ => Err(self.fault("a lane that nobody opens has failed")),
        }
    }

    /// A host does not know what came of a message: which only that is told who asked for it.
    fn unresolved(
        &self,
        state: &mut State,
        lane: u16,
        task: u32,
        why: Unresolved,
    ) -> Result<(), Unreachable> {
        let Some(waiting) = state.tasks.get(&task).filter(|w| w.lane == lane) else {
            return Ok(());
        };
        if !waiting.asks {
            return Err(self.fault("it does not know a task that it was given just now"));
        }
        if let Some(waiting) = state.tasks.remove(&task) {
            let _caller_gave_up = waiting.sender.send(Ok(TaskMessage::Unresolved(why)));
        }
        Ok(())
    }

    fn start_blob(
        self: &Arc<Self>,
        state: &mut State,
        lane: u16,
        sha256: [u8; 32],
    ) -> Result<(), Unreachable> {
        if !state.open.contains(&lane) || !state.blobs.insert((lane, sha256)) {
            return Err(self.fault("content is asked for twice, or on a lane that is not open"));
        }
        if state.blobs.len() > BLOBS_AT_ONCE_MAX {
            return Err(self.fault("too much content is asked for at once"));
        }
        let core = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            if let Some(queue) = core.queue.upgrade() {
                send_blob(&core.source, lane, sha256, &queue);
            }
            core.lock().blobs.remove(&(lane, sha256));
        });
        Ok(())
    }

    /// Ends the session: everybody who waits is told why. Only the first reason counts.
    pub(super) fn end(&self, why: &Unreachable) {
        let mut state = self.lock();
        let why = state.ended.get_or_insert_with(|| why.clone()).clone();
        for (_, waiting) in state.tasks.drain() {
            let _caller_gave_up = waiting.sender.send(Err(SessionError::Lost(why.clone())));
        }
        for (_, waiter) in state.opening.drain() {
            let _caller_gave_up = waiter.send(Err(LaneOpenError::Lost(why.clone())));
        }
        // Dropping a sender tells its waiter.
        state.pings.clear();
        state.leases.clear();
    }
}

/// Passes on what a watched task says.
fn says(state: &mut State, lane: u16, task: u32, bytes: usize, message: TaskMessage) {
    if let Some(waiting) = state.tasks.get_mut(&task).filter(|w| w.lane == lane) {
        waiting.says(bytes, message);
    }
}

/// A lock's holder, as a host tells it.
fn printable_lease(lease: &Lease) -> Lease {
    let short = |text: &str| printable(text.as_bytes(), 200);
    Lease {
        id: short(&lease.id),
        run: short(&lease.run),
        who: short(&lease.who),
        since_us: lease.since_us,
    }
}

fn close_lane(state: &mut State, lane: u16, reason: &str) {
    state.leases.remove(&lane);
    let lost: Vec<u32> = state
        .tasks
        .iter()
        .filter(|(_, w)| w.lane == lane)
        .map(|(task, _)| *task)
        .collect();
    for task in lost {
        if let Some(waiting) = state.tasks.remove(&task) {
            let error = SessionError::LaneClosed {
                lane,
                reason: reason.to_owned(),
            };
            let _caller_gave_up = waiting.sender.send(Err(error));
        }
    }
}
