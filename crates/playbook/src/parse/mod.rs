//! From a YAML tree to plays. Every problem is reported, and parsing goes on where it can.

mod entry;
mod play;
mod task;

use std::path::Path;
use std::sync::Arc;

use hostler_diag::{Diagnostic, Span};
use hostler_module_api::Catalog;
use hostler_yaml::{Mapping, Node};

use crate::ast::Playbook;
use crate::context::Keywords;
use crate::keywords;

/// Reads a playbook's tree. Nothing is left out silently: with any error among the diagnostics the playbook must not
/// be run.
pub fn parse(catalog: &Catalog, path: &Path, root: &Node) -> (Playbook, Vec<Diagnostic>) {
    let mut parser = Parser {
        catalog,
        diagnostics: Vec::new(),
    };
    let plays = root.as_list().unwrap_or_default();
    if root.as_list().is_none() {
        let found = format!(
            "a playbook is a list of plays, this is {}",
            root.kind_name()
        );
        let problem = Diagnostic::error("playbook-shape", found).at(root.span);
        parser.push(problem.hint("start each play with `- hosts: ...`"));
    }
    let plays = plays
        .iter()
        .filter_map(|it| parser.play(it))
        .map(Arc::new)
        .collect();
    (
        Playbook {
            path: path.to_owned(),
            plays,
        },
        parser.diagnostics,
    )
}

struct Parser<'a> {
    catalog: &'a Catalog,
    diagnostics: Vec<Diagnostic>,
}

impl Parser<'_> {
    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The mapping, or a diagnostic that says what stands there instead.
    fn mapping<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Mapping> {
        let map = node.as_map();
        if map.is_none() {
            let found = format!("{what} must be a mapping, this is {}", node.kind_name());
            self.push(Diagnostic::error("wrong-kind", found).at(node.span));
        }
        map
    }

    /// Literal text, or a diagnostic.
    fn literal(&mut self, node: &Node, what: &str) -> Option<String> {
        match node.as_str() {
            Some(text) if !node.is_dynamic() => return Some(text.to_owned()),
            Some(_) => self.push(
                Diagnostic::error("no-template-here", format!("{what} cannot be a template"))
                    .at(node.span),
            ),
            None => {
                let found = format!("{what} must be text, this is {}", node.kind_name());
                self.push(Diagnostic::error("wrong-kind", found).at(node.span));
            }
        }
        None
    }

    /// Literal words: a list of texts, or one text with commas.
    fn words(&mut self, node: &Node, what: &str) -> Vec<String> {
        match node.as_list() {
            Some(items) => items
                .iter()
                .flat_map(|item| self.words(item, what))
                .collect(),
            None if node.as_str().is_none() && !node.is_null() && node.as_map().is_none() => {
                vec![node.to_literal().to_text()]
            }
            None => {
                let text = self.literal(node, what).unwrap_or_default();
                let words = text
                    .split(',')
                    .map(str::trim)
                    .filter(|word| !word.is_empty());
                words.map(str::to_owned).collect()
            }
        }
    }

    /// An identifier that a variable may have.
    fn variable_name(&mut self, node: &Node, what: &str) -> Option<String> {
        let name = self.literal(node, what)?;
        let mut chars = name.chars();
        let starts = chars
            .next()
            .is_some_and(|ch| ch.is_ascii_alphabetic() || ch == '_');
        if !starts || !chars.all(|ch| ch.is_ascii_alphanumeric() || ch == '_') {
            let message = format!("`{name}` is not a valid variable name for {what}");
            self.push(Diagnostic::error("variable-name", message).at(node.span).hint(
                "variable names are letters, digits and underscores, and do not start with a digit",
            ));
        }
        Some(name)
    }

    /// Reports a keyword that may not stand here.
    fn unknown_keyword(&mut self, key: &Node, level: &str, allowed: &[&[&'static str]]) {
        let Some(name) = key.as_str() else {
            let found = format!("keyword must be text, this is {}", key.kind_name());
            self.push(Diagnostic::error("wrong-kind", found).at(key.span));
            return;
        };
        let diagnostic = if keywords::LATER.contains(&name) || name.starts_with("with_") {
            Diagnostic::error(
                "not-available",
                format!("`{name}` is not available in this version"),
            )
        } else {
            let known = allowed.iter().flat_map(|it| it.iter().copied());
            Diagnostic::error(
                "unknown-keyword",
                format!("`{name}` is not a keyword of a {level}"),
            )
            .suggest(name, known)
        };
        self.push(diagnostic.at(key.span));
    }

    /// Takes one of the keywords that plays, blocks and tasks share; false if it is another one.
    fn shared_keyword(&mut self, name: &str, value: &Node, to: &mut Keywords) -> bool {
        let slot = match name {
            "when" => &mut to.when,
            "become" => &mut to.r#become,
            "become_user" => &mut to.become_user,
            "become_method" => &mut to.become_method,
            "become_flags" => &mut to.become_flags,
            "become_exe" => &mut to.become_exe,
            "environment" => &mut to.environment,
            "remote_user" => &mut to.remote_user,
            "port" => &mut to.port,
            "connection" => &mut to.connection,
            "ignore_errors" => &mut to.ignore_errors,
            "ignore_unreachable" => &mut to.ignore_unreachable,
            "any_errors_fatal" => &mut to.any_errors_fatal,
            "no_log" => &mut to.no_log,
            "check_mode" => &mut to.check_mode,
            "diff" => &mut to.diff,
            "delegate_to" => &mut to.delegate_to,
            "delegate_facts" => &mut to.delegate_facts,
            "run_once" => &mut to.run_once,
            "throttle" => &mut to.throttle,
            "timeout" => &mut to.timeout,
            "module_defaults" => &mut to.module_defaults,
            "vars" => {
                to.vars = self.vars(value);
                return true;
            }
            "tags" => {
                to.tags = self.words(value, "a tag");
                return true;
            }
            // Names are kept by their owners; collections are searched in any case.
            "name" | "collections" => return true,
            _ => return false,
        };
        *slot = (!value.is_null()).then(|| value.clone());
        true
    }

    fn vars(&mut self, node: &Node) -> Option<Arc<Mapping>> {
        if node.is_null() {
            return None;
        }
        let map = self.mapping(node, "`vars`")?;
        for (key, _) in &map.entries {
            self.variable_name(key, "`vars`");
        }
        Some(Arc::new(map.clone()))
    }
}

/// The place of a key and its value together.
fn entry_span(key: &Node, value: &Node) -> Span {
    key.span.to(value.span)
}
