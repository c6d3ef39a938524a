//! Which files' contents a run showed: what it kept hidden, undoing it must not show.

use std::collections::HashSet;

use hostler_change::Change;
use hostler_record::Record;

/// What stands for a secret in what was shown.
const STARS: &str = "********";

/// Hosts and paths of files whose content was in the run's differences, each time and without a masked secret.
pub(super) fn shown(record: &Record) -> HashSet<(String, String)> {
    let mut clear: HashSet<(String, String)> = HashSet::new();
    let mut masked = Vec::new();
    for (_, result) in record.results() {
        let place = result.delegated_to.as_ref().unwrap_or(&result.host);
        for delta in result.all_deltas() {
            let key = || (place.clone(), delta.subject.clone());
            match &delta.change {
                Change::Text { before, after } => {
                    let has_stars =
                        |it: &Option<String>| it.as_ref().is_some_and(|it| it.contains(STARS));
                    if has_stars(before) || has_stars(after) {
                        masked.push(key());
                    } else {
                        clear.insert(key());
                    }
                }
                Change::Opaque { .. } => masked.push(key()),
                Change::Field { .. } | Change::Action(_) => {}
            }
        }
    }
    for key in masked {
        clear.remove(&key);
    }
    clear
}
