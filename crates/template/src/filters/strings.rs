//! Text: case, padding, wrapping, quoting.

use super::FilterFn;
use super::jinja::text_arg;
use crate::args::{Args, count, flag, int, some, text_or};
use crate::context::Cx;
use crate::fail::{Res, bail};
use crate::text;
use crate::value::Val;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("upper", upper),
    ("lower", lower),
    ("capitalize", capitalize),
    ("title", title),
    ("trim", trim),
    ("replace", replace),
    ("center", center),
    ("indent", indent),
    ("truncate", truncate),
    ("wordcount", wordcount),
    ("wordwrap", wordwrap),
    ("split", split),
    ("quote", quote),
    ("comment", comment),
];

/// What must be text already.
fn only_text(base: &Val) -> Res<String> {
    match base {
        Val::Str(text) => Ok(text.to_string()),
        other => bail!("expected a str, got '{}'", other.type_name()),
    }
}

fn upper(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(Val::str(text::str(cx, &base)?.to_uppercase()))
}

fn lower(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(Val::str(text::str(cx, &base)?.to_lowercase()))
}

/// First letter large, the others small.
pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first
            .to_uppercase()
            .chain(chars.flat_map(char::to_lowercase))
            .collect(),
        None => String::new(),
    }
}

fn capitalize(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(Val::str(capitalized(&text::str(cx, &base)?)))
}

fn title(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let base = text::str(cx, &base)?;
    let mut out = String::with_capacity(base.len());
    let mut starts = true;
    for ch in base.chars() {
        if starts {
            out.extend(ch.to_uppercase());
        } else {
            out.extend(ch.to_lowercase());
        }
        starts = ch.is_whitespace() || matches!(ch, '-' | '(' | '{' | '[' | '<');
    }
    Ok(Val::str(out))
}

fn trim(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [chars] = args.bind(["chars"])?;
    let base = text::str(cx, &base)?;
    Ok(Val::str(match some(chars) {
        None => base.trim(),
        Some(chars) => {
            let chars = text::str(cx, &chars)?;
            base.trim_matches(|ch| chars.contains(ch))
        }
    }))
}

fn replace(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [old, new, limit] = args.bind(["old", "new", "count"])?;
    let (old, new) = (text_arg(cx, old, "old")?, text_arg(cx, new, "new")?);
    let base = text::str(cx, &base)?;
    Ok(Val::str(replaced(&base, &old, &new, some(limit).as_ref())?))
}

/// Python's `str.replace`.
pub(crate) fn replaced(base: &str, old: &str, new: &str, limit: Option<&Val>) -> Res<String> {
    let limit = match int(limit, -1)? {
        n if n < 0 => usize::MAX,
        n => usize::try_from(n).unwrap_or(usize::MAX),
    };
    let matches = if old.is_empty() {
        base.chars().count() + 1
    } else {
        base.matches(old).take(limit).count()
    };
    if base.len() + matches.saturating_mul(new.len()) > text::TEXT_MAX {
        return Err(text::too_long());
    }
    Ok(base.replacen(old, new, limit))
}

fn center(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [width] = args.bind(["width"])?;
    Ok(Val::str(centered(
        &text::str(cx, &base)?,
        count(width.as_ref(), 80)?,
        ' ',
    )))
}

/// Python's `str.center`, whose odd blank goes left when the width is odd.
pub(crate) fn centered(base: &str, width: usize, fill: char) -> String {
    let len = base.chars().count();
    let marg = width.saturating_sub(len);
    let left = marg / 2 + (marg & width & 1);
    let pad = |n: usize| fill.to_string().repeat(n);
    format!("{}{base}{}", pad(left), pad(marg - left))
}

fn indent(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [width, first, blank] = args.bind(["width", "first", "blank"])?;
    let first = flag(first.as_ref(), false)?;
    let blank = flag(blank.as_ref(), false)?;
    let pad = match width {
        Some(Val::Str(pad)) => pad.to_string(),
        other => " ".repeat(count(other.as_ref(), 4)?),
    };
    let mut source = only_text(&base)?;
    source.push('\n');
    let lines: Vec<&str> = source.lines().collect();
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let padded = if index == 0 {
            first
        } else {
            blank || !line.is_empty()
        };
        text::push(&mut out, if padded { &pad } else { "" })?;
        text::push(&mut out, line)?;
    }
    Ok(Val::str(out))
}

fn truncate(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [length, kill, end, leeway] = args.bind(["length", "killwords", "end", "leeway"])?;
    let length = count(length.as_ref(), 255)?;
    let kill = flag(kill.as_ref(), false)?;
    let end = text_or(cx, end.as_ref(), "...")?;
    let leeway = count(some(leeway).as_ref(), 5)?;
    let base = text::str(cx, &base)?;
    let end_len = end.chars().count();
    if length < end_len {
        bail!("expected length >= {end_len}, got {length}");
    }
    if base.chars().count() <= length + leeway {
        return Ok(Val::str(base));
    }
    let kept: String = base.chars().take(length - end_len).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if !kill => words,
        _ => &kept,
    };
    Ok(Val::str(format!("{kept}{end}")))
}

fn wordcount(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let base = text::str(cx, &base)?;
    let words = base.split(|ch: char| !(ch.is_alphanumeric() || ch == '_'));
    Ok(Val::int(words.filter(|word| !word.is_empty()).count()))
}

