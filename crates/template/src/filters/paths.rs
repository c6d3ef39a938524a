//! Paths, as text: nothing here but `realpath` and `expanduser` looks at the controller's files.

use super::FilterFn;
use super::jinja::text_arg;
use crate::args::{Args, text_or};
use crate::context::Cx;
use crate::fail::{Res, bail};
use crate::ops;
use crate::text;
use crate::value::Val;

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("basename", basename),
    ("dirname", dirname),
    ("splitext", splitext),
    ("expanduser", expanduser),
    ("expandvars", expandvars),
    ("realpath", realpath),
    ("relpath", relpath),
    ("normpath", normpath_filter),
    ("path_join", path_join),
    ("commonpath", commonpath),
];

/// A path must be text: a number or a list is a mistake.
fn path(base: &Val) -> Res<String> {
    match base {
        Val::Str(path) => Ok(path.to_string()),
        other => bail!(
            "expected str, bytes or os.PathLike object, not {}",
            other.type_name()
        ),
    }
}

fn text_of(base: &Val, args: Args) -> Res<String> {
    args.none()?;
    path(base)
}

fn basename(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let path = text_of(&base, args)?;
    Ok(Val::str(path.rsplit('/').next().unwrap_or("")))
}

fn dirname(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let path = text_of(&base, args)?;
    let head = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    let trimmed = head.trim_end_matches('/');
    Ok(Val::str(if trimmed.is_empty() { head } else { trimmed }))
}

fn splitext(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let path = text_of(&base, args)?;
    let name_at = path.rfind('/').map_or(0, |at| at + 1);
    let leading = path[name_at..].len() - path[name_at..].trim_start_matches('.').len();
    let at = match path[name_at + leading..].rfind('.') {
        Some(dot) => name_at + leading + dot,
        None => path.len(),
    };
    let (root, extension) = path.split_at(at);
    Ok(Val::tuple(vec![Val::str(root), Val::str(extension)]))
}

fn expanduser(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let path = text_of(&base, args)?;
    let Some(rest) = path.strip_prefix('~') else {
        return Ok(Val::str(path));
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        bail!("the home directory of another user is not known to templates: {path}");
    }
    match std::env::var("HOME") {
        Ok(home) => Ok(Val::str(format!("{}{rest}", home.trim_end_matches('/')))),
        Err(_) => Ok(Val::str(path)),
    }
}

fn expandvars(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let path = text_of(&base, args)?;
    let mut out = String::new();
    let mut rest = path.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (name, after) = match tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
            Some((name, after)) => (name, after),
            None => tail.split_at(
                tail.find(|ch: char| !(ch.is_ascii_alphanumeric() || ch == '_'))
                    .unwrap_or(tail.len()),
            ),
        };
        match std::env::var(name) {
            Ok(value) if !name.is_empty() => out.push_str(&value),
            _ => out.push_str(&rest[at..rest.len() - after.len()]),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Val::str(out))
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return normpath(path);
    }
    let here =
        std::env::current_dir().map_or_else(|_| "/".to_owned(), |dir| dir.display().to_string());
    normpath(&format!("{here}/{path}"))
}

fn realpath(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let path = absolute(&text_of(&base, args)?);
    // The longest part that exists is resolved, the rest is kept, as Python does.
    let mut head = std::path::Path::new(&path);
    let mut tail = Vec::new();
    loop {
        if let Ok(real) = head.canonicalize() {
            let mut full = real;
            full.extend(tail.iter().rev());
            return Ok(Val::str(full.display().to_string()));
        }
        match (head.parent(), head.file_name()) {
            (Some(parent), Some(name)) => {
                tail.push(name);
                head = parent;
            }
            _ => return Ok(Val::str(path)),
        }
    }
}

fn relpath(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [start] = args.bind(["start"])?;
    let start = absolute(&text_or(cx, start.as_ref(), ".")?);
    let path = absolute(&path(&base)?);
    let parts = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (from, to) = (parts(&start), parts(&path));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - common);
    let joined: Vec<&str> = up.chain(to[common..].iter().map(String::as_str)).collect();
    Ok(Val::str(if joined.is_empty() {
        ".".to_owned()
    } else {
        joined.join("/")
    }))
}

/// Python's `os.path.normpath`.
fn normpath(path: &str) -> String {
    let root = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !root.is_empty() => {}
            part => parts.push(part),
        }
    }
    match format!("{root}{}", parts.join("/")) {
        empty if empty.is_empty() => ".".to_owned(),
        path => path,
    }
}

fn normpath_filter(_: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    Ok(Val::str(normpath(&text_of(&base, args)?)))
}

fn path_join(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let mut parts = match &base {
        Val::Str(_) => vec![base.clone()],
        Val::List(_) | Val::Seq(_) => ops::iterate(cx, &base)?,
        _ => bail!(
            "|path_join expects string or sequence, got {}",
            base.type_name()
        ),
    };
    parts.extend(args.pos);
    let mut out = String::new();
    for part in parts {
        let part = text_arg(cx, Some(part), "path")?;
        if part.starts_with('/') {
            out.clear();
        } else if !out.is_empty() && !out.ends_with('/') {
            out.push('/');
        }
        out.push_str(&part);
    }
    Ok(Val::str(out))
}

fn commonpath(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let mut common: Option<Vec<String>> = None;
    let mut rooted = false;
    for path in ops::iterate(cx, &base)? {
        let path = text::str(cx, &path)?;
        rooted = path.starts_with('/');
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect();
        common = Some(match common {
            None => parts,
            Some(so_far) => so_far
                .into_iter()
                .zip(parts)
                .take_while(|(a, b)| a == b)
                .map(|(a, _)| a)
                .collect(),
        });
    }
    let joined = common.unwrap_or_default().join("/");
    Ok(Val::str(if rooted { format!("/{joined}") } else { joined }))
}
