//! Values of INI inventories: Python literals, as `ast.literal_eval` reads them; everything else is text.
//!
//! So `port=80` is a number, `x=['a', 'b']` a list, `x=1,2` a list of two, `x=yes` text. Tuples and sets become lists.

use hostler_value::Value;
use hostler_yaml::{Mapping, Node, NodeKind, TemplateSource};

use std::sync::Arc;

/// Deepest nesting.
const DEPTH_MAX: u32 = 64;

/// The value that `source`'s text stands for.
pub(crate) fn value(source: TemplateSource) -> Node {
    let reader = Reader {
        source: &source,
        text: source.text(),
        at: 0,
    };
    if let Some(node) = reader.whole() {
        return node;
    }
    Node {
        span: source.span(),
        kind: NodeKind::Text(source),
    }
}

struct Reader<'a> {
    source: &'a TemplateSource,
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn whole(mut self) -> Option<Node> {
        let node = self.tuple_or_one(0)?;
        self.blanks();
        // A comment may follow.
        (self.at == self.text.len() || self.peek() == Some('#')).then_some(node)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\u{c}']).len();
    }

    fn take(&mut self, wanted: &str) -> bool {
        self.blanks();
        let found = self.text[self.at..].starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    fn node(&self, start: usize, kind: NodeKind) -> Node {
        Node {
            kind,
            span: self.source.locate(start, self.at),
        }
    }

    /// `a` is `a`; `a,` and `a, b` are tuples.
    fn tuple_or_one(&mut self, depth: u32) -> Option<Node> {
        self.blanks();
        let start = self.at;
        let first = self.expression(depth)?;
        if !self.take(",") {
            return Some(first);
        }
        let mut items = vec![first];
        loop {
            self.blanks();
            if matches!(self.peek(), None | Some(')' | '#')) {
                break;
            }
            items.push(self.expression(depth)?);
            if !self.take(",") {
                break;
            }
        }
        Some(self.node(start, NodeKind::List(Arc::new(items))))
    }

    fn expression(&mut self, depth: u32) -> Option<Node> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.blanks();
        let start = self.at;
        match self.peek()? {
            '(' => {
                self.at += 1;
                if self.take(")") {
                    return Some(self.node(start, NodeKind::List(Arc::default())));
                }
                let inner = self.tuple_or_one(depth + 1)?;
                self.take(")").then_some(inner)
            }
            '[' => {
                self.at += 1;
                let items = self.items("]", depth)?;
                Some(self.node(start, NodeKind::List(Arc::new(items))))
            }
            '{' => {
                self.at += 1;
                self.dictionary_or_set(start, depth)
            }
            '0'..='9' | '.' | '-' | '+' => {
                let value = self.number()?;
                Some(self.node(start, NodeKind::Data(value)))
            }
            _ => self.word_or_text(start),
        }
    }

    fn items(&mut self, close: &str, depth: u32) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            if self.take(close) {
                return Some(items);
            }
            items.push(self.expression(depth + 1)?);
            if !self.take(",") {
                return self.take(close).then_some(items);
            }
        }
    }

    fn dictionary_or_set(&mut self, start: usize, depth: u32) -> Option<Node> {
        if self.take("}") {
            return Some(self.node(start, NodeKind::Map(Arc::default())));
        }
        let first = self.expression(depth + 1)?;
        if !self.take(":") {
            let mut items = vec![first];
            if self.take(",") {
                items.extend(self.items("}", depth)?);
            } else if !self.take("}") {
                return None;
            }
            let mut seen = Vec::new();
            items.retain(|item| {
                let value = item.to_literal();
                let new = !seen.contains(&value);
                seen.push(value);
                new
            });
            return Some(self.node(start, NodeKind::List(Arc::new(items))));
        }
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut key = first;
        loop {
            if matches!(key.kind, NodeKind::List(_) | NodeKind::Map(_)) {
                return None;
            }
            let value = self.expression(depth + 1)?;
            let name = key.to_literal();
            match entries
                .iter_mut()
                .find(|(known, _)| known.to_literal() == name)
            {
                Some(entry) => *entry = (key, value),
                None => entries.push((key, value)),
            }
            let more = self.take(",");
            if self.take("}") {
                return Some(self.node(start, NodeKind::Map(Arc::new(Mapping { entries }))));
            }
            if !more {
                return None;
            }
            key = self.expression(depth + 1)?;
            if !self.take(":") {
                return None;
            }
        }
    }

    fn word_or_text(&mut self, start: usize) -> Option<Node> {
        for (word, value) in [
            ("True", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("None", Value::Null),
        ] {
            let rest = &self.text[self.at..];
            if let Some(tail) = rest.strip_prefix(word)
                && !tail.starts_with(|ch: char| ch.is_alphanumeric() || ch == '_' || ch == '(')
            {
                self.at += word.len();
                return Some(self.node(start, NodeKind::Data(value)));
            }
        }
        let mut text = String::new();
        let mut inner = None;
        let mut parts = 0;
        // Strings side by side are one string.
        while let Some(range) = self.string(&mut text) {
            inner = Some(range);
            parts += 1;
            self.blanks();
        }
        let (from, to) = inner?;
        let end = self.at;
        let trimmed = self.text[..end].trim_end().len();
        let verbatim = parts == 1 && self.text.get(from..to) == Some(text.as_str());
        let source = if verbatim {
            self.source.excerpt(from, to, None)
        } else {
            self.source.excerpt(start, trimmed, Some(text))
        };
        Some(Node {
            span: self.source.locate(start, trimmed),
            kind: NodeKind::Text(source),
        })
    }

    /// Reads one string literal onto `out`; returns where its inside stands.
    fn string(&mut self, out: &mut String) -> Option<(usize, usize)> {
        let rest = &self.text[self.at..];
        let prefix = rest.find(['\'', '"'])?;
        let raw = match rest[..prefix].to_ascii_lowercase().as_str() {
            "" | "u" | "b" => false,
            "r" | "br" | "rb" => true,
            _ => return None,
        };
        let open = &rest[prefix..];
        let quote = if open.starts_with("'''") || open.starts_with("\"\"\"") {
            &open[..3]
        } else {
            &open[..1]
        };
        let mut at = self.at + prefix + quote.len();
        let from = at;
        loop {
            let rest = self.text.get(at..)?;
            if rest.starts_with(quote) {
                self.at = at + quote.len();
                return Some((from, at));
            }
            let ch = rest.chars().next()?;
            if ch == '\\' {
                let after = rest[1..].chars().next()?;
                if raw {
                    out.push('\\');
                    out.push(after);
                    at += 1 + after.len_utf8();
                } else {
                    at += escape(rest, out)?;
                }
            } else {
                out.push(ch);
                at += ch.len_utf8();
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let negative = self.text[self.at..].starts_with('-');
        if negative || self.text[self.at..].starts_with('+') {
            self.at += 1;
            self.blanks();
        }
        let rest = &self.text[self.at..];
        let mut end = 0;
        let bytes = rest.as_bytes();
        while let Some(byte) = bytes.get(end) {
            let exponent_sign = matches!(byte, b'+' | b'-')
                && end > 0
                && matches!(bytes[end - 1], b'e' | b'E')
                && !rest.starts_with("0x")
                && !rest.starts_with("0X");
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent_sign) {
                break;
            }
            end += 1;
        }
        let value = number(&rest[..end], negative)?;
        self.at += end;
        Some(value)
    }
}

/// Python's number literals, without complex ones.
fn number(text: &str, negative: bool) -> Option<Value> {
    // Underscores stand singly between digits.
    let lone = text
        .as_bytes()
        .windows(3)
        .filter(|window| window[1] == b'_');
    let lone = lone.filter(|it| it[0].is_ascii_alphanumeric() && it[2].is_ascii_alphanumeric());
    if lone.count() != text.matches('_').count() {
        return None;
    }
    let clean = text.replace('_', "").to_ascii_lowercase();
    let sign = if negative { "-" } else { "" };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = clean.strip_prefix(prefix) {
            return i128::from_str_radix(&format!("{sign}{digits}"), radix)
                .ok()
                .map(Value::from);
        }
    }
    if clean.bytes().all(|byte| byte.is_ascii_digit()) {
        let zeros = clean.bytes().all(|byte| byte == b'0');
        if clean.is_empty() || (clean.starts_with('0') && !zeros) {
            return None;
        }
        if zeros {
            return Some(Value::Int(0));
        }
        return Some(match format!("{sign}{clean}").parse::<i64>() {
            Ok(int) => Value::Int(int),
            Err(_) => Value::BigInt(format!("{sign}{clean}").into()),
        });
    }
    let float_bytes = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-');
    if !clean.starts_with(|ch: char| ch.is_ascii_digit() || ch == '.')
        || !clean.bytes().all(float_bytes)
    {
        return None;
    }
    let float: f64 = clean.parse().ok()?;
    Some(Value::Float(if negative { -float } else { float }))
}

