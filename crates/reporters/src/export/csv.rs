//! A row for each task and host (RFC 4180): for spreadsheets.

use hostler_events::Status;
use hostler_record::{Record, ResultRecord};

use super::{full_message, seconds, utc, word};
use crate::preview::words::lines;
use crate::sanitize;

/// Longest cell (bytes): spreadsheets take 32767 characters.
const CELL_MAX: usize = 32_000;

const HEADER: &[&str] = &[
    "run", "time", "play", "task", "host", "status", "changed", "duration", "message",
];

/// The table, with a header line. Times are UTC, durations in seconds; `changed` is `yes` or `no`. A task that began on
/// a host and did not end there has the status `unfinished`.
pub fn csv(record: &Record) -> String {
    let mut out = String::new();
    row(&mut out, HEADER.iter().copied());
    for task in &record.tasks {
        let play = record.play_of(task);
        for result in &task.results {
            let changed = match result.status {
                Status::Changed => "yes",
                Status::Unknown => "unknown",
                _ => "no",
            };
            row(
                &mut out,
                [
                    record.run.as_str(),
                    &utc(result.ended_us),
                    play,
                    &task.name,
                    &result.host,
                    word(result, record.check),
                    changed,
                    &seconds(result.duration_us),
                    &told(result),
                ],
            );
        }
        for host in &task.unfinished {
            let at = utc(task.started_us);
            let cells = [
                record.run.as_str(),
                &at,
                play,
                &task.name,
                host,
                "unfinished",
                "unknown",
                "",
                "",
            ];
            row(&mut out, cells);
        }
    }
    out
}

/// What it said, else what it changed.
fn told(result: &ResultRecord) -> String {
    let message = full_message(result);
    if !message.is_empty() || result.status != Status::Changed {
        return message;
    }
    let lines = lines(result.all_deltas());
    let lines: Vec<String> = lines
        .iter()
        .map(|it| format!("{}: {}", it.subject, it.what))
        .collect();
    lines.join("\n")
}

/// A line of cells.
pub(crate) fn row<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_cell(out, cell);
    }
    out.push_str("\r\n");
}

/// A spreadsheet takes a cell that begins with one of `=+-@` (or a tab or line break before it) for a formula; an
/// apostrophe in front makes it text (OWASP, "CSV Injection").
fn push_cell(out: &mut String, cell: &str) {
    let mut text = sanitize::text(cell);
    if text.len() > CELL_MAX {
        let end = (0..=CELL_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str("[... cut off]");
    }
    let lead = text.trim_start().chars().next();
    let formula = lead.is_some_and(|char| "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(char))
        || text.starts_with(['\t', '\n']);
    let quoted = formula || text.contains(['"', ',', '\n', '\t', ';']) || text.trim() != text;
    if quoted {
        out.push('"');
    }
    if formula {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    if quoted {
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut out = String::new();
        push_cell(&mut out, text);
        out
    }

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("two\nlines"), "\"two\nlines\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell(" +cmd|' /C calc'!A0"), "\"' +cmd|' /C calc'!A0\"");
        assert_eq!(cell("-2"), "\"'-2\"");
        assert_eq!(cell("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(cell("\t=1"), "\"'\t=1\"");
        assert_eq!(cell("a\x1b[31m\r=1"), "a\\x1b[31m\\x0d=1");
        assert!(cell(&"é".repeat(1 << 20)).len() < CELL_MAX + 100);
    }
}
