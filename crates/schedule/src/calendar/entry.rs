//! VEVENT components.

use jiff::civil::{Date, DateTime};

use super::lines::Line;
use super::windows_zones::iana_name;
use crate::problem::{Problem, shown};
use crate::rrule::{Stamp, parse_rrule, parse_stamp};
use crate::rule::Rule;
use crate::text::DAY_S;
use crate::zone::Zone;

/// Events that a calendar may have.
const MOST_EVENTS: usize = 2_000;
/// Dates (RDATE, EXDATE) that a calendar may have.
const MOST_DATES: usize = 20_000;
const LONGEST_DAYS: i64 = 3_653;
const SUMMARY_CHARS: usize = 120;

/// A day, or a local time in a zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    Day(Date),
    Time(DateTime, Zone),
}

impl Point {
    pub(super) fn date(&self) -> Date {
        match self {
            Self::Day(date) => *date,
            Self::Time(local, _) => local.date(),
        }
    }

    /// The instant; of a day, its start in the zone.
    pub(super) fn at_us(&self, zone: &Zone) -> i64 {
        match self {
            Self::Day(date) => zone.midnight(*date),
            Self::Time(local, zone) => zone.resolve(*local).at_us,
        }
    }
}

/// How long: calendar days, and real seconds after these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Length {
    pub days: i64,
    pub seconds: i64,
}

/// A VEVENT.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub line: u32,
    pub uid: String,
    pub sequence: u32,
    pub summary: String,
    pub start: Point,
    pub length: Length,
    pub rules: Vec<Rule>,
    pub more: Vec<(Point, Option<Length>)>,
    pub except: Vec<Point>,
    /// Of which time of its series this is the exception.
    pub instead_of: Option<Point>,
    pub cancelled: bool,
}

impl Entry {
    pub(super) fn is_instant(&self) -> bool {
        self.length == Length::default()
    }
}

/// The events of a calendar.
pub(super) fn entries(lines: &[Line], zone: &Zone) -> Result<Vec<Entry>, Problem> {
    let is_calendar = lines
        .first()
        .is_some_and(|it| it.name == "BEGIN" && it.value.eq_ignore_ascii_case("VCALENDAR"));
    if !is_calendar {
        let hint = "an .ics file begins with `BEGIN:VCALENDAR`";
        return Err(Problem::new("this is no calendar").hint(hint).at_line(1));
    }
    let mut found = Vec::new();
    let mut dates = 0;
    let mut stack: Vec<(String, u32)> = Vec::new();
    let mut event: Vec<&Line> = Vec::new();
    for line in lines {
        match line.name.as_str() {
            "BEGIN" => stack.push((line.value.to_uppercase(), line.number)),
            "END" => {
                let open = stack.pop();
                if open.as_ref().map(|(name, _)| name) != Some(&line.value.to_uppercase()) {
                    let what = format!("END:{} without its BEGIN", line.value);
                    return Err(line.problem(what));
                }
                if let Some((name, begin)) = open
                    && name == "VEVENT"
                {
                    let entry = Reader { zone, begin }.entry(&std::mem::take(&mut event))?;
                    dates += entry.more.len() + entry.except.len();
                    found.push(entry);
                    if found.len() > MOST_EVENTS || dates > MOST_DATES {
                        let what = format!(
                            "the calendar has more than {MOST_EVENTS} events or {MOST_DATES} dates"
                        );
                        return Err(line.problem(what));
                    }
                }
            }
            _ if stack.last().is_some_and(|(name, _)| name == "VEVENT") => event.push(line),
            _ => {}
        }
        if stack.len() > 8 {
            return Err(line.problem("components are nested too deeply"));
        }
    }
    match stack.first() {
        Some((name, begin)) => {
            Err(Problem::new(format!("{} has no END", shown(name))).at_line(*begin))
        }
        None => Ok(found),
    }
}

/// Reads one event.
struct Reader<'a> {
    zone: &'a Zone,
    begin: u32,
}

