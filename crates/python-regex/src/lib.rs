//! Regular expressions that mean what `CPython` 3.11's `re` module means by them.
//!
//! ```text
//!  Python pattern ──parse──▶ syntax tree ──print──▶ fancy-regex pattern ──▶ match
//!  (source, parse,           (ast)          (print, casefold)             (regex)
//!   escape, class, flags)
//! ```
//!
//! Playbooks are full of patterns written for Python. Given to another engine unchanged most of
//! them work, and a few silently mean something else: `\<` becomes a word boundary, `$` stops
//! matching before a final newline, `[[]` opens a nested set. So no pattern reaches the engine
//! as written. It is parsed as Python parses it, with Python's refusals and Python's messages
//! ("missing ), unterminated subpattern at position 3"), and printed again in a small subset of
//! the engine's syntax in which every character class is spelt out.
//!
//! The rules come from the Python manual of the `re` module and from running `CPython` 3.11;
//! `tests/python.json` holds its answers to the cases the tests run.
//!
//! # Known differences
//!
//! * `\N{NAME}` (character by Unicode name) is refused: [`RegexError::Unsupported`].
//! * The `t` flag, undocumented and deprecated in 3.11, is refused likewise.
//! * A repetition whose body can match nothing: `(a*)*`. Python accepts one empty repetition at
//!   the end, so that the group ends up empty; here it keeps the last text it matched, and
//!   another alternative of the body may be tried first. Every difference that 140 000 random
//!   patterns showed was of this kind, or a mistake of `CPython` with possessive repetitions.
//! * A case-insensitive back-reference folds case as Unicode does: `İ` is not `i`, and the
//!   `ascii` flag does not keep `é` from matching `É`.
//! * A category that begins a pattern inside `(?u:...)` under the `ascii` flag is looked up as
//!   Unicode; `CPython` 3.11 searches for it in ASCII by mistake.
//! * A back-reference or a conditional whose width Python can compute is still refused inside a
//!   look-behind: [`RegexError::TooComplex`].
//! * Patterns are limited in length and nesting, and a search in steps
//!   ([`RegexError::TooLong`], [`RegexError::TooComplex`], [`RegexError::BacktrackLimit`]);
//!   Python would go on, if need be for ever.
//! * Unicode properties are those of the engine's Unicode version, newer than Python 3.11's 14.0.
//! * Positions in results are byte offsets into the text; positions in error messages count
//!   characters, as Python's do.

mod ast;
mod casefold;
mod class;
mod error;
mod escape;
mod flags;
mod matches;
mod parse;
mod print;
mod regex;
mod source;
mod template;

pub use error::RegexError;
pub use flags::Flags;
pub use matches::{Found, Match, MatchIter};
pub use regex::{Regex, escape};

/// Longest accepted pattern or replacement template, in characters.
///
/// The longest pattern seen in public roles is under 2 000; the limit keeps a hostile one from
/// occupying a controller thread while it is parsed.
pub const PATTERN_CHARS_MAX: usize = 32_768;
