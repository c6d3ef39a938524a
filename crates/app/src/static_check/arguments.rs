//! A task's arguments on one host: their values, their types, and the controller's files that they name.

use std::sync::Arc;

use hostler_diag::Diagnostic;
use hostler_template::Scope;
use hostler_value::{Map, Value};
use hostler_yaml::Node;

use super::judge::{Known, wrong};
use super::outcome::{Certainty, Outcome};
use super::task::{TaskCheck, at};

/// An argument's name, its node, and its value if it is known. `omit` is left out.
struct Argument<'n> {
    name: &'n str,
    node: &'n Node,
    value: Option<Value>,
}

impl TaskCheck<'_> {
    pub(super) fn arguments(
        &self,
        scope: &Arc<dyn Scope>,
        certainty: Certainty,
        out: &mut Outcome,
    ) {
        match self.task.module.as_str() {
            "assert" => self.assertion(scope, certainty, out),
            "meta" => self.meta(certainty, out),
            module => {
                let before = out.problems.len();
                let arguments = self.values(module, scope, certainty, out);
                // Types and files are looked at where every value is right in itself.
                if out.problems.len() == before {
                    self.types(&arguments, certainty, out);
                }
                if out.problems.len() == before {
                    self.files(&arguments, scope, certainty, out);
                }
                if module == "fail" && self.task.failed_when.is_none() {
                    out.fails = out.fails.max(Some(certainty));
                }
            }
        }
    }

    fn values(
        &self,
        module: &str,
        scope: &Arc<dyn Scope>,
        certainty: Certainty,
        out: &mut Outcome,
    ) -> Vec<Argument<'_>> {
        let mut arguments: Vec<Argument<'_>> = Vec::new();
        for (key, node) in &self.arguments.entries {
            let name = key.as_str().unwrap_or_default();
            // Text is an expression there, and may be undefined.
            let is_expression = module == "debug" && name == "var";
            let value = match self.judge().value(node, scope) {
                _ if is_expression => Some(node.to_literal()),
                Known::Yes(Some(value)) => Some(value),
                Known::Yes(None) => continue,
                Known::Unknown => None,
                Known::Wrong(error) => {
                    let placed = at(error.to_diagnostic(), node);
                    self.problem(out, placed, Some(&error), certainty);
                    None
                }
            };
            arguments.retain(|earlier| earlier.name != name);
            arguments.push(Argument { name, node, value });
        }
        arguments
    }

    /// Do evaluated values fit? Those that are written plainly were looked at when the playbook was read.
    fn types(&self, arguments: &[Argument<'_>], certainty: Certainty, out: &mut Outcome) {
        let Some(spec) = self.shared.catalog.get(&self.task.module) else {
            return;
        };
        let pairs: Vec<(String, Option<Value>)> = arguments
            .iter()
            .map(|it| {
                let known = it.value.clone();
                let known = known.filter(|value| value.unknown_part().is_none());
                (it.name.to_owned(), known)
            })
            .collect();
        let Err(error) = spec.check(&pairs) else {
            return;
        };
        let first = error.path.split(['.', '[']).next().unwrap_or_default();
        let named = arguments.iter().find(|it| it.name == first);
        let span = named.map_or(self.task.module_span, |it| it.node.span);
        let message = format!("module `{}`: {error}", spec.name);
        self.problem(
            out,
            Diagnostic::error("bad-argument", message).at(span),
            None,
            certainty,
        );
    }

    fn assertion(&self, scope: &Arc<dyn Scope>, certainty: Certainty, out: &mut Outcome) {
        let that = self.task.args.get("that");
        let parts = that.map_or(&[][..], |that| {
            that.as_list().unwrap_or(std::slice::from_ref(that))
        });
        for part in parts {
            match self.condition(part, scope, out) {
                Known::Yes(true) | Known::Unknown => {}
                Known::Yes(false) => {
                    out.fails = out.fails.max(Some(certainty));
                    if certainty == Certainty::Sure {
                        let message = "this assertion does not hold, so the host fails here";
                        let warning = Diagnostic::warning("assertion-fails", message);
                        out.told_by_run(warning.at(part.span));
                    }
                    return;
                }
                Known::Wrong(error) => {
                    let placed = at(error.to_diagnostic(), part);
                    self.problem(out, placed, Some(&error), certainty);
                    return;
                }
            }
        }
    }

    fn meta(&self, certainty: Certainty, out: &mut Outcome) {
        let word = self.task.args.entries.first();
        let word = word.and_then(|(_, _, node)| node.as_str()).unwrap_or("");
        if matches!(word.trim(), "end_play" | "end_host" | "end_batch") {
            out.leaves = out.leaves.max(Some(certainty));
        }
    }

    /// `src` of `copy` and `template`.
    fn files(
        &self,
        arguments: &[Argument<'_>],
        scope: &Arc<dyn Scope>,
        certainty: Certainty,
        out: &mut Outcome,
    ) {
        let find = |name: &str| arguments.iter().find(|it| it.name == name);
        let Some((src, Some(path))) = find("src").map(|it| (it, it.value.as_ref())) else {
            return;
        };
        let shared = self.shared;
        match self.task.module.as_str() {
            "copy" => {
                let remote = find("remote_src").is_some_and(|it| {
                    let known = it.value.as_ref();
                    known.is_none_or(|value| value.to_bool().unwrap_or(true))
                });
                if !remote && find("content").is_none() {
                    let found = shared.preflight.file(&path.to_text(), shared.directory);
                    if let Err(message) = found {
                        self.missing(src.node, message, certainty, out);
                    }
                }
            }
            "template" => {
                let known = arguments.iter().filter_map(|it| {
                    let value = it.value.clone();
                    // Where it goes matters little to what comes out.
                    let value = value.or_else(|| (it.name == "dest").then(|| Value::str("/")))?;
                    Some((it.name, value))
                });
                let known: Map = known.collect();
                match shared.preflight.template(&known, shared.directory) {
                    Err(message) => self.missing(src.node, message, certainty, out),
                    Ok(file) => {
                        let rendered = shared.preflight.render(&file, shared.engine, scope);
                        if let Err(Known::Wrong(error)) = rendered.map_err(wrong::<()>) {
                            self.problem(out, error.to_diagnostic(), Some(&error), certainty);
                        } else {
                            for syntax in shared.preflight.check(&file, shared.engine) {
                                self.problem(out, syntax, None, certainty);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn missing(&self, src: &Node, message: String, certainty: Certainty, out: &mut Outcome) {
        if !self.shared.files_appear {
            let problem = Diagnostic::error("no-such-file", message).at(src.span);
            self.problem(out, problem, None, certainty);
            if let Some(problem) = out.problems.last_mut() {
                problem.for_all = !src.is_dynamic();
            }
        }
    }
}
