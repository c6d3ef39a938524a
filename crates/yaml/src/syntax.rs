//! Syntax errors: libyaml's words, the place, and a hint for the mistakes that people make.

use hostler_diag::Diagnostic;

use crate::libyaml::SyntaxError;
use crate::marks::Marks;

/// The diagnostic for text that libyaml cannot read.
pub(crate) fn explain(text: &str, marks: &Marks, error: &SyntaxError) -> Diagnostic {
    let at = marks.byte(error.at);
    let width = text
        .get(at as usize..)
        .and_then(|rest| rest.chars().next())
        .filter(|ch| *ch != '\n')
        .map_or(0, |ch| u32::try_from(ch.len_utf8()).unwrap_or(1));
    let span = marks.bytes_span(at, at.saturating_add(width));
    let mut diagnostic = Diagnostic::error("yaml-syntax", error.problem.clone()).at(span);
    let mut context_at = None;
    if let Some((context, start)) = &error.context {
        let start = marks.byte(*start);
        if start != at {
            context_at = Some(start as usize);
            diagnostic = diagnostic.label(marks.bytes_span(start, start), context.clone());
        }
    }
    for hint in hints(text, at as usize, context_at, &error.problem) {
        diagnostic = diagnostic.hint(hint);
    }
    diagnostic
}

/// The line in which a byte lies.
fn line_at(text: &str, at: usize) -> &str {
    let at = at.min(text.len());
    let start = text.get(..at).and_then(|before| before.rfind('\n'));
    let start = start.map_or(0, |start| start + 1);
    text.get(start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or("")
}

/// The last line before the one of `at` that has more than blanks.
fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at.min(text.len())).unwrap_or("");
    let before = before.rfind('\n').map_or("", |end| &before[..end]);
    before
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
}

/// The value part of a line: behind list dashes and behind the first `key: `.
fn value_of(line: &str) -> &str {
    let mut rest = line.trim();
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    match rest.split_once(": ") {
        Some((key, value)) if !key.contains(['"', '\'', '{', '[']) => value.trim(),
        _ => rest,
    }
}

fn hints(text: &str, at: usize, context_at: Option<usize>, problem: &str) -> Vec<String> {
    let line = line_at(text, at);
    let context_line = context_at.map_or("", |at| line_at(text, at));
    let before = line_before(text, at);
    let value = value_of(line);
    let indent = &line[..line.len() - line.trim_start().len()];
    if problem.contains("control characters") {
        return vec!["remove the character, or write it as an escape in double quotes".into()];
    }
    if indent.contains('\t')
        || problem.contains("tab character")
        || line.trim_start().starts_with("-\t")
    {
        return vec!["YAML does not allow tabs for indentation: use spaces".into()];
    }
    let unquoted = [value, value_of(context_line), value_of(before)]
        .into_iter()
        .find(|value| value.starts_with("{{") || value.starts_with("{%"));
    if let Some(value) = unquoted {
        return vec![format!(
            "quote values that start with `{}`: `key: \"{{{{ name }}}}\"`",
            &value[..2]
        )];
    }
    if let Some(hint) = quote_hint(text, at, context_at, line, before) {
        return vec![hint];
    }
    if let Some(first) = value.chars().next().filter(|ch| "@`%&*!|>".contains(*ch))
        && (problem.contains("cannot start any token") || problem.contains("alphabetic or numeric"))
    {
        return vec![format!("text that starts with `{first}` must be quoted")];
    }
    if let Some(key) = [line, before, context_line]
        .into_iter()
        .find_map(glued_colon)
    {
        return vec![format!("put a space behind the colon of `{key}:`")];
    }
    if problem.contains("mapping values are not allowed") {
        if value.contains(": ") || value.ends_with(':') {
            return vec!["quote the value: plain text must not contain `: `".into()];
        }
        return vec![
            "check the indentation: a key must line up with the other keys of its mapping".into(),
        ];
    }
    if problem.contains("sequence entries are not allowed") || problem.contains("expected key") {
        return vec!["check the indentation of this line against the lines above it".into()];
    }
    Vec::new()
}

/// `key:value` on a line without another colon.
fn glued_colon(line: &str) -> Option<&str> {
    let mut rest = line.trim();
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    let (key, value) = rest.split_once(':')?;
    let word = !key.is_empty()
        && key
            .chars()
            .all(|ch| ch.is_alphanumeric() || matches!(ch, '_' | '-' | '.'));
    let glued = value.starts_with(|ch: char| !ch.is_whitespace() && ch != '/' && ch != ':');
    (word && glued && !value.contains(": ")).then_some(key)
}

/// Quotes that close too early, or never.
fn quote_hint(
    text: &str,
    at: usize,
    context_at: Option<usize>,
    line: &str,
    before: &str,
) -> Option<String> {
    let context = context_at.and_then(|at| text.get(at..)).unwrap_or("");
    if context.starts_with(['"', '\'']) && text.get(at..).is_none_or(|rest| rest.trim().is_empty())
    {
        let quote = &context[..1];
        return Some(format!("the quote {quote} that opens here is never closed"));
    }
    for candidate in [line, before] {
        let value = value_of(candidate);
        let Some(quote) = value.chars().next().filter(|ch| matches!(ch, '"' | '\'')) else {
            continue;
        };
        let body = &value[1..];
        let Some(close) = body.find(quote) else {
            continue;
        };
        let tail = body[close + 1..].trim();
        if !tail.is_empty() && !tail.starts_with([':', ',', '#', ']', '}', quote]) {
            let other = if quote == '"' { '\'' } else { '"' };
            return Some(format!(
                "a value that starts with {quote} ends at the next {quote}: put the whole value in {other} quotes"
            ));
        }
    }
    None
}
