//! `state: directory`: what is missing on the way, and what is inside.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use hostler_module_api::prelude::*;

use super::{Args, More, Seen, make_dir};
use crate::files::state_name;

/// Entries that a recursive task looks at; more is refused rather than left half done.
const ENTRIES_MAX: usize = 500_000;

pub(super) fn observe(
    args: &Args,
    place: &Path,
    now: Option<&FileStat>,
    host: &dyn Inspect,
) -> Result<More, ModuleError> {
    let mut missing = Vec::new();
    let mut blocked = None;
    let mut inside = Vec::new();
    if now.is_none() {
        for dir in place.ancestors().filter(|it| !it.as_os_str().is_empty()) {
            match host.stat(dir, Follow::Yes)? {
                None => missing.push(dir.to_owned()),
                Some(stat) if stat.kind == FileKind::Dir => break,
                Some(_) => {
                    blocked = Some(dir.to_owned());
                    break;
                }
            }
        }
        missing.reverse();
    } else if args.recurse {
        let mut walk = Walk {
            host,
            follow: args.follow,
            entered: HashSet::new(),
            found: &mut inside,
        };
        walk.directory(place)?;
    }
    Ok(More::Directory {
        missing,
        blocked,
        inside,
    })
}

struct Walk<'a> {
    host: &'a dyn Inspect,
    follow: bool,
    /// Directories that links led to: a link back must not be walked for ever.
    entered: HashSet<(u64, u64)>,
    found: &'a mut Vec<(PathBuf, FileStat)>,
}

impl Walk<'_> {
    fn directory(&mut self, top: &Path) -> Result<(), ModuleError> {
        let mut todo = vec![top.to_owned()];
        while let Some(dir) = todo.pop() {
            for name in self.host.list_dir(&dir)?.unwrap_or_default() {
                let path = dir.join(name);
                let Some(stat) = self.host.stat(&path, Follow::No)? else {
                    continue;
                };
                let kind = stat.kind;
                self.add(path.clone(), stat)?;
                if kind == FileKind::Dir {
                    todo.push(path);
                } else if kind == FileKind::Link && self.follow {
                    todo.extend(self.behind(&dir, &path)?);
                }
            }
        }
        Ok(())
    }

    /// What a link points to; a directory is given back to be walked.
    fn behind(&mut self, dir: &Path, link: &Path) -> Result<Option<PathBuf>, ModuleError> {
        let Some(target) = self.host.read_link(link)? else {
            return Ok(None);
        };
        let target = dir.join(target);
        let Some(stat) = self.host.stat(&target, Follow::Yes)? else {
            return Ok(None);
        };
        if !self.entered.insert((stat.dev, stat.ino)) {
            return Ok(None);
        }
        let is_dir = stat.kind == FileKind::Dir;
        let real = crate::files::real_path(&target, self.host)?;
        self.add(real.clone(), stat)?;
        Ok(is_dir.then_some(real))
    }

    fn add(&mut self, path: PathBuf, stat: FileStat) -> Result<(), ModuleError> {
        if self.found.len() >= ENTRIES_MAX {
            let msg = format!("more than {ENTRIES_MAX} entries are below the directory");
            return Err(ModuleError::new(msg).hint("name a smaller directory, or run chown or chmod"));
        }
        self.found.push((path, stat));
        Ok(())
    }
}

pub(super) fn plan(seen: &Seen, plan: &mut Plan) -> Result<(), ModuleError> {
    let More::Directory {
        missing,
        blocked,
        inside,
    } = &seen.more
    else {
        return Ok(());
    };
    let shown = seen.place.display().to_string();
    if let Some(file) = blocked {
        let msg = format!("There was an issue creating {shown} as requested: {} is not a directory", file.display());
        return Err(ModuleError::new(msg).field("path", shown));
    }
    let Some(now) = &seen.now else {
        for dir in missing {
            make_dir(seen, dir, plan)?;
        }
        seen.wanted.plan_attributes(&seen.place, plan);
        seen.stamps.plan_fixed(&seen.place, plan);
        return Ok(());
    };
    if now.kind != FileKind::Dir {
        let msg = format!("{shown} already exists as a {}", state_name(Some(now)));
        return Err(ModuleError::new(msg).field("path", shown));
    }
    seen.attributes(&seen.place, now, plan)?;
    for (path, stat) in inside {
        seen.attributes(path, stat, plan)?;
    }
    Ok(())
}
