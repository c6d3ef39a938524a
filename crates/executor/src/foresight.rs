//! What a preview remembers: which task is which, and what earlier tasks left undecided on a host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_change::{Change, Outcome};
use hostler_events::TaskId;
use hostler_value::{Cause, Map, Unknown, Value};

/// Undecided tasks that a message names; earlier ones are forgotten.
const NAMED_MAX: usize = 3;

/// Kept for one run.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    tasks: Mutex<HashMap<u32, Cause>>,
    hosts: Mutex<HashMap<String, Doubts>>,
}

#[derive(Clone, Debug, Default)]
struct Doubts {
    undecided: Vec<Cause>,
    touched: bool,
    /// The last task that would start, stop, install or remove what answers to commands.
    serves: Option<Cause>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Foresight {
    /// A task begins.
    pub(crate) fn started(&self, id: TaskId, name: &str, place: &str) {
        let cause = Cause {
            task: id.0,
            name: name.into(),
            place: place.into(),
        };
        locked(&self.tasks).insert(id.0, cause);
    }

    /// The task as a reason.
    pub(crate) fn cause(&self, id: TaskId) -> Cause {
        self.named(&Cause {
            task: id.0,
            ..Cause::default()
        })
    }

    /// The reason with name and place: hosts know the number only.
    fn named(&self, cause: &Cause) -> Cause {
        let known = locked(&self.tasks).get(&cause.task).cloned();
        known.unwrap_or_else(|| Cause {
            task: cause.task,
            ..Cause::default()
        })
    }

    /// Takes an agent's answer. In a preview, names are added to everything unknown in it; in a real run nothing can be,
    /// and a host that says so is not believed.
    pub(crate) fn admit(&self, outcome: &mut Outcome, preview: bool) {
        if preview {
            self.name_all(outcome);
        } else if any_unknown(outcome) {
            *outcome = Outcome::failure(
                "the host answered with a value that is not known, which only a preview may have",
            );
        }
    }

    fn name_all(&self, outcome: &mut Outcome) {
        for cause in &mut outcome.unknown {
            *cause = self.named(cause);
        }
        outcome.fields = self.map(&outcome.fields);
        if let Some(facts) = &mut outcome.facts {
            *facts = self.map(facts);
        }
        for delta in &mut outcome.deltas {
            if let Change::Field { before, after, .. } = &mut delta.change {
                *before = self.value(before);
                *after = self.value(after);
            }
        }
    }

    fn map(&self, map: &Map) -> Map {
        if !map.iter().any(|(_, value)| value.unknown_part().is_some()) {
            return map.clone();
        }
        map.iter()
            .map(|(key, value)| (key.clone(), self.value(value)))
            .collect()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Unknown(unknown) => Value::Unknown(Arc::new(Unknown {
                until: unknown.until.iter().map(|it| self.named(it)).collect(),
                sketch: unknown.sketch.clone(),
            })),
            Value::List(items) => Value::list(items.iter().map(|item| self.value(item))),
            Value::Map(map) => Value::from(self.map(map)),
            known => known.clone(),
        }
    }

    /// A task ended on a host: it would change the host (`touched`), or what it would do there is not decided.
    pub(crate) fn ended(&self, host: &str, id: TaskId, touched: bool, undecided: bool) {
        if !touched && !undecided {
            return;
        }
        let cause = self.cause(id);
        let mut hosts = locked(&self.hosts);
        let doubts = hosts.entry(host.to_owned()).or_default();
        doubts.touched |= touched;
        if undecided {
            doubts.undecided.retain(|known| *known != cause);
            doubts.undecided.push(cause);
            let surplus = doubts.undecided.len().saturating_sub(NAMED_MAX);
            doubts.undecided.drain(..surplus);
        }
    }

    /// A task would start, stop, install or remove something on a host that commands ask.
    pub(crate) fn serves(&self, host: &str, id: TaskId) {
        let cause = self.cause(id);
        locked(&self.hosts)
            .entry(host.to_owned())
            .or_default()
            .serves = Some(cause);
    }

    /// The task that decides what a command on the host would be answered.
    pub(crate) fn decides_answers(&self, host: &str) -> Option<Cause> {
        locked(&self.hosts).get(host)?.serves.clone()
    }

    /// The last tasks that left something undecided on a host.
    pub(crate) fn undecided(&self, host: &str) -> Vec<Cause> {
        let hosts = locked(&self.hosts);
        hosts
            .get(host)
            .map_or_else(Vec::new, |doubts| doubts.undecided.clone())
    }

    /// Would an earlier task have changed the host, for certain or perhaps?
    pub(crate) fn touched(&self, host: &str) -> bool {
        locked(&self.hosts)
            .get(host)
            .is_some_and(|doubts| doubts.touched)
    }
}

/// Is anything in an answer not known? Only an answer in a preview may be so.
fn any_unknown(outcome: &Outcome) -> bool {
    let in_map = |map: &Map| {
        map.iter()
            .any(|(key, value)| key.unknown_part().is_some() || value.unknown_part().is_some())
    };
    let in_deltas = outcome.deltas.iter().any(|delta| match &delta.change {
        Change::Field { before, after, .. } => {
            before.unknown_part().is_some() || after.unknown_part().is_some()
        }
        _ => false,
    });
    !outcome.unknown.is_empty()
        || in_deltas
        || in_map(&outcome.fields)
        || outcome.facts.as_ref().is_some_and(in_map)
}

/// The value with each unknown part as a text that shows the hole.
pub(crate) fn with_holes(value: &Value) -> Value {
    match value {
        Value::Unknown(unknown) => Value::from(unknown.text()),
        Value::List(items) => Value::list(items.iter().map(with_holes)),
        Value::Map(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), with_holes(value)))
            .collect::<Map>()
            .into(),
        known => known.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_know_numbers_and_people_read_names() {
        let foresight = Foresight::default();
        foresight.started(TaskId(7), "Build", "site.yml:3");
        let by_host = |task| {
            Value::unknown(Cause {
                task,
                name: "from the host".into(),
                place: "elsewhere".into(),
            })
        };
        let mut outcome = Outcome {
            fields: [("uid", Value::list([by_host(7), by_host(9)]))]
                .into_iter()
                .collect(),
            ..Outcome::default()
        };
        assert!(any_unknown(&outcome));
        let mut real = outcome.clone();
        foresight.admit(&mut outcome, true);
        let found = outcome.fields.get("uid").and_then(Value::unknown_part);
        let words = found.map(|it| it.words());
        assert_eq!(words.as_deref(), Some("unknown until `Build` and task 9"));

        foresight.admit(&mut real, false);
        let said = real.failed.map(|failure| failure.msg);
        assert!(said.is_some_and(|msg| msg.contains("only a preview")));
        assert!(real.fields.is_empty());
    }

    #[test]
    fn the_last_undecided_tasks_of_a_host_are_named() {
        let foresight = Foresight::default();
        for id in 1..6 {
            foresight.started(TaskId(id), &format!("t{id}"), "");
            foresight.ended("a", TaskId(id), false, id != 4);
        }
        let names: Vec<String> = foresight.undecided("a").iter().map(Cause::words).collect();
        assert_eq!(names, ["`t2`", "`t3`", "`t5`"]);
        assert!(foresight.undecided("b").is_empty() && !foresight.touched("a"));
        foresight.ended("a", TaskId(5), true, false);
        assert!(foresight.touched("a"));
    }
}
