//! Paths as arguments of type `path` hold them: `~`, `$VAR`, symbolic links.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use hostler_module_api::{Identity, Inspect, ModuleError};

/// Symbolic links followed before a loop is assumed, as the kernel does (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// Expands `$VAR`, `${VAR}`, `~` and `~user` in a path.
pub(crate) fn expand_path(text: &str, host: &dyn Inspect) -> Result<PathBuf, ModuleError> {
    let text = expand_text(text, host)?;
    if text.contains('\0') {
        return Err(ModuleError::new(format!("path holds a NUL byte: {text:?}")));
    }
    Ok(PathBuf::from(text))
}

/// Expands `$VAR`, `${VAR}`, `~` and `~user`, as Python's `expandvars` and then `expanduser` do: what is unknown
/// stays.
pub(crate) fn expand_text(text: &str, host: &dyn Inspect) -> Result<String, ModuleError> {
    let text = expand_vars(text, host.identity());
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(text);
    };
    let (user, tail) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let home = if user.is_empty() {
        Some(host.identity().home.display().to_string())
    } else {
        host.account(user)?.map(|account| account.home)
    };
    Ok(match home {
        Some(home) => format!("{}{tail}", home.trim_end_matches('/')),
        None => text,
    })
}

/// Expands `$VAR` and `${VAR}` from the task's environment; unknown ones stay as they are.
fn expand_vars(text: &str, identity: &Identity) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = &from[1..];
        let (name, len) = if let Some(inner) = after.strip_prefix('{') {
            let end = inner.find('}');
            end.map_or(("", 1), |end| (&inner[..end], end + 3))
        } else {
            let word = |ch: char| !(ch.is_ascii_alphanumeric() || ch == '_');
            let end = after.find(word).unwrap_or(after.len());
            (&after[..end], end + 1)
        };
        let value = identity.env.iter().rev().find(|(key, _)| key == name);
        match value {
            Some((_, value)) if !name.is_empty() => out.push_str(value),
            _ => out.push_str(&from[..len]),
        }
        rest = &from[len..];
    }
    out.push_str(rest);
    out
}

/// The path with every symbolic link resolved; what does not exist stays as written.
pub(crate) fn real_path(path: &Path, host: &dyn Inspect) -> Result<PathBuf, ModuleError> {
    let mut todo: Vec<OsString> = parts(path);
    let mut done = if path.is_absolute() {
        PathBuf::from("/")
    } else {
        PathBuf::new()
    };
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        match host.read_link(&next)? {
            None => done = next,
            Some(target) => {
                links += 1;
                if links > LINKS_MAX {
                    let msg = format!("too many levels of symbolic links: {}", path.display());
                    return Err(ModuleError::new(msg));
                }
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                todo.extend(parts(&target));
            }
        }
    }
    Ok(done)
}

/// The names of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn expands_as_python_does() {
        let host = FakeHost::bare();
        let expand = |text: &str| expand_path(text, &host).unwrap().display().to_string();
        assert_eq!(expand("~/x"), "/root/x");
        assert_eq!(expand("~"), "/root");
        assert_eq!(expand("~daemon/x"), "/usr/sbin/x");
        assert_eq!(expand("~nobody-here/x"), "~nobody-here/x");
        assert_eq!(
            expand("/a/$PATH$NOPE/${NOPE}/$"),
            "/a//usr/sbin:/usr/bin:/sbin:/bin$NOPE/${NOPE}/$"
        );
        assert_eq!(expand("/a${PATH}b${"), "/a/usr/sbin:/usr/bin:/sbin:/binb${");
    }

    #[test]
    fn resolves_links_in_the_middle_and_at_the_end() {
        let host = FakeHost::bare()
            .dir("/srv", 0o755)
            .dir("/srv/real", 0o755)
            .file("/srv/real/f", "")
            .link("/srv/l", "real")
            .link("/tmp/f", "../srv/l/f")
            .link("/tmp/loop", "loop");
        let real = |text: &str| real_path(Path::new(text), &host);
        assert_eq!(real("/srv/l/f").unwrap(), Path::new("/srv/real/f"));
        assert_eq!(real("/tmp/f").unwrap(), Path::new("/srv/real/f"));
        assert_eq!(real("/tmp/none/x").unwrap(), Path::new("/tmp/none/x"));
        assert!(real("/tmp/loop").is_err());
    }
}
