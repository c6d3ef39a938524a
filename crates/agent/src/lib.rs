//! The static binary that runs on a host for the length of a connection, and of the tasks with a key that it began.
//!
//! ```text
//! stdin ─→ serve ─┬─ Run      → a thread per task → modules → host (looks), apply (changes) ─┐
//!                 ├─ Blob     → blobs, for the tasks that wait                               ├→ outbox ─→ stdout
//!                 ├─ OpenLane → lane: this binary as another user ── its frames, relayed ────┘
//!                 ├─ Resolve, Forget, Lease → kept: results on the host, its lock
//!                 └─ frames of other lanes → that lane's input
//! ```
//!
//! Threads, no async runtime: a host runs a handful of tasks at a time and the binary must stay small. It is linked
//! statically, so nothing here may ask glibc for users, groups or addresses (those would load the host's NSS
//! libraries into it): files are parsed, and `getent` is asked for the rest.

mod apply;
mod blobs;
mod crash;
mod declared;
mod hello;
mod host;
mod kept;
mod lane;
mod outbox;
mod overlay;
mod process;
mod progress;
mod serve;
mod task;

use std::process::ExitCode;

/// Runs the agent on standard input and output until its input ends.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(word) if word == lane::TTY_WORD => lane::on_terminal(args),
        _ => serve::serve(),
    }
}
