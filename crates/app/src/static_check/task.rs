//! One task on one host, followed as the run would follow it: loop, conditions, keywords, arguments, what comes after.

use std::path::Path;
use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_executor::Preflight;
use hostler_module_api::Catalog;
use hostler_playbook::{Keywords, Loop, LoopKind, Task};
use hostler_template::{Engine, Scope, TemplateError, TemplateErrorKind};
use hostler_value::{Map, Value};
use hostler_yaml::{Mapping, Node};

use super::judge::{Judge, Known};
use super::outcome::{Certainty, Outcome, Problem};
use super::scope::{Locals, Probe, unknown};

/// Items of a loop that are looked at; more of the same are mostly the same.
const ITEMS_MAX: usize = 100;

/// What checks of tasks share.
pub(super) struct Shared<'a> {
    pub(super) engine: &'a Engine,
    pub(super) catalog: &'a Catalog,
    pub(super) preflight: &'a Preflight,
    /// The playbook's directory.
    pub(super) directory: &'a Path,
    /// May a task of the run make files on the controller?
    pub(super) files_appear: bool,
}

/// One task, on any host.
pub(super) struct TaskCheck<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) task: &'a Task,
    /// Its arguments with `module_defaults`.
    pub(super) arguments: Arc<Mapping>,
    pub(super) probe: Arc<Probe>,
}

