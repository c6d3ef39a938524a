//! What goes wrong between a controller and its hosts, on purpose and always in the same way.
//!
//! - [`Shim`]: a TCP line that delays, narrows, cuts, resets, closes by half or swallows after a given byte.
//! - [`EvilSshd`]: an SSH server that stalls, resets, floods or lies in a phase of its choice.
//! - [`Lie`]: what an agent may say that is not so; an [`EvilSshd`] speaks for it.
//!
//! All of it runs in the test's own process; `docs/faults.md` lists what is tested with it.

mod agent;
mod lie;
mod shim;
mod sshd;

pub use lie::Lie;
pub use shim::{Plan, Shim, Transferred, Way};
pub use sshd::{End, Evil, EvilSshd};
