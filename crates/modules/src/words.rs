//! A line into words by the quoting rules of a POSIX shell, as Python's `shlex.split` reads it.

/// Splits a line.
///
/// # Errors
/// A quotation that does not end, or a backslash with nothing behind it; in Python's words.
pub fn split_words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(ch) = chars.next() {
        match ch {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let next = chars.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(next);
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("No closing quotation")? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("No closing quotation")? {
                        '"' => break,
                        '\\' => match chars.next().ok_or("No escaped character")? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        other => word.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_splits() {
        let split = |line: &str| split_words(line).unwrap().join("|");
        assert_eq!(split("a  b\tc"), "a|b|c");
        assert_eq!(
            split(r#"a 'b c' "d \"e\" \n" f\ g ''"#),
            r#"a|b c|d "e" \n|f g|"#
        );
        assert_eq!(split(r#"x'y'"z""#), "xyz");
        assert_eq!(split(""), "");
        assert_eq!(split_words("a 'b"), Err("No closing quotation"));
        assert_eq!(split_words("a\\"), Err("No escaped character"));
    }
}
