//! Tasks and handlers.

use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_module_api::ModuleSpec;
use hostler_value::Value;
use hostler_yaml::{Mapping, Node, NodeKind};

use super::{Parser, entry_span};
use crate::ast::{Args, Loop, LoopControl, LoopKind, Notify, Section, Task};
use crate::context::{Context, Keywords};
use crate::keywords::{INNER, LATER, LATER_ACTIONS, SHARED, TASK, short_name};
use crate::short_form::split_short_form;

/// The module of a task as written: name node, and the node of its arguments.
struct Action {
    key: Node,
    name: String,
    args: Option<Node>,
    local: bool,
}

impl Parser<'_> {
    /// Reads a task; `None` if its module is not known.
    pub(super) fn task(
        &mut self,
        node: &Node,
        map: &Mapping,
        section: Section,
        outer: &Arc<Context>,
    ) -> Option<Task> {
        let mut keywords = Keywords::default();
        let mut actions = Vec::new();
        for (key, value) in &map.entries {
            let Some(name) = key.as_str() else {
                self.unknown_keyword(key, "task", &[]);
                continue;
            };
            let known = TASK.contains(&name) || SHARED.contains(&name) || INNER.contains(&name);
            if !known && self.is_module_name(name) {
                actions.push(Action {
                    key: key.clone(),
                    name: name.into(),
                    args: Some(value.clone()),
                    local: false,
                });
            } else if !known {
                self.unknown_task_key(key, name);
            } else if !TASK.contains(&name) {
                self.shared_keyword(name, value, &mut keywords);
            } else if name == "listen" && section != Section::Handlers {
                self.push(
                    Diagnostic::error("unknown-keyword", "`listen` is a keyword of handlers only")
                        .at(key.span),
                );
            }
        }
        for name in ["action", "local_action"] {
            actions.extend(
                map.entry(name)
                    .and_then(|(key, value)| self.action(key, value)),
            );
        }
        let action = self.the_action(node, map, actions)?;
        if action.local {
            keywords.delegate_to.get_or_insert(Node {
                kind: NodeKind::Data(Value::str("localhost")),
                span: action.key.span,
            });
        }
        let spec = self.catalog.get(&action.name)?.clone();
        let args = self.args(&spec, &action, map.get("args"));
        let get = |name: &str| map.get(name).filter(|value| !value.is_null()).cloned();
        Some(Task {
            name: get("name"),
            span: node.span,
            module: spec.name.to_owned(),
            module_span: action.key.span,
            args,
            context: Arc::new(Context {
                keywords,
                outer: Some(outer.clone()),
            }),
            r#loop: self.loop_of(map),
            register: get("register").and_then(|name| self.variable_name(&name, "`register`")),
            until: get("until"),
            retries: get("retries"),
            delay: get("delay"),
            changed_when: get("changed_when"),
            failed_when: get("failed_when"),
            notify: get("notify").map(|node| notify(&node)).unwrap_or_default(),
            listen: get("listen")
                .map(|node| self.topics(&node))
                .unwrap_or_default(),
        })
    }

    /// A key of a task that is no keyword names a module if it looks like one.
    fn is_module_name(&self, name: &str) -> bool {
        self.catalog.get(name).is_some()
    }

    fn unknown_task_key(&mut self, key: &Node, name: &str) {
        let diagnostic = if LATER.contains(&name) || name.starts_with("with_") {
            Diagnostic::error(
                "not-available",
                format!("`{name}` is not available in this version"),
            )
        } else if LATER_ACTIONS.contains(&short_name(name)) {
            Diagnostic::error(
                "not-available",
                format!("module `{name}` is not available in this version"),
            )
        } else {
            let words = TASK.iter().chain(SHARED).chain(INNER).copied();
            let names: Vec<&str> = words.chain(self.catalog.names()).collect();
            let message = format!("`{name}` is neither a module nor a keyword of a task");
            Diagnostic::error("unknown-module", message).suggest(name, names)
        };
        self.push(diagnostic.at(key.span));
    }

    /// `action:` and `local_action:`, as text or as a mapping with `module`.
    fn action(&mut self, key: &Node, value: &Node) -> Option<Action> {
        let local = key.as_str() == Some("local_action");
        if let Some(map) = value.as_map() {
            let name = map
                .get("module")
                .and_then(|name| self.literal(name, "`module`"))?;
            let entries = map
                .entries
                .iter()
                .filter(|(key, _)| key.as_str() != Some("module"));
            let rest = Mapping {
                entries: entries.cloned().collect(),
            };
            let args = Node {
                kind: NodeKind::Map(Arc::new(rest)),
                span: value.span,
            };
            return Some(Action {
                key: value.clone(),
                name,
                args: Some(args),
                local,
            });
        }
        let Some(source) = value.as_source() else {
            let found = format!(
                "`action` must be text or a mapping, this is {}",
                value.kind_name()
            );
            self.push(Diagnostic::error("wrong-kind", found).at(value.span));
            return None;
        };
        let text = source.text();
        let start = text.len() - text.trim_start().len();
        let end = text[start..]
            .find(char::is_whitespace)
            .map_or(text.len(), |at| start + at);
        let rest = source.excerpt(end, text.len(), None);
        let args = (!rest.text().trim().is_empty()).then(|| Node {
            span: rest.span(),
            kind: NodeKind::Text(rest),
        });
        let name = text[start..end].to_owned();
        if !self.is_module_name(&name) {
            self.unknown_task_key(value, &name);
            return None;
        }
        Some(Action {
            key: value.clone(),
            name,
            args,
            local,
        })
    }

    fn the_action(
        &mut self,
        node: &Node,
        map: &Mapping,
        mut actions: Vec<Action>,
    ) -> Option<Action> {
        if actions.len() > 1 {
            let names: Vec<String> = actions.iter().map(|it| format!("`{}`", it.name)).collect();
            let message = format!(
                "a task has one module, this one has {}",
                names.join(" and ")
            );
            let mut problem = Diagnostic::error("several-modules", message);
            for action in &actions {
                problem = problem.at(action.key.span);
            }
            self.push(problem);
            return None;
        }
        let already_said = map.entries.iter().any(|(key, _)| {
            let name = key.as_str().unwrap_or_default();
            !TASK.contains(&name) && !SHARED.contains(&name) && !INNER.contains(&name)
        }) || map.get("action").is_some()
            || map.get("local_action").is_some();
        if actions.is_empty() && !already_said {
            self.push(Diagnostic::error("no-module", "a task needs a module").at(node.span));
        }
        actions.pop()
    }

    /// Arguments of whatever form, checked as far as that is possible without values.
    fn args(&mut self, spec: &ModuleSpec, action: &Action, more: Option<&Node>) -> Args {
        let mut args = Args::default();
        if let Some(node) = more.filter(|node| !node.is_null()) {
            self.mapping_args(node, &mut args);
        }
        if let Some(node) = action.args.as_ref().filter(|node| !node.is_null()) {
            match &node.kind {
                NodeKind::Map(_) => self.mapping_args(node, &mut args),
                NodeKind::Text(_) => self.text_args(spec, node, &mut args),
                _ if spec.free_form.is_some() && node.as_list().is_none() => {
                    args.entries.push((
                        spec.free_form.unwrap_or_default().into(),
                        node.span,
                        node.clone(),
                    ));
                }
                _ => {
                    let found = format!(
                        "arguments of `{}` must be a mapping, this is {}",
                        spec.name,
                        node.kind_name()
                    );
                    self.push(Diagnostic::error("wrong-kind", found).at(node.span));
                }
            }
        }
        self.check_args(spec, action, &args);
        args
    }

    fn mapping_args(&mut self, node: &Node, args: &mut Args) {
        let Some(map) = self.mapping(node, "arguments") else {
            return;
        };
        for (key, value) in &map.entries {
            if let Some(name) = self.literal(key, "an argument's name") {
                args.entries.push((name, key.span, value.clone()));
            }
        }
    }

    fn text_args(&mut self, spec: &ModuleSpec, node: &Node, args: &mut Args) {
        let Some(source) = node.as_source() else {
            return;
        };
        let is_key = |key: &str| spec.free_form.is_none() || spec.arguments.contains(&key);
        let form = match split_short_form(source, is_key) {
            Ok(form) => form,
            Err(open) => {
                self.push(
                    Diagnostic::error("short-form", format!("there is {open}")).at(node.span),
                );
                return;
            }
        };
        for (key, (start, end), value) in form.pairs {
            let value = Node {
                span: value.span(),
                kind: NodeKind::Text(value),
            };
            args.entries.push((key, source.locate(start, end), value));
        }
        match (form.free, spec.free_form) {
            (Some(free), Some(argument)) => {
                let span = free.span();
                args.entries.push((
                    argument.into(),
                    span,
                    Node {
                        kind: NodeKind::Text(free),
                        span,
                    },
                ));
            }
            (Some(free), None) => {
                let message = format!(
                    "`{}` takes arguments as `key=value`, this is none",
                    spec.name
                );
                self.push(Diagnostic::error("short-form", message).at(free.span()));
            }
            (None, _) => {}
        }
    }

    fn check_args(&mut self, spec: &ModuleSpec, action: &Action, args: &Args) {
        let known: Vec<(String, Option<Value>)> = args
            .entries
            .iter()
            .map(|(name, _, value)| {
                (
                    name.clone(),
                    (!value.is_dynamic()).then(|| value.to_literal()),
                )
            })
            .collect();
        let unknown = args.entries.iter().filter(|(name, _, _)| {
            !spec.arguments.is_empty() && !spec.arguments.contains(&name.as_str())
        });
        let mut any_unknown = false;
        for (name, span, _) in unknown {
            any_unknown = true;
            let message = format!("module `{}` has no argument `{name}`", spec.name);
            self.push(
                Diagnostic::error("unknown-argument", message)
                    .at(*span)
                    .suggest(name, spec.arguments.iter().copied()),
            );
        }
        // With a mistyped name, what is "missing" is mostly that name.
        if any_unknown {
            return;
        }
        if let Err(error) = spec.check(&known) {
            let first = error.path.split(['.', '[']).next().unwrap_or_default();
            let place = args.entries.iter().rev().find(|(name, _, _)| name == first);
            let span = place.map_or(action.key.span, |(_, span, value)| span.to(value.span));
            let message = format!("module `{}`: {}", spec.name, error.message);
            self.push(Diagnostic::error("bad-argument", message).at(span));
        }
    }

    fn loop_of(&mut self, map: &Mapping) -> Option<Loop> {
        let kinds = [
            ("loop", LoopKind::List),
            ("with_list", LoopKind::List),
            ("with_items", LoopKind::Items),
            ("with_dict", LoopKind::Dict),
        ];
        let found: Vec<_> = kinds
            .iter()
            .filter_map(|(name, kind)| Some((map.entry(name)?, *kind)))
            .collect();
        if let [(first, _), (second, _), ..] = found.as_slice() {
            let message = "a task has one loop, this one has several";
            self.push(
                Diagnostic::error("several-loops", message)
                    .at(first.0.span)
                    .at(second.0.span),
            );
        }
        let control = map.entry("loop_control");
        match (found.first(), control) {
            (Some(((_, items), kind)), control) => {
                let control = control
                    .map(|(_, node)| self.loop_control(node))
                    .unwrap_or_default();
                Some(Loop {
                    kind: *kind,
                    items: (*items).clone(),
                    control,
                })
            }
            (None, Some((key, value))) => {
                let message = "`loop_control` without a loop has no effect";
                self.push(Diagnostic::warning("no-effect", message).at(entry_span(key, value)));
                None
            }
            (None, None) => None,
        }
    }

    fn loop_control(&mut self, node: &Node) -> LoopControl {
        const KNOWN: &[&str] = &[
            "loop_var",
            "index_var",
            "label",
            "pause",
            "extended",
            "extended_allitems",
            "break_when",
        ];
        let Some(map) = self.mapping(node, "`loop_control`") else {
            return LoopControl::default();
        };
        for (key, _) in &map.entries {
            if !key.as_str().is_some_and(|name| KNOWN.contains(&name)) {
                self.unknown_keyword(key, "`loop_control`", &[KNOWN]);
            }
        }
        LoopControl {
            loop_var: map
                .get("loop_var")
                .and_then(|name| self.variable_name(name, "`loop_var`")),
            index_var: map
                .get("index_var")
                .and_then(|name| self.variable_name(name, "`index_var`")),
            label: map.get("label").cloned(),
            pause: map.get("pause").cloned(),
            extended: map.get("extended").cloned(),
            extended_allitems: map.get("extended_allitems").cloned(),
            break_when: map.get("break_when").cloned(),
        }
    }

    fn topics(&mut self, node: &Node) -> Vec<String> {
        match node.as_list() {
            Some(items) => items
                .iter()
                .filter_map(|it| self.literal(it, "`listen`"))
                .collect(),
            None => self.literal(node, "`listen`").into_iter().collect(),
        }
    }
}

fn notify(node: &Node) -> Vec<Notify> {
    match node.as_list() {
        Some(items) => items
            .iter()
            .map(|name| Notify { name: name.clone() })
            .collect(),
        None => vec![Notify { name: node.clone() }],
    }
}
