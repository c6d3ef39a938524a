//! Known secrets are taken out of everything that is shown or stored.

mod events;
mod forms;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use forms::Forms;
use hostler_change::{Change, Delta};
use hostler_value::{Map, Secret, Value};

/// What stands for a secret.
const STARS: &str = "********";
/// Shorter secrets are masked only where a text is nothing else: they occur in every text.
const INSIDE_MIN: usize = 4;

/// Masks known secrets, as they are and in the forms that filters, programs and formats give them: base64, hex, URL, JSON,
/// shell, HTML. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Mask(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    secrets: HashSet<String>,
    searches: Vec<Search>,
}

/// Looks for the forms of some secrets.
struct Search {
    forms: Forms,
    exact: Option<AhoCorasick>,
    unmarked: Option<AhoCorasick>,
}

impl Search {
    fn new(forms: Forms) -> Self {
        let machine = |forms: &BTreeSet<String>| {
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::LeftmostLongest);
            // It cannot be built of gigabytes of secrets only: then these are not looked for inside of texts.
            let some = !forms.is_empty();
            some.then(|| builder.build(forms).ok()).flatten()
        };
        Search {
            exact: machine(&forms.exact),
            unmarked: machine(&forms.unmarked),
            forms,
        }
    }

    fn size(forms: &Forms) -> usize {
        forms.exact.len() + forms.unmarked.len()
    }

    /// Takes out what it finds.
    fn mask(&self, text: &mut String) {
        if let Some(exact) = &self.exact {
            let found: Vec<_> = exact
                .find_iter(text.as_str())
                .map(|it| it.range())
                .collect();
            replace(text, &found);
        }
        if let Some(unmarked) = &self.unmarked {
            let found = find_unmarked(unmarked, text);
            replace(text, &found);
        }
    }
}

/// Finds in the text without [`forms::MARKS`]; gives ranges of the text with them.
fn find_unmarked(machine: &AhoCorasick, text: &str) -> Vec<Range<usize>> {
    let is_mark = |byte: u8| forms::MARKS.contains(&char::from(byte));
    let bytes: Vec<u8> = text.bytes().filter(|byte| !is_mark(*byte)).collect();
    let mut found = machine.find_iter(&bytes).peekable();
    if found.peek().is_none() {
        return Vec::new();
    }
    let all = text.bytes().enumerate();
    let places: Vec<usize> = all.filter(|it| !is_mark(it.1)).map(|it| it.0).collect();
    // Matches are whole characters, since both sides are UTF-8.
    found
        .map(|it| places[it.start()]..places[it.end() - 1] + 1)
        .collect()
}

fn replace(text: &mut String, ranges: &[Range<usize>]) {
    if ranges.is_empty() {
        return;
    }
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for range in ranges {
        masked.push_str(text.get(from..range.start).unwrap_or_default());
        masked.push_str(STARS);
        from = range.end;
    }
    masked.push_str(text.get(from..).unwrap_or_default());
    *text = masked;
}

impl Known {
    fn learn(&mut self, secrets: impl IntoIterator<Item = Secret>) {
        let mut forms = Forms::default();
        for secret in secrets {
            let secret = secret.reveal();
            if !secret.is_empty() && self.secrets.insert(secret.to_owned()) {
                forms.add(secret);
            }
        }
        if Search::size(&forms) == 0 {
            return;
        }
        // Each search is much larger than the next, so that 10,000 secrets that come one by one cost little.
        while let Some(last) = self
            .searches
            .pop_if(|it| Search::size(&it.forms) <= 2 * Search::size(&forms))
        {
            forms.extend(last.forms);
        }
        self.searches.push(Search::new(forms));
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} secrets>", self.secrets.len())
    }
}

