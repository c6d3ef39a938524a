//! The list of runs, newest first.

use hostler_record::{HostRecord, State};
use serde::Serialize;

use super::{painted_state, tally};
use crate::export::When;
use crate::style::Paint;
use crate::{Options, sanitize, words};

/// Columns from which a run takes one line.
const WIDE: usize = 130;

/// Columns of a state.
const STATE: usize = 11;
/// Columns of the playbooks' names on a wide terminal.
const BOOKS: usize = 30;

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
    let wide = options.width >= WIDE;
    let mut head = format!(
        "{:<id_width$}  {:<16}  {:>7}  {:<STATE$}  {:<BOOKS$}",
        "RUN", "STARTED", "TOOK", "STATE", "PLAYBOOKS"
    );
    if wide {
        head.push_str("  HOSTS");
    }
    let mut lines = vec![paint.dim(head.trim_end())];
    for row in rows {
        let took = row.elapsed_us.map(words::duration).unwrap_or_default();
        let state = format!("{:<STATE$}", row.state.word());
        let state = painted_state(paint, row.state, &state);
        let mut first = format!(
            "{:<id_width$}  {:<16}  {took:>7}  {state}  ",
            sanitize::line(&row.run, 40),
            when(row.started_us),
        );
        let books = books(row);
        if wide {
            let books = sanitize::clip(&books, BOOKS);
            let pad = BOOKS.saturating_sub(console::measure_text_width(&books));
            let text = format!("{first}{books}{}  {}", " ".repeat(pad), rest(row));
            lines.push(sanitize::clip(&text, options.width));
        } else {
            first.push_str(&books);
            lines.push(sanitize::clip(&first, options.width));
            let mut second = " ".repeat(id_width);
            let marks = marks(row).into_iter().map(str::to_owned);
            for part in [by(row)].into_iter().chain(marks).chain([hosts_words(row)]) {
                if !part.is_empty() {
                    second.push_str("  ");
                    second.push_str(&part);
                }
            }
            lines.push(paint.dim(&sanitize::clip(&second, options.width)));
        }
    }
    lines.join("\n") + "\n"
}

/// Names of the playbooks, without their directories.
fn books(row: &RunRow) -> String {
    let names = row.playbooks.iter().map(|path| {
        let name = std::path::Path::new(path).file_name();
        name.map_or_else(|| path.clone(), |it| it.to_string_lossy().into_owned())
    });
    sanitize::line(&names.collect::<Vec<_>>().join(" "), 120)
}

fn hosts_words(row: &RunRow) -> String {
    let tally = tally(row.hosts.iter(), row.check);
    if tally.is_empty() {
        words::hosts(row.host_count)
    } else if row.hosts.len() < row.host_count {
        format!("{}: {tally}", words::hosts(row.host_count))
    } else {
        tally
    }
}

fn by(row: &RunRow) -> String {
    if row.by.is_empty() {
        String::new()
    } else {
        format!("by {}", sanitize::name(&row.by))
    }
}

fn marks(row: &RunRow) -> Vec<&'static str> {
    let all = [(row.check, "(check)"), (row.resumable, "resumable")];
    all.iter().filter(|it| it.0).map(|it| it.1).collect()
}

/// What became of the hosts, what can be done, and by whom.
fn rest(row: &RunRow) -> String {
    let mut parts = vec![hosts_words(row)];
    parts.extend(marks(row).into_iter().map(str::to_owned));
    parts.push(by(row));
    parts.join("  ")
}

/// One JSON object for each run and line: `{"event":"run",...}`.
pub fn runs_json(rows: &[RunRow]) -> String {
    super::log::json_lines("run", rows)
}
