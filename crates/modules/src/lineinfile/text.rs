//! What becomes of the text, without a host: rules and order are those of ansible-core's documentation, checked
//! against its answers in `answers.json`.

use hostler_module_api::ModuleError;
use hostler_python_regex::{Match, Regex};

use super::Args;
use crate::edited::{bad_regex, bytes_regex, from_bytes, to_bytes};
use crate::presence::Presence;

/// The outcome of an edit.
#[derive(Debug, Default)]
pub(super) struct Edited {
    /// The new content; `None` if it stays.
    pub(super) content: Option<Vec<u8>>,
    /// ansible-core's words for what was done; empty for nothing.
    pub(super) msg: String,
    /// Lines that were found to be removed.
    pub(super) found: usize,
}

/// Where a new line goes.
enum Place {
    Start,
    End,
    After(Regex),
    Before(Regex),
}

/// Edits the text of a file.
pub(super) fn edit(args: &Args, content: &[u8]) -> Result<Edited, ModuleError> {
    let text = from_bytes(content);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let find = Find::new(args)?;
    if args.state == Presence::Absent {
        return remove(&find, &lines);
    }
    let (lines, msg) = present(args, &find, &lines)?;
    Ok(match lines {
        Some(lines) => Edited {
            content: Some(to_bytes(&lines.concat())),
            msg: msg.to_owned(),
            found: 0,
        },
        None => Edited::default(),
    })
}

/// What the user looks for.
struct Find {
    line: String,
    regexp: Option<Regex>,
    search: Option<String>,
}

impl Find {
    fn new(args: &Args) -> Result<Self, ModuleError> {
        let regexp = args.regexp.as_deref();
        Ok(Find {
            line: from_bytes(args.line.as_deref().unwrap_or_default().as_bytes()),
            regexp: regexp.map(|pattern| bytes_regex("regexp", pattern)).transpose()?,
            search: args.search_string.as_ref().map(|text| from_bytes(text.as_bytes())),
        })
    }

    /// Is it the line itself, whatever ends it?
    fn is_line(&self, line: &str) -> bool {
        without_end(line) == self.line
    }

    fn line_with_end(&self) -> String {
        format!("{}\n", self.line)
    }
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn search<'t>(
    regex: &Regex,
    argument: &str,
    line: &'t str,
) -> Result<Option<Match<'t>>, ModuleError> {
    regex.search(line).map_err(|error| bad_regex(argument, &error))
}

fn remove(find: &Find, lines: &[&str]) -> Result<Edited, ModuleError> {
    let mut kept = String::new();
    let mut found = 0;
    for line in lines {
        let hit = match (&find.regexp, &find.search) {
            (Some(regexp), _) => search(regexp, "regexp", line)?.is_some(),
            (None, Some(text)) => line.contains(text),
            (None, None) => find.is_line(line),
        };
        if hit {
            found += 1;
        } else {
            kept.push_str(line);
        }
    }
    if found == 0 {
        return Ok(Edited::default());
    }
    Ok(Edited {
        content: Some(to_bytes(&kept)),
        msg: format!("{found} line(s) removed"),
        found,
    })
}

/// The line to replace: its number, and its new text.
struct Target {
    number: usize,
    text: String,
}

type Lines = Option<Vec<String>>;

fn present(args: &Args, find: &Find, lines: &[&str]) -> Result<(Lines, &'static str), ModuleError> {
    let place = place(args)?;
    let mut target = matched(args, find, lines)?;
    let mut insert_at = None;
    if target.is_none() {
        let found = scan(find, &place, args.firstmatch, lines)?;
        insert_at = found.insert_at;
        target = found.exact.map(|number| Target {
            number,
            text: find.line.clone(),
        });
    }
    let mut new: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    if let Some(Target { number, mut text }) = target {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if lines[number] == text {
            return Ok((None, ""));
        }
        new[number] = text;
        return Ok((Some(new), "line replaced"));
    }
    // Without a match there is nothing to fill into the line.
    if args.backrefs || !insert(find, &place, insert_at, &mut new) {
        return Ok((None, ""));
    }
    Ok((Some(new), "line added"))
}

fn place(args: &Args) -> Result<Place, ModuleError> {
    Ok(match (args.insertafter.as_deref(), args.insertbefore.as_deref()) {
        (Some("BOF"), _) | (None, Some("BOF")) => Place::Start,
        (Some("EOF" | ""), _) | (None, None | Some("")) => Place::End,
        (Some(pattern), _) => Place::After(bytes_regex("insertafter", pattern)?),
        (None, Some(pattern)) => Place::Before(bytes_regex("insertbefore", pattern)?),
    })
}

/// The line that `regexp` or `search_string` finds.
fn matched(args: &Args, find: &Find, lines: &[&str]) -> Result<Option<Target>, ModuleError> {
    let mut target = None;
    for (number, line) in lines.iter().enumerate() {
        let text = match (&find.regexp, &find.search) {
            (Some(regexp), _) => match search(regexp, "regexp", line)? {
                Some(found) if args.backrefs => {
                    let expanded = regexp.expand(&find.line, &found);
                    Some(expanded.map_err(|error| bad_regex("line", &error))?)
                }
                Some(_) => Some(find.line.clone()),
                None => None,
            },
            (None, Some(text)) => line.contains(text).then(|| find.line.clone()),
            (None, None) => None,
        };
        if let Some(text) = text {
            target = Some(Target { number, text });
            if args.firstmatch {
                break;
            }
        }
    }
    Ok(target)
}

/// What a look through the lines found.
#[derive(Default)]
struct Scan {
    /// The line itself is there.
    exact: Option<usize>,
    /// Number that the new line would have.
    insert_at: Option<usize>,
}

/// Looks for the line itself and for its place. With `firstmatch` the first place ends the look, even if the line
/// itself comes later.
fn scan(find: &Find, place: &Place, first: bool, lines: &[&str]) -> Result<Scan, ModuleError> {
    let mut scan = Scan::default();
    for (number, line) in lines.iter().enumerate() {
        if find.is_line(line) {
            scan.exact = Some(number);
            continue;
        }
        let at = match place {
            Place::After(regex) => search(regex, "insertafter", line)?.map(|_| number + 1),
            Place::Before(regex) => search(regex, "insertbefore", line)?.map(|_| number),
            Place::Start | Place::End => None,
        };
        if at.is_some() {
            scan.insert_at = at;
            if first {
                break;
            }
        }
    }
    Ok(scan)
}

/// Inserts the new line; false if it is at its place already.
fn insert(find: &Find, place: &Place, at: Option<usize>, lines: &mut Vec<String>) -> bool {
    let line = find.line_with_end();
    match (place, at) {
        (Place::Start, _) => lines.insert(0, line),
        (Place::End, _) | (_, None) => {
            if lines.last().is_some_and(|last| !last.ends_with(['\n', '\r'])) {
                lines.push("\n".to_owned());
            }
            lines.push(line);
        }
        (Place::Before(_), Some(at)) => lines.insert(at, line),
        (Place::After(_), Some(at)) => {
            let neighbour = lines.get(at).or(lines.last());
            if neighbour.is_some_and(|it| without_end(it) == find.line) {
                return false;
            }
            // At the end, ansible-core does not end the line before.
            lines.insert(at, line);
        }
    }
    true
}
