//! The tree: what a user wrote, with the place of every part.

use std::sync::Arc;

use hostler_diag::{SourceId, SourceMap, Span};
use hostler_value::{Map, Value};

/// Text that may be compiled as a template.
///
/// This type is the trust boundary (`docs/design`): it can only be made from text that lies in a registered source,
/// that is, from what the user's own files say. Facts, results, prompts and web input are [`Value`]s; there is no
/// conversion from a `Value` to a `TemplateSource`:
///
/// ```compile_fail,E0277
/// let said_by_a_host = hostler_value::Value::str("{{ lookup('pipe', 'id') }}");
/// let template: hostler_yaml::TemplateSource = said_by_a_host.into();
/// ```
///
/// nor can one be put together from text that is not in a source:
///
/// ```compile_fail
/// let template = hostler_yaml::TemplateSource { text: "{{ x }}".into() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSource {
    text: Arc<str>,
    span: Span,
    origin: Origin,
}

/// How positions in the text translate to positions in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The text is the span's text as it stands.
    Verbatim,
    /// Pieces `(offset in the text, offset in the source)`, each reaching to the next, in order: block scalars
    /// without their indentation, folded lines, escapes.
    Pieces(Arc<[(u32, u32)]>),
    /// Nothing more exact than the span is known.
    Whole,
}

impl TemplateSource {
    /// A scalar that a loader read at `span`.
    pub(crate) fn scalar(text: Arc<str>, span: Span, origin: Origin) -> Self {
        TemplateSource { text, span, origin }
    }

    /// The whole of a registered text: a template file.
    pub fn whole(sources: &SourceMap, id: SourceId) -> Self {
        let text = sources.get(id).text.clone();
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        TemplateSource {
            text,
            span: Span::new(id, 0, end),
            origin: Origin::Verbatim,
        }
    }

    /// A part of a registered text, such as a value in an INI inventory.
    pub fn part(sources: &SourceMap, span: Span) -> Self {
        let text = sources.slice(span);
        TemplateSource {
            text: text.into(),
            span,
            origin: Origin::Verbatim,
        }
    }

    /// A part of this template: the bytes `start..end` of its text, or `text` where quotes or escapes in that part were
    /// resolved (`key="a b"` in a short form). What it is derived from is trusted, so it is.
    #[must_use]
    pub fn excerpt(&self, start: usize, end: usize, text: Option<String>) -> TemplateSource {
        let span = self.locate(start, end);
        let written = self.text.get(start..end).unwrap_or("");
        let (text, origin) = match text {
            Some(text) if text != written => (text, Origin::Whole),
            _ => (written.to_owned(), self.origin_of(start, end)),
        };
        TemplateSource {
            text: text.into(),
            span,
            origin,
        }
    }

    /// The origin of a part of the text, counted from that part's start.
    fn origin_of(&self, start: usize, end: usize) -> Origin {
        let Origin::Pieces(pieces) = &self.origin else {
            return self.origin.clone();
        };
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (start, end) = (narrow(start), narrow(end));
        let first = pieces
            .partition_point(|(text, _)| *text <= start)
            .saturating_sub(1);
        let inside = pieces[first..].iter().take_while(|(text, _)| *text < end);
        Origin::Pieces(
            inside
                .map(|(text, source)| match text.checked_sub(start) {
                    Some(text) => (text, *source),
                    None => (0, source.saturating_add(start - text)),
                })
                .collect(),
        )
    }

    /// The template's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The template's text, shared.
    pub fn shared_text(&self) -> Arc<str> {
        self.text.clone()
    }

    /// Where the whole of it stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Where the byte range `start..end` of [`Self::text`] stands in the user's file; the whole span where that
    /// cannot be said more exactly.
    pub fn locate(&self, start: usize, end: usize) -> Span {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (start, last) = (narrow(start), narrow(end.saturating_sub(1).max(start)));
        match &self.origin {
            Origin::Verbatim => self.span.part(start, last.saturating_add(1)),
            Origin::Whole => self.span,
            Origin::Pieces(pieces) => {
                let place = |at: u32| {
                    let index = pieces.partition_point(|(text, _)| *text <= at);
                    let (text, source) = pieces.get(index.checked_sub(1)?)?;
                    Some((source + (at - text)).min(self.span.end))
                };
                match (place(start), place(last)) {
                    (Some(start), Some(last)) => Span::new(
                        self.span.source,
                        start,
                        last.saturating_add(1).min(self.span.end),
                    ),
                    _ => self.span,
                }
            }
        }
    }

