//! Problems in users' files, for people (source line, caret, hint) and for programs (JSON).

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use hostler_diag::{Diagnostic, Label, Severity, SourceId, SourceMap};
use hostler_preview::Mask;
use hostler_value::Secret;
use serde_json::json;

use crate::Options;
use crate::sanitize;

/// Bytes of a source shown around a label: a file without line breaks must not fill the screen.
const WINDOW: usize = 4096;
/// Width of a problem's list of hosts; those that do not fit are counted.
const HOSTS_COLUMNS: usize = 200;

/// All problems for people, errors last counted: `2 errors, 1 warning`.
pub fn render_diagnostics(
    diagnostics: &[Diagnostic],
    sources: &SourceMap,
    options: &Options,
) -> String {
    let renderer = if options.color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer
        .decor_style(DecorStyle::Ascii)
        .term_width(options.width.max(40));
    let mut out = String::new();
    for diagnostic in without_secrets(diagnostics, sources).iter() {
        out.push_str(&renderer.render(&[group(diagnostic, sources)]));
        out.push_str("\n\n");
    }
    let errors = diagnostics.iter().filter(|it| it.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let summary: Vec<String> = [count(errors, "error"), count(warnings, "warning")]
        .into_iter()
        .flatten()
        .collect();
    if diagnostics.len() > 1 {
        out.push_str(&summary.join(", "));
        out.push('\n');
    }
    out
}

/// The same problems without what the files mark `!secret`.
fn without_secrets<'a>(
    diagnostics: &'a [Diagnostic],
    sources: &SourceMap,
) -> Cow<'a, [Diagnostic]> {
    let hidden = sources.hidden_since(0);
    if hidden.is_empty() {
        return Cow::Borrowed(diagnostics);
    }
    let mask = Mask::new(hidden.iter().map(|it| Secret::new(&*it.text)));
    let mut diagnostics = diagnostics.to_vec();
    for diagnostic in &mut diagnostics {
        mask.diagnostic(diagnostic);
    }
    Cow::Owned(diagnostics)
}

fn group<'a>(diagnostic: &Diagnostic, sources: &SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(sanitize::line(&diagnostic.message, 2000))
        .id(sanitize::name(&diagnostic.code));
    let mut group = Group::with_title(title);
    for (index, source) in in_order(&diagnostic.labels).into_iter().enumerate() {
        group = group.element(snippet(diagnostic, source, index == 0, sources));
    }
    if let Some(hosts) = hosts_of(diagnostic, HOSTS_COLUMNS) {
        let on = Level::NOTE.with_name(Some("on"));
        group = group.element(on.message(hosts));
    }
    for hint in &diagnostic.hints {
        let help = Level::HELP.with_name(Some("hint"));
        group = group.element(help.message(sanitize::line(hint, 2000)));
    }
    group
}

/// The hosts that a problem concerns, folded: `web[01-20], db02`, `all 200 hosts`.
pub(crate) fn hosts_of(diagnostic: &Diagnostic, columns: usize) -> Option<String> {
    let on = diagnostic.on.as_ref()?;
    if on.all && on.hosts.len() > 1 {
        return Some(format!("all {} hosts", on.hosts.len()));
    }
    let names: Vec<String> = on.hosts.iter().map(|name| sanitize::name(name)).collect();
    Some(crate::hosts::fold_line(&names, columns))
}

/// The texts that labels point into, that of the first label first.
fn in_order(labels: &[Label]) -> Vec<SourceId> {
    let mut order = Vec::new();
    for label in labels {
        if !order.contains(&label.span.source) {
            order.push(label.span.source);
        }
    }
    order
}

