//! `fail`: fail with a message.

use std::sync::Arc;

use hostler_module_api::{ModuleSpec, spec_of};
use hostler_template::Scope;
use hostler_value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::failure::Failure;
use crate::host_task::{HostTask, Prepared, TaskKeywords};

/// Fail with a message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read as evaluated arguments")]
struct Args {
    /// What to say.
    msg: Option<Value>,
}

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("fail")
}

pub(super) fn prepare(
    host: &HostTask<'_>,
    _: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let args = host.open_args(scope)?;
    let said = args.get("msg").map_or_else(
        || "Failed as requested from task".to_owned(),
        Value::to_text,
    );
    Err(Failure::new(said).of_state())
}