    /// Could rendering change it? Text without `{{`, `{%` and `{#` stands for itself.
    pub fn has_markup(&self) -> bool {
        ["{{", "{%", "{#"]
            .iter()
            .any(|mark| self.text.contains(mark))
    }
}

/// A node of the tree. Cheap to clone: collections are shared, also between an anchor and its aliases.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it stands.
    pub span: Span,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A scalar that is data: null, a boolean, a number, or text marked `!unsafe` or `!secret`.
    Data(Value),
    /// Text, which may be a template.
    Text(TemplateSource),
    /// Text marked `!vault`: the envelope as it stands in the file.
    Vault(Arc<str>),
    /// A list.
    List(Arc<Vec<Node>>),
    /// A mapping.
    Map(Arc<Mapping>),
}

/// Pairs in the order of the file, after merge keys were applied; the last of several equal keys counts.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// Key and value nodes.
    pub entries: Vec<(Node, Node)>,
}

impl Mapping {
    /// The value of a text key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Key and value of a text key.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        let found = self
            .entries
            .iter()
            .rev()
            .find(|(name, _)| name.as_str() == Some(key));
        found.map(|(key, value)| (key, value))
    }
}

impl Node {
    /// The text, if it is text (a template or `!unsafe`).
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(source) => Some(source.text()),
            NodeKind::Data(value) => value.as_str(),
            NodeKind::Vault(_) | NodeKind::List(_) | NodeKind::Map(_) => None,
        }
    }

    /// The template, if it is text that may be one.
    pub fn as_source(&self) -> Option<&TemplateSource> {
        if let NodeKind::Text(source) = &self.kind {
            Some(source)
        } else {
            None
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        if let NodeKind::List(items) = &self.kind {
            Some(items)
        } else {
            None
        }
    }

    /// The pairs, if it is a mapping.
    pub fn as_map(&self) -> Option<&Mapping> {
        if let NodeKind::Map(map) = &self.kind {
            Some(map)
        } else {
            None
        }
    }

    /// Is it null?
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, NodeKind::Data(Value::Null))
    }

    /// Does any text in it contain template markup (or a vault envelope, which is only known later)?
    pub fn is_dynamic(&self) -> bool {
        match &self.kind {
            NodeKind::Data(_) => false,
            NodeKind::Text(source) => source.has_markup(),
            NodeKind::Vault(_) => true,
            NodeKind::List(items) => items.iter().any(Node::is_dynamic),
            NodeKind::Map(map) => map
                .entries
                .iter()
                .any(|(key, value)| key.is_dynamic() || value.is_dynamic()),
        }
    }

    /// The plain value, templates standing for their own text.
    pub fn to_literal(&self) -> Value {
        match &self.kind {
            NodeKind::Data(value) => value.clone(),
            NodeKind::Text(source) => Value::Str(source.shared_text()),
            NodeKind::Vault(envelope) => Value::Str(envelope.clone()),
            NodeKind::List(items) => Value::list(items.iter().map(Node::to_literal)),
            NodeKind::Map(map) => Value::from(
                map.entries
                    .iter()
                    .map(|(key, value)| (key.to_literal(), value.to_literal()))
                    .collect::<Map>(),
            ),
        }
    }

    /// What a user would call it, for messages: "a list", "a mapping", "text", ...
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Data(Value::Null) => "nothing",
            NodeKind::Data(Value::Bool(_)) => "a boolean",
            NodeKind::Data(Value::Int(_) | Value::BigInt(_) | Value::Float(_)) => "a number",
            NodeKind::Data(_) | NodeKind::Text(_) => "text",
            NodeKind::Vault(_) => "vaulted text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }
}
