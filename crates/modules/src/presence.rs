//! The argument `state` of modules whose thing is there or not.

use hostler_module_api::prelude::*;

/// Should it be there?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    /// It should be there.
    #[default]
    Present,
    /// It should not be there.
    Absent,
}
