//! The way to run something on a host: over SSH, or as a child process of the controller (`connection: local`). Both
//! give the same thing, a command with its three streams.

use std::process::Stdio;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::connect::{Connection, SharedPace};
use crate::failure::{Reason, Unreachable};

/// Size of the pieces of a large constant; see [`CommandWriter::write_static`].
const PIECE_BYTES: usize = 16 << 10;

/// A host that commands can be run on.
#[derive(Debug)]
pub enum Link {
    /// Over SSH.
    Ssh(Box<Connection>),
    /// On the controller itself, as its own user.
    Local,
    /// The same with more variables for its programs.
    LocalWith(LocalEnvironment),
}

/// Variables to set for programs of a local link, beside the controller's own environment.
#[derive(Clone, Debug, Default)]
pub struct LocalEnvironment(pub Vec<(String, String)>);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By a signal, named without `SIG`.
    Signal(String),
    /// The server refused to run it.
    Refused,
    /// Nobody said: the channel or connection went first.
    Unknown,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Refused => f.write_str("a refusal: the server runs no commands"),
            Self::Unknown => f.write_str("no status"),
        }
    }
}

/// What comes from a running command.
#[derive(Debug)]
pub(crate) enum Inbound {
    Out(Vec<u8>),
    Err(Vec<u8>),
    /// All streams are at their end.
    Ended(Exit),
}

/// The reading side of a command. It must be drained all the time: an unread SSH channel stops its whole connection.
#[derive(Debug)]
pub(crate) enum CommandReader {
    Ssh {
        channel: ChannelReadHalf,
        exit: Exit,
    },
    Local(Box<LocalReader>),
}

#[derive(Debug)]
pub(crate) struct LocalReader {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// Does it end in its own time when nobody reads any more? Other commands are killed then.
    ends_by_itself: bool,
}

impl Drop for LocalReader {
    fn drop(&mut self) {
        if !self.ends_by_itself {
            let _has_ended = self.child.start_kill();
        }
    }
}

/// The writing side of a command; dropping it closes the command's input.
#[derive(Debug)]
pub(crate) enum CommandWriter {
    Ssh {
        channel: ChannelWriteHalf<Msg>,
        pace: SharedPace,
    },
    Local(ChildStdin),
}

impl Link {
    /// What the link leads to, for messages.
    pub fn peer(&self) -> &str {
        match self {
            Self::Ssh(connection) => connection.peer(),
            Self::Local | Self::LocalWith(_) => "local connection",
        }
    }

    /// What the user should hear although the link stands.
    pub fn warnings(&self) -> Vec<String> {
        match self {
            Self::Ssh(connection) => connection.warnings(),
            Self::Local | Self::LocalWith(_) => Vec::new(),
        }
    }

    /// Bytes on the wire, received and sent; zero for a local link.
    pub fn wire_bytes(&self) -> (u64, u64) {
        match self {
            Self::Ssh(connection) => (
                connection.counters().received(),
                connection.counters().sent(),
            ),
            Self::Local | Self::LocalWith(_) => (0, 0),
        }
    }

    /// Starts a command; it is given to the user's login shell, or to `sh` on a local link.
    pub(crate) async fn start(
        &self,
        command: &str,
    ) -> Result<(CommandReader, CommandWriter), Unreachable> {
        match self {
            Self::Ssh(connection) => {
                let channel = connection.open_session().await?;
                channel
                    .exec(true, command)
                    .await
                    .map_err(|error| self.lost(&error.to_string()))?;
                let (channel, writer) = channel.split();
                Ok((
                    CommandReader::Ssh {
                        channel,
                        exit: Exit::Unknown,
                    },
                    CommandWriter::Ssh {
                        channel: writer,
                        pace: connection.pace(),
                    },
                ))
            }
            Self::Local => start_local(command, &LocalEnvironment::default()),
            Self::LocalWith(environment) => start_local(command, environment),
        }
    }

    /// Why the link cannot be used any more.
    pub(crate) fn lost(&self, fallback: &str) -> Unreachable {
        let words = match self {
            Self::Ssh(connection) => connection.ended(),
            Self::Local | Self::LocalWith(_) => None,
        };
        let words = words.unwrap_or_else(|| fallback.to_owned());
        Unreachable::new(Reason::Lost, format!("{}: {words}", self.peer()))
    }

    /// Ends the link.
    pub async fn close(self) {
        match self {
            Self::Ssh(connection) => connection.close().await,
            Self::Local | Self::LocalWith(_) => {}
        }
    }
}

