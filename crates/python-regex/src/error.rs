//! What can be wrong with a pattern, a template or a search.

use std::fmt::Write as _;

/// Why a pattern or template was refused, or a search given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// Python's `re.error`, with Python's words.
    #[error("{message}{}", at(*position, *line_column))]
    Syntax {
        /// The message without its position.
        message: String,
        /// Offset in characters, where Python gives one.
        position: Option<usize>,
        /// Line and column from 1; only given for text of several lines, as Python does.
        line_column: Option<(usize, usize)>,
    },
    /// A replacement template names a group the pattern does not have (Python's `IndexError`).
    #[error("unknown group name {0}")]
    UnknownGroup(String),
    /// Valid for Python, and deliberately not supported here.
    #[error("unsupported in a regular expression: {0}")]
    Unsupported(String),
    /// The pattern or template is longer than [`crate::PATTERN_CHARS_MAX`].
    #[error("pattern of {chars} characters is longer than the limit of {max}")]
    TooLong {
        /// Its length.
        chars: usize,
        /// The limit.
        max: usize,
    },
    /// The engine could not build the pattern: nested too deeply or too large when expanded.
    #[error("regular expression is too complex: {0}")]
    TooComplex(String),
    /// The search took more steps than allowed (catastrophic backtracking).
    #[error("regular expression search exceeded its backtracking limit")]
    BacktrackLimit,
}

impl RegexError {
    /// A syntax error that has no position in Python either.
    pub(crate) fn bare(message: impl Into<String>) -> Self {
        Self::Syntax {
            message: message.into(),
            position: None,
            line_column: None,
        }
    }

    /// A syntax error at a character of `text`.
    pub(crate) fn at(message: impl Into<String>, text: &[char], position: usize) -> Self {
        let line_column = text.contains(&'\n').then(|| {
            let before = &text[..position.min(text.len())];
            let line = before.iter().filter(|&&c| c == '\n').count() + 1;
            let start = before
                .iter()
                .rposition(|&c| c == '\n')
                .map_or(0, |newline| newline + 1);
            (line, position - start + 1)
        });
        Self::Syntax {
            message: message.into(),
            position: Some(position),
            line_column,
        }
    }
}

fn at(position: Option<usize>, line_column: Option<(usize, usize)>) -> String {
    match (position, line_column) {
        (None, _) => String::new(),
        (Some(position), None) => format!(" at position {position}"),
        (Some(position), Some((line, column))) => {
            format!(" at position {position} (line {line}, column {column})")
        }
    }
}

/// Text in quotes as Python's `repr` writes it, for messages.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() && u32::from(c) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
