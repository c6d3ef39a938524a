//! Patching, for people and programs.

mod scan;

pub use scan::{scan_json, scan_text};
