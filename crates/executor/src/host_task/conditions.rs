//! `when`, `changed_when`, `failed_when` and `until`.

use std::sync::Arc;

use hostler_events::Status;
use hostler_template::{Scope, Truth};
use hostler_value::Unknown;
use hostler_yaml::Node;

use super::{HostTask, with_locals};
use crate::failure::Failure;
use crate::result::Single;

/// Does a task run on a host?
pub(crate) enum When {
    /// Yes.
    Holds,
    /// No: the first condition that is false, as text.
    Unmet(String),
    /// That is decided by tasks that were not run.
    Unknown(Arc<Unknown>),
}

impl HostTask<'_> {
    /// Do all conditions of the task hold? One that is false decides even if others are not known.
    pub(crate) fn when(&self, scope: &Arc<dyn Scope>) -> Result<When, Failure> {
        let mut reasons: Vec<Arc<Unknown>> = self.maybe.into_iter().cloned().collect();
        for node in self.task.context.conditions() {
            let parts = node.as_list().unwrap_or(std::slice::from_ref(node));
            for part in parts {
                match self.holds(part, scope) {
                    Ok(true) => {}
                    Ok(false) => return Ok(When::Unmet(part.to_literal().to_text())),
                    Err(Failure::Unknown(unknown)) => reasons.push(unknown),
                    // It may never be looked at.
                    Err(_) if reasons.len() > usize::from(self.maybe.is_some()) => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        if reasons.is_empty() {
            return Ok(When::Holds);
        }
        let joined = Unknown::join(reasons.iter().map(|unknown| &**unknown));
        Ok(When::Unknown(Arc::new(joined)))
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
        let open = Status::Unknown;
        if matches!(single.status, Status::Unreachable | Status::Skipped) || single.status == open {
            return single;
        }
        if let Some(node) = &self.task.changed_when {
            match self.holds(node, &self.with_result(&single, scope)) {
                Ok(changed) => single.set_changed(changed),
                Err(Failure::Unknown(unknown)) => {
                    single.becomes_unknown(unknown.clone());
                    let own = unknown.until.iter().all(|it| it.task == self.id.0);
                    if single.would_run && own {
                        let words = "would run; whether that changes anything is known afterwards";
                        single.message = Some(words.to_owned());
                    }
                }
                Err(failure) => return self.failed(failure),
            }
        }
        if let Some(node) = &self.task.failed_when {
            match self.holds(node, &self.with_result(&single, scope)) {
                Ok(failed) => single.set_failed(failed),
                // What is predicted is what happens unless something fails.
                Err(Failure::Unknown(_)) if single.status == Status::Failed => {
                    single.set_failed(false);
                }
                Err(Failure::Unknown(_)) => {}
                Err(failure) => return self.failed(failure),
            }
        }
        single
    }

    /// May the task fail without ending its host's run?
    pub(crate) fn may_fail(&self) -> bool {
        self.task.failed_when.is_some()
            || self
                .task
                .context
                .nearest(|it| it.ignore_errors.as_ref())
                .is_some()
    }

    /// Does the playbook itself say that it goes on if this fails, and leave it to the task whether something changed?
    pub(crate) fn expects_failure(&self) -> bool {
        let ignores = self.task.context.nearest(|it| it.ignore_errors.as_ref());
        ignores.is_some() && self.task.changed_when.is_none() && self.task.failed_when.is_none()
    }

    /// In a preview: a failure that an earlier, undecided task on the host may prevent is none.
    pub(crate) fn doubt(&self, mut single: Single, delegate: Option<&str>) -> Single {
        if !self.run.settings.check || single.status != Status::Failed || !single.of_state {
            return single;
        }
        let mut until = self.run.foresight.undecided(self.host);
        if let Some(delegate) = delegate {
            until.extend(self.run.foresight.undecided(delegate));
        }
        if until.is_empty() {
            return single;
        }
        let causes: Vec<Unknown> = until.into_iter().map(Unknown::until).collect();
        let unknown = Unknown::join(&causes);
        let names: Vec<String> = unknown
            .until
            .iter()
            .map(hostler_value::Cause::words)
            .collect();
        let said = single.message.take().unwrap_or_default();
        single.becomes_unknown(Arc::new(unknown));
        single.message = Some(format!(
            "would fail ({said}) unless {} changes that",
            names.join(" or ")
        ));
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
