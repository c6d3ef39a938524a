//! Differences in few words, one line for each thing that they are about.

use hostler_change::{Change, Delta};
use hostler_value::Value;
use similar::{ChangeTag, TextDiff};

use crate::sanitize;

/// Longest value (columns) in a line.
const VALUE_MAX: usize = 120;

/// One thing with what changes about it: `/etc/motd`, `mode 0644 -> 0640, +3 -1 lines`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub subject: String,
    pub what: String,
}

/// Neighbours about the same thing share a line.
pub(crate) fn lines<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> Vec<Line> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for delta in deltas {
        let subject = sanitize::line(&delta.subject, 300);
        let part = part(&delta.change);
        match lines.last_mut() {
            Some((last, parts)) if *last == subject => parts.push(part),
            _ => lines.push((subject, vec![part])),
        }
    }
    let line = |(subject, parts): (String, Vec<String>)| Line {
        subject,
        what: parts.join(", "),
    };
    lines.into_iter().map(line).collect()
}

fn part(change: &Change) -> String {
    match change {
        Change::Text { before, after } => text(before.as_deref(), after.as_deref()),
        Change::Opaque { before, after } => match (before, after) {
            (None, Some(after)) => format!("new, {}", sanitize::line(after, VALUE_MAX)),
            (Some(before), None) => format!("removed, was {}", sanitize::line(before, VALUE_MAX)),
            (before, after) => {
                let words =
                    |it: &Option<String>| sanitize::line(it.as_deref().unwrap_or(""), VALUE_MAX);
                format!("content {} -> {}", words(before), words(after))
            }
        },
        Change::Field {
            name,
            before,
            after,
        } => field(&sanitize::line(name, 100), before, after),
        Change::Action(what) => sanitize::line(what, 300),
    }
}

fn field(name: &str, before: &Value, after: &Value) -> String {
    let words = |value: &Value| sanitize::line(&value.to_text(), VALUE_MAX);
    let absent = |value: &Value| value.is_null() || value.as_str() == Some("absent");
    let plain = |value: &Value| matches!(value.as_str(), Some("present" | "file"));
    match name {
        "state" if absent(before) && plain(after) => "created".to_owned(),
        "state" if absent(before) => format!("created ({})", words(after)),
        "state" if absent(after) => "removed".to_owned(),
        "version" if before.is_null() => format!("install {}", words(after)),
        "version" if after.is_null() => format!("remove {}", words(before)),
        "version" => format!("{} -> {}", words(before), words(after)),
        _ if before.is_null() => format!("{name} {}", words(after)),
        _ if after.is_null() => format!("{name} {} -> nothing", words(before)),
        _ => format!("{name} {} -> {}", words(before), words(after)),
    }
}

fn text(before: Option<&str>, after: Option<&str>) -> String {
    let count = |text: &str| text.lines().count();
    let lines = |count: usize| {
        if count == 1 {
            "1 line".to_owned()
        } else {
            format!("{count} lines")
        }
    };
    match (before, after) {
        (None, Some(after)) => format!("new, {}", lines(count(after))),
        (Some(before), None) => format!("removed, was {}", lines(count(before))),
        (before, after) => {
            let (added, removed) = counts(before.unwrap_or(""), after.unwrap_or(""));
            format!("+{added} -{removed} lines")
        }
    }
}

fn counts(before: &str, after: &str) -> (usize, usize) {
    let diff = TextDiff::configure()
        .timeout(std::time::Duration::from_millis(100))
        .diff_lines(before, after);
    let mut counts = (0, 0);
    for change in diff.iter_all_changes() {
        match change.tag() {
            ChangeTag::Insert => counts.0 += 1,
            ChangeTag::Delete => counts.1 += 1,
            ChangeTag::Equal => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each_thing() {
        let deltas = [
            Delta::field("group shopops", "state", "absent", "present"),
            Delta::field("group shopops", "gid", Value::Null, 4200_u32),
            Delta::field("/srv/x", "mode", "0644", "0640"),
            Delta::content("/srv/x", Some(b"a\nb\n"), Some(b"a\nc\nd\n")),
            Delta::field("package nginx", "version", "1.22.1-9", "1.22.1-9+deb12u3"),
            Delta::action("unit ssh.service", "restarted\x1b[2J"),
        ];
        let told: Vec<String> = lines(&deltas)
            .into_iter()
            .map(|it| format!("{}: {}", it.subject, it.what))
            .collect();
        assert_eq!(
            told,
            [
                "group shopops: created, gid 4200",
                "/srv/x: mode 0644 -> 0640, +2 -1 lines",
                "package nginx: 1.22.1-9 -> 1.22.1-9+deb12u3",
                "unit ssh.service: restarted\\x1b[2J",
            ]
        );
    }
}
