//! The list of runs, newest first.

use hostler_record::{HostRecord, State};
use serde::Serialize;

use super::{painted_state, tally};
use crate::export::When;
use crate::style::Paint;
use crate::{Options, sanitize, words};

/// Columns from which a run takes one line.
const WIDE: usize = 130;

/// A run in the list.
#[derive(Clone, Debug, Serialize)]
pub struct RunRow {
    /// Identifies the run.
    pub run: String,
    /// When it began, microseconds since the epoch.
    pub started_us: i64,
    /// How long it took, or has been running, in microseconds.
    pub elapsed_us: Option<u64>,
    /// `user@controller` that started it.
    pub by: String,
    /// Playbooks, as given.
    pub playbooks: Vec<String>,
    /// Check mode?
    pub check: bool,
    /// How it stands.
    pub state: State,
    /// `hostler resume` has something to go on with.
    pub resumable: bool,
    /// Exit status of the program.
    pub exit_code: Option<u8>,
    /// Number of its hosts.
    pub host_count: usize,
    /// Counts of each host, as far as known.
    pub hosts: Vec<HostRecord>,
}

/// The list for people; `when` gives the date and the time in 16 columns.
pub fn runs_text(rows: &[RunRow], options: &Options, when: When<'_>) -> String {
    let paint = Paint::new(options.color);
    if rows.is_empty() {
        return "No runs.\n".to_owned();
    }
    let id_width = rows
        .iter()
        .map(|it| it.run.len().min(40))
        .max()
        .unwrap_or(0);
    let head = format!(
        "{:<id_width$}  {:<16}  {:>7}  {:<11}  HOSTS",
        "RUN", "STARTED", "TOOK", "STATE"
    );
    let mut lines = vec![paint.dim(&head)];
    for row in rows {
        let took = row.elapsed_us.map(words::duration).unwrap_or_default();
        let state = painted_state(paint, row.state, &format!("{:<11}", row.state.word()));
        let hosts = hosts_words(row);
        let mut first = format!(
            "{:<id_width$}  {:<16}  {took:>7}  {state}  {hosts}",
            sanitize::line(&row.run, 40),
            when(row.started_us),
        );
        let rest = rest(row);
        if options.width >= WIDE {
            let used = console::measure_text_width(&first);
            let pad = 100_usize.saturating_sub(used).max(2);
            let room = options.width.saturating_sub(used + pad);
            first.push_str(&" ".repeat(pad));
            first.push_str(&paint.dim(&sanitize::clip(&rest, room)));
            lines.push(first);
        } else {
            lines.push(sanitize::clip(&first, options.width));
            let second = format!("{:id_width$}  {rest}", "");
            lines.push(paint.dim(&sanitize::clip(&second, options.width)));
        }
    }
    lines.join("\n") + "\n"
}

fn hosts_words(row: &RunRow) -> String {
    let tally = tally(row.hosts.iter(), row.check);
    if tally.is_empty() {
        words::hosts(row.host_count)
    } else if tally.starts_with(&format!("{} ", row.host_count)) {
        tally
    } else {
        format!("{}: {tally}", row.host_count)
    }
}

/// Playbooks, by whom, and what can be done.
fn rest(row: &RunRow) -> String {
    let mut parts = vec![sanitize::line(&row.playbooks.join(" "), 120)];
    if row.check {
        parts.push("(check)".to_owned());
    }
    if !row.by.is_empty() {
        parts.push(format!("by {}", sanitize::name(&row.by)));
    }
    if row.resumable {
        parts.push("resumable".to_owned());
    }
    parts.join("  ")
}

/// One JSON object for each run and line: `{"event":"run",...}`.
pub fn runs_json(rows: &[RunRow]) -> String {
    super::log::json_lines("run", rows)
}
