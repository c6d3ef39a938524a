//! What a preview tells a plan file.

use hostler_value::Value;
use serde::{Deserialize, Serialize};

use crate::Planned;

/// What a module would do to a host, and what that rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The edits of its plan, in order.
    pub edits: Vec<Planned>,
    /// The host's own state of everything that the edits touch and no earlier edit of the preview did.
    pub basis: Vec<Basis>,
}

/// One thing of a host that an edit touches, as it was when the edit was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// As in [`crate::Delta::subject`]: a path, `user alice`, `package nginx`, `unit ssh.service`.
    pub subject: String,
    /// Its state: a mapping of properties (`kind`, `mode`, `owner`, `group`, `sha256`; `version`; `active`, `enabled`), or
    /// null if it is not there.
    pub was: Value,
}
