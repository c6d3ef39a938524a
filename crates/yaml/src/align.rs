//! Where each part of a scalar's text stands in the source, when the scalar is not simply a piece of it.
//!
//! libyaml gives the text and its two ends. The text is walked again beside the source; where the two do not agree
//! (rare forms such as escaped line breaks between blank lines) the scalar only knows its whole span.

use crate::libyaml::Style;
use crate::node::Origin;

/// Offsets `(text, source)` where pieces start.
type Pieces = Vec<(u32, u32)>;

/// Relates `text`, a scalar of the given style, to `written`, its source including quotes or the block header, which
/// stands at byte `base`.
pub(crate) fn origin(text: &str, written: &str, base: u32, style: Style) -> Origin {
    if text.is_empty() {
        return Origin::Whole;
    }
    let pieces = match style {
        Style::Plain if written == text => return Origin::Verbatim,
        Style::Plain => flow(text, written, 0, style),
        Style::Single | Style::Double => {
            let inner = written.get(1..written.len().saturating_sub(1));
            inner.and_then(|inner| flow(text, inner, 1, style))
        }
        Style::Literal | Style::Folded => block(text, written),
    };
    match pieces {
        Some(pieces) => Origin::Pieces(
            pieces
                .into_iter()
                .map(|(text, source)| (text, source.saturating_add(base)))
                .collect(),
        ),
        None => Origin::Whole,
    }
}

fn push(pieces: &mut Pieces, text: usize, source: usize) -> Option<()> {
    pieces.push((u32::try_from(text).ok()?, u32::try_from(source).ok()?));
    Some(())
}

/// Plain and quoted scalars; `offset` is where `written` starts in the scalar.
fn flow(text: &str, written: &str, offset: usize, style: Style) -> Option<Pieces> {
    let mut pieces = Pieces::new();
    push(&mut pieces, 0, offset)?;
    let (mut at, mut from) = (0, 0);
    while from < written.len() {
        let rest = written.get(from..)?;
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        let breaks = rest[..blanks].matches('\n').count();
        if breaks > 0 {
            at += folded(text.get(at..)?, breaks)?;
            from += blanks;
        } else if style == Style::Single && rest.starts_with("''") {
            at += 1;
            from += 2;
        } else if style == Style::Double && rest.starts_with('\\') {
            let (length, taken) = escape(rest)?;
            if let Some(breaks) = length {
                at += if breaks > 1 {
                    folded(text.get(at..)?, breaks)?
                } else {
                    0
                };
            } else {
                at += text.get(at..)?.chars().next()?.len_utf8();
            }
            from += taken;
        } else {
            let next = rest.chars().next()?;
            if !text.get(at..)?.starts_with(next) {
                return None;
            }
            at += next.len_utf8();
            from += next.len_utf8();
            continue;
        }
        push(&mut pieces, at, from + offset)?;
    }
    (at == text.len()).then_some(pieces)
}

/// Bytes of the text that stand for line breaks: one break is a space, `n` breaks are `n - 1` line feeds.
fn folded(text: &str, breaks: usize) -> Option<usize> {
    if breaks == 1 {
        return text.starts_with(' ').then_some(1);
    }
    let wanted = breaks - 1;
    let found = text
        .bytes()
        .take(wanted)
        .filter(|byte| *byte == b'\n')
        .count();
    (found == wanted).then_some(wanted)
}

/// A double-quoted escape: the line breaks that it takes away (none for one that stands for a character), and its
/// length.
fn escape(rest: &str) -> Option<(Option<usize>, usize)> {
    let kind = rest.chars().nth(1)?;
    Some(match kind {
        '\n' | '\r' => {
            let tail = &rest[1..];
            let blanks = tail.len() - tail.trim_start_matches([' ', '\t', '\r', '\n']).len();
            (Some(tail[..blanks].matches('\n').count()), 1 + blanks)
        }
        'x' => (None, 4),
        'u' => (None, 6),
        'U' => (None, 10),
        other => (None, 1 + other.len_utf8()),
    })
}

/// Block scalars: every line of the source stands as it is in the text, without the common indentation.
fn block(text: &str, written: &str) -> Option<Pieces> {
    let (header, body) = written.split_once('\n')?;
    let mut from = header.len() + 1;
    let first_text = text.trim_start_matches('\n');
    let text_indent = first_text.len() - first_text.trim_start_matches(' ').len();
    let mut indent = None;
    let mut pieces = Pieces::new();
    let mut at = 0;
    for line in body.split('\n') {
        let content = line.trim_end_matches('\r');
        if !content.trim_start_matches(' ').is_empty() {
            let blanks = content.len() - content.trim_start_matches(' ').len();
            let indent = *indent.get_or_insert(blanks.saturating_sub(text_indent));
            let content = content.get(indent.min(blanks)..)?;
            at = seek(text, at, content)?;
            push(&mut pieces, at, from + indent.min(blanks))?;
            at += content.len();
        }
        from += line.len() + 1;
    }
    Some(pieces)
}

/// The place of a line's content from `at` on: only folded or kept line breaks lie before it.
fn seek(text: &str, mut at: usize, content: &str) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with(content) {
            return Some(at);
        }
        if !rest.starts_with(['\n', ' ']) {
            return None;
        }
        at += 1;
    }
}
