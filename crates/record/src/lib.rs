//! A run as one document: what exports, `runs show` and `runs diff` read.
//!
//! ```text
//! events ─→ Builder ─→ Record ─┬→ JUnit, CSV, HTML, JSON, text (the reporters)
//!                              └→ compare(a, b) ─→ Comparison
//! ```
//!
//! Pure: no files, no clock, no printing. The JSON form has a schema (`docs/schema/run.json`).

mod builder;
mod compare;
mod document;
mod select;

pub use builder::Builder;
pub use compare::{Comparison, Difference, Slower, compare};
pub use document::{
    HostRecord, ItemRecord, Kind, OwedRecord, PlayRecord, Record, ResultRecord, State, TaskRecord,
    WarningRecord, schema,
};
pub use select::Selection;
