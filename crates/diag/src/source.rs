//! The texts that users wrote, and positions in them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

/// Names one registered text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceId(u32);

/// A byte range in one registered text. Four-byte offsets: the loaders refuse larger files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end` of `source`.
    pub fn new(source: SourceId, start: u32, end: u32) -> Self {
        Span {
            source,
            start,
            end: end.max(start),
        }
    }

    /// From the start of this span to the end of `other`; this span if they are in different texts.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        if self.source == other.source {
            Span::new(self.source, self.start, other.end)
        } else {
            self
        }
    }

    /// The sub-range `start..end`, counted in bytes from this span's start and clipped to it.
    #[must_use]
    pub fn part(self, start: u32, end: u32) -> Span {
        let clip = |n: u32| self.start.saturating_add(n).min(self.end);
        Span::new(self.source, clip(start), clip(end))
    }
}

/// A registered text.
#[derive(Debug)]
pub struct SourceText {
    /// How messages name it: a path as the user gave it, or `<extra vars>` and the like.
    pub name: String,
    /// Where it was read from, if it is a file.
    pub path: Option<PathBuf>,
    /// The text itself.
    pub text: Arc<str>,
    line_starts: Vec<u32>,
}

impl SourceText {
    fn new(name: String, path: Option<PathBuf>, text: Arc<str>) -> Self {
        let ends = text
            .bytes()
            .zip(1_u32..)
            .filter(|(byte, _)| *byte == b'\n')
            .map(|(_, at)| at);
        let line_starts = std::iter::once(0).chain(ends).collect();
        SourceText {
            name,
            path,
            text,
            line_starts,
        }
    }

    /// Line (from 1) of a byte offset.
    pub fn line_of(&self, offset: u32) -> u32 {
        let line = self
            .line_starts
            .partition_point(|start| *start <= offset)
            .max(1);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The text of a line (from 1), without its line break; empty if there is no such line.
    pub fn line(&self, line: u32) -> &str {
        self.text
            .lines()
            .nth(line.saturating_sub(1) as usize)
            .unwrap_or("")
    }

    /// Byte offset where a line (from 1) starts.
    pub fn line_start(&self, line: u32) -> u32 {
        let index = line.saturating_sub(1) as usize;
        self.line_starts.get(index).copied().unwrap_or_default()
    }

    fn column_of(&self, offset: u32) -> u32 {
        let start = self.line_start(self.line_of(offset)) as usize;
        let upto = self.text.get(start..offset as usize).unwrap_or("");
        u32::try_from(upto.chars().count())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }
}

/// A position for people: file, line and column, both counted from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file's name as the user gave it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A part of a registered text that must not be shown.
#[derive(Clone)]
pub struct Hidden {
    /// Where it stands.
    pub span: Span,
    /// What it means: without quotes, escapes and indentation.
    pub text: Arc<str>,
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hidden")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// All registered texts of a run. Cheap to clone: clones share the same texts.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    texts: Arc<RwLock<Vec<Arc<SourceText>>>>,
    hidden: Arc<RwLock<Vec<Hidden>>>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a file's text.
    pub fn add_file(&self, path: &Path, text: impl Into<Arc<str>>) -> SourceId {
        self.push(
            path.display().to_string(),
            Some(path.to_owned()),
            text.into(),
        )
    }

    /// Registers a text that is not a file, such as `<extra vars>`.
    pub fn add_text(&self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        self.push(name.into(), None, text.into())
    }

    fn push(&self, name: String, path: Option<PathBuf>, text: Arc<str>) -> SourceId {
        let source = Arc::new(SourceText::new(name, path, text));
        let mut texts = self
            .texts
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        texts.push(source);
        SourceId(u32::try_from(texts.len() - 1).unwrap_or(u32::MAX))
    }

    /// The registered text. Ids come from this map, so it is there; an id of another map gives an empty text.
    pub fn get(&self, id: SourceId) -> Arc<SourceText> {
        let texts = self
            .texts
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        texts.get(id.0 as usize).cloned().unwrap_or_else(|| {
            Arc::new(SourceText::new(
                "<unknown source>".into(),
                None,
                Arc::from(""),
            ))
        })
    }

    /// Notes that the text at `span` means `text`, which must not be shown.
    pub fn hide(&self, span: Span, text: impl Into<Arc<str>>) {
        let text = text.into();
        self.hidden
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(Hidden { span, text });
    }

    /// What must not be shown, without the first `known`: notes are only ever added.
    pub fn hidden_since(&self, known: usize) -> Vec<Hidden> {
        let hidden = self
            .hidden
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        hidden.get(known..).unwrap_or_default().to_vec()
    }

    /// All texts so far, in order of registration.
    pub fn all(&self) -> Vec<Arc<SourceText>> {
        self.texts
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// The text that messages call `name`, the newest if there are several: where a [`Location`] leads to.
    pub fn find(&self, name: &str) -> Option<Arc<SourceText>> {
        let texts = self
            .texts
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        texts.iter().rev().find(|text| text.name == name).cloned()
    }

    /// File, line and column of a span's start.
    pub fn locate(&self, span: Span) -> Location {
        let text = self.get(span.source);
        Location {
            file: text.name.clone(),
            line: text.line_of(span.start),
            column: text.column_of(span.start),
        }
    }

    /// The text of a span; empty if the span does not lie on character boundaries.
    pub fn slice(&self, span: Span) -> String {
        let text = self.get(span.source);
        text.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let map = SourceMap::new();
        let id = map.add_text("t", "aé: 1\nb: x\n");
        assert_eq!(map.locate(Span::new(id, 0, 1)).to_string(), "t:1:1");
        assert_eq!(map.locate(Span::new(id, 3, 4)).to_string(), "t:1:3");
        assert_eq!(map.locate(Span::new(id, 10, 11)).to_string(), "t:2:4");
        assert_eq!(map.slice(Span::new(id, 10, 11)), "x");
        assert_eq!(map.get(id).line(2), "b: x");
    }
}
