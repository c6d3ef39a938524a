//! Patching: scan, plan, carry out.

mod asking;
mod crew;
mod hosts;
mod notes;
mod scan;

pub use scan::{Scanned, scan as patch_scan};
