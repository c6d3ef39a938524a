//! Replacement templates of `sub`: `\1`, `\g<name>`, `\n`.

use std::collections::BTreeMap;

use crate::error::{RegexError, quoted};
use crate::escape::{self, Numbered};
use crate::matches::Match;
use crate::parse::decimal;
use crate::source::{Source, Token, is_identifier};

/// A parsed template.
pub(crate) struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    Group(usize),
}

impl Template {
    /// Parse a template for a pattern with these groups.
    pub(crate) fn parse(
        text: &str,
        group_count: usize,
        names: &BTreeMap<String, usize>,
    ) -> Result<Self, RegexError> {
        let mut reader = Reader {
            source: Source::new(text)?,
            group_count,
            names,
        };
        let mut pieces = Vec::new();
        let mut literal = String::new();
        while let Some(token) = reader.source.take()? {
            let piece = match token {
                Token::Char(c) => Piece::Text(c.into()),
                Token::Escape(c) => reader.escape(c)?,
            };
            match piece {
                Piece::Text(text) => literal.push_str(&text),
                Piece::Group(group) => {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    pieces.push(Piece::Group(group));
                }
            }
        }
        pieces.push(Piece::Text(literal));
        Ok(Self(pieces))
    }

    /// Append the replacement of one match.
    pub(crate) fn expand(&self, found: &Match<'_>, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(group) => out.push_str(found.group(*group).unwrap_or_default()),
            }
        }
    }
}

struct Reader<'a> {
    source: Source,
    group_count: usize,
    names: &'a BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn escape(&mut self, c: char) -> Result<Piece, RegexError> {
        if c == 'g' {
            return self.named();
        }
        if c == '0' {
            let digits = format!("0{}", self.source.take_while(2, escape::is_octal)?);
            let code = escape::octal(&self.source, &digits)?;
            return Ok(text(code));
        }
        if c.is_ascii_digit() {
            return match escape::numbered(&mut self.source, c)? {
                Numbered::Char(code) => Ok(text(code)),
                Numbered::Group(group, length) => self.group(group, length - 1),
            };
        }
        match escape::control(c) {
            Some(c) => Ok(Piece::Text(c.into())),
            None if c.is_ascii_alphabetic() => {
                Err(self.source.error(format!("bad escape \\{c}"), 2))
            }
            None => Ok(Piece::Text(format!("\\{c}"))),
        }
    }

    /// `\g<name>` and `\g<1>`
    fn named(&mut self) -> Result<Piece, RegexError> {
        if !self.source.accept('<')? {
            return Err(self.source.error("missing <", 0));
        }
        let name = self.source.take_until('>', "group name")?;
        let back = name.chars().count() + 1;
        if is_identifier(&name) {
            let group = self.names.get(&name).copied();
            let group = group.ok_or_else(|| RegexError::UnknownGroup(quoted(&name)))?;
            return self.group(group, back);
        }
        let Some(group) = decimal(&name) else {
            let message = format!("bad character in group name {}", quoted(&name));
            return Err(self.source.error(message, back));
        };
        self.group(group, back)
    }

    fn group(&self, group: usize, back: usize) -> Result<Piece, RegexError> {
        if group > self.group_count {
            return Err(self
                .source
                .error(format!("invalid group reference {group}"), back));
        }
        Ok(Piece::Group(group))
    }
}

fn text(code: u32) -> Piece {
    Piece::Text(char::from_u32(code).map(String::from).unwrap_or_default())
}
