//! The keywords of a task, evaluated for one host.

use std::sync::Arc;

use hostler_playbook::Keywords;
use hostler_template::{Scope, Var};
use hostler_value::{Map, Value};
use hostler_yaml::Node;

use super::HostTask;
use crate::failure::Failure;
use crate::fleet::{
    BecomeKeywords, BecomeRequest, ConnectKeywords, Route, become_request, route_of,
};

/// How and where a task runs for one host (and one item of its loop).
#[derive(Clone)]
pub(crate) struct TaskKeywords {
    pub(crate) route: Route,
    pub(crate) r#become: Option<BecomeRequest>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) check: bool,
    pub(crate) diff: bool,
    pub(crate) delegate_to: Option<String>,
    pub(crate) delegate_facts: bool,
    pub(crate) timeout_s: u64,
}

impl TaskKeywords {
    /// Can two items travel in one message?
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.route == other.route
            && self.r#become == other.r#become
            && self.environment == other.environment
            && (self.check, self.diff) == (other.check, other.diff)
    }
}

impl HostTask<'_> {
    /// The nearest value of a keyword, evaluated.
    fn keyword<'a>(
        &'a self,
        scope: &Arc<dyn Scope>,
        of: impl Fn(&'a Keywords) -> Option<&'a Node>,
    ) -> Result<Option<Value>, Failure> {
        let node = self.task.context.nearest(of);
        node.map(|node| {
            self.value(node, scope)
                .map_err(|failure| failure.at(node.span))
        })
        .transpose()
    }

    /// A keyword that is a boolean; missing is false.
    pub(crate) fn flag<'a>(
        &'a self,
        scope: &Arc<dyn Scope>,
        of: impl Fn(&'a Keywords) -> Option<&'a Node>,
    ) -> Result<bool, Failure> {
        match self.keyword(scope, of)?.filter(|value| !value.is_null()) {
            None => Ok(false),
            Some(value) => value
                .to_bool()
                .map_err(|error| Failure::new(error.to_string())),
        }
    }

    /// All that is needed to do the task.
    pub(crate) fn keywords(&self, scope: &Arc<dyn Scope>) -> Result<TaskKeywords, Failure> {
        let delegate = self.keyword(scope, |it| it.delegate_to.as_ref())?;
        let delegate_to = delegate
            .map(|it| it.to_text())
            .filter(|name| !name.is_empty());
        let place = delegate_to.as_deref().unwrap_or(self.host);
        let place_scope = match &delegate_to {
            Some(name) => self.play.scope(self.run, name, &self.task.context),
            None => scope.clone(),
        };
        let variable = |name: &str| self.variable(name, &place_scope);
        let connect = ConnectKeywords {
            connection: self.keyword(scope, |it| it.connection.as_ref())?,
            remote_user: self.keyword(scope, |it| it.remote_user.as_ref())?,
            port: self.keyword(scope, |it| it.port.as_ref())?,
        };
        let becoming = BecomeKeywords {
            r#become: self.keyword(scope, |it| it.r#become.as_ref())?,
            user: self.keyword(scope, |it| it.become_user.as_ref())?,
            method: self.keyword(scope, |it| it.become_method.as_ref())?,
            flags: self.keyword(scope, |it| it.become_flags.as_ref())?,
            exe: self.keyword(scope, |it| it.become_exe.as_ref())?,
        };
        let defaults = &self.run.settings.connect;
        let mode = |value: Option<Value>, default: bool| match value.filter(|it| !it.is_null()) {
            None => Ok(default),
            Some(value) => value
                .to_bool()
                .map_err(|error| Failure::new(error.to_string())),
        };
        let check = mode(
            self.keyword(scope, |it| it.check_mode.as_ref())?,
            self.run.settings.check,
        )?;
        let diff = mode(
            self.keyword(scope, |it| it.diff.as_ref())?,
            self.run.settings.diff,
        )?;
        let timeout = self
            .keyword(scope, |it| it.timeout.as_ref())?
            .unwrap_or(Value::Int(0));
        let timeout = timeout.to_int().ok().and_then(|s| u64::try_from(s).ok());
        Ok(TaskKeywords {
            route: route_of(place, &variable, &connect, defaults)?,
            r#become: become_request(&variable, &becoming, defaults)?,
            environment: self.environment(scope)?,
            check,
            diff,
            delegate_facts: self.flag(scope, |it| it.delegate_facts.as_ref())?,
            delegate_to,
            timeout_s: timeout
                .ok_or_else(|| Failure::new("`timeout` must be a number of seconds"))?,
        })
    }

    /// A variable's value; `None` if it is not defined.
    pub(crate) fn variable(
        &self,
        name: &str,
        scope: &Arc<dyn Scope>,
    ) -> Result<Option<Value>, Failure> {
        match scope.get(name) {
            None | Some(Var::Nested(_)) => Ok(None),
            Some(Var::Data(value)) => match value.unknown_part() {
                None => Ok(Some(value)),
                Some(unknown) => Err(Failure::Unknown(Arc::new(unknown))),
            },
            Some(Var::Written(node)) => {
                let value = self.value(&node, scope);
                value.map(Some).map_err(|failure| failure.at(node.span))
            }
        }
    }

    /// `environment` of all levels, the innermost wins.
    fn environment(&self, scope: &Arc<dyn Scope>) -> Result<Vec<(String, String)>, Failure> {
        let mut merged = Map::new();
        let mut levels: Vec<&Node> = self
            .task
            .context
            .levels()
            .filter_map(|it| it.environment.as_ref())
            .collect();
        levels.reverse();
        for node in levels {
            let value = self
                .value(node, scope)
                .map_err(|failure| failure.at(node.span))?;
            let parts = match value.as_list() {
                Some(parts) => parts.to_vec(),
                None => vec![value],
            };
            for part in parts.iter().filter(|part| !part.is_null()) {
                let map = part.as_map().ok_or_else(|| {
                    Failure::new("`environment` must be a mapping of names to values").at(node.span)
                })?;
                merged.extend(map);
            }
        }
        Ok(merged
            .iter()
            .map(|(name, value)| (name.to_text(), value.to_text()))
            .collect())
    }
}
