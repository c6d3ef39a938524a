//! Downloading a file on the host and putting it in place.
//!
//! Plain `http` is spoken by the agent itself. `https` (and any download for which the task's environment names a
//! proxy) goes through the host's `curl` or `wget`: they have the host's certificates.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use hostler_change::{Applied, Fetch, Program};
use hostler_module_api::{Hasher, ModuleError};

use super::cannot;
use super::http::{self, Answer, Fetched, Request};
use super::replace::{Place, Temporary, finish};
use crate::host::{Host, open, plain};
use crate::process;

/// Longest time (seconds) that a preview waits for a server.
const HEAD_S: u64 = 10;

/// Carries out [`Fetch`].
pub(super) fn fetch(host: &mut Host, fetch: &Fetch) -> Result<Applied, ModuleError> {
    let path = &fetch.path;
    let mut temporary = Temporary::beside(path).map_err(|error| cannot("write", path, error))?;
    let answer = download(host, fetch, &mut temporary)?;
    if answer.status == 304 {
        let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
        return Ok(fetched(&answer, size, false, None));
    }
    if answer.status != 200 {
        let response = format!("HTTP Error {}: {}", answer.status, answer.reason);
        return Err(ModuleError::new("Request failed")
            .field("response", response)
            .field("status_code", i64::from(answer.status))
            .field("url", fetch.url.as_str())
            .field("dest", path.display().to_string()));
    }
    let fail = |error: io::Error| cannot("read", path, error);
    check_hash(fetch, &mut temporary.file)?;
    let size = temporary.file.metadata().map_err(fail)?.len();
    if same_content(path, &mut temporary.file) {
        if !fetch.attrs.is_empty() {
            super::set_attrs(host, path, &fetch.attrs, false)?;
        }
        return Ok(fetched(&answer, size, false, None));
    }
    let place = Place {
        path,
        attrs: &fetch.attrs,
        backup: fetch.backup,
        validate: None,
        unsafe_writes: false,
    };
    let once = |_: &mut File| Err(ModuleError::new("a download cannot be written in place"));
    let backup_file = finish(host, &place, temporary, once)?;
    Ok(fetched(&answer, size, true, backup_file))
}

/// What a server says now of a download that a preview only foresees: the words, if it says that there is nothing. Only
/// plain `http` without a proxy is asked, by `HEAD`, as ansible-core's check mode does. A server that does not answer, or
/// not to that, says nothing: an earlier task may be what starts it.
pub(crate) fn is_missing(env: &[(String, String)], fetch: &Fetch) -> Option<String> {
    if !fetch.url.starts_with("http://") || names_proxy(env) {
        return None;
    }
    let request = Request {
        url: &fetch.url,
        headers: &fetch.headers,
        timeout: Duration::from_secs(fetch.timeout_s.clamp(1, HEAD_S)),
        if_modified_since_s: None,
        head_only: true,
    };
    match http::get(&request, &mut |_| Ok(())) {
        Ok(Fetched::Answer(answer)) if matches!(answer.status, 404 | 410) => Some(format!(
            "{} answers {} {} now",
            without_password(&fetch.url),
            answer.status,
            answer.reason
        )),
        _ => None,
    }
}

fn fetched(answer: &Answer, size: u64, changed: bool, backup_file: Option<String>) -> Applied {
    Applied::Fetched {
        status: answer.status,
        message: if answer.reason.is_empty() {
            format!("status {}", answer.status)
        } else {
            format!("{} ({size} bytes)", answer.reason)
        },
        size,
        changed,
        backup_file,
    }
}

fn download(host: &Host, fetch: &Fetch, into: &mut Temporary) -> Result<Answer, ModuleError> {
    let url = fetch.url.as_str();
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme.to_ascii_lowercase().as_str() {
        "file" => from_file(url, into),
        "http" if !has_proxy(host) => match over_http(host, fetch, into)? {
            Fetched::Answer(answer) => Ok(answer),
            Fetched::Elsewhere(url) if url.starts_with("https://") => {
                by_tool(host, fetch, &url, into)
            }
            Fetched::Elsewhere(url) => Err(failed(fetch, &format!("redirected to {url}"))),
        },
        "http" | "https" => by_tool(host, fetch, url, into),
        _ => Err(failed(
            fetch,
            "only http, https and file URLs can be fetched",
        )),
    }
}

