//! `blockinfile`: lines between two marker lines of a text file.

use hostler_module_api::prelude::*;
use hostler_python_regex::Regex;

use crate::edited::{
    EditedFile, Writing, with_backup, bad_regex, bytes_regex, from_bytes, refuse_both, to_bytes,
};
use crate::files::with_file_args;
use crate::presence::Presence;

with_file_args! {
    /// Make sure that a block of lines, between two marker lines, is in a text file, or that it is not.
    ///
    /// ```yaml
    /// - blockinfile:
    ///     path: /etc/hosts
    ///     marker: "# {mark} cluster"
    ///     block: |
    ///       192.0.2.1 one
    ///       192.0.2.2 two
    /// ```
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Args {
        /// File to edit.
        #[serde(alias = "dest", alias = "destfile", alias = "name")]
        path: String,
        /// Should the block be there?
        #[serde(default)]
        state: Presence,
        /// Marker line; `{mark}` becomes `marker_begin` and `marker_end`.
        #[serde(default = "default_marker")]
        marker: String,
        /// The lines. Without any the block is removed.
        #[serde(default, alias = "content")]
        block: String,
        /// Insert a new block behind the last match of this regular expression, or at the end (`EOF`).
        insertafter: Option<String>,
        /// Insert a new block before the last match of this regular expression, or at the beginning (`BOF`).
        insertbefore: Option<String>,
        /// Make the file if it is missing.
        #[serde(default)]
        create: bool,
        /// Keep a copy of the file as it was.
        #[serde(default)]
        backup: bool,
        /// What `{mark}` becomes in the first marker line.
        #[serde(default = "default_begin")]
        marker_begin: String,
        /// What `{mark}` becomes in the last marker line.
        #[serde(default = "default_end")]
        marker_end: String,
        /// Put an empty line behind the block, unless it is the end of the file or there is one.
        #[serde(default)]
        append_newline: bool,
        /// Put an empty line before the block, unless it is the beginning of the file or there is one.
        #[serde(default)]
        prepend_newline: bool,
        /// Command with `%s` for the new file; it must succeed before the file is put in place.
        validate: Option<String>,
    }
}

fn default_marker() -> String {
    "# {mark} ANSIBLE MANAGED BLOCK".into()
}

fn default_begin() -> String {
    "BEGIN".into()
}

fn default_end() -> String {
    "END".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("blockinfile")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = EditedFile;
    const NAME: &'static str = "blockinfile";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<EditedFile, ModuleError> {
        let insertbefore = ("insertbefore", args.insertbefore.is_some());
        refuse_both(insertbefore, ("insertafter", args.insertafter.is_some()))?;
        let file = EditedFile::observe(&args.path, &args.file_args(), host)?;
        if !args.create {
            file.must_exist("Path")?;
        }
        Ok(file)
    }

    fn plan(args: &Args, now: &EditedFile) -> Result<Plan, ModuleError> {
        let writing = Writing {
            backup: args.backup,
            validate: args.validate.as_deref(),
            unsafe_writes: args.unsafe_writes,
        };
        let mut plan = now.plan(edit(args, now)?, writing)?;
        plan.once = true;
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, EditedFile>) -> Report {
        let now = ran.before;
        let after = edit(args, now).ok().flatten();
        if !now.exists() && args.state == Presence::Absent {
            return Report::default().with("msg", format!("File {} not present", now.shown));
        }
        let msg = match &after {
            None => "",
            Some(after) if now.content.as_ref() == Some(after) => "",
            Some(_) if !now.exists() => "File created",
            Some(_) if removes(args) => "Block removed",
            Some(_) => "Block inserted",
        };
        let report = Report::default().with("msg", now.message(msg, ran.check));
        with_backup(report, ran.applied)
    }
}

fn removes(args: &Args) -> bool {
    args.state == Presence::Absent || args.block.is_empty()
}

/// The new content; `None` if a block should be absent from a file that is.
fn edit(args: &Args, now: &EditedFile) -> Result<Option<Vec<u8>>, ModuleError> {
    if !now.exists() && args.state == Presence::Absent {
        return Ok(None);
    }
    let text = from_bytes(now.content.as_deref().unwrap_or_default());
    let mut lines = split_lines(&text);
    let markers = [marker(args, &args.marker_begin)?, marker(args, &args.marker_end)?];
    let at = match take_block(&mut lines, &markers) {
        Some(at) => at,
        None => place(args, &text, &lines)?,
    };
    if let Some(before) = at.checked_sub(1).and_then(|before| lines.get_mut(before))
        && !before.ends_with('\n')
    {
        before.push('\n');
    }
    let block = if removes(args) {
        Vec::new()
    } else {
        block_lines(args, markers)
    };
    insert(args, &mut lines, at, block);
    Ok(Some(to_bytes(&lines.concat())))
}