/// One escape of a string literal at the start of `rest`; returns its length.
fn escape(rest: &str, out: &mut String) -> Option<usize> {
    let kind = rest[1..].chars().next()?;
    let simple = match kind {
        '\\' | '\'' | '"' => Some(kind),
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        _ => None,
    };
    if let Some(ch) = simple {
        out.push(ch);
        return Some(2);
    }
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        '0'..='7' => {
            let octal: String = rest[1..]
                .chars()
                .take(3)
                .take_while(|ch| ch.is_digit(8))
                .collect();
            out.push(char::from_u32(u32::from_str_radix(&octal, 8).ok()?)?);
            return Some(1 + octal.len());
        }
        // Names of characters would need their table.
        'N' => return None,
        _ => {
            out.push('\\');
            out.push(kind);
            return Some(1 + kind.len_utf8());
        }
    };
    let hex = rest.get(2..2 + digits)?;
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
    Some(2 + digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_diag::{SourceMap, Span};

    fn repr(text: &str) -> String {
        let sources = SourceMap::new();
        let id = sources.add_text("t", text);
        let end = u32::try_from(text.len()).expect("short");
        let node = value(TemplateSource::part(&sources, Span::new(id, 0, end)));
        node.to_literal().repr()
    }

    #[test]
    fn literals_are_pythons() {
        for (text, expected) in [
            ("80", "80"),
            ("-5", "-5"),
            ("- 5", "-5"),
            ("--5", "'--5'"),
            ("012", "'012'"),
            ("00", "0"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("1__0", "'1__0'"),
            ("1_", "'1_'"),
            ("1e3", "1000.0"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("1.2.3.4", "'1.2.3.4'"),
            ("1j", "'1j'"),
            ("99999999999999999999", "99999999999999999999"),
            ("True", "True"),
            ("true", "'true'"),
            ("yes", "'yes'"),
            ("None", "None"),
            ("Nonesuch", "'Nonesuch'"),
            ("'a b'", "'a b'"),
            ("'a' 'b'", "'ab'"),
            ("r'a\\n'", "'a\\\\n'"),
            ("'a\\n\\x41\\u00e9\\101\\q'", "'a\\nAéA\\\\q'"),
            ("['a', 1, [True]]", "['a', 1, [True]]"),
            ("[a, b]", "'[a, b]'"),
            ("1,2", "[1, 2]"),
            ("(1)", "1"),
            ("(1,)", "[1]"),
            ("()", "[]"),
            ("{'a': 1, 'b': {'c': []}}", "{'a': 1, 'b': {'c': []}}"),
            ("{1, 2, 1}", "[1, 2]"),
            ("{}", "{}"),
            ("{{ x }}", "'{{ x }}'"),
            ("'{{ x }}'", "'{{ x }}'"),
            ("1 # c", "1"),
            ("foo # c", "'foo # c'"),
            ("", "''"),
            ("a=b", "'a=b'"),
            ("[1", "'[1'"),
            ("f'x'", "\"f'x'\""),
            ("/usr/bin/python3", "'/usr/bin/python3'"),
            ("2001-01-01", "'2001-01-01'"),
        ] {
            assert_eq!(repr(text), expected, "{text}");
        }
        assert!(repr(&"[".repeat(1000)).starts_with("'[["));
    }
}
