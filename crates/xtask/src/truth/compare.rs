//! A preview beside the real run that followed it, task by task, host by host, item by item.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use super::events::{Entry, Key, Run, Said};

/// What became of predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Tasks (items of loops one by one) that the preview or the real run came to.
    pub(super) units: usize,
    /// Those of them that are not `command`, `shell` or `raw`.
    pub(super) foreseeable: usize,
    /// Changes, failures and handlers that the real run had.
    pub(super) real: usize,
    /// Predicted, and so it was.
    pub(super) right: usize,
    /// Predicted as a change (or failure, or handler), and nothing like it happened.
    pub(super) false_alarms: usize,
    /// Predicted as a change, and it failed.
    pub(super) failed_instead: usize,
    /// It happened, and the preview said nothing of it.
    pub(super) missed: usize,
    /// The preview said that it cannot know.
    pub(super) unknown: usize,
    /// The same outside `command`, `shell` and `raw`.
    pub(super) unknown_foreseeable: usize,
    /// Of what was unknown, what then happened.
    pub(super) unknown_real: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.units += other.units;
        self.foreseeable += other.foreseeable;
        self.real += other.real;
        self.right += other.right;
        self.false_alarms += other.false_alarms;
        self.failed_instead += other.failed_instead;
        self.missed += other.missed;
        self.unknown += other.unknown;
        self.unknown_foreseeable += other.unknown_foreseeable;
        self.unknown_real += other.unknown_real;
    }
}

impl Counts {
    /// The share of what really happened that was predicted or declared unknown; `None` if nothing happened.
    pub(super) fn recall(&self) -> Option<f64> {
        ratio(self.real - self.missed, self.real)
    }

    /// The share of predictions that came true; `None` if nothing was predicted.
    pub(super) fn precision(&self) -> Option<f64> {
        ratio(
            self.right,
            self.right + self.false_alarms + self.failed_instead,
        )
    }

    /// The share of tasks outside `command`, `shell` and `raw` that were declared unknown.
    pub(super) fn unknown_share(&self) -> Option<f64> {
        ratio(self.unknown_foreseeable, self.foreseeable)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (whole > 0).then(|| number(part) / number(whole))
}

/// One prediction that was not right, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// What is wrong: `missed`, `false alarm`, `failed instead`, `unknown`.
    pub(super) kind: &'static str,
    /// The module.
    pub(super) module: String,
    /// Where, and what was said on either side.
    pub(super) words: String,
}

/// Lays `real` beside `preview`.
pub(super) fn tasks(preview: &Run, real: &Run) -> (Counts, Vec<Finding>) {
    let mut counts = Counts::default();
    let mut findings = Vec::new();
    let keys: BTreeSet<&Key> = preview.entries.keys().chain(real.entries.keys()).collect();
    for key in keys {
        let foreseen = preview.entries.get(key);
        let done = real.entries.get(key);
        let Some(either) = done.or(foreseen) else {
            continue;
        };
        for (item, foreseen_said, done_said) in sides(foreseen, done) {
            // A run that failed did not come to everything: what it did not come to is no prediction of its own.
            if done.is_none() && !real.success {
                continue;
            }
            let program = matches!(either.module.as_str(), "command" | "shell" | "raw");
            let verdict = judge(foreseen_said, done_said);
            counts += count(verdict, foreseen_said, done_said, program);
            let worth = matches!(verdict, Verdict::Unknown) && !program;
            if let Some(kind) = verdict.problem().or(worth.then_some("unknown")) {
                let item = item.map_or_else(String::new, |index| format!(", item {index}"));
                let side = |entry: Option<&Entry>, said: Said| {
                    let message = entry.map_or("not reached", |entry| entry.message.as_str());
                    let message: String = message
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .chars()
                        .take(120)
                        .collect();
                    let gap = if message.is_empty() { "" } else { ": " };
                    format!("{said:?}{gap}{message}")
                };
                let nth = if key.nth > 0 {
                    format!(", time {}", key.nth + 1)
                } else {
                    String::new()
                };
                findings.push(Finding {
                    kind,
                    module: either.module.clone(),
                    words: format!(
                        "play {} line {} `{}` on {}{item}{nth}: preview {}; real {}",
                        key.play,
                        key.line,
                        either.name,
                        key.host,
                        side(foreseen, foreseen_said),
                        side(done, done_said),
                    ),
                });
            }
        }
    }
    (counts, findings)
}

/// The pairs to compare for one task: its items, or the task as a whole.
fn sides(foreseen: Option<&Entry>, done: Option<&Entry>) -> Vec<(Option<u64>, Said, Said)> {
    let whole = |entry: Option<&Entry>| entry.map_or(Said::Nothing, |entry| entry.said);
    let items = |entry: Option<&Entry>| -> BTreeSet<u64> {
        entry.map_or_else(BTreeSet::new, |entry| entry.items.keys().copied().collect())
    };
    let indexes: BTreeSet<u64> = items(foreseen).union(&items(done)).copied().collect();
    // A loop that cannot be evaluated is one failure, however many items the other side came to.
    let broken = |entry: Option<&Entry>| {
        entry.is_some_and(|entry| entry.items.is_empty() && entry.said == Said::Failure)
    };
    if indexes.is_empty() || broken(foreseen) || broken(done) {
        return vec![(None, whole(foreseen), whole(done))];
    }
    // Without items of its own, a side says the same of each: a loop that is unknown, a task that is skipped.
    let at = |entry: Option<&Entry>, index: u64| match entry {
        Some(entry) if !entry.items.is_empty() => {
            let beyond = if entry.said == Said::Unknown {
                Said::Unknown
            } else {
                Said::Nothing
            };
            entry.items.get(&index).copied().unwrap_or(beyond)
        }
        other => whole(other),
    };
    indexes
        .into_iter()
        .map(|index| (Some(index), at(foreseen, index), at(done, index)))
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing was said, nothing happened.
    Quiet,
    Right,
    FalseAlarm,
    FailedInstead,
    Missed,
    /// A failure was predicted and a change came, or the other way about for a handler: wrong twice.
    FalseAndMissed,
    Unknown,
}

