//! A small HTTP/1.1 client for plain `http`: requests, redirects, bodies by length, in chunks or until the end.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hostler_modules::local_time;

use crate::host::resolve;

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;
/// Largest head of an answer, and longest line in it.
const HEAD_MAX: u64 = 64 << 10;

/// What is asked for.
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) headers: &'a [(String, String)],
    /// Time without progress.
    pub(super) timeout: Duration,
    pub(super) if_modified_since_s: Option<i64>,
    /// Ask for the head of the answer only (RFC 9110, `HEAD`).
    pub(super) head_only: bool,
}

/// An answer whose body was given to the caller's writer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: String,
}

/// How a request ends.
pub(super) enum Fetched {
    /// With an answer.
    Answer(Answer),
    /// At a URL of another scheme, which somebody else must fetch.
    Elsewhere(String),
}

/// A URL of the `http` scheme, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    user: Option<String>,
    host: String,
    port: u16,
    target: String,
}

impl Url {
    fn parse(url: &str) -> io::Result<Self> {
        let bad = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("not an http URL: {url}"),
            )
        };
        if url.chars().any(|ch| ch.is_control() || ch == ' ') {
            return Err(bad());
        }
        let rest = url.get(..7).filter(|it| it.eq_ignore_ascii_case("http://"));
        let rest = rest.map(|_| &url[7..]).ok_or_else(bad)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, authority),
        };
        let port_at = place.rfind(':').filter(|at| !place[*at..].contains(']'));
        let (host, port) = match port_at {
            Some(at) => (&place[..at], place[at + 1..].parse().map_err(|_| bad())?),
            None => (place, 80),
        };
        if host.is_empty() {
            return Err(bad());
        }
        let target = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Url {
            user,
            host: host.to_owned(),
            port,
            target,
        })
    }

    /// A redirect's target, relative to this one.
    fn join(&self, location: &str) -> String {
        let base = match self.port {
            80 => format!("http://{}", self.host),
            port => format!("http://{}:{port}", self.host),
        };
        if location.contains("://") {
            location.to_owned()
        } else if let Some(rest) = location.strip_prefix("//") {
            format!("http://{rest}")
        } else if location.starts_with('/') {
            base + location
        } else {
            let path = self.target.split('?').next().unwrap_or_default();
            let dir = path.rfind('/').map_or("/", |at| &path[..=at]);
            format!("{base}{dir}{location}")
        }
    }
}

/// Fetches; the body of an answer with status 200 goes to `out`.
pub(super) fn get(
    request: &Request<'_>,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Fetched> {
    let mut url = Url::parse(request.url)?;
    let first_host = url.host.clone();
    for _ in 0..=REDIRECTS_MAX {
        // Credentials are for the host that they were given for.
        let trusted = url.host == first_host;
        let mut stream = resolve::connect(&url.host, url.port, request.timeout)?;
        stream.set_read_timeout(Some(request.timeout))?;
        stream.set_write_timeout(Some(request.timeout))?;
        stream.write_all(head_of(&url, request, trusted)?.as_bytes())?;
        let mut reader = BufReader::with_capacity(64 << 10, stream);
        let head = read_head(&mut reader)?;
        let location = head.header("location");
        if let (301 | 302 | 303 | 307 | 308, Some(location)) = (head.status, location) {
            let next = url.join(location);
            match Url::parse(&next) {
                Ok(parsed) => url = parsed,
                Err(_) => return Ok(Fetched::Elsewhere(next)),
            }
            continue;
        }
        if head.status == 200 && !request.head_only {
            read_body(&mut reader, &head, out)?;
        }
        return Ok(Fetched::Answer(Answer {
            status: head.status,
            reason: head.reason,
        }));
    }
    Err(io::Error::other(format!(
        "more than {REDIRECTS_MAX} redirects"
    )))
}

fn head_of(url: &Url, request: &Request<'_>, trusted: bool) -> io::Result<String> {
    let Url {
        host, port, target, ..
    } = url;
    let method = if request.head_only { "HEAD" } else { "GET" };
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    let mut line = |name: &str, value: &str| {
        if name.is_empty()
            || [name, value]
                .iter()
                .any(|it| it.contains(['\r', '\n', '\0']))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("bad header {name:?}"),
            ));
        }
        head.extend([name, ": ", value, "\r\n"]);
        Ok(())
    };
    line(
        "Host",
        &if *port == 80 {
            host.clone()
        } else {
            format!("{host}:{port}")
        },
    )?;
    let given = |name: &str| {
        request
            .headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let defaults = [
        ("User-Agent", "hostler"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
    ];
    for (name, value) in defaults.iter().filter(|(name, _)| !given(name)) {
        line(name, value)?;
    }
    if let Some(user) = url.user.as_ref().filter(|_| !given("authorization")) {
        line(
            "Authorization",
            &format!("Basic {}", base64(percent_decoded(user).as_bytes())),
        )?;
    }
    if let Some(seconds) = request.if_modified_since_s {
        line("If-Modified-Since", &http_date(seconds))?;
    }
    for (name, value) in request.headers {
        let secret =
            name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("cookie");
        let ours = ["host", "connection", "content-length", "transfer-encoding"];
        if (trusted || !secret) && !ours.iter().any(|it| name.eq_ignore_ascii_case(it)) {
            line(name, value)?;
        }
    }
    line("Connection", "close")?;
    Ok(head + "\r\n")
}

struct Head {
    status: u16,
    reason: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the server's answer is malformed: {what}"),
    )
}

