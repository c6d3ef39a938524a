//! A compiled pattern and its operations.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use fancy_regex::{CompileError, Error as EngineError, RegexBuilder, RegexInput};

use crate::error::RegexError;
use crate::flags::Flags;
use crate::matches::{Found, Match, MatchIter};
use crate::parse::{Parsed, parse};
use crate::print::{Boundary, print};
use crate::template::Template;

/// Steps back that one search may take: some tenths of a second on a slow host.
///
/// The engine's default of a million is used up by a plain search through a megabyte.
const BACKTRACK_LIMIT: usize = 10_000_000;

/// Largest automaton of a part of the pattern that needs no backtracking, in bytes.
const AUTOMATON_BYTES_MAX: usize = 4 << 20;

/// Most instructions of the backtracking program.
const PROGRAM_INSTRUCTIONS_MAX: usize = 200_000;

/// A pattern compiled with Python's rules.
#[derive(Debug)]
pub struct Regex {
    parsed: ParsedParts,
    /// For text in ASCII, and for any text when the pattern has no `\b`.
    fast: Variants,
    /// For other text; none when `fast` will do.
    exact: Option<Variants>,
}

/// What stays of the parsed pattern.
#[derive(Debug)]
struct ParsedParts {
    flags: Flags,
    names: Arc<BTreeMap<String, usize>>,
    group_count: usize,
}

/// One printed pattern, with its engines built when first needed.
#[derive(Debug)]
struct Variants {
    pattern: String,
    search: Engine,
    start: Engine,
    full: Engine,
    not_empty: Engine,
}

type Engine = OnceLock<Result<Option<fancy_regex::Regex>, RegexError>>;

/// How a match must lie in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Anywhere,
    AtStart,
    WholeText,
    /// Exactly at the position of the search, and not empty.
    NotEmptyHere,
}

impl Variants {
    fn new(pattern: String) -> Self {
        let (search, start) = (Engine::new(), Engine::new());
        Self {
            pattern,
            search,
            start,
            full: Engine::new(),
            not_empty: Engine::new(),
        }
    }

    /// The engine for a shape; none when no match can have it.
    fn engine(&self, shape: Shape) -> Result<Option<&fancy_regex::Regex>, RegexError> {
        let pattern = &self.pattern;
        let (engine, pattern) = match shape {
            Shape::Anywhere => (&self.search, pattern.clone()),
            Shape::AtStart => (&self.start, format!(r"\A(?:{pattern})")),
            Shape::WholeText => (&self.full, format!(r"\A(?:{pattern})\z")),
            Shape::NotEmptyHere => (&self.not_empty, pattern.clone()),
        };
        match engine.get_or_init(|| build(&pattern, shape)) {
            Ok(engine) => Ok(engine.as_ref()),
            Err(error) => Err(error.clone()),
        }
    }
}

fn build(pattern: &str, shape: Shape) -> Result<Option<fancy_regex::Regex>, RegexError> {
    let engine = RegexBuilder::new(pattern)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(AUTOMATON_BYTES_MAX)
        .max_prog_size(PROGRAM_INSTRUCTIONS_MAX)
        .find_not_empty(shape == Shape::NotEmptyHere)
        .build();
    match engine {
        Ok(engine) => Ok(Some(engine)),
        Err(EngineError::CompileError(error))
            if matches!(*error, CompileError::PatternCanNeverMatch) =>
        {
            Ok(None)
        }
        Err(error) => Err(RegexError::TooComplex(error.to_string())),
    }
}

