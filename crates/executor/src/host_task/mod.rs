//! One task on one host.
//!
//! ```text
//! run ─┬─ no loop:  when → keywords → prepare → do (until) → changed_when, failed_when
//!      └─ loop:     items → for each: when → keywords → prepare; those alike go to the agent in one message
//! ```

mod conditions;
mod exchange;
mod keywords;
mod looped;
mod patience;
mod preview;
mod remote;
mod single;
mod trail;
mod written;

use std::sync::Arc;
use std::time::Instant;

use hostler_events::{ItemResult, Status, TaskId, TaskResult};
use hostler_playbook::Task;
use hostler_template::{Scope, TemplateError, Var};
use hostler_value::{Map, Unknown, Value};
use hostler_yaml::Node;

pub(crate) use conditions::When;
pub(crate) use keywords::TaskKeywords;
pub(crate) use remote::{AgentItem, Prepared, RemoteWork};
pub(crate) use single::known;
pub(crate) use trail::Trail;
pub(crate) use written::args_node;

use crate::actions;
use crate::context::RunContext;
use crate::failure::{Failure, Left};
use crate::fleet::Turn;
use crate::play::PlayRun;
use crate::result::{Shown, Single};

/// One task on one host.
#[derive(Clone, Copy)]
pub(crate) struct HostTask<'a> {
    pub(crate) run: &'a RunContext,
    pub(crate) play: &'a PlayRun,
    pub(crate) task: &'a Task,
    pub(crate) id: TaskId,
    pub(crate) host: &'a str,
    /// In a preview: it may not run at all, for this reason (a handler that perhaps nobody notifies).
    pub(crate) maybe: Option<&'a Arc<Unknown>>,
    /// In a preview: later tasks see what it would do.
    pub(crate) keep: bool,
    /// Its turn, if the task may be delegated to a host where others work, too.
    pub(crate) turn: Option<&'a Turn>,
    /// The messages that it sends, if it may send any.
    pub(crate) trail: Option<&'a Trail>,
}

/// What came of it, with what is to be remembered.
pub(crate) struct Finished {
    pub(crate) result: TaskResult,
    /// What `register` holds.
    pub(crate) registered: Value,
    /// Handlers that it notifies, by name or topic.
    pub(crate) notified: Vec<String>,
    /// In a preview: why it may not notify them.
    pub(crate) notifies_maybe: Option<Arc<Unknown>>,
    /// In a preview: what it would do to the host is not decided.
    pub(crate) undecided: bool,
    /// In a preview: it would change the host, for certain or perhaps.
    pub(crate) touched: bool,
    /// Is that something which commands ask: a service, a package?
    pub(crate) serves: bool,
    /// Facts for `facts_host`, without prefix.
    pub(crate) facts: Option<Map>,
    pub(crate) facts_host: String,
    /// Variables for the host.
    pub(crate) variables: Option<Map>,
    /// It has no result: it was not done here, or not to its end.
    pub(crate) left: Option<Left>,
}

/// Variables of the moment on top of a host's: the loop's item, the result that a condition looks at.
pub(crate) struct LocalScope {
    base: Arc<dyn Scope>,
    locals: Vec<(String, Var)>,
}

impl Scope for LocalScope {
    fn get(&self, name: &str) -> Option<Var> {
        let local = self.locals.iter().rev().find(|(known, _)| known == name);
        local
            .map(|(_, var)| var.clone())
            .or_else(|| self.base.get(name))
    }

    fn names(&self) -> Vec<String> {
        let locals = self.locals.iter().map(|(name, _)| name.clone());
        locals.chain(self.base.names()).collect()
    }
}

/// `base` with more variables on top.
pub(crate) fn with_locals(
    base: &Arc<dyn Scope>,
    locals: impl IntoIterator<Item = (String, Value)>,
) -> Arc<dyn Scope> {
    let locals = locals
        .into_iter()
        .map(|(name, value)| (name, Var::Data(value)))
        .collect();
    Arc::new(LocalScope {
        base: base.clone(),
        locals,
    })
}

