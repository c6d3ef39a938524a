//! Words of a line, split as Python's `shlex.split(line, comments=True)` splits them.

use std::ops::Range;

/// A word: where it stands in the line, and what it says once quotes are taken away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Bytes of the line.
    pub(crate) range: Range<usize>,
    /// The text without quotes and escapes.
    pub(crate) text: String,
    /// For each byte of `text`, where it stands in the line.
    places: Vec<usize>,
}

impl Word {
    /// Where the text from byte `from` on stands in the line.
    pub(crate) fn tail(&self, from: usize) -> Range<usize> {
        match (self.places.get(from), self.places.last()) {
            (Some(first), Some(last)) => *first..last + 1,
            _ => self.range.end..self.range.end,
        }
    }

    fn push(&mut self, ch: char, at: usize) {
        self.text.push(ch);
        self.places.extend(at..at + ch.len_utf8());
    }
}

/// Splits a line into words; a `#` outside of quotes ends it, even inside a word.
pub(crate) fn split(line: &str) -> Result<Vec<Word>, &'static str> {
    let mut words = Vec::new();
    let mut current: Option<Word> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, ch)) = chars.next() {
        if ch.is_ascii_whitespace() {
            words.extend(current.take());
            continue;
        }
        if ch == '#' {
            break;
        }
        let word = current.get_or_insert_with(|| Word {
            range: at..at,
            text: String::new(),
            places: Vec::new(),
        });
        match ch {
            '\\' => {
                let (at, escaped) = chars.next().ok_or("a backslash ends the line")?;
                word.push(escaped, at);
            }
            '\'' | '"' => loop {
                let (at, inside) = chars.next().ok_or("the quote is never closed")?;
                if inside == ch {
                    break;
                }
                if ch == '"'
                    && inside == '\\'
                    && let Some((at, escaped)) =
                        chars.next_if(|(_, next)| matches!(next, '"' | '\\'))
                {
                    word.push(escaped, at);
                } else {
                    word.push(inside, at);
                }
            },
            _ => word.push(ch, at),
        }
        word.range.end = chars.peek().map_or(line.len(), |(at, _)| *at);
    }
    words.extend(current);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_shlexs() {
        let texts = |line| -> Vec<String> {
            let words = split(line).expect("words");
            words.into_iter().map(|word| word.text).collect()
        };
        assert_eq!(texts("a b=c  d"), ["a", "b=c", "d"]);
        assert_eq!(
            texts("a x='b c' y=\"d \\\" e\\n\" # z"),
            ["a", "x=b c", "y=d \" e\\n"]
        );
        assert_eq!(texts("a x=b#c d"), ["a", "x=b"]);
        assert_eq!(texts("a x=b\\ c ''"), ["a", "x=b c", ""]);
        assert_eq!(texts("a x='#'\"y\""), ["a", "x=#y"]);
        assert!(split("a 'b").is_err());
        assert!(split("a b\\").is_err());
    }

    #[test]
    fn values_know_their_place() {
        let line = "h x='{{ ü }}' y=z";
        let words = split(line).expect("words");
        assert_eq!(&line[words[1].tail(2)], "{{ ü }}");
        assert_eq!(&line[words[2].tail(2)], "z");
    }
}
