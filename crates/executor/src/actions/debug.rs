//! `debug`: print a message or a variable.

use std::sync::Arc;

use hostler_module_api::{ModuleSpec, from_value, spec_of};
use hostler_template::{Scope, TemplateErrorKind};
use hostler_value::{Map, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::failure::Failure;
use crate::foresight::with_holes;
use crate::host_task::{HostTask, Prepared, TaskKeywords};
use crate::result::Single;

/// Print a message or a variable during a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// The message; any kind of value.
    msg: Option<Value>,
    /// A variable or expression to print, without braces.
    var: Option<Value>,
    /// Print only with at least this many `-v`.
    #[serde(default)]
    verbosity: u8,
}

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("debug")
}

pub(super) fn prepare(
    host: &HostTask<'_>,
    _: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let given = with_holes(&Value::from(host.open_args(scope)?));
    let args: Args = from_value(&given).map_err(|it| Failure::new(it.to_string()))?;
    if args.verbosity > host.run.settings.verbosity {
        return Ok(Prepared::Done(Box::new(Single::skipped(
            "Verbosity threshold not met.",
            None,
        ))));
    }
    let mut value = Map::new();
    match (&args.var, args.msg) {
        (Some(_), Some(_)) => return Err(Failure::new("'msg' and 'var' are incompatible options")),
        (Some(name), None) => {
            let (key, shown) = variable(host, name, scope)?;
            value.insert(key, with_holes(&shown));
        }
        (None, msg) => {
            value.insert("msg", msg.unwrap_or_else(|| Value::str("Hello world!")));
        }
    }
    let mut single = Single::ok(value);
    single.message = single.value.get("msg").map(Value::to_text);
    Ok(Prepared::Done(Box::new(single)))
}

/// What `var` names: text is an expression, anything else is shown as it is.
fn variable(
    host: &HostTask<'_>,
    name: &Value,
    scope: &Arc<dyn Scope>,
) -> Result<(String, Value), Failure> {
    let node = host.task.args.get("var");
    let Some(source) = node
        .and_then(|node| node.as_source())
        .filter(|source| !source.has_markup())
    else {
        return Ok((name.to_text(), name.clone()));
    };
    match host.run.engine.expression(source, scope) {
        Ok(value) => Ok((source.text().to_owned(), value)),
        Err(error) if error.kind == TemplateErrorKind::Undefined => Ok((
            source.text().to_owned(),
            Value::str("VARIABLE IS NOT DEFINED!"),
        )),
        Err(error) => Err(host.template_failure(&error)),
    }
}
