//! Escapes, inside and outside a character set.

use crate::ast::{At, Category, Node, SetItem};
use crate::error::RegexError;
use crate::source::{Source, Token};

/// What an escape can stand for when it is not an assertion or a back-reference.
pub(crate) enum Escaped {
    Char(u32),
    Category { category: Category, negate: bool },
}

/// `\n` and its like, which patterns and templates share.
pub(crate) fn control(c: char) -> Option<char> {
    Some(match c {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        _ => return None,
    })
}

fn category(c: char) -> Option<Escaped> {
    let category = match c.to_ascii_lowercase() {
        'd' => Category::Digit,
        's' => Category::Space,
        'w' => Category::Word,
        _ => return None,
    };
    Some(Escaped::Category {
        category,
        negate: c.is_ascii_uppercase(),
    })
}

/// Position escapes, which exist only outside a set.
pub(crate) fn assertion(c: char) -> Option<Node> {
    Some(Node::At(match c {
        'A' => At::BeginningOfText,
        'Z' => At::EndOfText,
        'b' => At::Boundary,
        'B' => At::NonBoundary,
        _ => return None,
    }))
}

/// The escape `\c` inside a character set; the source stands after it.
pub(crate) fn in_set(source: &mut Source, c: char) -> Result<Escaped, RegexError> {
    if let Some(c) = control(c) {
        return Ok(Escaped::Char(c.into()));
    }
    if let Some(category) = category(c) {
        return Ok(category);
    }
    if is_octal(c) {
        let digits = format!("{c}{}", source.take_while(2, is_octal)?);
        return octal(source, &digits).map(Escaped::Char);
    }
    common(source, c).map(Escaped::Char)
}

/// The escape `\c` outside a set, group references excepted.
pub(crate) fn outside_set(source: &mut Source, c: char) -> Result<Escaped, RegexError> {
    if let Some(category) = category(c) {
        return Ok(category);
    }
    if let Some(c) = control(c) {
        return Ok(Escaped::Char(c.into()));
    }
    if c == '0' {
        let digits = format!("0{}", source.take_while(2, is_octal)?);
        return Ok(Escaped::Char(u32::from_str_radix(&digits, 8).unwrap_or(0)));
    }
    common(source, c).map(Escaped::Char)
}

/// Escapes that mean the same in both places: numbers, names, and quoted punctuation.
fn common(source: &mut Source, c: char) -> Result<u32, RegexError> {
    match c {
        'x' => hexadecimal(source, c, 2),
        'u' => hexadecimal(source, c, 4),
        'U' => hexadecimal(source, c, 8),
        'N' => named(source),
        c if c.is_ascii_alphanumeric() => Err(source.error(format!("bad escape \\{c}"), 2)),
        c => Ok(c.into()),
    }
}

fn hexadecimal(source: &mut Source, kind: char, digits: usize) -> Result<u32, RegexError> {
    let text = source.take_while(digits, |c| c.is_ascii_hexdigit())?;
    let length = text.len() + 2;
    if text.len() != digits {
        return Err(source.error(format!("incomplete escape \\{kind}{text}"), length));
    }
    u32::from_str_radix(&text, 16)
        .ok()
        .filter(|&code| code <= u32::from(char::MAX))
        .ok_or_else(|| source.error(format!("bad escape \\{kind}{text}"), length))
}

/// Character names would add a table of a megabyte to the agent.
fn named(source: &mut Source) -> Result<u32, RegexError> {
    if !source.accept('{')? {
        return Err(source.error("missing {", 0));
    }
    let name = source.take_until('}', "character name")?;
    Err(RegexError::Unsupported(format!(
        "\\N{{{name}}}, a character by its Unicode name"
    )))
}

pub(crate) fn is_octal(c: char) -> bool {
    matches!(c, '0'..='7')
}

/// The value of up to three octal digits already taken.
pub(crate) fn octal(source: &Source, digits: &str) -> Result<u32, RegexError> {
    let code = u32::from_str_radix(digits, 8).unwrap_or(u32::MAX);
    if code > 0o377 {
        let message = format!("octal escape value \\{digits} outside of range 0-0o377");
        return Err(source.error(message, digits.len() + 1));
    }
    Ok(code)
}

/// Digits after a backslash outside a set: three octal digits, or a group number.
pub(crate) enum Numbered {
    Char(u32),
    /// The group, and the length of the whole escape in characters.
    Group(usize, usize),
}

/// Read `\1`, `\12` or `\123`, shared by patterns and templates; `first` is from 1 to 9.
pub(crate) fn numbered(source: &mut Source, first: char) -> Result<Numbered, RegexError> {
    let mut digits = String::from(first);
    if let Some(Token::Char(second)) = source.peek().filter(|_| next_is_digit(source)) {
        digits.push(second);
        source.take()?;
        let third = source.peek_char().filter(|&c| is_octal(c));
        if let Some(third) = third.filter(|_| is_octal(first) && is_octal(second)) {
            digits.push(third);
            source.take()?;
            return octal(source, &digits).map(Numbered::Char);
        }
    }
    let group = digits.parse().unwrap_or(usize::MAX);
    Ok(Numbered::Group(group, digits.len() + 1))
}

fn next_is_digit(source: &Source) -> bool {
    source.peek_char().is_some_and(|c| c.is_ascii_digit())
}

impl From<Escaped> for SetItem {
    fn from(escaped: Escaped) -> Self {
        match escaped {
            Escaped::Char(code) => Self::Range(code, code),
            Escaped::Category { category, negate } => Self::Category { category, negate },
        }
    }
}
