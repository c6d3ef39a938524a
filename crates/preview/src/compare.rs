//! A plan against the host as it is now, and a plan against another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hostler_value::Value;

use crate::document::{Outcome, Preview};
use crate::execution::{BasisPrint, Sealed, SealedEdit};
use crate::fold::fold_task;

/// Reasons that are told of one host; further ones are counted.
const TOLD_MAX: usize = 12;

/// Why a host is not as the plan found it; empty if it is. `planned` and `now` are sealed with the same key.
pub fn moved(planned: &[&Sealed], now: &[&Sealed]) -> Vec<String> {
    let mut moved = Moved::default();
    moved.bases(planned, now);
    let key = |it: &Sealed| (it.place.clone(), it.nth);
    let of_now: HashMap<(String, u32), &Sealed> = now.iter().map(|it| (key(it), *it)).collect();
    let mut seen = HashSet::new();
    for execution in planned {
        seen.insert(key(execution));
        if execution.free {
            continue;
        }
        match of_now.get(&key(execution)) {
            Some(now) if now.undecided => {
                moved.tell(format!(
                    "what `{}` would do can no longer be foreseen",
                    now.name
                ));
            }
            Some(now) => moved.edits(&execution.name, &execution.edits, &now.edits),
            None => moved.edits(&execution.name, &execution.edits, &[]),
        }
    }
    for execution in now.iter().filter(|it| !seen.contains(&key(it))) {
        moved.edits(&execution.name, &[], &execution.edits);
    }
    moved.told()
}

#[derive(Default)]
struct Moved {
    reasons: Vec<String>,
    drifted: BTreeSet<String>,
}

impl Moved {
    fn tell(&mut self, reason: String) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn drift(&mut self, subject: &str, how: &str) {
        if self.drifted.insert(subject.to_owned()) {
            self.tell(format!("drifted: {subject} changed since the plan{how}"));
        }
    }

    /// Things whose state was looked at both times and is not the same.
    fn bases(&mut self, planned: &[&Sealed], now: &[&Sealed]) {
        let found: HashMap<&[u8; 32], &BasisPrint> = now
            .iter()
            .flat_map(|it| &it.basis)
            .map(|it| (&it.id, it))
            .collect();
        for basis in planned.iter().flat_map(|it| &it.basis) {
            let Some(now) = found.get(&basis.id).filter(|it| it.was != basis.was) else {
                continue;
            };
            match &basis.subject {
                Some(subject) => self.drift(subject, &how(&basis.was, &now.was)),
                None => self.tell("drifted: something that a `no_log` task touches".to_owned()),
            }
        }
    }

    /// Edits of one execution that only one side has. What a drift that was told explains is not told again.
    fn edits(&mut self, task: &str, planned: &[SealedEdit], now: &[SealedEdit]) {
        let explained = |moved: &Moved, edit: &SealedEdit| {
            edit.subjects.iter().any(|it| moved.drifted.contains(it))
        };
        for edit in planned.iter().filter(|it| !holds(now, it)) {
            if explained(self, edit) {
                continue;
            }
            // Another edit of the same thing is told below.
            let replaced =
                |it: &&SealedEdit| !it.subjects.is_empty() && it.subjects == edit.subjects;
            if now
                .iter()
                .filter(|it| !holds(planned, it))
                .any(|it| replaced(&it))
            {
                continue;
            }
            match edit.subjects.first() {
                Some(subject) => {
                    self.drift(
                        subject,
                        &format!(" (`{task}` has nothing to do there any more)"),
                    );
                }
                None => self.tell(format!("drifted: `{task}` has nothing to do any more")),
            }
        }
        for edit in now.iter().filter(|it| !holds(planned, it)) {
            if explained(self, edit) {
                continue;
            }
            let what = if edit.what.is_empty() {
                "hidden by `no_log`"
            } else {
                &edit.what
            };
            self.tell(format!(
                "would need a change that the plan does not have: `{task}`: {what}"
            ));
        }
    }

    fn told(mut self) -> Vec<String> {
        let more = self.reasons.len().saturating_sub(TOLD_MAX);
        self.reasons.truncate(TOLD_MAX);
        if more > 0 {
            self.reasons.push(format!("+{more} more"));
        }
        self.reasons
    }
}

