//! Events at all their times: rules, further dates, exceptions.

use jiff::civil::{Date, Time};

use super::entry::{Entry, Length, Point};
use crate::interval::Interval;
use crate::rule::plus_days;
use crate::zone::Zone;

/// An event with its times.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    entry: Entry,
    /// Times at which it is not: those of its exceptions too.
    except: Vec<Except>,
    zone: Zone,
}

/// A time of a series that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Except {
    At(i64),
    /// Whatever the hour.
    On(Date),
}

/// Brings series and their exceptions together. What is cancelled is left out.
pub(super) fn series(mut all: Vec<Entry>, zone: &Zone) -> Vec<Series> {
    let key = |it: &Entry| it.instead_of.as_ref().map(|of| of.at_us(zone));
    // Of several versions of one event the latest counts.
    let versions: Vec<(String, Option<i64>, u32)> = all
        .iter()
        .map(|it| (it.uid.clone(), key(it), it.sequence))
        .collect();
    let mut latest = std::collections::BTreeMap::new();
    for (uid, of, sequence) in &versions {
        let known = latest.entry((uid.clone(), *of)).or_insert(*sequence);
        *known = (*known).max(*sequence);
    }
    all.retain(|it| {
        let newest = latest.get(&(it.uid.clone(), key(it)));
        it.uid.is_empty() || newest.is_none_or(|newest| it.sequence >= *newest)
    });
    let except = |point: &Point| match point {
        Point::Day(date) => Except::On(*date),
        Point::Time(..) => Except::At(point.at_us(zone)),
    };
    let mut moved: std::collections::BTreeMap<String, Vec<Except>> =
        std::collections::BTreeMap::new();
    let mut titles = std::collections::BTreeMap::new();
    for it in &all {
        match &it.instead_of {
            Some(of) => moved.entry(it.uid.clone()).or_default().push(except(of)),
            None => {
                titles.insert(it.uid.clone(), it.summary.clone());
            }
        }
    }
    let live = all
        .into_iter()
        .filter(|it| !it.cancelled && !it.is_instant());
    live.map(|mut entry| {
        let mut left_out: Vec<Except> = entry.except.iter().map(except).collect();
        if entry.instead_of.is_some() {
            // An exception stands for itself; what it does not say, its series does.
            entry.rules.clear();
            entry.more.clear();
            left_out.clear();
            if entry.summary.is_empty() {
                entry.summary = titles.get(&entry.uid).cloned().unwrap_or_default();
            }
        } else if !entry.uid.is_empty() {
            left_out.extend(moved.get(&entry.uid).cloned().unwrap_or_default());
        }
        Series {
            entry,
            except: left_out,
            zone: zone.clone(),
        }
    })
    .collect()
}

impl Series {
    pub(super) fn summary(&self) -> &str {
        &self.entry.summary
    }

    /// Its times that meet the range, in no order.
    pub(super) fn spans(&self, range: Interval) -> Vec<Interval> {
        let own = self.entry.length;
        let longest = self.entry.more.iter().filter_map(|(_, it)| *it);
        let longest = longest.chain([own]).map(|it| it.days + it.seconds / 86_400);
        let back = longest.max().unwrap_or(0) + 2;
        let day = |at_us: i64, ahead: i64| {
            let date = self.zone.to_local(at_us).date();
            plus_days(date, ahead)
        };
        let (Some(from), Some(until)) = (day(range.start_us, -back), day(range.end_us, 2)) else {
            return Vec::new();
        };
        // Dates of calendars do not reach further.
        let until = until.min(Date::constant(2200, 1, 2));
        let points = self.points(from, until).into_iter().map(|it| (it, own));
        let more = self.entry.more.iter();
        let more = more.map(|(at, length)| (at.clone(), length.unwrap_or(own)));
        let spans = points
            .chain(more)
            .filter(|(at, _)| !self.is_left_out(at))
            .map(|(at, length)| self.span(&at, length));
        let mut spans: Vec<Interval> = spans
            .filter(|it| it.start_us < range.end_us && range.start_us < it.end_us)
            .collect();
        spans.sort();
        spans.dedup();
        spans
    }

    /// The start, and what the rules name from the one date to the other.
    fn points(&self, from: Date, until: Date) -> Vec<Point> {
        let start = &self.entry.start;
        let first = start.date();
        let at = match start {
            Point::Day(_) => Time::midnight(),
            Point::Time(local, _) => local.time(),
        };
        let mut dates = vec![first];
        for rule in &self.entry.rules {
            let mut rule = rule.clone();
            // The start is the first of COUNT times, even if the rule does not name it.
            if rule.dates(Some(first), at, first, first).is_empty() {
                rule.count = rule.count.map(|it| it.saturating_sub(1));
            }
            dates.extend(rule.dates(Some(first), at, from, until));
        }
        dates.sort();
        dates.dedup();
        let point = |date: Date| match start {
            Point::Day(_) => Point::Day(date),
            Point::Time(_, zone) => Point::Time(date.to_datetime(at), zone.clone()),
        };
        dates.into_iter().map(point).collect()
    }

    fn is_left_out(&self, at: &Point) -> bool {
        self.except.iter().any(|it| match it {
            Except::At(instant) => *instant == at.at_us(&self.zone),
            Except::On(date) => *date == at.date(),
        })
    }

    fn span(&self, at: &Point, length: Length) -> Interval {
        let start_us = at.at_us(&self.zone);
        let end_us = if length.days == 0 {
            start_us
        } else {
            let end = |date: Date| plus_days(date, length.days).unwrap_or(Date::MAX);
            match at {
                Point::Day(date) => self.zone.midnight(end(*date)),
                Point::Time(local, zone) => {
                    let local = end(local.date()).to_datetime(local.time());
                    zone.resolve(local).at_us
                }
            }
        };
        Interval {
            start_us,
            end_us: end_us.saturating_add(length.seconds.saturating_mul(1_000_000)),
        }
    }
}
