//! The forms that a secret takes where programs, filters and formats pass it on.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::INSIDE_MIN;

/// A line of a secret text of several lines is a secret of its own if it is as long as this: outputs and differences are
/// shown by lines.
const LINE_MIN: usize = 8;
/// Longest secret (bytes) whose encoded forms are looked for.
const ENCODED_MAX: usize = 16 << 10;

/// The texts that would give a secret away wherever they stand; none if it is too short to be looked for.
pub(super) fn of(secret: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let trimmed = secret.trim_end_matches(['\r', '\n']);
    for text in [secret, trimmed] {
        if text.len() >= INSIDE_MIN {
            add(text, &mut found);
        }
    }
    if trimmed.contains('\n') {
        let lines = trimmed.lines().map(str::trim);
        for line in lines.filter(|line| line.len() >= LINE_MIN) {
            add(line, &mut found);
        }
    }
    found.into_iter().collect()
}

fn add(text: &str, found: &mut BTreeSet<String>) {
    found.insert(text.to_owned());
    if text.len() > ENCODED_MAX {
        return;
    }
    found.extend(base64(text.as_bytes()));
    let hex = text.bytes().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    });
    found.insert(hex.to_uppercase());
    found.insert(hex);
    found.extend(urls(text));
    found.extend(escaped(text));
    found.extend(quoted(text));
    found.extend(marked_up(text));
}

/// As base64 shows it alone and inside of another text, which may begin at any of three places. The first and the last
/// character inside belong to the neighbours too, so they are left out.
fn base64(bytes: &[u8]) -> Vec<String> {
    let mut found = vec![STANDARD.encode(bytes)];
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(bytes);
        let from = (before * 8).div_ceil(6);
        let to = padded.len() * 8 / 6;
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            found.extend(text.get(from..to).map(str::to_owned));
        }
    }
    found.retain(|it| it.len() >= INSIDE_MIN);
    found
}

/// Percent-encoded, with each set of characters that programs leave alone: RFC 3986, Python's `quote`, JavaScript's
/// `encodeURIComponent`, and forms, where a space is a plus sign.
fn urls(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for kept in ["-._~", "-._~/", "-._~!'()*", "-._*"] {
        for upper in [true, false] {
            let mut out = String::new();
            for byte in text.bytes() {
                let char = char::from(byte);
                // Writing to a String cannot fail.
                let _ = if char.is_ascii_alphanumeric() || kept.contains(char) {
                    write!(out, "{char}")
                } else if upper {
                    write!(out, "%{byte:02X}")
                } else {
                    write!(out, "%{byte:02x}")
                };
            }
            found.push(out.replace("%20", "+"));
            found.push(out);
        }
    }
    found
}

/// In strings of JSON (and of YAML's, Rust's and Python's), with and without characters beyond ASCII, and once more inside
/// of another such string.
fn escaped(text: &str) -> Vec<String> {
    let json = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        quoted[1..quoted.len().saturating_sub(1).max(1)].to_owned()
    };
    let once = json(text);
    let mut ascii = String::new();
    for char in once.chars() {
        if char.is_ascii() {
            ascii.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    let solidus = once.replace('/', "\\/");
    let single = text.replace('\\', "\\\\").replace('\'', "\\'");
    let doubled = text.replace('\'', "''");
    let debug = format!("{text:?}");
    let debug = debug[1..debug.len() - 1].to_owned();
    vec![
        json(&once),
        json(&ascii),
        once,
        ascii,
        solidus,
        single,
        doubled,
        debug,
    ]
}

/// As a word for a shell: single quotes in both usual ways, and backslashes as `printf %q` sets them.
fn quoted(text: &str) -> Vec<String> {
    let mut slashed = String::new();
    for char in text.chars() {
        if char.is_ascii() && !char.is_ascii_alphanumeric() && !"_./:=@%+,-".contains(char) {
            slashed.push('\\');
        }
        slashed.push(char);
    }
    let mut in_double = String::new();
    for char in text.chars() {
        if "\\\"$`".contains(char) {
            in_double.push('\\');
        }
        in_double.push(char);
    }
    vec![
        text.replace('\'', "'\\''"),
        text.replace('\'', "'\"'\"'"),
        slashed,
        in_double,
    ]
}

/// In HTML and XML, with the entities that different writers choose for quotes.
fn marked_up(text: &str) -> Vec<String> {
    let base = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    [
        ("&quot;", "&#39;"),
        ("&quot;", "&#x27;"),
        ("&#34;", "&#39;"),
        ("&quot;", "&apos;"),
        ("&quot;", "'"),
        ("\"", "'"),
    ]
    .into_iter()
    .map(|(double, single)| base.replace('"', double).replace('\'', single))
    .collect()
}
