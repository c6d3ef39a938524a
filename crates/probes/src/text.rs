//! Reading small text files that may be absent, unreadable or hostile.

use std::path::Path;

use hostler_module_api::Inspect;

/// More than any file of `/proc`, `/sys` or `/etc` that is read whole.
const TEXT_MAX: u64 = 4 << 20;

/// A file's text, with U+FFFD for bytes that are not UTF-8; `None` if it is absent, unreadable or larger than 4 MiB.
pub fn text(host: &dyn Inspect, path: impl AsRef<Path>) -> Option<String> {
    let bytes = host.read(path.as_ref(), TEXT_MAX).ok()??;
    Some(
        String::from_utf8(bytes).unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into()),
    )
}

/// A file's text without white space around it; `None` also if nothing is left.
pub fn word(host: &dyn Inspect, path: impl AsRef<Path>) -> Option<String> {
    let text = text(host, path)?;
    let text = text.trim_matches(|ch: char| ch.is_whitespace() || ch == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Names in a directory, sorted; empty if there is none.
pub fn names(host: &dyn Inspect, path: impl AsRef<Path>) -> Vec<String> {
    let found = host.list_dir(path.as_ref()).ok().flatten();
    let names = found.unwrap_or_default().into_iter();
    names.map(|it| it.to_string_lossy().into_owned()).collect()
}

/// Is there anything at a path?
pub fn exists(host: &dyn Inspect, path: impl AsRef<Path>) -> bool {
    matches!(
        host.stat(path.as_ref(), hostler_module_api::Follow::Yes),
        Ok(Some(_))
    )
}

/// The path of a program in the directories where distributions put them; `None` if it is not installed.
pub fn program(host: &dyn Inspect, name: &str) -> Option<String> {
    let dirs = [
        "/usr/bin",
        "/usr/sbin",
        "/bin",
        "/sbin",
        "/usr/local/bin",
        "/usr/local/sbin",
    ];
    let paths = dirs.iter().map(|dir| format!("{dir}/{name}"));
    paths
        .into_iter()
        .find(|path| host.access(Path::new(path), 1))
}
