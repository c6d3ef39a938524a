//! Windows of policies: shown, opened by a scheduler, and written down for systemd.

mod agenda;
mod daemon;
mod diary;
mod install;
mod scheduler;
#[cfg(test)]
mod tests;
mod units;
mod windows;

pub use daemon::{Audiences, DaemonRequest, daemon};
pub use install::{InstallRequest, install};
pub use units::{Invocation, Unit};
pub use windows::{WindowsRequest, windows};
