//! Messages and frames between controller and agent.
//!
//! Both ends come from the same build (the agent's path on the host is its content hash, and the hello repeats it),
//! so the encoding (postcard) needs no versions of its own.
//!
//! # One channel, several lanes
//! A frame is `length: u32 LE | lane: u16 LE | message`. Lane 0 is the agent that sshd started. `become` opens another
//! lane: the first agent starts the same binary as the other user through sudo, su or doas and copies frames between
//! that process and the channel, changing only the lane number (the child thinks of itself as lane 0).
//! Every length is checked against [`FRAME_MAX`] before anything is allocated, and what a message becomes in memory is bounded too.
//!
//! # Starting
//! The controller opens one exec channel with a POSIX `sh` line that execs the agent if the host has it and else reads
//! it from standard input first (see `hostler-transport`). The agent's first bytes are [`MAGIC`], then frames: the
//! first is [`FromAgent::Hello`]. Whatever a login shell printed before the magic is skipped, within bounds.
//! The agent ends when its input ends and the tasks that have a [`TaskKey`] have ended: what they did is kept on the host
//! until a later agent is asked for it ([`ToAgent::Resolve`]).

mod bounded;
mod frame;
mod message;

pub use frame::{FRAME_MAX, FrameError, Frames, HEADER_LEN, MAGIC, decode, encode};
pub use message::{
    Become, BecomeMethod, Blob, CANCELLED, FromAgent, Hello, Item, LaneError, LaneErrorKind, Lease,
    Maker, PendingEdit, PreviewTask, RunTask, TaskKey, ToAgent, Unresolved,
};
