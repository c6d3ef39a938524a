//! `set_fact`: set variables of a host.

use std::sync::Arc;

use hostler_module_api::{ModuleSpec, spec_of};
use hostler_template::Scope;
use hostler_value::{Map, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::failure::Failure;
use crate::host_task::{HostTask, Prepared, TaskKeywords};
use crate::result::Single;

/// Set variables of a host, any number of `name: value`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Args {
    /// Keep the variables as facts for later runs; there is no cache, so only this run has them.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted, and documented to have no effect")]
    cacheable: bool,
}

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("set_fact").any_arguments()
}

pub(super) fn prepare(
    host: &HostTask<'_>,
    _: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let mut variables = host.open_args(scope)?;
    variables.remove("cacheable");
    if variables.is_empty() {
        return Err(Failure::new(
            "No key/value pairs provided, at least one is required for this action to succeed",
        ));
    }
    for name in variables.keys() {
        let name = name.to_text();
        let valid = name.chars().all(|ch| ch.is_alphanumeric() || ch == '_')
            && !name.starts_with(|ch: char| ch.is_ascii_digit());
        if name.is_empty() || !valid {
            return Err(Failure::new(format!(
                "The variable name '{name}' is not valid."
            )));
        }
    }
    let shown: Map = [("ansible_facts", Value::from(variables.clone()))]
        .into_iter()
        .collect();
    let mut single = Single::ok(shown);
    single.variables = Some(variables);
    Ok(Prepared::Done(Box::new(single)))
}
