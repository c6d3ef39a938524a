//! One host's agent: requests and their answers over one channel that is always drained.
//!
//! ```text
//!   callers --encode--> queue (bounded) --> writer task --> channel --> agent
//!   callers <--per task, per lane--  core  <-- reader task <-- channel <-- agent
//! ```
//!
//! A host that sends something else than the protocol ends its own session and nobody else's.

mod alive;
mod blobs;
mod core;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use hostler_change::Allowed;
use hostler_protocol::{Become, Hello, Item, Lease, PreviewTask, RunTask, TaskKey, ToAgent};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::core::{Core, Waiting};
use crate::bootstrap::{self, AgentImage, Started};
use crate::connect::Deadlines;
use crate::failure::{Phase, Reason, Unreachable, printable};
use crate::link::{CommandReader, CommandWriter, Exit, Inbound, Link};

pub use self::blobs::{BlobSource, NoBlobs};
pub use self::core::{LaneOpenError, SessionError, TaskMessage};

/// Frames waiting to be written. Few, so that a task does not queue behind megabytes of content.
const QUEUE_FRAMES: usize = 4;
/// What the agent may need beyond the time that `become` itself is given.
const LANE_GRACE: Duration = Duration::from_secs(10);
/// How long a closing session waits for its agent to end.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// How long an agent may take to say whether a lock is free.
const LEASE_TIME: Duration = Duration::from_secs(15);
/// Bytes of output and progress that a task may send while it runs.
const TALK_BYTES_MAX: usize = 8 << 20;
/// Bytes of results that a task may send: a host that sends more wants our memory.
const RESULT_BYTES_MAX: usize = 256 << 20;
/// How much of the agent's standard error is kept for messages.
const STDERR_BYTES_MAX: usize = 4 << 10;

/// A lane of a session: the agent as one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lane(u16);

impl Lane {
    /// The agent that was started first, as the user who logged in.
    pub const FIRST: Self = Self(0);

    /// Its number in the protocol.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// A task for an agent: [`RunTask`] without its number, which the session gives.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// Module's short name.
    pub module: String,
    /// Arguments of each item.
    pub items: Vec<Item>,
    /// Check mode.
    pub check: bool,
    /// The whole run is in check mode: see [`RunTask::preview`].
    pub preview: Option<PreviewTask>,
    /// The run is bound by a plan: see [`RunTask::allowed`].
    pub allowed: Option<Allowed>,
    /// Diff mode.
    pub diff: bool,
    /// The task's `environment`.
    pub environment: Vec<(String, String)>,
    /// Stop at the first item that fails.
    pub stop_on_failure: bool,
    /// Names the message for ever: see [`RunTask::key`].
    pub key: Option<TaskKey>,
    /// Tell what was in replaced files: see [`RunTask::keep_replaced`].
    pub keep_replaced: bool,
    /// Send output while programs write it.
    pub watch: bool,
}

/// What a session has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// Requests that waited for an answer: starting the agent (two if it had to be sent), tasks, lanes, pings.
    pub round_trips: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Frames received.
    pub frames_received: u64,
    /// Bytes received on the wire, encryption included; zero for a local link.
    pub wire_received: u64,
    /// Bytes sent on the wire.
    pub wire_sent: u64,
}

/// A session with a host's agent. Dropping it cuts the connection, and the agent ends when its input does.
pub struct Session {
    link: Arc<Link>,
    core: Arc<Core>,
    queue: Option<mpsc::Sender<Vec<u8>>>,
    hello: Hello,
    uploaded: bool,
    next_task: AtomicU32,
    next_lane: AtomicU16,
    round_trips: AtomicU64,
    frames_sent: AtomicU64,
    reader: Option<JoinHandle<()>>,
    writer: JoinHandle<()>,
    alive: JoinHandle<()>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.link.peer())
            .field("user", &self.hello.user)
            .finish_non_exhaustive()
    }
}

/// A task that was sent. Dropping it cancels the task on the host if it has not ended.
#[derive(Debug)]
pub struct RunningTask {
    task: u32,
    lane: u16,
    messages: mpsc::UnboundedReceiver<Result<TaskMessage, SessionError>>,
    /// `None` once the task has ended.
    cancel: Option<mpsc::Sender<Vec<u8>>>,
}