fn snippet<'a>(
    diagnostic: &Diagnostic,
    source: SourceId,
    first: bool,
    sources: &SourceMap,
) -> Snippet<'a, Annotation<'a>> {
    let text = sources.get(source);
    let mut labels = diagnostic
        .labels
        .iter()
        .filter(|label| label.span.source == source);
    let all: Vec<&Label> = labels.by_ref().collect();
    let window = window(&text.text, &all);
    let safe = sanitize::same_length(&text.text[window.clone()]);
    let hidden = hidden_in(diagnostic, source, sources);
    let safe = masked(&safe, &window, &hidden);
    let line = text.line_of(u32::try_from(window.start).unwrap_or(u32::MAX));
    let mut snippet = Snippet::source(safe)
        .line_start(line as usize)
        .path(sanitize::line(&text.name, 400));
    for (index, label) in all.iter().enumerate() {
        let Some(range) = range_in(&text.text, label, &window) else {
            continue;
        };
        let kind = if first && index == 0 {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let mut annotation = kind.span(range);
        if !label.message.is_empty() {
            annotation = annotation.label(sanitize::line(&label.message, 400));
        }
        snippet = snippet.annotation(annotation);
    }
    snippet
}

/// Where a text must not be shown: as the problem says, as `!secret` says, and behind a `!secret` that could not be read.
fn hidden_in(diagnostic: &Diagnostic, source: SourceId, sources: &SourceMap) -> Vec<Range<usize>> {
    let labels = diagnostic.labels.iter().filter(|label| label.hidden);
    let noted = sources.hidden_since(0).into_iter().map(|it| it.span);
    let spans = labels.map(|label| label.span).chain(noted);
    let mut hidden: Vec<Range<usize>> = spans
        .filter(|span| span.source == source)
        .map(|span| span.start as usize..span.end as usize)
        .collect();
    let text = &sources.get(source).text;
    for (at, tag) in text.match_indices("!secret") {
        let from = at + tag.len();
        let line = text[from..].find('\n').map_or(text.len(), |end| from + end);
        hidden.push(from..line);
    }
    hidden
}

/// The text with a star for every byte of what is hidden; line breaks stay.
fn masked(text: &str, window: &Range<usize>, hidden: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, ch) in text.char_indices() {
        let at = window.start + at;
        if ch != '\n' && hidden.iter().any(|range| range.contains(&at)) {
            out.extend(std::iter::repeat_n('*', ch.len_utf8()));
        } else {
            out.push(ch);
        }
    }
    out
}

/// The part of the text that holds the labels: whole lines around them, cut where lines are very long.
fn window(text: &str, labels: &[&Label]) -> Range<usize> {
    let clamp = |at: u32| floor(text, at as usize);
    let start = labels
        .iter()
        .map(|it| clamp(it.span.start))
        .min()
        .unwrap_or(0);
    let end = labels
        .iter()
        .map(|it| {
            clamp(
                it.span
                    .start
                    .max(it.span.end.min(it.span.start.saturating_add(400))),
            )
        })
        .max()
        .unwrap_or(0);
    let earliest = floor(text, start.saturating_sub(WINDOW));
    let latest = floor(text, end.saturating_add(WINDOW));
    let from = text[earliest..start]
        .rfind('\n')
        .map_or(earliest, |at| earliest + at + 1);
    let to = text[end..latest].find('\n').map_or(latest, |at| end + at);
    from..to.max(from)
}

fn range_in(text: &str, label: &Label, window: &Range<usize>) -> Option<Range<usize>> {
    let start = floor(text, label.span.start as usize);
    let end = floor(text, label.span.end as usize).min(window.end);
    if start < window.start || start > window.end {
        return None;
    }
    let start = start - window.start;
    Some(start..(end.max(start + window.start) - window.start))
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(0)
}

