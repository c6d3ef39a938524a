//! What a run changed and undoing it does not put back: packages, services, commands, directories.

use std::collections::{BTreeMap, HashSet};

use hostler_diag::Diagnostic;
use hostler_events::Status;
use hostler_record::Record;

use super::steps::Step;

/// Most things that are named of one task.
const SUBJECTS_MAX: usize = 5;

/// A warning for each task that changed something else than files that are put back.
pub(super) fn left_out(
    record: &Record,
    steps: &BTreeMap<String, Vec<Step>>,
    wanted: &dyn Fn(&String) -> bool,
) -> Vec<Diagnostic> {
    let all = steps.iter().flat_map(|(host, steps)| {
        steps
            .iter()
            .map(move |step| (host.as_str(), step.path.as_str()))
    });
    let put_back: HashSet<(&str, &str)> = all.collect();
    let mut warnings = Vec::new();
    for task in &record.tasks {
        let mut subjects: Vec<String> = Vec::new();
        let mut hosts: Vec<&str> = Vec::new();
        for result in &task.results {
            if !matches!(result.status, Status::Changed | Status::Unknown) {
                continue;
            }
            let place = result.delegated_to.as_ref().unwrap_or(&result.host);
            if !wanted(place) {
                continue;
            }
            let mut left = result
                .all_deltas()
                .filter(|it| !put_back.contains(&(place.as_str(), it.subject.as_str())))
                .peekable();
            let is_silent = result.all_deltas().next().is_none();
            if left.peek().is_none() && !is_silent {
                continue;
            }
            hosts.push(&result.host);
            for delta in left {
                if !subjects.contains(&delta.subject) {
                    subjects.push(delta.subject.clone());
                }
            }
        }
        if hosts.is_empty() {
            continue;
        }
        let more = subjects.len().saturating_sub(SUBJECTS_MAX);
        subjects.truncate(SUBJECTS_MAX);
        let mut what = subjects.join(", ");
        if more > 0 {
            what = format!("{what} and {more} more");
        }
        if what.is_empty() {
            what = format!("what `{}` did", task.module);
        }
        let on = match hosts.as_slice() {
            [one] => (*one).to_owned(),
            many => format!("{} hosts", many.len()),
        };
        let text = format!("stays as it is: {what}, by `{}` on {on}", task.name);
        warnings.push(Diagnostic::warning("not-undone", text));
    }
    warnings
}
