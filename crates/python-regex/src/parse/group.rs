//! Groups, and everything else that an opening parenthesis begins.

use super::inline_flags::is_flag;
use super::{Parser, Place};
use crate::ast::{self, Node};
use crate::error::{RegexError, quoted};
use crate::flags::FlagChange;
use crate::source::{Token, is_identifier};

/// What `(?` introduced.
enum Opened {
    /// A group whose body follows.
    Group {
        name: Option<String>,
        capture: bool,
        atomic: bool,
        change: FlagChange,
    },
    /// A complete item.
    Item(Node),
    /// A comment, or flags for the whole pattern.
    Nothing,
}

impl Opened {
    fn plain(change: FlagChange) -> Self {
        Self::Group {
            name: None,
            capture: false,
            atomic: false,
            change,
        }
    }
}

impl Parser {
    /// What follows `(`; nothing for a comment or flags of the whole pattern.
    pub(super) fn group(
        &mut self,
        place: &mut Place,
        empty: bool,
    ) -> Result<Option<Node>, RegexError> {
        let start = self.source.position() - 1;
        let opened = if self.source.accept('?')? {
            self.extension(start, place, empty)?
        } else {
            Opened::Group {
                name: None,
                capture: true,
                atomic: false,
                change: FlagChange::default(),
            }
        };
        let (name, capture, atomic, change) = match opened {
            Opened::Nothing => return Ok(None),
            Opened::Item(node) => return Ok(Some(node)),
            Opened::Group {
                name,
                capture,
                atomic,
                change,
            } => (name, capture, atomic, change),
        };
        let number = if capture {
            Some(self.open_group(name)?)
        } else {
            None
        };
        let verbose = (place.verbose || change.on.verbose) && !change.off.verbose;
        let body = self.alternatives(verbose, place.depth + 1)?;
        self.close(start)?;
        if let Some(number) = number {
            self.widths[number] = Some(ast::width(&body, &self.widths));
        }
        Ok(Some(if atomic {
            Node::Atomic(body)
        } else {
            Node::Group {
                number,
                change,
                body,
            }
        }))
    }

    fn close(&mut self, start: usize) -> Result<(), RegexError> {
        if self.source.accept(')')? {
            return Ok(());
        }
        let back = self.source.position() - start;
        Err(self
            .source
            .error("missing ), unterminated subpattern", back))
    }

    fn open_group(&mut self, name: Option<String>) -> Result<usize, RegexError> {
        let number = self.widths.len();
        self.widths.push(None);
        if let Some(name) = name {
            if let Some(before) = self.names.get(&name) {
                let message = format!(
                    "redefinition of group name {} as group {number}; was group {before}",
                    quoted(&name)
                );
                return Err(self.source.error(message, name.chars().count() + 1));
            }
            self.names.insert(name, number);
        }
        Ok(number)
    }

    /// What follows `(?`.
    fn extension(
        &mut self,
        start: usize,
        place: &mut Place,
        empty: bool,
    ) -> Result<Opened, RegexError> {
        let token = self.extension_token()?;
        let Token::Char(c) = token else {
            let message = format!("unknown extension ?{}", token.text());
            return Err(self.source.error(message, token.chars() + 1));
        };
        match c {
            'P' => self.python_extension(),
            ':' => Ok(Opened::plain(FlagChange::default())),
            '#' => self.comment(start),
            '=' | '!' => self.look(start, place, false, c == '!').map(Opened::Item),
            '<' => {
                let sign = self.extension_token()?;
                if !matches!(sign, Token::Char('=' | '!')) {
                    let message = format!("unknown extension ?<{}", sign.text());
                    return Err(self.source.error(message, sign.chars() + 2));
                }
                let negate = sign == Token::Char('!');
                self.look(start, place, true, negate).map(Opened::Item)
            }
            '(' => self.conditional(start, place).map(Opened::Item),
            '>' => Ok(Opened::Group {
                name: None,
                capture: false,
                atomic: true,
                change: FlagChange::default(),
            }),
            c if is_flag(c) || c == '-' => match self.flag_change(c)? {
                Some(change) => Ok(Opened::plain(change)),
                None if place.first && empty => {
                    place.verbose = self.flags.verbose;
                    Ok(Opened::Nothing)
                }
                None => {
                    let message = "global flags not at the start of the expression";
                    Err(self.source.error(message, self.source.position() - start))
                }
            },
            c => Err(self.source.error(format!("unknown extension ?{c}"), 2)),
        }
    }

