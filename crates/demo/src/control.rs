//! Messages between the fleet and a host's process, over a local `SOCK_SEQPACKET` socket that keeps their bounds and
//! can carry the file descriptors of a program's standard streams.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Longest message, so longest command line.
const MESSAGE_MAX: usize = 128 * 1024;
/// Standard input, output and error.
const STREAMS: usize = 3;

/// A message.
#[derive(Debug)]
pub(crate) enum Message {
    /// Host: the namespaces are there; write the user map, or say that it should do so itself.
    Unshared,
    /// Fleet: go on. True: the maps are written.
    Go(bool),
    /// Host: the root is there. True: as an overlay, false: as a copy.
    Ready(bool),
    /// Host: it cannot go on.
    Failed(String),
    /// Fleet: run this with `sh -c` on these streams.
    Run {
        id: u32,
        command: Vec<u8>,
        streams: Vec<OwnedFd>,
    },
    /// Host: it ended. Exit status, or 128 + signal.
    Ended { id: u32, status: u32 },
}

impl Message {
    fn encode(&self) -> Vec<u8> {
        let numbered =
            |tag: u8, id: u32, rest: &[u8]| [&[tag], &id.to_le_bytes()[..], rest].concat();
        match self {
            Message::Unshared => vec![b'U'],
            Message::Go(mapped) => vec![b'G', u8::from(*mapped)],
            Message::Ready(overlay) => vec![b'R', u8::from(*overlay)],
            Message::Failed(text) => [b"F", text.as_bytes()].concat(),
            Message::Run { id, command, .. } => numbered(b'C', *id, command),
            Message::Ended { id, status } => numbered(b'E', *id, &status.to_le_bytes()),
        }
    }

    fn decode(bytes: &[u8], streams: Vec<OwnedFd>) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let number = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?));
        Some(match tag {
            b'U' => Message::Unshared,
            b'G' => Message::Go(*rest.first()? == 1),
            b'R' => Message::Ready(*rest.first()? == 1),
            b'F' => Message::Failed(String::from_utf8_lossy(rest).into_owned()),
            b'C' => Message::Run {
                id: number(rest)?,
                command: rest.get(4..)?.to_vec(),
                streams,
            },
            b'E' => Message::Ended {
                id: number(rest)?,
                status: number(rest.get(4..)?)?,
            },
            _ => return None,
        })
    }
}

/// Sends a message; `streams` go with it.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &Message,
    streams: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = message.encode();
    if bytes.len() > MESSAGE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the command line is too long",
        ));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !streams.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(streams));
    }
    let parts = [io::IoSlice::new(&bytes)];
    sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives a message; `None` when the other side is gone.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Message>> {
    let mut bytes = vec![0; MESSAGE_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [io::IoSliceMut::new(&mut bytes)];
    let length = loop {
        match recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?.bytes,
        }
    };
    let mut streams = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            streams.extend(fds);
        }
    }
    if length == 0 {
        return Ok(None);
    }
    Message::decode(&bytes[..length], streams)
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a message"))
}
