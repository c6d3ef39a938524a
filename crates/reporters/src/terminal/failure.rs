//! A failure in full: message, standard error, the task's source line, a hint.

use hostler_diag::{Location, SourceMap};
use hostler_events::{Status, TaskInfo, TaskResult};

use crate::style::Paint;
use crate::{Options, sanitize};

/// Where text under a status begins.
pub(super) const INDENT: usize = 15;
/// Lines of a message and of standard error that are shown.
const LINES: usize = 10;
/// The same with `-v`.
const LINES_VERBOSE: usize = 200;
/// Failed items that are named.
const ITEMS: usize = 5;

/// The message of a failure, in words.
pub(super) fn message(result: &TaskResult) -> String {
    let own = result
        .message
        .as_deref()
        .or_else(|| {
            result
                .value
                .get("msg")
                .and_then(hostler_value::Value::as_str)
        })
        .unwrap_or("no message");
    match &result.unreachable {
        Some(why) if own.is_empty() || own == why.detail => {
            format!("{}: {}", why.reason, why.detail)
        }
        Some(why) if !own.contains(&why.reason) => format!("{}: {own}", why.reason),
        _ => own.to_owned(),
    }
}

/// What is shown of a host that failed.
pub(super) struct Failure<'a> {
    pub host: &'a str,
    pub task: &'a TaskInfo,
    pub result: &'a TaskResult,
    /// Failed items: label and message.
    pub items: &'a [(String, String)],
}

/// The failure's lines.
pub(super) fn lines(
    failure: &Failure<'_>,
    sources: &SourceMap,
    options: &Options,
    paint: Paint,
) -> Vec<String> {
    let result = failure.result;
    let host = sanitize::name(failure.host);
    let status = status_words(result);
    let room = options.width.saturating_sub(INDENT).max(20);
    let lines_max = if options.verbosity > 0 {
        LINES_VERBOSE
    } else {
        LINES
    };
    let message = wrap(&format!("{host}: {}", message(result)), room, lines_max);
    let mut lines = Vec::new();
    for (index, text) in message.into_iter().enumerate() {
        let first = format!("  {status:<12} ");
        let lead = if index == 0 {
            paint.status(result.status, &first)
        } else {
            " ".repeat(INDENT)
        };
        lines.push(format!("{lead}{text}"));
    }
    let mut under = |text: String| lines.push(format!("{}{text}", " ".repeat(INDENT)));
    for (label, message) in failure.items.iter().take(ITEMS) {
        under(sanitize::line(&format!("item {label}: {message}"), room));
    }
    if failure.items.len() > ITEMS {
        under(format!(
            "+{} more items failed",
            failure.items.len() - ITEMS
        ));
    }
    for text in output(result, room, lines_max) {
        under(paint.dim(&text));
    }
    if result.status == Status::Failed {
        let at = result.location.as_ref().or(failure.task.location.as_ref());
        for text in at
            .map(|at| source_line(at, sources, room))
            .unwrap_or_default()
        {
            under(paint.dim(&text));
        }
    }
    if let Some(hint) = &result.hint {
        for (index, text) in wrap(hint, room.saturating_sub(6), 4)
            .into_iter()
            .enumerate()
        {
            let lead = if index == 0 {
                paint.cyan("hint: ")
            } else {
                "      ".into()
            };
            under(format!("{lead}{text}"));
        }
    }
    lines
}

/// `failed`, or what the playbook makes of it.
pub(super) fn status_words(result: &TaskResult) -> &'static str {
    match (result.status, result.ignored, result.rescued) {
        (_, true, _) => "ignored",
        (_, _, true) => "rescued",
        (Status::Unreachable, ..) => "unreachable",
        _ => "failed",
    }
}

/// The end of standard error, else of standard output.
fn output(result: &TaskResult, room: usize, lines_max: usize) -> Vec<String> {
    let text = |key: &str| {
        result
            .value
            .get(key)
            .and_then(hostler_value::Value::as_str)
            .filter(|text| !text.trim().is_empty())
    };
    let Some((name, text)) = text("stderr")
        .map(|text| ("stderr", text))
        .or_else(|| text("stdout").map(|text| ("stdout", text)))
    else {
        return Vec::new();
    };
    let (before, shown) = sanitize::tail(text, lines_max, room.saturating_sub(2));
    let cut = if before > 0 {
        format!(
            "{name}, last {} of {} lines:",
            shown.len(),
            before + shown.len()
        )
    } else {
        format!("{name}:")
    };
    std::iter::once(cut)
        .chain(shown.into_iter().map(|line| format!("  {line}")))
        .collect()
}

/// `site.yml:34:7` and the line itself.
fn source_line(at: &Location, sources: &SourceMap, room: usize) -> Vec<String> {
    let mut lines = vec![sanitize::line(&at.to_string(), room)];
    if let Some(source) = sources.find(&at.file) {
        let text = source.line(at.line).trim_end();
        if !text.trim().is_empty() {
            let shown = sanitize::expand_tabs(&sanitize::text(text));
            lines.push(sanitize::clip(&format!("  {} | {shown}", at.line), room));
        }
    }
    lines
}

/// Breaks harmless lines at spaces to fit `room`; at most `lines_max`.
pub(super) fn wrap(raw: &str, room: usize, lines_max: usize) -> Vec<String> {
    let room = room.max(8);
    let mut lines: Vec<String> = Vec::new();
    'text: for paragraph in sanitize::text(raw).trim_end().lines() {
        let mut line = String::new();
        for word in sanitize::expand_tabs(paragraph).split(' ') {
            let width = console::measure_text_width(&line);
            let more = console::measure_text_width(word);
            if width > 0 && width + 1 + more > room {
                lines.push(std::mem::take(&mut line));
                if lines.len() > lines_max {
                    break 'text;
                }
            } else if width > 0 {
                line.push(' ');
            }
            line.push_str(word);
            while console::measure_text_width(&line) > room {
                let head: String = line.chars().take(room).collect();
                line = line.chars().skip(room).collect();
                lines.push(head);
                if lines.len() > lines_max {
                    break 'text;
                }
            }
        }
        lines.push(line);
        if lines.len() > lines_max {
            break;
        }
    }
    if lines.len() > lines_max {
        lines.truncate(lines_max);
        lines.push("[... cut off]".to_owned());
    }
    lines
}
