//! The embedded demo fleet: SSH servers on loopback, each with its own private root.
//!
//! One process serves all hosts. Behind each SSH server stands a small helper process (this program again, see
//! [`host_main`]) in its own user, mount, PID, UTS and IPC namespaces: it is that host's init and runs what comes over
//! SSH. Its root is an overlay over a small tree that is made for the demo; `/usr` is the machine's own, read-only.
//! Nothing outside a private temporary directory is written, and that directory goes with the fleet.

mod base;
mod control;
mod error;
mod fleet;
mod helper;
mod host;
mod server;
mod site;
mod tree;

pub use error::DemoError;
pub use fleet::{DemoHost, Fleet, FleetOptions};
pub use host::{HELPER_ARGUMENT, host_main};
pub use site::write_playbooks;
