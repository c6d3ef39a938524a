//! Reports on a policy, in every form.
//!
//! ```text
//! Report ──┬─ manager ──┐
//!          ├─ engineer ─┴─ blocks ──> terminal, Markdown, HTML
//!          └────────────────────────> JSON, CSV, JUnit, OpenMetrics
//! ```
//!
//! Everything in a report that comes from hosts is hostile: controls are made visible, the rest is escaped as the form wants
//! it, and long lists are bounded.

mod csv;
mod engineer;
mod html;
mod junit;
mod manager;
mod markdown;
mod openmetrics;
mod sheet;
mod terminal;
mod trend;
mod words;

use hostler_patch::report::Report;

use crate::Options;
use crate::export::When;
use crate::sanitize;

/// A form that a report can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportForm {
    /// For a terminal.
    Text,
    /// For issues and wikis.
    Markdown,
    /// For people: one page.
    Html,
    /// For programs: all of it (`docs/schema/patch-report.json`).
    Json,
    /// For spreadsheets: a row for each host; for engineers, for each package that runs brought to a host.
    Csv,
    /// For continuous integration: a case for each host.
    JUnit,
    /// For Prometheus.
    OpenMetrics,
}

/// For whom it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// How hosts stand, on one page.
    Manager,
    /// What runs did, and what is open where.
    Engineer,
}

impl ReportForm {
    /// Every form.
    pub const ALL: [ReportForm; 7] = [
        ReportForm::Text,
        ReportForm::Markdown,
        ReportForm::Html,
        ReportForm::Json,
        ReportForm::Csv,
        ReportForm::JUnit,
        ReportForm::OpenMetrics,
    ];

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            ReportForm::Text => "text",
            ReportForm::Markdown => "md",
            ReportForm::Html => "html",
            ReportForm::Json => "json",
            ReportForm::Csv => "csv",
            ReportForm::JUnit => "junit",
            ReportForm::OpenMetrics => "openmetrics",
        }
    }

    /// How the names of its files end.
    pub fn extension(self) -> &'static str {
        match self {
            ReportForm::Text => "txt",
            ReportForm::JUnit => "xml",
            ReportForm::OpenMetrics => "prom",
            other => other.word(),
        }
    }

    /// Does it differ by reader? The others hold everything for everybody.
    pub fn has_readers(self) -> bool {
        matches!(
            self,
            ReportForm::Text | ReportForm::Markdown | ReportForm::Html | ReportForm::Csv
        )
    }
}

/// Writes a report in a form. `when` tells times in words.
pub fn patch_report(
    report: &Report,
    form: ReportForm,
    reader: Reader,
    options: &Options,
    when: When<'_>,
) -> String {
    let title = format!("Patch report: {}", report.policy);
    let blocks = || match reader {
        Reader::Manager => manager::page(report, when),
        Reader::Engineer => engineer::page(report, when),
    };
    match form {
        ReportForm::Text => terminal::page(&title, &blocks(), options),
        ReportForm::Markdown => markdown::page(&title, &blocks()),
        ReportForm::Html => html::page(&title, &blocks()),
        ReportForm::Json => json(report),
        ReportForm::Csv => match reader {
            Reader::Manager => csv::hosts(report),
            Reader::Engineer => csv::versions(report),
        },
        ReportForm::JUnit => junit::suites(report),
        ReportForm::OpenMetrics => openmetrics::metrics(report),
    }
}

/// The exceptions of a policy, for people.
pub fn patch_exceptions(
    exceptions: &[hostler_patch::report::ExceptionRow],
    options: &Options,
    when: When<'_>,
) -> String {
    terminal::blocks(&manager::exceptions(exceptions, when), options)
}

/// The exceptions of a policy, for programs: a list as in the JSON of reports.
pub fn patch_exceptions_json(exceptions: &[hostler_patch::report::ExceptionRow]) -> String {
    json(&exceptions)
}

/// Indented JSON.
fn json(what: &impl serde::Serialize) -> String {
    let json = serde_json::to_string_pretty(what).unwrap_or_default();
    // Line breaks are between tokens only; within a text they are escaped already.
    let lines: Vec<String> = json.lines().map(sanitize::json).collect();
    lines.join("\n") + "\n"
}

/// The JSON schema of reports, for people: indented.
pub fn patch_report_schema() -> String {
    let schema = hostler_patch::report::schema();
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
