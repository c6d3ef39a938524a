//! The short form of arguments: `copy: src=a dest="/b c" mode=0644`.
//!
//! Rules as Ansible documents them: words are split at blanks outside quotes and outside `{{ }}`, `{% %}`, `{# #}`;
//! a word with `=` is an argument, its value may be quoted; other words belong to the free form (`command: ls -l /`).
//! Splitting happens before any template is evaluated, so no value can add an argument.

use hostler_yaml::TemplateSource;

/// A short form taken apart.
#[derive(Debug, Default)]
pub struct ShortForm {
    /// `key=value` words: key, its byte range in the text, and the value.
    pub pairs: Vec<(String, (usize, usize), TemplateSource)>,
    /// The words that are not, as they stand, with the blanks between them; `None` if there are none.
    pub free: Option<TemplateSource>,
}

/// Takes a short form apart. `is_key` says which keys count as arguments; for modules without a free form all do.
///
/// # Errors
/// If quotes or braces do not balance: what is left open.
pub fn split_short_form(
    source: &TemplateSource,
    is_key: impl Fn(&str) -> bool,
) -> Result<ShortForm, &'static str> {
    let text = source.text();
    let mut form = ShortForm::default();
    let mut free: Vec<(usize, usize)> = Vec::new();
    for (start, end) in words(text)? {
        let word = &text[start..end];
        match word.find('=').map(|at| (&word[..at], at)) {
            Some((key, at)) if is_identifier(key) && is_key(key) => {
                let value = (start + at + 1, end);
                let parsed = unquoted(source, value.0, value.1);
                form.pairs
                    .push((key.to_owned(), (start, start + at), parsed));
            }
            _ => free.push((start, end)),
        }
    }
    form.free = join(source, &free);
    Ok(form)
}

fn is_identifier(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || ch == '_')
}

/// The free words as one text: what is between two of them that follow each other stays as it is.
fn join(source: &TemplateSource, words: &[(usize, usize)]) -> Option<TemplateSource> {
    let (first, last) = (words.first()?, words.last()?);
    let text = source.text();
    let mut joined = String::new();
    let mut end = first.0;
    for word in words {
        let gap = &text[end..word.0];
        joined.push_str(if gap.trim().is_empty() { gap } else { " " });
        joined.push_str(&text[word.0..word.1]);
        end = word.1;
    }
    Some(source.excerpt(first.0, last.1, Some(joined)))
}

/// A value without the quotes around it; escapes such as `\n` in double quotes are resolved.
fn unquoted(source: &TemplateSource, start: usize, end: usize) -> TemplateSource {
    let raw = &source.text()[start..end];
    let quote = raw.chars().next().filter(|ch| matches!(ch, '"' | '\''));
    match quote {
        Some(quote) if raw.len() >= 2 && raw.ends_with(quote) => {
            let inner = &raw[1..raw.len() - 1];
            let text = if quote == '"' {
                unescape(inner)
            } else {
                inner.to_owned()
            };
            source.excerpt(start + 1, end - 1, Some(text))
        }
        _ => source.excerpt(start, end, None),
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        let resolved = (ch == '\\')
            .then(|| chars.peek().copied())
            .flatten()
            .and_then(|next| match next {
                'n' => Some('\n'),
                't' => Some('\t'),
                'r' => Some('\r'),
                '"' | '\\' => Some(next),
                _ => None,
            });
        match resolved {
            Some(real) => {
                out.push(real);
                chars.next();
            }
            None => out.push(ch),
        }
    }
    out
}

/// Byte ranges of the words.
fn words(text: &str) -> Result<Vec<(usize, usize)>, &'static str> {
    let mut words = Vec::new();
    let mut start: Option<usize> = None;
    let mut quote: Option<char> = None;
    let mut closing: Vec<&str> = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, ch)) = rest.next() {
        let tail = &text[at..];
        if let Some(close) = closing.last() {
            if tail.starts_with(close) {
                closing.pop();
                rest.next();
            }
            continue;
        }
        if let Some(open) = quote {
            if ch == '\\' {
                rest.next();
            } else if ch == open {
                quote = None;
            }
            continue;
        }
        let opened = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
            .iter()
            .find(|(open, _)| tail.starts_with(open));
        if ch.is_whitespace() {
            words.extend(start.take().map(|start| (start, at)));
            continue;
        }
        let first = *start.get_or_insert(at);
        let opens_value = at == first || text[..at].ends_with('=');
        if let Some((_, close)) = opened {
            closing.push(close);
            rest.next();
        } else if matches!(ch, '"' | '\'') && (opens_value || text[at + 1..].contains(ch)) {
            quote = Some(ch);
        }
    }
    if !closing.is_empty() {
        return Err("a template that is not closed");
    }
    if quote.is_some() {
        return Err("a quote that is not closed");
    }
    words.extend(start.map(|start| (start, text.len())));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_diag::SourceMap;

    fn split(text: &str, free: bool) -> (Vec<(String, String)>, Option<String>) {
        let map = SourceMap::new();
        let id = map.add_text("t", text);
        let known = ["chdir", "creates"];
        let form = split_short_form(&TemplateSource::whole(&map, id), |key| {
            !free || known.contains(&key)
        })
        .unwrap();
        let pairs = form
            .pairs
            .iter()
            .map(|(key, _, value)| (key.clone(), value.text().to_owned()))
            .collect();
        (pairs, form.free.map(|it| it.text().to_owned()))
    }

    #[test]
    fn pairs_keep_quotes_and_templates_together() {
        let (pairs, free) = split(
            r#"src={{ a b }}/x dest="/b c" mode=0644 msg='it is' line="a\tb""#,
            false,
        );
        let want = [
            ("src", "{{ a b }}/x"),
            ("dest", "/b c"),
            ("mode", "0644"),
            ("msg", "it is"),
            ("line", "a\tb"),
        ];
        assert_eq!(
            pairs,
            want.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert_eq!(free, None);
    }

    #[test]
    fn a_free_form_keeps_its_own_words() {
        let (pairs, free) = split("dd if=/dev/zero  of=/x chdir=/tmp bs=1 \"a  b\"", true);
        assert_eq!(pairs, [("chdir".to_owned(), "/tmp".to_owned())]);
        assert_eq!(
            free.as_deref(),
            Some("dd if=/dev/zero  of=/x bs=1 \"a  b\"")
        );
    }

    #[test]
    fn what_is_left_open_is_said() {
        let map = SourceMap::new();
        let whole = |text: &str| TemplateSource::whole(&map, map.add_text("t", text));
        assert!(split_short_form(&whole("a={{ b"), |_| true).is_err());
        assert!(split_short_form(&whole("a='b"), |_| true).is_err());
    }
}
