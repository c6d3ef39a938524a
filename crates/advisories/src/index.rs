//! What is kept of advisories: fixes by release and source package.

use std::collections::{HashMap, HashSet};

use hostler_updates::{Os, Scheme, Severity, compare, is_cve};

use crate::error::AdvisoryError;

/// Most fixes: the trackers of Debian and Ubuntu have some hundred thousands.
const FIXES_MAX: usize = 4_000_000;
/// Longest name or version, bytes.
const NAME_MAX: usize = 256;

/// A version that closes a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fix<'a> {
    /// The version of the source package that is whole.
    pub version: &'a str,
    /// The CVE id; `None` for an advisory that names none.
    pub cve: Option<&'a str>,
    /// The advisory (`DSA-5678-1`).
    pub advisory: Option<&'a str>,
    /// How grave.
    pub severity: Option<Severity>,
    /// The distribution says that the hole is none in practice (`unimportant`).
    pub is_unimportant: bool,
}

/// A fix that a parser found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found<'a> {
    /// `debian/trixie`, `ubuntu/22.04`: see [`release`].
    pub(crate) release: &'a str,
    pub(crate) source: &'a str,
    /// The first version with the hole; empty: all before the fixed one.
    pub(crate) introduced: &'a str,
    pub(crate) fixed: &'a str,
    pub(crate) cve: &'a str,
    pub(crate) advisory: &'a str,
    pub(crate) severity: Option<Severity>,
    pub(crate) is_unimportant: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    introduced: u32,
    fixed: u32,
    cve: u32,
    advisory: u32,
    severity: Option<Severity>,
    is_unimportant: bool,
}

/// Fixes, to be asked for by host. Files are taken in with [`Index::read`]; ask after [`Index::finish`].
#[derive(Debug, Default)]
pub struct Index {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    releases: HashSet<u32>,
    /// By release and source package, sorted by version.
    fixes: HashMap<(u32, u32), Vec<Kept>>,
    count: usize,
    skipped: usize,
}

/// How a release is called here.
pub(crate) fn release(distribution: &str, release: &str) -> String {
    format!("{distribution}/{release}")
}

impl Index {
    /// How many fixes it holds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Is nothing known?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many entries were passed over because their names or versions are none.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    pub(crate) fn add(&mut self, found: &Found<'_>) -> Result<(), AdvisoryError> {
        let cve = found.cve.to_ascii_uppercase();
        let is_named = is_cve(&cve) || (cve.is_empty() && !found.advisory.is_empty());
        let fits = is_name(found.release)
            && is_name(found.source)
            && is_version(found.fixed)
            && (found.introduced.is_empty() || is_version(found.introduced))
            && (found.advisory.is_empty() || is_name(found.advisory));
        if !is_named || !fits {
            self.skipped += 1;
            return Ok(());
        }
        if self.count >= FIXES_MAX {
            let text =
                format!("there are more than {FIXES_MAX} fixes: give fewer files or releases");
            return Err(AdvisoryError::TooMuch(text));
        }
        self.count += 1;
        let key = (self.number(found.release), self.number(found.source));
        self.releases.insert(key.0);
        let kept = Kept {
            introduced: self.number(found.introduced),
            fixed: self.number(found.fixed),
            cve: self.number(&cve),
            advisory: self.number(found.advisory),
            severity: found.severity,
            is_unimportant: found.is_unimportant,
        };
        self.fixes.entry(key).or_default().push(kept);
        Ok(())
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // Bounded by the number of fixes.
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    fn text(&self, number: u32) -> &str {
        let found = usize::try_from(number)
            .ok()
            .and_then(|it| self.texts.get(it));
        found.map_or("", |it| it)
    }

    /// Puts what was read in order. What is asked before is not found.
    pub fn finish(&mut self) {
        let mut fixes = std::mem::take(&mut self.fixes);
        for all in fixes.values_mut() {
            all.sort_by(|a, b| {
                let versions = compare(Scheme::Deb, self.text(a.fixed), self.text(b.fixed));
                versions.then_with(|| a.cmp(b))
            });
            all.dedup();
            all.shrink_to_fit();
        }
        self.fixes = fixes;
        self.count = self.fixes.values().map(Vec::len).sum();
    }

    /// Does any file say something of this release?
    pub fn covers(&self, os: &Os) -> bool {
        let known = |it: &String| {
            let number = self.numbers.get(it.as_str());
            number.is_some_and(|it| self.releases.contains(it))
        };
        names(os, false).iter().any(known)
    }

    /// Fixes of a source package that an update from one version to another brings: those above `from`, up to `to`.
    pub fn between<'a>(
        &'a self,
        os: &Os,
        source: &str,
        from: &'a str,
        to: &'a str,
    ) -> impl Iterator<Item = Fix<'a>> + use<'a> {
        let order = |a: &str, b: &str| compare(Scheme::Deb, a, b);
        // What only subscribers get is told apart by its version, `1.2-3ubuntu0.1~esm1`.
        let releases = names(os, to.contains("esm"));
        let source = self.numbers.get(source).copied();
        let known = releases.into_iter().filter_map(move |release| {
            let key = (*self.numbers.get(release.as_str())?, source?);
            self.fixes.get(&key)
        });
        let within = known.flat_map(move |all| {
            let first = all.partition_point(|it| order(self.text(it.fixed), from).is_le());
            let after = all.partition_point(|it| order(self.text(it.fixed), to).is_le());
            all.get(first..after).unwrap_or_default()
        });
        let had_it = move |it: &&Kept| {
            let introduced = self.text(it.introduced);
            introduced.is_empty() || order(introduced, from).is_le()
        };
        let some = |text: &'a str| Some(text).filter(|it| !it.is_empty());
        within.filter(had_it).map(move |it| Fix {
            version: self.text(it.fixed),
            cve: some(self.text(it.cve)),
            advisory: some(self.text(it.advisory)),
            severity: it.severity,
            is_unimportant: it.is_unimportant,
        })
    }
}

/// What the release of a host may be called in advisories.
fn names(os: &Os, is_for_subscribers: bool) -> Vec<String> {
    let distributions = match (os.id.as_str(), is_for_subscribers) {
        ("ubuntu", true) => vec!["ubuntu", "ubuntu-pro"],
        (id, _) => vec![id],
    };
    let each = |name: &str| {
        distributions
            .iter()
            .map(|it| release(it, name))
            .collect::<Vec<_>>()
    };
    let words = [os.version.as_str(), os.codename.as_str()];
    let words = words.into_iter().filter(|it| !it.is_empty());
    words.flat_map(each).collect()
}

fn is_name(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"+-._:/~".contains(&it);
    !text.is_empty() && text.len() <= NAME_MAX && text.bytes().all(fits)
}

/// Letters, digits and what deb-version(7) allows besides, beginning with a digit.
fn is_version(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"+-.~:".contains(&it);
    text.len() <= NAME_MAX
        && text.starts_with(|it: char| it.is_ascii_digit())
        && text.bytes().all(fits)
}
