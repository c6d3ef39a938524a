//! Case-insensitive matching the way `CPython` does it.
//!
//! A character matches when its simple lower case is that of the pattern's character, or a lower
//! case letter that shares the upper case with it (`s` and `ſ`, `i` and `ı`). This differs from
//! Unicode case folding, which the engine uses, so sets are spelt out here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

/// Letters by the class of letters they match.
struct Fold {
    /// Every cased character with the number of its class.
    class_of: BTreeMap<u32, usize>,
    members: Vec<Vec<u32>>,
}

/// Past this no character has case (Unicode 17; the last cased block is Adlam).
const CASED_END: u32 = 0x1_f000;

fn fold() -> &'static Fold {
    static FOLD: OnceLock<Fold> = OnceLock::new();
    FOLD.get_or_init(|| {
        let mut by_upper: HashMap<String, BTreeSet<u32>> = HashMap::new();
        for c in (0..CASED_END).filter_map(char::from_u32) {
            let lower = lower(c);
            let upper: String = lower.to_uppercase().collect();
            if lower != c || !upper.chars().eq([lower]) {
                by_upper
                    .entry(upper)
                    .or_default()
                    .extend([u32::from(c), u32::from(lower)]);
            }
        }
        let mut classes = Fold {
            class_of: BTreeMap::new(),
            members: Vec::new(),
        };
        for members in by_upper.into_values().filter(|members| members.len() > 1) {
            for &member in &members {
                classes.class_of.insert(member, classes.members.len());
            }
            classes.members.push(members.into_iter().collect());
        }
        classes
    })
}

/// Simple lower case. Only `İ` has a longer full one, and its simple one is `i`.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// The characters that a range of the pattern also matches when case is ignored.
pub(crate) fn others(low: u32, high: u32, ascii: bool) -> Vec<u32> {
    if ascii {
        return (low.max(u32::from(b'A'))..=high.min(u32::from(b'z')))
            .filter_map(|code| u8::try_from(code).ok())
            .filter(u8::is_ascii_alphabetic)
            .map(|letter| u32::from(letter ^ 0x20))
            .filter(|&other| !(low..=high).contains(&other))
            .collect();
    }
    let fold = fold();
    let classes: BTreeSet<usize> = fold
        .class_of
        .range(low..=high)
        .map(|(_, &class)| class)
        .collect();
    let members = classes.into_iter().flat_map(|class| &fold.members[class]);
    members
        .copied()
        .filter(|member| !(low..=high).contains(member))
        .collect()
}
