//! Edits on the fake host.

use std::path::Path;

use hostler_change::{Applied, Attrs, CommandOutput, Edit, FileKind, Owner, Planned};

use super::host::{FakeFile, FakeHost};
use crate::{Applier, Inspect, ModuleError};

impl Applier for FakeHost {
    fn apply(&mut self, planned: &Planned) -> Result<Applied, ModuleError> {
        match &planned.edit {
            Edit::WriteFile(write) => {
                let content = self.content(&write.content, u64::MAX)?;
                let backup = write
                    .backup
                    .then(|| self.files.get(&write.path).cloned())
                    .flatten();
                let backup_file = backup.map(|old| {
                    let name = format!("{}.backup~", write.path.display());
                    self.files.insert(name.clone().into(), old);
                    name
                });
                self.put(&write.path, FileKind::File, content, &write.attrs)?;
                return Ok(Applied::Wrote { backup_file });
            }
            Edit::Remove(remove) => {
                let inside = |it: &&std::path::PathBuf| it.starts_with(&remove.path);
                let gone: Vec<_> = self.files.keys().filter(inside).cloned().collect();
                if gone.len() > 1 && !remove.recursive {
                    return Err(ModuleError::new("directory is not empty"));
                }
                for path in gone {
                    self.files.remove(&path);
                }
            }
            Edit::MakeDir(dir) => self.put(&dir.path, FileKind::Dir, Vec::new(), &dir.attrs)?,
            Edit::Link(link) if link.hard => {
                let target = self.files.get(&link.target).cloned();
                let target = target.ok_or_else(|| ModuleError::new("no such file"))?;
                self.files.insert(link.path.clone(), target);
            }
            Edit::Link(link) => {
                let target = link.target.to_string_lossy().as_bytes().to_vec();
                self.put(&link.path, FileKind::Link, target, &Attrs::default())?;
            }
            Edit::SetAttrs {
                path,
                attrs,
                follow,
            } => {
                let path = if *follow {
                    self.resolve(path)
                } else {
                    path.clone()
                };
                self.set(&path, attrs)?;
            }
            Edit::SetTimes { path, times } => {
                if !self.files.contains_key(path) {
                    self.put(path, FileKind::File, Vec::new(), &Attrs::default())?;
                }
                if let Some(file) = self.files.get_mut(path) {
                    file.atime_ns = times.atime_ns.unwrap_or(file.atime_ns);
                    file.mtime_ns = times.mtime_ns.unwrap_or(file.mtime_ns);
                }
            }
            Edit::Run(run) => return self.run(run),
            Edit::Fetch(fetch) => return self.fetch(fetch),
        }
        Ok(Applied::Done)
    }

    fn host(&self) -> &dyn Inspect {
        self
    }
}

impl FakeHost {
    fn fetch(&mut self, fetch: &hostler_change::Fetch) -> Result<Applied, ModuleError> {
        let content = self.downloads.get(&fetch.url).cloned();
        let content = content.ok_or_else(|| {
            ModuleError::new("Request failed")
                .field("status_code", 404)
                .field("url", fetch.url.as_str())
        })?;
        if let Some((algorithm, wanted)) = &fetch.checksum {
            let got = crate::digest(&content, algorithm).unwrap_or_default();
            if got != *wanted {
                return Err(ModuleError::new(format!("checksum is {got}, not {wanted}")));
            }
        }
        let old = self.files.get(&fetch.path).cloned();
        let changed = old.as_ref().is_none_or(|old| old.content != content);
        let backup_file = old.filter(|_| fetch.backup && changed).map(|old| {
            let name = format!("{}.backup~", fetch.path.display());
            self.files.insert(name.clone().into(), old);
            name
        });
        let size = content.len() as u64;
        self.put(&fetch.path, FileKind::File, content, &fetch.attrs)?;
        let message = format!("OK ({size} bytes)");
        Ok(Applied::Fetched {
            status: 200,
            message,
            size,
            changed,
            backup_file,
        })
    }

    fn run(&mut self, run: &hostler_change::Run) -> Result<Applied, ModuleError> {
        let line = run.program.shown().to_string();
        let effect = self.effects.get(&line).cloned();
        let effect = effect.ok_or_else(|| {
            ModuleError::new(format!("the test does not declare what `{line}` does"))
        })?;
        self.ran.push(line);
        let output: CommandOutput = effect(self);
        if !run.ok_rc.is_empty() && !run.ok_rc.contains(&output.rc) {
            let error = ModuleError::new(format!("exit status {}", output.rc));
            return Err(error
                .field("rc", output.rc)
                .field("stderr", output.stderr_text()));
        }
        Ok(Applied::Ran(output))
    }

    fn put(
        &mut self,
        path: &Path,
        kind: FileKind,
        content: Vec<u8>,
        attrs: &Attrs,
    ) -> Result<(), ModuleError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        if self
            .files
            .get(parent)
            .is_none_or(|it| it.kind != FileKind::Dir)
        {
            return Err(ModuleError::new(format!(
                "no directory {}",
                parent.display()
            )));
        }
        let mode = match kind {
            FileKind::Dir => 0o755,
            FileKind::Link => 0o777,
            FileKind::File | FileKind::Other => 0o644,
        };
        let new = FakeFile {
            kind,
            mode,
            uid: 0,
            gid: 0,
            content,
            atime_ns: 0,
            mtime_ns: 0,
        };
        match self.files.get_mut(path) {
            Some(old) if old.kind == kind => old.content = new.content,
            _ => drop(self.files.insert(path.to_owned(), new)),
        }
        self.set(path, attrs)
    }

    fn set(&mut self, path: &Path, attrs: &Attrs) -> Result<(), ModuleError> {
        let name_of = |owner: &Owner| match owner {
            Owner::Name(name) => name.clone(),
            Owner::Id(id) => id.to_string(),
        };
        let number = |owner: &Owner, found: Option<u32>| match (owner, found) {
            (_, Some(id)) => Ok(id),
            (Owner::Id(id), None) => Ok(*id),
            (Owner::Name(name), None) => {
                Err(ModuleError::new(format!("no such user or group {name}")))
            }
        };
        let uid = attrs.owner.as_ref().map(|owner| {
            let found = self.account(&name_of(owner))?.map(|it| it.uid);
            number(owner, found)
        });
        let gid = attrs.group.as_ref().map(|owner| {
            let found = self.group(&name_of(owner))?.map(|it| it.gid);
            number(owner, found)
        });
        let (uid, gid) = (uid.transpose()?, gid.transpose()?);
        let file = self.files.get_mut(path);
        let file = file.ok_or_else(|| ModuleError::new(format!("no file {}", path.display())))?;
        file.uid = uid.unwrap_or(file.uid);
        file.gid = gid.unwrap_or(file.gid);
        file.mode = attrs.mode.unwrap_or(file.mode);
        Ok(())
    }
}
