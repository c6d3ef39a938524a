//! The `hostler` command.

fn main() {}
