//! `when`, `changed_when`, `failed_when` and `until`.

use std::sync::Arc;

use hostler_events::Status;
use hostler_template::{Scope, Truth};
use hostler_yaml::Node;

use super::{HostTask, with_locals};
use crate::failure::Failure;
use crate::result::Single;

impl HostTask<'_> {
    /// The first condition that does not hold, if any, as text.
    pub(crate) fn unmet(&self, scope: &Arc<dyn Scope>) -> Result<Option<String>, Failure> {
        for node in self.task.context.conditions() {
            let parts = node.as_list().unwrap_or(std::slice::from_ref(node));
            for part in parts {
                if !self.holds(part, scope)? {
                    return Ok(Some(part.to_literal().to_text()));
                }
            }
        }
        Ok(None)
    }

    /// Does a condition hold? Not to know it is [`Failure::Unknown`].
    pub(crate) fn holds(&self, node: &Node, scope: &Arc<dyn Scope>) -> Result<bool, Failure> {
        let mut warnings = Vec::new();
        let holds = self.run.engine.condition(node, scope, &mut warnings);
        for warning in warnings {
            self.run.warn(warning, Some(self.host));
        }
        match holds {
            Ok(Truth::Known(holds)) => Ok(holds),
            Ok(Truth::Unknown(unknown)) => Err(Failure::Unknown(unknown)),
            Err(error) => Err(self.template_failure(&error).at(node.span)),
        }
    }

    /// Lets `changed_when` and `failed_when` decide.
    pub(crate) fn judge(&self, mut single: Single, scope: &Arc<dyn Scope>) -> Single {
        if matches!(single.status, Status::Unreachable | Status::Skipped) {
            return single;
        }
        if let Some(node) = &self.task.changed_when {
            match self.holds(node, &self.with_result(&single, scope)) {
                Ok(changed) => single.set_changed(changed),
                Err(failure) => return self.failed(failure),
            }
        }
        if let Some(node) = &self.task.failed_when {
            match self.holds(node, &self.with_result(&single, scope)) {
                Ok(failed) => single.set_failed(failed),
                Err(failure) => return self.failed(failure),
            }
        }
        single
    }

    /// Is the task done, as `until` sees it? Without `until`, `retries` alone means "until it does not fail".
    pub(crate) fn satisfied(
        &self,
        single: &Single,
        scope: &Arc<dyn Scope>,
    ) -> Result<bool, Failure> {
        match &self.task.until {
            Some(node) => self.holds(node, &self.with_result(single, scope)),
            None => Ok(!matches!(single.status, Status::Failed)),
        }
    }

    /// The scope in which a result can be looked at under its `register` name.
    fn with_result(&self, single: &Single, scope: &Arc<dyn Scope>) -> Arc<dyn Scope> {
        match &self.task.register {
            Some(name) => with_locals(scope, [(name.clone(), single.to_value())]),
            None => scope.clone(),
        }
    }
}
