//! SSH connections, agent bootstrap and sessions.