impl Mask {
    /// Masks these.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mask = Mask::default();
        mask.learn(secrets);
        mask
    }

    /// Masks these too from now on.
    pub fn learn(&self, secrets: impl IntoIterator<Item = Secret>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .learn(secrets);
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing to mask?
    pub fn is_empty(&self) -> bool {
        self.known().secrets.is_empty()
    }

    /// Takes the secrets out of a text.
    pub fn text(&self, text: &mut String) {
        let known = self.known();
        if known.secrets.contains(text.as_str()) {
            STARS.clone_into(text);
            return;
        }
        for search in &known.searches {
            search.mask(text);
        }
    }

    /// Takes them out of a value.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::Str(text) => {
                let mut masked = text.to_string();
                self.text(&mut masked);
                if masked != **text {
                    *value = Value::from(masked);
                }
            }
            Value::Int(_) | Value::Float(_) if self.known().secrets.contains(&value.to_text()) => {
                *value = Value::str(STARS);
            }
            Value::List(items) => Arc::make_mut(items)
                .iter_mut()
                .for_each(|it| self.value(it)),
            Value::Map(map) => {
                let masked: Map = map
                    .iter()
                    .map(|(key, value)| {
                        let (mut key, mut value) = (key.clone(), value.clone());
                        self.value(&mut key);
                        self.value(&mut value);
                        (key, value)
                    })
                    .collect();
                *value = Value::from(masked);
            }
            Value::Unknown(unknown) => self.unknown(Arc::make_mut(unknown)),
            _ => {}
        }
    }

    /// Takes them out of differences.
    pub fn deltas(&self, deltas: &mut [Delta]) {
        if self.is_empty() {
            return;
        }
        for delta in deltas {
            self.text(&mut delta.subject);
            match &mut delta.change {
                Change::Text { before, after } | Change::Opaque { before, after } => {
                    [before, after]
                        .into_iter()
                        .flatten()
                        .for_each(|it| self.text(it));
                }
                Change::Field { before, after, .. } => {
                    self.value(before);
                    self.value(after);
                }
                Change::Action(what) => self.text(what),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mask = Mask::new([Secret::new("hunter22"), Secret::new("x1"), Secret::new("")]);
        let mut deltas = [
            Delta::content("/etc/a", Some(b"pw=old"), Some(b"pw=hunter22\n")),
            Delta::field("/etc/hunter22", "owner", "x1", "x12"),
        ];
        mask.deltas(&mut deltas);
        let text = format!("{deltas:?}");
        assert!(
            !text.contains("hunter22") && text.contains("pw=********"),
            "{text}"
        );
        assert!(text.contains("x12") && !text.contains("\"x1\""), "{text}");
        let mut value = Value::list([Value::str("hunter22"), Value::Int(1)]);
        mask.value(&mut value);
        assert_eq!(value, Value::list([Value::str(STARS), Value::Int(1)]));
    }

    fn masked(mask: &Mask, text: &str) -> String {
        let mut text = text.to_owned();
        mask.text(&mut text);
        text
    }

    #[test]
    fn secrets_are_masked_in_the_forms_that_they_take() {
        let secret = "a'b\"c $x/é{{ y }}&<\\z";
        let mask = Mask::new([Secret::new(secret)]);
        let forms = [
            secret.to_owned(),
            serde_json::to_string(secret).unwrap(),
            serde_json::to_string(&serde_json::to_string(secret).unwrap()).unwrap(),
            "a%27b%22c%20%24x/%C3%A9%7B%7B%20y%20%7D%7D%26%3C%5Cz".to_owned(),
            "a%27b%22c+%24x%2F%C3%A9%7B%7B+y+%7D%7D%26%3C%5Cz".to_owned(),
            "6127622263202478 2fc3a97b7b2079207d7d263c5c7a".replace(' ', ""),
            "'a'\\''b\"c $x/é{{ y }}&<\\z'".to_owned(),
            "'a'\"'\"'b\"c $x/é{{ y }}&<\\z'".to_owned(),
            "a&#39;b&#34;c $x/é{{ y }}&amp;&lt;\\z".to_owned(),
            "a'b\\\"c $x/\\u00e9{{ y }}&<\\\\z".to_owned(),
            "a\\'b\\\"c\\ \\$x/é\\{\\{\\ y\\ \\}\\}\\&\\<\\\\z".to_owned(),
            format!(
                "{:?}",
                format!("{:?}", serde_json::to_string(secret).unwrap())
            ),
        ];
        for form in &forms {
            let shown = masked(&mask, &format!("before {form} after"));
            assert!(
                shown.contains(STARS) && !shown.contains("{{"),
                "{form}: {shown}"
            );
            assert!(
                !shown.contains("7B") && !shown.contains("7b"),
                "{form}: {shown}"
            );
        }
    }

    #[test]
    fn base64_is_masked_at_every_alignment() {
        use base64::Engine;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE};
        let secret = "sk-live-0?>~secret";
        let mask = Mask::new([Secret::new(secret)]);
        for before in ["", "x", "xy", "xyz"] {
            for after in ["", "\n", "zz"] {
                let text = format!("{before}{secret}{after}");
                for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                    let shown = masked(&mask, &encoded);
                    assert!(
                        shown.contains(STARS) && shown.len() < STARS.len() + 12,
                        "{text}: {encoded}: {shown}"
                    );
                }
            }
        }
    }

    #[test]
    fn base64_is_masked_on_both_sides_of_a_line_break() {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let secret = "a secret of some thirty-two bytes";
        let mask = Mask::new([Secret::new(secret)]);
        for before in 0..60 {
            let text = format!("{}{secret}", "x".repeat(before));
            let encoded = STANDARD.encode(text);
            let lines: Vec<_> = encoded.as_bytes().chunks(76).collect();
            let shown: String = lines
                .iter()
                .map(|it| masked(&mask, std::str::from_utf8(it).unwrap()))
                .collect();
            let plain = STANDARD.encode("x".repeat(before));
            let left = shown.replace(STARS, "");
            assert!(left.len() < plain.len() + 16, "{before}: {shown}");
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_line_by_line() {
        let mask = Mask::new([Secret::new("first line of it\nsecond line\nend\n")]);
        assert_eq!(
            masked(&mask, "  second line\n  end"),
            format!("  {STARS}\n  end")
        );
    }

    #[test]
    fn a_number_that_is_a_secret_is_masked_and_many_secrets_are() {
        let mask = Mask::new((0..50).map(|n| Secret::new(format!("{}", 73_000_000 + n))));
        let mut value = Value::list([Value::Int(73_000_049), Value::Int(73_000_050)]);
        mask.value(&mut value);
        assert_eq!(
            value,
            Value::list([Value::str(STARS), Value::Int(73_000_050)])
        );
        assert_eq!(masked(&mask, "73000001x"), format!("{STARS}x"));
    }
}