impl Session {
    /// Starts the agent on `link` (sending it if the host does not have it) and waits for its hello.
    ///
    /// # Errors
    /// See [`Reason::Agent`], [`Reason::Architecture`], [`Reason::AgentProtocol`] and the deadline of [`Phase::Agent`].
    pub async fn start(
        link: Link,
        image: AgentImage,
        blobs: Arc<dyn BlobSource>,
        deadlines: Deadlines,
    ) -> Result<Self, Unreachable> {
        let started = bootstrap::start(&link, image, deadlines).await?;
        let Started {
            mut reader,
            writer,
            frames,
            hello,
            uploaded,
            round_trips,
        } = started;
        reader.leave_the_end_to_it();
        let link = Arc::new(link);
        let (queue, frames_to_send) = mpsc::channel(QUEUE_FRAMES);
        let core = Arc::new(Core::new(link.peer(), image.sha256, frames, blobs, &queue));
        let writer = tokio::spawn(write_frames(writer, frames_to_send));
        let reader = tokio::spawn(read_frames(
            reader,
            Arc::clone(&core),
            Arc::clone(&link),
            writer.abort_handle(),
        ));
        let alive = tokio::spawn(alive::watch(
            Arc::downgrade(&core),
            Arc::downgrade(&link),
            queue.downgrade(),
            deadlines.silence,
        ));
        Ok(Self {
            link,
            core,
            alive,
            queue: Some(queue),
            hello,
            uploaded,
            next_task: AtomicU32::new(1),
            next_lane: AtomicU16::new(1),
            round_trips: AtomicU64::new(round_trips),
            frames_sent: AtomicU64::new(0),
            reader: Some(reader),
            writer,
        })
    }

    /// What the first agent said about its host.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether the agent's program had to be sent to the host.
    pub fn uploaded(&self) -> bool {
        self.uploaded
    }

    /// The link, for commands without an agent.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Why the session is over, if it is.
    pub fn ended(&self) -> Option<Unreachable> {
        self.core.ended()
    }

    /// What the session has cost so far.
    pub fn counters(&self) -> SessionCounters {
        let (wire_received, wire_sent) = self.link.wire_bytes();
        SessionCounters {
            round_trips: self.round_trips.load(Ordering::Relaxed),
            frames_sent: self.frames_sent.load(Ordering::Relaxed),
            frames_received: self.core.frames_received(),
            wire_received,
            wire_sent,
        }
    }

    /// Sends a task. Its answers come through the [`RunningTask`]; there is no deadline, the caller puts one around.
    ///
    /// # Errors
    /// If the session or the lane is over, or the task is too large for a frame.
    pub async fn run(&self, lane: Lane, request: TaskRequest) -> Result<RunningTask, SessionError> {
        let task = self.next_task.fetch_add(1, Ordering::Relaxed);
        let TaskRequest {
            module,
            items,
            check,
            preview,
            allowed,
            diff,
            environment,
            stop_on_failure,
            key,
            keep_replaced,
            watch,
        } = request;
        let expected: HashSet<u32> = items.iter().map(|item| item.index).collect();
        let message = ToAgent::Run(RunTask {
            task,
            module,
            items,
            check,
            preview,
            allowed,
            diff,
            environment,
            stop_on_failure,
            key,
            keep_replaced,
            watch,
        });
        self.begin(lane, task, &message, expected, false).await
    }

    /// Asks what came of a message that was sent before, perhaps on another connection: the answers are those that
    /// [`Session::run`] would have given, or [`TaskMessage::Unresolved`]. `items` are those that it carried.
    ///
    /// # Errors
    /// If the session or the lane is over.
    pub async fn resolve(
        &self,
        lane: Lane,
        key: TaskKey,
        items: impl IntoIterator<Item = u32>,
    ) -> Result<RunningTask, SessionError> {
        let task = self.next_task.fetch_add(1, Ordering::Relaxed);
        let message = ToAgent::Resolve { task, key };
        self.begin(lane, task, &message, items.into_iter().collect(), true)
            .await
    }

