//! What a search finds.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::RegexError;
use crate::regex::Regex;

/// One match: the text it was found in, and where each group matched.
#[derive(Debug, Clone)]
pub struct Match<'t> {
    pub(crate) text: &'t str,
    /// By group number; entry 0 is the whole match.
    pub(crate) spans: Vec<Option<Range<usize>>>,
    pub(crate) names: std::sync::Arc<BTreeMap<String, usize>>,
}

impl<'t> Match<'t> {
    /// The bytes of the text that the whole pattern matched.
    pub fn range(&self) -> Range<usize> {
        self.span(0).unwrap_or(0..0)
    }

    /// Byte offset where the match begins.
    pub fn start(&self) -> usize {
        self.range().start
    }

    /// Byte offset just after the match.
    pub fn end(&self) -> usize {
        self.range().end
    }

    /// The matched text.
    pub fn as_str(&self) -> &'t str {
        self.group(0).unwrap_or_default()
    }

    /// Bytes that a group matched; none if it took no part in the match or does not exist.
    pub fn span(&self, group: usize) -> Option<Range<usize>> {
        self.spans.get(group).cloned().flatten()
    }

    /// Text that a group matched; none if it took no part in the match or does not exist.
    pub fn group(&self, group: usize) -> Option<&'t str> {
        self.span(group).and_then(|span| self.text.get(span))
    }

    /// Number of the group with this name.
    pub fn group_number(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Text that the group with this name matched.
    pub fn named(&self, name: &str) -> Option<&'t str> {
        self.group_number(name).and_then(|group| self.group(group))
    }

    /// Python's `groups()`: every group after the whole match.
    pub fn groups(&self) -> impl Iterator<Item = Option<&'t str>> + '_ {
        (1..self.spans.len()).map(|group| self.group(group))
    }
}

/// One entry of Python's `findall`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The pattern has no group, or one: the text of the match, or of the group.
    Text(String),
    /// The texts of all groups; empty for those that took no part.
    Groups(Vec<String>),
}

/// Matches from left to right that do not overlap, as Python's `finditer` gives them.
///
/// After an empty match, a longer one may begin at the same place; so `\b|\w+` finds both.
#[derive(Debug)]
pub struct MatchIter<'r, 't> {
    pub(crate) regex: &'r Regex,
    pub(crate) text: &'t str,
    /// Where to search next; none at the end.
    pub(crate) next: Option<usize>,
    /// The last match was empty and ended here.
    pub(crate) after_empty: bool,
}

impl<'t> Iterator for MatchIter<'_, 't> {
    type Item = Result<Match<'t>, RegexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance().transpose();
        match &found {
            Some(Ok(found)) => {
                self.after_empty = found.range().is_empty();
                self.next = Some(found.end());
            }
            Some(Err(_)) | None => self.next = None,
        }
        found
    }
}

impl<'t> MatchIter<'_, 't> {
    fn advance(&mut self) -> Result<Option<Match<'t>>, RegexError> {
        let Some(position) = self.next else {
            return Ok(None);
        };
        if !self.after_empty {
            return self.regex.search_from(self.text, position);
        }
        if let Some(found) = self.regex.match_not_empty_at(self.text, position)? {
            return Ok(Some(found));
        }
        match self.text[position..].chars().next() {
            Some(c) => self.regex.search_from(self.text, position + c.len_utf8()),
            None => Ok(None),
        }
    }
}
