//! The fleet's end of a host's process: start it, run programs in it, end it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use crate::DemoError;
use crate::control::{self, Message};
use crate::host::{HELPER_ARGUMENT, HostArgs};

/// How long a host's process may take for each step of its start.
const STEP_MAX: Duration = Duration::from_secs(30);

/// A host's process that is ready.
pub(crate) struct Started {
    socket: OwnedFd,
    /// Its root is an overlay.
    pub overlay: bool,
}

/// Starts a host's process and waits until its root is there. Blocks.
pub(crate) fn start(program: &PathBuf, host: &HostArgs) -> Result<Started, DemoError> {
    let failed = |source: io::Error| DemoError::Start {
        host: host.name.clone(),
        source,
    };
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|error| failed(error.into()))?;
    let log = File::create(host.directory.join("log")).map_err(failed)?;
    let mut child = Command::new(program)
        .arg(HELPER_ARGUMENT)
        .arg("enter")
        .args(host.to_args())
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(failed)?;
    let outcome = handshake(&ours, child.id(), host);
    if outcome.is_err() {
        // It may be gone already.
        let _ = child.kill();
    }
    // The first process ends as soon as it has started the host's init.
    child.wait().map_err(failed)?;
    let overlay = outcome?;
    Ok(Started {
        socket: ours,
        overlay,
    })
}

fn handshake(socket: &OwnedFd, process: u32, host: &HostArgs) -> Result<bool, DemoError> {
    let failed = |source: io::Error| DemoError::Start {
        host: host.name.clone(),
        source,
    };
    let refused = |reason: String| DemoError::Root {
        host: host.name.clone(),
        reason,
    };
    match next(socket).map_err(failed)? {
        Message::Unshared => {}
        Message::Failed(reason) => return Err(refused(reason)),
        other => return Err(refused(format!("it said {other:?} too early"))),
    }
    let mapped = map_all_users(process);
    control::send(socket.as_fd(), &Message::Go(mapped), &[]).map_err(failed)?;
    match next(socket).map_err(failed)? {
        Message::Ready(overlay) => Ok(overlay),
        Message::Failed(reason) => Err(refused(reason)),
        other => Err(refused(format!("it said {other:?} too early"))),
    }
}

/// The next message, within [`STEP_MAX`].
fn next(socket: &OwnedFd) -> io::Result<Message> {
    let timeout = Timespec {
        tv_sec: i64::try_from(STEP_MAX.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    if poll(&mut fds, Some(&timeout))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    control::receive(socket.as_fd())?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// As root, every user that there is here is there too, so that a playbook can give files to other users. False:
/// the kernel does not let us, and the host's process maps the one user that it may.
fn map_all_users(process: u32) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let map = |kind: &str| -> io::Result<()> {
        let own = fs::read_to_string(format!("/proc/self/{kind}"))?;
        let lines: Vec<String> = own
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace();
                let (inside, _, count) = (fields.next()?, fields.next()?, fields.next()?);
                Some(format!("{inside} {inside} {count}\n"))
            })
            .collect();
        fs::write(format!("/proc/{process}/{kind}"), lines.concat())
    };
    map("gid_map").and_then(|()| map("uid_map")).is_ok()
}

/// A running host: programs can be run in it.
pub(crate) struct Helper {
    socket: AsyncFd<OwnedFd>,
    waiting: Mutex<HashMap<u32, oneshot::Sender<u32>>>,
    next_id: AtomicU32,
}

/// A program that runs in a host.
pub(crate) struct Program {
    pub stdin: pipe::Sender,
    pub stdout: pipe::Receiver,
    pub stderr: pipe::Receiver,
    /// Its exit status; an error if the host is gone.
    pub ended: oneshot::Receiver<u32>,
}

impl Helper {
    /// Takes a started process into the runtime. Must be called in one.
    #[expect(
        deprecated,
        reason = "the replacement is unsafe for types that may close their descriptor early; OwnedFd does not"
    )]
    pub(crate) fn new(started: Started) -> io::Result<Arc<Self>> {
        rustix::io::ioctl_fionbio(&started.socket, true)?;
        Ok(Arc::new(Helper {
            socket: AsyncFd::new(started.socket)?,
            waiting: Mutex::default(),
            next_id: AtomicU32::new(1),
        }))
    }

    /// Hands out exit statuses until the host's process is gone.
    pub(crate) async fn listen(&self) {
        while let Ok(mut ready) = self.socket.readable().await {
            match ready.try_io(|socket| control::receive(socket.as_fd())) {
                Ok(Ok(Some(Message::Ended { id, status }))) => {
                    if let Some(waiting) = self.waiting().remove(&id) {
                        // Nobody may be waiting any more: the connection is gone.
                        let _ = waiting.send(status);
                    }
                }
                Ok(Ok(Some(_))) | Err(_) => {}
                Ok(Ok(None) | Err(_)) => break,
            }
        }
        self.waiting().clear();
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u32, oneshot::Sender<u32>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `sh -c command` in the host.
    pub(crate) async fn run(&self, command: &[u8]) -> io::Result<Program> {
        let (their_stdin, stdin) = io::pipe()?;
        let (stdout, their_stdout) = io::pipe()?;
        let (stderr, their_stderr) = io::pipe()?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let message = Message::Run {
            id,
            command: command.to_vec(),
            streams: Vec::new(),
        };
        let streams = [
            their_stdin.as_fd(),
            their_stdout.as_fd(),
            their_stderr.as_fd(),
        ];
        let (sender, ended) = oneshot::channel();
        self.waiting().insert(id, sender);
        self.send(&message, &streams).await?;
        Ok(Program {
            stdin: pipe::Sender::from_owned_fd(stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
            ended,
        })
    }

    async fn send(
        &self,
        message: &Message,
        streams: &[std::os::fd::BorrowedFd<'_>],
    ) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            let sent = ready.try_io(|socket| control::send(socket.as_fd(), message, streams));
            if let Ok(sent) = sent {
                return sent;
            }
        }
    }

    /// Tells the host's process to end, and with it everything in the host.
    pub(crate) fn end(&self) {
        // It may have ended by itself.
        let _ = shutdown(self.socket.get_ref(), Shutdown::Write);
    }
}
