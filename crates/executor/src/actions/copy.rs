//! `copy`: files of the controller travel with the task; what is on the host already stays there.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use hostler_template::Scope;
use hostler_value::{Map, Unknown, Value};

use crate::failure::Failure;
use crate::files::{ControllerFiles, find_file};
use crate::host_task::{AgentItem, HostTask, Prepared, RemoteWork, TaskKeywords, known};

/// Most files of one directory that is copied.
const FILES_MAX: usize = 10_000;

pub(super) fn prepare(
    host: &HostTask<'_>,
    keywords: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let mut args = host.open_args(scope)?;
    let holes = content_holes(&mut args);
    known(&args)?;
    if holes.is_some() && !keywords.check {
        // It would be carried out, not previewed.
        return Err(holes.map_or_else(|| Failure::new("no content"), Failure::Unknown));
    }
    let remote = args
        .get("remote_src")
        .is_some_and(|it| it.to_bool().unwrap_or(false));
    if let Some(content) = args
        .get("content")
        .filter(|it| it.as_map().is_some() || it.as_list().is_some())
    {
        // As Ansible does: a structure becomes JSON.
        args.insert("content", python_json(content)?);
    }
    let src = args.get("src").map(Value::to_text);
    let Some(src) = src.filter(|_| !remote && !args.contains("content")) else {
        let mut work = RemoteWork::module("copy", args);
        work.holes = holes;
        return Ok(Prepared::Agent(work));
    };
    let files = host.run.files();
    let path = find_file(&src, "files", host.play.directory())?;
    let link = host.run.fleet.link(&keywords.route);
    let sender = Sender {
        files,
        blobs: link.blobs(),
        args: &args,
    };
    if path.is_dir() {
        return sender.directory(&path, &src).map(Prepared::Agent);
    }
    let mut work = RemoteWork::module("copy", Map::new());
    work.items = vec![sender.file(&path, &src, None)?];
    Ok(Prepared::Agent(work))
}

/// Replaces content that is not known by its text with holes; gives the reason. Its checksum cannot be held against it.
fn content_holes(args: &mut Map) -> Option<Arc<Unknown>> {
    let content = args.get("content")?;
    let unknown = match content {
        Value::Unknown(unknown) => unknown.clone(),
        structure => Arc::new(structure.unknown_part()?),
    };
    args.insert("content", unknown.text());
    args.remove("checksum");
    Some(unknown)
}

/// JSON as Python's `json.dumps` writes it: a blank after commas and colons, only ASCII.
fn python_json(value: &Value) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PythonJson);
    let written = serde::Serialize::serialize(value, &mut serializer);
    written.map_err(|error| Failure::new(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Failure::new(error.to_string()))
}

struct PythonJson;

impl serde_json::ser::Formatter for PythonJson {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for ch in text.chars() {
            if ch.is_ascii() {
                write!(out, "{ch}")?;
            } else {
                for unit in ch.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

struct Sender<'a> {
    files: &'a ControllerFiles,
    blobs: &'a crate::fleet::HostBlobs,
    args: &'a Map,
}

impl Sender<'_> {
    /// One file; `dest` overrules the argument.
    fn file(&self, path: &Path, src: &str, dest: Option<String>) -> Result<AgentItem, Failure> {
        let mut args = self.args.clone();
        args.remove("local_follow");
        args.remove("directory_mode");
        args.insert("src", src);
        let basename = Path::new(src)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        args.insert("_original_basename", basename);
        if let Some(dest) = dest {
            args.insert("dest", dest);
        }
        if args.get("mode").and_then(Value::as_str) == Some("preserve") {
            args.insert("mode", octal(path)?);
        }
        let payload = self.files.content(path)?.payload(self.blobs);
        Ok(AgentItem {
            args,
            payload: Some(payload),
        })
    }

    /// A directory: its directories are made first, then its files are copied. `src/` means its contents.
    fn directory(&self, root: &Path, src: &str) -> Result<RemoteWork, Failure> {
        let dest = self
            .args
            .get("dest")
            .map(Value::to_text)
            .unwrap_or_default();
        let mut base = dest.trim_end_matches('/').to_owned();
        if !src.ends_with('/') {
            let name = root.file_name().unwrap_or_default().to_string_lossy();
            base = format!("{base}/{name}");
        }
        let mut work = RemoteWork::module("copy", Map::new());
        work.items.clear();
        work.before.push(self.made_directory(&base));
        let mut pending = vec![(root.to_owned(), base)];
        while let Some((directory, target)) = pending.pop() {
            let cannot = |error: std::io::Error| {
                Failure::new(format!("cannot read {}: {error}", directory.display()))
            };
            let mut entries = Vec::new();
            for entry in std::fs::read_dir(&directory).map_err(cannot)? {
                entries.push(entry.map_err(cannot)?.path());
            }
            entries.sort();
            for path in entries {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let there = format!("{target}/{name}");
                if path.is_dir() {
                    work.before.push(self.made_directory(&there));
                    pending.push((path, there));
                } else {
                    work.items
                        .push(self.file(&path, &path.display().to_string(), Some(there))?);
                }
                if work.items.len() + work.before.len() > FILES_MAX {
                    return Err(
                        Failure::new(format!("`{src}` has more than {FILES_MAX} files"))
                            .hint("send an archive instead"),
                    );
                }
            }
        }
        work.more.insert("src", src);
        work.more.insert("dest", dest);
        Ok(work)
    }

    fn made_directory(&self, path: &str) -> AgentItem {
        let mut args: Map = [("path", path), ("state", "directory")]
            .into_iter()
            .collect();
        for name in ["owner", "group"] {
            if let Some(value) = self.args.get(name) {
                args.insert(name, value.clone());
            }
        }
        if let Some(mode) = self.args.get("directory_mode") {
            args.insert("mode", mode.clone());
        }
        AgentItem {
            args,
            payload: None,
        }
    }
}

fn octal(path: &Path) -> Result<String, Failure> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path);
    let metadata = metadata
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(format!("0{:o}", metadata.permissions().mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_become_json_as_python_writes_it() {
        let inner: Map = [("b", Value::list([1.into(), Value::str("é\u{1f600}")]))]
            .into_iter()
            .collect();
        let value: Map = [("a", Value::from(inner)), ("c", Value::Null)]
            .into_iter()
            .collect();
        let json = python_json(&Value::from(value));
        assert_eq!(
            json.ok().as_deref(),
            Some(r#"{"a": {"b": [1, "\u00e9\ud83d\ude00"]}, "c": null}"#)
        );
    }
}