impl Reader<'_> {
    fn entry(&self, lines: &[&Line]) -> Result<Entry, Problem> {
        let one = |name: &str| lines.iter().find(|it| it.name == name);
        let value = |name: &str| one(name).map_or("", |it| it.value.as_str());
        let Some(start_line) = one("DTSTART") else {
            return Err(Problem::new("the event has no DTSTART").at_line(self.begin));
        };
        let start = self.point(start_line, &start_line.value)?;
        let length = match (one("DTEND"), one("DURATION")) {
            (Some(end), _) => self.until(&start, end, &end.value)?,
            (None, Some(line)) => {
                let length = parse_length(&line.value);
                length
                    .ok_or_else(|| line.problem(format!("{} is no duration", shown(&line.value))))?
            }
            (None, None) if matches!(start, Point::Day(_)) => Length {
                days: 1,
                seconds: 0,
            },
            (None, None) => Length::default(),
        };
        check_length(start_line, &start, length)?;
        if let Some(line) = one("EXRULE") {
            return Err(line.problem("EXRULE is not supported").hint("EXDATE is"));
        }
        let rules = lines.iter().filter(|it| it.name == "RRULE");
        let rules = rules.map(|it| self.rule(it, &start));
        let mut entry = Entry {
            line: self.begin,
            uid: value("UID").to_owned(),
            sequence: value("SEQUENCE").parse().unwrap_or(0),
            summary: plain(value("SUMMARY")),
            rules: rules.collect::<Result<_, _>>()?,
            more: Vec::new(),
            except: Vec::new(),
            instead_of: None,
            cancelled: value("STATUS").eq_ignore_ascii_case("CANCELLED"),
            start,
            length,
        };
        if let Some(line) = one("RECURRENCE-ID") {
            if line.parameter("RANGE").is_some() {
                let what = "RECURRENCE-ID with RANGE (this and all later ones) is not supported";
                return Err(line
                    .problem(what)
                    .hint("end the series and begin another one"));
            }
            entry.instead_of = Some(self.point(line, &line.value)?);
        }
        for line in lines.iter().filter(|it| it.name == "EXDATE") {
            for value in line.value.split(',') {
                entry.except.push(self.point(line, value)?);
            }
        }
        for line in lines.iter().filter(|it| it.name == "RDATE") {
            for value in line.value.split(',') {
                entry.more.push(self.date_or_period(line, value)?);
            }
        }
        Ok(entry)
    }

    fn rule(&self, line: &Line, start: &Point) -> Result<Rule, Problem> {
        let zone = match start {
            Point::Day(_) => self.zone,
            Point::Time(_, zone) => zone,
        };
        let rule = parse_rrule(&line.value, zone).map_err(|it| it.at_line(line.number))?;
        let other = match (rule.at, start) {
            (Some(at), Point::Time(local, _)) => at != local.time(),
            (Some(_), Point::Day(_)) => true,
            (None, _) => false,
        };
        if other {
            return Err(line.problem("BYHOUR says another time than DTSTART"));
        }
        Ok(rule)
    }

    fn date_or_period(&self, line: &Line, value: &str) -> Result<(Point, Option<Length>), Problem> {
        let Some((start, end)) = value.split_once('/') else {
            return Ok((self.point(line, value)?, None));
        };
        let start = self.point(line, start)?;
        let length = match parse_length(end) {
            Some(length) => length,
            None => self.until(&start, line, end)?,
        };
        check_length(line, &start, length)?;
        Ok((start, Some(length)))
    }

    /// From the start to the end that the line says.
    fn until(&self, start: &Point, line: &Line, value: &str) -> Result<Length, Problem> {
        let end = self.point(line, value)?;
        let length = match (start, &end) {
            (Point::Day(from), Point::Day(to)) => Length {
                days: from.duration_until(*to).as_hours() / 24,
                seconds: 0,
            },
            (Point::Time(..), Point::Time(..)) => Length {
                days: 0,
                seconds: (end.at_us(self.zone) - start.at_us(self.zone)) / 1_000_000,
            },
            _ => {
                let what = "start and end must both be days, or both be times";
                return Err(line.problem(what));
            }
        };
        // Some programs end an event of one day on that day.
        match (start, length) {
            (Point::Day(_), Length { days: 0, .. }) => Ok(Length {
                days: 1,
                seconds: 0,
            }),
            (_, it) if it.days < 0 || it.seconds < 0 => {
                Err(line.problem("the event ends before it begins"))
            }
            (_, it) => Ok(it),
        }
    }

    fn point(&self, line: &Line, value: &str) -> Result<Point, Problem> {
        let value = value.trim();
        match parse_stamp(value) {
            Some(Stamp::Date(date)) => Ok(Point::Day(date)),
            Some(Stamp::Utc(at)) => {
                let zone = Zone::utc();
                Ok(Point::Time(zone.to_local(at.as_microsecond()), zone))
            }
            Some(Stamp::Local(local)) => {
                let zone = match line.parameter("TZID") {
                    Some(id) => zone_of(id).ok_or_else(|| {
                        let what = format!("the time zone {} is not known", shown(id));
                        line.problem(what)
                            .hint("a name of the IANA database (`Europe/Berlin`) or of Windows")
                    })?,
                    None => self.zone.clone(),
                };
                Ok(Point::Time(local, zone))
            }
            None => Err(line.problem(format!("{} is no date or time", shown(value)))),
        }
    }
}