impl Regex {
    /// Compile a pattern.
    ///
    /// # Errors
    ///
    /// Whatever Python refuses, with its message; and patterns over the limits of this crate.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, RegexError> {
        let parsed = parse(pattern, flags)?;
        let fast = print(&parsed, Boundary::Engine)?;
        let exact = if fast.has_boundary {
            Some(Variants::new(print(&parsed, Boundary::Exact)?.pattern))
        } else {
            None
        };
        let Parsed {
            names,
            widths,
            flags,
            ..
        } = parsed;
        let parsed = ParsedParts {
            flags,
            names: Arc::new(names),
            group_count: widths.len() - 1,
        };
        let regex = Self {
            parsed,
            fast: Variants::new(fast.pattern),
            exact,
        };
        regex.fast.engine(Shape::Anywhere)?;
        Ok(regex)
    }

    /// The flags in effect: the caller's and those written at the start of the pattern.
    pub fn flags(&self) -> Flags {
        self.parsed.flags
    }

    /// Number of capturing groups, the whole match not counted.
    pub fn group_count(&self) -> usize {
        self.parsed.group_count
    }

    /// Names of the named groups with their numbers.
    pub fn group_names(&self) -> &BTreeMap<String, usize> {
        &self.parsed.names
    }

    fn run<'t>(
        &self,
        text: &'t str,
        position: usize,
        shape: Shape,
    ) -> Result<Option<Match<'t>>, RegexError> {
        let variants = match &self.exact {
            Some(exact) if !text.is_ascii() => exact,
            _ => &self.fast,
        };
        let Some(engine) = variants.engine(shape)? else {
            return Ok(None);
        };
        let input = RegexInput::new(text).from_pos(position);
        let input = input.anchored(shape == Shape::NotEmptyHere);
        let captures = engine.captures_input(input).map_err(|error| match error {
            EngineError::RuntimeError(_) => RegexError::BacktrackLimit,
            error => RegexError::TooComplex(error.to_string()),
        })?;
        Ok(captures.map(|captures| {
            let span = |group| captures.get(group).map(|found| found.range());
            let spans = (0..=self.parsed.group_count).map(span).collect();
            Match {
                text,
                spans,
                names: Arc::clone(&self.parsed.names),
            }
        }))
    }

    pub(crate) fn search_from<'t>(
        &self,
        text: &'t str,
        position: usize,
    ) -> Result<Option<Match<'t>>, RegexError> {
        self.run(text, position, Shape::Anywhere)
    }

    pub(crate) fn match_not_empty_at<'t>(
        &self,
        text: &'t str,
        position: usize,
    ) -> Result<Option<Match<'t>>, RegexError> {
        self.run(text, position, Shape::NotEmptyHere)
    }

    /// `re.search`: the first match anywhere.
    ///
    /// # Errors
    ///
    /// [`RegexError::BacktrackLimit`], as every operation that searches.
    pub fn search<'t>(&self, text: &'t str) -> Result<Option<Match<'t>>, RegexError> {
        self.run(text, 0, Shape::Anywhere)
    }

    /// `re.match`: a match that begins where the text begins.
    pub fn match_start<'t>(&self, text: &'t str) -> Result<Option<Match<'t>>, RegexError> {
        self.run(text, 0, Shape::AtStart)
    }

    /// `re.fullmatch`: a match of the whole text.
    pub fn full_match<'t>(&self, text: &'t str) -> Result<Option<Match<'t>>, RegexError> {
        self.run(text, 0, Shape::WholeText)
    }

    /// `re.finditer`: all matches from left to right.
    pub fn find_iter<'r, 't>(&'r self, text: &'t str) -> MatchIter<'r, 't> {
        MatchIter {
            regex: self,
            text,
            next: Some(0),
            after_empty: false,
        }
    }

    /// `re.findall`: the matches, or their groups when the pattern has some.
    pub fn find_all(&self, text: &str) -> Result<Vec<Found>, RegexError> {
        let owned = |group: Option<&str>| group.unwrap_or_default().to_owned();
        self.find_iter(text)
            .map(|found| {
                let found = found?;
                Ok(match self.group_count() {
                    0 => Found::Text(found.as_str().to_owned()),
                    1 => Found::Text(owned(found.group(1))),
                    _ => Found::Groups(found.groups().map(owned).collect()),
                })
            })
            .collect()
    }

    /// `re.split`: the text between matches, and the groups of each match between those.
    ///
    /// `max_split` of 0 sets no limit. A group that took no part gives `None`.
    pub fn split<'t>(
        &self,
        text: &'t str,
        max_split: usize,
    ) -> Result<Vec<Option<&'t str>>, RegexError> {
        let mut parts = Vec::new();
        let mut from = 0;
        for found in self.find_iter(text).take(limit(max_split)) {
            let found = found?;
            parts.push(text.get(from..found.start()));
            parts.extend(found.groups());
            from = found.end();
        }
        parts.push(text.get(from..));
        Ok(parts)
    }

    /// `re.sub`: the text with matches replaced; `count` of 0 replaces all.
    ///
    /// The template is Python's: `\1`, `\g<name>`, `\g<0>`, `\n`.
    ///
    /// # Errors
    ///
    /// Bad escapes and unknown groups in the template, with Python's messages.
    pub fn sub(&self, template: &str, text: &str, count: usize) -> Result<String, RegexError> {
        self.sub_count(template, text, count).map(|(text, _)| text)
    }

    /// `re.subn`: like [`Regex::sub`], with the number of replacements made.
    pub fn sub_count(
        &self,
        template: &str,
        text: &str,
        count: usize,
    ) -> Result<(String, usize), RegexError> {
        let template = self.template(template)?;
        let mut out = String::with_capacity(text.len());
        let (mut from, mut replaced) = (0, 0);
        for found in self.find_iter(text).take(limit(count)) {
            let found = found?;
            out.push_str(text.get(from..found.start()).unwrap_or_default());
            template.expand(&found, &mut out);
            from = found.end();
            replaced += 1;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Ok((out, replaced))
    }

    /// `Match.expand`: a template filled in from one match of this pattern.
    ///
    /// # Errors
    ///
    /// Those of the template, as in [`Regex::sub`].
    pub fn expand(&self, template: &str, found: &Match<'_>) -> Result<String, RegexError> {
        let mut out = String::new();
        self.template(template)?.expand(found, &mut out);
        Ok(out)
    }

    fn template(&self, template: &str) -> Result<Template, RegexError> {
        Template::parse(template, self.parsed.group_count, &self.parsed.names)
    }
}

/// Python's "0 means all".
fn limit(count: usize) -> usize {
    if count == 0 { usize::MAX } else { count }
}

/// `re.escape`: the text as a pattern that matches it and nothing else.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
