//! Collects problems of single hosts, and folds those that are the same.

use std::collections::HashSet;

use hostler_diag::{Diagnostic, Span};
use indexmap::{IndexMap, IndexSet};

/// What makes two problems the same.
type Key = (String, String, bool, Option<Span>);

/// Problems with the hosts that have them.
#[derive(Default)]
pub(super) struct Findings {
    by_key: IndexMap<Key, Found>,
    general: Vec<Diagnostic>,
}

struct Found {
    diagnostic: Diagnostic,
    hosts: IndexSet<String>,
    /// Most hosts that any of its plays has.
    of: usize,
}

fn place(diagnostic: &Diagnostic) -> Option<Span> {
    diagnostic.labels.first().map(|label| label.span)
}

impl Findings {
    /// A problem of one host, of a play of `of` hosts.
    pub(super) fn add(&mut self, diagnostic: &Diagnostic, host: &str, of: usize) {
        let key = (
            diagnostic.code.clone(),
            diagnostic.message.clone(),
            diagnostic.is_error(),
            place(diagnostic),
        );
        let found = self.by_key.entry(key).or_insert_with(|| Found {
            diagnostic: diagnostic.clone(),
            hosts: IndexSet::new(),
            of,
        });
        found.of = found.of.max(of);
        if !found.hosts.contains(host) {
            found.hosts.insert(host.to_owned());
        }
    }

    /// Problems that are about no host in particular.
    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Diagnostic>) {
        self.general.extend(problems);
    }

    /// The problems, in the order in which they were found.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut alike: IndexMap<(String, bool, Option<Span>), Vec<Found>> = IndexMap::new();
        for ((code, _, error, span), found) in self.by_key {
            alike.entry((code, error, span)).or_default().push(found);
        }
        // What is sure for some hosts need not be told as likely for others.
        let sure: HashSet<(String, Option<Span>)> = alike
            .keys()
            .filter(|(_, error, _)| *error)
            .map(|(code, _, span)| (code.clone(), *span))
            .collect();
        alike.retain(|(code, error, span), _| *error || !sure.contains(&(code.clone(), *span)));
        let folded = alike.into_values().flat_map(|mut group| {
            if group.len() > 1 {
                group = vec![fold(group)];
            }
            group
        });
        folded
            .map(|found| {
                let hosts = found.hosts.into_iter().collect();
                found.diagnostic.on(hosts, found.of)
            })
            .chain(self.general)
            .collect()
    }
}

/// Problems that differ only in words, such as a missing file of each host.
fn fold(group: Vec<Found>) -> Found {
    let others = group.len() - 1;
    let mut all = group.into_iter();
    let mut first = all.next().unwrap_or_else(|| Found {
        diagnostic: Diagnostic::error("none", ""),
        hosts: IndexSet::new(),
        of: 0,
    });
    let example = first.hosts.first().cloned().unwrap_or_default();
    for found in all {
        first.of = first.of.max(found.of);
        first.hosts.extend(found.hosts);
    }
    first.diagnostic = first.diagnostic.hint(format!(
        "this is what `{example}` has; {others} more differ in the words only"
    ));
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_problem_is_told_once_with_its_hosts() {
        let mut findings = Findings::default();
        let problem = Diagnostic::error("undefined-variable", "'x' is undefined");
        for host in ["a", "b", "a"] {
            findings.add(&problem, host, 3);
        }
        for number in 1..=9 {
            let missing = Diagnostic::error("no-such-file", format!("no {number}"));
            findings.add(&missing, &format!("h{number}"), 9);
        }
        let found = findings.finish();
        assert_eq!(found.len(), 2);
        let hosts = |index: usize| {
            let on = found[index].on.as_ref().unwrap();
            (on.hosts.len(), on.all)
        };
        assert_eq!(hosts(0), (2, false));
        assert_eq!(hosts(1), (9, true));
        assert!(
            found[1].hints[0].contains("8 more differ"),
            "{:?}",
            found[1]
        );
    }
}