fn failed(fetch: &Fetch, why: &str) -> ModuleError {
    ModuleError::new(format!(
        "cannot download {}: {why}",
        without_password(&fetch.url)
    ))
    .field("url", without_password(&fetch.url))
    .field("dest", fetch.path.display().to_string())
    .field("status_code", -1_i64)
}

/// A URL for messages.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, place)) => format!("{scheme}://{place}{}", &rest[end..]),
        None => url.to_owned(),
    }
}

fn has_proxy(host: &Host) -> bool {
    names_proxy(&host.identity.env)
}

fn names_proxy(env: &[(String, String)]) -> bool {
    let names = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    env.iter()
        .any(|(key, value)| names.contains(&key.as_str()) && !value.is_empty())
}

fn from_file(url: &str, into: &mut Temporary) -> Result<Answer, ModuleError> {
    let rest = url.get("file:".len()..).unwrap_or_default();
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = Path::new(rest.strip_prefix("localhost").unwrap_or(rest));
    let mut from = open(path).map_err(|error| cannot("read", path, error))?;
    io::copy(&mut from, &mut into.file).map_err(|error| cannot("copy", path, error))?;
    Ok(Answer {
        status: 200,
        reason: "OK".into(),
    })
}

fn over_http(host: &Host, fetch: &Fetch, into: &mut Temporary) -> Result<Fetched, ModuleError> {
    let request = Request {
        url: &fetch.url,
        headers: &fetch.headers,
        timeout: Duration::from_secs(fetch.timeout_s.max(1)),
        if_modified_since_s: fetch.if_modified_since_s,
        head_only: false,
    };
    let mut write_error = None;
    let result = http::get(&request, &mut |bytes| {
        if host.task.is_cancelled() {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                crate::task::CANCELLED,
            ));
        }
        into.file.write_all(bytes).map_err(|error| {
            let shown = io::Error::new(error.kind(), error.to_string());
            write_error = Some(error);
            shown
        })
    });
    result.map_err(|error| match write_error {
        Some(error) => cannot("write", &fetch.path, error),
        None if matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ) =>
        {
            failed(fetch, &format!("no answer within {} s", fetch.timeout_s))
        }
        None => failed(fetch, &plain(error).to_string()),
    })
}

/// Downloads with the host's `curl`, else its `wget`.
fn by_tool(host: &Host, fetch: &Fetch, url: &str, into: &Temporary) -> Result<Answer, ModuleError> {
    let path = host
        .identity
        .env
        .iter()
        .rev()
        .find(|(key, _)| key == "PATH");
    let path = path.map_or("", |(_, path)| path.as_str());
    let has = |name: &str| process::find_program(name, path, None).is_ok();
    let mut headers = fetch.headers.clone();
    if let Some(seconds) = fetch.if_modified_since_s {
        headers.push(("If-Modified-Since".into(), http::http_date(seconds)));
    }
    let strange = |text: &str| text.contains(['\r', '\n', '\0']);
    if strange(url)
        || headers
            .iter()
            .any(|(key, value)| strange(key) || strange(value))
    {
        return Err(failed(fetch, "its URL or a header holds a line break"));
    }
    let target = into.path.display().to_string();
    if has("curl") {
        curl(host, fetch, url, &headers, &target)
    } else if has("wget") {
        wget(host, fetch, url, &headers, &target)
    } else {
        let failure = failed(
            fetch,
            "the host has neither curl nor wget, and https needs one of them",
        );
        Err(failure.hint("install curl on the host, or download on the controller and use copy"))
    }
}

fn curl(
    host: &Host,
    fetch: &Fetch,
    url: &str,
    headers: &[(String, String)],
    target: &str,
) -> Result<Answer, ModuleError> {
    use std::fmt::Write as _;
    // As configuration on its input, since arguments are seen by all users of the host.
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut config = String::new();
    let _ = writeln!(config, "url = {}\noutput = {}", quoted(url), quoted(target));
    for (key, value) in headers {
        let _ = writeln!(config, "header = {}", quoted(&format!("{key}: {value}")));
    }
    let timeout = fetch.timeout_s.max(1).to_string();
    let mut words = vec![
        "curl",
        "-q",
        "-sS",
        "-L",
        "--max-redirs",
        "10",
        "--proto",
        "=http,https",
    ];
    words.extend([
        "--proto-redir",
        "=http,https",
        "--connect-timeout",
        &timeout,
    ]);
    words.extend([
        "--speed-limit",
        "1",
        "--speed-time",
        &timeout,
        "-w",
        "%{http_code}",
        "-K",
        "-",
    ]);
    if !fetch.validate_certs {
        words.push("-k");
    }
    let output = run_tool(host, fetch, &Program::new(words).stdin(config))?;
    let status = output.stdout_text().trim().parse::<u16>().unwrap_or(0);
    if !output.success() || status == 0 {
        let said = output.stderr_text();
        return Err(failed(fetch, said.trim()));
    }
    let reason = if status == 200 { "OK" } else { "" };
    Ok(Answer {
        status,
        reason: reason.into(),
    })
}

