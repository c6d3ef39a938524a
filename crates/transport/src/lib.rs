//! SSH connections, agent bootstrap and sessions.
pub mod known_hosts;
pub mod ssh_config;
mod wildcard;
