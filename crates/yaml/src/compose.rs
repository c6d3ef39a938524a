//! Events to nodes: anchors, tags, merge keys, duplicate keys and limits.
//!
//! A syntax error or a limit ends the document; everything else (an unknown tag, a key that is a mapping) is noted,
//! the node becomes null, and composing goes on, so that a file's problems are reported together.

use std::collections::HashMap;
use std::sync::Arc;

use hostler_diag::{Diagnostic, Span};
use hostler_value::Value;

use crate::libyaml::{Event, EventKind, Parser, Scalar, Style};
use crate::limits::{DEPTH_MAX, NODES_MAX, SCALAR_BYTES_MAX};
use crate::mapping::{self, Pairs};
use crate::marks::Marks;
use crate::node::{Node, NodeKind, Origin, TemplateSource};
use crate::scalar::{Meaning, STANDARD};
use crate::{align, scalar, syntax};

/// The document cannot be read further; the reason is among the diagnostics.
pub(crate) struct Stop;

/// An anchored node.
struct Anchor {
    span: Span,
    /// None while the node is being composed: an alias in it would be recursive.
    built: Option<Built>,
}

/// A composed node, with what its aliases cost.
#[derive(Clone)]
struct Built {
    node: Node,
    /// Nodes in it, itself included.
    weight: u64,
    /// Levels of nesting in it.
    height: u32,
}

pub(crate) struct Composer<'a> {
    text: &'a str,
    marks: Marks,
    parser: Parser<'a>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    anchors: HashMap<String, Anchor>,
    nodes: u64,
    unsafe_depth: u32,
    secret_depth: u32,
    /// Texts marked `!secret`, with their places.
    pub(crate) secrets: Vec<(Span, Arc<str>)>,
}

/// The tag of text that must not be shown.
const SECRET: &str = "!secret";
/// Shorter secrets are not looked for inside of other texts: they occur in every text.
const SECRET_MIN: usize = 4;

/// A key of a mapping.
enum Key {
    Merge(Span),
    Node(Node),
}

impl<'a> Composer<'a> {
    pub(crate) fn new(text: &'a str, marks: Marks) -> Self {
        Composer {
            text,
            marks,
            parser: Parser::new(text),
            diagnostics: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            unsafe_depth: 0,
            secret_depth: 0,
            secrets: Vec::new(),
        }
    }

    /// The next document; none at the end of the stream.
    pub(crate) fn document(&mut self) -> Result<Option<Node>, Stop> {
        loop {
            let event = self.event()?;
            match event.kind {
                EventKind::StreamEnd => return Ok(None),
                EventKind::DocumentStart => break,
                _ => {}
            }
        }
        self.anchors.clear();
        self.nodes = 0;
        let first = self.event()?;
        let built = self.node(first, 0)?;
        loop {
            let event = self.event()?;
            if matches!(event.kind, EventKind::DocumentEnd | EventKind::StreamEnd) {
                return Ok(Some(built.node));
            }
        }
    }

    fn event(&mut self) -> Result<Event, Stop> {
        self.parser.next().map_err(|error| {
            let diagnostic = syntax::explain(self.text, &self.marks, &error);
            self.diagnostics.push(diagnostic);
            Stop
        })
    }

    fn report(&mut self, code: &str, message: impl Into<String>, span: Span) {
        self.diagnostics
            .push(Diagnostic::error(code, message).at(span));
    }

    fn stop(&mut self, message: impl Into<String>, span: Span) -> Stop {
        self.report("yaml-limit", message, span);
        Stop
    }

