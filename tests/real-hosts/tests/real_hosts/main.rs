//! Real Debian hosts, real sshd, and a look at the hosts afterwards. `docs/testing.md` says how to run these alone.

mod agreement;
mod apply;
mod canaries;
mod faults;
mod lifecycle;
mod logical_volumes;
mod managers;
mod packages;
mod patch_snapshots;
mod patch_steps;
mod preview;
mod privileges;
mod scans;
mod services;
mod trouble;
