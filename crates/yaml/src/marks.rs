//! From libyaml's positions to spans.

use hostler_diag::{SourceId, Span};

use crate::libyaml::Offset;

/// Makes spans of positions in one text.
pub(crate) struct Marks {
    source: SourceId,
    end: u32,
}

impl Marks {
    pub(crate) fn new(source: SourceId, text: &str) -> Self {
        Marks {
            source,
            end: u32::try_from(text.len()).unwrap_or(u32::MAX),
        }
    }

    /// The offset, no further than the end of the text.
    pub(crate) fn byte(&self, offset: Offset) -> u32 {
        u32::try_from(offset).unwrap_or(u32::MAX).min(self.end)
    }

    pub(crate) fn span(&self, start: Offset, end: Offset) -> Span {
        self.bytes_span(self.byte(start), self.byte(end))
    }

    pub(crate) fn bytes_span(&self, start: u32, end: u32) -> Span {
        Span::new(self.source, start.min(self.end), end.min(self.end))
    }
}
