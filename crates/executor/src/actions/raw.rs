//! `raw`: a command through the host's login shell, without an agent.

use std::sync::Arc;

use hostler_module_api::{ModuleSpec, spec_of};
use hostler_template::Scope;
use hostler_value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::failure::Failure;
use crate::host_task::{HostTask, Prepared, TaskKeywords};

/// Run a command line through the host's login shell, without an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read as evaluated arguments")]
struct Args {
    /// The command line.
    #[serde(alias = "free_form")]
    _raw_params: String,
    /// Shell to run it with, instead of the login shell alone.
    executable: Option<String>,
}

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("raw").free_form("_raw_params")
}

pub(super) fn prepare(
    host: &HostTask<'_>,
    _: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let args = host.args(scope)?;
    let command = args.get("_raw_params").or_else(|| args.get("free_form"));
    let command = command
        .map(Value::to_text)
        .filter(|it| !it.trim().is_empty());
    let command = command.ok_or_else(|| Failure::new("no command given"))?;
    Ok(Prepared::Raw {
        command,
        executable: args.get("executable").map(Value::to_text),
    })
}
