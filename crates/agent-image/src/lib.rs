//! The agent binary, built and embedded at compile time.
