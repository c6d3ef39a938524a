//! Deltas as lines: unified diffs of texts, properties before and after.

use std::time::Duration;

use hostler_change::{Change, Delta};
use hostler_value::Value;
use similar::{ChangeTag, TextDiff};

use crate::sanitize;
use crate::style::Paint;

/// Longest time that the comparison of two texts may take; after it the diff is coarser, never wrong.
const DEADLINE: Duration = Duration::from_millis(200);
/// Lines around a change.
const CONTEXT: usize = 3;

/// What a line of a diff is; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Header,
    Hunk,
    Add,
    Remove,
    Context,
    Note,
    /// A property or an action, complete in one line.
    Fact,
}

/// One line of a diff, harmless, without its line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiffLine {
    pub kind: Kind,
    pub text: String,
}

impl DiffLine {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        DiffLine {
            kind,
            text: text.into(),
        }
    }

    /// With its colour.
    pub(crate) fn painted(&self, paint: Paint) -> String {
        match self.kind {
            Kind::Header => paint.bold(&self.text),
            Kind::Hunk => paint.cyan(&self.text),
            Kind::Add => paint.green(&self.text),
            Kind::Remove => paint.red(&self.text),
            Kind::Context | Kind::Fact => self.text.clone(),
            Kind::Note => paint.dim(&self.text),
        }
    }
}

/// Deltas for people: texts as unified diffs, properties as `path  mode: 0644 → 0640`.
pub(crate) fn for_people(deltas: &[Delta]) -> Vec<DiffLine> {
    deltas.iter().flat_map(delta_for_people).collect()
}

fn delta_for_people(delta: &Delta) -> Vec<DiffLine> {
    let subject = sanitize::line(&delta.subject, 300);
    match &delta.change {
        Change::Text { before, after } => {
            let fate = match (before, after) {
                (None, Some(_)) => "  (new)",
                (Some(_), None) => "  (removed)",
                _ => "",
            };
            let mut lines = vec![DiffLine::new(Kind::Header, format!("{subject}{fate}"))];
            lines.extend(hunks(before.as_deref(), after.as_deref()));
            lines
        }
        Change::Opaque { before, after } => {
            let words = |side: &Option<String>| {
                side.as_deref()
                    .map_or_else(|| "nothing".to_owned(), |it| sanitize::line(it, 200))
            };
            let text = format!("{subject}  content: {} → {}", words(before), words(after));
            vec![DiffLine::new(Kind::Fact, text)]
        }
        Change::Field {
            name,
            before,
            after,
        } => {
            let name = sanitize::line(name, 100);
            let text = format!(
                "{subject}  {name}: {} → {}",
                field_words(before),
                field_words(after)
            );
            vec![DiffLine::new(Kind::Fact, text)]
        }
        Change::Action(what) => {
            let text = format!("{subject}  {}", sanitize::line(what, 300));
            vec![DiffLine::new(Kind::Fact, text)]
        }
    }
}

fn field_words(value: &Value) -> String {
    if value.is_null() {
        "nothing".to_owned()
    } else {
        sanitize::line(&value.to_text(), 200)
    }
}

/// Deltas as `ansible-playbook --diff` prints them: `--- before: path`, `+++ after: path`, hunks.
pub(crate) fn as_unified(deltas: &[Delta]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = deltas;
    while let Some((delta, others)) = rest.split_first() {
        let subject = sanitize::line(&delta.subject, 300);
        match &delta.change {
            Change::Text { before, after } => {
                let body = hunks(before.as_deref(), after.as_deref());
                if !body.is_empty() {
                    lines.extend(headers(&subject, before.is_some(), after.is_some()));
                    lines.extend(body.into_iter().map(|line| line.text));
                    lines.push(String::new());
                }
                rest = others;
            }
            Change::Opaque { .. } => {
                lines.push(format!(
                    "diff skipped: {subject} is binary or too large to show"
                ));
                rest = others;
            }
            Change::Field { .. } => {
                let same = rest
                    .iter()
                    .take_while(|next| {
                        next.subject == delta.subject && matches!(next.change, Change::Field { .. })
                    })
                    .count();
                lines.extend(headers(&subject, true, true));
                let range = match same {
                    1 => "1".to_owned(),
                    many => format!("1,{many}"),
                };
                lines.push(format!("@@ -{range} +{range} @@"));
                for next in &rest[..same] {
                    if let Change::Field {
                        name,
                        before,
                        after,
                    } = &next.change
                    {
                        let name = sanitize::line(name, 100);
                        lines.push(format!("-{name}: {}", field_json(before)));
                        lines.push(format!("+{name}: {}", field_json(after)));
                    }
                }
                lines.push(String::new());
                rest = &rest[same..];
            }
            Change::Action(_) => rest = others,
        }
    }
    lines
}

