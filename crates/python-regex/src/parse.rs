//! From the text of a pattern to its syntax tree, refusing what Python refuses.

use std::collections::BTreeMap;

use crate::ast::{At, Node, RepeatKind, Sequence, Width};
use crate::class;
use crate::error::RegexError;
use crate::escape::{self, Escaped, Numbered};
use crate::flags::Flags;
use crate::source::{Source, Token};

mod group;
mod inline_flags;

pub(crate) use group::decimal;

/// Groups may nest this deep; the engine's own limit is 64 and each of ours can cost it two.
const NESTING_MAX: usize = 60;

/// Repetition counts are below this (`MAXREPEAT` of a 64-bit `CPython`).
const REPEAT_MAX: u64 = u32::MAX as u64;

/// A parsed pattern.
pub(crate) struct Parsed {
    pub(crate) body: Sequence,
    /// The caller's flags and those written at the start of the pattern.
    pub(crate) flags: Flags,
    /// Names of groups and their numbers.
    pub(crate) names: BTreeMap<String, usize>,
    /// Width of each group by number; entry 0 is unused.
    pub(crate) widths: Vec<Option<Width>>,
}

/// Parse a whole pattern.
pub(crate) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, RegexError> {
    let mut parser = Parser {
        source: Source::new(pattern)?,
        flags,
        unicode: false,
        names: BTreeMap::new(),
        widths: vec![None],
        look_behind_from: None,
        conditions: BTreeMap::new(),
    };
    let body = parser.alternatives(flags.verbose, 0)?;
    if parser.unicode && parser.flags.ascii {
        return Err(RegexError::bare("ASCII and UNICODE flags are incompatible"));
    }
    if parser.source.peek().is_some() {
        return Err(parser.source.error("unbalanced parenthesis", 0));
    }
    for (&group, &position) in &parser.conditions {
        if group >= parser.widths.len() {
            let text: Vec<char> = pattern.chars().collect();
            let message = format!("invalid group reference {group}");
            return Err(RegexError::at(message, &text, position));
        }
    }
    Ok(Parsed {
        body,
        flags: parser.flags,
        names: parser.names,
        widths: parser.widths,
    })
}

/// Where a sequence stands, which decides whether global flags may be set in it.
#[derive(Clone, Copy)]
struct Place {
    verbose: bool,
    depth: usize,
    /// The first alternative of the whole pattern.
    first: bool,
}

struct Parser {
    source: Source,
    flags: Flags,
    unicode: bool,
    names: BTreeMap<String, usize>,
    widths: Vec<Option<Width>>,
    /// Number of groups opened when the outermost look-behind began.
    look_behind_from: Option<usize>,
    /// Groups that conditionals name, with the first position of each: they may come later.
    conditions: BTreeMap<usize, usize>,
}

impl Parser {
    fn alternatives(&mut self, verbose: bool, depth: usize) -> Result<Sequence, RegexError> {
        if depth > NESTING_MAX {
            let message = format!("groups nested more than {NESTING_MAX} deep");
            return Err(RegexError::TooComplex(message));
        }
        let mut branches: Vec<Sequence> = Vec::new();
        let mut verbose = verbose;
        loop {
            let first = depth == 0 && branches.is_empty();
            branches.push(self.sequence(Place {
                verbose,
                depth,
                first,
            })?);
            if !self.source.accept('|')? {
                break;
            }
            if depth == 0 {
                verbose = self.flags.verbose;
            }
        }
        match <[Sequence; 1]>::try_from(branches) {
            Ok([only]) => Ok(only),
            Err(branches) => Ok(vec![Node::Branch(branches)]),
        }
    }

    fn sequence(&mut self, place: Place) -> Result<Sequence, RegexError> {
        let mut place = place;
        let mut items = Sequence::new();
        while let Some(token) = self.source.peek() {
            if matches!(token, Token::Char('|' | ')')) {
                break;
            }
            self.source.take()?;
            let c = match token {
                Token::Escape(c) => {
                    items.push(self.escape(c)?);
                    continue;
                }
                Token::Char(c) => c,
            };
            if place.verbose && self.skip_verbose(c)? {
                continue;
            }
            match c {
                '[' => items.push(class::parse(&mut self.source)?),
                '*' | '+' | '?' | '{' => self.repeat(c, &mut items)?,
                '.' => items.push(Node::Any),
                '^' => items.push(Node::At(At::Beginning)),
                '$' => items.push(Node::At(At::End)),
                '(' => {
                    if let Some(node) = self.group(&mut place, items.is_empty())? {
                        items.push(node);
                    }
                }
                c => items.push(Node::Literal(c.into())),
            }
        }
        Ok(items)
    }

