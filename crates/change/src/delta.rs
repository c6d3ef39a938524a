//! What differs, for people: the reason for an edit.

use hostler_value::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest text (bytes) that a delta carries for a diff; more is summarised, as ansible-core does.
pub const TEXT_SHOWN_MAX: usize = 104_448;

/// One difference between what is and what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Delta {
    /// What it is about: a path, or `user alice`, `package nginx`, `unit ssh.service`.
    pub subject: String,
    /// The difference.
    pub change: Change,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A file's text. `None` is "no file".
    Text {
        /// Text before.
        before: Option<String>,
        /// Text after.
        after: Option<String>,
    },
    /// A file's content that is not shown: binary or too large. The words say which ("binary, 12 bytes").
    Opaque {
        /// Before, in words; `None` is "no file".
        before: Option<String>,
        /// After, in words.
        after: Option<String>,
    },
    /// A property: `mode` from `0644` to `0640`. Null is "not there".
    Field {
        /// Name of the property, as the module's argument is called.
        name: String,
        /// Value before.
        before: Value,
        /// Value after.
        after: Value,
    },
    /// Something is done that has no before and after: a program runs, a service restarts.
    Action(String),
}

impl Delta {
    /// A property that changes.
    pub fn field(
        subject: impl Into<String>,
        name: impl Into<String>,
        before: impl Into<Value>,
        after: impl Into<Value>,
    ) -> Self {
        let change = Change::Field {
            name: name.into(),
            before: before.into(),
            after: after.into(),
        };
        Delta {
            subject: subject.into(),
            change,
        }
    }

    /// Something that is done.
    pub fn action(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Delta {
            subject: subject.into(),
            change: Change::Action(what.into()),
        }
    }

    /// A file's content; shown as text where it is text and not too large.
    pub fn content(path: impl Into<String>, before: Option<&[u8]>, after: Option<&[u8]>) -> Self {
        let shown = |bytes: Option<&[u8]>| match bytes {
            None => Some(None),
            Some(bytes) if bytes.len() > TEXT_SHOWN_MAX || bytes.contains(&0) => None,
            Some(bytes) => std::str::from_utf8(bytes)
                .ok()
                .map(|text| Some(text.to_owned())),
        };
        let words = |bytes: Option<&[u8]>| {
            bytes.map(|bytes| {
                let kind = if bytes.contains(&0) || std::str::from_utf8(bytes).is_err() {
                    "binary"
                } else {
                    "text"
                };
                format!("{kind}, {} bytes", bytes.len())
            })
        };
        let change = match (shown(before), shown(after)) {
            (Some(before), Some(after)) => Change::Text { before, after },
            _ => Change::Opaque {
                before: words(before),
                after: words(after),
            },
        };
        Delta {
            subject: path.into(),
            change,
        }
    }
}