/// A side that is not there has no name, as ansible-playbook has it.
fn headers(subject: &str, before: bool, after: bool) -> [String; 2] {
    let name = |there: bool| {
        if there {
            format!(": {subject}")
        } else {
            String::new()
        }
    };
    [
        format!("--- before{}", name(before)),
        format!("+++ after{}", name(after)),
    ]
}

fn field_json(value: &Value) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| value.to_text());
    sanitize::line(&json, 400)
}

/// The hunks of a unified diff of two texts.
fn hunks(before: Option<&str>, after: Option<&str>) -> Vec<DiffLine> {
    let before = before.unwrap_or("");
    let after = after.unwrap_or("");
    let diff = TextDiff::configure()
        .timeout(DEADLINE)
        .diff_lines(before, after);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push(DiffLine::new(Kind::Hunk, hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let (kind, sign) = match change.tag() {
                ChangeTag::Equal => (Kind::Context, ' '),
                ChangeTag::Insert => (Kind::Add, '+'),
                ChangeTag::Delete => (Kind::Remove, '-'),
            };
            let text = sanitize::expand_tabs(&sanitize::text(change.value()));
            let text = text.trim_end_matches('\n');
            lines.push(DiffLine::new(
                kind,
                format!("{sign}{}", sanitize::clip(text, 1000)),
            ));
            if change.missing_newline() {
                lines.push(DiffLine::new(Kind::Note, "\\ No newline at end of file"));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[DiffLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn texts_become_unified_diffs() {
        let delta = Delta::content("/etc/motd", Some(b"a\nb\n"), Some(b"a\nc\x1b[2J"));
        assert_eq!(
            texts(&for_people(std::slice::from_ref(&delta))),
            [
                "/etc/motd",
                "@@ -1,2 +1,2 @@",
                " a",
                "-b",
                "+c\\x1b[2J",
                "\\ No newline at end of file"
            ]
        );
        assert_eq!(
            as_unified(&[delta])[..2],
            ["--- before: /etc/motd", "+++ after: /etc/motd"]
        );
    }

    #[test]
    fn fields_of_one_subject_share_a_header() {
        let deltas = [
            Delta::field("/x", "mode", "0644", "0600"),
            Delta::field("/x", "owner", Value::Null, "bob"),
        ];
        assert_eq!(
            as_unified(&deltas),
            [
                "--- before: /x",
                "+++ after: /x",
                "@@ -1,2 +1,2 @@",
                "-mode: \"0644\"",
                "+mode: \"0600\"",
                "-owner: null",
                "+owner: \"bob\"",
                ""
            ]
        );
        assert_eq!(
            texts(&for_people(&deltas)),
            ["/x  mode: 0644 → 0600", "/x  owner: nothing → bob"]
        );
    }

    #[test]
    fn large_different_texts_end_in_time() {
        let lines = |factor: u64, modulus: u64| -> String {
            let numbers: Vec<String> = (0..50_000)
                .map(|n| (n * factor % modulus).to_string())
                .collect();
            numbers.join("\n")
        };
        let (old, new) = (lines(7919, 10_007), lines(104_729, 10_009));
        assert!(!hunks(Some(&old), Some(&new)).is_empty());
    }
}
