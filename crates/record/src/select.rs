//! A part of a run.

use hostler_events::Status;

use crate::{Record, ResultRecord, TaskRecord};

/// Which results of a run are wanted; all if nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this host.
    pub host: Option<String>,
    /// Of tasks whose name contains this, in any case of letters.
    pub task: Option<String>,
    /// Only those that changed something (or would).
    pub changed: bool,
    /// Only differences about this path (or other subject).
    pub file: Option<String>,
}

impl Selection {
    /// Is nothing left out?
    pub fn is_all(&self) -> bool {
        *self == Selection::default()
    }

    /// Leaves out what is not wanted. Counts of hosts stay what they are.
    pub fn apply(&self, record: &mut Record) {
        let task_name = self.task.as_ref().map(|text| text.to_lowercase());
        record.tasks.retain_mut(|task| {
            let wanted = |text: &String| task.name.to_lowercase().contains(text);
            if !task_name.as_ref().is_none_or(wanted) {
                return false;
            }
            self.keep(task);
            self.is_all() || !task.results.is_empty() || !task.unfinished.is_empty()
        });
        if let Some(host) = &self.host {
            record.hosts.retain(|it| it.host == *host);
            record.owed.retain(|it| it.host == *host);
            record
                .warnings
                .retain(|it| it.host.as_ref().is_none_or(|on| on == host));
        }
    }

    fn keep(&self, task: &mut TaskRecord) {
        let here = |name: &String| self.host.as_ref().is_none_or(|host| host == name);
        let only_changes = self.changed || self.file.is_some();
        task.unfinished.retain(|it| here(it) && !only_changes);
        task.results.retain_mut(|result| {
            if let Some(file) = &self.file {
                only_about(result, file);
            }
            let about = self.file.is_none() || result.all_deltas().next().is_some();
            let changed = matches!(result.status, Status::Changed | Status::Unknown);
            here(&result.host) && about && (changed || !self.changed)
        });
    }
}

fn only_about(result: &mut ResultRecord, file: &str) {
    result.deltas.retain(|it| it.subject == file);
    for item in &mut result.items {
        item.deltas.retain(|it| it.subject == file);
    }
}
