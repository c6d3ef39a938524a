//! Module results as text.

use hostler_events::TaskResult;
use hostler_value::Value;

use crate::sanitize;

/// Longest result (columns) that is shown.
const RESULT_MAX: usize = 64 * 1024;

/// A result as one line of JSON with sorted keys, `{"changed": false, "msg": "..."}`.
pub(crate) fn dump(value: &Value, message: Option<&str>) -> String {
    let mut json = serde_json::to_value(value).unwrap_or_default();
    if json.is_null() {
        json = serde_json::Value::Object(serde_json::Map::new());
    }
    if let Some(map) = json.as_object_mut() {
        map.shift_remove("invocation");
        map.shift_remove("diff");
        map.shift_remove("failed");
        if let (Some(message), false) = (message, map.contains_key("msg")) {
            map.insert("msg".into(), message.into());
        }
    }
    json.sort_all_objects();
    let mut out = String::new();
    write_json(&json, &mut out);
    sanitize::line(&sanitize::json(&out), RESULT_MAX)
}

/// JSON with Python's separators, which people grep for.
fn write_json(json: &serde_json::Value, out: &mut String) {
    match json {
        serde_json::Value::Object(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                out.push_str(": ");
                write_json(value, out);
            }
            out.push('}');
        }
        serde_json::Value::Array(items) => {
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_json(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// What `debug` shows: indented, without the fields that every result has.
pub(crate) fn dump_debug(value: &Value, message: Option<&str>) -> String {
    let mut json = serde_json::to_value(value).unwrap_or_default();
    if let Some(map) = json.as_object_mut() {
        map.shift_remove("changed");
        map.shift_remove("failed");
        // What a loop adds to an item's result stands in front of it already.
        if let Some(name) = map
            .shift_remove("ansible_loop_var")
            .as_ref()
            .and_then(|it| it.as_str())
        {
            map.shift_remove(name);
        }
        if let (Some(message), true) = (message, map.is_empty()) {
            map.insert("msg".into(), message.into());
        }
    }
    let mut out = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, indent);
    // Writing plain data to memory cannot fail.
    let _ = serde::Serialize::serialize(&json, &mut writer);
    let text = String::from_utf8_lossy(&out);
    sanitize::text(&text)
}

pub(crate) fn dump_unreachable(result: &TaskResult) -> String {
    let json = serde_json::json!({
        "changed": false,
        "msg": result.message.clone().unwrap_or_default(),
        "reason": result.unreachable.as_ref().map(|it| it.reason.clone()),
        "unreachable": true,
    });
    let mut out = String::new();
    write_json(&json, &mut out);
    sanitize::line(&sanitize::json(&out), RESULT_MAX)
}
