//! The embedded demo fleet: SSH servers on loopback, each with its own private root.
