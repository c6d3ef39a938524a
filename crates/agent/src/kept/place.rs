//! Where results are kept: a directory that belongs to the agent's user and that nobody else can look into.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, OFlags, accessat, flock};
use rustix::process::geteuid;

/// Results older than this are forgotten.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most bytes that are kept, and most files; the oldest go first.
const BYTES_MAX: u64 = 64 << 20;
const FILES_MAX: usize = 1000;
/// The only other file of the directory.
pub(super) const LOCK: &str = "lock";

/// The directories that may hold results, first the one for new ones; and is there such a one?
///
/// All are looked at, since the first may have become unusable after a result went there.
pub(super) fn find() -> (Vec<PathBuf>, bool) {
    let (mut dirs, mut found) = (Vec::new(), false);
    for dir in candidates() {
        if !found && is_usable(&dir) {
            found = true;
            dirs.insert(0, dir);
        } else if is_private(&dir) {
            dirs.push(dir);
        }
    }
    (dirs, found)
}

/// Best first. What is in memory is gone after a restart of the host, as is what ran; but logind removes what ordinary
/// users leave in `/dev/shm` when they log out (`RemoveIPC=`).
fn candidates() -> Vec<PathBuf> {
    // Not in what is sent to hosts: where a user's secrets go is not for an environment to say.
    #[cfg(debug_assertions)]
    if let Some(dirs) = std::env::var_os("HOSTLER_KEPT_DIRS") {
        return std::env::split_paths(&dirs).collect();
    }
    let uid = geteuid().as_raw();
    let bases = if uid == 0 {
        ["/dev/shm", "/var/tmp", "/tmp"]
    } else {
        ["/var/tmp", "/tmp", "/dev/shm"]
    };
    let mut all: Vec<PathBuf> = Vec::with_capacity(4);
    if uid == 0 {
        all.push("/run/hostler".into());
    }
    all.extend(bases.map(|base| Path::new(base).join(format!("hostler-{uid}"))));
    all
}

/// Could it hold results? It is not made yet: a run that only looks leaves nothing.
fn is_usable(dir: &Path) -> bool {
    let is_writable = |dir: &Path| accessat(CWD, dir, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    match fs::symlink_metadata(dir) {
        Ok(_) => is_private(dir) && is_writable(dir),
        Err(_) => dir.parent().is_some_and(is_writable),
    }
}

/// Makes it; false if it is not ours alone.
pub(super) fn make(dir: &Path) -> bool {
    // Who was faster is looked at.
    let _ = fs::DirBuilder::new().mode(0o700).create(dir);
    is_private(dir)
}

/// Anybody may have made this name before us: it must be a directory, no link, and ours alone.
fn is_private(dir: &Path) -> bool {
    fs::symlink_metadata(dir).is_ok_and(|meta| {
        meta.is_dir() && meta.uid() == geteuid().as_raw() && meta.mode() & 0o7777 == 0o700
    })
}

/// Opens a file of the directory, never through a link.
pub(super) fn open(path: &Path, write: bool) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    fs::OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
}

/// Is nobody working on this file? Then it is ours while it is open.
pub(super) fn is_free(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Removes what is too old or too much. What a process still works on stays.
pub(super) fn tidy(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut files: Vec<(Duration, u64, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.file_name() != LOCK)
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            let age = meta.modified().ok()?.elapsed().unwrap_or_default();
            Some((age, meta.len(), entry.path()))
        })
        .collect();
    hostler_value::order::sort_by(&mut files, |a, b| b.0.cmp(&a.0));
    let mut count = files.len();
    let mut bytes: u64 = files.iter().map(|file| file.1).sum();
    for (age, len, path) in files {
        if age < AGE_MAX && count <= FILES_MAX && bytes <= BYTES_MAX {
            return;
        }
        let free = open(&path, false).map_or(true, |file| is_free(&file));
        if free && fs::remove_file(&path).is_ok() {
            count -= 1;
            bytes -= len;
        }
    }
}
