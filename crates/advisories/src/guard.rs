//! Bounds on JSON while it is read: a parser that streams still holds one text at a time, and one record.

use std::fmt;
use std::io::{self, Read};

/// Largest file: the dump of all Ubuntu records has less than half of it.
const FILE_MAX: u64 = 2 << 30;
/// Longest text or number, bytes: descriptions of kernel holes have some hundred KiB.
const TOKEN_MAX: u64 = 4 << 20;
/// Deepest nesting.
const DEPTH_MAX: u32 = 64;
/// Largest record, bytes: its parts are held until its end, some in ten times the space.
const RECORD_MAX: u64 = 16 << 20;

/// Passes bytes on until they go beyond a bound.
pub(crate) struct Guard<R> {
    inner: R,
    /// Records are values at this depth.
    record_depth: u32,
    at: u64,
    line: u64,
    line_start: u64,
    depth: u32,
    record_start: u64,
    token: u64,
    is_text: bool,
    is_escaped: bool,
}

/// What went beyond a bound, and where.
#[derive(Debug)]
pub(crate) struct Refused {
    what: &'static str,
    line: u64,
    column: u64,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { what, line, column } = self;
        write!(f, "{what} at line {line} column {column}")
    }
}

impl<R: Read> Guard<R> {
    /// Records are what lies in so many arrays and objects.
    pub(crate) fn new(inner: R, record_depth: u32) -> Self {
        Guard {
            inner,
            record_depth,
            at: 0,
            line: 1,
            line_start: 0,
            depth: 0,
            record_start: 0,
            token: 0,
            is_text: false,
            is_escaped: false,
        }
    }

    fn step(&mut self, byte: u8) -> Option<&'static str> {
        self.at += 1;
        if self.at > FILE_MAX {
            return Some("the file is larger than 2 GiB");
        }
        if byte == b'\n' {
            self.line += 1;
            self.line_start = self.at;
        }
        self.token += 1;
        if self.token > TOKEN_MAX {
            return Some("a value is longer than 4 MiB");
        }
        if self.is_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.is_text = false;
                    self.token = 0;
                }
                _ => {}
            }
        } else {
            match byte {
                b'"' => {
                    self.is_text = true;
                    self.token = 0;
                }
                b'{' | b'[' => {
                    self.depth += 1;
                    self.token = 0;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.token = 0;
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => self.token = 0,
                _ => {}
            }
        }
        if self.depth > DEPTH_MAX {
            return Some("nested deeper than 64 levels");
        }
        if self.depth <= self.record_depth {
            self.record_start = self.at;
        }
        (self.at - self.record_start > RECORD_MAX).then_some("a record is larger than 16 MiB")
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in buffer.iter().take(count) {
            if let Some(what) = self.step(*byte) {
                return Err(io::Error::other(Refused {
                    what,
                    line: self.line,
                    column: self.at - self.line_start,
                }));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &[u8], depth: u32) -> String {
        let mut guard = Guard::new(json, depth);
        io::copy(&mut guard, &mut io::sink()).map_or_else(|it| it.to_string(), |_| "fine".into())
    }

    #[test]
    fn bounds() {
        let long = "x".repeat(5 << 20);
        let text = format!("{{\n \"a\": \"{long}\"}}");
        assert_eq!(
            refused(text.as_bytes(), 0),
            "a value is longer than 4 MiB at line 2 column 4194312"
        );
        assert!(refused("9".repeat(5 << 20).as_bytes(), 0).starts_with("a value is longer"));
        assert_eq!(
            refused(&[b'['; 65], 0),
            "nested deeper than 64 levels at line 1 column 65"
        );
        assert_eq!(refused(&[b'['; 64], 0), "fine");
        let many = format!("[[{}]]", "\"abcdefg\",".repeat(2 << 20));
        assert!(refused(many.as_bytes(), 1).starts_with("a record is larger than 16 MiB"));
        assert_eq!(refused(many.as_bytes(), 2), "fine");
        // Brackets and quotes in texts are none.
        assert_eq!(refused(br#"["[[[\"[[[\\", "{{{"]"#, 0), "fine");
    }
}