fn holds(edits: &[SealedEdit], edit: &SealedEdit) -> bool {
    edits.iter().any(|it| it.seal == edit.seal)
}

/// ` (mode was 0644, is 0600)`; hashes are told as "content".
fn how(before: &Value, after: &Value) -> String {
    let (Some(was), Some(is)) = (before.as_map(), after.as_map()) else {
        return match (before.is_null(), after.is_null()) {
            (true, false) => " (it was not there)".to_owned(),
            (false, true) => " (it is gone)".to_owned(),
            _ => String::new(),
        };
    };
    let mut parts = Vec::new();
    for (name, now) in is {
        let before = was.get_key(name).cloned().unwrap_or_default();
        if before == *now || name.as_str() == Some("size") {
            continue;
        }
        parts.push(match name.as_str() {
            Some("sha256") => "content".to_owned(),
            _ => format!(
                "{} was {}, is {}",
                name.to_text(),
                before.to_text(),
                now.to_text()
            ),
        });
    }
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join("; "))
    }
}

/// How two plans differ, in lines for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDiff {
    /// Of hosts, inputs and options.
    pub general: Vec<String>,
    /// Of tasks: the task, its hosts, and what changed.
    pub tasks: Vec<(String, Vec<String>, String)>,
}

impl PlanDiff {
    /// Do both plans do the same?
    pub fn is_empty(&self) -> bool {
        self.general.is_empty() && self.tasks.is_empty()
    }
}

/// Compares what two previews found.
pub fn compare_plans(a: &Preview, b: &Preview) -> PlanDiff {
    let mut diff = PlanDiff::default();
    let one_sided = |what: &str, a: &[String], b: &[String], general: &mut Vec<String>| {
        let only = |x: &[String], y: &[String]| -> Vec<String> {
            x.iter().filter(|it| !y.contains(it)).cloned().collect()
        };
        let (gone, new) = (only(a, b), only(b, a));
        if !gone.is_empty() {
            general.push(format!("{what} only in the first: {}", gone.join(", ")));
        }
        if !new.is_empty() {
            general.push(format!("{what} only in the second: {}", new.join(", ")));
        }
    };
    one_sided("hosts", &a.hosts, &b.hosts, &mut diff.general);
    one_sided("tags", &a.made.tags, &b.made.tags, &mut diff.general);
    let hashes: BTreeMap<&str, &str> = a
        .made
        .inputs
        .iter()
        .map(|it| (it.path.as_str(), it.sha256.as_str()))
        .collect();
    for input in &b.made.inputs {
        match hashes.get(input.path.as_str()) {
            None => diff
                .general
                .push(format!("input only in the second: {}", input.path)),
            Some(hash) if *hash != input.sha256 => {
                diff.general.push(format!("input changed: {}", input.path));
            }
            Some(_) => {}
        }
    }
    for path in hashes
        .keys()
        .filter(|path| !b.made.inputs.iter().any(|it| it.path == **path))
    {
        diff.general
            .push(format!("input only in the first: {path}"));
    }
    let (left, right) = (outcomes(a), outcomes(b));
    let mut found: BTreeMap<(u32, String, String), Vec<String>> = BTreeMap::new();
    for (key, (number, name, outcome)) in &right {
        let before = left.get(key).map(|(_, _, outcome)| *outcome);
        let what = match before {
            Some(before) if same(before, outcome) => continue,
            None if !outcome.matters() => continue,
            None => format!("new: {}", told(outcome)),
            Some(before) => format!("was: {}; is: {}", told(before), told(outcome)),
        };
        found
            .entry((*number, (*name).to_owned(), what))
            .or_default()
            .push(key.0.to_owned());
    }
    for (key, (number, name, outcome)) in &left {
        if !right.contains_key(key) && outcome.matters() {
            let what = format!("gone: {}", told(outcome));
            found
                .entry((*number, (*name).to_owned(), what))
                .or_default()
                .push(key.0.to_owned());
        }
    }
    diff.tasks = found
        .into_iter()
        .map(|((_, name, what), hosts)| (name, hosts, what))
        .collect();
    diff
}

type Key<'a> = (&'a str, &'a str, &'a str, usize);

