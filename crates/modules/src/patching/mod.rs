//! What the modules `patch_*` share: where things are kept on a host, what is looked at before and after, how work
//! goes on without its connection.
//!
//! ```text
//! /var/lib/hostler/patch/          root, 0711, what is below 0700
//!     metadata/<manager>/          private indexes
//!     packages/                    downloads of this run, and the versions that they replace
//!     runs/RUN/                    log, before.txt, after.txt, what was masked; removed by a run 30 days later
//! ```

pub(crate) mod baseline;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod files;
pub(crate) mod glob;
pub(crate) mod job;
pub(crate) mod locks;
pub(crate) mod manager;
pub(crate) mod mismatch;
mod mounts;
mod ports;
pub(crate) mod snapshots;
pub(crate) mod transaction;
pub(crate) mod units;

use std::path::PathBuf;

use hostler_change::MakeDir;
use hostler_module_api::prelude::*;

/// Everything of patching that is kept on a host.
pub(crate) const ROOT: &str = hostler_package_managers::PATCH;

/// Longest run id.
const RUN_MAX: usize = 64;

/// The directory of a run.
///
/// # Errors
/// A run id that is not one: it becomes part of paths and of names of units.
pub(crate) fn run_dir(run: &str) -> Result<PathBuf, ModuleError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins_well = run
        .bytes()
        .next()
        .is_some_and(|it| it.is_ascii_alphanumeric());
    if !begins_well || run.len() > RUN_MAX || !run.bytes().all(plain) {
        let msg = "argument `run`: not a run id (letters, digits, `-`, `_` and `.`, at most 64)";
        return Err(ModuleError::new(msg));
    }
    Ok([ROOT, "runs", run].iter().collect())
}

/// Makes a directory below [`ROOT`] and those above it, as far as they are not there. Below [`ROOT`] they are root's
/// alone; what is above is passed through by the user as whom apt reads its private indexes.
pub(crate) fn make_dirs(plan: &mut Plan, missing: &[PathBuf]) {
    for path in missing {
        let of_root = path.starts_with(ROOT) && path.as_os_str() != ROOT;
        let attrs = Attrs {
            mode: Some(if of_root { 0o700 } else { 0o711 }),
            ..Attrs::default()
        };
        let subject = path.display().to_string();
        let delta = Delta::field(subject, "state", "absent", "directory");
        let path = path.clone();
        plan.push(delta, Edit::MakeDir(MakeDir { path, attrs }));
    }
}

/// Directories from `/var/lib` to this one that are not there, outermost first.
///
/// # Errors
/// If they cannot be looked at, or something else is in their place.
pub(crate) fn missing_dirs(
    host: &dyn Inspect,
    dir: &std::path::Path,
) -> Result<Vec<PathBuf>, ModuleError> {
    let mut missing = Vec::new();
    for path in dir.ancestors() {
        match host.stat(path, Follow::Yes)? {
            None => missing.push(path.to_owned()),
            Some(stat) if stat.kind == FileKind::Dir => break,
            Some(_) => {
                let msg = format!("{} is not a directory", path.display());
                return Err(ModuleError::new(msg));
            }
        }
    }
    missing.reverse();
    Ok(missing)
}

/// A file for root alone.
pub(crate) fn private_file(path: PathBuf, content: impl Into<Vec<u8>>) -> WriteFile {
    WriteFile {
        path,
        content: Content::Bytes(content.into()),
        attrs: Attrs {
            mode: Some(0o600),
            ..Attrs::default()
        },
        backup: false,
        validate: None,
        unsafe_writes: false,
    }
}

/// A typed value as a return value.
pub(crate) fn value_of(value: &impl serde::Serialize) -> Value {
    let text = serde_json::to_string(value).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// What a host says, in one line that is not long and moves no terminal.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    let line: String = text
        .trim()
        .chars()
        .map(|ch| if ch.is_control() { ' ' } else { ch })
        .collect();
    if line.len() <= bytes_max {
        return line;
    }
    let mut end = bytes_max;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ...", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_name_no_other_places() {
        assert!(run_dir("2026-11-21_a.b").is_ok());
        for bad in ["", ".", "..", "../x", "a/b", "-rf", "a b", "a\nb", "é"] {
            assert!(run_dir(bad).is_err(), "{bad:?}");
        }
        assert!(run_dir(&"a".repeat(65)).is_err());
    }

    #[test]
    fn lines_are_bounded() {
        assert_eq!(one_line(" a\x1b[2Jb\nc ", 80), "a [2Jb c");
        assert_eq!(one_line(&"é".repeat(10), 5), "éé ...");
    }
}
