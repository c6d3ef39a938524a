//! Directories, links, removal, times.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use hostler_change::{Applied, Link, MakeDir, Remove, Times};
use hostler_module_api::ModuleError;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, linkat, utimensat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::{attrs, cannot, directory_of};
use crate::host::{Host, temporary_beside};

/// Removes a file, a link itself, or a directory.
pub(super) fn remove(host: &mut Host, remove: &Remove) -> Result<Applied, ModuleError> {
    let path = &remove.path;
    if path.parent().is_none() || path.file_name().is_none() {
        return Err(ModuleError::new(format!(
            "refusing to remove {}",
            path.display()
        )));
    }
    let is_dir = match fs::symlink_metadata(path) {
        Ok(meta) => meta.is_dir(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Applied::Done),
        Err(error) => return Err(cannot("remove", path, error)),
    };
    let before = if is_dir { None } else { host.look_before(path) };
    let removed = match (is_dir, remove.recursive) {
        (false, _) => fs::remove_file(path),
        // Walks by directory handles and never through a link.
        (true, true) => fs::remove_dir_all(path),
        (true, false) => fs::remove_dir(path),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("remove", path, error)),
        _ => {
            if before.is_some() {
                host.has_replaced(path, before, None);
            }
            host.unsynced.insert(directory_of(path));
            Ok(Applied::Done)
        }
    }
}

/// Makes one directory.
pub(super) fn make_dir(host: &mut Host, dir: &MakeDir) -> Result<Applied, ModuleError> {
    let numbers = attrs::numbers(&dir.attrs)?;
    let path = &dir.path;
    // Never wider than asked for, not even between the steps.
    let first_mode = dir.attrs.mode.map_or(0o777, |mode| mode & 0o777);
    let made = DirBuilder::new().mode(first_mode).create(path);
    let is_new = match made {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let now = fs::symlink_metadata(path);
            if !now.is_ok_and(|meta| meta.is_dir()) {
                return Err(cannot("make directory", path, error));
            }
            false
        }
        Err(error) => return Err(cannot("make directory", path, error)),
    };
    let set = (numbers != attrs::Numbers::default() || dir.attrs.mode.is_some())
        .then(|| attrs::set(path, &dir.attrs, false));
    if let Some(Err(error)) = set {
        if is_new {
            let _ = fs::remove_dir(path);
        }
        return Err(error);
    }
    host.unsynced.insert(directory_of(path));
    Ok(Applied::Done)
}

/// Makes or replaces a link, atomically.
pub(super) fn link(host: &mut Host, link: &Link) -> Result<Applied, ModuleError> {
    let path = &link.path;
    let temporary = temporary_beside(path);
    let made = if link.hard {
        linkat(CWD, &link.target, CWD, &temporary, AtFlags::empty()).map_err(Into::into)
    } else {
        std::os::unix::fs::symlink(&link.target, &temporary)
    };
    made.map_err(|error| cannot("make link", path, error))?;
    let renamed = fs::rename(&temporary, path);
    // Renaming one name of a file onto another name of it does nothing and leaves both (rename(2)).
    let _ = fs::remove_file(&temporary);
    renamed.map_err(|error| {
        if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) {
            return cannot("replace by a link", path, Errno::ISDIR);
        }
        cannot("make link", path, error)
    })?;
    host.unsynced.insert(directory_of(path));
    Ok(Applied::Done)
}

/// Sets times, of a new empty file if there is none.
pub(super) fn set_times(
    host: &mut Host,
    path: &Path,
    times: &Times,
) -> Result<Applied, ModuleError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o666)
        .open(path);
    match made {
        Ok(_) => {
            host.has_replaced(path, None, Some(Sha256::digest(b"").into()));
            host.unsynced.insert(directory_of(path));
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(cannot("touch", path, error)),
    }
    let stamps = Timestamps {
        last_access: timespec(times.atime_ns),
        last_modification: timespec(times.mtime_ns),
    };
    let set = match utimensat(CWD, path, &stamps, AtFlags::empty()) {
        // Who may write a file but does not own it may set both times, to now only.
        Err(Errno::PERM) if both_are_now(times) => {
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            };
            let stamps = Timestamps {
                last_access: now,
                last_modification: now,
            };
            utimensat(CWD, path, &stamps, AtFlags::empty())
        }
        other => other,
    };
    set.map_err(|error| cannot("set the times of", path, error))?;
    Ok(Applied::Done)
}

fn timespec(ns: Option<i64>) -> Timespec {
    match ns {
        None => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        Some(ns) => Timespec {
            tv_sec: ns.div_euclid(1_000_000_000),
            tv_nsec: ns.rem_euclid(1_000_000_000),
        },
    }
}

fn both_are_now(times: &Times) -> bool {
    const MINUTE_NS: i64 = 60_000_000_000;
    let now = crate::hello::clock_us().saturating_mul(1000);
    let close = |at: Option<i64>| at.is_some_and(|at| (now - at).abs() < MINUTE_NS);
    close(times.atime_ns) && close(times.mtime_ns)
}
