//! Templates and conditions evaluated before the run: a value, not known, or wrong.

use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_template::{Engine, Scope, TemplateError, TemplateErrorKind, Truth};
use hostler_value::Value;
use hostler_yaml::Node;

/// What can be said of a value before the run. A known one may have parts that are not.
pub(super) enum Known<T> {
    Yes(T),
    /// The run decides.
    Unknown,
    /// It fails whatever the run does.
    Wrong(TemplateError),
}

/// Evaluates for one host.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) engine: &'a Engine,
}

impl Judge<'_> {
    /// A node's value; `None` if it is `omit`.
    pub(super) fn value(self, node: &Node, scope: &Arc<dyn Scope>) -> Known<Option<Value>> {
        if !node.is_dynamic() {
            return Known::Yes(Some(node.to_literal()));
        }
        match self.engine.finalise_optional(node, scope) {
            Ok(Some(Value::Unknown(_))) => Known::Unknown,
            Ok(value) => Known::Yes(value),
            Err(error) => wrong(error),
        }
    }

    /// Does a condition hold? Whatever it warns of is added to `warnings`.
    pub(super) fn condition(
        self,
        node: &Node,
        scope: &Arc<dyn Scope>,
        warnings: &mut Vec<Diagnostic>,
    ) -> Known<bool> {
        match self.engine.condition(node, scope, warnings) {
            Ok(Truth::Known(truth)) => Known::Yes(truth),
            Ok(Truth::Unknown(_)) => Known::Unknown,
            Err(error) => wrong(error),
        }
    }
}

/// What an error says before the run.
pub(super) fn wrong<T>(error: TemplateError) -> Known<T> {
    // Too much work for a check is no mistake of the playbook's.
    if error.kind == TemplateErrorKind::Limit {
        Known::Unknown
    } else {
        Known::Wrong(error)
    }
}
