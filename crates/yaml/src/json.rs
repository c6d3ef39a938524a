//! JSON, as Python's `json` reads it, to nodes with positions.
//!
//! Ansible tries JSON before YAML, and the two differ: `1e3` is a number in JSON and text in YAML 1.1, and JSON writes
//! characters outside the basic plane as two escapes, which YAML refuses. Whoever is not JSON is left to the YAML
//! parser, which then also explains what is wrong.

use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceId, Span};
use hostler_value::Value;

use crate::integer;
use crate::limits::{DEPTH_MAX, NODES_MAX, SCALAR_BYTES_MAX};
use crate::mapping::Pairs;
use crate::node::{Node, NodeKind, Origin, TemplateSource};

/// The document, if the text is JSON within the limits.
pub(crate) fn parse(text: &str, source: SourceId) -> Option<(Node, Vec<Diagnostic>)> {
    let mut reader = Reader {
        text,
        at: 0,
        source,
        nodes: 0,
        diagnostics: Vec::new(),
    };
    let node = reader.value(0)?;
    reader.blanks();
    (reader.at == text.len()).then_some((node, reader.diagnostics))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    source: SourceId,
    nodes: u64,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    fn span(&self, start: usize) -> Span {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span::new(self.source, narrow(start), narrow(self.at))
    }

    fn value(&mut self, depth: u32) -> Option<Node> {
        self.blanks();
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return None;
        }
        let start = self.at;
        let kind = match self.rest().as_bytes().first()? {
            b'{' => self.object(depth)?,
            b'[' => self.list(depth)?,
            b'"' => return self.string(),
            _ => NodeKind::Data(self.data()?),
        };
        let span = self.span(start);
        Some(Node { kind, span })
    }

    fn data(&mut self) -> Option<Value> {
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ] {
            if self.take(word) {
                return Some(value);
            }
        }
        let rest = self.rest();
        let end = rest
            .find(|ch: char| !(ch.is_ascii_digit() || matches!(ch, '-' | '+' | '.' | 'e' | 'E')))
            .unwrap_or(rest.len());
        let number = rest.get(..end)?;
        let value = json_number(number)?;
        self.at += end;
        Some(value)
    }

    fn object(&mut self, depth: u32) -> Option<NodeKind> {
        self.at += 1;
        let mut pairs = Pairs::default();
        self.blanks();
        if !self.take("}") {
            loop {
                self.blanks();
                let key = self.string()?;
                self.blanks();
                if !self.take(":") {
                    return None;
                }
                pairs.push(key, self.value(depth + 1)?);
                self.blanks();
                if self.take("}") {
                    break;
                }
                if !self.take(",") {
                    return None;
                }
            }
        }
        let mapping = pairs.finish(self.text, &mut self.diagnostics);
        Some(NodeKind::Map(Arc::new(mapping)))
    }

    fn list(&mut self, depth: u32) -> Option<NodeKind> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if !self.take("]") {
            loop {
                items.push(self.value(depth + 1)?);
                self.blanks();
                if self.take("]") {
                    break;
                }
                if !self.take(",") {
                    return None;
                }
            }
        }
        Some(NodeKind::List(Arc::new(items)))
    }

    fn string(&mut self) -> Option<Node> {
        let start = self.at;
        if !self.take("\"") {
            return None;
        }
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut text = String::new();
        let mut pieces = vec![(0, narrow(self.at))];
        loop {
            let rest = self.rest();
            let plain = rest.find(|ch: char| ch == '"' || ch == '\\' || (ch as u32) < 0x20)?;
            text.push_str(&rest[..plain]);
            self.at += plain;
            if self.take("\"") {
                break;
            }
            text.push(self.escape()?);
            pieces.push((narrow(text.len()), narrow(self.at)));
        }
        if text.len() > SCALAR_BYTES_MAX {
            return None;
        }
        let span = self.span(start);
        let origin = Origin::Pieces(pieces.into());
        Some(Node {
            kind: NodeKind::Text(TemplateSource::scalar(text.into(), span, origin)),
            span,
        })
    }

    fn escape(&mut self) -> Option<char> {
        if !self.take("\\") {
            return None;
        }
        let kind = self.rest().chars().next()?;
        self.at += kind.len_utf8();
        Some(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.four_digits()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                if !self.take("\\u") {
                    return None;
                }
                let second = self.four_digits()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return None;
                }
                return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            _ => return None,
        })
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(number)
    }
}

/// A number by JSON's grammar: no leading zeros, digits on both sides of the dot.
fn json_number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = unsigned.split_at(
        unsigned
            .find(|ch: char| !ch.is_ascii_digit())
            .unwrap_or(unsigned.len()),
    );
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if rest.is_empty() {
        return integer::parse(text).ok();
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !fraction.is_empty() && !fraction.strip_prefix('.').is_some_and(digits) {
        return None;
    }
    if let Some(exponent) = exponent
        && !digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
    {
        return None;
    }
    text.parse().ok().map(Value::Float)
}