fn wordwrap(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [width, break_long, wrapstring, hyphens] = args.bind([
        "width",
        "break_long_words",
        "wrapstring",
        "break_on_hyphens",
    ])?;
    let width = count(width.as_ref(), 79)?.max(1);
    let break_long = flag(break_long.as_ref(), true)?;
    let wrapstring = text_or(cx, some(wrapstring).as_ref(), "\n")?;
    let hyphens = flag(hyphens.as_ref(), true)?;
    let base = text::str(cx, &base)?;
    let lines: Vec<String> = base
        .lines()
        .map(|line| wrap_line(line, width, break_long, hyphens).join(&wrapstring))
        .collect();
    Ok(Val::str(lines.join(&wrapstring)))
}

/// One line broken at blanks (and after hyphens); blanks at the breaks go.
fn wrap_line(line: &str, width: usize, break_long: bool, hyphens: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut queue: std::collections::VecDeque<String> = chunks(line, hyphens).into();
    while let Some(chunk) = queue.pop_front() {
        let blank = chunk.trim().is_empty();
        let (have, more) = (current.chars().count(), chunk.chars().count());
        if blank && current.is_empty() && !lines.is_empty() {
            continue;
        }
        if have + more <= width {
            current.push_str(&chunk);
        } else if more > width && break_long {
            let room = (width - have).max(usize::from(have == 0));
            current.extend(chunk.chars().take(room));
            queue.push_front(chunk.chars().skip(room).collect());
            lines.push(std::mem::take(&mut current));
        } else if current.trim().is_empty() && !blank {
            current = chunk;
        } else {
            lines.push(current.trim_end().to_owned());
            current = String::new();
            if !blank {
                queue.push_front(chunk);
            }
        }
    }
    let last = current.trim_end();
    if !last.is_empty() {
        lines.push(last.to_owned());
    }
    lines
}

fn chunks(line: &str, hyphens: bool) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut blank = None;
    for ch in line.chars() {
        let after_hyphen = hyphens
            && out.last().is_some_and(|last| {
                last.len() > 1 && last.ends_with('-') && !last.starts_with('-')
            })
            && ch.is_alphabetic();
        if blank != Some(ch.is_whitespace()) || after_hyphen {
            out.push(String::new());
        }
        blank = Some(ch.is_whitespace());
        if let Some(last) = out.last_mut() {
            last.push(ch);
        }
    }
    out
}

fn split(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    match &base {
        Val::Str(_) => crate::methods::call(cx, &base, "split", args),
        other => bail!("'{}' object has no attribute 'split'", other.type_name()),
    }
}

/// A word as a POSIX shell needs it, like Python's `shlex.quote`.
pub(crate) fn shell_quoted(text: &str) -> String {
    let safe = |ch: char| ch.is_ascii_alphanumeric() || "@%+=:,./-_".contains(ch);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn quote(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let base = if matches!(base, Val::None) {
        String::new()
    } else {
        text::str(cx, &base)?
    };
    Ok(Val::str(shell_quoted(&base)))
}

fn comment(cx: &Cx<'_>, base: Val, mut args: Args) -> Res<Val> {
    let style = if args.pos.is_empty() {
        args.take("style").unwrap_or_else(|| Val::str("plain"))
    } else {
        args.pos.remove(0)
    };
    let (beginning, decoration, end) = match text::str(cx, &style)?.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => bail!("Invalid style '{other}'."),
    };
    let mut option = |name: &str, default: &str| -> Res<String> {
        match args.take(name) {
            Some(val) => text::str(cx, &val),
            None => Ok(default.to_owned()),
        }
    };
    let newline = option("newline", "\n")?;
    let beginning = option("beginning", beginning)?;
    let end = option("end", end)?;
    let decoration = option("decoration", decoration)?;
    let prefix = option("prefix", decoration.trim_end())?;
    let postfix = option("postfix", decoration.trim_end())?;
    let prefix_count = count(args.take("prefix_count").as_ref(), 1)?;
    let postfix_count = count(args.take("postfix_count").as_ref(), 1)?;
    if let Some((unknown, _)) = args.named.first() {
        bail!("got an unexpected keyword argument '{unknown}'");
    }
    let with_break = |part: &str| {
        if part.is_empty() {
            String::new()
        } else {
            format!("{part}{newline}")
        }
    };
    let base = only_text(&base)?;
    let body = base
        .split(newline.as_str())
        .map(|line| format!("{decoration}{line}"))
        .collect::<Vec<_>>()
        .join(&newline)
        .replace(
            &format!("{decoration}{newline}"),
            &format!("{}{newline}", decoration.trim_end()),
        );
    let repeat = |part: &str, times: usize| with_break(part).repeat(times.min(1000));
    let before = repeat(&prefix, prefix_count);
    let mut after = String::new();
    for _ in 0..postfix_count.min(1000) {
        if !postfix.is_empty() {
            after.push_str(&newline);
            after.push_str(&postfix);
        }
    }
    let last = if end.is_empty() {
        String::new()
    } else {
        format!("{newline}{end}")
    };
    Ok(Val::str(format!(
        "{}{before}{body}{after}{last}",
        with_break(&beginning)
    )))
}
