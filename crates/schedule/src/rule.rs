//! Recurrence rules in floating local time: which dates a rule names.
//!
//! A part of RFC 5545, 3.3.10, in which a date is named at most once. Each period of the frequency is taken as the set of its
//! days; the BY parts are filters on that set, and BYSETPOS picks from what is left. For the frequencies DAILY to YEARLY and
//! for the parts that are known here that is what the RFC's table of expansions and limits comes to.

use jiff::civil::{Date, DateTime, Time, Weekday};

use crate::text::DayOfMonth;

/// How long the period of a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    /// A day.
    Daily,
    /// A week, which starts at [`Rule::week_start`].
    Weekly,
    /// A calendar month.
    Monthly,
    /// A calendar year.
    Yearly,
}

/// A recurrence rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// FREQ.
    pub frequency: Frequency,
    /// INTERVAL: every so many periods, counted from the one of the anchor.
    pub interval: u32,
    /// COUNT: no more than so many dates, from the anchor on.
    pub count: Option<u32>,
    /// UNTIL: no dates after this local time.
    pub until: Option<DateTime>,
    /// BYMONTH.
    pub months: Vec<i8>,
    /// BYMONTHDAY; negative ones count from the end of the month.
    pub month_days: Vec<i8>,
    /// BYDAY. With a number: the n-th one of the month, or of the year if the rule is yearly and has no months.
    pub weekdays: Vec<(Option<i16>, Weekday)>,
    /// BYSETPOS.
    pub set_positions: Vec<i16>,
    /// BYHOUR and BYMINUTE.
    pub at: Option<Time>,
    /// WKST.
    pub week_start: Weekday,
}

/// Days between 1970-01-01 and a date.
fn day_number(date: Date) -> i64 {
    EPOCH.duration_until(date).as_hours() / 24
}

const EPOCH: Date = Date::constant(1970, 1, 1);
/// The Monday that periods are counted from where the user has named no first date. Only rules that take every period get
/// that far, so it decides nothing.
const NO_ANCHOR: Date = Date::constant(1970, 1, 5);

/// The date that many days later.
pub(crate) fn plus_days(date: Date, days: i64) -> Option<Date> {
    date.checked_add(jiff::SignedDuration::from_hours(days.checked_mul(24)?))
        .ok()
}

impl Rule {
    fn every(frequency: Frequency) -> Self {
        Self {
            frequency,
            interval: 1,
            count: None,
            until: None,
            months: Vec::new(),
            month_days: Vec::new(),
            weekdays: Vec::new(),
            set_positions: Vec::new(),
            at: None,
            week_start: Weekday::Monday,
        }
    }

    /// Each day.
    pub fn daily() -> Self {
        Self::every(Frequency::Daily)
    }

    /// These days of each week.
    pub fn weekly(days: &[Weekday]) -> Self {
        Self {
            weekdays: days.iter().map(|it| (None, *it)).collect(),
            ..Self::every(Frequency::Weekly)
        }
    }

    /// This day of each month that has it.
    pub fn monthly(day: DayOfMonth) -> Self {
        let mut rule = Self::every(Frequency::Monthly);
        match day {
            DayOfMonth::Day(day) => rule.month_days.push(day),
            DayOfMonth::Weekday(nth, day) => rule.weekdays.push((Some(nth.into()), day)),
        }
        rule
    }

    /// A rule of the frequency without any other part.
    pub(crate) fn of(frequency: Frequency) -> Self {
        Self::every(frequency)
    }