/// Lines with their ends, where Python's `bytes.splitlines` ends them: `\n`, `\r` and `\r\n`.
fn split_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r']).map_or(rest.len(), |at| {
            at + if rest[at..].starts_with("\r\n") { 2 } else { 1 }
        });
        lines.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    lines
}

/// A marker line. The word is a replacement template, as it is for ansible-core.
fn marker(args: &Args, word: &str) -> Result<String, ModuleError> {
    let marker = from_bytes(args.marker.as_bytes());
    let word = from_bytes(word.as_bytes());
    let mark = bytes_regex("marker", r"\{mark\}")?;
    let line = mark.sub(&word, &marker, 0).map_err(|error| bad_regex("marker", &error))?;
    Ok(line + "\n")
}

/// Takes the present block out, markers and all; says where it was. The last line that equals a marker counts.
fn take_block(lines: &mut Vec<String>, markers: &[String; 2]) -> Option<usize> {
    let last = |marker: &String| lines.iter().rposition(|line| line == marker);
    let (begin, end) = (last(&markers[0])?, last(&markers[1])?);
    let (first, last) = (begin.min(end), begin.max(end));
    lines.drain(first..=last);
    Some(first)
}

/// Where a new block goes, as a number of lines before it.
fn place(args: &Args, text: &str, lines: &[String]) -> Result<usize, ModuleError> {
    let (argument, pattern, after) = match (&args.insertafter, &args.insertbefore) {
        (Some(pattern), _) if pattern != "EOF" => ("insertafter", pattern, true),
        (None, Some(pattern)) if pattern != "BOF" => ("insertbefore", pattern, false),
        (None, Some(_)) => return Ok(0),
        _ => return Ok(lines.len()),
    };
    let regex = bytes_regex(argument, pattern)?;
    let found = if regex.flags().multi_line {
        line_of_match(&regex, text, after)
    } else {
        last_line(&regex, lines)
    };
    let found = found.map_err(|error| bad_regex(argument, &error))?;
    Ok(found.map_or(lines.len(), |line| if after { line + 1 } else { line }))
}

type Found = Result<Option<usize>, hostler_python_regex::RegexError>;

fn line_of_match(regex: &Regex, text: &str, at_end: bool) -> Found {
    Ok(regex.search(text)?.map(|found| {
        let at = if at_end { found.end() } else { found.start() };
        text[..at].matches('\n').count()
    }))
}

fn last_line(regex: &Regex, lines: &[String]) -> Found {
    let mut found = None;
    for (number, line) in lines.iter().enumerate() {
        if regex.search(line)?.is_some() {
            found = Some(number);
        }
    }
    Ok(found)
}

fn block_lines(args: &Args, [begin, end]: [String; 2]) -> Vec<String> {
    let mut block = from_bytes(args.block.as_bytes());
    if !block.ends_with('\n') {
        block.push('\n');
    }
    let mut lines = vec![begin];
    lines.extend(split_lines(&block));
    lines.push(end);
    lines
}

/// Puts the block at its place, with empty lines around where they are asked for.
fn insert(args: &Args, lines: &mut Vec<String>, at: usize, block: Vec<String>) {
    let present = args.state == Presence::Present;
    let mut at = at.min(lines.len());
    if args.prepend_newline && present && at > 0 && lines[at - 1] != "\n" {
        lines.insert(at, "\n".to_owned());
        at += 1;
    }
    let end = at + block.len();
    lines.splice(at..at, block);
    if args.append_newline && present && lines.get(end).is_some_and(|line| line != "\n") {
        lines.insert(end, "\n".to_owned());
    }
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
        check_answers::<This>(include_str!("../tests/answers/blockinfile.json"));
    }

    #[test]
    fn a_block_is_inserted_once_and_replaced() {
        let host = FakeHost::bare().file("/etc/f", "a\n");
        let done = check_module::<This>(args(&[("path", "/etc/f"), ("block", "x\ny")]), host);
        let wanted = "a\n# BEGIN ANSIBLE MANAGED BLOCK\nx\ny\n# END ANSIBLE MANAGED BLOCK\n";
        assert_eq!(done.host.text("/etc/f").as_deref(), Some(wanted));
        assert!(!done.second.changed);
        assert_eq!(done.second.fields.get("msg"), Some(&Value::str("")));
        let other = args(&[("path", "/etc/f"), ("block", "z"), ("backup", "yes")]);
        let done = check_module::<This>(other, done.host);
        let wanted = "a\n# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\n";
        assert_eq!(done.host.text("/etc/f").as_deref(), Some(wanted));
        let backup = done.first.fields.get("backup_file");
        assert_eq!(backup, Some(&Value::str("/etc/f.backup~")));
    }

    #[test]
    fn says_what_is_wrong() {
        let missing = args(&[("path", "/etc/none"), ("block", "x")]);
        assert_eq!(
            check_fails::<This>(missing, FakeHost::bare()),
            "Path /etc/none does not exist !"
        );
    }
}
