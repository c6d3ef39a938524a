//! The hash that a download must have: given in digits, or in a list somewhere else.

use hostler_module_api::prelude::*;
use hostler_module_api::{ALGORITHMS, InspectError};

use super::{Args, fail, url};

/// A wanted hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) algorithm: String,
    /// Lower-case hex digits.
    pub(super) digits: String,
}

/// Largest list of hashes: that of a large mirror has some ten thousand lines.
const LIST_BYTES_MAX: u64 = 4 << 20;

impl Checksum {
    /// Reads the argument; downloads the list of hashes if it names one.
    pub(super) fn read(args: &Args, host: &dyn Inspect) -> Result<Option<Self>, ModuleError> {
        if args.checksum.is_empty() {
            return Ok(None);
        }
        let Some((algorithm, value)) = args.checksum.split_once(':') else {
            let msg = "The checksum parameter has to be in format <algorithm>:<checksum>";
            return Err(fail(args, msg.to_owned()));
        };
        let algorithm = algorithm.trim().to_ascii_lowercase();
        if !ALGORITHMS.contains(&algorithm.as_str()) {
            let known = ALGORITHMS.join(", ");
            let msg = format!("Could not hash with algorithm '{algorithm}'. Available algorithms: {known}");
            return Err(fail(args, msg));
        }
        let listed = ["http:", "https:", "file:"].iter().any(|it| value.starts_with(it));
        let value = if listed {
            let name = url::file_name(&args.url);
            let list = download(value, args, host)?;
            find(&list, &name).ok_or_else(|| {
                let list = url::masked(value);
                fail(args, format!("Unable to find a checksum for file '{name}' in '{list}'"))
            })?
        } else {
            value.to_owned()
        };
        let digits = value.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let digits = digits.to_lowercase();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(fail(args, "The checksum format is invalid".to_owned()));
        }
        Ok(Some(Checksum { algorithm, digits }))
    }
}

/// The text at a URL, by a program of the host that only reads. The URL and the headers go by way of its input, so
/// that passwords are not in its command line.
fn download(from: &str, args: &Args, host: &dyn Inspect) -> Result<String, ModuleError> {
    let cannot = |why: &str| fail(args, format!("cannot download {}: {why}", url::masked(from)));
    if let Some(path) = from.strip_prefix("file:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let bytes = host.read(path.as_ref(), LIST_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| cannot("there is no such file"))?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let headers = url::headers(args);
    let mut config = format!("url = {}\n", quoted(&url::without_user(from)));
    for (name, value) in &headers {
        let header = quoted(&format!("{name}: {value}"));
        config.extend(["header = ", &header, "\n"]);
    }
    if config.contains('\0') || from.contains(['\n', '\r']) {
        return Err(cannot("it holds a line break"));
    }
    let timeout = args.timeout.to_string();
    let mut argv = vec!["curl", "-fsSL", "--max-time", &timeout, "--proto", "=http,https"];
    if !args.validate_certs {
        argv.push("--insecure");
    }
    argv.extend(["-K", "-"]);
    let output = match host.look(&Program::new(argv).stdin(config)) {
        Err(InspectError::Spawn { .. }) => {
            let error = cannot("the host has no curl");
            return Err(error.hint("install curl on the host, or give the hash itself"));
        }
        output => output?,
    };
    if !output.success() {
        return Err(cannot(output.stderr_text().trim()));
    }
    Ok(output.stdout_text())
}

/// A value in curl's configuration file.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The hash of a file in a list: `HASH  NAME`, `HASH *NAME`, `ALGORITHM (NAME) = HASH`, or a hash alone.
fn find(list: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = list.lines().collect();
    if let [line] = lines[..]
        && line.split_whitespace().count() == 1
    {
        return Some(line.trim().to_owned());
    }
    let found = lines.iter().find(|line| {
        let (_, path) = entry(line).unwrap_or_default();
        path == name
    });
    found.and_then(|line| entry(line)).map(|(hash, _)| hash.to_owned())
}

/// Hash and path of a line.
fn entry(line: &str) -> Option<(&str, &str)> {
    if let Some((head, hash)) = line.rsplit_once(") = ").or_else(|| line.rsplit_once(")= "))
        && let Some((_, path)) = head.split_once('(')
    {
        return Some((hash, path));
    }
    let (hash, path) = line.split_once(char::is_whitespace)?;
    let path = path.trim_start();
    let path = path.strip_prefix('*').unwrap_or(path);
    Some((hash, path.trim_start_matches(['.', '/'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_hashes() {
        for (list, wanted) in [
            ("abc  x.tar\ndef  y.tar\n", Some("def")),
            ("abc *x.tar\ndef *y.tar\n", Some("def")),
            ("def  ./y.tar\nabc  z\n", Some("def")),
            ("SHA256 (x.tar) = abc\nSHA256 (y.tar) = def\n", Some("def")),
            ("def\n", Some("def")),
            ("abc  x.tar\n", None),
            ("abc  yy.tar\ndef  a/y.tar\n", None),
            ("", None),
        ] {
            assert_eq!(find(list, "y.tar").as_deref(), wanted, "{list}");
        }
    }
}
