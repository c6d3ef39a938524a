//! SSH connections, agent bootstrap and sessions: the only place (with the embedded demo fleet) that knows the SSH
//! library.
//!
//! ```text
//!   Target + ssh_config -> Connector (gate, deadlines, host key, authentication) -> Connection
//!   Link (an SSH connection, or the controller itself) -> Session (the agent, started and sent if need be) -> tasks
//! ```

mod bootstrap;
mod connect;
mod failure;
mod gate;
pub mod known_hosts;
mod link;
mod raw;
mod session;
pub mod ssh_config;
mod wildcard;

pub use bootstrap::AgentImage;
pub use connect::{Connection, Connector, ConnectorSettings, Deadlines, Target, WireCounters};
pub use failure::{Phase, Reason, Unreachable};
pub use gate::{Gate, GateLimits, Permit};
pub use link::{Exit, Link, LocalEnvironment};
pub use raw::RawOutput;
#[cfg(feature = "fuzzing")]
pub use session::fuzzing;
pub use session::{
    BlobSource, Lane, LaneOpenError, NoBlobs, RunningTask, Session, SessionCounters, SessionError,
    TaskMessage, TaskRequest,
};
