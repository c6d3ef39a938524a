//! Patching, for people and programs.

mod run;
mod scan;

pub use run::{PatchView, TimeOfDay};
pub use scan::{scan_json, scan_text};
