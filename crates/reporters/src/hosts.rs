//! Many host names in few characters: `web[001-198]`.

use std::collections::BTreeMap;

/// The names in order of first appearance, with numbered ones folded to ranges. Names must be harmless already.
pub(crate) fn fold(names: &[String]) -> Vec<String> {
    if names.len() < 3 {
        return names.to_vec();
    }
    let position = best_position(names);
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
        .flat_map(|key| {
            groups
                .remove(key)
                .map_or_else(Vec::new, |digits| fold_group(key, &digits))
        })
        .collect()
}

/// [`fold`], joined, at most `columns` wide; what does not fit is counted (`+12 more`).
pub(crate) fn fold_line(names: &[String], columns: usize) -> String {
    let parts = fold(names);
    let mut line = String::new();
    for (index, part) in parts.iter().enumerate() {
        let separator = if line.is_empty() { "" } else { ", " };
        let rest = parts.len() - index - 1;
        let reserve = if rest > 0 { 12 } else { 0 };
        let width = line.chars().count() + separator.len() + part.chars().count();
        if width + reserve > columns && !line.is_empty() {
            return format!("{line} +{} more", rest + 1);
        }
        line.push_str(separator);
        line.push_str(part);
    }
    crate::sanitize::clip(&line, columns)
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

fn fold_group(key: &Key, digits: &[&str]) -> Vec<String> {
    let (prefix, suffix, fixed) = key;
    if *fixed {
        return vec![prefix.clone()];
    }
    let name = |digits: &str| format!("{prefix}{digits}{suffix}");
    let same_length = digits.windows(2).all(|pair| pair[0].len() == pair[1].len());
    let padded = digits
        .iter()
        .any(|text| text.starts_with('0') && text.len() > 1);
    if digits.len() < 2 || (padded && !same_length) {
        return digits.iter().map(|text| name(text)).collect();
    }
    let width = if same_length { digits[0].len() } else { 0 };
    let mut numbers: Vec<u32> = digits.iter().filter_map(|text| text.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown: Vec<String> = ranges
        .iter()
        .map(|(first, last)| {
            if first == last {
                format!("{first:0width$}")
            } else {
                format!("{first:0width$}-{last:0width$}")
            }
        })
        .collect();
    // Long lists of ranges are cut into several names, so that a line can end between them.
    shown
        .chunks(6)
        .map(|chunk| match chunk {
            [one] if !one.contains('-') => name(one),
            many => name(&format!("[{}]", many.join(","))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn folds_ranges() {
        let web: Vec<String> = (1..=198).map(|n| format!("web{n:03}")).collect();
        assert_eq!(fold(&web), ["web[001-198]"]);
        assert_eq!(
            fold(&names(&["web1", "web2", "web10", "db1"])),
            ["web[1-2,10]", "db1"]
        );
        assert_eq!(
            fold(&names(&[
                "a01.dc2.example",
                "a02.dc2.example",
                "a04.dc2.example"
            ])),
            ["a[01-02,04].dc2.example"]
        );
        assert_eq!(
            fold(&names(&["10.0.0.9", "10.0.0.10", "10.0.0.11"])),
            ["10.0.0.[9-11]"]
        );
        assert_eq!(fold(&names(&["x", "y", "z"])), ["x", "y", "z"]);
    }

    #[test]
    fn lines_are_bounded_and_count_the_rest() {
        let odd: Vec<String> = (0..40).map(|n| format!("host-{}", "x".repeat(n))).collect();
        let line = fold_line(&odd, 40);
        assert!(line.chars().count() <= 40, "{line}");
        assert!(line.contains("more"), "{line}");
    }
}
