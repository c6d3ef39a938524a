//! Shell wildcards as Python's `fnmatch` reads them: `*`, `?`, `[abc]`, `[!abc]`, case counts.

/// Does the whole name match?
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where to go on if the last star must take one character more.
    let mut retry: Option<(usize, usize)> = None;
    let (mut at, mut from) = (0, 0);
    loop {
        if at < pattern.len() && pattern[at] == '*' {
            retry = Some((at + 1, from));
            at += 1;
            continue;
        }
        if at == pattern.len() && from == name.len() {
            return true;
        }
        if from < name.len()
            && let Some(next) = step(&pattern, at, name[from])
        {
            at = next;
            from += 1;
            continue;
        }
        match retry {
            Some((star, taken)) if taken < name.len() => {
                retry = Some((star, taken + 1));
                at = star;
                from = taken + 1;
            }
            _ => return false,
        }
    }
}

/// The pattern's next position if its element at `at` takes the character.
fn step(pattern: &[char], at: usize, ch: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match class(pattern, at) {
            Some((negated, members, next)) => (contains(members, ch) != negated).then_some(next),
            None => (ch == '[').then_some(at + 1),
        },
        literal => (literal == ch).then_some(at + 1),
    }
}

/// A bracketed class: is it negated, its members, and what follows it. None if it is not closed.
fn class(pattern: &[char], at: usize) -> Option<(bool, &[char], usize)> {
    let negated = pattern.get(at + 1) == Some(&'!');
    let start = at + 1 + usize::from(negated);
    // A `]` that comes first is a member.
    let close = (start + 1..pattern.len()).find(|index| pattern[*index] == ']')?;
    Some((negated, &pattern[start..close], close + 1))
}

fn contains(members: &[char], ch: char) -> bool {
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            if (members[at]..=members[at + 2]).contains(&ch) {
                return true;
            }
            at += 3;
        } else {
            if members[at] == ch {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_are_fnmatchs() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("web*", "web1", true),
            ("*b*1", "webb21", true),
            ("web?", "web", false),
            ("web[12]", "web2", true),
            ("web[!12]", "web2", false),
            ("web[0-9]x", "web5x", true),
            ("web[]]", "web]", true),
            ("web[", "web[", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("WEB*", "web", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
