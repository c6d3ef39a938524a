//! What a preview found, for people: text for a terminal or a log, and one HTML page.

mod diff_text;
pub(crate) mod html;
mod text;
pub(crate) mod words;

pub use diff_text::plan_diff;
pub use html::{PageFacts, page};
pub use text::{preview_summary, preview_text};

use hostler_preview::Preview;

use crate::sanitize;

/// A preview as one line of JSON: `{"event":"preview","preview":{...}}`, the last line of a preview's events. The form
/// is in `docs/schema/preview.json`.
pub fn preview_json(preview: &Preview) -> String {
    let event = serde_json::json!({"event": "preview", "preview": preview});
    sanitize::json(&event.to_string())
}

/// The JSON schema of that form, for people: indented.
pub fn preview_schema() -> String {
    let schema = hostler_preview::schema();
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}
