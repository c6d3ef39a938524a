//! What a run that is bound by a plan may do.

use serde::{Deserialize, Serialize};

/// The edits that a plan has for a task on a host, as fingerprints (`hostler_module_api::fingerprint`): a task that
/// wants any other edit fails before it changes anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Edits that must be the same in everything.
    pub exact: Vec<[u8; 32]>,
    /// Edits that were planned with numbers of users or groups that were yet to be made: the same in everything else.
    pub loose: Vec<[u8; 32]>,
}
