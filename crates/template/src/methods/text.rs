//! Methods of text.

use std::sync::Arc;

use crate::args::{Args, count, flag, int, required, some, text_or};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::filters::{capitalized, centered, replaced};
use crate::ops;
use crate::text;
use crate::value::{Key, Val};

pub(super) const NAMES: &[&str] = &[
    "upper",
    "lower",
    "capitalize",
    "title",
    "swapcase",
    "casefold",
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "rsplit",
    "splitlines",
    "partition",
    "rpartition",
    "join",
    "replace",
    "startswith",
    "endswith",
    "find",
    "rfind",
    "index",
    "rindex",
    "count",
    "center",
    "ljust",
    "rjust",
    "zfill",
    "expandtabs",
    "format",
    "format_map",
    "removeprefix",
    "removesuffix",
    "isdigit",
    "isdecimal",
    "isnumeric",
    "isalpha",
    "isalnum",
    "isspace",
    "islower",
    "isupper",
    "istitle",
    "isidentifier",
    "isascii",
    "isprintable",
    "translate",
    "encode",
];

/// Calls a method of text.
#[expect(clippy::too_many_lines, reason = "one flat match over the methods")]
pub(super) fn call(cx: &Cx<'_>, base: &Arc<str>, name: &str, args: Args) -> Res<Val> {
    let made = |text: String| Ok(Val::str(text));
    match name {
        "upper" => {
            args.none()?;
            made(base.to_uppercase())
        }
        "lower" | "casefold" => {
            args.none()?;
            made(base.to_lowercase())
        }
        "capitalize" => {
            args.none()?;
            made(capitalized(base))
        }
        "title" => {
            args.none()?;
            made(titled(base))
        }
        "swapcase" => {
            args.none()?;
            let swapped = base.chars().flat_map(|ch| -> Vec<char> {
                if ch.is_uppercase() {
                    ch.to_lowercase().collect()
                } else {
                    ch.to_uppercase().collect()
                }
            });
            made(swapped.collect())
        }
        "strip" | "lstrip" | "rstrip" => strip(cx, base, name, args),
        "split" | "rsplit" => split(cx, base, args, name == "rsplit"),
        "splitlines" => {
            let [keep] = args.bind(["keepends"])?;
            let keep = flag(keep.as_ref(), false)?;
            Ok(Val::list(
                lines(base, keep).into_iter().map(Val::str).collect(),
            ))
        }
        "partition" | "rpartition" => {
            let [separator] = args.bind(["sep"])?;
            let separator = text::str(cx, &required(separator, "sep")?)?;
            let found = if name == "partition" {
                base.split_once(&*separator)
            } else {
                base.rsplit_once(&*separator)
            };
            let parts = match (found, name) {
                (Some((head, tail)), _) => [head, &separator, tail],
                (None, "partition") => [base, "", ""],
                (None, _) => ["", "", base],
            };
            Ok(Val::tuple(parts.into_iter().map(Val::str).collect()))
        }
        "join" => {
            let [items] = args.bind(["iterable"])?;
            let mut out = String::new();
            for (at, item) in ops::iterate(cx, &required(items, "iterable")?)?
                .iter()
                .enumerate()
            {
                let Val::Str(item) = item else {
                    bail!(
                        "sequence item {at}: expected str instance, {} found",
                        item.type_name()
                    );
                };
                text::push(&mut out, if at > 0 { base } else { "" })?;
                text::push(&mut out, item)?;
            }
            made(out)
        }
        "replace" => {
            let [old, new, limit] = args.bind(["old", "new", "count"])?;
            let (old, new) = (required(old, "old")?, required(new, "new")?);
            made(replaced(
                base,
                &text::str(cx, &old)?,
                &text::str(cx, &new)?,
                limit.as_ref(),
            )?)
        }
        "startswith" | "endswith" => {
            let [wanted, start, end] = args.bind(["prefix", "start", "end"])?;
            let part = sub_range(base, start.as_ref(), end.as_ref())?.1;
            let wanted = match required(wanted, "prefix")? {
                tuple @ Val::Seq(_) => ops::iterate(cx, &tuple)?,
                Val::Str(one) => vec![Val::Str(one)],
                other => bail!(
                    "{name} first arg must be str or a tuple of str, not {}",
                    other.type_name()
                ),
            };
            let holds = wanted.iter().any(|wanted| match wanted {
                Val::Str(text) if name == "startswith" => part.starts_with(&**text),
                Val::Str(text) => part.ends_with(&**text),
                _ => false,
            });
            Ok(Val::Bool(holds))
        }
        "find" | "rfind" | "index" | "rindex" => find(cx, base, name, args),
        "count" => {
            let [needle, start, end] = args.bind(["sub", "start", "end"])?;
            let needle = text::str(cx, &required(needle, "sub")?)?;
            let part = sub_range(base, start.as_ref(), end.as_ref())?.1;
            Ok(Val::int(if needle.is_empty() {
                part.chars().count() + 1
            } else {
                part.matches(&*needle).count()
            }))
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = args.bind(["width", "fillchar"])?;
            let width = count(Some(&required(width, "width")?), 0)?;
            let fill = text_or(cx, fill.as_ref(), " ")?;
            let mut one = fill.chars();
            let (Some(fill), None) = (one.next(), one.next()) else {
                bail!("The fill character must be exactly one character long");
            };
            let missing = width.saturating_sub(base.chars().count());
            let pad = fill.to_string().repeat(missing);
            made(match name {
                "center" => centered(base, width, fill),
                "ljust" => format!("{base}{pad}"),
                _ => format!("{pad}{base}"),
            })
        }
        "zfill" => {
            let [width] = args.bind(["width"])?;
            let width = count(Some(&required(width, "width")?), 0)?;
            let (sign, digits) = base.split_at(usize::from(base.starts_with(['-', '+'])));
            let missing = width.saturating_sub(base.chars().count());
            made(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        "expandtabs" => {
            let [size] = args.bind(["tabsize"])?;
            made(expand_tabs(base, count(size.as_ref(), 8)?.min(1000)))
        }
        "format" => crate::format::braces(cx, base, &args),
        "format_map" => {
            let [mapping] = args.bind(["mapping"])?;
            let named = crate::functions::pairs(cx, Args::of(vec![required(mapping, "mapping")?]))?;
            let named = named.into_iter().filter_map(|(key, val)| match key {
                Key::Str(name) => Some((name, val)),
                _ => None,
            });
            crate::format::braces(
                cx,
                base,
                &Args {
                    pos: Vec::new(),
                    named: named.collect(),
                },
            )
        }
        "removeprefix" | "removesuffix" => {
            let [part] = args.bind(["prefix"])?;
            let part = text::str(cx, &required(part, "prefix")?)?;
            let cut = if name == "removeprefix" {
                base.strip_prefix(&*part)
            } else {
                base.strip_suffix(&*part)
            };
            made(cut.unwrap_or(base).to_owned())
        }
        "translate" => {
            let [table] = args.bind(["table"])?;
            let Val::Dict(table) = required(table, "table")? else {
                bail!("translate expects a mapping");
            };
            let mut out = String::new();
            for ch in base.chars() {
                match table.get(cx, &Key::Int((ch as u32).into()))? {
                    None => out.push(ch),
                    Some(Val::None) => {}
                    Some(Val::Int(code)) => {
                        out.extend(u32::try_from(code).ok().and_then(char::from_u32));
                    }
                    Some(other) => text::push(&mut out, &text::str(cx, &other)?)?,
                }
            }
            made(out)
        }
        "encode" => bail!("bytes are not available in templates"),
        _ => {
            args.none()?;
            Ok(Val::Bool(is_kind(base, name)))
        }
    }
}

fn is_kind(base: &str, name: &str) -> bool {
    let all = |holds: fn(char) -> bool| !base.is_empty() && base.chars().all(holds);
    let cased = |wanted: fn(char) -> bool| {
        let mut letters = base
            .chars()
            .filter(|ch| ch.is_lowercase() || ch.is_uppercase())
            .peekable();
        letters.peek().is_some() && letters.all(wanted)
    };
    match name {
        "isdigit" | "isdecimal" => {
            all(|ch| ch.is_numeric() && ch.is_ascii_digit() || is_decimal(ch))
        }
        "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "islower" => cased(char::is_lowercase),
        "isupper" => cased(char::is_uppercase),
        "isascii" => base.is_ascii(),
        "isprintable" => base.chars().all(|ch| !ch.is_control()),
        "istitle" => {
            !base.is_empty() && titled(base) == base && base.chars().any(char::is_alphabetic)
        }
        "isidentifier" => {
            let mut chars = base.chars();
            chars
                .next()
                .is_some_and(|ch| ch.is_alphabetic() || ch == '_')
                && chars.all(|ch| ch.is_alphanumeric() || ch == '_')
        }
        _ => false,
    }
}

/// Decimal digits outside ASCII used most: Arabic-Indic, Devanagari, fullwidth.
fn is_decimal(ch: char) -> bool {
    matches!(ch, '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' | '\u{966}'..='\u{96f}' | '\u{ff10}'..='\u{ff19}')
}

/// Python's `str.title`: every run of letters starts large.
fn titled(base: &str) -> String {
    let mut out = String::with_capacity(base.len());
    let mut inside = false;
    for ch in base.chars() {
        if inside {
            out.extend(ch.to_lowercase());
        } else {
            out.extend(ch.to_uppercase());
        }
        inside = ch.is_alphabetic();
    }
    out
}

fn strip(cx: &Cx<'_>, base: &str, name: &str, args: Args) -> Res<Val> {
    let [chars] = args.bind(["chars"])?;
    let chars = some(chars).map(|chars| text::str(cx, &chars)).transpose()?;
    let goes = |ch: char| {
        chars
            .as_ref()
            .map_or(ch.is_whitespace(), |chars| chars.contains(ch))
    };
    Ok(Val::str(match name {
        "lstrip" => base.trim_start_matches(goes),
        "rstrip" => base.trim_end_matches(goes),
        _ => base.trim_matches(goes),
    }))
}

fn split(cx: &Cx<'_>, base: &str, args: Args, from_end: bool) -> Res<Val> {
    let [separator, limit] = args.bind(["sep", "maxsplit"])?;
    let limit = match int(limit.as_ref(), -1)? {
        n if n < 0 => usize::MAX,
        n => usize::try_from(n).unwrap_or(usize::MAX),
    };
    let parts: Vec<&str> = match some(separator) {
        Some(separator) => {
            let separator = text::str(cx, &separator)?;
            if separator.is_empty() {
                bail!("empty separator");
            }
            let pieces = limit.saturating_add(1);
            let mut parts: Vec<(usize, usize)> = Vec::new();
            let offset = |part: &str| (part.as_ptr().addr() - base.as_ptr().addr(), part.len());
            if from_end {
                parts.extend(base.rsplitn(pieces, &*separator).map(offset));
                parts.reverse();
            } else {
                parts.extend(base.splitn(pieces, &*separator).map(offset));
            }
            return Ok(Val::list(
                parts
                    .into_iter()
                    .map(|(at, len)| Val::str(&base[at..at + len]))
                    .collect(),
            ));
        }
        None if from_end => {
            let mut parts = Vec::new();
            let mut rest = base.trim_end();
            while !rest.is_empty() {
                match rest.rfind(char::is_whitespace) {
                    Some(at) if parts.len() < limit => {
                        let width = rest[at..].chars().next().map_or(1, char::len_utf8);
                        parts.push(&rest[at + width..]);
                        rest = rest[..at].trim_end();
                    }
                    _ => {
                        parts.push(rest.trim_start());
                        break;
                    }
                }
            }
            parts.reverse();
            parts
        }
        None => {
            let mut parts = Vec::new();
            let mut rest = base.trim_start();
            while !rest.is_empty() {
                match rest.find(char::is_whitespace) {
                    Some(at) if parts.len() < limit => {
                        parts.push(&rest[..at]);
                        rest = rest[at..].trim_start();
                    }
                    _ => {
                        parts.push(if parts.len() < limit {
                            rest.trim_end()
                        } else {
                            rest
                        });
                        break;
                    }
                }
            }
            parts
        }
    };
    Ok(Val::list(parts.into_iter().map(Val::str).collect()))
}

fn lines(base: &str, keep: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = String::new();
    let mut chars = base.chars().peekable();
    while let Some(ch) = chars.next() {
        let broken = matches!(
            ch,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        );
        if !broken {
            line.push(ch);
            continue;
        }
        if keep {
            line.push(ch);
        }
        if ch == '\r' && chars.next_if_eq(&'\n').is_some() && keep {
            line.push('\n');
        }
        out.push(std::mem::take(&mut line));
    }
    if !line.is_empty() {
        out.push(line);
    }
    out
}

/// The part of the text between two character positions, and where it starts (in characters).
fn sub_range<'t>(base: &'t str, start: Option<&Val>, end: Option<&Val>) -> Res<(usize, &'t str)> {
    let len = base.chars().count() as i128;
    let clip =
        |at: i128| usize::try_from(if at < 0 { at + len } else { at }.clamp(0, len)).unwrap_or(0);
    let (start, end) = (clip(int(start, 0)?), clip(int(end, len)?));
    let byte = |at: usize| {
        base.char_indices()
            .nth(at)
            .map_or(base.len(), |(byte, _)| byte)
    };
    let (from, to) = (byte(start), byte(end));
    Ok((start, if from <= to { &base[from..to] } else { "" }))
}

fn find(cx: &Cx<'_>, base: &str, name: &str, args: Args) -> Res<Val> {
    let [needle, start, end] = args.bind(["sub", "start", "end"])?;
    let needle = text::str(cx, &required(needle, "sub")?)?;
    let (offset, part) = sub_range(base, start.as_ref(), end.as_ref())?;
    let found = if name.starts_with('r') {
        part.rfind(&*needle)
    } else {
        part.find(&*needle)
    };
    match found {
        Some(byte) => Ok(Val::int(offset + part[..byte].chars().count())),
        None if name.ends_with("index") => Err(Fail::runtime("substring not found")),
        None => Ok(Val::Int(-1)),
    }
}

fn expand_tabs(base: &str, size: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for ch in base.chars() {
        match ch {
            '\t' => {
                let pad = if size == 0 { 0 } else { size - column % size };
                out.push_str(&" ".repeat(pad));
                column += pad;
            }
            '\n' | '\r' => {
                out.push(ch);
                column = 0;
            }
            ch => {
                out.push(ch);
                column += 1;
            }
        }
    }
    out
}
