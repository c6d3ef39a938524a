//! `state: link` and `state: hard`.

use std::path::{Path, PathBuf};

use hostler_module_api::change::{Link, Remove};
use hostler_module_api::prelude::*;

use super::{Args, More};
use crate::files::{expand_path, real_path, state_name};

/// What was seen of the link and its source.
pub(super) struct Seen {
    /// The source as it will be in the link: as given, or what the link holds now.
    pub(super) src: Option<String>,
    /// Where the link points now.
    old: Option<PathBuf>,
    /// The source, seen from the link's place, and what is there.
    full: PathBuf,
    source: Option<FileStat>,
    /// What a hard link is made of: the source, through links if they are followed.
    real: PathBuf,
    real_stat: Option<FileStat>,
    /// Does the directory in the link's place hold anything?
    occupied: bool,
}

impl Seen {
    pub(super) fn observe(args: &Args, path: &Path, host: &dyn Inspect) -> Result<Self, ModuleError> {
        let old = host.read_link(path)?;
        let src = match &args.src {
            Some(src) => Some(expand_path(src, host)?.display().to_string()),
            None if args.follow => old.as_ref().map(|it| it.display().to_string()),
            None => None,
        };
        let now = host.stat(path, Follow::No)?;
        let is_dir = now.as_ref().is_some_and(|it| it.kind == FileKind::Dir);
        let base = if is_dir { path } else { path.parent().unwrap_or(Path::new("/")) };
        let full = base.join(src.as_deref().unwrap_or_default());
        let source = host.stat(&full, Follow::Yes)?;
        // A hard link's source is not relative to the link, but to the working directory.
        let plain = PathBuf::from(src.as_deref().unwrap_or_default());
        let hard = args.state == Some(super::State::Hard);
        let base = if hard { &plain } else { &full };
        let real = if src.is_some() && (args.follow || !hard) { real_path(base, host)? } else { base.clone() };
        let real_stat = host.stat(&real, Follow::No)?;
        let listed = if is_dir { host.list_dir(path)? } else { None };
        Ok(Seen {
            src,
            old,
            full,
            source,
            real,
            real_stat,
            occupied: listed.is_some_and(|names| !names.is_empty()),
        })
    }
}

pub(super) fn plan_symbolic(
    args: &Args,
    seen: &super::Seen,
    plan: &mut Plan,
) -> Result<(), ModuleError> {
    let More::Link(link) = &seen.more else { return Ok(()) };
    let path = seen.path.display().to_string();
    let refuse = |msg: String| Err(ModuleError::new(msg).field("path", path.as_str()));
    let Some(src) = &link.src else {
        if link.old.is_some() {
            // Not followed and no source: the link stays, its owner may change.
            return match &seen.now {
                Some(now) => seen.attributes(&seen.path, now, plan),
                None => Ok(()),
            };
        }
        return Err(ModuleError::new("src is required for creating new symlinks"));
    };
    if !args.force && link.source.is_none() {
        let full = link.full.display();
        let msg = "src file does not exist, use 'force=yes' if you really want to create the link";
        let error = ModuleError::new(format!("{msg}: {full}")).field("path", path.as_str());
        return Err(error.field("src", src.as_str()));
    }
    let before = state_name(seen.now.as_ref());
    match before {
        "directory" | "file" | "hard" if !args.force => {
            return refuse(format!("refusing to convert from {before} to symlink for {path}"));
        }
        "directory" if link.occupied => {
            return refuse(format!("the directory {path} is not empty, refusing to convert it"));
        }
        "directory" => {
            let remove = Remove {
                path: seen.path.clone(),
                recursive: false,
            };
            plan.push(seen.state_delta(&seen.path, "absent"), Edit::Remove(remove));
        }
        _ => {}
    }
    let target = PathBuf::from(src);
    let differs = link.old.as_ref() != Some(&target);
    if differs {
        let mut deltas = Vec::new();
        if before != "link" {
            deltas.push(seen.state_delta(&seen.path, "link"));
        }
        let old = link.old.as_ref().map(|it| it.display().to_string());
        deltas.push(Delta::field(path.as_str(), "src", old, src.as_str()));
        let edit = Link {
            path: seen.path.clone(),
            target,
            hard: false,
        };
        plan.push_all(deltas, Edit::Link(edit));
    }
    plan_link_attributes(args, seen, link, differs, plan)
}

/// Owner, group and mode: of what the link points to if links are followed (the default), else of the link itself.
fn plan_link_attributes(
    args: &Args,
    seen: &super::Seen,
    link: &Seen,
    is_new: bool,
    plan: &mut Plan,
) -> Result<(), ModuleError> {
    if args.follow {
        match &link.real_stat {
            Some(stat) => return seen.attributes(&link.real, stat, plan),
            None => plan.warnings.push(
                "Cannot set fs attributes on a non-existent symlink target. follow should be set to False to avoid this."
                    .into(),
            ),
        }
        return Ok(());
    }
    match &seen.now {
        Some(now) if !is_new => seen.attributes(&seen.path, now, plan),
        _ => {
            let (attrs, deltas) = seen.wanted.of_new(&seen.path, FileKind::Link)?;
            if !attrs.is_empty() {
                let edit = Edit::SetAttrs {
                    path: seen.path.clone(),
                    attrs,
                    follow: false,
                };
                plan.push_all(deltas, edit);
            }
            Ok(())
        }
    }
}

pub(super) fn plan_hard(
    args: &Args,
    seen: &super::Seen,
    plan: &mut Plan,
) -> Result<(), ModuleError> {
    let More::Link(link) = &seen.more else { return Ok(()) };
    let path = seen.path.display().to_string();
    let before = state_name(seen.now.as_ref());
    if args.src.is_none() {
        return match &seen.now {
            Some(now) if before == "hard" => seen.attributes(&seen.path, now, plan),
            _ => Err(ModuleError::new("src is required for creating new hardlinks")),
        };
    }
    let refuse = |msg: &str| {
        let error = ModuleError::new(msg).field("dest", path.as_str());
        Err(error.field("src", link.src.clone()))
    };
    let Some(source) = &link.real_stat else {
        return refuse("src does not exist");
    };
    let same = seen.now.as_ref().is_some_and(|now| (now.dev, now.ino) == (source.dev, source.ino));
    match before {
        _ if same => {}
        "hard" if !args.force => {
            return refuse("Cannot link, different hard link exists at destination");
        }
        "file" if !args.force => return refuse("Cannot link, file exists at destination"),
        "directory" => return refuse("Cannot link: different hard link exists at destination"),
        _ => {
            let delta = Delta::field(path.as_str(), "src", Value::Null, link.src.clone());
            let edit = Link {
                path: seen.path.clone(),
                target: link.real.clone(),
                hard: true,
            };
            plan.push_all(vec![seen.state_delta(&seen.path, "hard"), delta], Edit::Link(edit));
        }
    }
    // Both names are the same file: what is to be set is compared with the source.
    seen.attributes(&seen.path, source, plan)
}
