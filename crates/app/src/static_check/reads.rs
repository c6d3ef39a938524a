//! Remembers what a check came to by what it looked at, so that hosts that look the same are checked once.
//!
//! A check asks for variables in an order that only the answers before decide. So the answers form a tree: at each
//! place one name is asked, each answer leads on, and the end is what the check came to. Two hundred web servers that
//! differ only in variables that a task does not read take one walk down the tree each, and no evaluation.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use hostler_diag::Span;
use hostler_template::Var;
use hostler_value::Value;
use hostler_yaml::NodeKind;

/// What a variable was when it was read: equal prints mean equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Print {
    Missing,
    NoFacts,
    Unknown,
    /// Text of the user's: its place, and the text, since what a script prints may have no place of its own.
    Written(Span, Option<Value>),
    Data(Value),
    /// A mapping that is shared: where it lies in memory.
    Shared(usize),
    /// `hostvars`: the same for all.
    Nested,
}

impl Print {
    pub(super) fn of(var: &Var) -> Print {
        match var {
            Var::Written(node) => Print::Written(
                node.span,
                match &node.kind {
                    NodeKind::Data(value) => Some(value.clone()),
                    NodeKind::Text(source) => Some(Value::Str(source.shared_text())),
                    NodeKind::Vault(text) => Some(Value::Str(text.clone())),
                    NodeKind::List(_) | NodeKind::Map(_) => None,
                },
            ),
            Var::Data(Value::Map(map)) => Print::Shared(std::sync::Arc::as_ptr(map).addr()),
            Var::Data(value) => Print::Data(value.clone()),
            Var::Nested(_) => Print::Nested,
        }
    }
}

/// The variables that were read, each once, in order.
#[derive(Default)]
pub(super) struct Reads {
    seen: HashSet<String>,
    pub(super) order: Vec<(String, Print)>,
}

impl Reads {
    pub(super) fn note(&mut self, name: &str, print: impl FnOnce() -> Print) {
        if !self.seen.contains(name) {
            self.seen.insert(name.to_owned());
            self.order.push((name.to_owned(), print()));
        }
    }
}

/// What checks came to, by what they read.
pub(super) struct ReadTree<T>(Option<Branch<T>>);

enum Branch<T> {
    End(T),
    Ask(String, HashMap<Print, Branch<T>>),
}

impl<T> Default for ReadTree<T> {
    fn default() -> Self {
        ReadTree(None)
    }
}

impl<T> ReadTree<T> {
    /// What an earlier check came to that read the same.
    pub(super) fn find(&self, print: impl Fn(&str) -> Print) -> Option<&T> {
        let mut branch = self.0.as_ref()?;
        loop {
            match branch {
                Branch::End(end) => return Some(end),
                Branch::Ask(name, answers) => branch = answers.get(&print(name))?,
            }
        }
    }

    /// Remembers. A check that asked in another order than the ones before is not remembered.
    pub(super) fn insert(&mut self, reads: Vec<(String, Print)>, end: T) {
        if self.0.is_none() {
            self.0 = Some(branch(reads.into_iter(), end));
            return;
        }
        let mut at = self.0.as_mut();
        let mut reads = reads.into_iter();
        while let Some(Branch::Ask(asked, answers)) = at {
            let Some((name, print)) = reads.next().filter(|(name, _)| name == asked) else {
                return;
            };
            debug_assert_eq!(name, *asked);
            at = match answers.entry(print) {
                Entry::Vacant(place) => {
                    place.insert(branch(reads, end));
                    return;
                }
                Entry::Occupied(place) => Some(place.into_mut()),
            };
        }
    }
}

fn branch<T>(mut reads: impl Iterator<Item = (String, Print)>, end: T) -> Branch<T> {
    match reads.next() {
        None => Branch::End(end),
        Some((name, print)) => {
            let mut answers = HashMap::new();
            answers.insert(print, branch(reads, end));
            Branch::Ask(name, answers)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Print {
        Print::Data(Value::str(text))
    }

    #[test]
    fn equal_reads_end_alike() {
        let mut tree = ReadTree::default();
        let host = |a: &str, b: &str| {
            let (a, b) = (data(a), data(b));
            move |name: &str| if name == "a" { a.clone() } else { b.clone() }
        };
        assert_eq!(tree.find(host("1", "2")), None);
        tree.insert(vec![("a".into(), data("1")), ("b".into(), data("2"))], 'x');
        tree.insert(vec![("a".into(), data("0"))], 'y');
        assert_eq!(tree.find(host("1", "2")), Some(&'x'));
        assert_eq!(tree.find(host("0", "2")), Some(&'y'));
        assert_eq!(tree.find(host("1", "3")), None);
        tree.insert(vec![("a".into(), data("1")), ("b".into(), data("3"))], 'z');
        assert_eq!(tree.find(host("1", "3")), Some(&'z'));
        assert_eq!(tree.find(host("0", "3")), Some(&'y'));
    }
}
