//! URLs: the file's name, the user and password in them, and the headers of a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Args;

/// The parts of `scheme://user:password@host/path?query`; no user for other forms.
struct Parts<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    rest: &'a str,
}

fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (user, host_at) = match rest[..end].rfind('@') {
        Some(at) => (Some(&rest[..at]), at + 1),
        None => (None, 0),
    };
    Some(Parts {
        scheme,
        user,
        rest: &rest[host_at..],
    })
}

/// The last name of the path; `index.html` if it ends with a slash.
pub(super) fn file_name(url: &str) -> String {
    let path = match parts(url) {
        Some(parts) => parts.rest.split_once('/').map_or("", |it| it.1),
        None => url.split_once(':').map_or(url, |it| it.1),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit('/').next() {
        None | Some("" | "." | "..") => "index.html".to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// The URL for people: without its password, as ansible-core masks it.
pub(super) fn masked(url: &str) -> String {
    match parts(url) {
        Some(Parts {
            scheme,
            user: Some(user),
            rest,
        }) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}://{name}:********@{rest}"),
            None => url.to_owned(),
        },
        _ => url.to_owned(),
    }
}

/// The URL without user and password, which go into a header.
pub(super) fn without_user(url: &str) -> String {
    match parts(url) {
        Some(parts) if parts.user.is_some() => format!("{}://{}", parts.scheme, parts.rest),
        _ => url.to_owned(),
    }
}

/// The headers of a request: the user's, the client's name, and basic authentication.
pub(super) fn headers(args: &Args) -> Vec<(String, String)> {
    let own = args.headers.iter().flatten();
    let mut headers: Vec<_> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    let has = |headers: &[(String, String)], name: &str| {
        headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    if !has(&headers, "user-agent") {
        headers.push(("User-Agent".to_owned(), args.http_agent.clone()));
    }
    if let Some(credentials) = credentials(args).filter(|_| !has(&headers, "authorization")) {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        headers.push(("Authorization".to_owned(), value));
    }
    headers
}

/// User and password: those of the arguments, else those in the URL.
fn credentials(args: &Args) -> Option<Vec<u8>> {
    if let Some(user) = args.url_username.as_deref().filter(|it| !it.is_empty()) {
        let password = args.url_password.as_deref().unwrap_or_default();
        return Some(format!("{user}:{password}").into_bytes());
    }
    let user = parts(&args.url)?.user?;
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    Some([unquoted(user), b":".to_vec(), unquoted(password)].concat())
}

/// Percent-encoding undone.
fn unquoted(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|it| std::str::from_utf8(it).ok());
        let code = digits.filter(|_| byte == b'%').and_then(|it| u8::from_str_radix(it, 16).ok());
        out.push(code.unwrap_or(byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    out
}
