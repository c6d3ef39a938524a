//! Shell wildcards for names of packages and units: `*`, `?`, `[abc]`, `[!abc]`. Case counts.

/// Does the whole name match? Linear in memory, and at worst the product of both lengths in time: names from hosts are
/// bounded by the scan.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where to go on if the last star must take one character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            retry = Some((at, from));
        } else if at == pattern.len() && from == name.len() {
            return true;
        } else if let Some(next) = name.get(from).and_then(|it| step(&pattern, at, *it)) {
            at = next;
            from += 1;
        } else if let Some((star, taken)) = retry.filter(|(_, taken)| *taken < name.len()) {
            retry = Some((star, taken + 1));
            at = star;
            from = taken + 1;
        } else {
            return false;
        }
    }
}

/// The first of the patterns that matches.
pub fn first_match<'a>(patterns: &'a [String], name: &str) -> Option<(usize, &'a str)> {
    let mut all = patterns.iter().enumerate();
    all.find(|(_, pattern)| matches(pattern, name))
        .map(|(index, pattern)| (index, pattern.as_str()))
}

/// Where the pattern goes on if its part at `at` takes the character.
fn step(pattern: &[char], at: usize, it: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => {
            let negated = pattern.get(at + 1) == Some(&'!');
            let start = at + 1 + usize::from(negated);
            // A bracket that comes first is a member.
            let Some(close) = (start + 1..pattern.len()).find(|index| pattern[*index] == ']')
            else {
                return (it == '[').then_some(at + 1);
            };
            let members = &pattern[start..close];
            (member(members, it) != negated).then_some(close + 1)
        }
        same => (same == it).then_some(at + 1),
    }
}

fn member(members: &[char], it: char) -> bool {
    let mut at = 0;
    while let Some(first) = members.get(at) {
        if members.get(at + 1) == Some(&'-')
            && let Some(last) = members.get(at + 2)
        {
            if (*first..=*last).contains(&it) {
                return true;
            }
            at += 3;
        } else {
            if *first == it {
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
    fn wildcards_match_whole_names() {
        for (pattern, name) in [
            ("linux-image*", "linux-image-6.12.48-amd64"),
            ("*-microcode", "intel-microcode"),
            ("lib*.so.?", "libc.so.6"),
            ("*-server-[0-9]*", "mysql-server-8.0"),
            ("[!a]b", "cb"),
            ("g++", "g++"),
            ("*", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("linux-image", "linux-image-6"),
            ("?", ""),
            ("a*b*c", "acb"),
            ("[0-9]", "x"),
            ("[!a]b", "ab"),
            ("[open", "open"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
