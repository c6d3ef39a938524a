//! Host patterns: `web:&prod:!web3`, `db*`, `~web\d+`, `web[0]`, `web[1:3]`; for plays and for `--limit`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use hostler_diag::{Diagnostic, Severity, did_you_mean};
use hostler_python_regex::{Flags, Regex};

use crate::address;
use crate::glob;
use crate::limit_sets::{self, LimitSets};
use crate::loader::Loader;
use crate::model::{Inventory, LOCALHOST};

/// A host pattern, split into its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Arc<str>>,
    /// Hosts of earlier runs, by the part that names them, without its mark.
    sets: BTreeMap<Arc<str>, HashSet<Arc<str>>>,
}

/// What a pattern selects.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Names of hosts, each once, in Ansible's order.
    pub hosts: Vec<Arc<str>>,
    /// Parts of the pattern that are wrong or match nothing.
    pub problems: Vec<PatternProblem>,
}

/// A part of a pattern that is wrong or matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternProblem {
    /// The part, as written.
    pub part: String,
    /// What is wrong, a fragment for a message.
    pub message: String,
    /// The host or group that may have been meant.
    pub suggestion: Option<String>,
    /// Is the part malformed, rather than naming something unknown?
    pub malformed: bool,
}

impl PatternProblem {
    /// The problem as a diagnostic without a place; the caller adds the span of the play's `hosts`, if there is one.
    ///
    /// For play hosts Ansible warns about an unknown name; for `--limit` hostler makes it an error. A malformed part
    /// always is one.
    pub fn diagnostic(&self, unknown: Severity) -> Diagnostic {
        let diagnostic = if self.malformed || unknown == Severity::Error {
            Diagnostic::error("host-pattern", &self.message)
        } else {
            Diagnostic::warning("host-pattern", &self.message)
        };
        match &self.suggestion {
            Some(name) => diagnostic.hint(format!("did you mean `{name}`?")),
            None => diagnostic,
        }
    }
}

impl Pattern {
    /// Reads a pattern; whatever is wrong with its parts shows when it is used.
    pub fn parse(text: &str) -> Self {
        Pattern {
            parts: split(text),
            ..Pattern::default()
        }
    }

    /// Joins a list, such as a play's `hosts:` list.
    pub fn from_list<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Pattern {
            parts: items.into_iter().flat_map(split).collect(),
            ..Pattern::default()
        }
    }

    /// Does a `--limit` name hosts of an earlier run?
    pub fn names_set(text: &str) -> bool {
        limit_sets::names_one(&limit_sets::join_runs(text))
    }

    /// Reads a `--limit`, where `@file` stands for the lines of a file, and `@failed` and its like for hosts of an earlier
    /// run; a file of such a name is `@./failed`.
    pub fn parse_limit(
        text: &str,
        loader: &dyn Loader,
        earlier: &dyn LimitSets,
    ) -> (Self, Vec<Diagnostic>) {
        let mut parts = Vec::new();
        let mut sets = BTreeMap::new();
        let mut diagnostics = Vec::new();
        for part in split(&limit_sets::join_runs(text)) {
            let name = part.trim_start_matches(['&', '!']);
            if let Some((set, run)) = limit_sets::parse(name) {
                match earlier.hosts(set, run) {
                    Ok(hosts) => {
                        sets.insert(Arc::from(name), hosts.into_iter().collect());
                        parts.push(part);
                    }
                    Err(diagnostic) => diagnostics.push(diagnostic),
                }
                continue;
            }
            let Some(path) = part.strip_prefix('@') else {
                parts.push(part);
                continue;
            };
            match loader.read(Path::new(path)) {
                Ok(lines) => {
                    let lines = lines.lines().map(str::trim).filter(|it| !it.is_empty());
                    parts.extend(lines.map(Arc::from));
                }
                Err(error) => diagnostics.push(Diagnostic::error(
                    "limit-file",
                    format!("cannot read the limit file `{path}`: {error}"),
                )),
            }
        }
        (Pattern { parts, sets }, diagnostics)
    }

    /// Does it say nothing?
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parts.join(","))
    }
}

