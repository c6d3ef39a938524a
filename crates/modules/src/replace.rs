//! `replace`: every match of a pattern in a text file.

use hostler_module_api::prelude::*;
use hostler_python_regex::{Flags, Regex, RegexError};

use crate::edited::{EditedFile, Writing, with_backup, bad_regex};
use crate::files::with_file_args;

with_file_args! {
    /// Replace every match of a regular expression in a text file.
    ///
    /// ```yaml
    /// - replace:
    ///     path: /etc/hosts
    ///     regexp: '(\s+)old\.example\.com(\s+.*)?$'
    ///     replace: '\1new.example.com\2'
    /// ```
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Args {
        /// File to edit.
        #[serde(alias = "dest", alias = "destfile", alias = "name")]
        path: String,
        /// Regular expression (Python's, in multi-line mode) of the text to replace.
        regexp: String,
        /// What to put in its place: a template with groups of the regular expression. Nothing, if not given.
        #[serde(default)]
        replace: String,
        /// Replace only behind the match of this regular expression, in which `.` matches newlines too.
        after: Option<String>,
        /// Replace only before the match of this regular expression, in which `.` matches newlines too.
        before: Option<String>,
        /// Keep a copy of the file as it was.
        #[serde(default)]
        backup: bool,
        /// Encoding of the file: `utf-8`, `ascii` or `latin-1`.
        #[serde(default = "default_encoding")]
        encoding: String,
        /// Command with `%s` for the new file; it must succeed before the file is put in place.
        validate: Option<String>,
    }
}

fn default_encoding() -> String {
    "utf-8".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("replace")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = EditedFile;
    const NAME: &'static str = "replace";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<EditedFile, ModuleError> {
        let file = EditedFile::observe(&args.path, &args.file_args(), host)?;
        file.must_exist("Path")?;
        Ok(file)
    }

    fn plan(args: &Args, now: &EditedFile) -> Result<Plan, ModuleError> {
        let writing = Writing {
            backup: args.backup,
            validate: args.validate.as_deref(),
            unsafe_writes: args.unsafe_writes,
        };
        let mut plan = match edit(args, now)? {
            Edited::Replaced { content, .. } => now.plan(Some(content), writing)?,
            Edited::Same => now.plan(None, writing)?,
            Edited::NoSection(_) => Plan::none(),
        };
        plan.once = true;
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, EditedFile>) -> Report {
        let msg = match edit(args, ran.before) {
            Ok(Edited::Replaced { count, .. }) => {
                ran.before.message(&format!("{count} replacements made"), ran.check)
            }
            Ok(Edited::NoSection(pattern)) => format!(
                "Pattern for before/after params did not match the given file: {pattern}"
            ),
            Ok(Edited::Same) | Err(_) => ran.before.message("", ran.check),
        };
        let report = Report::default().with("rc", 0).with("msg", msg);
        with_backup(report, ran.applied)
    }
}

/// The outcome of an edit.
enum Edited {
    /// Nothing matched, or what matched was replaced by itself.
    Same,
    Replaced { content: Vec<u8>, count: usize },
    /// `before` and `after` do not enclose anything; the pattern made of them.
    NoSection(String),
}

fn edit(args: &Args, now: &EditedFile) -> Result<Edited, ModuleError> {
    let encoding = Encoding::named(&args.encoding)?;
    let Decoded { text, strays } = encoding.decode(now.content.as_deref().unwrap_or_default(), &now.shown)?;
    let (start, end) = match section(args, &text)? {
        Section::All => (0, text.len()),
        Section::Part(range) => (range.start, range.end),
        Section::Missing(pattern) => return Ok(Edited::NoSection(pattern)),
    };
    let flags = Flags {
        multi_line: true,
        ..Flags::default()
    };
    let regex = compile("regexp", &args.regexp, flags)?;
    let part = &text[start..end];
    let (replaced, count) = regex.sub_count(&args.replace, part, 0).map_err(|error| match error {
        error @ RegexError::Syntax { .. } => {
            ModuleError::new(format!("Unable to process replace due to error: {error}"))
        }
        error => bad_regex("replace", &error),
    })?;
    if count == 0 || replaced == part {
        return Ok(Edited::Same);
    }
    let new = [&text[..start], &replaced, &text[end..]].concat();
    let content = encoding.encode(&new, strays)?;
    Ok(Edited::Replaced { content, count })
}

fn compile(argument: &str, pattern: &str, flags: Flags) -> Result<Regex, ModuleError> {
    Regex::new(pattern, flags).map_err(|error| bad_regex(argument, &error))
}

/// The part of the text in which matches are replaced.
enum Section {
    All,
    Part(std::ops::Range<usize>),
    Missing(String),
}

/// Name of the group that stands for the part; a pattern that uses it fails in ansible-core too.
const GROUP: &str = "subsection";

