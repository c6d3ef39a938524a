//! Host names as inventories and patterns write them: an optional port, ranges such as `web[01:50]`.

/// A host name that stands for one host or, with ranges, for several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<u32>,
}

/// Reads `host`, `host:port`, `[host]:port`; none if it is not a host name or IP address by Ansible's rules.
pub(crate) fn parse(text: &str, ranges: bool) -> Option<Address<'_>> {
    let (mut host, mut port) = (text, None);
    if let Some((bracketed, number)) = split_port(host)
        && let Some(inner) = bracketed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        && !inner.is_empty()
    {
        host = inner;
        port = Some(number.parse().ok()?);
    }
    if let Some((bare, number)) = split_port(host)
        && is_bare(bare)
    {
        host = bare;
        port = Some(number.parse().ok()?);
    }
    let known = is_ipv4(host) || is_ipv6(host) || is_hostname(host);
    (known && (ranges || !host.contains('['))).then_some(Address { host, port })
}

fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())).then_some((host, port))
}

/// No colons or brackets, apart from complete bracketed expressions.
fn is_bare(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find([':', '[', ']']) {
        if !rest[at..].starts_with('[') {
            return false;
        }
        let Some(close) = rest[at..].find(']') else {
            return false;
        };
        rest = &rest[at + close + 1..];
    }
    true
}

/// Splits off a range `[a:b]` or `[a:b:step]` whose bounds `accept` takes.
fn range(text: &str, accept: impl Fn(&str, &str) -> bool) -> Option<&str> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    let mut parts = inside.split(':');
    let (begin, end) = (parts.next()?, parts.next()?);
    let step = parts.next();
    let good_step = step.is_none_or(is_digits);
    (parts.next().is_none() && good_step && accept(begin, end)).then_some(rest)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn numeric(begin: &str, end: &str) -> bool {
    is_digits(begin) && is_digits(end)
}

fn alphanumeric(begin: &str, end: &str) -> bool {
    let letter = |text: &str| text.len() == 1 && text.as_bytes()[0].is_ascii_alphabetic();
    numeric(begin, end) || (letter(begin) && letter(end))
}

fn hexadecimal(begin: &str, end: &str) -> bool {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex(begin) && hex(end)
}

fn is_ipv4(text: &str) -> bool {
    // A range may hold no dot, so splitting at dots is safe.
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 4
        && parts.iter().all(|part| {
            range(part, numeric) == Some("")
                || (is_digits(part)
                    && part.len() <= 3
                    && part.parse::<u32>().is_ok_and(|it| it <= 255))
        })
}

fn is_ipv6(text: &str) -> bool {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return true;
    }
    // With ranges: put a plain component in the place of each range and look again.
    if !text.contains('[') {
        return false;
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        plain.push_str(&rest[..at]);
        plain.push('1');
        match range(&rest[at..], hexadecimal) {
            Some(tail) if tail.is_empty() || tail.starts_with(':') => rest = tail,
            _ => return false,
        }
    }
    plain.push_str(rest);
    plain.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Dot-separated labels of letters, digits, `_` and `-`, ranges among them; a label neither starts with `-` nor ends
