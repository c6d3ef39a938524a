//! rpm-version(7): segments of digits or letters; what is between them only separates.

use std::cmp::Ordering;

use super::{compare_digits, epoch_version_release, take_while};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_version, a_release) = epoch_version_release(a);
    let (b_epoch, b_version, b_release) = epoch_version_release(b);
    let epoch = |it: Option<&str>| it.unwrap_or("0").to_owned();
    compare_digits(epoch(a_epoch).as_bytes(), epoch(b_epoch).as_bytes())
        .then_with(|| compare_part(a_version, b_version))
        .then_with(|| match (a_release, b_release) {
            (Some(a), Some(b)) => compare_part(a, b),
            // One without a release is the older one.
            (a, b) => a.is_some().cmp(&b.is_some()),
        })
}

fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let separates = |it: u8| !it.is_ascii_alphanumeric() && it != b'~' && it != b'^';
    loop {
        take_while(&mut a, separates);
        take_while(&mut b, separates);
        let order = rank(a).cmp(&rank(b)).then_with(|| match rank(a) {
            NUMBER => {
                let digits = |it: u8| it.is_ascii_digit();
                compare_digits(take_while(&mut a, digits), take_while(&mut b, digits))
            }
            WORD => {
                let letters = |it: u8| it.is_ascii_alphabetic();
                take_while(&mut a, letters).cmp(take_while(&mut b, letters))
            }
            _ => {
                a = a.get(1..).unwrap_or_default();
                b = b.get(1..).unwrap_or_default();
                Ordering::Equal
            }
        });
        if order != Ordering::Equal || (a.is_empty() && b.is_empty()) {
            return order;
        }
    }
}

const WORD: u8 = 3;
const NUMBER: u8 = 4;

/// What is next, from the oldest to the newest: `~` is before the end, `^` after it but before all else.
fn rank(part: &[u8]) -> u8 {
    match part.first() {
        Some(b'~') => 0,
        None => 1,
        Some(b'^') => 2,
        Some(it) if it.is_ascii_digit() => NUMBER,
        Some(_) => WORD,
    }
}
