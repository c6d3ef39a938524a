//! Reading the XML that zypper writes: tags with their attributes, one after another. No entities but the five of XML and
//! numbers, no nesting to follow: what is not understood is passed over.

/// A tag that opens, or (its name begins with `/`) closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    attributes: &'a str,
    /// The text after it, up to the next tag, with entities.
    pub(crate) text: &'a str,
}

/// All tags of a document.
pub(crate) fn tags(document: &str) -> impl Iterator<Item = Tag<'_>> {
    document.split('<').skip(1).filter_map(|part| {
        // No attribute of zypper's has a plain `>`.
        let (inside, text) = part.split_once('>')?;
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        let end = inside.find(char::is_whitespace).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at(end);
        Some(Tag {
            name,
            attributes,
            text,
        })
    })
}

impl Tag<'_> {
    /// An attribute's value.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            let (key, after) = rest.split_once('=')?;
            let quote = after.chars().next().filter(|it| matches!(it, '"' | '\''))?;
            let (value, more) = after.get(1..)?.split_once(quote)?;
            if key.trim() == name {
                return Some(decoded(value));
            }
            rest = more;
        }
    }
}

/// Text with its entities replaced.
pub(crate) fn decoded(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap_or(("", part));
        let number = |text: &str, base| char::from_u32(u32::from_str_radix(text, base).ok()?);
        let ch = match entity {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match entity.strip_prefix("#x") {
                Some(hex) => number(hex, 16),
                None => entity.strip_prefix('#').and_then(|it| number(it, 10)),
            },
        };
        if let Some(ch) = ch {
            out.push(ch);
            out.push_str(rest);
        } else {
            out.push('&');
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_attributes() {
        let all: Vec<Tag<'_>> =
            tags("<?xml version='1.0'?>\n<a b=\"1 &lt; 2\" c='&#x41;&#66;&bad;&'/>text<x")
                .collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].name, all[1].text), ("a", "text"));
        assert_eq!(all[1].get("b").as_deref(), Some("1 < 2"));
        assert_eq!(all[1].get("c").as_deref(), Some("AB&bad;&"));
        assert_eq!(all[1].get("d"), None);
        for hostile in [
            "",
            "<",
            "<>",
            "< =",
            "<a b>",
            "<a b=>",
            "<a b=\">",
            "<a =\"\">",
            "<é é='é'>",
        ] {
            for tag in tags(hostile) {
                let _ = tag.get("b");
            }
        }
    }
}