/// with `-` or `_`.
fn is_hostname(text: &str) -> bool {
    let mut rest = text;
    loop {
        let mut length = 0;
        let mut last = None;
        loop {
            if let Some(tail) = range(rest, alphanumeric) {
                rest = tail;
                last = Some(']');
            } else {
                match rest.chars().next() {
                    Some(ch) if is_word(ch) || (ch == '-' && length > 0) => {
                        rest = &rest[ch.len_utf8()..];
                        last = Some(ch);
                    }
                    _ => break,
                }
            }
            length += 1;
        }
        if length == 0 || matches!(last, Some('-' | '_')) {
            return false;
        }
        if rest.is_empty() {
            return true;
        }
        match rest.strip_prefix('.') {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
}

fn is_word(ch: char) -> bool {
    ch == '_' || ch.is_alphanumeric()
}

/// Most hosts that one expression with ranges may stand for.
pub(crate) const EXPANSION_MAX: usize = 100_000;

/// The names that an expression with ranges stands for; the name itself if it has none.
pub(crate) fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    expand_into(text, &mut names)?;
    Ok(names)
}

fn expand_into(text: &str, names: &mut Vec<String>) -> Result<(), String> {
    let Some((head, rest)) = text.split_once('[') else {
        if names.len() >= EXPANSION_MAX {
            return Err(format!(
                "this range stands for more than {EXPANSION_MAX} hosts"
            ));
        }
        names.push(text.to_owned());
        return Ok(());
    };
    let (inside, tail) = rest
        .split_once(']')
        .ok_or_else(|| "the range is not closed: `]` is missing".to_owned())?;
    for part in members(inside)? {
        expand_into(&format!("{head}{part}{tail}"), names)?;
    }
    Ok(())
}

/// The members of `begin:end` or `begin:end:step`.
fn members(inside: &str) -> Result<Vec<String>, String> {
    let bounds: Vec<&str> = inside.split(':').collect();
    let (begin, end, step) = match bounds.as_slice() {
        [begin, end] => (*begin, *end, "1"),
        [begin, end, step] => (*begin, *end, *step),
        _ => return Err("a range is written `[begin:end]` or `[begin:end:step]`".into()),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err("the range has no end".into());
    }
    let step: usize = match step.parse() {
        Ok(step) if step > 0 => step,
        _ => {
            return Err(format!(
                "the step `{step}` of the range is not a positive number"
            ));
        }
    };
    let width = if begin.len() > 1 && begin.starts_with('0') {
        if begin.len() != end.len() {
            return Err(
                "with leading zeros, begin and end of a range must be of equal length".into(),
            );
        }
        begin.len()
    } else {
        0
    };
    if let (Some(begin), Some(end)) = (letter(begin), letter(end)) {
        if begin > end {
            return Err("the range ends before it begins".into());
        }
        let letters = LETTERS[begin..=end].chars().step_by(step);
        return Ok(letters.map(String::from).collect());
    }
    let number = |text: &str| {
        text.parse::<usize>()
            .map_err(|_| format!("`{text}` is neither a number nor a letter"))
    };
    let (first, last) = (number(begin)?, number(end)?);
    if last.saturating_sub(first) / step >= EXPANSION_MAX {
        return Err(format!(
            "this range stands for more than {EXPANSION_MAX} hosts"
        ));
    }
    let numbers = (first..=last).step_by(step);
    Ok(numbers.map(|number| format!("{number:0width$}")).collect())
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    LETTERS.find(text).filter(|_| text.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ports_and_addresses() {
        let host = |text| parse(text, true).map(|it| (it.host.to_owned(), it.port));
        let some = |name: &str, port| Some((name.to_owned(), port));
        assert_eq!(host("web1"), some("web1", None));
        assert_eq!(
            host("web1.example.com:22"),
            some("web1.example.com", Some(22))
        );
        assert_eq!(host("web[01:50]:22"), some("web[01:50]", Some(22)));
        assert_eq!(host("[web]:22"), some("web", Some(22)));
        assert_eq!(host("::1"), some("::1", None));
        assert_eq!(host("[2001:db8::1]:22"), some("2001:db8::1", Some(22)));
        assert_eq!(host("10.0.[0:3].1"), some("10.0.[0:3].1", None));
        assert_eq!(host("web:db"), None);
        assert_eq!(host("web*"), None);
        assert_eq!(host("-web"), None);
        assert_eq!(host("web-"), None);
        assert_eq!(host("web[0]"), None);
        assert_eq!(parse("web[1:2]", false), None);
    }

    #[test]
    fn ranges_expand() {
        let names = |text| expand(text).map(|it| it.join(" "));
        assert_eq!(
            names("web[08:11]").as_deref(),
            Ok("web08 web09 web10 web11")
        );
        assert_eq!(
            names("[a:c]x[1:5:2]").as_deref(),
            Ok("ax1 ax3 ax5 bx1 bx3 bx5 cx1 cx3 cx5")
        );
        assert_eq!(names("w[:2]").as_deref(), Ok("w0 w1 w2"));
        assert_eq!(names("w[3:1]").as_deref(), Ok(""));
        for wrong in [
            "w[01:100]",
            "w[1]",
            "w[1:]",
            "w[c:a]",
            "w[1:2:0]",
            "w[1:x]",
            "w[1:99999999]",
            "w[0:9][0:9999][0:9]",
        ] {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }
}
