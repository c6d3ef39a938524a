//! What runs now: play and task, counts, and who is still being waited for.

use std::collections::HashMap;

use hostler_events::{Status, TaskInfo};

use crate::style::Paint;
use crate::{Options, sanitize, words};

/// A host is named when it has been waited for this long: below, the list would flicker.
const NAMED_AFTER_US: i64 = 1_500_000;
/// Most hosts that are named.
const NAMED_MAX: usize = 6;
/// Rows that stay free of the live view.
const ROWS_FREE: usize = 4;

/// The live view at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    /// First line: play, task and time.
    pub header: String,
    /// Text after the bar.
    pub counts: String,
    /// Further lines, each with a line feed before it.
    pub waiting: String,
    /// Hosts that are done with the task.
    pub done: u64,
    /// Hosts of the task.
    pub total: u64,
}

/// A host that is being waited for.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub since_us: i64,
    /// `connecting`, `attempt 3 of 10`, or nothing for a task that runs.
    pub what: String,
}

/// What the header needs.
pub(super) struct Header<'a> {
    pub play: &'a str,
    pub task: Option<&'a TaskInfo>,
    pub check: bool,
    pub elapsed_us: i64,
}

/// `play · 7/21 task                1:02`.
pub(super) fn header(header: &Header<'_>, options: &Options, paint: Paint) -> String {
    let time = words::clock(header.elapsed_us);
    let width = options.width.saturating_sub(1);
    let room = width.saturating_sub(time.len() + 2);
    let check = if header.check { "preview · " } else { "" };
    let task = header.task.map(|task| {
        let place = task
            .position
            .map(|(place, of)| format!("{place}/{of} "))
            .unwrap_or_default();
        format!("{place}{}", sanitize::name(&task.name))
    });
    let (play, task) = match task {
        // The task says more than the play: where room is short, the play's name gives way.
        Some(task) => {
            let play_room =
                room.saturating_sub(console::measure_text_width(&task) + 3 + check.len());
            let play = sanitize::line(header.play, play_room.max(12));
            let task = sanitize::clip(
                &task,
                room.saturating_sub(console::measure_text_width(&play) + 3 + check.len()),
            );
            (play, task)
        }
        None => (sanitize::line(header.play, room), String::new()),
    };
    let separator = if play.is_empty() || task.is_empty() {
        ""
    } else {
        " · "
    };
    let used = [check, &play, separator, &task]
        .iter()
        .map(|part| console::measure_text_width(part))
        .sum::<usize>();
    let gap = " ".repeat(width.saturating_sub(used + time.len()));
    format!(
        "{}{}{}{}{gap}{}",
        paint.cyan(check),
        paint.dim(&play),
        paint.dim(separator),
        paint.bold(&task),
        paint.dim(&time)
    )
}

/// `150/200  ok 148  changed 2`.
pub(super) fn counts(
    done: u64,
    total: u64,
    by_status: &HashMap<Status, u64>,
    check: bool,
    paint: Paint,
) -> String {
    let mut line = format!("{done}/{total}");
    let order = [
        Status::Failed,
        Status::Unreachable,
        Status::Unknown,
        Status::Changed,
        Status::Ok,
        Status::Skipped,
    ];
    for status in order {
        let count = by_status.get(&status).copied().unwrap_or(0);
        if count > 0 {
            let word = words::status(status, check);
            line.push_str("  ");
            line.push_str(&paint.status(status, &format!("{word} {count}")));
        }
    }
    line
}

/// The hosts waited for longest, which come first, one a line, and how many more there are; `taken` rows are needed for
/// something else.
pub(super) fn waiting(
    hosts: &[(String, Waiting)],
    now_us: i64,
    taken: usize,
    options: &Options,
    paint: Paint,
) -> String {
    let free = options.rows.saturating_sub(ROWS_FREE + taken);
    let slots = free.min(NAMED_MAX);
    let is_late = |waiting: &Waiting| now_us - waiting.since_us >= NAMED_AFTER_US;
    let late: Vec<_> = hosts.iter().filter(|(_, it)| is_late(it)).collect();
    if slots == 0 {
        return String::new();
    }
    let named = if late.len() > slots {
        slots.saturating_sub(1)
    } else {
        slots
    };
    let mut lines: Vec<String> = late
        .iter()
        .take(named)
        .map(|(host, waiting)| {
            let time = words::clock(now_us - waiting.since_us);
            let host = sanitize::line(host, options.width.saturating_sub(time.len() + 24).max(12));
            let host = format!("{host:<12}");
            let used = console::measure_text_width(&host) + time.len() + 7;
            let what = sanitize::line(&waiting.what, options.width.saturating_sub(used));
            format!("  {host}  {time}  {}", paint.dim(&what))
        })
        .collect();
    if late.len() > named {
        lines.push(paint.dim(&format!("  +{} more", late.len() - named)));
    }
    lines
        .iter()
        .fold(String::new(), |text, line| text + "\n" + line.trim_end())
}
