//! From the syntax tree to the engine's pattern.
//!
//! Only constructs whose meaning in the engine is certain are printed: character sets spelt out,
//! groups by number, `\A \z \b`, look-around, atomic groups, conditionals. Flags are resolved
//! here instead of being passed on, because Python's and the engine's differ in detail.

use std::fmt::Write as _;

use crate::ast::{At, Category, Node, RepeatKind, SetItem, Width, width};
use crate::casefold;
use crate::error::RegexError;
use crate::flags::Flags;
use crate::parse::Parsed;

/// How `\b` is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// The engine's `\b`: the same as Python's in ASCII text, and much faster.
    Engine,
    /// Look-around with Python's idea of a word character, right in any text.
    Exact,
}

/// A printed pattern.
pub(crate) struct Printed {
    pub(crate) pattern: String,
    /// It contains `\b` or `\B`, so that [`Boundary`] made a difference.
    pub(crate) has_boundary: bool,
}

/// A look-ahead that is never right: what a lone surrogate in the pattern matches.
const NEVER: &str = "(?!)";

/// What Python's `isspace` counts: Unicode's property `White_Space`, spelt out since the engine has no table of it
/// here, and the four ASCII separators 1C to 1F.
const SPACE: &str = r"\x{09}-\x{0D}\x{1C}-\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}";

/// Print a parsed pattern.
pub(crate) fn print(parsed: &Parsed, boundary: Boundary) -> Result<Printed, RegexError> {
    let mut printer = Printer {
        out: String::new(),
        boundary,
        has_boundary: false,
        widths: &parsed.widths,
    };
    printer.sequence(&parsed.body, parsed.flags)?;
    Ok(Printed {
        pattern: printer.out,
        has_boundary: printer.has_boundary,
    })
}

struct Printer<'p> {
    out: String,
    boundary: Boundary,
    has_boundary: bool,
    widths: &'p [Option<Width>],
}

