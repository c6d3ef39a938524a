//! The history of a path (or of whatever a change is about): when, where, by which run, by whom.

use hostler_change::Delta;
use serde::Serialize;

use crate::export::When;
use crate::preview::words::lines;
use crate::style::Paint;
use crate::{Options, diff, sanitize};

/// One change of a stored run.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeRow {
    /// When, microseconds since the epoch by the controller's clock.
    pub at_us: i64,
    /// By which run.
    pub run: String,
    /// By whom: `user@controller`.
    pub by: String,
    /// Where.
    pub host: String,
    /// The task that did it.
    pub task: String,
    /// What changed, all about one thing.
    pub deltas: Vec<Delta>,
}

/// For people, newest first.
pub fn log_text(rows: &[ChangeRow], options: &Options, when: When<'_>) -> String {
    let paint = Paint::new(options.color);
    if rows.is_empty() {
        return "No changes.\n".to_owned();
    }
    let mut out = Vec::new();
    for row in rows {
        let head = format!("{}  {}", when(row.at_us), sanitize::name(&row.host));
        for (at, line) in lines(&row.deltas).iter().enumerate() {
            let lead = if at == 0 {
                head.clone()
            } else {
                " ".repeat(console::measure_text_width(&head))
            };
            let text = format!("{lead}  {}  {}", line.subject, line.what);
            out.push(sanitize::clip(&text, options.width));
        }
        let by = format!(
            "    run {}  by {}  task {}",
            sanitize::name(&row.run),
            sanitize::name(&row.by),
            sanitize::name(&row.task),
        );
        out.push(paint.dim(&sanitize::clip(&by, options.width)));
        if options.diff {
            for line in diff::for_people(&row.deltas) {
                out.push(format!("    {}", line.painted(paint)));
            }
        }
    }
    out.join("\n") + "\n"
}

/// One JSON object for each change and line: `{"event":"change",...}`.
pub fn log_json(rows: &[ChangeRow]) -> String {
    json_lines("change", rows)
}

/// `{"event":...}` with the fields of each row.
pub(super) fn json_lines<T: Serialize>(event: &str, rows: &[T]) -> String {
    #[derive(Serialize)]
    struct Line<'a, T> {
        event: &'a str,
        #[serde(flatten)]
        row: &'a T,
    }
    let mut out = String::new();
    for row in rows {
        let json = serde_json::to_string(&Line { event, row }).unwrap_or_default();
        out.push_str(&sanitize::json(&json));
        out.push('\n');
    }
    out
}
