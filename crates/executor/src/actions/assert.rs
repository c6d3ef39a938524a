//! `assert`: fail unless conditions hold.

use std::sync::Arc;

use hostler_module_api::{ModuleSpec, spec_of};
use hostler_template::Scope;
use hostler_value::{Map, Unknown, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::failure::Failure;
use crate::host_task::{HostTask, Prepared, TaskKeywords};
use crate::result::Single;

/// Fail unless all conditions hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "read as nodes: conditions are expressions, not values"
)]
struct Args {
    /// A condition, or a list of them.
    that: Value,
    /// What to say if one does not hold.
    #[serde(alias = "msg")]
    fail_msg: Option<Value>,
    /// What to say if all hold.
    success_msg: Option<Value>,
    /// Do not list what was checked.
    #[serde(default)]
    quiet: bool,
}

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("assert")
}

pub(super) fn prepare(
    host: &HostTask<'_>,
    _: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let args = &host.task.args;
    let message = |names: &[&str]| -> Result<Option<Value>, Failure> {
        let node = names.iter().find_map(|name| args.get(name));
        node.map(|node| host.open_value(node, scope)).transpose()
    };
    let that = args
        .get("that")
        .ok_or_else(|| Failure::new("conditional required in \"that\" string"))?;
    let conditions = that.as_list().unwrap_or(std::slice::from_ref(that));
    let mut reasons = Vec::new();
    for condition in conditions {
        let holds = match host.holds(condition, scope) {
            // One that is false decides it.
            Err(Failure::Unknown(unknown)) => {
                reasons.push(unknown);
                true
            }
            Err(_) if !reasons.is_empty() => true,
            holds => holds?,
        };
        if !holds {
            let said =
                message(&["fail_msg", "msg"])?.unwrap_or_else(|| Value::str("Assertion failed"));
            let said = match &said {
                Value::List(lines) => lines
                    .iter()
                    .map(Value::to_text)
                    .collect::<Vec<_>>()
                    .join("\n"),
                other => other.to_text(),
            };
            return Err(Failure::new(said)
                .field("assertion", condition.to_literal())
                .field("evaluated_to", false)
                .of_state()
                .at(condition.span));
        }
    }
    if !reasons.is_empty() {
        let reasons = reasons.iter().map(|unknown| &**unknown);
        return Err(Failure::Unknown(Arc::new(Unknown::join(reasons))));
    }
    let said = message(&["success_msg"])?.unwrap_or_else(|| Value::str("All assertions passed"));
    let value: Map = [("msg", said)].into_iter().collect();
    let mut single = Single::ok(value);
    single.message = single.value.get("msg").map(Value::to_text);
    Ok(Prepared::Done(Box::new(single)))
}
