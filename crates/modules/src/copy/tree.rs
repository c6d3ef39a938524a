//! `copy` of a directory that is on the host already.

use std::path::{Path, PathBuf};

use hostler_module_api::change::{Link, MakeDir};
use hostler_module_api::prelude::*;

use super::Args;
use crate::files::{Wanted, expand_path, path_info, state_name};

/// Entries that are copied at most; more is refused before anything is done.
const ENTRIES_MAX: usize = 100_000;

/// A directory and what of it is missing or different at its destination.
pub(crate) struct Seen {
    pub(super) dest: PathBuf,
    pub(super) info: Map,
    entries: Vec<Entry>,
    /// Owner and group, for all that is copied.
    owners: Wanted,
    /// All that was asked for, for the directory itself.
    wanted: Wanted,
    backup: bool,
}

struct Entry {
    path: PathBuf,
    now: Option<FileStat>,
    source: Source,
}

enum Source {
    Dir { mode: u32 },
    File { path: PathBuf, mode: u32, differs: bool },
    Link { target: PathBuf, differs: bool },
}

impl Seen {
    pub(super) fn observe(
        args: &Args,
        src: &Path,
        host: &dyn Inspect,
    ) -> Result<Self, ModuleError> {
        if args.validate.is_some() {
            return Err(ModuleError::new("validate cannot be used with a directory"));
        }
        let mut dest = expand_path(&args.dest, host)?;
        let contents_only = args.src.as_deref().is_some_and(|src| src.ends_with('/'));
        if let Some(name) = src.file_name().filter(|_| !contents_only) {
            dest = dest.join(name);
        }
        if dest.starts_with(src) {
            let msg = format!("{} lies in the directory that is to be copied", dest.display());
            return Err(ModuleError::new(msg));
        }
        let mut missing = Vec::new();
        for dir in dest.ancestors().skip(1).filter(|it| !it.as_os_str().is_empty()) {
            if host.stat(dir, Follow::Yes)?.is_some() {
                break;
            }
            missing.push(dir.to_owned());
        }
        let mut entries: Vec<Entry> = Vec::new();
        for dir in missing.into_iter().rev() {
            let mode = 0o777 & !host.identity().umask;
            entries.push(Entry {
                path: dir,
                now: None,
                source: Source::Dir { mode },
            });
        }
        let mut walk = Walk {
            host,
            through_links: args.local_follow == Some(true),
            force: args.force,
            entries,
        };
        walk.directory(src, &dest, 0)?;
        let common = args.file_args();
        let wanted = Wanted::observe(&common, &dest, host)?;
        Ok(Seen {
            info: path_info(&dest, host)?,
            entries: walk.entries,
            owners: wanted.with_mode(None),
            wanted,
            dest,
            backup: args.backup,
        })
    }

    pub(super) fn plan(&self) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        for entry in &self.entries {
            entry.plan(self, &mut plan)?;
        }
        Ok(plan)
    }
}

