//! What cannot be known before a task has run: the third kind of value, beside known and undefined.
//!
//! Only a preview has such values: the result of a command that was not run, the number of a user that was not yet
//! made. Everything computed from one is one, and it never stands for an empty text, a zero or a false.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Value;

/// The task that would decide a value.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Cause {
    /// Its number in the run. A host knows only this; the controller adds the rest.
    pub task: u32,
    /// Its name; empty where only the number is known.
    pub name: Arc<str>,
    /// Where it stands, as `file:line`; empty where that is not known.
    pub place: Arc<str>,
}

/// A value that is not known, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unknown {
    /// The tasks that decide it, without repetition, in the order of the run.
    pub until: Vec<Cause>,
    /// Where part of a text is known: the whole text, with each hole written as [`Unknown::hole`].
    pub sketch: Option<Arc<str>>,
}

impl Cause {
    /// What messages call it: its name, else its place, else its number.
    pub fn words(&self) -> String {
        match (&*self.name, &*self.place) {
            ("", "") => format!("task {}", self.task),
            ("", place) => format!("the task at {place}"),
            (name, _) => format!("`{name}`"),
        }
    }
}

impl Unknown {
    /// Not known until this task has run.
    pub fn until(cause: Cause) -> Self {
        Unknown {
            until: vec![cause],
            sketch: None,
        }
    }

    /// One reason out of several.
    pub fn join<'a>(parts: impl IntoIterator<Item = &'a Unknown>) -> Self {
        let mut until: Vec<Cause> = parts
            .into_iter()
            .flat_map(|part| part.until.iter().cloned())
            .collect();
        crate::order::sort(&mut until);
        until.dedup();
        Unknown {
            until,
            sketch: None,
        }
    }

    /// For people: `unknown until "Build the site"`.
    pub fn words(&self) -> String {
        let causes: Vec<String> = self.until.iter().map(Cause::words).collect();
        match causes.as_slice() {
            [] => "unknown".to_owned(),
            _ => format!("unknown until {}", causes.join(" and ")),
        }
    }

    /// How a text shows a part that is not known. The quotation marks occur in no playbook's own text by accident.
    pub fn hole(&self) -> String {
        format!("\u{ab}{}\u{bb}", self.words())
    }

    /// The text with its holes; one hole where nothing is known.
    pub fn text(&self) -> String {
        self.sketch
            .as_deref()
            .map_or_else(|| self.hole(), str::to_owned)
    }
}

impl Value {
    /// A value that this task decides.
    pub fn unknown(cause: Cause) -> Self {
        Value::Unknown(Arc::new(Unknown::until(cause)))
    }

    /// The reason why the value, or any part of it, is not known; `None` if all of it is known.
    pub fn unknown_part(&self) -> Option<Unknown> {
        let mut parts = Vec::new();
        collect(self, &mut parts);
        (!parts.is_empty()).then(|| Unknown::join(parts))
    }
}

fn collect<'a>(value: &'a Value, parts: &mut Vec<&'a Unknown>) {
    match value {
        Value::Unknown(unknown) => parts.push(unknown),
        Value::List(items) => items.iter().for_each(|item| collect(item, parts)),
        Value::Map(map) => map.iter().for_each(|(key, item)| {
            collect(key, parts);
            collect(item, parts);
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(task: u32, name: &str) -> Cause {
        Cause {
            task,
            name: name.into(),
            place: "site.yml:3".into(),
        }
    }

    #[test]
    fn parts_are_found_and_joined_once() {
        let value = Value::list([
            Value::Int(1),
            Value::list([
                Value::unknown(cause(7, "Late")),
                Value::unknown(cause(2, "Early")),
            ]),
            Value::unknown(cause(7, "Late")),
        ]);
        let unknown = value.unknown_part().unwrap();
        assert_eq!(unknown.words(), "unknown until `Early` and `Late`");
        assert_eq!(Value::list([Value::Null]).unknown_part(), None);
    }

    #[test]
    fn a_cause_is_called_by_the_best_that_is_known() {
        let words = |name: &str, place: &str| {
            let (name, place) = (name.into(), place.into());
            Cause {
                task: 4,
                name,
                place,
            }
            .words()
        };
        assert_eq!(words("Build", "a.yml:1"), "`Build`");
        assert_eq!(words("", "a.yml:1"), "the task at a.yml:1");
        assert_eq!(words("", ""), "task 4");
    }
}
