//! Events in, bytes out: terminal, plain lines, JSON lines; exports of a run; and diagnostics for people and machines.
//!
//! Reporters read [`hostler_events::RunEvent`]s and write; they never fail a run. Everything that comes from a host,
//! an inventory or a file passes [`sanitize`] before it reaches a terminal or a log.

mod diagnostics;
mod diff;
mod dump;
mod export;
mod fold;
mod hosts;
mod json_lines;
mod options;
mod owed;
mod patch;
mod plain;
mod preview;
mod runs;
pub mod sanitize;
mod streams;
mod style;
mod terminal;
mod web;
mod words;

pub use diagnostics::{diagnostics_as_json, render_diagnostics};
pub use export::{Exporter, Form, When, csv, export, junit, run_json, run_page, run_schema};
pub use json_lines::JsonLines;
pub use options::Options;
pub use patch::{
    PatchView, Reader, ReportForm, TimeOfDay, patch_exceptions, patch_exceptions_json,
    patch_report, patch_report_schema, scan_json, scan_text, windows_json, windows_text,
};
pub use plain::Plain;
pub use preview::{
    PageFacts, page, plan_diff, preview_json, preview_schema, preview_summary, preview_text,
};
pub use runs::{
    ChangeRow, PrunedRows, RunRow, comparison_json, comparison_text, log_json, log_text,
    pruned_text, run_text, runs_json, runs_text,
};
pub use terminal::{Control, LateHost, Terminal};
