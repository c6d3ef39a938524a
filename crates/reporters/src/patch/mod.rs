//! Patching, for people and programs.

mod report;
mod scan;

pub use report::{Reader, ReportForm, patch_exceptions, patch_report, patch_report_schema};
pub use scan::{scan_json, scan_text};