    fn extension_token(&mut self) -> Result<Token, RegexError> {
        match self.source.take()? {
            Some(token) => Ok(token),
            None => Err(self.source.error("unexpected end of pattern", 0)),
        }
    }

    /// `(?P<name>...)` and `(?P=name)`
    fn python_extension(&mut self) -> Result<Opened, RegexError> {
        if self.source.accept('<')? {
            let name = self.source.take_until('>', "group name")?;
            self.source.check_name(&name, 1)?;
            let change = FlagChange::default();
            return Ok(Opened::Group {
                name: Some(name),
                capture: true,
                atomic: false,
                change,
            });
        }
        if self.source.accept('=')? {
            let name = self.source.take_until(')', "group name")?;
            self.source.check_name(&name, 1)?;
            let group = self.named(&name)?;
            if !self.is_closed(group) {
                let back = name.chars().count() + 1;
                return Err(self.source.error("cannot refer to an open group", back));
            }
            self.check_look_behind(group)?;
            return Ok(Opened::Item(Node::Backref(group)));
        }
        let token = self.extension_token()?;
        let message = format!("unknown extension ?P{}", token.text());
        Err(self.source.error(message, token.chars() + 2))
    }

    fn named(&self, name: &str) -> Result<usize, RegexError> {
        self.names.get(name).copied().ok_or_else(|| {
            let message = format!("unknown group name {}", quoted(name));
            self.source.error(message, name.chars().count() + 1)
        })
    }

    fn comment(&mut self, start: usize) -> Result<Opened, RegexError> {
        loop {
            match self.source.take()? {
                Some(Token::Char(')')) => return Ok(Opened::Nothing),
                Some(_) => {}
                None => {
                    let back = self.source.position() - start;
                    return Err(self.source.error("missing ), unterminated comment", back));
                }
            }
        }
    }

    fn look(
        &mut self,
        start: usize,
        place: &Place,
        behind: bool,
        negate: bool,
    ) -> Result<Node, RegexError> {
        let outer = self.look_behind_from;
        if behind && outer.is_none() {
            self.look_behind_from = Some(self.widths.len());
        }
        let body = self.alternatives(place.verbose, place.depth + 1)?;
        if behind {
            self.look_behind_from = outer;
        }
        self.close(start)?;
        Ok(Node::Look {
            behind,
            negate,
            body,
        })
    }

    /// `(?(1)yes|no)`; the source stands after `(?(`.
    fn conditional(&mut self, start: usize, place: &Place) -> Result<Node, RegexError> {
        let name = self.source.take_until(')', "group name")?;
        let length = name.chars().count();
        let group = if is_identifier(&name) {
            self.named(&name)?
        } else {
            let Some(group) = decimal(&name) else {
                let message = format!("bad character in group name {}", quoted(&name));
                return Err(self.source.error(message, length + 1));
            };
            if group == 0 {
                return Err(self.source.error("bad group number", length + 1));
            }
            let position = self.source.position() - length - 1;
            self.conditions.entry(group).or_insert(position);
            group
        };
        self.check_look_behind(group)?;
        let inner = Place {
            verbose: place.verbose,
            depth: place.depth + 1,
            first: false,
        };
        let yes = self.sequence(inner)?;
        let no = if self.source.accept('|')? {
            Some(self.sequence(inner)?)
        } else {
            None
        };
        if no.is_some() && self.source.peek_char() == Some('|') {
            return Err(self
                .source
                .error("conditional backref with more than two branches", 0));
        }
        self.close(start)?;
        Ok(Node::Conditional { group, yes, no })
    }
}

/// A group number as Python's `int` reads it: white space around and a plus sign are allowed.
pub(crate) fn decimal(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}
