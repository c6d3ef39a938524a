//! What binds: each execution of a task on a host, with the fingerprints of its edits and what they rest on.

use std::collections::BTreeMap;

use hostler_change::{Allowed, Basis, Forecast, Planned};
use hostler_module_api::{Fingerprint, describe, fingerprint};
use hostler_value::{Map, Value};
use serde::{Deserialize, Serialize};

use crate::key::hex;
use crate::{Fate, Key, Mask};

/// Executions of each host, in order.
pub type Executions = BTreeMap<String, Vec<Execution>>;

/// One execution of a task on a host, as a preview saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Where the task stands: `file:line:column`.
    pub place: String,
    /// Earlier executions of the same task on the host.
    pub nth: u32,
    /// The task's name.
    pub name: String,
    /// What it would come to.
    pub fate: Fate,
    /// Decided at run time, in whole or in part: needs the user's consent.
    pub undecided: bool,
    /// Not held against fingerprints: undecided, or done by the controller, or run for real in the preview as well.
    pub free: bool,
    /// `no_log` hides its contents.
    pub censored: bool,
    /// Host that would do the work, if another one.
    pub delegated_to: Option<String>,
    /// Its edits, in order.
    pub edits: Vec<EditPrint>,
    /// What they rest on.
    pub basis: Vec<Basis>,
}

/// An edit as a plan knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditPrint {
    /// Its fingerprints.
    pub print: Fingerprint,
    /// What it does, for people.
    pub what: String,
    /// What it is about, as in [`hostler_change::Delta::subject`].
    pub subjects: Vec<String>,
}

/// An execution as a plan file holds it: comparable for whoever has the key, without secrets for anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sealed {
    /// As [`Execution::place`].
    pub place: String,
    /// As [`Execution::nth`].
    pub nth: u32,
    /// As [`Execution::name`].
    pub name: String,
    /// As [`Execution::fate`].
    pub fate: Fate,
    /// As [`Execution::undecided`].
    pub undecided: bool,
    /// As [`Execution::free`].
    pub free: bool,
    /// As [`Execution::edits`].
    pub edits: Vec<SealedEdit>,
    /// As [`Execution::basis`].
    pub basis: Vec<BasisPrint>,
}

/// An edit in a plan file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SealedEdit {
    /// MAC of its fingerprint.
    pub seal: [u8; 32],
    /// What it does; empty under `no_log`.
    pub what: String,
    /// What it is about; empty under `no_log`.
    pub subjects: Vec<String>,
}

/// A basis in a plan file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BasisPrint {
    /// MAC of the subject.
    pub id: [u8; 32],
    /// The subject; none under `no_log`.
    pub subject: Option<String>,
    /// The state, with the hash of a content replaced by a MAC of it; under `no_log` only a MAC of the whole.
    pub was: Value,
}

impl EditPrint {
    /// Of a planned edit; known secrets are taken out of what people read.
    pub(crate) fn of(planned: &Planned, mask: &Mask) -> Self {
        let mut deltas = planned.deltas.clone();
        mask.deltas(&mut deltas);
        let words: Vec<String> = deltas.iter().map(describe).collect();
        let mut subjects: Vec<String> = deltas.into_iter().map(|it| it.subject).collect();
        subjects.dedup();
        EditPrint {
            print: fingerprint(&planned.edit),
            what: words.join("; "),
            subjects,
        }
    }
}

impl Execution {
    /// Adds what a preview would carry out.
    pub(crate) fn take(&mut self, forecast: &Forecast, mask: &Mask) {
        let edits = forecast.edits.iter();
        self.edits.extend(edits.map(|it| EditPrint::of(it, mask)));
        for basis in &forecast.basis {
            let mut basis = basis.clone();
            mask.text(&mut basis.subject);
            mask.value(&mut basis.was);
            self.basis.push(basis);
        }
    }
}

/// The edits that one or several executions may make.
pub fn allowed<'a>(executions: impl IntoIterator<Item = &'a Execution>) -> Allowed {
    let mut allowed = Allowed::default();
    for edit in executions.into_iter().flat_map(|it| &it.edits) {
        if edit.print.made_up {
            allowed.loose.push(edit.print.loose);
        } else {
            allowed.exact.push(edit.print.exact);
        }
    }
    allowed
}

/// An execution for a plan file.
pub fn seal(execution: &Execution, key: &Key) -> Sealed {
    let censored = execution.censored;
    let edit = |edit: &EditPrint| SealedEdit {
        seal: if edit.print.made_up {
            key.mac(&[b"loose", &edit.print.loose])
        } else {
            key.mac(&[b"exact", &edit.print.exact])
        },
        what: if censored {
            String::new()
        } else {
            edit.what.clone()
        },
        subjects: if censored {
            Vec::new()
        } else {
            edit.subjects.clone()
        },
    };
    let on = execution.delegated_to.as_deref().unwrap_or_default();
    let basis = |basis: &Basis| BasisPrint {
        id: key.mac(&[b"subject", on.as_bytes(), basis.subject.as_bytes()]),
        subject: (!censored).then(|| match on {
            "" => basis.subject.clone(),
            host => format!("{} on {host}", basis.subject),
        }),
        was: if censored {
            let text = postcard::to_allocvec(&basis.was).unwrap_or_default();
            Value::from(hex(&key.mac(&[b"state", &text])))
        } else {
            without_hashes(&basis.was, key)
        },
    };
    Sealed {
        place: execution.place.clone(),
        nth: execution.nth,
        name: execution.name.clone(),
        fate: execution.fate,
        undecided: execution.undecided,
        free: execution.free,
        edits: execution.edits.iter().map(edit).collect(),
        basis: execution.basis.iter().map(basis).collect(),
    }
}

/// The hash of a short secret in a file could be guessed; a MAC of it cannot.
fn without_hashes(was: &Value, key: &Key) -> Value {
    let Some(map) = was.as_map() else {
        return was.clone();
    };
    let sealed = map.iter().map(|(name, value)| {
        let hash = name.as_str() == Some("sha256");
        let value = match value.as_str().filter(|_| hash) {
            Some(text) => Value::from(hex(&key.mac(&[b"content", text.as_bytes()]))),
            None => value.clone(),
        };
        (name.clone(), value)
    });
    Value::from(sealed.collect::<Map>())
}
