//! From the windows and freezes of a policy to those of the schedule.

use std::collections::BTreeMap;

use hostler_diag::Diagnostic;
use hostler_schedule::{
    Calendar, Freeze, Interval, Occurrence, Pattern, Problem, Rule, Start, Window, Zone, merge,
    occurrences, parse_date, parse_day_of_month, parse_days, parse_time, parse_weekday,
};

use super::types::{FreezeRule, WindowRule};
use super::{PolicyFile, Step};

/// Reads the files that a policy names.
pub trait Files {
    /// A file, by its path as the policy has it (relative to the policy).
    ///
    /// # Errors
    /// Why it cannot be read, a fragment: `no such file`.
    fn read(&self, path: &str) -> Result<FileText, String>;
}

/// A file that a policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileText {
    /// Absolute.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// When a policy works.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Windows by name; the one of the small form is called `window`.
    pub windows: BTreeMap<String, SchedulePart>,
    /// Freezes.
    pub freezes: Vec<Freeze>,
}

/// See [`Schedule`].
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulePart {
    /// The window.
    pub window: Window,
    /// Seconds before its end by which hosts are to be done.
    pub reserve_s: u32,
    /// Is it a limit for certain hosts, rather than a time for waves?
    pub is_limit: bool,
}

impl Schedule {
    /// Windows and freezes of a policy. `None` exactly if there is an error among the diagnostics.
    pub fn of(file: &PolicyFile, files: &dyn Files) -> (Option<Self>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let mut schedule = Schedule::default();
        for (name, rule) in file.policy.all_windows() {
            let path = window_path(file, name);
            match window(name, rule) {
                Ok(window) => {
                    let part = SchedulePart {
                        window,
                        reserve_s: rule.reserve.narrow(),
                        is_limit: rule.hosts.is_some(),
                    };
                    schedule.windows.insert(name.to_owned(), part);
                }
                Err((key, problem)) => diagnostics.push(problem_at(file, &path, key, &problem)),
            }
        }
        for (name, rule) in &file.policy.freezes {
            let path = [Step::Key("freezes"), Step::Key(name)];
            match freeze(file, name, rule, files) {
                Ok((freeze, warnings)) => {
                    schedule.freezes.push(freeze);
                    let span = file.places.span(&path);
                    diagnostics.extend(
                        warnings
                            .into_iter()
                            .map(|it| Diagnostic::warning("policy-freeze", it).at(span)),
                    );
                }
                Err((key, problem)) => diagnostics.push(problem_at(file, &path, key, &problem)),
            }
        }
        let fine = !diagnostics.iter().any(Diagnostic::is_error);
        (fine.then_some(schedule), diagnostics)
    }

    /// Occurrences of a window that are not over, until the instant; freezes are cut out.
    pub fn occurrences(
        &self,
        policy: &str,
        window: &str,
        from_us: i64,
        until_us: i64,
    ) -> Vec<Occurrence> {
        let part = self.windows.get(window);
        part.map_or_else(Vec::new, |part| {
            occurrences(policy, &part.window, &self.freezes, from_us, until_us)
        })
    }

    /// What is open of a window between two instants.
    pub fn open(&self, window: &str, from_us: i64, until_us: i64) -> Vec<Interval> {
        let all = self.occurrences("", window, from_us, until_us);
        merge(all.into_iter().flat_map(|it| it.open).collect())
    }

    /// The zone that times are shown in: the one of the window, else UTC.
    pub fn zone(&self, window: Option<&str>) -> Zone {
        let part = window.and_then(|it| self.windows.get(it));
        let part = part.or_else(|| self.windows.values().next());
        part.map_or_else(Zone::utc, |it| it.window.zone().clone())
    }
}

/// The path of a window: `window`, or `windows.NAME`.
pub(super) fn window_path<'a>(file: &PolicyFile, name: &'a str) -> Vec<Step<'a>> {
    if name == "window" && file.policy.window.is_some() {
        vec![Step::Key("window")]
    } else {
        vec![Step::Key("windows"), Step::Key(name)]
    }
}

