//! Loading: a registered text to one document or to all of them.

use std::path::Path;
use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceId, SourceMap, Span};
use hostler_value::Value;

use crate::compose::Composer;
use crate::json;
use crate::limits::FILE_BYTES_MAX;
use crate::marks::Marks;
use crate::node::{Node, NodeKind};

/// Reads the one document of a registered text.
///
/// Text that is a JSON object or list is read as JSON, as Ansible does; everything else as YAML 1.1. No document at
/// all (an empty file, only comments) is null. The node is `None` exactly if there is an error among the diagnostics.
pub fn load(sources: &SourceMap, id: SourceId) -> (Option<Node>, Vec<Diagnostic>) {
    let text = sources.get(id).text.clone();
    if looks_like_json(&text)
        && text.len() <= FILE_BYTES_MAX
        && let Some((node, diagnostics)) = json::parse(&text, id)
    {
        return finish(vec![node], diagnostics, id);
    }
    let (nodes, diagnostics) = documents(sources, &text, id, Some(1));
    finish(nodes, diagnostics, id)
}

/// Registers a file's text and reads its one document; see [`load`].
pub fn load_file(
    sources: &SourceMap,
    path: &Path,
    text: impl Into<Arc<str>>,
) -> (Option<Node>, Vec<Diagnostic>) {
    let id = sources.add_file(path, text);
    load(sources, id)
}

/// Reads every document of a registered text as YAML. The list holds those before the first error.
pub fn load_all(sources: &SourceMap, id: SourceId) -> (Vec<Node>, Vec<Diagnostic>) {
    let text = sources.get(id).text.clone();
    documents(sources, &text, id, None)
}

fn finish(
    nodes: Vec<Node>,
    diagnostics: Vec<Diagnostic>,
    id: SourceId,
) -> (Option<Node>, Vec<Diagnostic>) {
    if diagnostics.iter().any(Diagnostic::is_error) {
        return (None, diagnostics);
    }
    let node = nodes.into_iter().next().unwrap_or(Node {
        kind: NodeKind::Data(Value::Null),
        span: Span::new(id, 0, 0),
    });
    (Some(node), diagnostics)
}

fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

fn documents(
    sources: &SourceMap,
    text: &str,
    id: SourceId,
    most: Option<usize>,
) -> (Vec<Node>, Vec<Diagnostic>) {
    let marks = Marks::new(id, text);
    if text.len() > FILE_BYTES_MAX {
        let error = Diagnostic::error(
            "yaml-limit",
            format!("this file is larger than {FILE_BYTES_MAX} bytes"),
        );
        return (Vec::new(), vec![error.at(marks.bytes_span(0, 0))]);
    }
    let mut composer = Composer::new(text, marks);
    let mut nodes: Vec<Node> = Vec::new();
    while let Ok(Some(node)) = composer.document() {
        if most.is_some_and(|most| nodes.len() >= most) {
            composer.diagnostics.push(
                Diagnostic::error("yaml-documents", "a single document is expected")
                    .label(node.span, "a second one starts here")
                    .hint("remove the `---` line, or move this part to a file of its own"),
            );
            break;
        }
        nodes.push(node);
    }
    for (span, text) in composer.secrets {
        sources.hide(span, text);
    }
    (nodes, composer.diagnostics)
}
