//! Templates and conditions evaluated before the run: a value, not known, or wrong.

use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_template::{Engine, Scope, TemplateError, TemplateErrorKind};
use hostler_value::Value;
use hostler_yaml::Node;

use super::scope::Probe;

/// What can be said of a value before the run.
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
    pub(super) probe: &'a Arc<Probe>,
}

impl Judge<'_> {
    /// A node's value; `None` if it is `omit`.
    pub(super) fn value(&self, node: &Node, scope: &Arc<dyn Scope>) -> Known<Option<Value>> {
        if !node.is_dynamic() {
            return Known::Yes(Some(node.to_literal()));
        }
        self.verdict(|| self.engine.finalise_optional(node, scope))
    }

    /// Does a condition hold? Whatever it warns of is added to `warnings`.
    pub(super) fn condition(
        &self,
        node: &Node,
        scope: &Arc<dyn Scope>,
        warnings: &mut Vec<Diagnostic>,
    ) -> Known<bool> {
        let mut own = Vec::new();
        let verdict = self.verdict(|| self.engine.condition(node, scope, &mut own));
        if matches!(verdict, Known::Yes(_)) {
            warnings.append(&mut own);
        }
        verdict
    }

    /// Runs an evaluation and sees whether the run decides it.
    pub(super) fn verdict<T>(
        &self,
        evaluate: impl FnOnce() -> Result<T, TemplateError>,
    ) -> Known<T> {
        self.probe.take_unknown();
        let result = evaluate();
        match result {
            _ if self.probe.take_unknown() => Known::Unknown,
            Ok(value) => Known::Yes(value),
            // Too much work for a check is no mistake of the playbook's.
            Err(error) if error.kind == TemplateErrorKind::Limit => Known::Unknown,
            Err(error) => Known::Wrong(error),
        }
    }
}