fn wget(
    host: &Host,
    fetch: &Fetch,
    url: &str,
    headers: &[(String, String)],
    target: &str,
) -> Result<Answer, ModuleError> {
    let mut words: Vec<String> = ["wget", "-S", "-O", target].map(str::to_owned).to_vec();
    words.push(format!("-T{}", fetch.timeout_s.max(1)));
    for (key, value) in headers {
        words.push(format!("--header={key}: {value}"));
    }
    if !fetch.validate_certs {
        words.push("--no-check-certificate".into());
    }
    words.extend(["--".to_owned(), url.to_owned()]);
    let output = run_tool(host, fetch, &Program::new(words))?;
    let said = output.stderr_text();
    let mut answers = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("HTTP/"));
    let last = answers.next_back().and_then(|line| {
        let mut words = line.splitn(3, ' ');
        let status = words.nth(1)?.parse::<u16>().ok()?;
        Some((status, words.next().unwrap_or_default().to_owned()))
    });
    match last {
        Some((status, reason)) if output.success() || status != 200 => {
            Ok(Answer { status, reason })
        }
        _ if output.success() => Ok(Answer {
            status: 200,
            reason: "OK".into(),
        }),
        _ => {
            let line = said.lines().rev().find(|line| !line.trim().is_empty());
            Err(failed(fetch, line.unwrap_or("wget failed")))
        }
    }
}

fn run_tool(
    host: &Host,
    fetch: &Fetch,
    program: &Program,
) -> Result<hostler_change::CommandOutput, ModuleError> {
    let (env, outbox) = (&host.identity.env, Some(&*host.shared.outbox));
    let output = process::run_telling(program, env, &host.task, outbox);
    let output = output.map_err(|error| failed(fetch, &plain(error).to_string()))?;
    if host.task.is_cancelled() {
        return Err(ModuleError::new(crate::task::CANCELLED));
    }
    Ok(output)
}

fn check_hash(fetch: &Fetch, file: &mut File) -> Result<(), ModuleError> {
    let Some((algorithm, wanted)) = &fetch.checksum else {
        return Ok(());
    };
    let mut hasher = Hasher::new(algorithm)
        .ok_or_else(|| failed(fetch, &format!("unknown checksum algorithm {algorithm}")))?;
    each_piece(file, |bytes| {
        hasher.update(bytes);
        true
    })
    .map_err(|error| cannot("read", &fetch.path, error))?;
    let found = hasher.hex();
    if found == wanted.to_ascii_lowercase() {
        return Ok(());
    }
    let path = fetch.path.display();
    Err(ModuleError::new(format!(
        "The checksum for {path} did not match {wanted}; it was {found}."
    ))
    .field("url", without_password(&fetch.url))
    .field("dest", path.to_string()))
}

fn same_content(path: &Path, file: &mut File) -> bool {
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
    let Some(mut old) = is_file.then(|| open(path).ok()).flatten() else {
        return false;
    };
    let sizes = (old.metadata(), file.metadata());
    if !matches!(sizes, (Ok(old), Ok(new)) if old.len() == new.len()) {
        return false;
    }
    let mut buffer = vec![0; 64 << 10];
    let mut same = true;
    let compared = each_piece(file, |bytes| {
        same =
            old.read_exact(&mut buffer[..bytes.len()]).is_ok() && buffer[..bytes.len()] == *bytes;
        same
    });
    compared.is_ok() && same
}

/// Gives a file's pieces until one is refused.
fn each_piece(file: &mut File, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    file.rewind()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count if !take(&buffer[..count]) => return Ok(()),
            _ => {}
        }
    }
}