fn check_length(line: &Line, start: &Point, length: Length) -> Result<(), Problem> {
    if length.days + length.seconds / DAY_S.cast_signed() > LONGEST_DAYS {
        return Err(line.problem("the event is longer than ten years"));
    }
    if matches!(start, Point::Day(_)) && length.seconds != 0 {
        let what = "an event of whole days must last whole days";
        return Err(line.problem(what));
    }
    Ok(())
}

/// The zone with an id of a calendar: an IANA name, one with the name of a program before it (`/mozilla.org/20050126_1/Europe/Berlin`),
/// or one of Windows.
fn zone_of(id: &str) -> Option<Zone> {
    let id = id.trim();
    if let Some(name) = iana_name(id) {
        return Zone::known(name);
    }
    if let Some(path) = id.strip_prefix('/') {
        let mut rest = path;
        while let Some((_, tail)) = rest.split_once('/') {
            if let Some(zone) = Zone::known(tail) {
                return Some(zone);
            }
            rest = tail;
        }
        return None;
    }
    Zone::known(id)
}

/// `P1D`, `PT4H30M`, `P2W` (RFC 5545, 3.3.6). Negative ones are no length.
fn parse_length(text: &str) -> Option<Length> {
    let text = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    let (date, time) = text.split_once('T').map_or((text, ""), |it| it);
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let mut length = Length::default();
    let mut number: Option<i64> = None;
    let parts = date
        .chars()
        .map(|it| (it, false))
        .chain(time.chars().map(|it| (it, true)));
    for (letter, in_time) in parts {
        if let Some(digit) = letter.to_digit(10) {
            number = Some(number.unwrap_or(0) * 10 + i64::from(digit));
            if number? > 1_000_000_000 {
                return None;
            }
            continue;
        }
        let amount = number.take()?;
        match (letter, in_time) {
            ('W', false) => length.days += amount * 7,
            ('D', false) => length.days += amount,
            ('H', true) => length.seconds += amount * 3_600,
            ('M', true) => length.seconds += amount * 60,
            ('S', true) => length.seconds += amount,
            _ => return None,
        }
    }
    number.is_none().then_some(length)
}

/// A text of a calendar on one line, without control characters, not too long.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') | None => ' ',
                Some(other) => other,
            },
            it if it.is_control() => ' ',
            it => it,
        };
        out.push(letter);
    }
    out.trim().chars().take(SUMMARY_CHARS).collect()
}
