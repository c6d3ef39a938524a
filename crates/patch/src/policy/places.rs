//! Where the parts of a policy stand, so that a decision can name the line that made it.

use hostler_diag::{SourceMap, Span};
use hostler_yaml::Node;

/// A step from a part to one inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value of a key.
    Key(&'a str),
    /// An item of a list. The only item of a text that may stand for a list is that text.
    Item(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Step::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Step::Item(index)
    }
}

/// The tree of a policy with the texts that it was read from.
#[derive(Clone, Debug)]
pub struct Places {
    root: Node,
    sources: SourceMap,
}

impl Places {
    pub(super) fn new(root: Node, sources: SourceMap) -> Self {
        Places { root, sources }
    }

    /// Where a part stands, or the innermost part around it that is written.
    pub fn span(&self, path: &[Step<'_>]) -> Span {
        self.find(path).0
    }

    /// Where the key of a part stands, or the innermost part around it that is written.
    pub fn key_span(&self, path: &[Step<'_>]) -> Span {
        self.find(path).1
    }

    /// `monthly.yml:14:5` of a part that is written; `None` if it is a default.
    pub fn rule(&self, path: &[Step<'_>]) -> Option<String> {
        let (span, _, whole) = self.find(path);
        whole.then(|| self.sources.locate(span).to_string())
    }

    fn find(&self, path: &[Step<'_>]) -> (Span, Span, bool) {
        let mut node = &self.root;
        let mut key_span = node.span;
        for step in path {
            let inner = match step {
                Step::Key(key) => node.as_map().and_then(|map| map.entry(key)),
                Step::Item(index) => match node.as_list() {
                    Some(items) => items.get(*index).map(|item| (item, item)),
                    None if *index == 0 && node.as_map().is_none() => Some((node, node)),
                    None => None,
                },
            };
            let Some((key, value)) = inner else {
                return (node.span, key_span, false);
            };
            (node, key_span) = (value, key.span);
        }
        (node.span, key_span, true)
    }
}
