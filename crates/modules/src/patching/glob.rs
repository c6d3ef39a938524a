//! Patterns of package and unit names: `*` is any text, `?` any character.

/// Does a name fit a pattern, whole?
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    // Where the last star began to take: it takes one more whenever what follows does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, in_name));
                at += 1;
            }
            Some(ch) if *ch == '?' || *ch == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((after_star, taken)) = retry else {
                    return false;
                };
                retry = Some((after_star, taken + 1));
                (at, in_name) = (after_star, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|ch| *ch == '*')
}

/// The first pattern that a name fits.
pub(crate) fn first_fit<'a>(patterns: &'a [String], name: &str) -> Option<&'a str> {
    patterns
        .iter()
        .map(String::as_str)
        .find(|pattern| fits(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name) in [
            ("*", ""),
            ("libc6*", "libc6"),
            ("*-server-?*", "mysql-server-8.0"),
            ("a*b*c", "aXbYbZc"),
            ("ssh.service", "ssh.service"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("a", ""),
            ("a?", "a"),
            ("*b", "abc"),
            ("libc6*", "xlibc6"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        assert_eq!(first_fit(&["x".into(), "s*".into()], "ssh"), Some("s*"));
    }

    #[test]
    fn many_stars_end_soon() {
        assert!(!fits(&"a*".repeat(200), &"a".repeat(150)));
        assert!(!fits(&format!("{}b", "*a".repeat(50)), &"a".repeat(5000)));
    }
}
