//! Messages and frames between controller and agent.
