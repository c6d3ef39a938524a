//! Maintenance windows, freezes and calendars: when something may be done.
//!
//! ```text
//! Pattern (floating local dates) ─ offset ─ zone ─> Occurrence ─ minus freezes ─> open intervals ─ cut with a host's own ─> admits
//! ```
//!
//! Pure: the time now is an argument. All instants are microseconds since the epoch, UTC.
//!
//! Daylight saving: a start in the gap of spring is as far after the gap as it was after its start (02:30 becomes 03:30), of two
//! equal local times in autumn the first counts, and one date of a rule is one start. A duration is real time: a window of four
//! hours has four hours on each day of the year.

mod admit;
mod calendar;
mod due;
mod examine;
mod freeze;
mod interval;
mod listed;
mod on_calendar;
mod problem;
mod rrule;
mod rule;
mod text;
mod window;
mod zone;

pub use admit::{Admission, admits, intersect_all, merge};
pub use calendar::{Calendar, Event};
pub use due::{Due, MissedRule, Opening, Watch, due};
pub use examine::{Finding, examine, first_meeting};
pub use freeze::Freeze;
pub use interval::{Interval, Occurrence, intersect, subtract};
pub use jiff::civil::{Date, DateTime, Time, Weekday};
pub use listed::Listed;
pub use on_calendar::{OnCalendar, on_calendar};
pub use problem::Problem;
pub use rrule::parse_rrule;
pub use rule::{Frequency, Rule};
pub use text::{
    DayOfMonth, duration_text, parse_date, parse_date_time, parse_day_of_month, parse_days,
    parse_duration, parse_time, parse_weekday,
};
pub use window::{Pattern, Start, Window, next_occurrences, occurrences};
pub use zone::{Resolved, Zone};
