//! What an untagged plain scalar means: PyYAML's YAML 1.1 rules, each function one of its patterns.
//!
//! `yes` is a boolean, `012` is ten, `1e3` is text (a float needs a dot), `12:30` is a number in base sixty.

use crate::timestamp;

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    /// `<<`
    Merge,
    /// `=`
    Value,
}

/// Resolves a plain scalar.
pub(crate) fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "<<" => return Kind::Merge,
        "=" => return Kind::Value,
        _ => {}
    }
    if bool_of(text).is_some() && is_bool_case(text) {
        return Kind::Bool;
    }
    // Everything else that is not text starts with one of these.
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Kind::Text;
    }
    if is_float(text.as_bytes()) {
        Kind::Float
    } else if is_int(text.as_bytes()) {
        Kind::Int
    } else if timestamp::looks_like(text) {
        Kind::Timestamp
    } else {
        Kind::Text
    }
}

/// The truth value of a boolean word in any case.
pub(crate) fn bool_of(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("yes") || is("true") || is("on") {
        Some(true)
    } else if is("no") || is("false") || is("off") {
        Some(false)
    } else {
        None
    }
}

/// `yes`, `Yes` and `YES` are booleans, `yEs` is text.
fn is_bool_case(text: &str) -> bool {
    let rest = &text.as_bytes()[1..];
    let first_upper = text.as_bytes()[0].is_ascii_uppercase();
    rest.iter().all(u8::is_ascii_lowercase)
        || (first_upper && rest.iter().all(u8::is_ascii_uppercase))
}

fn strip_sign(text: &[u8]) -> &[u8] {
    match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    }
}

/// Splits off the longest run of bytes that `accept` takes.
fn run(text: &[u8], accept: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !accept(*byte))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn digit_or_underscore(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

fn is_int(text: &[u8]) -> bool {
    let text = strip_sign(text);
    let all = |digits: &[u8], accept: fn(u8) -> bool| {
        !digits.is_empty() && digits.iter().all(|byte| accept(*byte))
    };
    match text {
        [b'0'] => true,
        [b'0', b'b', digits @ ..] => all(digits, |byte| matches!(byte, b'0' | b'1' | b'_')),
        [b'0', b'x', digits @ ..] => all(digits, |byte| byte.is_ascii_hexdigit() || byte == b'_'),
        [b'0', digits @ ..] => all(digits, |byte| matches!(byte, b'0'..=b'7' | b'_')),
        [b'1'..=b'9', ..] => {
            let (_, rest) = run(text, digit_or_underscore);
            rest.is_empty() || after_sexagesimal(rest).is_some_and(<[u8]>::is_empty)
        }
        _ => false,
    }
}

/// What follows `(:[0-5]?[0-9])+`; none if it does not start with at least one such group.
fn after_sexagesimal(mut text: &[u8]) -> Option<&[u8]> {
    let mut groups = 0;
    loop {
        text = match text {
            [b':', b'0'..=b'5', b'0'..=b'9', rest @ ..] | [b':', b'0'..=b'9', rest @ ..] => rest,
            _ => break,
        };
        groups += 1;
    }
    (groups > 0).then_some(text)
}

fn is_float(text: &[u8]) -> bool {
    if matches!(text, b".nan" | b".NaN" | b".NAN") {
        return true;
    }
    let unsigned = strip_sign(text);
    if matches!(unsigned, b".inf" | b".Inf" | b".INF") {
        return true;
    }
    match unsigned {
        // The pattern for a leading dot takes no sign.
        [b'.', b'0'..=b'9', ..] if unsigned.len() == text.len() => {
            let (_, rest) = run(&text[1..], digit_or_underscore);
            rest.is_empty() || is_exponent(rest)
        }
        [b'0'..=b'9', ..] => {
            let (_, rest) = run(unsigned, digit_or_underscore);
            if let [b'.', fraction @ ..] = rest {
                let (_, rest) = run(fraction, digit_or_underscore);
                return rest.is_empty() || is_exponent(rest);
            }
            matches!(after_sexagesimal(rest), Some([b'.', fraction @ ..])
                if fraction.iter().all(|byte| digit_or_underscore(*byte)))
        }
        _ => false,
    }
}

/// `[eE][-+][0-9]+`: the sign is not optional.
fn is_exponent(text: &[u8]) -> bool {
    matches!(text, [b'e' | b'E', b'+' | b'-', digits @ ..]
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// The number that a float's text stands for.
pub(crate) fn float(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is not a number");
    let clean = text.replace('_', "").to_ascii_lowercase();
    let (sign, digits) = match clean.as_bytes().first() {
        Some(b'-') => (-1.0, &clean[1..]),
        Some(b'+') => (1.0, &clean[1..]),
        _ => (1.0, clean.as_str()),
    };
    let size = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => return Ok(f64::NAN),
        _ if digits.contains(':') => {
            let mut sum = 0.0;
            let mut base = 1.0;
            // From the last group on, as PyYAML adds them: the order of additions shows in the last digit.
            for part in digits.rsplit(':') {
                sum += part.parse::<f64>().map_err(|_| wrong())? * base;
                base *= 60.0;
            }
            sum
        }
        _ => digits.trim().parse().map_err(|_| wrong())?,
    };
    Ok(sign * size)
}