impl TaskCheck<'_> {
    pub(super) fn judge(&self) -> Judge<'_> {
        Judge {
            engine: self.shared.engine,
        }
    }

    /// Follows the task.
    pub(super) fn run(&self, scope: &Arc<dyn Scope>) -> Outcome {
        let mut out = Outcome::default();
        match &self.task.r#loop {
            None => self.once(scope, Certainty::Sure, &mut out),
            Some(l) => self.looped(l, scope, &mut out),
        }
        if self.ignores_errors(scope) {
            out.problems.retain(|problem| problem.known_to_run);
            out.fails = None;
        }
        if !out.problems.is_empty() && self.hides(scope) {
            out.problems.iter_mut().for_each(hide);
        }
        out
    }

    /// May `no_log` hide what the task computes? What cannot be said before the run counts as yes.
    fn hides(&self, scope: &Arc<dyn Scope>) -> bool {
        let node = self
            .task
            .context
            .nearest(|it: &Keywords| it.no_log.as_ref());
        node.is_some_and(|node| match self.judge().value(node, scope) {
            Known::Yes(Some(value)) => value.to_bool().unwrap_or(true),
            Known::Yes(None) => false,
            Known::Unknown | Known::Wrong(_) => true,
        })
    }

    fn ignores_errors(&self, scope: &Arc<dyn Scope>) -> bool {
        let node = self
            .task
            .context
            .nearest(|it: &Keywords| it.ignore_errors.as_ref());
        let Some(node) = node else {
            return false;
        };
        match self.judge().value(node, scope) {
            Known::Yes(Some(value)) => value.to_bool().unwrap_or(true),
            Known::Yes(None) => false,
            Known::Unknown | Known::Wrong(_) => true,
        }
    }

    fn looped(&self, l: &Loop, scope: &Arc<dyn Scope>, out: &mut Outcome) {
        let judge = self.judge();
        let items = match judge.value(&l.items, scope) {
            Known::Unknown => None,
            Known::Wrong(error) => {
                return self.no_items(error.to_diagnostic(), Some(&error), scope, out);
            }
            Known::Yes(value) => match items_of(l, value.unwrap_or_default()) {
                Ok(items) => Some(items),
                Err(diagnostic) => return self.no_items(diagnostic, None, scope, out),
            },
        };
        let Some(items) = items else {
            return self.turn(l, None, scope, Certainty::Maybe, out);
        };
        for (index, item) in items.into_iter().take(ITEMS_MAX).enumerate() {
            self.turn(l, Some((index, item)), scope, Certainty::Sure, out);
        }
    }

    /// The list is wrong: a failure, unless a condition says that it need not exist.
    fn no_items(
        &self,
        diagnostic: Diagnostic,
        error: Option<&TemplateError>,
        scope: &Arc<dyn Scope>,
        out: &mut Outcome,
    ) {
        let mut ignored = Outcome::default();
        let certainty = match self.conditions(scope, Certainty::Sure, &mut ignored) {
            Some(certainty) => certainty,
            None if ignored.problems.is_empty() => return,
            None => Certainty::Sure,
        };
        out.done = out.done.max(Some(certainty));
        self.problem(out, diagnostic, error, certainty);
    }

    fn turn(
        &self,
        l: &Loop,
        item: Option<(usize, Value)>,
        scope: &Arc<dyn Scope>,
        certainty: Certainty,
        out: &mut Outcome,
    ) {
        let (index, item) = item.map_or((None, None), |(index, item)| (Some(index), Some(item)));
        let item = item.unwrap_or_else(unknown);
        let mut locals = vec![(l.control.item_name().to_owned(), item)];
        if let Some(name) = &l.control.index_var {
            let index = index.map_or_else(unknown, Value::from);
            locals.push((name.clone(), index));
        }
        let scope = Locals::over(scope, locals);
        // A label is made before the conditions are looked at.
        if let Some(label) = &l.control.label {
            self.check(label, &scope, certainty, out);
        }
        self.once(&scope, certainty, out);
    }

    /// Without a loop, or one item of it.
    fn once(&self, scope: &Arc<dyn Scope>, certainty: Certainty, out: &mut Outcome) {
        let Some(certainty) = self.conditions(scope, certainty, out) else {
            return;
        };
        out.done = out.done.max(Some(certainty));
        self.keywords(scope, certainty, out);
        self.arguments(scope, certainty, out);
        self.afterwards(scope, certainty, out);
    }

    /// How sure it is that all conditions hold; `None` if one does not, or fails.
    fn conditions(
        &self,
        scope: &Arc<dyn Scope>,
        mut certainty: Certainty,
        out: &mut Outcome,
    ) -> Option<Certainty> {
        for node in self.task.context.conditions() {
            for part in node.as_list().unwrap_or(std::slice::from_ref(node)) {
                match self.condition(part, scope, out) {
                    Known::Yes(true) => {}
                    Known::Yes(false) => return None,
                    Known::Unknown => certainty = Certainty::Maybe,
                    Known::Wrong(error) => {
                        let placed = at(error.to_diagnostic(), part);
                        self.problem(out, placed, Some(&error), certainty);
                        return None;
                    }
                }
            }
        }
        Some(certainty)
    }

    pub(super) fn condition(
        &self,
        node: &Node,
        scope: &Arc<dyn Scope>,
        out: &mut Outcome,
    ) -> Known<bool> {
        let mut warnings = Vec::new();
        let verdict = self.judge().condition(node, scope, &mut warnings);
        for warning in warnings {
            out.told_by_run(warning);
        }
        verdict
    }

    fn keywords(&self, scope: &Arc<dyn Scope>, certainty: Certainty, out: &mut Outcome) {
        type Pick = fn(&Keywords) -> Option<&Node>;
        const TEXTS: [Pick; 8] = [
            |it| it.delegate_to.as_ref(),
            |it| it.connection.as_ref(),
            |it| it.remote_user.as_ref(),
            |it| it.port.as_ref(),
            |it| it.become_user.as_ref(),
            |it| it.become_method.as_ref(),
            |it| it.become_flags.as_ref(),
            |it| it.become_exe.as_ref(),
        ];
        const FLAGS: [(&str, Pick); 5] = [
            ("become", |it| it.r#become.as_ref()),
            ("check_mode", |it| it.check_mode.as_ref()),
            ("diff", |it| it.diff.as_ref()),
            ("delegate_facts", |it| it.delegate_facts.as_ref()),
            ("no_log", |it| it.no_log.as_ref()),
        ];
        let context = &self.task.context;
        for pick in TEXTS {
            if let Some(node) = context.nearest(pick) {
                self.check(node, scope, certainty, out);
            }
        }
        for node in context.levels().filter_map(|it| it.environment.as_ref()) {
            self.check(node, scope, certainty, out);
        }
        for (name, pick) in FLAGS {
            let Some(node) = context.nearest(pick) else {
                continue;
            };
            let value = self.check(node, scope, certainty, out);
            if let Some(Err(error)) = value.filter(|it| !it.is_null()).map(|it| it.to_bool()) {
                let message = format!("`{name}`: {error}");
                let wrong = Diagnostic::error("wrong-kind", message).at(node.span);
                self.problem(out, wrong, None, certainty);
            }
        }
    }

    /// Evaluates a node and notes what is wrong with it. The value, if it is known.
    pub(super) fn check(
        &self,
        node: &Node,
        scope: &Arc<dyn Scope>,
        certainty: Certainty,
        out: &mut Outcome,
    ) -> Option<Value> {
        match self.judge().value(node, scope) {
            Known::Yes(value) => value,
            Known::Unknown => None,
            Known::Wrong(error) => {
                let placed = at(error.to_diagnostic(), node);
                self.problem(out, placed, Some(&error), certainty);
                None
            }
        }
    }

    /// What is looked at when the task's result is there, and whom it notifies.
    fn afterwards(&self, scope: &Arc<dyn Scope>, certainty: Certainty, out: &mut Outcome) {
        let result = self.task.register.iter();
        let scope = Locals::over(
            scope,
            result.map(|name| (name.clone(), unknown())).collect(),
        );
        let task = self.task;
        let conditions = task.changed_when.iter().chain(&task.failed_when);
        for node in conditions.chain(&task.until) {
            for part in node.as_list().unwrap_or(std::slice::from_ref(node)) {
                match self.condition(part, &scope, out) {
                    Known::Wrong(error) => {
                        let placed = at(error.to_diagnostic(), part);
                        self.problem(out, placed, Some(&error), certainty);
                        break;
                    }
                    // What comes after it in the list is not looked at.
                    Known::Yes(false) => break,
                    Known::Unknown | Known::Yes(true) => {}
                }
            }
        }
        for notify in &task.notify {
            let certainty = certainty.min(Certainty::Likely);
            match self.check(&notify.name, &scope, certainty, out) {
                None => out.notifies.push(None),
                Some(Value::List(names)) => {
                    let names = names.iter().map(|name| Some(name.to_text()));
                    out.notifies.extend(names);
                }
                Some(name) => out.notifies.push(Some(name.to_text())),
            }
        }
    }

    /// Notes a problem, pointing at the task too if it lies elsewhere.
    pub(super) fn problem(
        &self,
        out: &mut Outcome,
        mut diagnostic: Diagnostic,
        error: Option<&TemplateError>,
        certainty: Certainty,
    ) {
        let span = self.task.span;
        let inside = diagnostic.labels.first().is_some_and(|label| {
            label.span.source == span.source && (span.start..=span.end).contains(&label.span.start)
        });
        if !inside {
            diagnostic = diagnostic.label(self.task.module_span, "in this task");
        }
        let about_facts = error.is_some_and(|error| {
            error.kind == TemplateErrorKind::Undefined
                && (error.message.contains("'ansible_")
                    || error.message.contains("has no attribute"))
        });
        if about_facts && self.probe.missed_facts() {
            diagnostic = diagnostic.hint(
                "nobody gathers the facts of the host before: `gather_facts` is off in its plays",
            );
        }
        let for_all = diagnostic.code == "template-syntax";
        let undefined = error.filter(|error| error.kind == TemplateErrorKind::Undefined);
        out.problems.push(Problem {
            diagnostic,
            certainty,
            undefined: undefined.and_then(undefined_name),
            for_all,
            known_to_run: false,
        });
    }
}