impl HostTask<'_> {
    /// Does it.
    pub(crate) async fn run(&self) -> Finished {
        let start = Instant::now();
        if let Some(bound) = self.run.bound() {
            let place = self.run.sources.locate(self.task.span).to_string();
            bound.begin(self.id, self.host, place);
        }
        let scope = self.play.scope(self.run, self.host, &self.task.context);
        let (single, items, keywords) = match &self.task.r#loop {
            None => {
                let (single, keywords) = self.run_single(&scope).await;
                (single, None, keywords)
            }
            Some(l) => {
                let (single, count, keywords) = self.run_loop(l, &scope).await;
                (single, Some(count), keywords)
            }
        };
        if let Some(bound) = self.run.bound() {
            bound.end(self.id, self.host);
        }
        self.finish(single, items, keywords.as_ref(), &scope, start)
    }

    fn finish(
        &self,
        mut single: Single,
        items: Option<u32>,
        keywords: Option<&TaskKeywords>,
        scope: &Arc<dyn Scope>,
        start: Instant,
    ) -> Finished {
        let left = single.left;
        single = self.doubt(single, keywords.and_then(|it| it.delegate_to.as_deref()));
        let mut ignored = match single.status {
            Status::Failed => self.flag(scope, |it| it.ignore_errors.as_ref()),
            Status::Unreachable => self.flag(scope, |it| it.ignore_unreachable.as_ref()),
            _ => Ok(false),
        };
        let mut no_log = self.flag(scope, |it| it.no_log.as_ref());
        let mut notified = Vec::new();
        let perhaps = single.status == Status::Unknown && !single.idle;
        if single.status == Status::Changed || perhaps {
            match self.notified(scope, &single) {
                Ok(names) => notified = names,
                Err(failure) => single = self.failed(failure),
            }
        }
        if let Err(failure) = &mut ignored {
            single = self.failed(std::mem::replace(failure, Failure::new("")));
        }
        if let Err(failure) = &mut no_log {
            single = self.failed(std::mem::replace(failure, Failure::new("")));
        }
        let notifies_maybe = (single.status == Status::Unknown).then(|| {
            let until = single.unknown.clone();
            let unknown = Unknown {
                until,
                sketch: None,
            };
            single.whole.clone().unwrap_or_else(|| Arc::new(unknown))
        });
        let may_change = !actions::is_harmless(&self.task.module);
        let undecided = may_change && (perhaps || single.would_run);
        let touched = may_change && (perhaps || single.status == Status::Changed);
        let registered = single.to_value();
        let delegate = keywords.and_then(|it| it.delegate_to.clone());
        let facts_host = match (keywords, &delegate) {
            (Some(keywords), Some(delegate)) if keywords.delegate_facts => delegate.clone(),
            _ => self.host.to_owned(),
        };
        let facts = single.facts.take();
        let variables = single.variables.take();
        let shown = Shown {
            // A broken `no_log` hides: whoever wrote it wanted that.
            no_log: no_log.unwrap_or(true),
            ignored: ignored.unwrap_or(false),
            rescued: false,
            delegated_to: delegate,
            items,
            duration_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let result = single.into_result(shown);
        Finished {
            result,
            registered,
            notified,
            notifies_maybe,
            undecided,
            touched,
            serves: preview::SERVING.contains(&self.task.module.as_str()),
            facts,
            facts_host,
            variables,
            left,
        }
    }

    /// Names in `notify`, evaluated.
    fn notified(&self, scope: &Arc<dyn Scope>, single: &Single) -> Result<Vec<String>, Failure> {
        let scope = match &self.task.register {
            Some(name) => with_locals(scope, [(name.clone(), single.to_value())]),
            None => scope.clone(),
        };
        let mut names = Vec::new();
        for notify in &self.task.notify {
            match self.value(&notify.name, &scope)? {
                Value::List(list) => names.extend(list.iter().map(Value::to_text)),
                name => names.push(name.to_text()),
            }
        }
        Ok(names)
    }

    /// Evaluates a node, all of which must be known.
    pub(crate) fn value(&self, node: &Node, scope: &Arc<dyn Scope>) -> Result<Value, Failure> {
        let value = self.open_value(node, scope)?;
        match value.unknown_part() {
            None => Ok(value),
            Some(unknown) => Err(Failure::Unknown(Arc::new(unknown))),
        }
    }

    /// Evaluates a node; parts of the value may be unknown.
    pub(crate) fn open_value(&self, node: &Node, scope: &Arc<dyn Scope>) -> Result<Value, Failure> {
        self.run
            .engine
            .finalise(node, scope)
            .map_err(|error| self.template_failure(&error))
    }

    pub(crate) fn template_failure(&self, error: &TemplateError) -> Failure {
        Failure::template(error, &self.run.sources)
    }

    /// Does `no_log` hide what the task does, or may it?
    pub(crate) fn hides(&self) -> bool {
        let node = self.task.context.nearest(|it| it.no_log.as_ref());
        node.is_some_and(|node| node.to_literal().to_bool().unwrap_or(true))
    }

    pub(crate) fn failed(&self, failure: Failure) -> Single {
        Single::failure(failure, |span| self.run.sources.locate(span))
    }
}

/// One item for the reporters.
pub(crate) fn item_result(
    index: usize,
    label: String,
    single: &Single,
    no_log: bool,
) -> ItemResult {
    let value = single.to_value();
    ItemResult {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        label: if no_log {
            "(censored due to no_log)".to_owned()
        } else {
            label
        },
        status: single.status,
        ignored: false,
        value: if no_log {
            crate::result::censor(&value)
        } else {
            value
        },
        message: if no_log { None } else { single.message.clone() },
        deltas: if no_log {
            Vec::new()
        } else {
            single.deltas.clone()
        },
        unknown: single.unknown.clone(),
        forecast: single.forecast.clone(),
    }
}
