//! Calendars in iCalendar form (RFC 5545), as far as freezes need them: when events are.
//!
//! ```text
//! text ─ lines ─> content lines ─ parse ─> entries (VEVENT) ─ series ─> events in a range
//! ```
//!
//! Definitions of zones (VTIMEZONE) are not read: a TZID must be a name of the IANA database or one of Windows. The text comes
//! from elsewhere: its size, the number of events and of dates are bounded.

mod entry;
mod lines;
mod series;
mod windows_zones;

use crate::interval::Interval;
use crate::problem::Problem;
use crate::zone::Zone;
use entry::{Entry, entries};
use series::{Series, series};

/// Bytes that a calendar may have.
const LARGEST: usize = 4 << 20;

/// A calendar that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    series: Vec<Series>,
    warnings: Vec<String>,
}

/// An event, at one of its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it is.
    pub span: Interval,
    /// SUMMARY, on one line; may be empty.
    pub summary: String,
}

impl Calendar {
    /// Reads a calendar. The zone is the one of days and of times that name none.
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, Problem> {
        if text.len() > LARGEST {
            let what = format!("the calendar has more than {} MiB", LARGEST >> 20);
            return Err(Problem::new(what));
        }
        let all: Vec<Entry> = entries(&lines::content_lines(text)?, zone)?;
        let mut warnings = Vec::new();
        for it in all.iter().filter(|it| it.is_instant() && !it.cancelled) {
            warnings.push(format!(
                "line {}: the event {:?} has no duration and freezes nothing",
                it.line, it.summary
            ));
        }
        Ok(Self {
            series: series(all, zone),
            warnings,
        })
    }

    /// Only the events that have the text in their SUMMARY, whatever its case.
    #[must_use]
    pub fn matching(mut self, text: &str) -> Self {
        let wanted = text.to_lowercase();
        self.series
            .retain(|it| it.summary().to_lowercase().contains(&wanted));
        self
    }

    /// How many events it has; one that recurs counts once, each of its exceptions once more.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Has it no events?
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// What is odd about it, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The events that are, at least in part, in the range, by their start.
    pub fn events(&self, range: Interval) -> Vec<Event> {
        let mut found: Vec<Event> = self
            .series
            .iter()
            .flat_map(|it| {
                it.spans(range).into_iter().map(|span| Event {
                    span,
                    summary: it.summary().to_owned(),
                })
            })
            .collect();
        found.sort_by(|a, b| (a.span, &a.summary).cmp(&(b.span, &b.summary)));
        found.dedup();
        found
    }
}