/// Reads a head; informational ones (1xx) are skipped.
fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Head> {
    let mut limited = reader.take(HEAD_MAX);
    loop {
        let status_line = read_line(&mut limited)?;
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        let status = words.next().and_then(|word| word.parse::<u16>().ok());
        let status = status.filter(|_| version.starts_with("HTTP/1."));
        let status = status.ok_or_else(|| malformed("no status"))?;
        let reason = words.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let line = read_line(&mut limited)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header"))?;
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        if status >= 200 {
            return Ok(Head {
                status,
                reason,
                headers,
            });
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(malformed("it ends too early or a line is too long"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn read_body(
    reader: &mut BufReader<TcpStream>,
    head: &Head,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let coding = head.header("transfer-encoding").unwrap_or("identity");
    if coding.eq_ignore_ascii_case("chunked") {
        loop {
            let line = read_line(&mut reader.take(HEAD_MAX))?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let len = u64::from_str_radix(digits, 16).map_err(|_| malformed("a chunk's length"))?;
            if len == 0 {
                return Ok(());
            }
            copy_exactly(reader, len, out)?;
            if !read_line(&mut reader.take(HEAD_MAX))?.is_empty() {
                return Err(malformed("a chunk's end"));
            }
        }
    }
    if !coding.eq_ignore_ascii_case("identity") {
        return Err(malformed("its coding is unknown"));
    }
    match head.header("content-length").map(str::parse::<u64>) {
        Some(Ok(len)) => copy_exactly(reader, len, out),
        Some(Err(_)) => Err(malformed("its length")),
        None => loop {
            let bytes = reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let count = bytes.len();
            out(bytes)?;
            reader.consume(count);
        },
    }
}

fn copy_exactly(
    reader: &mut BufReader<TcpStream>,
    mut rest: u64,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    while rest > 0 {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Err(malformed("it ends too early"));
        }
        let count = bytes.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        out(&bytes[..count])?;
        reader.consume(count);
        rest -= count as u64;
    }
    Ok(())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110).
pub(super) fn http_date(unix_s: i64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let at = local_time(b"", unix_s);
    let name = |names: &[&'static str], index: i64| {
        let index = usize::try_from(index).unwrap_or_default();
        names.get(index).copied().unwrap_or_default()
    };
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        name(&DAYS, at.weekday),
        at.day,
        name(&MONTHS, at.month - 1),
        at.year,
        at.hour,
        at.minute,
        at.second
    )
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let decoded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(bytes[at]));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) & 63;
            let letter = ALPHABET[sextet as usize] as char;
            out.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn urls_and_redirects() {
        let url = Url::parse("http://u:p%40@h.example:81/a/b?c#d").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.target.as_str()),
            ("h.example", 81, "/a/b?c")
        );
        assert_eq!(url.user.as_deref(), Some("u:p%40"));
        assert_eq!(url.join("x"), "http://h.example:81/a/x");
        assert_eq!(url.join("/x"), "http://h.example:81/x");
        assert_eq!(url.join("https://o/x"), "https://o/x");
        assert_eq!(Url::parse("http://[::1]/").unwrap().host, "[::1]");
        for bad in [
            "https://h/",
            "http:///x",
            "http://h:99999/",
            "http://h/a\r\nb",
            "é",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            base64(b"Aladdin:open sesame"),
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(
            (base64(b"a"), base64(b"abc"), percent_decoded("p%40%")),
            ("YQ==".into(), "YWJj".into(), "p@%".into())
        );
    }

    /// Serves each answer to one connection and gives what was asked.
    fn serve(answers: &'static [&'static str]) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/start", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let mut reader = BufReader::new(listener.accept().unwrap().0);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert!(reader.read_line(&mut head).unwrap() > 0);
                }
                asked.push(head);
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (url, server)
    }

    fn fetch(url: &str, headers: &[(String, String)]) -> io::Result<(Fetched, Vec<u8>)> {
        let mut body = Vec::new();
        let request = Request {
            url,
            headers,
            timeout: Duration::from_secs(10),
            if_modified_since_s: Some(0),
            head_only: false,
        };
        let fetched = get(&request, &mut |bytes| {
            body.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok((fetched, body))
    }

    #[test]
    fn follows_redirects_and_reads_chunks() {
        let (url, server) = serve(&[
            "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\n\r\n",
        ]);
        let (_, body) = fetch(&url, &[("X-A".into(), "b".into())]).unwrap();
        assert_eq!(body, b"abcdef");
        let asked = server.join().unwrap();
        assert!(asked[0].starts_with("GET /start HTTP/1.1\r\nHost: 127.0.0.1:"));
        assert!(asked[1].starts_with("GET /other ") && asked[1].contains("\r\nX-A: b\r\n"));
        assert!(asked[0].contains("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"));
    }

    #[test]
    fn a_short_body_is_an_error_and_other_statuses_are_answers() {
        let (url, server) = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]);
        assert!(fetch(&url, &[]).is_err());
        server.join().unwrap();
        let (url, server) = serve(&["HTTP/1.1 404 Not Found\r\n\r\nno"]);
        let Fetched::Answer(answer) = fetch(&url, &[]).unwrap().0 else {
            panic!()
        };
        assert_eq!((answer.status, answer.reason.as_str()), (404, "Not Found"));
        server.join().unwrap();
        assert!(fetch("http://127.0.0.1:1/", &[("A".into(), "b\r\nc".into())]).is_err());
    }

    #[test]
    fn another_scheme_is_left_to_others() {
        let (url, server) = serve(&["HTTP/1.1 301 Moved\r\nLocation: https://h/x\r\n\r\n"]);
        assert!(
            matches!(fetch(&url, &[]).unwrap().0, Fetched::Elsewhere(url) if url == "https://h/x")
        );
        server.join().unwrap();
    }
}
