//! Patching, for people and programs.

mod report;
mod run;
mod scan;
mod windows;
mod words;

pub use report::{
    Reader, ReportForm, patch_exceptions, patch_exceptions_json, patch_report, patch_report_schema,
};
pub use run::{PatchView, TimeOfDay};
pub use scan::{scan_json, scan_text};
pub use windows::{windows_json, windows_text};
