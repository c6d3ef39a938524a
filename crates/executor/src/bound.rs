//! A run that is bound by a plan: what each execution of a task may do on its host.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hostler_change::Allowed;
use hostler_events::TaskId;

/// Which execution: a host, where the task stands (`file:line:column`), and how often it ran there before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Execution {
    /// Host.
    pub host: String,
    /// Place of the task.
    pub place: String,
    /// Earlier executions of the same task on the host in this run.
    pub nth: u32,
}

/// What an execution may do.
#[derive(Clone, Debug)]
pub enum Permit {
    /// Anything: the plan leaves it to run time, and the user accepted that.
    Free,
    /// These edits.
    Only(Allowed),
}

/// What all executions may do. One that is not named may change nothing.
#[derive(Debug, Default)]
pub struct Bound {
    permits: HashMap<Execution, Permit>,
    counts: Mutex<HashMap<(String, String), u32>>,
    current: Mutex<HashMap<(TaskId, String), Option<Allowed>>>,
}

impl Bound {
    /// Binds a run.
    pub fn new(permits: HashMap<Execution, Permit>) -> Self {
        Bound {
            permits,
            ..Bound::default()
        }
    }

    /// A task begins on a host.
    pub(crate) fn begin(&self, task: TaskId, host: &str, place: String) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((host.to_owned(), place.clone())).or_default();
        let execution = Execution {
            host: host.to_owned(),
            place,
            nth: *count,
        };
        *count += 1;
        drop(counts);
        let allowed = match self.permits.get(&execution) {
            Some(Permit::Free) => None,
            Some(Permit::Only(allowed)) => Some(allowed.clone()),
            None => Some(Allowed::default()),
        };
        self.current().insert((task, host.to_owned()), allowed);
    }

    /// What a task that runs may do on its host; `None`: anything.
    pub(crate) fn allowed(&self, task: TaskId, host: &str) -> Option<Allowed> {
        let found = self.current().get(&(task, host.to_owned())).cloned();
        found.unwrap_or_else(|| Some(Allowed::default()))
    }

    /// Hosts go through their plays from the beginning again.
    pub(crate) fn begin_anew(&self, hosts: &[String]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|(host, _), _| !hosts.contains(host));
    }

    /// A task ended on a host.
    pub(crate) fn end(&self, task: TaskId, host: &str) {
        self.current().remove(&(task, host.to_owned()));
    }

    fn current(&self) -> std::sync::MutexGuard<'_, HashMap<(TaskId, String), Option<Allowed>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_counted_and_unknown_ones_may_change_nothing() {
        let execution = |nth| Execution {
            host: "a".into(),
            place: "p:1:1".into(),
            nth,
        };
        let only = Allowed {
            exact: vec![[7; 32]],
            loose: vec![],
        };
        let permits = [
            (execution(0), Permit::Only(only.clone())),
            (execution(1), Permit::Free),
        ];
        let bound = Bound::new(permits.into_iter().collect());
        let mut seen = Vec::new();
        for id in 1..=3 {
            bound.begin(TaskId(id), "a", "p:1:1".into());
            seen.push(bound.allowed(TaskId(id), "a"));
            bound.end(TaskId(id), "a");
        }
        assert_eq!(seen, [Some(only.clone()), None, Some(Allowed::default())]);
        assert_eq!(bound.allowed(TaskId(9), "b"), Some(Allowed::default()));
        bound.begin_anew(&["a".to_owned()]);
        bound.begin(TaskId(1), "a", "p:1:1".into());
        assert_eq!(bound.allowed(TaskId(1), "a"), Some(only));
    }
}
