//! Copying and removing directory trees.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Deepest directory that is copied.
const DEPTH_MAX: u32 = 16;
/// Largest file that is copied.
const FILE_MAX: u64 = 32 << 20;

/// Copies a file, symbolic link or directory. What others may not read stays behind, so that no secret of the
/// machine gets into a demo host; devices, pipes and sockets stay behind too.
pub(crate) fn copy_public(from: &Path, to: &Path) -> io::Result<()> {
    copy(from, to, DEPTH_MAX)
}

fn copy(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(from) else {
        return Ok(());
    };
    let mode = meta.permissions().mode();
    if meta.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if meta.is_file() && mode & 0o004 != 0 && meta.len() <= FILE_MAX {
        let Ok(bytes) = fs::read(from) else {
            return Ok(());
        };
        fs::write(to, bytes)?;
        return fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o0755));
    }
    if meta.is_dir() && mode & 0o005 == 0o005 && depth > 0 {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()), depth - 1)?;
        }
    }
    Ok(())
}

/// Copies everything of our own tree, modes included.
pub(crate) fn copy_own(from: &Path, to: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    if meta.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if meta.is_file() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_own(&entry.path(), &to.join(entry.file_name()))?;
    }
    fs::set_permissions(to, meta.permissions())
}

/// Removes a tree, also where directories in it are closed to their owner (overlay's work directory is).
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        _ => Ok(()),
    }
}

fn open_up(path: &Path) {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return;
    };
    if !meta.is_dir() {
        return;
    }
    // What cannot be opened is reported by the removal that follows.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}
