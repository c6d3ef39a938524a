//! deb-version(7).

use std::cmp::Ordering;

use super::{compare_digits, take_while};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_upstream, a_revision) = split(a);
    let (b_epoch, b_upstream, b_revision) = split(b);
    compare_digits(a_epoch, b_epoch)
        .then_with(|| compare_part(a_upstream, b_upstream))
        .then_with(|| compare_part(a_revision, b_revision))
}

fn split(version: &str) -> (&[u8], &[u8], &[u8]) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let epoch = epoch.trim().as_bytes();
    let is_number = epoch.iter().all(u8::is_ascii_digit);
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (
        if is_number { epoch } else { b"" },
        upstream.as_bytes(),
        revision.as_bytes(),
    )
}

/// Alternates between text, where `~` sorts before the end and letters before other signs, and numbers.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let is_text = |part: &[u8]| part.first().is_some_and(|it| !it.is_ascii_digit());
    while !a.is_empty() || !b.is_empty() {
        while is_text(a) || is_text(b) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let digits = |it: u8| it.is_ascii_digit();
        let order = compare_digits(take_while(&mut a, digits), take_while(&mut b, digits));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
