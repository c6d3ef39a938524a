//! Shell patterns over the host's files, as Python's `glob.glob` reads them.

use std::path::{Path, PathBuf};

use hostler_module_api::{Follow, Inspect, ModuleError};

/// Is there anything that a pattern names? Without `*`, `?` and `[` it is one path.
pub(crate) fn any_match(pattern: &Path, host: &dyn Inspect) -> Result<bool, ModuleError> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy();
        let mut next = Vec::new();
        for dir in found {
            if name.contains(['*', '?', '[']) {
                let place = if dir.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    &dir
                };
                let names = host.list_dir(place)?.unwrap_or_default();
                let names = names.iter().filter(|it| fits(&name, &it.to_string_lossy()));
                next.extend(names.map(|it| dir.join(it)));
            } else {
                next.push(dir.join(part));
            }
        }
        found = next;
    }
    for path in found {
        if host.stat(&path, Follow::No)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Does a name fit a pattern? A leading dot must be written.
fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Greedy, remembering the last star: linear in practice, quadratic at worst.
    let (mut at, mut in_name, mut retry) = (0, 0, None);
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, in_name));
                at += 1;
                continue;
            }
            Some('?') => {
                at += 1;
                in_name += 1;
                continue;
            }
            Some('[') => {
                if let Some((hit, len)) = class(&pattern[at..], name[in_name]) {
                    if hit {
                        at += len;
                        in_name += 1;
                        continue;
                    }
                } else if name[in_name] == '[' {
                    at += 1;
                    in_name += 1;
                    continue;
                }
            }
            Some(ch) if *ch == name[in_name] => {
                at += 1;
                in_name += 1;
                continue;
            }
            _ => {}
        }
        let Some((from, taken)) = retry else {
            return false;
        };
        retry = Some((from, taken + 1));
        (at, in_name) = (from, taken + 1);
    }
    pattern[at..].iter().all(|ch| *ch == '*')
}

/// A class such as `[a-z]` or `[!x]`: whether the character is in it, and the pattern's length. `None`: it never ends.
fn class(pattern: &[char], ch: char) -> Option<(bool, usize)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|it| *it == ']')?;
    let set = &pattern[start..end];
    let mut at = 0;
    let mut hit = false;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            hit |= (set[at]..=set[at + 2]).contains(&ch);
            at += 3;
        } else {
            hit |= set[at] == ch;
            at += 1;
        }
    }
    Some((hit != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn names() {
        for (pattern, name, expected) in [
            ("*.log", "a.log", true),
            ("*.log", ".a.log", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?[0-9]", "x7", true),
            ("[!a]b", "ab", false),
            ("[!a]b", "cb", true),
            ("[x", "[x", true),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn on_a_host() {
        let host = FakeHost::bare().file("/etc/a.conf", "");
        let any = |pattern: &str| any_match(Path::new(pattern), &host).unwrap();
        assert!(any("/etc/a.conf") && any("/e*/*.conf") && any("/etc"));
        assert!(!any("/etc/b") && !any("/etc/*.log") && !any("/none/*"));
    }
}
