//! A host in memory, for the tests of modules.
//!
//! Files, directories and links are a map; accounts are read from its `/etc/passwd` and `/etc/group`. It cannot run
//! programs: a test declares what a program that looks answers ([`FakeHost::answers`]) and what a program that
//! changes the host would do ([`FakeHost::on`]). That real programs do so is shown on real hosts.

mod apply;
mod check;
mod host;

pub use check::{Checked, check_fails, check_module};
pub use host::{FakeFile, FakeHost};