/// All problems as one JSON array. Each has `code`, `severity`, `message`, `hints` and `labels` with `file`, `line`,
/// `column` (from 1) and `message`. What concerns certain hosts has `hosts` and `all_hosts` too.
pub fn diagnostics_as_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let all: Vec<serde_json::Value> = without_secrets(diagnostics, sources)
        .iter()
        .map(|diagnostic| {
            let labels: Vec<serde_json::Value> = diagnostic
                .labels
                .iter()
                .map(|label| {
                    let at = sources.locate(label.span);
                    json!({
                        "file": at.file,
                        "line": at.line,
                        "column": at.column,
                        "message": label.message,
                    })
                })
                .collect();
            let mut object = json!({
                "code": diagnostic.code,
                "severity": diagnostic.severity,
                "message": diagnostic.message,
                "labels": labels,
                "hints": diagnostic.hints,
            });
            if let Some(on) = &diagnostic.on {
                object["hosts"] = json!(on.hosts);
                object["all_hosts"] = json!(on.all);
            }
            object
        })
        .collect();
    sanitize::json(&serde_json::Value::Array(all).to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hostler_diag::Span;

    use super::*;

    fn sample() -> (SourceMap, Diagnostic) {
        let sources = SourceMap::new();
        let text = "- hosts: all\n  tasks:\n    - name: x\n      coppy: {src: a}\n";
        let id = sources.add_file(Path::new("site.yml"), text);
        let at = u32::try_from(text.find("coppy").unwrap()).unwrap();
        let diagnostic = Diagnostic::error("unknown-module", "no module is called `coppy`")
            .label(Span::new(id, at, at + 5), "not known")
            .label(Span::new(id, 2, 7), "in this play")
            .hint("did you mean `copy`?");
        (sources, diagnostic)
    }

    #[test]
    fn shows_place_line_caret_and_hint() {
        let (sources, diagnostic) = sample();
        let text = render_diagnostics(&[diagnostic], &sources, &Options::default());
        assert!(
            text.contains("error[unknown-module]: no module is called `coppy`"),
            "{text}"
        );
        assert!(text.contains("site.yml:4:7"), "{text}");
        assert!(text.contains("      coppy: {src: a}"), "{text}");
        assert!(text.contains("^^^^^ not known"), "{text}");
        assert!(text.contains("in this play"), "{text}");
        assert!(text.contains("hint: did you mean `copy`?"), "{text}");
    }

    #[test]
    fn hostile_text_is_harmless() {
        let sources = SourceMap::new();
        let id = sources.add_text("a\x1b[2J", "key: \x1b]0;x\x07\u{9b}\u{202e} value\n");
        let diagnostic = Diagnostic::warning("w\x1b", "bad\x1b[31m")
            .label(Span::new(id, 5, 6), "l\x1b")
            .label(Span::new(id, 9000, 9001), "past the end")
            .hint("h\x1b");
        let text = render_diagnostics(&[diagnostic], &sources, &Options::default());
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn hosts_are_folded_for_people_and_listed_for_programs() {
        let (sources, diagnostic) = sample();
        let names: Vec<String> = (1..=20).map(|n| format!("web{n:02}")).collect();
        let some = diagnostic.clone().on(names.clone(), 21);
        let all = diagnostic.on(names, 20);
        let text = render_diagnostics(&[some.clone(), all.clone()], &sources, &Options::default());
        assert!(text.contains("on: web[01-20]"), "{text}");
        assert!(text.contains("on: all 20 hosts"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&diagnostics_as_json(&[some, all], &sources)).unwrap();
        assert_eq!(json[0]["hosts"][19], "web20");
        assert_eq!(
            (&json[0]["all_hosts"], &json[1]["all_hosts"]),
            (&json!(false), &json!(true))
        );
    }

    #[test]
    fn what_is_hidden_is_not_shown() {
        let sources = SourceMap::new();
        let id = sources.add_text("vars.yml", "db_password: hunter2 # mine\n");
        let diagnostic = Diagnostic::warning("plain-secret", "in clear")
            .at(Span::new(id, 0, 11))
            .hiding(Span::new(id, 13, 20));
        let text = render_diagnostics(&[diagnostic], &sources, &Options::default());
        assert!(text.contains("db_password: ******* # mine"), "{text}");
    }

    #[test]
    fn what_a_file_marks_secret_is_shown_nowhere() {
        let sources = SourceMap::new();
        let text = "a: !secret hunter22\nb: !secret [unclosed1\nc: x\n";
        let id = sources.add_text("vars.yml", text);
        sources.hide(Span::new(id, 11, 19), "hunter22");
        let diagnostic = Diagnostic::error("x", "`hunter22` is no number")
            .label(Span::new(id, 0, 1), "hunter22 here")
            .label(Span::new(id, 20, 21), "not closed")
            .hint("not aHVudGVyMjI=");
        let all = [diagnostic];
        let text = render_diagnostics(&all, &sources, &Options::default());
        let json = diagnostics_as_json(&all, &sources);
        for shown in [text, json] {
            for secret in ["hunter", "unclosed1", "aHVudGVy"] {
                assert!(!shown.contains(secret), "{secret}: {shown}");
            }
        }
    }

    #[test]
    fn one_huge_line_is_cut() {
        let sources = SourceMap::new();
        let id = sources.add_text(
            "big",
            format!("{}é{}", "x".repeat(1 << 20), "y".repeat(1 << 20)),
        );
        let at = 1 << 20;
        let diagnostic = Diagnostic::error("e", "here").at(Span::new(id, at, at + 1));
        let text = render_diagnostics(&[diagnostic], &sources, &Options::default());
        assert!(text.len() < 4 * WINDOW, "{}", text.len());
    }

    #[test]
    fn json_has_places() {
        let (sources, diagnostic) = sample();
        let json: serde_json::Value =
            serde_json::from_str(&diagnostics_as_json(&[diagnostic], &sources)).unwrap();
        assert_eq!(json[0]["labels"][0]["line"], 4);
        assert_eq!(json[0]["labels"][0]["file"], "site.yml");
    }
}