    /// White space and comments of a verbose pattern.
    fn skip_verbose(&mut self, c: char) -> Result<bool, RegexError> {
        match c {
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => Ok(true),
            '#' => {
                while !matches!(self.source.take()?, None | Some(Token::Char('\n'))) {}
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn escape(&mut self, c: char) -> Result<Node, RegexError> {
        if let Some(node) = escape::assertion(c) {
            return Ok(node);
        }
        if matches!(c, '1'..='9') {
            return match escape::numbered(&mut self.source, c)? {
                Numbered::Char(code) => Ok(Node::Literal(code)),
                Numbered::Group(group, length) => self.backref(group, length),
            };
        }
        Ok(match escape::outside_set(&mut self.source, c)? {
            Escaped::Char(code) => Node::Literal(code),
            category @ Escaped::Category { .. } => Node::Set {
                negate: false,
                items: vec![category.into()],
            },
        })
    }

    fn backref(&mut self, group: usize, length: usize) -> Result<Node, RegexError> {
        if group >= self.widths.len() {
            let message = format!("invalid group reference {group}");
            return Err(self.source.error(message, length - 1));
        }
        if !self.is_closed(group) {
            return Err(self.source.error("cannot refer to an open group", length));
        }
        self.check_look_behind(group)?;
        Ok(Node::Backref(group))
    }

    fn is_closed(&self, group: usize) -> bool {
        self.widths.get(group).is_some_and(Option::is_some)
    }

    fn check_look_behind(&self, group: usize) -> Result<(), RegexError> {
        let Some(from) = self.look_behind_from else {
            return Ok(());
        };
        if !self.is_closed(group) {
            return Err(self.source.error("cannot refer to an open group", 0));
        }
        if group >= from {
            let message = "cannot refer to group defined in the same lookbehind subpattern";
            return Err(self.source.error(message, 0));
        }
        Ok(())
    }

    fn repeat(&mut self, sign: char, items: &mut Sequence) -> Result<(), RegexError> {
        let here = self.source.position();
        let counts = match sign {
            '?' => Some((0, Some(1))),
            '*' => Some((0, None)),
            '+' => Some((1, None)),
            _ => self.counts(here)?,
        };
        let Some((min, max)) = counts else {
            items.push(Node::Literal('{'.into()));
            return Ok(());
        };
        let back = self.source.position() - here + 1;
        let Some(body) = items.pop_if(|item| !matches!(item, Node::At(_))) else {
            return Err(self.source.error("nothing to repeat", back));
        };
        if matches!(body, Node::Repeat { .. }) {
            return Err(self.source.error("multiple repeat", back));
        }
        let kind = if self.source.accept('?')? {
            RepeatKind::Lazy
        } else if self.source.accept('+')? {
            RepeatKind::Possessive
        } else {
            RepeatKind::Greedy
        };
        items.push(Node::Repeat {
            min,
            max,
            kind,
            body: Box::new(body),
        });
        Ok(())
    }

    /// The numbers of `{2,5}`, or nothing when the brace is only a brace.
    fn counts(&mut self, here: usize) -> Result<Option<(u32, Option<u32>)>, RegexError> {
        if self.source.peek_char() == Some('}') {
            return Ok(None);
        }
        let digits = |c: char| c.is_ascii_digit();
        let low = self.source.take_while(usize::MAX, digits)?;
        let high = if self.source.accept(',')? {
            self.source.take_while(usize::MAX, digits)?
        } else {
            low.clone()
        };
        if !self.source.accept('}')? {
            self.source.rewind(here)?;
            return Ok(None);
        }
        let min = count(&low)?.unwrap_or(0);
        let max = count(&high)?;
        if max.is_some_and(|max| max < min) {
            let back = self.source.position() - here;
            return Err(self
                .source
                .error("min repeat greater than max repeat", back));
        }
        Ok(Some((min, max)))
    }
}

/// A repetition count; none for no digits.
fn count(digits: &str) -> Result<Option<u32>, RegexError> {
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse::<u64>() {
        Ok(count) if count < REPEAT_MAX => Ok(u32::try_from(count).ok()),
        _ => Err(RegexError::bare("the repetition number is too large")),
    }
}
