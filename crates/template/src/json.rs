//! JSON as Python's `json.dumps` writes it.

use std::fmt::Write;

use hostler_value::Value;

/// The options of `json.dumps`.
pub(crate) struct Layout {
    /// Spaces per level; `None` is one line.
    pub(crate) indent: Option<usize>,
    pub(crate) sort_keys: bool,
    pub(crate) ensure_ascii: bool,
    /// After an item and after a key.
    pub(crate) separators: Option<(String, String)>,
}

impl Default for Layout {
    fn default() -> Self {
        Layout {
            indent: None,
            sort_keys: false,
            ensure_ascii: true,
            separators: None,
        }
    }
}

/// The value as JSON.
pub(crate) fn dump(value: &Value, layout: &Layout) -> String {
    let (item, key) = match &layout.separators {
        Some((item, key)) => (item.as_str(), key.as_str()),
        None if layout.indent.is_some() => (",", ": "),
        None => (", ", ": "),
    };
    let mut writer = Writer {
        out: String::new(),
        layout,
        item,
        key,
    };
    writer.value(value, 0);
    writer.out
}

struct Writer<'l> {
    out: String,
    layout: &'l Layout,
    item: &'l str,
    key: &'l str,
}

impl Writer<'_> {
    fn line(&mut self, level: usize) {
        if let Some(indent) = self.layout.indent {
            self.out.push('\n');
            self.out.push_str(&" ".repeat(indent.min(100) * level));
        }
    }

    fn value(&mut self, value: &Value, level: usize) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(bool) => self.out.push_str(if *bool { "true" } else { "false" }),
            Value::Float(float) if float.is_nan() => self.out.push_str("NaN"),
            Value::Float(float) if float.is_infinite() => {
                self.out.push_str(if *float > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                });
            }
            Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
                self.out.push_str(&value.to_text());
            }
            Value::Str(text) => self.text(text),
            Value::Unknown(unknown) => self.text(&unknown.hole()),
            Value::List(items) if items.is_empty() => self.out.push_str("[]"),
            Value::List(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.out.push_str(if index > 0 { self.item } else { "" });
                    self.line(level + 1);
                    self.value(item, level + 1);
                }
                self.line(level);
                self.out.push(']');
            }
            Value::Map(map) if map.is_empty() => self.out.push_str("{}"),
            Value::Map(map) => {
                let mut entries: Vec<(String, &Value)> = map
                    .iter()
                    .map(|(key, value)| (key_text(key), value))
                    .collect();
                if self.layout.sort_keys {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.out.push('{');
                for (index, (key, item)) in entries.iter().enumerate() {
                    self.out.push_str(if index > 0 { self.item } else { "" });
                    self.line(level + 1);
                    self.text(key);
                    self.out.push_str(self.key);
                    self.value(item, level + 1);
                }
                self.line(level);
                self.out.push('}');
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for ch in text.chars() {
            match ch {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                ch if (ch as u32) < 0x20 || (!ch.is_ascii() && self.layout.ensure_ascii) => {
                    let mut units = [0; 2];
                    for unit in ch.encode_utf16(&mut units) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                ch => self.out.push(ch),
            }
        }
        self.out.push('"');
    }
}

fn key_text(key: &Value) -> String {
    match key {
        Value::Null => "null".into(),
        Value::Bool(bool) => bool.to_string(),
        other => other.to_text(),
    }
}
