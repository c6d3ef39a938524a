//! Patching, for people and programs.

mod plan;
mod report;
mod run;
mod scan;
mod words;

pub use plan::plan_text;
pub use report::{
    Reader, ReportForm, patch_exceptions, patch_exceptions_json, patch_report, patch_report_schema,
};
pub use run::{PatchView, TimeOfDay};
pub use scan::{scan_json, scan_text};