/// Leaves of a problem of a `no_log` task what the user's own files say: its kind, its place, a name that is not defined.
fn hide(problem: &mut Problem) {
    if problem.for_all || problem.undefined.is_some() {
        return;
    }
    let diagnostic = &mut problem.diagnostic;
    "this is wrong; `no_log` hides what it is and why".clone_into(&mut diagnostic.message);
    for label in &mut diagnostic.labels {
        label.message.clear();
    }
    diagnostic.hints = vec!["see more with `no_log: false`, on a terminal of your own".to_owned()];
}

/// A diagnostic that has no place of its own gets the node's.
pub(super) fn at(diagnostic: Diagnostic, node: &Node) -> Diagnostic {
    if diagnostic.labels.is_empty() {
        diagnostic.at(node.span)
    } else {
        diagnostic
    }
}

/// The variable that ansible-core's words say is not defined: `'name' is undefined`.
fn undefined_name(error: &TemplateError) -> Option<String> {
    let name = error
        .message
        .strip_prefix('\'')?
        .strip_suffix("' is undefined")?;
    Some(name.to_owned())
}

/// The items of a loop, or what is wrong with its list.
fn items_of(l: &Loop, value: Value) -> Result<Vec<Value>, Diagnostic> {
    let wrong = |message: String, hint: &str| {
        Err(Diagnostic::error("loop-items", message)
            .at(l.items.span)
            .hint(hint))
    };
    match (l.kind, value) {
        (LoopKind::List, Value::List(items)) => Ok(items.to_vec()),
        (LoopKind::List, other) => wrong(
            format!("a loop needs a list, this is a {}", other.type_name()),
            "wrap a single value in a list; turn a dictionary into one with `| dict2items`",
        ),
        (LoopKind::Items, Value::List(items)) => Ok(items
            .iter()
            .flat_map(|item| match item {
                Value::List(inner) => inner.to_vec(),
                other => vec![other.clone()],
            })
            .collect()),
        (LoopKind::Items, scalar) => Ok(vec![scalar]),
        (LoopKind::Dict, Value::Map(map)) => Ok(map
            .iter()
            .map(|(key, value)| {
                let pair = [("key", key.clone()), ("value", value.clone())];
                Value::from(pair.into_iter().collect::<Map>())
            })
            .collect()),
        (LoopKind::Dict, other) => wrong(
            format!(
                "`with_dict` needs a mapping, this is a {}",
                other.type_name()
            ),
            "use `loop` for a list",
        ),
    }
}
