//! Splitting configuration lines and command-line strings into words.

/// A quotation mark that is never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unbalanced quotes")]
pub struct QuoteError;

/// Splits `Keyword arguments`, `Keyword=arguments` and `Keyword = arguments`. `None` for blank lines and comments; the
/// rest is trimmed and may be empty.
pub(super) fn split_keyword(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (keyword, rest) = if let Some(quoted) = line.strip_prefix('"') {
        quoted.split_once('"').unwrap_or((quoted, ""))
    } else {
        line.split_at(line.find([' ', '\t', '=']).unwrap_or(line.len()))
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some((keyword, rest.trim_start_matches([' ', '\t'])))
}

/// Splits arguments as OpenSSH's `argv_split` does: blanks separate, both kinds of quotes group, a backslash escapes a
/// quote, a backslash or (outside quotes) a space, and an unquoted `#` at the start of a word ends the line.
pub(super) fn split_args(text: &str) -> Result<Vec<String>, QuoteError> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| [' ', '\t'].contains(c)).is_some() {}
        if chars.peek().is_none_or(|c| *c == '#') {
            return Ok(words);
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next_if(|c| quote.is_some() || ![' ', '\t'].contains(c)) {
            match (c, quote) {
                ('\\', _) => match chars.peek() {
                    Some(next)
                        if ['"', '\'', '\\'].contains(next)
                            || (quote.is_none() && *next == ' ') =>
                    {
                        word.extend(chars.next());
                    }
                    _ => word.push(c),
                },
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(q)) if c == q => quote = None,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return Err(QuoteError);
        }
        words.push(word);
    }
}

/// Splits a string into words as a POSIX shell would without expanding anything, which is how Ansible reads
/// `ansible_ssh_common_args` (Python's `shlex.split`).
pub fn split_shell_words(text: &str) -> Result<Vec<String>, QuoteError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(QuoteError)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(QuoteError)? {
                        '"' => break,
                        '\\' => match chars.next().ok_or(QuoteError)? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().ok_or(QuoteError)?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_end_at_blanks_or_an_equals_sign() {
        for (line, expected) in [
            ("Port 22", Some(("Port", "22"))),
            ("  Port=22 ", Some(("Port", "22"))),
            ("Port = 22", Some(("Port", "22"))),
            ("\tPort\t22", Some(("Port", "22"))),
            (
                "ProxyCommand=ssh -W %h:%p x",
                Some(("ProxyCommand", "ssh -W %h:%p x")),
            ),
            ("IdentityFile ==x", Some(("IdentityFile", "=x"))),
            ("Port", Some(("Port", ""))),
            ("# Port 22", None),
            ("", None),
        ] {
            assert_eq!(split_keyword(line), expected, "{line}");
        }
    }

    #[test]
    fn arguments_follow_argv_split() {
        let words = |text| split_args(text).map(|w| w.join("|"));
        assert_eq!(
            words(r#"a "b c" d\ e 'f "g'"#).as_deref(),
            Ok(r#"a|b c|d e|f "g"#)
        );
        assert_eq!(words("a # b").as_deref(), Ok("a"));
        assert_eq!(words("a#b").as_deref(), Ok("a#b"));
        assert_eq!(words(r#""a \" b""#).as_deref(), Ok(r#"a " b"#));
        assert_eq!(words(r"C:\x").as_deref(), Ok(r"C:\x"));
        assert_eq!(words("\"a"), Err(QuoteError));
    }

    #[test]
    fn shell_words_follow_python_shlex() {
        let words = |text| split_shell_words(text).map(|w| w.join("|"));
        assert_eq!(
            words(r#"-o ProxyCommand="ssh -W %h:%p bastion" -i '~/a b' "" x\ y"#).as_deref(),
            Ok(r"-o|ProxyCommand=ssh -W %h:%p bastion|-i|~/a b||x y")
        );
        assert_eq!(words(r#""a\$b""#).as_deref(), Ok(r"a\$b"));
        assert_eq!(words("'a"), Err(QuoteError));
    }
}