pub(super) fn problem_at(
    file: &PolicyFile,
    path: &[Step<'_>],
    key: &'static str,
    problem: &Problem,
) -> Diagnostic {
    let mut path = path.to_vec();
    if !key.is_empty() {
        path.push(Step::Key(key));
    }
    let message = match problem.line {
        Some(line) => format!("line {line} of the calendar: {}", problem.what),
        None => problem.what.clone(),
    };
    let found = Diagnostic::error("policy-window", message).at(file.places.span(&path));
    match &problem.hint {
        Some(hint) => found.hint(hint.clone()),
        None => found,
    }
}

type At<T> = Result<T, (&'static str, Problem)>;

fn own(what: impl Into<String>, hint: &str) -> Problem {
    Problem {
        what: what.into(),
        hint: Some(hint.into()),
        line: None,
    }
}

fn window(name: &str, rule: &WindowRule) -> At<Window> {
    let zone = Zone::parse(&rule.zone).map_err(|it| ("zone", it))?;
    let at = rule.at.as_deref().map(parse_time).transpose();
    let from = rule.from.as_deref().map(parse_date).transpose();
    let except: Result<Vec<_>, Problem> = rule.except.0.iter().map(|it| parse_date(it)).collect();
    let offset_days = match rule.offset {
        Some(offset) => parse_days(&hostler_schedule::duration_text(offset.0)),
        None => Ok(0),
    };
    let start = Start {
        pattern: pattern(rule, &zone)?,
        at: at.map_err(|it| ("at", it))?,
        offset_days: offset_days.map_err(|it| ("offset", it))?,
        from: from.map_err(|it| ("from", it))?,
        except: except.map_err(|it| ("except", it))?,
    };
    Window::new(name, zone, start, rule.duration.0).map_err(|it| ("", it))
}

fn pattern(rule: &WindowRule, zone: &Zone) -> At<Pattern> {
    let given = [
        rule.daily,
        rule.weekly.is_some(),
        rule.monthly.is_some(),
        rule.rrule.is_some(),
        rule.once.is_some(),
    ];
    if given.iter().filter(|it| **it).count() != 1 {
        let what = if given.contains(&true) {
            "the window has two rules for its days"
        } else {
            "the window does not say on which days it opens"
        };
        let hint = "one of `daily: true`, `weekly: sat`, `monthly: 2nd tuesday`, `rrule: ...` and `once: 2026-12-12`";
        return Err(("", own(what, hint)));
    }
    if let Some(days) = &rule.weekly {
        let days: Result<Vec<_>, Problem> = days.0.iter().map(|it| parse_weekday(it)).collect();
        return Ok(Pattern::weekly(&days.map_err(|it| ("weekly", it))?));
    }
    if let Some(days) = &rule.monthly {
        let days: Result<Vec<_>, Problem> =
            days.0.iter().map(|it| parse_day_of_month(it)).collect();
        return Ok(Pattern::monthly(&days.map_err(|it| ("monthly", it))?));
    }
    if let Some(text) = &rule.rrule {
        return Pattern::parse_rrule(text, zone).map_err(|it| ("rrule", it));
    }
    if let Some(dates) = &rule.once {
        let dates: Result<Vec<_>, Problem> = dates.0.iter().map(|it| parse_date(it)).collect();
        return Ok(Pattern::Once(dates.map_err(|it| ("once", it))?));
    }
    Ok(Pattern::Rules(vec![Rule::daily()]))
}

fn freeze(
    file: &PolicyFile,
    name: &str,
    rule: &FreezeRule,
    files: &dyn Files,
) -> At<(Freeze, Vec<String>)> {
    let zone = freeze_zone(file, rule)?;
    match (&rule.from, &rule.to, &rule.ics) {
        (Some(from), Some(to), None) => Freeze::parse(name, from, to, &zone)
            .map(|it| (it, Vec::new()))
            .map_err(|it| ("to", it)),
        (None, None, Some(ics)) => {
            let text = files.read(ics).map_err(|why| {
                let hint = "the path is relative to the policy";
                ("ics", own(format!("`{ics}` cannot be read: {why}"), hint))
            })?;
            let calendar = Calendar::parse(&text.text, &zone).map_err(|it| ("ics", it))?;
            let mut warnings: Vec<String> = calendar.warnings().to_vec();
            let calendar = match &rule.r#match {
                Some(text) => calendar.matching(text),
                None => calendar,
            };
            if calendar.is_empty() {
                let which = rule.r#match.as_ref();
                let which =
                    which.map_or_else(String::new, |it| format!(" with {it:?} in its summary"));
                warnings.push(format!(
                    "`{ics}` has no event{which}: the freeze `{name}` is none"
                ));
            }
            Ok((Freeze::calendar(name, calendar), warnings))
        }
        _ => Err((
            "",
            own(
                format!("the freeze `{name}` is neither dates nor a calendar"),
                "`from` and `to`, or `ics`",
            ),
        )),
    }
}

/// The zone of a freeze: its own, or the one that all windows have.
fn freeze_zone(file: &PolicyFile, rule: &FreezeRule) -> At<Zone> {
    if let Some(zone) = &rule.zone {
        return Zone::parse(zone).map_err(|it| ("zone", it));
    }
    let mut zones: Vec<&str> = file
        .policy
        .all_windows()
        .map(|(_, it)| it.zone.as_str())
        .collect();
    zones.sort_unstable();
    zones.dedup();
    match zones[..] {
        [zone] => Zone::parse(zone).map_err(|it| ("zone", it)),
        _ => Err(("", own("the freeze needs a zone", "`zone: Europe/Berlin`"))),
    }
}
