//! Order of rpm versions, as rpm's manual (`rpm-version(7)`) says and `rpmdev-vercmp` does.

use std::cmp::Ordering;

/// Compares `[epoch:]version-release`.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let split = |evr: &'_ str| {
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let epoch = epoch.parse::<u64>().unwrap_or(0);
        let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
        (epoch, version.to_owned(), release.to_owned())
    };
    let (a, b) = (split(a), split(b));
    a.0.cmp(&b.0)
        .then_with(|| parts(a.1.as_bytes(), b.1.as_bytes()))
        .then_with(|| parts(a.2.as_bytes(), b.2.as_bytes()))
}

/// Runs of digits are compared as numbers, runs of letters as text, numbers are newer than letters, what separates them
/// does not count. `~` is older than nothing, `^` is newer than the end and older than anything else.
fn parts(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let is_part = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'~' | b'^');
    loop {
        a = skip(a, |it| !is_part(it)).1;
        b = skip(b, |it| !is_part(it)).1;
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => (a, b) = (&a[1..], &b[1..]),
            (Some(b'~'), _) | (None, Some(b'^')) => return Ordering::Less,
            (_, Some(b'~')) | (Some(b'^'), None) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None | Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), None | Some(b'^')) => return Ordering::Greater,
            (Some(first), Some(other)) => {
                let is_number = first.is_ascii_digit();
                if is_number != other.is_ascii_digit() {
                    return is_number.cmp(&!is_number);
                }
                let in_run =
                    |it: &u8| it.is_ascii_alphanumeric() && it.is_ascii_digit() == is_number;
                let (run_a, rest_a) = skip(a, in_run);
                let (run_b, rest_b) = skip(b, in_run);
                let order = if is_number {
                    let zero = |it: &u8| *it == b'0';
                    let (run_a, run_b) = (skip(run_a, zero).1, skip(run_b, zero).1);
                    run_a.len().cmp(&run_b.len()).then(run_a.cmp(run_b))
                } else {
                    run_a.cmp(run_b)
                };
                if order.is_ne() {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
        }
    }
}

/// Splits off what satisfies a condition at the start.
fn skip(text: &[u8], fits: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|it| !fits(it));
    text.split_at(end.unwrap_or(text.len()))
}
