//! A run for other programs and for keeping: `JUnit`, CSV, one HTML page, JSON.
//!
//! Each form is a function from a [`Record`]; [`Exporter`] makes one from a run's events, as they happen or as they
//! were stored.

pub(crate) mod csv;
mod html;
mod json;
pub(crate) mod junit;
mod outcome;

use std::io::Write;

use hostler_events::{Reporter, RunEvent, Stamped};
use hostler_record::{Builder, Record};

pub use csv::csv;
pub use html::run_page;
pub use json::{run_json, run_schema};
pub use junit::junit;
pub(crate) use outcome::{TaskGroup, full_message, groups, word};

/// A time in words, microseconds since the epoch in the reader's time zone.
pub type When<'a> = &'a (dyn Fn(i64) -> String + Send + Sync);

/// A form that a run can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For continuous integration: a suite for each host.
    JUnit,
    /// For spreadsheets: a row for each task and host.
    Csv,
    /// For people: one page.
    Html,
    /// For programs: the record.
    Json,
}

/// Writes a record in a form.
pub fn export(record: &Record, form: Form, when: When<'_>) -> String {
    match form {
        Form::JUnit => junit(record),
        Form::Csv => csv(record),
        Form::Html => run_page(record, when),
        Form::Json => run_json(record),
    }
}

/// Writes a run in a form when it has ended.
pub struct Exporter<W> {
    out: W,
    form: Form,
    when: fn(i64) -> String,
    builder: Builder,
}

impl<W: Write + Send> Exporter<W> {
    /// Writes to `out`; `when` tells times in words.
    pub fn new(out: W, form: Form, when: fn(i64) -> String) -> Self {
        Exporter {
            out,
            form,
            when,
            builder: Builder::default(),
        }
    }
}

impl<W: Write + Send> Reporter for Exporter<W> {
    fn event(&mut self, stamped: &Stamped) {
        self.builder.event(stamped);
        if matches!(stamped.event, RunEvent::RunFinished { .. }) {
            let record = std::mem::take(&mut self.builder).finish();
            // A closed pipe is no failure of the run.
            let _ = self
                .out
                .write_all(export(&record, self.form, &self.when).as_bytes());
            let _ = self.out.flush();
        }
    }
}

/// A time as RFC 3339 has it, in UTC.
pub(crate) fn utc(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us).map_or_else(
        |_| String::new(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
    )
}

/// Seconds with milliseconds.
pub(crate) fn seconds(us: u64) -> String {
    let ms = us / 1000;
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
