//! OpenSSH's pattern language (`ssh_config(5)`, PATTERNS): `*` any run of characters, `?` exactly one, a list
//! separated by commas or spaces, and `!` before a pattern that excludes. Shared by `known_hosts` and `ssh_config`.

/// Whether `text` matches one pattern. Linear in `text` times the number of stars, so that a hostile pattern
/// cannot make it exponential.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go back to when the part after the last star does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    p = after_star;
                    t = from + 1;
                    retry = Some((after_star, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// What a list of patterns says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListMatch {
    /// No pattern matched.
    No,
    /// A positive pattern matched and no negated one did.
    Yes,
    /// A negated pattern matched: the name is excluded, whatever else matches.
    Excluded,
}

/// Matches `text` against patterns, each optionally negated with `!`.
pub(crate) fn matches_list<'a>(
    patterns: impl IntoIterator<Item = &'a str>,
    text: &str,
) -> ListMatch {
    let mut found = ListMatch::No;
    for pattern in patterns {
        if let Some(negated) = pattern.strip_prefix('!') {
            if matches(negated, text) {
                return ListMatch::Excluded;
            }
        } else if matches(pattern, text) {
            found = ListMatch::Yes;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*.ex", "a.ex", true),
            ("*.ex", "ex", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("web*db*", "web1.db2", true),
            ("web*db", "web1.db2", false),
            ("**a**", "bab", true),
            ("", "", true),
            ("", "a", false),
            ("[h]:22?", "[h]:222", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_negated_pattern_wins_wherever_it_stands() {
        assert_eq!(matches_list(["*.ex", "!bad.ex"], "a.ex"), ListMatch::Yes);
        assert_eq!(
            matches_list(["*.ex", "!bad.ex"], "bad.ex"),
            ListMatch::Excluded
        );
        assert_eq!(
            matches_list(["!bad.ex", "*.ex"], "bad.ex"),
            ListMatch::Excluded
        );
        assert_eq!(matches_list(["!bad.ex"], "a.ex"), ListMatch::No);
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = "*a".repeat(40);
        assert!(!matches(&pattern, &"a".repeat(39)));
        assert!(!matches(&format!("{pattern}b"), &"a".repeat(2000)));
    }
}
