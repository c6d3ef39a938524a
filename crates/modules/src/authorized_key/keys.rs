//! The lines of `authorized_keys(5)`.
//!
//! Lines that are not concerned stay as they are, byte by byte. (The original module writes every line anew, which
//! adds a space behind keys without comment.)

use hostler_module_api::ModuleError;

use crate::presence::Presence;

/// Key types of OpenSSH, without the suffix of certificates.
const TYPES: &[&str] = &[
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "sk-ecdsa-sha2-nistp256",
    "sk-ssh-ed25519",
    "ssh-dss",
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-xmss",
    "webauthn-sk-ecdsa-sha2-nistp256",
];

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) keys: &'a str,
    pub(super) options: Option<&'a str>,
    pub(super) comment: Option<&'a str>,
    pub(super) state: Presence,
    pub(super) exclusive: bool,
}

/// A line that holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    options: Vec<String>,
    kind: String,
    /// The key itself in base64, which identifies it.
    blob: String,
    comment: String,
}

/// The new text of the file; `None` if it is as wanted.
pub(super) fn edit(wanted: &Wanted<'_>, text: &str) -> Result<Option<String>, ModuleError> {
    let mut lines: Vec<(String, Option<Key>)> = text
        .split_inclusive('\n')
        .map(|line| (line.to_owned(), Key::parse(line)))
        .collect();
    let mut changed = false;
    let mut named = Vec::new();
    let keys = wanted.keys.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in keys {
        let key = wanted_key(wanted, line)?;
        let blob = key.blob.clone();
        let is_it = |it: &(String, Option<Key>)| it.1.as_ref().is_some_and(|it| it.blob == blob);
        let present = lines.iter().rfind(|line| is_it(line)).and_then(|line| line.1.as_ref());
        match (wanted.state, present) {
            (Presence::Present, Some(present)) if *present == key => {}
            (Presence::Absent, None) => {}
            (Presence::Present, _) => {
                lines.retain(|line| !is_it(line));
                end_last_line(&mut lines);
                lines.push((key.line(), Some(key)));
                changed = true;
            }
            (Presence::Absent, Some(_)) => {
                lines.retain(|line| !is_it(line));
                changed = true;
            }
        }
        named.push(blob);
    }
    if wanted.exclusive && wanted.state == Presence::Present {
        let before = lines.len();
        lines.retain(|line| line.1.as_ref().is_some_and(|key| named.contains(&key.blob)));
        changed |= lines.len() != before;
    }
    Ok(changed.then(|| lines.into_iter().map(|line| line.0).collect()))
}

fn end_last_line(lines: &mut [(String, Option<Key>)]) {
    if let Some((last, _)) = lines.last_mut()
        && !last.ends_with('\n')
    {
        last.push('\n');
    }
}

fn wanted_key(wanted: &Wanted<'_>, line: &str) -> Result<Key, ModuleError> {
    let key = Key::parse(line);
    let mut key = key.ok_or_else(|| ModuleError::new(format!("invalid key specified: {line}")))?;
    if let Some(options) = wanted.options {
        key.options = split_options(options);
    }
    if let Some(comment) = wanted.comment {
        comment.clone_into(&mut key.comment);
    }
    if key.line().trim_end_matches('\n').contains(['\n', '\r']) {
        return Err(ModuleError::new("options and comment of a key must not have line breaks"));
    }
    Ok(key)
}

impl Key {
    /// Reads a line; `None` for a comment and anything else that is not a key.
    fn parse(line: &str) -> Option<Self> {
        let line = line.replace("\\#", "#");
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| is_type(word))?;
        // Options may hold spaces in quotes: they are taken from the line, not from the words.
        let options_end = words[at].as_ptr() as usize - line.as_ptr() as usize;
        Some(Key {
            options: split_options(line[..options_end].trim()),
            kind: words[at].to_owned(),
            blob: (*words.get(at + 1)?).to_owned(),
            comment: words[at + 2..].join(" "),
        })
    }

    fn line(&self) -> String {
        let options = self.options.join(",");
        let parts = [&options, &self.kind, &self.blob, &self.comment];
        let parts: Vec<&str> = parts.iter().map(|it| it.as_str()).filter(|it| !it.is_empty()).collect();
        parts.join(" ") + "\n"
    }
}

fn is_type(word: &str) -> bool {
    let name = word.strip_suffix("@openssh.com").unwrap_or(word);
    let name = name.strip_suffix("-cert-v01").unwrap_or(name);
    TYPES.contains(&name)
}

/// Options, separated by commas outside quotes.
fn split_options(text: &str) -> Vec<String> {
    let mut options = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (',', None) => {
                options.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    options.push(&text[start..]);
    options.into_iter().filter(|it| !it.is_empty()).map(str::to_owned).collect()
}
