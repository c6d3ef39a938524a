//! What `cargo xtask` is made of, as a library: the real-host tests raise their hosts with the same code.
//!
//! - [`fleet`]: real Debian hosts on this machine, each in its own namespaces (root needed);

#![expect(clippy::format_collect, reason = "short lists, where clear beats fast")]

pub mod fleet;
pub mod process;
