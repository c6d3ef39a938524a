//! What `cargo xtask` is made of, as a library: the real-host tests raise their hosts with the same code.
//!
//! - [`fleet`]: real Debian hosts on this machine, each in its own namespaces (root needed);
//! - [`made`]: an archive of made packages for those hosts, for everything that happens when hosts are patched;
//! - [`bench`]: the 20-task baseline on such hosts, by several engines, against the floor of bare OpenSSH;
//! - [`truth`]: what a preview said beside what the real run then did, over the corpus of playbooks;
//! - [`fuzz`]: the fuzz targets, some seconds or hours each;
//! - [`ci`]: every check that has to pass before a change is merged.

#![expect(clippy::format_collect, reason = "short lists, where clear beats fast")]

pub mod bench;
pub mod ci;
pub mod fleet;
pub mod fuzz;
pub mod made;
pub mod process;
pub mod truth;