fn start_local(
    command: &str,
    environment: &LocalEnvironment,
) -> Result<(CommandReader, CommandWriter), Unreachable> {
    let failed =
        |words: String| Unreachable::new(Reason::Agent, format!("local connection: {words}"));
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .envs(environment.0.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at the terminal is for the controller, which ends the agent in its own time.
        .process_group(0)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdin = child
        .stdin
        .take()
        .ok_or_else(|| failed("no input pipe".to_owned()))?;
    let reader = LocalReader {
        child,
        stdout,
        stderr,
        ends_by_itself: false,
    };
    Ok((
        CommandReader::Local(Box::new(reader)),
        CommandWriter::Local(stdin),
    ))
}

impl CommandReader {
    /// What was started is an agent: it ends when its input does, and the tasks that it shall finish.
    pub(crate) fn leave_the_end_to_it(&mut self) {
        if let Self::Local(local) = self {
            local.ends_by_itself = true;
        }
    }

    /// The next piece. After [`Inbound::Ended`] there is nothing more.
    pub(crate) async fn next(&mut self) -> Inbound {
        match self {
            Self::Ssh { channel, exit } => loop {
                // Exit status and end of file come in any order: only the closed channel is the end.
                match channel.wait().await {
                    Some(ChannelMsg::Data { data }) => return Inbound::Out(data.to_vec()),
                    Some(ChannelMsg::ExtendedData { data, .. }) => {
                        return Inbound::Err(data.to_vec());
                    }
                    Some(ChannelMsg::ExitStatus { exit_status }) => {
                        *exit = Exit::Status(i32::try_from(exit_status).unwrap_or(i32::MAX));
                    }
                    Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                        *exit = Exit::Signal(format!("{signal_name:?}"));
                    }
                    // Nothing else is asked of the server on this channel.
                    Some(ChannelMsg::Failure) => return Inbound::Ended(Exit::Refused),
                    Some(_) => {}
                    None => return Inbound::Ended(exit.clone()),
                }
            },
            Self::Local(local) => local.next().await,
        }
    }
}

impl LocalReader {
    async fn next(&mut self) -> Inbound {
        loop {
            let mut out = vec![0; 64 << 10];
            let mut err = vec![0; 4 << 10];
            // Errors of a pipe are its end.
            let (is_out, count) = match (self.stdout.as_mut(), self.stderr.as_mut()) {
                (Some(stdout), Some(stderr)) => tokio::select! {
                    count = stdout.read(&mut out) => (true, count.unwrap_or(0)),
                    count = stderr.read(&mut err) => (false, count.unwrap_or(0)),
                },
                (Some(stdout), None) => (true, stdout.read(&mut out).await.unwrap_or(0)),
                (None, Some(stderr)) => (false, stderr.read(&mut err).await.unwrap_or(0)),
                (None, None) => return Inbound::Ended(local_exit(self.child.wait().await.ok())),
            };
            match (is_out, count) {
                (true, 0) => self.stdout = None,
                (false, 0) => self.stderr = None,
                (true, count) => {
                    out.truncate(count);
                    return Inbound::Out(out);
                }
                (false, count) => {
                    err.truncate(count);
                    return Inbound::Err(err);
                }
            }
        }
    }
}

fn local_exit(status: Option<std::process::ExitStatus>) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(status) = status else {
        return Exit::Unknown;
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, Some(signal)) => Exit::Signal(signal.to_string()),
        (None, None) => Exit::Unknown,
    }
}

impl CommandWriter {
    /// Writes all of it, as fast as the other side reads.
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        match self {
            Self::Ssh { channel, .. } => channel.data_bytes(bytes).await.map_err(|e| e.to_string()),
            Self::Local(stdin) => stdin.write_all(&bytes).await.map_err(|e| e.to_string()),
        }
    }

    /// Writes a constant without copying it, no faster than the command reads it.
    ///
    /// In pieces of half a packet: the library queues a number of them, and each connection keeps what its queue once needed.
    pub(crate) async fn write_static(&mut self, bytes: &'static [u8]) -> Result<(), String> {
        match self {
            Self::Ssh { channel, pace } => {
                for piece in bytes.chunks(PIECE_BYTES) {
                    pace.wait(channel.id().into(), piece.len()).await;
                    channel.data_bytes(piece).await.map_err(|e| e.to_string())?;
                }
                Ok(())
            }
            Self::Local(stdin) => stdin.write_all(bytes).await.map_err(|e| e.to_string()),
        }
    }

    /// Closes the command's input.
    pub(crate) async fn finish(self) {
        if let Self::Ssh { channel, .. } = &self {
            let _peer_may_be_gone = channel.eof().await;
        }
    }
}
