//! HTML, XML and URLs.

use std::fmt::Write;

use super::FilterFn;
use crate::args::{Args, flag, some};
use crate::context::Cx;
use crate::fail::{Fail, Res, bail};
use crate::ops;
use crate::text;
use crate::value::{Key, Val};

pub(super) const TABLE: &[(&str, FilterFn)] = &[
    ("e", escape),
    ("escape", escape),
    ("forceescape", escape),
    ("striptags", striptags),
    ("xmlattr", xmlattr),
    ("urlize", urlize),
    ("urlencode", urlencode),
    ("urldecode", urldecode),
    ("urlsplit", urlsplit),
];

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            ch => out.push(ch),
        }
    }
    out
}

fn escape(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    Ok(Val::str(escaped(&text::str(cx, &base)?)))
}

fn striptags(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let source = text::str(cx, &base)?;
    let mut out = String::new();
    let mut rest = source.as_str();
    while let Some(start) = rest.find('<') {
        let (close, skip) = if rest[start..].starts_with("<!--") {
            ("-->", 3)
        } else {
            (">", 1)
        };
        let Some(end) = rest[start..].find(close) else {
            break;
        };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + skip..];
    }
    out.push_str(rest);
    let plain = out
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    Ok(Val::str(
        plain.split_whitespace().collect::<Vec<_>>().join(" "),
    ))
}

fn xmlattr(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [autospace] = args.bind(["autospace"])?;
    let Val::Dict(dict) = &base else {
        bail!("'{}' object has no attribute 'items'", base.type_name());
    };
    let mut out = Vec::new();
    for (key, val) in dict.entries(cx)? {
        if matches!(val, Val::None | Val::Undef(_)) {
            continue;
        }
        let key = text::str(cx, &key.val())?;
        if key.contains(|ch: char| ch.is_whitespace() || matches!(ch, '/' | '>' | '=')) {
            bail!("Invalid character in attribute name: {key:?}");
        }
        out.push(format!(
            "{}=\"{}\"",
            escaped(&key),
            escaped(&text::str(cx, &val)?)
        ));
    }
    let joined = out.join(" ");
    let space = flag(autospace.as_ref(), true)? && !joined.is_empty();
    Ok(Val::str(if space { format!(" {joined}") } else { joined }))
}

fn urlize(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [limit, nofollow, target, rel, _schemes] = args.bind([
        "trim_url_limit",
        "nofollow",
        "target",
        "rel",
        "extra_schemes",
    ])?;
    let limit = some(limit)
        .map(|val| crate::args::count(Some(&val), 0))
        .transpose()?;
    let mut rels: Vec<String> = match some(rel) {
        Some(rel) => text::str(cx, &rel)?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        None => Vec::new(),
    };
    if flag(nofollow.as_ref(), false)? {
        rels.push("nofollow".into());
    }
    rels.push("noopener".into());
    rels.sort();
    rels.dedup();
    let mut extra = format!(" rel=\"{}\"", rels.join(" "));
    if let Some(target) = some(target) {
        let _ = write!(extra, " target=\"{}\"", escaped(&text::str(cx, &target)?));
    }
    let source = text::str(cx, &base)?;
    let words = source.split_inclusive(char::is_whitespace).map(|word| {
        let core = word.trim_end();
        let (core, tail) = core.split_at(core.trim_end_matches(['.', ',', ')', '>']).len());
        let space = &word[word.trim_end().len()..];
        let url = if core.starts_with("http://") || core.starts_with("https://") {
            core.to_owned()
        } else if core.starts_with("www.") {
            format!("https://{core}")
        } else {
            return escaped(word);
        };
        let shown: String = match limit {
            Some(limit) if core.chars().count() > limit => {
                core.chars().take(limit).chain("...".chars()).collect()
            }
            _ => core.to_owned(),
        };
        format!(
            "<a href=\"{}\"{extra}>{}</a>{}{space}",
            escaped(&url),
            escaped(&shown),
            escaped(tail)
        )
    });
    Ok(Val::str(words.collect::<String>()))
}

fn quoted(text: &str, safe: &str, plus: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let ch = char::from(byte);
        if byte.is_ascii_alphanumeric()
            || "_.-~".contains(ch)
            || (byte.is_ascii() && safe.contains(ch))
        {
            out.push(ch);
        } else if plus && byte == b' ' {
            out.push('+');
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn urlencode(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let pairs: Vec<(Val, Val)> = match &base {
        Val::Dict(dict) => dict
            .entries(cx)?
            .into_iter()
            .map(|(key, val)| (key.val(), val))
            .collect(),
        Val::List(_) | Val::Seq(_) => {
            let mut pairs = Vec::new();
            for item in ops::iterate(cx, &base)? {
                let mut two = ops::iterate(cx, &item)?.into_iter();
                match (two.next(), two.next()) {
                    (Some(key), Some(val)) => pairs.push((key, val)),
                    _ => bail!("expected pairs"),
                }
            }
            pairs
        }
        other => return Ok(Val::str(quoted(&text::str(cx, other)?, "/", false))),
    };
    let mut parts = Vec::new();
    for (key, val) in pairs {
        let (key, val) = (text::str(cx, &key)?, text::str(cx, &val)?);
        parts.push(format!(
            "{}={}",
            quoted(&key, "", true),
            quoted(&val, "", true)
        ));
    }
    Ok(Val::str(parts.join("&")))
}

fn urldecode(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    args.none()?;
    let source = text::str(cx, &base)?.replace('+', " ");
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = source
            .get(at + 1..at + 3)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(Val::str(String::from_utf8_lossy(&out).into_owned()))
}

fn urlsplit(cx: &Cx<'_>, base: Val, args: Args) -> Res<Val> {
    let [part] = args.bind(["query"])?;
    let url = text::str(cx, &base)?;
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|ch: char| ch.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|ch| ch.is_ascii_alphanumeric() || "+-.".contains(ch)) =>
        {
            (scheme.to_ascii_lowercase(), rest)
        }
        _ => (String::new(), url.as_str()),
    };
    let (netloc, rest) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, address) = match netloc.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, netloc),
    };
    let (host, port) = match address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, tail)) => (host, tail.strip_prefix(':')),
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = match port.filter(|port| !port.is_empty()) {
        None => Val::None,
        Some(port) => match port.parse::<u16>() {
            Ok(port) => Val::Int(port.into()),
            Err(_) => bail!("Port could not be cast to integer value as '{port}'"),
        },
    };
    let optional = |text: Option<&str>| text.map_or(Val::None, Val::str);
    let (username, password) = match user.and_then(|user| user.split_once(':')) {
        Some((name, password)) => (Some(name), Some(password)),
        None => (user, None),
    };
    let host = (!host.is_empty()).then(|| host.to_lowercase());
    let parts = Val::record([
        ("fragment", Val::str(fragment)),
        ("hostname", optional(host.as_deref())),
        ("netloc", Val::str(netloc)),
        ("password", optional(password)),
        ("path", Val::str(path)),
        ("port", port),
        ("query", Val::str(query)),
        ("scheme", Val::str(scheme)),
        ("username", optional(username)),
    ]);
    let Some(part) = some(part) else {
        return Ok(parts);
    };
    let name = text::str(cx, &part)?;
    match &parts {
        Val::Dict(dict) => dict
            .get(cx, &Key::Str(name.as_str().into()))?
            .ok_or_else(|| Fail::runtime(format!("unknown URL component: {name}"))),
        _ => Ok(parts),
    }
}
