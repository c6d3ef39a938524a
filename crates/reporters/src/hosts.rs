//! Many host names in few characters: `web[001-198]`.

use std::collections::BTreeMap;

/// The names with numbered ones folded to ranges, at most `columns` wide; hosts that do not fit are counted
/// (`+12 more`). Names must be harmless already.
pub(crate) fn fold_line(names: &[String], columns: usize) -> String {
    let pieces = pieces(names);
    let mut shown = 0;
    let mut line = String::new();
    for upto in 1..=pieces.len() {
        let hidden: usize = pieces[upto..].iter().map(|piece| piece.hosts).sum();
        let longer = render(&pieces[..upto]);
        let rest = more(hidden);
        if longer.chars().count() + rest.len() > columns && shown > 0 {
            break;
        }
        line = longer;
        shown = upto;
    }
    let hidden: usize = pieces[shown..].iter().map(|piece| piece.hosts).sum();
    crate::sanitize::clip(&format!("{line}{}", more(hidden)), columns)
}

fn more(hosts: usize) -> String {
    if hosts == 0 {
        String::new()
    } else {
        format!(" +{hosts} more")
    }
}

/// One name, or a range of numbered ones.
struct Piece {
    key: Key,
    /// `7`, `007-012`; empty for a name without a number.
    range: String,
    hosts: usize,
}

/// Neighbours with the same text around the number share brackets.
fn render(pieces: &[Piece]) -> String {
    let names: Vec<String> = pieces
        .chunk_by(|a, b| a.key == b.key && !a.key.2)
        .map(|chunk| {
            let (prefix, suffix, _) = &chunk[0].key;
            let ranges: Vec<&str> = chunk.iter().map(|piece| piece.range.as_str()).collect();
            match ranges.as_slice() {
                [one] if !one.contains('-') => format!("{prefix}{one}{suffix}"),
                many => format!("{prefix}[{}]{suffix}", many.join(",")),
            }
        })
        .collect();
    names.join(", ")
}

/// In order of first appearance of the text around the number; numbers in order.
fn pieces(names: &[String]) -> Vec<Piece> {
    // Two names read better whole.
    let position = if names.len() < 3 {
        usize::MAX
    } else {
        best_position(names)
    };
    let mut order: Vec<Key> = Vec::new();
    let mut groups: BTreeMap<Key, Vec<&str>> = BTreeMap::new();
    for name in names {
        let (key, digits) = split(name, position);
        if !groups.contains_key(&key) {
            order.push(key.clone());
        }
        groups.entry(key).or_default().push(digits);
    }
    order
        .iter()
        .flat_map(|key| group_pieces(key, &groups.remove(key).unwrap_or_default()))
        .collect()
}

/// Text before the number and after it; true for a name without a number.
type Key = (String, String, bool);

/// Splits at the `position`th run of digits; a name without one is its own key.
fn split(name: &str, position: usize) -> (Key, &str) {
    let Some((start, end)) = digit_runs(name).nth(position) else {
        return ((name.to_owned(), String::new(), true), "");
    };
    let key = (name[..start].to_owned(), name[end..].to_owned(), false);
    (key, &name[start..end])
}

/// Byte ranges of the runs of ASCII digits that fit a number.
fn digit_runs(name: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let bytes = name.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
        let length = bytes[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        at = start + length;
        Some((start, at))
    })
    .filter(|(start, end)| end - start <= 9)
}

/// The run of digits that folds best: the one with the fewest different texts around it.
fn best_position(names: &[String]) -> usize {
    const RUNS_MAX: usize = 6;
    (0..RUNS_MAX)
        .min_by_key(|position| {
            let mut keys: Vec<Key> = names.iter().map(|name| split(name, *position).0).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.len()
        })
        .unwrap_or(0)
}

fn group_pieces(key: &Key, digits: &[&str]) -> Vec<Piece> {
    let piece = |range: String, hosts: usize| Piece {
        key: key.clone(),
        range,
        hosts,
    };
    let same_length = digits.windows(2).all(|pair| pair[0].len() == pair[1].len());
    let padded = digits
        .iter()
        .any(|text| text.starts_with('0') && text.len() > 1);
    if key.2 || digits.len() < 2 || (padded && !same_length) {
        return digits
            .iter()
            .map(|text| piece((*text).to_owned(), 1))
            .collect();
    }
    let width = if same_length { digits[0].len() } else { 0 };
    let mut numbers: Vec<u32> = digits.iter().filter_map(|text| text.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
        .chunk_by(|a, b| a.saturating_add(1) == *b)
        .map(|run| {
            let (first, last) = (run[0], run[run.len() - 1]);
            let range = if first == last {
                format!("{first:0width$}")
            } else {
                format!("{first:0width$}-{last:0width$}")
            };
            piece(range, run.len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    fn fold(names: &[String]) -> String {
        fold_line(names, 200)
    }

    #[test]
    fn folds_ranges() {
        let web: Vec<String> = (1..=198).map(|n| format!("web{n:03}")).collect();
        assert_eq!(fold(&web), "web[001-198]");
        assert_eq!(
            fold(&names(&["web1", "web2", "web10", "db1"])),
            "web[1-2,10], db1"
        );
        assert_eq!(
            fold(&names(&[
                "a01.dc2.example",
                "a02.dc2.example",
                "a04.dc2.example"
            ])),
            "a[01-02,04].dc2.example"
        );
        assert_eq!(
            fold(&names(&["10.0.0.9", "10.0.0.10", "10.0.0.11"])),
            "10.0.0.[9-11]"
        );
        assert_eq!(fold(&names(&["x", "y", "z"])), "x, y, z");
        assert_eq!(fold(&names(&["web1", "web2"])), "web1, web2");
    }

    #[test]
    fn lines_are_bounded_and_count_the_rest() {
        let odd: Vec<String> = (0..40).map(|n| format!("host-{}", "x".repeat(n))).collect();
        let line = fold_line(&odd, 40);
        assert!(line.chars().count() <= 40, "{line}");
        assert!(line.contains("more"), "{line}");
        let gaps: Vec<String> = (0..100).map(|n| format!("h{:03}", n * 2)).collect();
        assert_eq!(fold_line(&gaps, 30), "h[000,002,004,006] +96 more");
    }
}