impl Printer<'_> {
    fn sequence(&mut self, nodes: &[Node], flags: Flags) -> Result<(), RegexError> {
        nodes.iter().try_for_each(|node| self.node(node, flags))
    }

    /// A sequence between an opening text and a closing parenthesis.
    fn wrapped(&mut self, open: &str, body: &[Node], flags: Flags) -> Result<(), RegexError> {
        self.out.push_str(open);
        self.sequence(body, flags)?;
        self.out.push(')');
        Ok(())
    }

    fn node(&mut self, node: &Node, flags: Flags) -> Result<(), RegexError> {
        match node {
            Node::Literal(code) => self.literal(*code, flags),
            Node::Any => self
                .out
                .push_str(if flags.dot_all { "(?s:.)" } else { r"[^\n]" }),
            Node::Set { negate, items } => self.set(*negate, items, flags),
            Node::At(at) => self.at(*at, flags),
            Node::Branch(branches) => {
                self.out.push_str("(?:");
                for (index, branch) in branches.iter().enumerate() {
                    if index > 0 {
                        self.out.push('|');
                    }
                    self.sequence(branch, flags)?;
                }
                self.out.push(')');
            }
            Node::Group {
                number,
                change,
                body,
            } => {
                let open = if number.is_some() { "(" } else { "(?:" };
                self.wrapped(open, body, change.apply(flags))?;
            }
            Node::Atomic(body) => self.wrapped("(?>", body, flags)?,
            Node::Repeat {
                min,
                max,
                kind,
                body,
            } => {
                self.repeat((*min, *max), *kind, body, flags)?;
            }
            Node::Backref(group) => {
                let open = if flags.ignore_case { "(?i:" } else { "(?:" };
                let _ = write!(self.out, "{open}\\{group})");
            }
            Node::Conditional { group, yes, no } => {
                let _ = write!(self.out, "(?({group})");
                self.wrapped("(?:", yes, flags)?;
                self.out.push('|');
                self.wrapped("(?:", no.as_deref().unwrap_or_default(), flags)?;
                self.out.push(')');
            }
            Node::Look {
                behind,
                negate,
                body,
            } => {
                if *behind {
                    let (low, high) = width(body, self.widths);
                    if low != high {
                        let message = "look-behind requires fixed-width pattern";
                        return Err(RegexError::bare(message));
                    }
                }
                let open = match (behind, negate) {
                    (false, false) => "(?=",
                    (false, true) => "(?!",
                    (true, false) => "(?<=",
                    (true, true) => "(?<!",
                };
                self.wrapped(open, body, flags)?;
            }
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        (min, max): (u32, Option<u32>),
        kind: RepeatKind,
        body: &Node,
        flags: Flags,
    ) -> Result<(), RegexError> {
        if width(std::slice::from_ref(body), self.widths).1 == 0 {
            return self.repeat_nothing((min, max), kind, body, flags);
        }
        if kind == RepeatKind::Possessive {
            self.out.push_str("(?>");
        }
        let single = matches!(body, Node::Literal(_) | Node::Any | Node::Set { .. })
            || matches!(
                body,
                Node::Group {
                    number: Some(_),
                    ..
                }
            );
        if single {
            self.node(body, flags)?;
        } else {
            self.wrapped("(?:", std::slice::from_ref(body), flags)?;
        }
        let _ = match (min, max) {
            (0, None) => self.out.write_char('*'),
            (1, None) => self.out.write_char('+'),
            (0, Some(1)) => self.out.write_char('?'),
            (min, None) => write!(self.out, "{{{min},}}"),
            (min, Some(max)) => write!(self.out, "{{{min},{max}}}"),
        };
        match kind {
            RepeatKind::Greedy => {}
            RepeatKind::Lazy => self.out.push('?'),
            RepeatKind::Possessive => self.out.push(')'),
        }
        Ok(())
    }

    /// Repeat an item that matches no character, which the engine refuses to repeat: it is enough
    /// to match it once, or to leave it out.
    fn repeat_nothing(
        &mut self,
        (min, max): (u32, Option<u32>),
        kind: RepeatKind,
        body: &Node,
        flags: Flags,
    ) -> Result<(), RegexError> {
        let body = std::slice::from_ref(body);
        match (min, max, kind) {
            // The groups inside still count.
            (_, Some(0), _) => {
                self.wrapped("(?:(?!)", body, flags)?;
                self.out.truncate(self.out.len() - 1);
                self.out.push_str("|)");
            }
            (0, _, RepeatKind::Lazy) => self.wrapped("(?:|", body, flags)?,
            (0, _, kind) => {
                let atomic = kind == RepeatKind::Possessive;
                self.wrapped(if atomic { "(?>" } else { "(?:" }, body, flags)?;
                self.out.truncate(self.out.len() - 1);
                self.out.push_str("|)");
            }
            _ => self.wrapped("(?:", body, flags)?,
        }
        Ok(())
    }

    fn at(&mut self, at: At, flags: Flags) {
        let text = match at {
            At::Beginning if flags.multi_line => "(?m:^)",
            At::Beginning | At::BeginningOfText => r"\A",
            At::End if flags.multi_line => "(?m:$)",
            At::End => r"(?=\n?\z)",
            At::EndOfText => r"\z",
            At::Boundary | At::NonBoundary => return self.boundary(at, flags),
        };
        self.out.push_str(text);
    }

    fn boundary(&mut self, at: At, flags: Flags) {
        self.has_boundary = true;
        // In Python 3.11 an empty text has no boundary and no "non-boundary" either.
        let never_empty = r"(?!\A\z)";
        if self.boundary == Boundary::Engine {
            if at == At::NonBoundary {
                self.out.push_str(never_empty);
            }
            self.out
                .push_str(if at == At::Boundary { r"\b" } else { r"\B" });
            return;
        }
        let w = category(Category::Word, false, flags);
        let _ = if at == At::Boundary {
            write!(self.out, "(?:(?<=[{w}])(?![{w}])|(?<![{w}])(?=[{w}]))")
        } else {
            write!(
                self.out,
                "(?:(?<=[{w}])(?=[{w}])|{never_empty}(?<![{w}])(?![{w}]))"
            )
        };
    }

    fn literal(&mut self, code: u32, flags: Flags) {
        if flags.ignore_case && !casefold::others(code, code, flags.ascii).is_empty() {
            return self.set(false, &[SetItem::Range(code, code)], flags);
        }
        match char::from_u32(code) {
            Some(c) => push_char(&mut self.out, c),
            None => self.out.push_str(NEVER),
        }
    }

    fn set(&mut self, negate: bool, items: &[SetItem], flags: Flags) {
        let mut members = String::new();
        for item in items {
            match *item {
                SetItem::Category {
                    category: kind,
                    negate,
                } => {
                    members.push_str(&category(kind, negate, flags));
                }
                SetItem::Range(low, high) => {
                    push_range(&mut members, low, high);
                    if flags.ignore_case {
                        for other in casefold::others(low, high, flags.ascii) {
                            push_range(&mut members, other, other);
                        }
                    }
                }
            }
        }
        match (members.is_empty(), negate) {
            (true, false) => self.out.push_str(NEVER),
            (true, true) => self.out.push_str("(?s:.)"),
            (false, false) => self.out.extend(["[", &members, "]"]),
            (false, true) => self.out.extend(["[^", &members, "]"]),
        }
    }
}

/// The members of a category, to stand inside a set.
fn category(category: Category, negate: bool, flags: Flags) -> String {
    let members = match (category, flags.ascii) {
        (Category::Digit, true) => "0-9",
        (Category::Digit, false) => r"\p{Nd}",
        (Category::Space, true) => r"\t\n\x{0B}\x{0C}\r\x{20}",
        (Category::Space, false) => SPACE,
        (Category::Word, true) => "0-9A-Z_a-z",
        // isalnum and the underscore; no combining marks, unlike the engine's own \w.
        (Category::Word, false) => r"\p{L}\p{N}_",
    };
    if negate {
        format!("[^{members}]")
    } else {
        members.to_owned()
    }
}

/// A range inside a set, without the surrogates that no text contains.
fn push_range(out: &mut String, low: u32, high: u32) {
    for (low, high) in [(low, high.min(0xd7ff)), (low.max(0xe000), high)] {
        let (Some(low), Some(high)) = (char::from_u32(low), char::from_u32(high)) else {
            continue;
        };
        if low > high {
            continue;
        }
        push_char(out, low);
        if low < high {
            out.push('-');
            push_char(out, high);
        }
    }
}

/// One character that means itself, inside a set or outside.
fn push_char(out: &mut String, c: char) {
    if c.is_alphanumeric() {
        out.push(c);
    } else {
        let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
    }
}