struct Walk<'a> {
    host: &'a dyn Inspect,
    through_links: bool,
    force: bool,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn directory(&mut self, from: &Path, to: &Path, depth: usize) -> Result<(), ModuleError> {
        let stat = self.host.stat(from, Follow::Yes)?;
        let mode = stat.map_or(0o755, |stat| stat.perm());
        self.add(to, Source::Dir { mode })?;
        if depth > 256 {
            let msg = format!("{} is nested too deep (a loop of links?)", from.display());
            return Err(ModuleError::new(msg));
        }
        for name in self.host.list_dir(from)?.unwrap_or_default() {
            let (from, to) = (from.join(&name), to.join(&name));
            let follow = if self.through_links { Follow::Yes } else { Follow::No };
            let Some(stat) = self.host.stat(&from, follow)? else {
                continue;
            };
            match stat.kind {
                FileKind::Dir => self.directory(&from, &to, depth + 1)?,
                FileKind::File => {
                    let differs = self.differs(&from, &stat, &to)?;
                    let mode = stat.perm();
                    self.add(&to, Source::File { path: from, mode, differs })?;
                }
                FileKind::Link => {
                    let target = self.host.read_link(&from)?.unwrap_or_default();
                    let differs = self.host.read_link(&to)?.as_ref() != Some(&target);
                    self.add(&to, Source::Link { target, differs })?;
                }
                FileKind::Other => {
                    let msg = format!("Cannot copy {}: not a file, directory or link", from.display());
                    return Err(ModuleError::new(msg));
                }
            }
        }
        Ok(())
    }

    fn differs(&self, from: &Path, stat: &FileStat, to: &Path) -> Result<bool, ModuleError> {
        let Some(old) = self.host.stat(to, Follow::No)? else {
            return Ok(true);
        };
        if old.kind != FileKind::File {
            return Ok(true);
        }
        if !self.force {
            return Ok(false);
        }
        Ok(old.size != stat.size
            || self.host.checksum(from, "sha1")? != self.host.checksum(to, "sha1")?)
    }

    fn add(&mut self, path: &Path, source: Source) -> Result<(), ModuleError> {
        if self.entries.len() >= ENTRIES_MAX {
            let msg = format!("the directory holds more than {ENTRIES_MAX} entries");
            return Err(ModuleError::new(msg));
        }
        let now = self.host.stat(path, Follow::No)?;
        let path = path.to_owned();
        self.entries.push(Entry { path, now, source });
        Ok(())
    }
}

impl Entry {
    fn plan(&self, seen: &Seen, plan: &mut Plan) -> Result<(), ModuleError> {
        let wanted = if self.path == seen.dest { &seen.wanted } else { &seen.owners };
        let shown = self.path.display().to_string();
        let is = state_name(self.now.as_ref());
        let blocked = || {
            let msg = format!("{shown} is there already, as a {is}");
            Err(ModuleError::new(msg).field("path", shown.as_str()))
        };
        match (&self.source, &self.now) {
            (Source::Dir { .. }, Some(now)) if now.kind == FileKind::Dir => {
                wanted.plan(&self.path, now, plan)
            }
            (Source::Dir { mode }, None) => {
                let (mut attrs, mut deltas) = wanted.of_new(&self.path, FileKind::Dir)?;
                attrs.mode = attrs.mode.or(Some(*mode));
                deltas.insert(0, Delta::field(shown, "state", "absent", "directory"));
                let path = self.path.clone();
                plan.push_all(deltas, Edit::MakeDir(MakeDir { path, attrs }));
                Ok(())
            }
            (Source::File { differs: false, .. } | Source::Link { differs: false, .. }, Some(now)) => {
                wanted.plan(&self.path, now, plan)
            }
            (Source::File { path, mode, .. }, now) if is != "directory" => {
                let (mut attrs, mut deltas) = wanted.of_new(&self.path, FileKind::File)?;
                attrs.mode = attrs.mode.or(Some(*mode));
                let before = now.as_ref().map(|now| format!("{} bytes", now.size));
                let after = Some(format!("content of {}", path.display()));
                let change = Change::Opaque { before, after };
                deltas.insert(0, Delta { subject: shown, change });
                let file = WriteFile {
                    path: self.path.clone(),
                    content: Content::HostFile(path.clone()),
                    attrs,
                    backup: seen.backup,
                    validate: None,
                    unsafe_writes: false,
                };
                plan.write(deltas, file);
                Ok(())
            }
            (Source::Link { target, .. }, _) if is != "directory" => {
                let after = target.display().to_string();
                let edit = Link {
                    path: self.path.clone(),
                    target: target.clone(),
                    hard: false,
                };
                plan.push(Delta::field(shown, "src", Value::Null, after), Edit::Link(edit));
                let (attrs, deltas) = wanted.of_new(&self.path, FileKind::Link)?;
                if !attrs.is_empty() {
                    let (path, follow) = (self.path.clone(), false);
                    plan.push_all(deltas, Edit::SetAttrs { path, attrs, follow });
                }
                Ok(())
            }
            _ => blocked(),
        }
    }
}
