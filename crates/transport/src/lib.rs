//! SSH connections, agent bootstrap and sessions: the only place (with the embedded demo fleet) that knows the SSH
//! library.
//!
//! ```text
//!   Target + ssh_config -> Connector (gate, deadlines, host key, authentication) -> Connection
//! ```

mod connect;
mod failure;
mod gate;
pub mod known_hosts;
pub mod ssh_config;
mod wildcard;

pub use connect::{Connection, Connector, ConnectorSettings, Deadlines, Target, WireCounters};
pub use failure::{Phase, Reason, Unreachable};
pub use gate::{Gate, GateLimits, Permit};
