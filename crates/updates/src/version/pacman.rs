//! vercmp(8) of pacman: as rpm's rules were before `~` and `^`, with a remaining word older than nothing (`1.0rc` is
//! before `1.0`), and with separators of another length deciding.

use std::cmp::Ordering;

use super::{compare_digits, epoch_version_release, take_while};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_version, a_release) = epoch_version_release(a);
    let (b_epoch, b_version, b_release) = epoch_version_release(b);
    let epoch = |it: Option<&str>| it.filter(|it| !it.is_empty()).unwrap_or("0").to_owned();
    compare_digits(epoch(a_epoch).as_bytes(), epoch(b_epoch).as_bytes())
        .then_with(|| compare_part(a_version, b_version))
        .then_with(|| match (a_release, b_release) {
            (Some(a), Some(b)) => compare_part(a, b),
            // A version without a release stands for all of its releases.
            _ => Ordering::Equal,
        })
}

fn compare_part(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let separates = |it: u8| !it.is_ascii_alphanumeric();
    while !a.is_empty() && !b.is_empty() {
        let a_gap = take_while(&mut a, separates).len();
        let b_gap = take_while(&mut b, separates).len();
        let (Some(x), Some(y)) = (a.first(), b.first()) else {
            break;
        };
        if a_gap != b_gap {
            return a_gap.cmp(&b_gap);
        }
        let (x, y) = (x.is_ascii_digit(), y.is_ascii_digit());
        let order = x.cmp(&y).then_with(|| {
            if x {
                let digits = |it: u8| it.is_ascii_digit();
                compare_digits(take_while(&mut a, digits), take_while(&mut b, digits))
            } else {
                let letters = |it: u8| it.is_ascii_alphabetic();
                take_while(&mut a, letters).cmp(take_while(&mut b, letters))
            }
        });
        if order != Ordering::Equal {
            return order;
        }
    }
    let is_word = |it: &[u8]| it.first().is_some_and(u8::is_ascii_alphabetic);
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) if !is_word(b) => Ordering::Less,
        _ if is_word(a) => Ordering::Less,
        _ => Ordering::Greater,
    }
}
