//! JSON as Python's `json.dumps` writes it: a space behind `,` and `:`, ASCII only.

use hostler_value::Value;
use std::fmt::Write;

/// A value as JSON text.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Float(float) if float.is_nan() => out.push_str("NaN"),
        Value::Float(float) if float.is_infinite() => {
            out.push_str(if *float > 0.0 { "Infinity" } else { "-Infinity" });
        }
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => out.push_str(&value.to_text()),
        Value::Unknown(unknown) => quote(out, &unknown.hole()),
        Value::Str(text) => quote(out, text),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                match key {
                    Value::Str(text) => quote(out, text),
                    other => quote(out, &self::text(other)),
                }
                out.push_str(": ");
                write(out, item);
            }
            out.push('}');
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for ch in text.chars() {
        match ch {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(ch),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_value::Map;

    #[test]
    fn as_python_dumps() {
        let mut map = Map::new();
        map.insert("a", Value::list([1.into(), Value::Null, 1.5.into(), true.into()]));
        map.insert(Value::Int(2), "é\u{1f600}\n\"");
        assert_eq!(text(&map.into()), r#"{"a": [1, null, 1.5, true], "2": "\u00e9\ud83d\ude00\n\""}"#);
    }
}
