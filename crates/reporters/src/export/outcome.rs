//! What is told of a result, the same in every form; and equal results of a task told once.

use hostler_events::Status;
use hostler_record::{ResultRecord, TaskRecord};
use hostler_value::Value;

use crate::fold::{Groups, Outcome, without_host};
use crate::preview::words::lines;
use crate::{sanitize, words};

/// Lines of a program's output that are told of a failure, the last ones.
const OUTPUT_LINES: usize = 20;
/// Longest line (columns) of it.
const OUTPUT_COLUMNS: usize = 500;

/// How a result is called: its status, or what the playbook makes of a failure.
pub(crate) fn word(result: &ResultRecord, check: bool) -> &'static str {
    match (result.status, result.ignored, result.rescued) {
        (_, true, _) => "ignored",
        (_, _, true) => "rescued",
        _ => words::status(result.status, check),
    }
}

/// The message, the failed items, and the end of what the program wrote, harmless; empty if there is nothing to say.
pub(crate) fn full_message(result: &ResultRecord) -> String {
    let mut parts = Vec::new();
    let own = result.message.as_deref().or_else(|| field(result, "msg"));
    let own = own.unwrap_or_default().trim();
    match &result.unreachable {
        Some(reason) if !own.contains(reason.as_str()) => {
            parts.push(sanitize::text(&format!("{reason}: {own}")));
        }
        _ if !own.is_empty() => parts.push(sanitize::text(own)),
        _ => {}
    }
    let failed = |status| matches!(status, Status::Failed | Status::Unreachable);
    for item in result.items.iter().filter(|it| failed(it.status)) {
        let message = item.message.as_deref().unwrap_or_default();
        let text = format!("item {}: {message}", item.label);
        parts.push(sanitize::line(&text, OUTPUT_COLUMNS));
    }
    if failed(result.status) {
        for name in ["stderr", "stdout"] {
            let text = field(result, name).unwrap_or_default();
            if text.trim().is_empty() {
                continue;
            }
            let (before, shown) = sanitize::tail(text, OUTPUT_LINES, OUTPUT_COLUMNS);
            parts.push(if before > 0 {
                format!(
                    "{name}, last {} of {} lines:",
                    shown.len(),
                    before + shown.len()
                )
            } else {
                format!("{name}:")
            });
            parts.extend(shown.into_iter().map(|line| format!("  {line}")));
        }
    }
    parts.join("\n")
}

fn field<'a>(result: &'a ResultRecord, name: &str) -> Option<&'a str> {
    result.value.get(name).and_then(Value::as_str)
}

/// Hosts that came out the same.
pub(crate) struct TaskGroup<'a> {
    /// Of the first of them.
    pub result: &'a ResultRecord,
    /// Their names.
    pub hosts: Vec<String>,
    /// They differ in more than their names, there are that many outcomes.
    pub mixed: bool,
}

/// Equal results told once, worst first. Two changes are equal if they are shown the same: with their texts, if
/// `texts`, else in few words.
pub(crate) fn groups(task: &TaskRecord, texts: bool) -> Vec<TaskGroup<'_>> {
    let mut groups = Groups::default();
    for result in &task.results {
        let deltas: Vec<_> = result.all_deltas().cloned().collect();
        let mut text = match &result.unreachable {
            // Details name addresses; the reason is what hosts have in common.
            Some(reason) if !texts => reason.clone(),
            _ => without_host(&full_message(result), &result.host),
        };
        if !texts {
            for line in lines(&deltas) {
                text.push_str(&without_host(&line.subject, &result.host));
                text.push_str(&without_host(&line.what, &result.host));
            }
        }
        groups.add(
            &result.host,
            Outcome {
                status: result.status,
                ignored: result.ignored,
                rescued: result.rescued,
                incomplete: false,
                text,
                deltas: if texts { deltas } else { Vec::new() },
            },
        );
    }
    let find = |host: &String| task.results.iter().find(|it| it.host == *host);
    groups
        .sorted()
        .into_iter()
        .filter_map(|group| {
            Some(TaskGroup {
                result: find(&group.first)?,
                hosts: group.hosts,
                mixed: group.mixed,
            })
        })
        .collect()
}
