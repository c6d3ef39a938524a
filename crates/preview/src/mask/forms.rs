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
/// Longest secret (bytes) that is looked for in base64 that a line break divides: each place is two more texts.
const WRAPPED_MAX: usize = 128;
/// Shortest part of such base64 that is looked for: nine bytes of the secret.
const PART_MIN: usize = 12;

/// The texts that would give secrets away wherever they stand.
#[derive(Default)]
pub(super) struct Forms {
    /// As they are, and encoded.
    pub(super) exact: BTreeSet<String>,
    /// Without [`MARKS`].
    pub(super) unmarked: BTreeSet<String>,
}

impl Forms {
    /// Adds those of a secret; none if it is too short to be looked for.
    pub(super) fn add(&mut self, secret: &str) {
        let trimmed = secret.trim_end_matches(['\r', '\n']);
        for text in [secret, trimmed] {
            if text.len() >= INSIDE_MIN {
                self.add_one(text);
            }
        }
        if trimmed.contains('\n') {
            let lines = trimmed.lines().map(str::trim);
            for line in lines.filter(|line| line.len() >= LINE_MIN) {
                self.add_one(line);
            }
        }
    }

    fn add_one(&mut self, text: &str) {
        self.exact.insert(text.to_owned());
        if text.len() > ENCODED_MAX {
            return;
        }
        self.exact.extend(base64(text.as_bytes()));
        if text.len() <= WRAPPED_MAX {
            self.exact.extend(wrapped(text.as_bytes()));
        }
        let hex = text.bytes().fold(String::new(), |mut out, byte| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        });
        self.exact.insert(hex.to_uppercase());
        self.exact.insert(hex);
        self.exact.extend(urls(text));
        self.unmarked.extend(unmarked(text));
    }

    pub(super) fn extend(&mut self, other: Forms) {
        self.exact.extend(other.exact);
        self.unmarked.extend(other.unmarked);
    }
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

/// The two parts that a line break in base64 (after 76 characters, or 64) leaves, wherever it falls.
fn wrapped(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for whole in base64(bytes) {
        for at in 0..whole.len() {
            let (before, after) = whole.split_at(at);
            let parts = [before, after].into_iter();
            found.extend(parts.filter(|it| it.len() >= PART_MIN).map(str::to_owned));
        }
    }
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

/// Characters that string syntaxes and shells put before or around others.
pub(super) const MARKS: [char; 3] = ['\\', '\'', '"'];

/// The secret as any string syntax, shell word or markup shows it, however deep one is in another: without [`MARKS`], to be
/// looked for in texts without them. None where the secret has nothing that would be escaped.
fn unmarked(text: &str) -> Vec<String> {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    if text.chars().all(plain) {
        return Vec::new();
    }
    let json = serde_json::to_string(text).unwrap_or_default();
    let mut ascii = String::new();
    for char in json.chars() {
        if char.is_ascii() {
            ascii.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    let mut found = marked_up(text);
    found.extend([text.to_owned(), format!("{text:?}"), json, ascii]);
    for form in &mut found {
        form.retain(|char| !MARKS.contains(&char));
    }
    found.retain(|it| it.len() >= INSIDE_MIN);
    found
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
