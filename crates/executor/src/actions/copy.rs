//! `copy`: files of the controller travel with the task; what is on the host already stays there.

use std::path::Path;
use std::sync::Arc;

use hostler_template::Scope;
use hostler_value::{Map, Value};

use crate::failure::Failure;
use crate::files::ControllerFiles;
use crate::host_task::{AgentItem, HostTask, Prepared, RemoteWork, TaskKeywords};

/// Most files of one directory that is copied.
const FILES_MAX: usize = 10_000;

pub(super) fn prepare(
    host: &HostTask<'_>,
    keywords: &TaskKeywords,
    scope: &Arc<dyn Scope>,
) -> Result<Prepared, Failure> {
    let mut args = host.args(scope)?;
    let remote = args
        .get("remote_src")
        .is_some_and(|it| it.to_bool().unwrap_or(false));
    if let Some(content) = args
        .get("content")
        .filter(|it| it.as_map().is_some() || it.as_list().is_some())
    {
        // As Ansible does: a structure becomes JSON.
        let json =
            serde_json::to_string(content).map_err(|error| Failure::new(error.to_string()))?;
        args.insert("content", json);
    }
    let src = args.get("src").map(Value::to_text);
    let Some(src) = src.filter(|_| !remote && !args.contains("content")) else {
        return Ok(Prepared::Agent(RemoteWork::module("copy", args)));
    };
    let files = host.run.files();
    let path = files.find(&src, "files", host.play.directory())?;
    let link = host.run.fleet.link(keywords.route.clone());
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
