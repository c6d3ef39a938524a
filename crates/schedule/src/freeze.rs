//! Freezes: stretches of time in which nothing is done, whatever windows say.

use jiff::civil::Date;

use crate::calendar::Calendar;
use crate::interval::Interval;
use crate::problem::Problem;
use crate::text::{parse_date, parse_date_time};
use crate::zone::Zone;

/// A freeze.
#[derive(Clone, Debug, PartialEq)]
pub struct Freeze {
    name: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Span(Interval),
    Calendar(Calendar),
}

impl Freeze {
    /// From the one to the other. Dates are whole days in the zone, both included; local times are instants, the end not
    /// included.
    pub fn parse(
        name: impl Into<String>,
        from: &str,
        to: &str,
        zone: &Zone,
    ) -> Result<Self, Problem> {
        let start_us = match moment(from)? {
            Moment::Day(date) => zone.midnight(date),
            Moment::Time(local) => zone.resolve(local).at_us,
        };
        let end_us = match moment(to)? {
            Moment::Day(date) => zone.midnight(date.tomorrow().unwrap_or(Date::MAX)),
            Moment::Time(local) => zone.resolve(local).at_us,
        };
        if end_us <= start_us {
            let what = format!("the freeze ends ({to}) before it begins ({from})");
            return Err(Problem::new(what));
        }
        let span = Interval { start_us, end_us };
        Ok(Self {
            name: name.into(),
            what: What::Span(span),
        })
    }

    /// The events of a calendar.
    pub fn calendar(name: impl Into<String>, calendar: Calendar) -> Self {
        Self {
            name: name.into(),
            what: What::Calendar(calendar),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says what it is, the same for equal freezes in all versions. What a calendar holds is no part of it.
    pub fn fingerprint(&self) -> String {
        match &self.what {
            What::Span(span) => format!("{} {}-{}", self.name, span.start_us, span.end_us),
            What::Calendar(_) => format!("{} calendar", self.name),
        }
    }

    /// Where it is in effect within the range, in order, each with what to call it. They may overlap.
    pub fn spans(&self, range: Interval) -> Vec<(Interval, String)> {
        let meets = |it: &Interval| it.start_us < range.end_us && range.start_us < it.end_us;
        match &self.what {
            What::Span(span) if meets(span) => vec![(*span, self.name.clone())],
            What::Span(_) => Vec::new(),
            What::Calendar(calendar) => calendar
                .events(range)
                .into_iter()
                .map(|it| {
                    let why = if it.summary.is_empty() {
                        self.name.clone()
                    } else {
                        format!("{} ({})", self.name, it.summary)
                    };
                    (it.span, why)
                })
                .collect(),
        }
    }
}

enum Moment {
    Day(Date),
    Time(jiff::civil::DateTime),
}

fn moment(text: &str) -> Result<Moment, Problem> {
    if text.trim().len() > 10 {
        parse_date_time(text).map(Moment::Time)
    } else {
        parse_date(text).map(Moment::Day)
    }
}