    async fn begin(
        &self,
        lane: Lane,
        task: u32,
        message: &ToAgent,
        expected: HashSet<u32>,
        asks: bool,
    ) -> Result<RunningTask, SessionError> {
        let frame = hostler_protocol::encode(lane.0, message)
            .map_err(|e| SessionError::TooLarge(e.to_string()))?;
        let (sender, messages) = mpsc::unbounded_channel();
        self.core.expect_task(
            task,
            Waiting {
                lane: lane.0,
                items: expected,
                asks,
                talk: TALK_BYTES_MAX,
                results: RESULT_BYTES_MAX,
                sender,
            },
        )?;
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        // From here on the answers, or the end of the session, arrive through the channel.
        let running = RunningTask {
            task,
            lane: lane.0,
            messages,
            cancel: self.queue.clone(),
        };
        if let Err(lost) = self.send(frame).await {
            self.core.forget_task(task);
            return Err(SessionError::Lost(lost));
        }
        Ok(running)
    }

    /// Starts the agent as another user on a lane of its own.
    ///
    /// # Errors
    /// What the program that changes the user said, a timeout, or the end of the session.
    pub async fn open_lane(&self, r#become: Become) -> Result<(Lane, Hello), LaneOpenError> {
        let lane = self.next_lane.fetch_add(1, Ordering::Relaxed);
        let limit = Duration::from_secs(u64::from(r#become.timeout_s)) + LANE_GRACE;
        let (sender, answer) = oneshot::channel();
        self.core.expect_lane(lane, sender)?;
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let frame = hostler_protocol::encode(0, &ToAgent::OpenLane { lane, r#become }).map_err(
            |error| {
                LaneOpenError::Lost(Unreachable::new(
                    Reason::Config,
                    format!("become cannot be sent: {error}"),
                ))
            },
        )?;
        let asked = async {
            self.send(frame).await.map_err(LaneOpenError::Lost)?;
            let answer = answer.await;
            answer.unwrap_or_else(|_| Err(LaneOpenError::Lost(self.why_over())))
        };
        if let Ok(result) = timeout(limit, asked).await {
            return result.map(|hello| (Lane(lane), hello));
        }
        let lost = Unreachable::timeout(Phase::Agent, limit, self.link.peer());
        // An agent that does not even say that sudo hangs cannot be trusted with a later answer.
        self.core.end(&lost);
        Err(LaneOpenError::Lost(lost))
    }

    /// Has the agent of a lane hold its user's lock on the host until it ends. `breaks`: id of a lock that may be broken.
    /// Gives who holds it, if somebody else does.
    ///
    /// # Errors
    /// If there is no answer within some seconds, or the session or lane is over.
    pub async fn lease(
        &self,
        lane: Lane,
        lease: Lease,
        breaks: Option<String>,
    ) -> Result<Option<Lease>, Unreachable> {
        let (sender, answer) = oneshot::channel();
        self.core.expect_lease(lane.0, sender)?;
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let asked = async {
            self.tell(lane, &ToAgent::Lease { lease, breaks }).await?;
            answer.await.map_err(|_| self.why_over())
        };
        match timeout(LEASE_TIME, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Unreachable::timeout(
                Phase::Agent,
                LEASE_TIME,
                self.link.peer(),
            )),
        }
    }

    /// Tells the agent of a lane that results are safe here: it need not keep them.
    ///
    /// # Errors
    /// If the session is over.
    pub async fn forget(&self, lane: Lane, keys: Vec<TaskKey>) -> Result<(), Unreachable> {
        self.tell(lane, &ToAgent::Forget(keys)).await
    }

    async fn tell(&self, lane: Lane, message: &ToAgent) -> Result<(), Unreachable> {
        let frame = hostler_protocol::encode(lane.0, message)
            .map_err(|error| Unreachable::new(Reason::AgentProtocol, error.to_string()))?;
        self.send(frame).await
    }

    /// Asks the agent for a sign of life.
    ///
    /// # Errors
    /// If none comes within `limit`, or the session is over.
    pub async fn ping(&self, limit: Duration) -> Result<(), Unreachable> {
        let number = self.round_trips.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.core.expect_pong(number, sender)?;
        let frame = hostler_protocol::encode(0, &ToAgent::Ping(number))
            .map_err(|error| Unreachable::new(Reason::AgentProtocol, error.to_string()))?;
        match timeout(limit, async {
            self.send(frame)
                .await
                .map(|()| answer)?
                .await
                .map_err(|_| self.why_over())
        })
        .await
        {
            Ok(result) => result,
            Err(_) => Err(Unreachable::timeout(Phase::Agent, limit, self.link.peer())),
        }
    }

    /// Ends the session: closes the agent's input, waits a moment for it to end, and says goodbye to sshd.
    pub async fn close(mut self) {
        self.queue = None;
        if let Some(mut reader) = self.reader.take()
            && timeout(CLOSE_TIME, &mut reader).await.is_err()
        {
            reader.abort();
        }
        self.core.end(&Unreachable::new(
            Reason::Lost,
            format!("{}: the session was closed", self.link.peer()),
        ));
        if let Link::Ssh(connection) = &*self.link {
            connection.say_goodbye().await;
        }
    }

    async fn send(&self, frame: Vec<u8>) -> Result<(), Unreachable> {
        let Some(queue) = &self.queue else {
            return Err(self.why_over());
        };
        self.frames_sent.fetch_add(1, Ordering::Relaxed);
        queue.send(frame).await.map_err(|_| self.why_over())
    }

    fn why_over(&self) -> Unreachable {
        self.core
            .ended()
            .unwrap_or_else(|| self.link.lost("the session is over"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
        self.writer.abort();
        self.alive.abort();
        self.core.end(&Unreachable::new(
            Reason::Lost,
            format!("{}: the session was dropped", self.link.peer()),
        ));
    }
}

impl RunningTask {
    /// The next answer; `None` after [`TaskMessage::End`] or an error.
    pub async fn next(&mut self) -> Option<Result<TaskMessage, SessionError>> {
        let message = self.messages.recv().await;
        if !matches!(
            message,
            Some(Ok(TaskMessage::Done { .. }
                | TaskMessage::Output { .. }
                | TaskMessage::Progress(_)))
        ) {
            self.cancel = None;
        }
        message
    }

    /// Has the task's output sent while it is written, or no longer.
    pub async fn watch(&self, on: bool) {
        let task = self.task;
        let frame = hostler_protocol::encode(self.lane, &ToAgent::Watch { task, on });
        if let (Some(queue), Ok(frame)) = (&self.cancel, frame) {
            let _session_may_be_over = queue.send(frame).await;
        }
    }

    /// Leaves the task to the host: dropping this no longer cancels it.
    pub fn detach(mut self) {
        self.cancel = None;
    }

    /// Asks the agent to end the task: its programs are killed, and what is left answers as failed.
    pub async fn cancel(&self) {
        if let (Some(queue), Some(frame)) = (&self.cancel, self.cancel_frame()) {
            let _session_may_be_over = queue.send(frame).await;
        }
    }

    fn cancel_frame(&self) -> Option<Vec<u8>> {
        hostler_protocol::encode(self.lane, &ToAgent::Cancel { task: self.task }).ok()
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        let (Some(queue), Some(frame)) = (self.cancel.take(), self.cancel_frame()) else {
            return;
        };
        // The queue may be full of content; somebody has to wait for a place in it, but not here.
        if let (Err(mpsc::error::TrySendError::Full(frame)), Ok(runtime)) =
            (queue.try_send(frame), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move {
                let _session_may_be_over = queue.send(frame).await;
            });
        }
    }
}

async fn write_frames(mut writer: CommandWriter, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if writer.write(frame).await.is_err() {
            // The reader learns the reason.
            return;
        }
    }
    writer.finish().await;
}

async fn read_frames(
    mut reader: CommandReader,
    core: Arc<Core>,
    link: Arc<Link>,
    writer: tokio::task::AbortHandle,
) {
    let mut stderr: Vec<u8> = Vec::new();
    // Frames that came together with the hello.
    let mut result = core.receive(&[]);
    let why = loop {
        if let Err(fault) = result {
            break fault;
        }
        result = match reader.next().await {
            Inbound::Out(bytes) => core.receive(&bytes),
            Inbound::Err(bytes) => {
                stderr.extend_from_slice(&bytes);
                let surplus = stderr.len().saturating_sub(STDERR_BYTES_MAX);
                stderr.drain(..surplus);
                Ok(())
            }
            Inbound::Ended(Exit::Unknown) => break link.lost("the connection was lost"),
            Inbound::Ended(exit) => {
                let words = printable(&stderr, 500);
                let words = if words.is_empty() {
                    String::new()
                } else {
                    format!(": {words}")
                };
                break Unreachable::new(
                    Reason::Lost,
                    format!("{}: the agent ended with {exit}{words}", link.peer()),
                );
            }
        };
    };
    core.end(&why);
    writer.abort();
}
