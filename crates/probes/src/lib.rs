//! Typed read-only observers of a host, with pure parsers.
