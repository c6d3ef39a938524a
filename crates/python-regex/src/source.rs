//! The pattern as a stream of characters and escapes, with one of look-ahead.

use crate::error::RegexError;

/// A character, or a backslash with the character after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Char(char),
    Escape(char),
}

impl Token {
    /// Length in characters of the pattern.
    pub(crate) fn chars(self) -> usize {
        match self {
            Self::Char(_) => 1,
            Self::Escape(_) => 2,
        }
    }

    /// The token as it stands in the pattern.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Char(c) => c.to_string(),
            Self::Escape(c) => format!("\\{c}"),
        }
    }
}

/// Reads a pattern or a template. `next` is always the token not yet taken.
pub(crate) struct Source {
    chars: Vec<char>,
    index: usize,
    next: Option<Token>,
}

impl Source {
    pub(crate) fn new(text: &str) -> Result<Self, RegexError> {
        let chars: Vec<char> = text.chars().collect();
        let max = crate::PATTERN_CHARS_MAX;
        if chars.len() > max {
            return Err(RegexError::TooLong {
                chars: chars.len(),
                max,
            });
        }
        let mut source = Self {
            chars,
            index: 0,
            next: None,
        };
        source.advance()?;
        Ok(source)
    }

    fn advance(&mut self) -> Result<(), RegexError> {
        let Some(&first) = self.chars.get(self.index) else {
            self.next = None;
            return Ok(());
        };
        let token = if first == '\\' {
            let Some(&second) = self.chars.get(self.index + 1) else {
                let message = "bad escape (end of pattern)";
                return Err(RegexError::at(message, &self.chars, self.chars.len() - 1));
            };
            Token::Escape(second)
        } else {
            Token::Char(first)
        };
        self.index += token.chars();
        self.next = Some(token);
        Ok(())
    }

    pub(crate) fn peek(&self) -> Option<Token> {
        self.next
    }

    /// The next character, when it is not an escape.
    pub(crate) fn peek_char(&self) -> Option<char> {
        match self.next {
            Some(Token::Char(c)) => Some(c),
            _ => None,
        }
    }

    pub(crate) fn take(&mut self) -> Result<Option<Token>, RegexError> {
        let token = self.next;
        self.advance()?;
        Ok(token)
    }

    /// Take the next character if it is this one.
    pub(crate) fn accept(&mut self, wanted: char) -> Result<bool, RegexError> {
        let found = self.peek_char() == Some(wanted);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Take at most `limit` characters that satisfy `accepts`.
    pub(crate) fn take_while(
        &mut self,
        limit: usize,
        accepts: impl Fn(char) -> bool,
    ) -> Result<String, RegexError> {
        let mut taken = String::new();
        for _ in 0..limit {
            let Some(c) = self.peek_char().filter(|&c| accepts(c)) else {
                break;
            };
            taken.push(c);
            self.advance()?;
        }
        Ok(taken)
    }

    /// Take everything up to `end`, which is taken too; `what` names it in messages.
    pub(crate) fn take_until(&mut self, end: char, what: &str) -> Result<String, RegexError> {
        let mut name = String::new();
        loop {
            let Some(token) = self.take()? else {
                return Err(if name.is_empty() {
                    self.error(format!("missing {what}"), 0)
                } else {
                    let length = name.chars().count();
                    self.error(format!("missing {end}, unterminated name"), length)
                });
            };
            if token == Token::Char(end) {
                return if name.is_empty() {
                    Err(self.error(format!("missing {what}"), 1))
                } else {
                    Ok(name)
                };
            }
            name.push_str(&token.text());
        }
    }

    /// Position of the token not yet taken, in characters.
    pub(crate) fn position(&self) -> usize {
        self.index - self.next.map_or(0, Token::chars)
    }

    /// Go back to a position that [`Self::position`] gave.
    pub(crate) fn rewind(&mut self, position: usize) -> Result<(), RegexError> {
        self.index = position;
        self.advance()
    }

    /// A syntax error `back` characters before the token not yet taken.
    pub(crate) fn error(&self, message: impl Into<String>, back: usize) -> RegexError {
        RegexError::at(message, &self.chars, self.position().saturating_sub(back))
    }

    /// Refuse a group name that is no Python identifier; `back` is what follows it.
    pub(crate) fn check_name(&self, name: &str, back: usize) -> Result<(), RegexError> {
        if is_identifier(name) {
            return Ok(());
        }
        let message = format!("bad character in group name {}", crate::error::quoted(name));
        Err(self.error(message, name.chars().count() + back))
    }
}

/// Python's `str.isidentifier`, with the letters and digits of the standard library.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
}
