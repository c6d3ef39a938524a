//! Flags written inside the pattern: `(?i)`, `(?i-m:...)`.

use super::Parser;
use crate::error::RegexError;
use crate::flags::{FlagChange, Flags};
use crate::source::Token;

impl Parser {
    /// `i`, `i-m:` or `-m:` of a group; nothing when they were for the whole pattern.
    pub(super) fn flag_change(&mut self, first: char) -> Result<Option<FlagChange>, RegexError> {
        let mut change = FlagChange::default();
        let mut c = first;
        while c != '-' && c != ':' && c != ')' {
            self.switch_on(&mut change, c)?;
            c = self.flag_char("missing -, : or )", &[')', '-', ':'])?;
        }
        if c == ')' {
            self.flags = self.flags.union(change.on);
            self.unicode |= change.unicode;
            return Ok(None);
        }
        if c == '-' {
            c = self.flag_char("missing flag", &[])?;
            while c != ':' {
                if matches!(c, 'a' | 'u' | 'L') {
                    let message = "bad inline flags: cannot turn off flags 'a', 'u' and 'L'";
                    return Err(self.source.error(message, 0));
                }
                switch(&mut change.off, c)?;
                c = self.flag_char("missing :", &[':'])?;
            }
        }
        if change.on.intersects(change.off) {
            return Err(self
                .source
                .error("bad inline flags: flag turned on and off", 1));
        }
        Ok(Some(change))
    }

    fn switch_on(&mut self, change: &mut FlagChange, c: char) -> Result<(), RegexError> {
        if c == 'L' {
            let message = "bad inline flags: cannot use 'L' flag with a str pattern";
            return Err(self.source.error(message, 0));
        }
        if c == 'u' {
            change.unicode = true;
        } else {
            switch(&mut change.on, c)?;
        }
        if change.unicode && change.on.ascii {
            let message = "bad inline flags: flags 'a', 'u' and 'L' are incompatible";
            return Err(self.source.error(message, 0));
        }
        Ok(())
    }

    /// The next flag letter, or one of `ends`.
    fn flag_char(&mut self, missing: &str, ends: &[char]) -> Result<char, RegexError> {
        let Some(token) = self.source.take()? else {
            return Err(self.source.error(missing, 0));
        };
        match token {
            Token::Char(c) if ends.contains(&c) || is_flag(c) => Ok(c),
            Token::Char(c) if c.is_alphabetic() => Err(self.source.error("unknown flag", 1)),
            token => Err(self.source.error(missing, token.chars())),
        }
    }
}

/// Flag letters Python knows, whether or not it accepts them here.
pub(super) fn is_flag(c: char) -> bool {
    matches!(c, 'i' | 'L' | 'm' | 's' | 'x' | 'a' | 't' | 'u')
}

fn switch(flags: &mut Flags, c: char) -> Result<(), RegexError> {
    match c {
        'i' => flags.ignore_case = true,
        'm' => flags.multi_line = true,
        's' => flags.dot_all = true,
        'x' => flags.verbose = true,
        'a' => flags.ascii = true,
        c => return Err(RegexError::Unsupported(format!("the flag {c}"))),
    }
    Ok(())
}