/// Outcomes by host and task; a task is known by its play, its name and how often that occurred.
fn outcomes(preview: &Preview) -> BTreeMap<Key<'_>, (u32, &str, &Outcome)> {
    let mut all = BTreeMap::new();
    let mut counts: HashMap<(&str, &str, &str), usize> = HashMap::new();
    for task in &preview.tasks {
        let play = preview
            .plays
            .get(task.play as usize)
            .map_or("", |it| it.name.as_str());
        for group in fold_task(task) {
            for host in &group.hosts {
                let count = counts.entry((host, play, &task.name)).or_default();
                let exact = task
                    .groups
                    .iter()
                    .find(|it| it.hosts.iter().any(|own| own == host));
                let outcome = exact.map_or(group.outcome, |it| &it.outcome);
                all.insert(
                    (*host, play, task.name.as_str(), *count),
                    (task.number, task.name.as_str(), outcome),
                );
                *count += 1;
            }
        }
    }
    all
}

/// The same for whoever decides whether to apply: causes are numbered anew in each run.
fn same(a: &Outcome, b: &Outcome) -> bool {
    let plain = |it: &Outcome| {
        let mut it = it.clone();
        it.unknown.iter_mut().for_each(|cause| cause.task = 0);
        for item in &mut it.items {
            item.unknown.iter_mut().for_each(|cause| cause.task = 0);
        }
        it
    };
    plain(a) == plain(b)
}

fn told(outcome: &Outcome) -> String {
    let deltas: Vec<String> = outcome
        .all_deltas()
        .map(hostler_module_api::describe)
        .collect();
    if deltas.is_empty() {
        outcome.fate.words().to_owned()
    } else {
        deltas.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use hostler_value::Map;

    use super::*;
    use crate::Fate;

    fn edit(seal: u8, subject: &str) -> SealedEdit {
        SealedEdit {
            seal: [seal; 32],
            what: format!("{subject}: content"),
            subjects: vec![subject.to_owned()],
        }
    }

    fn execution(place: &str, edits: Vec<SealedEdit>) -> Sealed {
        Sealed {
            place: place.to_owned(),
            name: format!("task {place}"),
            fate: Fate::WouldChange,
            edits,
            ..Sealed::default()
        }
    }

    fn basis(subject: &str, mode: &str) -> BasisPrint {
        BasisPrint {
            id: [7; 32],
            subject: Some(subject.to_owned()),
            was: Value::from([("mode", mode)].into_iter().collect::<Map>()),
        }
    }

    #[test]
    fn nothing_moved() {
        let a = execution("1", vec![edit(1, "/etc/motd")]);
        assert!(moved(&[&a], &[&a]).is_empty());
    }

    #[test]
    fn drift_is_named_once_with_what_changed() {
        let mut planned = execution("1", vec![edit(1, "/etc/motd")]);
        planned.basis.push(basis("/etc/motd", "0644"));
        let mut now = execution("1", vec![edit(2, "/etc/motd")]);
        now.basis.push(basis("/etc/motd", "0600"));
        assert_eq!(
            moved(&[&planned], &[&now]),
            ["drifted: /etc/motd changed since the plan (mode was 0644, is 0600)"]
        );
    }

    #[test]
    fn a_change_that_somebody_else_made_is_drift_and_another_is_a_refusal() {
        let planned = [
            execution("1", vec![edit(1, "/etc/motd")]),
            execution("2", vec![]),
        ];
        let now = [
            execution("1", vec![]),
            execution("2", vec![edit(3, "/etc/issue")]),
        ];
        let told = moved(
            &planned.iter().collect::<Vec<_>>(),
            &now.iter().collect::<Vec<_>>(),
        );
        assert_eq!(
            told,
            [
                "drifted: /etc/motd changed since the plan (`task 1` has nothing to do there any more)",
                "would need a change that the plan does not have: `task 2`: /etc/issue: content"
            ]
        );
    }

    #[test]
    fn what_is_left_to_run_time_is_not_compared_and_may_not_become_more() {
        let mut open = execution("1", vec![]);
        (open.free, open.undecided) = (true, true);
        let closed = execution("1", vec![edit(1, "/x")]);
        assert!(moved(&[&open], &[&closed]).is_empty());
        assert_eq!(moved(&[&closed], &[&open]).len(), 1);
    }
}