    /// Does it need a first date to say which dates it names? Why.
    pub(crate) fn needs_anchor(&self) -> Option<&'static str> {
        if self.interval > 1 {
            return Some("INTERVAL counts from it");
        }
        if self.count.is_some() {
            return Some("COUNT counts from it");
        }
        let has_day = !self.weekdays.is_empty() || !self.month_days.is_empty();
        match self.frequency {
            Frequency::Weekly => (!has_day).then_some("it says the day of the week"),
            Frequency::Monthly => (!has_day).then_some("it says the day of the month"),
            Frequency::Yearly if !has_day => Some("it says the day of the year"),
            Frequency::Daily | Frequency::Yearly => None,
        }
    }

    /// The dates from the one to the other, both included, in order. `anchor` is the first date (DTSTART); `at` is the time of
    /// day of its occurrences, for UNTIL.
    pub fn dates(&self, anchor: Option<Date>, at: Time, from: Date, until: Date) -> Vec<Date> {
        let first = anchor.unwrap_or(NO_ANCHOR);
        let rule = anchor.map_or_else(|| self.clone(), |it| self.completed_by(it));
        let last = match self.until {
            Some(end) if end.time() < at => end.date().yesterday().unwrap_or(Date::MIN).min(until),
            Some(end) => end.date().min(until),
            None => until,
        };
        let mut left = self.count.unwrap_or(u32::MAX);
        let mut found = Vec::new();
        // What comes before the first date asked for matters only if it is counted.
        let mut index = if self.count.is_some() {
            0
        } else {
            rule.period_of(first, from)
        };
        while let Some(days) = rule.period(first, index) {
            if days.first().is_none_or(|start| *start > last) {
                break;
            }
            for date in rule.pick(&days) {
                if date < first {
                    continue;
                }
                if date > last || left == 0 {
                    return found;
                }
                left -= 1;
                if date >= from {
                    found.push(date);
                }
            }
            index += 1;
        }
        found
    }

    /// With the parts that the anchor says: the weekday of a weekly rule without one, and so on.
    fn completed_by(&self, anchor: Date) -> Self {
        let mut rule = self.clone();
        if !rule.weekdays.is_empty() || !rule.month_days.is_empty() {
            return rule;
        }
        match rule.frequency {
            Frequency::Daily => {}
            Frequency::Weekly => rule.weekdays.push((None, anchor.weekday())),
            Frequency::Monthly => rule.month_days.push(anchor.day()),
            Frequency::Yearly => {
                if rule.months.is_empty() {
                    rule.months.push(anchor.month());
                }
                rule.month_days.push(anchor.day());
            }
        }
        rule
    }

    /// Index of the last period that starts on the date or before, from 0.
    fn period_of(&self, first: Date, date: Date) -> i64 {
        let step = i64::from(self.interval.max(1));
        let behind = match self.frequency {
            Frequency::Daily => day_number(date) - day_number(first),
            Frequency::Weekly => (day_number(date) - self.week_of(first)).div_euclid(7),
            Frequency::Monthly => month_number(date) - month_number(first),
            Frequency::Yearly => i64::from(date.year()) - i64::from(first.year()),
        };
        behind.div_euclid(step).max(0)
    }

    /// Day number of the start of the week of the date.
    fn week_of(&self, date: Date) -> i64 {
        day_number(date) - i64::from(self.week_start.until(date.weekday()))
    }

    /// All days of the period; `None` beyond the calendar.
    fn period(&self, first: Date, index: i64) -> Option<Vec<Date>> {
        let ahead = index.checked_mul(i64::from(self.interval.max(1)))?;
        let (start, length) = match self.frequency {
            Frequency::Daily => (plus_days(first, ahead)?, 1),
            Frequency::Weekly => {
                let start = self.week_of(first).checked_add(ahead.checked_mul(7)?)?;
                (plus_days(EPOCH, start)?, 7)
            }
            Frequency::Monthly => {
                let month = month_number(first).checked_add(ahead)?;
                let year = i16::try_from(month.div_euclid(12)).ok()?;
                let month = i8::try_from(month.rem_euclid(12)).ok()? + 1;
                let start = Date::new(year, month, 1).ok()?;
                (start, i64::from(start.days_in_month()))
            }
            Frequency::Yearly => {
                let year = i64::from(first.year()).checked_add(ahead)?;
                let start = Date::new(i16::try_from(year).ok()?, 1, 1).ok()?;
                (start, i64::from(start.days_in_year()))
            }
        };
        (0..length).map(|day| plus_days(start, day)).collect()
    }

    /// The days of a period that the rule names.
    fn pick(&self, days: &[Date]) -> Vec<Date> {
        let named: Vec<Date> = days.iter().copied().filter(|it| self.names(*it)).collect();
        if self.set_positions.is_empty() {
            return named;
        }
        let count = named.len();
        let place = |position: i16| {
            let size = usize::from(position.unsigned_abs());
            if position > 0 {
                size.checked_sub(1)
            } else {
                count.checked_sub(size)
            }
        };
        let wanted: Vec<usize> = self
            .set_positions
            .iter()
            .filter_map(|it| place(*it))
            .collect();
        let chosen = named
            .iter()
            .enumerate()
            .filter(|(at, _)| wanted.contains(at));
        chosen.map(|(_, date)| *date).collect()
    }

    fn names(&self, date: Date) -> bool {
        let in_month = self.months.is_empty() || self.months.contains(&date.month());
        let from_end = date.day() - date.days_in_month() - 1;
        let on_day = self.month_days.is_empty()
            || self.month_days.contains(&date.day())
            || self.month_days.contains(&from_end);
        let on_weekday =
            self.weekdays.is_empty() || self.weekdays.iter().any(|it| self.is_nth(date, *it));
        in_month && on_day && on_weekday
    }

    fn is_nth(&self, date: Date, (nth, weekday): (Option<i16>, Weekday)) -> bool {
        if date.weekday() != weekday {
            return false;
        }
        let Some(nth) = nth else { return true };
        let of_year = self.frequency == Frequency::Yearly && self.months.is_empty();
        let (day, length) = if of_year {
            (date.day_of_year(), date.days_in_year())
        } else {
            (i16::from(date.day()), i16::from(date.days_in_month()))
        };
        nth == (day - 1) / 7 + 1 || nth == -((length - day) / 7 + 1)
    }
}

/// Months since the year 0.
fn month_number(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}
