//! What the modules `patch_*` take and give: typed values of `hostler-updates` as return values.

use hostler_module_api::prelude::*;
use serde::Serialize;

/// A typed value as a return value.
pub(crate) fn returned(value: &impl Serialize) -> Value {
    let text = serde_json::to_string(value).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
