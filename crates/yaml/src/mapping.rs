//! Pairs of a mapping: merge keys first, then the mapping's own, duplicates reported.

use std::collections::HashMap;

use hostler_diag::{Diagnostic, Span};
use hostler_value::Value;

use crate::node::{Mapping, Node, NodeKind};

/// Pairs as they are read.
#[derive(Default)]
pub(crate) struct Pairs {
    merged: Vec<(Node, Node)>,
    own: Vec<(Node, Node)>,
}

/// What `<<` brings: the pairs of a mapping, or of a list of mappings of which the first counts most.
pub(crate) fn merged(
    value: &Node,
    at: Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(Node, Node)> {
    let mut wrong = |node: &Node| {
        let message = format!(
            "`<<` merges a mapping or a list of mappings, not {}",
            node.kind_name()
        );
        diagnostics.push(
            Diagnostic::error("yaml-merge", message)
                .at(node.span)
                .label(at, "merged here"),
        );
    };
    match &value.kind {
        NodeKind::Map(map) => map.entries.clone(),
        NodeKind::List(items) => {
            let mut pairs = Vec::new();
            for item in items.iter().rev() {
                match item.as_map() {
                    Some(map) => pairs.extend(map.entries.iter().cloned()),
                    None => wrong(item),
                }
            }
            pairs
        }
        _ => {
            wrong(value);
            Vec::new()
        }
    }
}

impl Pairs {
    pub(crate) fn merge(&mut self, pairs: Vec<(Node, Node)>) {
        self.merged.extend(pairs);
    }

    pub(crate) fn push(&mut self, key: Node, value: Node) {
        self.own.push((key, value));
    }

    /// The mapping as a Python dictionary would hold it: a key keeps its first place and its last value.
    pub(crate) fn finish(self, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Mapping {
        let merged = self.merged.len();
        let mut places: HashMap<Value, (usize, bool)> = HashMap::new();
        let mut entries: Vec<(Node, Node)> = Vec::with_capacity(merged + self.own.len());
        for (index, (key, value)) in self.merged.into_iter().chain(self.own).enumerate() {
            let own = index >= merged;
            let Some(identity) = identity(&key) else {
                diagnostics.push(bad_key(&key, text));
                continue;
            };
            if let Some((place, first_own)) = places.get_mut(&identity) {
                if own && *first_own {
                    diagnostics.push(duplicate(&entries[*place].0, &key));
                }
                *first_own = own;
                let entry = &mut entries[*place];
                // Python keeps the first key object, which shows where the two differ in type (`1` and `true`).
                if key.as_str().is_none() {
                    entry.0.span = key.span;
                } else {
                    entry.0 = key;
                }
                entry.1 = value;
            } else {
                places.insert(identity, (entries.len(), own));
                entries.push((key, value));
            }
        }
        Mapping { entries }
    }
}

/// The key as Python's dictionaries compare it: `1`, `1.0` and `true` are one key. None if it cannot be a key.
fn identity(key: &Node) -> Option<Value> {
    match key.to_literal() {
        Value::List(_) | Value::Map(_) => None,
        Value::Bool(bool) => Some(Value::Int(bool.into())),
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => {
            Some(Value::Int(float as i64))
        }
        other => Some(other),
    }
}

fn duplicate(first: &Node, second: &Node) -> Diagnostic {
    let name = first.to_literal().to_text();
    Diagnostic::warning(
        "yaml-duplicate-key",
        format!("the key `{name}` is given twice"),
    )
    .label(second.span, "given again here; this one counts")
    .label(first.span, "first given here")
}

fn bad_key(key: &Node, text: &str) -> Diagnostic {
    let error = Diagnostic::error(
        "yaml-key",
        format!("{} cannot be the key of a mapping", key.kind_name()),
    )
    .at(key.span);
    let start = key.span.start as usize;
    let written = text.get(..=start).unwrap_or("");
    if written.ends_with("{{") {
        return error.hint("quote values that start with `{{`: `key: \"{{ name }}\"`");
    }
    error
}
