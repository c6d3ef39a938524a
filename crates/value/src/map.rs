//! An ordered mapping from any value to any value.

use indexmap::{Equivalent, IndexMap};

use crate::Value;

/// An ordered mapping. Asking with text needs no allocation; equality ignores the order of keys, as Python's does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(IndexMap<Value, Value>);

struct Text<'a>(&'a str);

impl std::hash::Hash for Text<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Value> for Text<'_> {
    fn equivalent(&self, key: &Value) -> bool {
        key.as_str() == Some(self.0)
    }
}

impl Map {
    /// An empty mapping.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(&Text(key))
    }

    /// The value of a key of any kind.
    pub fn get_key(&self, key: &Value) -> Option<&Value> {
        self.0.get(key)
    }

    /// Is there such a text key?
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(&Text(key))
    }

    /// Sets a key; an existing key keeps its place. Returns the value that it had.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(key.into(), value.into())
    }

    /// Takes a text key out, keeping the order of the others.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.shift_remove(&Text(key))
    }

    /// Key and value pairs in order.
    pub fn iter(&self) -> indexmap::map::Iter<'_, Value, Value> {
        self.0.iter()
    }

    /// Keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.0.keys()
    }

    /// Values in order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.0.values()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pair at a position.
    pub fn at(&self, index: usize) -> Option<(&Value, &Value)> {
        self.0.get_index(index)
    }

    /// Sets every pair of `other`, replacing what is there.
    pub fn extend(&mut self, other: &Map) {
        self.0.extend(
            other
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Map(pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect())
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = indexmap::map::IntoIter<Value, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Value, &'a Value);
    type IntoIter = indexmap::map::Iter<'a, Value, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
