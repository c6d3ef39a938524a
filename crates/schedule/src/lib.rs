//! Maintenance windows, freezes and calendars: when something may be done.
//!
//! ```text
//! Recurrence (floating local dates) ─ zone ─> Occurrence ─ minus freezes ─> Interval
//! ```
//!
//! Pure: the time now is an argument. All instants are microseconds since the epoch, UTC.

mod interval;

pub use interval::{Interval, Occurrence, intersect, subtract};
