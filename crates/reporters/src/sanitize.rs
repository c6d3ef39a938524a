//! Text from hosts and files, made harmless for a terminal and bounded.
//!
//! A host may send anything, and a terminal obeys escape sequences: window titles, clipboard writes, hidden or
//! reordered text. What could be obeyed becomes visible instead (`\x1b`, `\u{202e}`).

use console::{measure_text_width, truncate_str};

/// Longest text (bytes) that is looked at for one message; the rest is cut off with a note.
const TEXT_MAX: usize = 256 * 1024;

/// Is this a character that a terminal (or a reader's eye) would obey rather than show?
fn is_control(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_visible(out: &mut String, char: char) {
    use std::fmt::Write as _;
    let code = u32::from(char);
    // Writing to a String cannot fail.
    let _ = if code < 0x100 {
        write!(out, "\\x{code:02x}")
    } else {
        write!(out, "\\u{{{code:x}}}")
    };
}

/// The text with every control character made visible, except line feeds and tabs. `\r\n` counts as a line feed.
pub fn text(raw: &str) -> String {
    let bounded = bounded(raw);
    let mut out = String::with_capacity(bounded.len());
    let mut chars = bounded.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\n' | '\t' => out.push(char),
            '\r' if chars.peek() == Some(&'\n') => {}
            char if is_control(char) => push_visible(&mut out, char),
            char => out.push(char),
        }
    }
    if bounded.len() < raw.len() {
        out.push_str("\n[... cut off]");
    }
    out
}

/// The text as one line: controls visible, line breaks and tabs as spaces, at most `columns` wide.
pub fn line(raw: &str, columns: usize) -> String {
    let one: String = text(raw)
        .trim_end()
        .chars()
        .map(|char| {
            if matches!(char, '\n' | '\t') {
                ' '
            } else {
                char
            }
        })
        .collect();
    clip(&one, columns)
}

/// A name (host, task, item): as [`line`], at most 200 columns.
pub fn name(raw: &str) -> String {
    line(raw, 200)
}

/// Cuts a line of harmless text to `columns`, with `…` at the end where something is missing.
pub fn clip(line: &str, columns: usize) -> String {
    if measure_text_width(line) <= columns {
        line.to_owned()
    } else {
        truncate_str(line, columns, "…").into_owned()
    }
}

/// The last `lines_max` lines of a text, each at most `columns` wide, and how many lines stand before them.
pub fn tail(raw: &str, lines_max: usize, columns: usize) -> (usize, Vec<String>) {
    let start = raw.len().saturating_sub(TEXT_MAX);
    let start = (start..=raw.len())
        .find(|at| raw.is_char_boundary(*at))
        .unwrap_or(0);
    let skipped_before = raw[..start].matches('\n').count();
    let clean = text(&raw[start..]);
    let lines: Vec<&str> = clean.trim_end().lines().collect();
    let from = lines.len().saturating_sub(lines_max);
    let shown = lines[from..]
        .iter()
        .map(|line| clip(&expand_tabs(line), columns))
        .collect();
    (skipped_before + from, shown)
}

/// Tabs as spaces, so that a line's width is known.
pub fn expand_tabs(line: &str) -> String {
    line.replace('\t', "    ")
}

/// JSON text with the controls that JSON itself lets through (C1, DEL, bidi) escaped. They occur in strings only.
pub fn json(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if is_control(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(char);
        }
    }
    out
}

/// The same text with each control character (except line feed and tab) replaced by one of the same length in
/// UTF-8, so that byte ranges into it stay right.
pub fn same_length(raw: &str) -> String {
    raw.chars()
        .map(|char| match char {
            '\n' | '\t' => char,
            char if !is_control(char) => char,
            char => match char.len_utf8() {
                1 => '?',
                2 => '\u{b7}',
                3 => '\u{fffd}',
                _ => '\u{10fffd}',
            },
        })
        .collect()
}

fn bounded(raw: &str) -> &str {
    if raw.len() <= TEXT_MAX {
        return raw;
    }
    let end = (0..=TEXT_MAX)
        .rev()
        .find(|at| raw.is_char_boundary(*at))
        .unwrap_or(0);
    &raw[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_visible() {
        assert_eq!(
            text("a\x1b]0;owned\x07b\u{9b}31m\u{202e}x\u{7f}"),
            "a\\x1b]0;owned\\x07b\\x9b31m\\u{202e}x\\x7f"
        );
        assert_eq!(text("one\r\ntwo\rthree\tx"), "one\ntwo\\x0dthree\tx");
        assert_eq!(line("a\nb\tc\n", 80), "a b c");
    }

    #[test]
    fn lines_are_bounded() {
        assert_eq!(line("abcdefgh", 5), "abcd…");
        let (before, shown) = tail("1\n2\n3\n4\n", 2, 10);
        assert_eq!((before, shown), (2, vec!["3".to_owned(), "4".to_owned()]));
        let huge = "é".repeat(TEXT_MAX);
        assert!(text(&huge).len() < TEXT_MAX + 100);
        assert_eq!(tail(&huge, 3, 10).1.len(), 1);
    }

    #[test]
    fn json_keeps_its_meaning() {
        let raw = serde_json::to_string("a\u{9b}\u{202e}\u{7f}\u{e0001}").unwrap();
        let safe = json(&raw);
        assert!(safe.is_ascii());
        let back: String = serde_json::from_str(&safe).unwrap();
        assert_eq!(back, "a\u{9b}\u{202e}\u{7f}\u{e0001}");
    }

    #[test]
    fn replacement_keeps_byte_offsets() {
        let raw = "\x1b\u{9b}\u{202e}\u{e0001}x";
        let safe = same_length(raw);
        assert_eq!(safe.len(), raw.len());
        assert!(!safe.chars().any(is_control));
    }
}