impl Verdict {
    fn problem(self) -> Option<&'static str> {
        match self {
            Self::Quiet | Self::Right | Self::Unknown => None,
            Self::FalseAlarm => Some("false alarm"),
            Self::FailedInstead => Some("failed instead"),
            Self::Missed => Some("missed"),
            Self::FalseAndMissed => Some("missed, and a false alarm"),
        }
    }
}

fn judge(foreseen: Said, done: Said) -> Verdict {
    match (foreseen, done) {
        (Said::Unknown, _) => Verdict::Unknown,
        (Said::Nothing, Said::Nothing | Said::Unknown) => Verdict::Quiet,
        (Said::Nothing, _) | (Said::Ran, Said::Change) => Verdict::Missed,
        (Said::Change | Said::Ran, Said::Failure) => Verdict::FailedInstead,
        (Said::Change, Said::Change) | (Said::Failure, Said::Failure) | (Said::Ran, Said::Ran) => {
            Verdict::Right
        }
        (Said::Failure, Said::Change | Said::Ran) => Verdict::FalseAndMissed,
        (Said::Change | Said::Failure | Said::Ran, _) => Verdict::FalseAlarm,
    }
}

fn count(verdict: Verdict, foreseen: Said, done: Said, program: bool) -> Counts {
    let one = |yes: bool| usize::from(yes);
    let happened = matches!(done, Said::Change | Said::Failure | Said::Ran);
    let unknown = foreseen == Said::Unknown;
    Counts {
        units: 1,
        foreseeable: one(!program),
        real: one(happened),
        right: one(verdict == Verdict::Right),
        false_alarms: one(matches!(
            verdict,
            Verdict::FalseAlarm | Verdict::FalseAndMissed
        )),
        failed_instead: one(verdict == Verdict::FailedInstead),
        missed: one(matches!(verdict, Verdict::Missed | Verdict::FalseAndMissed)),
        unknown: one(unknown),
        unknown_foreseeable: one(unknown && !program),
        unknown_real: one(unknown && happened),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::events::{Entry, Key, Run, Said};
    use super::{Counts, tasks};

    fn run(success: bool, entries: &[(u64, &str, Said, &[Said])]) -> Run {
        let entries = entries
            .iter()
            .enumerate()
            .map(|(order, (line, module, said, items))| {
                let key = Key {
                    play: 1,
                    line: *line,
                    host: "a001".to_owned(),
                    handler: module.starts_with("handler"),
                    nth: 0,
                };
                let entry = Entry {
                    name: String::new(),
                    module: (*module).to_owned(),
                    said: *said,
                    items: (0..).zip(items.iter().copied()).collect(),
                    deltas: Vec::new(),
                    delegated_to: None,
                    censored: false,
                    holes: false,
                    message: String::new(),
                    order,
                };
                (key, entry)
            });
        Run {
            entries: entries.collect::<BTreeMap<_, _>>(),
            success,
        }
    }

    #[test]
    fn every_pair_of_words_has_its_count() {
        let preview = run(
            true,
            &[
                (1, "copy", Said::Change, &[]),
                (2, "copy", Said::Change, &[]),
                (3, "copy", Said::Nothing, &[]),
                (4, "command", Said::Unknown, &[]),
                (5, "copy", Said::Unknown, &[]),
                (6, "copy", Said::Change, &[Said::Change, Said::Nothing]),
                (7, "handler", Said::Change, &[]),
            ],
        );
        let real = run(
            true,
            &[
                (1, "copy", Said::Change, &[]),
                (2, "copy", Said::Failure, &[]),
                (3, "copy", Said::Change, &[]),
                (4, "command", Said::Change, &[]),
                (5, "copy", Said::Nothing, &[]),
                (6, "copy", Said::Change, &[Said::Change, Said::Change]),
            ],
        );
        let (counts, findings) = tasks(&preview, &real);
        let expected = Counts {
            units: 8,
            foreseeable: 7,
            real: 6,
            right: 2,
            false_alarms: 1,
            failed_instead: 1,
            missed: 2,
            unknown: 2,
            unknown_foreseeable: 1,
            unknown_real: 1,
        };
        assert_eq!(counts, expected, "{findings:#?}");
        assert_eq!(findings.len(), 5, "{findings:#?}");
    }

    #[test]
    fn what_a_failed_run_does_not_come_to_is_no_false_alarm() {
        let preview = run(
            true,
            &[
                (1, "copy", Said::Change, &[]),
                (2, "copy", Said::Change, &[]),
            ],
        );
        let real = run(false, &[(1, "copy", Said::Failure, &[])]);
        let (counts, _) = tasks(&preview, &real);
        assert_eq!(
            (counts.units, counts.failed_instead, counts.false_alarms),
            (1, 1, 0)
        );
    }

    #[test]
    fn a_loop_that_cannot_be_evaluated_is_one_failure() {
        let preview = run(false, &[(1, "copy", Said::Failure, &[])]);
        let real = run(true, &[(1, "copy", Said::Change, &[Said::Change; 3])]);
        let (counts, _) = tasks(&preview, &real);
        assert_eq!(
            (counts.units, counts.missed, counts.false_alarms),
            (1, 1, 1)
        );
    }
}
