//! Regular expressions with Python's meaning.

use hostler_python_regex::{Flags, Found, Regex, RegexError};

use super::FilterFn;
use super::jinja::text_arg;
use crate::args::{Args, flag, int, some, text_or};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::text;
use crate::value::Val;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("regex_replace", regex_replace),
    ("regex_search", regex_search),
    ("regex_findall", regex_findall),
    ("regex_escape", regex_escape),
];

fn failed(error: &RegexError) -> Fail {
    Fail::runtime(error.to_string())
}

/// A compiled pattern.
pub(crate) fn pattern(
    text: &str,
    ignore_case: Option<&Val>,
    multi_line: Option<&Val>,
) -> Res<Regex> {
    let flags = Flags {
        ignore_case: flag(ignore_case, false)?,
        multi_line: flag(multi_line, false)?,
        ..Flags::default()
    };
    Regex::new(text, flags).map_err(|error| failed(&error))
}

fn regex_replace(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [regex, replacement, ignorecase, multiline, count, mandatory] = args.bind([
        "pattern",
        "replacement",
        "ignorecase",
        "multiline",
        "count",
        "mandatory_count",
    ])?;
    let regex = text_or(cx, regex.as_ref(), "")?;
    let replacement = text_or(cx, replacement.as_ref(), "")?;
    let compiled = pattern(&regex, ignorecase.as_ref(), multiline.as_ref())?;
    let count = usize::try_from(int(count.as_ref(), 0)?.max(0)).unwrap_or(0);
    let mandatory = int(mandatory.as_ref(), 0)?;
    let source = text::str(cx, &base)?;
    let (replaced, times) = compiled
        .sub_count(&replacement, &source, count)
        .map_err(|error| failed(&error))?;
    if mandatory != 0 && mandatory != times as i128 {
        bail!("'{regex}' should match {mandatory} times, but matches {times} times in '{source}'");
    }
    if replaced.len() > text::TEXT_MAX {
        return Err(text::too_long());
    }
    Ok(Val::str(replaced))
}

/// Which group a result is made of.
enum Group {
    Number(usize),
    Name(String),
}

fn regex_search(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let (ignorecase, multiline) = (args.take("ignorecase"), args.take("multiline"));
    if let Some(named) = args.take("regex") {
        args.pos.insert(0, named);
    }
    let mut given = args.pos.into_iter();
    let regex = text_arg(cx, given.next(), "regex")?;
    let mut groups = Vec::new();
    for arg in given {
        let arg = text::str(cx, &arg)?;
        let digits: String = arg
            .strip_prefix('\\')
            .unwrap_or("")
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        if let Some(name) = arg
            .strip_prefix("\\g<")
            .and_then(|rest| rest.split_once('>'))
        {
            groups.push(match name.0.parse() {
                Ok(number) => Group::Number(number),
                Err(_) => Group::Name(name.0.to_owned()),
            });
        } else if let Ok(number) = digits.parse() {
            groups.push(Group::Number(number));
        } else {
            bail!("Unknown argument: {arg}");
        }
    }
    let compiled = pattern(&regex, ignorecase.as_ref(), multiline.as_ref())?;
    let source = text::str(cx, &base)?;
    let Some(found) = compiled.search(&source).map_err(|error| failed(&error))? else {
        return Ok(Val::None);
    };
    if groups.is_empty() {
        return Ok(Val::str(found.as_str()));
    }
    let mut out = Vec::new();
    for group in groups {
        let number = match &group {
            Group::Number(number) => *number,
            Group::Name(name) => match compiled.group_names().get(name) {
                Some(number) => *number,
                None => bail!("no such group: {name}"),
            },
        };
        if number > compiled.group_count() {
            bail!("no such group: {number}");
        }
        out.push(found.group(number).map_or(Val::None, Val::str));
    }
    Ok(Val::list(out))
}

fn regex_findall(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [regex, multiline, ignorecase] = args.bind(["regex", "multiline", "ignorecase"])?;
    let compiled = pattern(
        &text_arg(cx, regex, "regex")?,
        ignorecase.as_ref(),
        multiline.as_ref(),
    )?;
    let found = compiled
        .find_all(&text::str(cx, &base)?)
        .map_err(|error| failed(&error))?;
    cx.spend(found.len() as u64)?;
    let items = found.into_iter().map(|found| match found {
        Found::Text(text) => Val::str(text),
        Found::Groups(texts) => Val::tuple(texts.into_iter().map(Val::str).collect()),
    });
    Ok(Val::list(items.collect()))
}

fn regex_escape(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [kind] = args.bind(["re_type"])?;
    let source = text::str(cx, &base)?;
    match text_or(cx, some(kind).as_ref(), "python")?.as_str() {
        "python" => Ok(Val::str(hostler_python_regex::escape(&source))),
        "posix_basic" => {
            let mut out = String::new();
            for ch in source.chars() {
                if "].[^$*\\".contains(ch) {
                    out.push('\\');
                }
                out.push(ch);
            }
            Ok(Val::str(out))
        }
        "posix_extended" => bail!("Regex type (posix_extended) not yet implemented"),
        other => bail!("Invalid regex type ({other})"),
    }
}
