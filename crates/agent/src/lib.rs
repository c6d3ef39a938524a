//! The static binary that runs on a host for the length of a connection.