/// Splits at commas; without a comma at colons, unless the whole is one host name, address or range.
fn split(text: &str) -> Vec<Arc<str>> {
    let trimmed = |part: &str| Some(part.trim()).filter(|it| !it.is_empty()).map(Arc::from);
    if text.contains(',') {
        return text.split(',').filter_map(trimmed).collect();
    }
    if address::parse(text, true).is_some() {
        return trimmed(text).into_iter().collect();
    }
    split_at_colons(text)
        .into_iter()
        .filter_map(trimmed)
        .collect()
}

/// Pieces between blanks, colons and unpaired brackets; a bracketed expression stays whole.
fn split_at_colons(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(ch) = text[at..].chars().next() {
        let next = match ch {
            '[' => text[at..].find(']').map(|close| at + close + 1),
            ']' | ':' => None,
            _ if ch.is_whitespace() => None,
            _ => Some(at + ch.len_utf8()),
        };
        if let Some(next) = next {
            at = next;
        } else {
            parts.push(&text[start..at]);
            at += ch.len_utf8();
            start = at;
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A subscript: one index from the start or the end, or a range with both ends included.
#[derive(Clone, Copy, Debug)]
enum Subscript {
    One(i64),
    Range(usize, Option<usize>),
}

impl Inventory {
    /// The hosts that a pattern selects. Parts without a mark add hosts, then `&` parts keep, then `!` parts remove.
    pub fn select(&self, pattern: &Pattern) -> Selection {
        let mut selection = Selection::default();
        let marked = |mark: char| {
            let parts = pattern.parts.iter();
            parts
                .filter(move |part| part.starts_with(mark))
                .map(|part| &part[1..])
        };
        let mut plain: Vec<&str> = pattern.parts.iter().map(|part| &**part).collect();
        plain.retain(|part| !part.starts_with(['&', '!']));
        if plain.is_empty() {
            plain.push("all");
        }
        let mut seen = HashSet::new();
        let mut hosts: Vec<Arc<str>> = Vec::new();
        for part in plain {
            let found = self.matches(part, pattern, &mut selection.problems);
            hosts.extend(found.into_iter().filter(|host| seen.insert(host.clone())));
        }
        for part in marked('&') {
            let found: HashSet<_> = self
                .matches(part, pattern, &mut selection.problems)
                .into_iter()
                .collect();
            hosts.retain(|host| found.contains(host));
        }
        for part in marked('!') {
            let found: HashSet<_> = self
                .matches(part, pattern, &mut selection.problems)
                .into_iter()
                .collect();
            hosts.retain(|host| !found.contains(host));
        }
        selection.hosts = hosts;
        selection
    }

    /// As [`Inventory::select`], keeping only hosts that `limit` selects as well.
    pub fn select_within(&self, pattern: &Pattern, limit: Option<&Pattern>) -> Selection {
        let mut selection = self.select(pattern);
        if let Some(limit) = limit {
            let within: HashSet<_> = self.select(limit).hosts.into_iter().collect();
            selection.hosts.retain(|host| within.contains(host));
        }
        selection
    }

    /// The hosts that one part without its mark matches.
    fn matches(
        &self,
        part: &str,
        pattern: &Pattern,
        problems: &mut Vec<PatternProblem>,
    ) -> Vec<Arc<str>> {
        if let Some(set) = pattern.sets.get(part) {
            // Hosts that the inventory does not have any more are not there to be selected.
            let hosts = self.hosts.keys().filter(|host| set.contains(*host));
            return hosts.cloned().collect();
        }
        if let Some(host) = self.host(part) {
            return vec![host.name.clone()];
        }
        let (expression, subscript) = split_subscript(part);
        let hosts = match self.enumerate(expression) {
            Ok(hosts) => hosts,
            Err(message) => {
                problems.push(PatternProblem {
                    part: part.to_owned(),
                    message: format!("the pattern `{part}` is malformed: {message}"),
                    suggestion: None,
                    malformed: true,
                });
                return Vec::new();
            }
        };
        let Some(hosts) = hosts else {
            let names = self.hosts.keys().chain(self.groups.keys());
            problems.push(PatternProblem {
                part: part.to_owned(),
                message: format!("no host or group matches `{expression}`"),
                suggestion: did_you_mean(expression, names.map(|it| &**it)).map(str::to_owned),
                malformed: false,
            });
            return Vec::new();
        };
        match subscript {
            Some(subscript) if !hosts.is_empty() => take(&hosts, subscript).unwrap_or_else(|| {
                problems.push(PatternProblem {
                    part: part.to_owned(),
                    message: format!(
                        "`{expression}` has {} hosts, so `{part}` is out of range",
                        hosts.len()
                    ),
                    suggestion: None,
                    malformed: true,
                });
                Vec::new()
            }),
            _ => hosts,
        }
    }

    /// Hosts of the groups that match, and hosts that match themselves; none if nothing does.
    fn enumerate(&self, expression: &str) -> Result<Option<Vec<Arc<str>>>, String> {
        let matcher = Matcher::new(expression)?;
        let mut hosts: Vec<Arc<str>> = Vec::new();
        let mut any_group = false;
        for (name, index) in self.groups.keys().zip(0..) {
            if matcher.matches(name) {
                any_group = true;
                let below = self.hosts_below(index).into_iter();
                hosts.extend(below.map(|host| self.hosts[host].name.clone()));
            }
        }
        if !any_group || expression.starts_with('~') || expression.contains(['.', '?', '*', '[']) {
            let matching = self.hosts.keys().filter(|name| matcher.matches(name));
            hosts.extend(matching.cloned());
        }
        if hosts.is_empty() && LOCALHOST.contains(&expression) {
            // One localhost is enough: the inventory's own, under whichever of its names it was defined.
            let own = self.hosts.keys().find(|name| LOCALHOST.contains(&&***name));
            hosts.push(own.cloned().unwrap_or_else(|| expression.into()));
        }
        if hosts.is_empty() && !any_group && expression != "all" {
            return Ok(None);
        }
        let mut seen = HashSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        Ok(Some(hosts))
    }
}

enum Matcher<'a> {
    Exact(&'a str),
    Glob(&'a str),
    Regex(Box<Regex>),
}

impl<'a> Matcher<'a> {
    fn new(expression: &'a str) -> Result<Self, String> {
        if let Some(regex) = expression.strip_prefix('~') {
            let regex = Regex::new(regex, Flags::default()).map_err(|error| error.to_string())?;
            return Ok(Matcher::Regex(Box::new(regex)));
        }
        Ok(if expression.contains(['*', '?', '[']) {
            Matcher::Glob(expression)
        } else {
            Matcher::Exact(expression)
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Matcher::Exact(wanted) => *wanted == name,
            Matcher::Glob(glob) => glob::matches(glob, name),
            Matcher::Regex(regex) => regex.match_start(name).is_ok_and(|found| found.is_some()),
        }
    }
}

/// Cuts a subscript off: `web[0]`, `web[-1]`, `web[1:3]`, `web[2:]`. Regular expressions have none.
fn split_subscript(part: &str) -> (&str, Option<Subscript>) {
    let cut = || {
        let (expression, inside) = part.strip_suffix(']')?.rsplit_once('[')?;
        if expression.is_empty() || part.starts_with('~') {
            return None;
        }
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number(inside.strip_prefix('-').unwrap_or(inside)) {
            return Some((expression, Subscript::One(inside.parse().ok()?)));
        }
        let (first, last) = inside.split_once([':', '-'])?;
        if !is_number(first) || !(last.is_empty() || is_number(last)) {
            return None;
        }
        let last = if last.is_empty() {
            None
        } else {
            Some(last.parse().ok()?)
        };
        Some((expression, Subscript::Range(first.parse().ok()?, last)))
    };
    match cut() {
        Some((expression, subscript)) => (expression, Some(subscript)),
        None => (part, None),
    }
}

/// The hosts of a subscript; none if a single index is out of range.
fn take(hosts: &[Arc<str>], subscript: Subscript) -> Option<Vec<Arc<str>>> {
    match subscript {
        Subscript::One(index) => {
            let count = i64::try_from(hosts.len()).ok()?;
            let index = if index < 0 { count + index } else { index };
            let host = hosts.get(usize::try_from(index).ok()?)?;
            Some(vec![host.clone()])
        }
        // Ansible reads `[2:0]` as the single index 2.
        Subscript::Range(first, Some(0)) => hosts.get(first).map(|host| vec![host.clone()]),
        Subscript::Range(first, last) => {
            let end = last.map_or(hosts.len(), |last| last.saturating_add(1).min(hosts.len()));
            Some(hosts.get(first..end).unwrap_or_default().to_vec())
        }
    }
}