    fn count(&mut self, weight: u64, span: Span) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(weight);
        if self.nodes > NODES_MAX {
            return Err(self.stop(
                format!("this document has more than {NODES_MAX} nodes, aliases included"),
                span,
            ));
        }
        Ok(())
    }

    /// Composes the node that starts with `event`, `depth` levels down.
    fn node(&mut self, event: Event, depth: u32) -> Result<Built, Stop> {
        let Event { kind, start, end } = event;
        let span = self.marks.span(start, end);
        if depth > DEPTH_MAX {
            return Err(self.stop(
                format!("lists and mappings are nested deeper than {DEPTH_MAX} levels"),
                span,
            ));
        }
        if let EventKind::Alias(name) = kind {
            return self.alias(&name, span, depth);
        }
        self.count(1, span)?;
        let before = self.nodes;
        let anchor = match &kind {
            EventKind::Scalar(scalar) => scalar.anchor.clone(),
            EventKind::SequenceStart { anchor, .. } | EventKind::MappingStart { anchor, .. } => {
                anchor.clone()
            }
            _ => None,
        };
        if let Some(name) = &anchor {
            self.open_anchor(name, span);
        }
        let (node, height) = match kind {
            EventKind::Scalar(scalar) => (self.scalar(scalar, span)?, 0),
            EventKind::SequenceStart { tag, .. } => self.sequence(tag, span, depth)?,
            EventKind::MappingStart { tag, .. } => self.mapping(tag, span, depth)?,
            // The parser gives no other event where a node may stand.
            _ => (self.null(span), 0),
        };
        let built = Built {
            node,
            weight: self.nodes - before + 1,
            height,
        };
        if let Some(name) = anchor
            && let Some(slot) = self.anchors.get_mut(&name)
        {
            slot.built = Some(built.clone());
        }
        Ok(built)
    }

    #[expect(clippy::unused_self, reason = "reads like its siblings")]
    fn null(&self, span: Span) -> Node {
        Node {
            kind: NodeKind::Data(Value::Null),
            span,
        }
    }

    fn open_anchor(&mut self, name: &str, span: Span) {
        let opened = Anchor { span, built: None };
        if let Some(first) = self.anchors.insert(name.to_owned(), opened) {
            self.diagnostics.push(
                Diagnostic::error(
                    "yaml-duplicate-anchor",
                    format!("the anchor `&{name}` is given twice"),
                )
                .at(span)
                .label(first.span, "first given here"),
            );
        }
    }

    fn alias(&mut self, name: &str, span: Span, depth: u32) -> Result<Built, Stop> {
        let Some(anchor) = self.anchors.get(name) else {
            let names = self.anchors.keys().map(String::as_str);
            let diagnostic = Diagnostic::error(
                "yaml-unknown-alias",
                format!("there is no anchor `&{name}`"),
            )
            .at(span)
            .suggest(name, names)
            .hint("if text that starts with `*` is meant, put it in quotes");
            self.diagnostics.push(diagnostic);
            return Ok(self.nothing(span));
        };
        let Some(built) = anchor.built.clone() else {
            let diagnostic = Diagnostic::error(
                "yaml-recursive-alias",
                format!("the alias `*{name}` stands inside of what it names"),
            )
            .at(span)
            .label(anchor.span, "the anchor");
            self.diagnostics.push(diagnostic);
            return Ok(self.nothing(span));
        };
        self.count(built.weight, span)?;
        if depth + built.height > DEPTH_MAX {
            return Err(self.stop(
                format!("this alias nests deeper than {DEPTH_MAX} levels"),
                span,
            ));
        }
        Ok(built)
    }

    fn nothing(&self, span: Span) -> Built {
        Built {
            node: self.null(span),
            weight: 1,
            height: 0,
        }
    }

    /// The part of a scalar's or collection's span behind its tag and anchor; none if a comment stands between.
    fn content(&self, span: Span) -> Option<Span> {
        let mut start = span.start as usize;
        let end = span.end as usize;
        loop {
            let rest = self.text.get(start..end)?;
            if rest.starts_with('#') {
                return None;
            }
            if !rest.starts_with(['!', '&']) {
                let start = u32::try_from(start).ok()?;
                return Some(self.marks.bytes_span(start, span.end));
            }
            let property = rest.find([' ', '\t', '\r', '\n']).unwrap_or(rest.len());
            let tail = &rest[property..];
            start += property + (tail.len() - tail.trim_start().len());
        }
    }

    fn scalar(&mut self, read: Scalar, span: Span) -> Result<Node, Stop> {
        if read.value.len() > SCALAR_BYTES_MAX {
            return Err(self.stop(
                format!("this text is longer than {SCALAR_BYTES_MAX} bytes"),
                span,
            ));
        }
        let meaning = self.meaning(&read, span);
        let content = if read.tag.is_some() || read.anchor.is_some() {
            self.content(span)
        } else {
            Some(span)
        };
        let mut at = content.unwrap_or(span);
        if matches!(read.style, Style::Literal | Style::Folded) {
            let written = self.text.get(at.start as usize..at.end as usize);
            let blank = written.map_or(0, |text| text.len() - text.trim_end().len());
            at.end -= u32::try_from(blank).unwrap_or_default();
        }
        let kind = match meaning {
            Meaning::Data(value) => NodeKind::Data(value),
            Meaning::Secret => NodeKind::Data(Value::from(self.secret(read.value, at))),
            Meaning::Text if self.secret_depth > 0 => {
                NodeKind::Data(Value::from(self.secret(read.value, at)))
            }
            Meaning::Vault => NodeKind::Vault(read.value.into()),
            Meaning::Merge => {
                self.diagnostics.push(
                    Diagnostic::error("yaml-merge", "`<<` is only for keys of mappings")
                        .at(at)
                        .hint("if the text `<<` is meant, put it in quotes"),
                );
                NodeKind::Data(Value::Null)
            }
            Meaning::Text if self.unsafe_depth > 0 => NodeKind::Data(Value::from(read.value)),
            Meaning::Text => {
                let written = self.text.get(at.start as usize..at.end as usize);
                let origin = match (content, written) {
                    (Some(_), Some(written)) => {
                        align::origin(&read.value, written, at.start, read.style)
                    }
                    _ => Origin::Whole,
                };
                NodeKind::Text(TemplateSource::scalar(read.value.into(), at, origin))
            }
        };
        Ok(Node { kind, span: at })
    }

    /// Notes a text marked `!secret`.
    fn secret(&mut self, text: String, at: Span) -> String {
        if (1..SECRET_MIN).contains(&text.len()) {
            let message = format!(
                "a secret of fewer than {SECRET_MIN} bytes is only hidden where it stands alone"
            );
            let short = Diagnostic::warning("short-secret", message);
            self.diagnostics.push(short.at(at).hiding(at));
        }
        self.secrets.push((at, text.as_str().into()));
        text
    }

    fn meaning(&mut self, read: &Scalar, span: Span) -> Meaning {
        let meant = match read.tag.as_deref() {
            None | Some("!") if read.plain_implicit => scalar::plain(&read.value),
            None | Some("!") => Ok(Meaning::Text),
            Some("!unsafe") => match scalar::plain(&read.value) {
                Ok(Meaning::Text) => Ok(Meaning::Data(Value::from(read.value.as_str()))),
                other => other,
            },
            Some(SECRET) => Ok(Meaning::Secret),
            Some("!vault" | "!vault-encrypted") => match scalar::plain(&read.value) {
                Ok(Meaning::Text) => Ok(Meaning::Vault),
                _ => Err("the tag `!vault` needs text".into()),
            },
            Some(tag) => {
                let standard = tag.strip_prefix(STANDARD);
                if let Some(meant) = standard.and_then(|name| scalar::tagged(name, &read.value)) {
                    meant
                } else {
                    self.unknown_tag(tag, span, "text");
                    return Meaning::Data(Value::Null);
                }
            }
        };
        meant.unwrap_or_else(|problem| {
            self.diagnostics.push(
                Diagnostic::error("yaml-value", problem)
                    .at(span)
                    .hint("if text is meant, put it in quotes"),
            );
            Meaning::Data(Value::Null)
        })
    }

    fn unknown_tag(&mut self, tag: &str, span: Span, what: &str) {
        let shown = match tag.strip_prefix(STANDARD) {
            Some(name) => format!("!!{name}"),
            None => tag.to_owned(),
        };
        let collections = ["seq", "map", "set", "omap", "pairs", "python/dict"];
        let message = if tag
            .strip_prefix(STANDARD)
            .is_some_and(|name| collections.contains(&name) || name == "str")
        {
            format!("the tag `{shown}` does not fit {what}")
        } else {
            format!("the tag `{shown}` is unknown")
        };
        self.diagnostics.push(
            Diagnostic::error("yaml-unknown-tag", message)
                .at(span)
                .suggest(
                    &shown,
                    [
                        "!vault", "!unsafe", SECRET, "!!str", "!!int", "!!float", "!!bool",
                    ],
                )
                .hint("if text that starts with `!` is meant, put it in quotes"),
        );
    }

    fn sequence(
        &mut self,
        tag: Option<String>,
        start: Span,
        depth: u32,
    ) -> Result<(Node, u32), Stop> {
        let tag = tag.filter(|tag| tag != "!");
        let unsafe_here = tag.as_deref() == Some("!unsafe");
        let secret_here = tag.as_deref() == Some(SECRET);
        self.unsafe_depth += u32::from(unsafe_here);
        self.secret_depth += u32::from(secret_here);
        let mut items = Vec::new();
        let mut height = 0;
        let mut end = start;
        loop {
            let event = self.event()?;
            if matches!(event.kind, EventKind::SequenceEnd) {
                end = self.closing(&event, end);
                break;
            }
            let place = self.marks.span(event.start, event.end);
            let built = self.node(event, depth + 1)?;
            height = height.max(built.height + 1);
            end = later(place, built.node.span);
            items.push(built.node);
        }
        self.unsafe_depth -= u32::from(unsafe_here);
        self.secret_depth -= u32::from(secret_here);
        let span = start.to(end);
        let kind = match tag.as_deref() {
            None | Some("!unsafe" | SECRET) => NodeKind::List(Arc::new(items)),
            Some(tag) => match tag.strip_prefix(STANDARD) {
                Some("seq") => NodeKind::List(Arc::new(items)),
                Some("omap" | "pairs") => self.pairs(items),
                _ => {
                    self.unknown_tag(tag, start, "a list");
                    NodeKind::Data(Value::Null)
                }
            },
        };
        Ok((Node { kind, span }, height))
    }

    /// `!!omap` and `!!pairs`: Python's list of tuples, here a list of lists of two.
    fn pairs(&mut self, items: Vec<Node>) -> NodeKind {
        let mut pairs = Vec::with_capacity(items.len());
        for item in items {
            match item.as_map().map(|map| map.entries.as_slice()) {
                Some([(key, value)]) => pairs.push(Node {
                    span: item.span,
                    kind: NodeKind::List(Arc::new(vec![key.clone(), value.clone()])),
                }),
                _ => self.report("yaml-value", "a mapping of one pair is expected", item.span),
            }
        }
        NodeKind::List(Arc::new(pairs))
    }

    fn mapping(
        &mut self,
        tag: Option<String>,
        start: Span,
        depth: u32,
    ) -> Result<(Node, u32), Stop> {
        let tag = tag.filter(|tag| tag != "!");
        let unsafe_here = tag.as_deref() == Some("!unsafe");
        let secret_here = tag.as_deref() == Some(SECRET);
        self.unsafe_depth += u32::from(unsafe_here);
        self.secret_depth += u32::from(secret_here);
        let mut pairs = Pairs::default();
        let mut height = 0;
        let mut end = start;
        loop {
            let event = self.event()?;
            if matches!(event.kind, EventKind::MappingEnd) {
                end = self.closing(&event, end);
                break;
            }
            // Names in a secret mapping are no secrets.
            let inside = std::mem::take(&mut self.secret_depth);
            let key = self.key(event, depth + 1);
            self.secret_depth = inside;
            let key = key?;
            let event = self.event()?;
            let place = self.marks.span(event.start, event.end);
            let value = self.node(event, depth + 1)?;
            height = height.max(value.height + 1);
            end = later(place, value.node.span);
            match key {
                Key::Merge(at) => {
                    let merged = mapping::merged(&value.node, at, &mut self.diagnostics);
                    self.count(merged.len() as u64, at)?;
                    pairs.merge(merged);
                }
                Key::Node(key) => pairs.push(key, value.node),
            }
        }
        self.unsafe_depth -= u32::from(unsafe_here);
        self.secret_depth -= u32::from(secret_here);
        let span = start.to(end);
        let entries = pairs.finish(self.text, &mut self.diagnostics);
        let kind = match tag.as_deref() {
            None | Some("!unsafe" | SECRET) => NodeKind::Map(Arc::new(entries)),
            Some(tag) => match tag.strip_prefix(STANDARD) {
                Some("map" | "python/dict") => NodeKind::Map(Arc::new(entries)),
                Some("set") => {
                    let keys = entries.entries.into_iter().map(|(key, _)| key);
                    NodeKind::List(Arc::new(keys.collect()))
                }
                _ => {
                    self.unknown_tag(tag, start, "a mapping");
                    NodeKind::Data(Value::Null)
                }
            },
        };
        Ok((Node { kind, span }, height))
    }

    fn key(&mut self, event: Event, depth: u32) -> Result<Key, Stop> {
        let span = self.marks.span(event.start, event.end);
        if let EventKind::Scalar(scalar) = &event.kind {
            let plain = scalar.tag.is_none() && scalar.plain_implicit;
            let tag = |name: &str| {
                let standard = scalar
                    .tag
                    .as_deref()
                    .and_then(|tag| tag.strip_prefix(STANDARD));
                standard == Some(name)
            };
            if (plain && scalar.value == "<<") || tag("merge") {
                return Ok(Key::Merge(span));
            }
            if (plain && scalar.value == "=") || tag("value") {
                let source =
                    TemplateSource::scalar(scalar.value.as_str().into(), span, Origin::Whole);
                return Ok(Key::Node(Node {
                    kind: NodeKind::Text(source),
                    span,
                }));
            }
        }
        Ok(Key::Node(self.node(event, depth)?.node))
    }

    /// Where a collection ends: at its bracket, or with its last item.
    fn closing(&self, event: &Event, last: Span) -> Span {
        if event.end > event.start {
            self.marks.span(event.start, event.end)
        } else {
            last
        }
    }
}

/// An alias' node stands elsewhere; then the alias itself is where the item ends.
fn later(place: Span, node: Span) -> Span {
    if node.start >= place.start {
        node
    } else {
        place
    }
}
