//! Content lines (RFC 5545, 3.1): unfolding, names, parameters.

use crate::problem::{Problem, shown};

/// Bytes that a line may have after unfolding.
const LONGEST: usize = 64 << 10;

/// `NAME;PARAMETER=VALUE:VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub number: u32,
    /// In capital letters.
    pub name: String,
    /// Names in capital letters; values without quotes.
    pub parameters: Vec<(String, String)>,
    pub value: String,
}

impl Line {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::new(what).at_line(self.number)
    }
}

/// All content lines, unfolded.
pub(super) fn content_lines(text: &str) -> Result<Vec<Line>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut whole: Vec<(u32, String)> = Vec::new();
    for (number, line) in (1_u32..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let (Some(rest), Some((first, open))) =
            (line.strip_prefix([' ', '\t']), whole.last_mut())
        {
            if open.len() + rest.len() > LONGEST {
                return Err(Problem::new("the line is too long").at_line(*first));
            }
            open.push_str(rest);
        } else if !line.trim().is_empty() {
            if line.len() > LONGEST {
                return Err(Problem::new("the line is too long").at_line(number));
            }
            whole.push((number, line.to_owned()));
        }
    }
    let parse = |(number, line): &(u32, String)| content_line(*number, line);
    whole.iter().map(parse).collect()
}

fn content_line(number: u32, text: &str) -> Result<Line, Problem> {
    let wrong = || {
        let what = format!("{} is no line of a calendar", shown(text));
        Problem::new(what)
            .hint("`NAME:VALUE`; is it an .ics file?")
            .at_line(number)
    };
    // The first colon that is not between quotes ends the name and its parameters.
    let mut quoted = false;
    let colon = text.find(|it| {
        quoted ^= it == '"';
        it == ':' && !quoted
    });
    let (head, value) = text.split_at(colon.ok_or_else(wrong)?);
    let mut quoted = false;
    let mut parts = head.split(|it| {
        quoted ^= it == '"';
        it == ';' && !quoted
    });
    let name = parts.next().unwrap_or_default().trim().to_uppercase();
    let is_name =
        |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_name(&name) {
        return Err(wrong());
    }
    let parameter = |it: &str| {
        let (key, value) = it.split_once('=').ok_or_else(wrong)?;
        Ok((
            key.trim().to_uppercase(),
            value.trim_matches('"').to_owned(),
        ))
    };
    Ok(Line {
        number,
        name,
        parameters: parts.map(parameter).collect::<Result<_, Problem>>()?,
        value: value.get(1..).unwrap_or_default().trim().to_owned(),
    })
}