fn section(args: &Args, text: &str) -> Result<Section, ModuleError> {
    let given = |pattern: &'_ Option<String>| pattern.clone().filter(|it| !it.is_empty());
    let pattern = match (given(&args.after), given(&args.before)) {
        (Some(after), Some(before)) => format!("{after}(?P<{GROUP}>.*?){before}"),
        (Some(after), None) => format!("{after}(?P<{GROUP}>.*)"),
        (None, Some(before)) => format!("(?P<{GROUP}>.*){before}"),
        (None, None) => return Ok(Section::All),
    };
    let flags = Flags {
        dot_all: true,
        ..Flags::default()
    };
    let regex = compile("after/before", &pattern, flags)?;
    let found = regex.search(text).map_err(|error| bad_regex("after/before", &error))?;
    let range = found.and_then(|found| found.span(found.group_number(GROUP)?));
    Ok(range.map_or(Section::Missing(pattern), Section::Part))
}

/// How bytes of the file and characters correspond.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
}

/// Bytes that are not UTF-8 are kept as characters of their own, from here on: the end of the last private plane.
/// (Python keeps them as lone surrogates, which Rust's text cannot hold.)
const STRAY_BYTES: u32 = 0x0010_ff00;

impl Encoding {
    fn named(name: &str) -> Result<Self, ModuleError> {
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            // Every byte is kept, so that what is not ASCII passes through.
            "utf-8" | "utf8" | "ascii" | "us-ascii" => Ok(Encoding::Utf8),
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1" => Ok(Encoding::Latin1),
            _ => {
                let msg = format!("the encoding `{name}` is not supported");
                Err(ModuleError::new(msg).hint("use utf-8, ascii or latin-1"))
            }
        }
    }

    fn decode(self, bytes: &[u8], path: &str) -> Result<Decoded, ModuleError> {
        if self == Encoding::Latin1 {
            let text = crate::edited::from_bytes(bytes);
            return Ok(Decoded { text, strays: false });
        }
        let mut text = String::with_capacity(bytes.len());
        let (mut strays, mut private) = (false, false);
        for chunk in bytes.utf8_chunks() {
            private |= chunk.valid().chars().any(|c| u32::from(c) >= STRAY_BYTES);
            text.push_str(chunk.valid());
            strays |= !chunk.invalid().is_empty();
            let stand_in = |&byte| char::from_u32(STRAY_BYTES + u32::from(byte));
            text.extend(chunk.invalid().iter().filter_map(stand_in));
        }
        if strays && private {
            let msg = format!("{path} mixes other bytes with private characters of UTF-8");
            return Err(ModuleError::new(msg).hint("use encoding: latin-1"));
        }
        Ok(Decoded { text, strays })
    }

    fn encode(self, text: &str, strays: bool) -> Result<Vec<u8>, ModuleError> {
        if self == Encoding::Utf8 && !strays {
            return Ok(text.into());
        }
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            let first = if self == Encoding::Utf8 { STRAY_BYTES } else { 0 };
            match u8::try_from(u32::from(c).wrapping_sub(first)) {
                Ok(byte) => bytes.push(byte),
                Err(_) if self == Encoding::Utf8 => {
                    bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Err(_) => {
                    let msg = format!("`{c}` cannot be written in latin-1");
                    return Err(ModuleError::new(msg));
                }
            }
        }
        Ok(bytes)
    }
}

/// A file's text, and whether stand-ins for stray bytes are in it.
struct Decoded {
    text: String,
    strays: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    use crate::edited::check_answers;

    fn args(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().copied().collect()
    }

    #[test]
    fn does_what_ansible_core_does() {
        check_answers::<This>(include_str!("../tests/answers/replace.json"));
    }

    #[test]
    fn a_pattern_that_matches_its_own_replacement_is_applied_once() {
        let host = FakeHost::bare().file("/etc/f", "a\n");
        let done = check_module::<This>(
            args(&[("path", "/etc/f"), ("regexp", "a"), ("replace", "aa"), ("backup", "yes")]),
            host,
        );
        assert_eq!(done.first.fields.get("msg"), Some(&Value::str("1 replacements made")));
        assert_eq!(done.second.fields.get("msg"), Some(&Value::str("2 replacements made")));
        assert_eq!(done.host.text("/etc/f").as_deref(), Some("aaaa\n"));
        assert_eq!(done.host.text("/etc/f.backup~").as_deref(), Some("aa\n"));
    }

    #[test]
    fn says_what_is_wrong() {
        let fails = |pairs: &[(&str, &str)]| {
            check_fails::<This>(args(pairs), FakeHost::bare().file("/etc/f", "a\n"))
        };
        assert_eq!(
            fails(&[("path", "/etc/f"), ("regexp", "[")]),
            "argument `regexp`: unterminated character set at position 0"
        );
        assert_eq!(
            fails(&[("path", "/etc/f"), ("regexp", "a"), ("encoding", "utf-16")]),
            "the encoding `utf-16` is not supported"
        );
        assert_eq!(
            fails(&[("path", "/etc/f"), ("regexp", "a"), ("encoding", "l1"), ("replace", "\u{20ac}")]),
            "`\u{20ac}` cannot be written in latin-1"
        );
    }
}
