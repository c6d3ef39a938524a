//! Host identities: OpenSSH's `known_hosts` files (`sshd(8)`, section `SSH_KNOWN_HOSTS FILE FORMAT`) and what they say about the
//! key that a server presents.
//!
//! Our own code, because the SSH library's reader accepts revoked keys, ignores certificate authorities and patterns
//! and fails on a second key of the same type. The rules follow OpenSSH: a revoked key loses against everything, any
//! listed key of the host matches, a listed host that presents none of its keys has *changed*.

mod authority;
mod parse;
mod store;
mod verdict;

pub use parse::{HostName, KnownHostsFile, Marker, Record};
pub use store::{KnownHostsStore, StoreError};
pub use verdict::{HostRecords, Verdict};

/// What to do with a server whose key is not in the files (`StrictHostKeyChecking` in `ssh_config(5)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Refuse unknown and changed keys. The default: a fan-out has nobody to ask.
    #[default]
    Strict,
    /// Record unknown keys, refuse changed ones.
    AcceptNew,
    /// Accept everything except revoked keys; a changed key is reported and password authentication is refused with it.
    Off,
}
