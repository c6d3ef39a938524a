//! The record as JSON. The form is in `docs/schema/run.json`.

use hostler_record::Record;

use crate::sanitize;

/// The record as indented JSON.
pub fn run_json(record: &Record) -> String {
    let json = serde_json::to_string_pretty(record).unwrap_or_default();
    // Line breaks are between tokens only; within a text they are escaped already.
    let lines: Vec<String> = json.lines().map(sanitize::json).collect();
    lines.join("\n") + "\n"
}

/// The JSON schema of that form, for people: indented.
pub fn run_schema() -> String {
    serde_json::to_string_pretty(&hostler_record::schema()).unwrap_or_default()
}
