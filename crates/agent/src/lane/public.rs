//! A copy of this binary that the other user can execute.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, fchmod, statvfs};
use rustix::process::geteuid;
use sha2::{Digest, Sha256};

/// Directories that every user can reach, first to last.
const BASES: &[&str] = &["/var/tmp", "/tmp", "/dev/shm", "/run"];

/// The path of a binary that the other user may execute: root takes the agent's own.
pub(super) fn path_for(user: &str, sha256: &[u8; 32]) -> Result<PathBuf, String> {
    if matches!(user, "root" | "0")
        && let Ok(own) = fs::read_link("/proc/self/exe")
        && own.exists()
    {
        return Ok(own);
    }
    let mut tried = Vec::new();
    for base in BASES {
        match in_base(Path::new(base), sha256) {
            Ok(path) => return Ok(path),
            Err(reason) => tried.push(format!("{base}: {reason}")),
        }
    }
    let reasons = tried.join("; ");
    Err(format!(
        "no directory can hold a copy of the agent for {user} ({reasons})"
    ))
}

fn in_base(base: &Path, sha256: &[u8; 32]) -> Result<PathBuf, String> {
    let mount = statvfs(base).map_err(|error| error.to_string())?;
    if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err("mounted noexec".into());
    }
    let uid = geteuid().as_raw();
    let dir = base.join(format!(".hostler-pub-{uid}"));
    match fs::DirBuilder::new().mode(0o755).create(&dir) {
        // The umask may have narrowed it.
        Ok(()) => open_dir(&dir).and_then(|dir| Ok(fchmod(&dir, Mode::from_raw_mode(0o755))?)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| error.to_string())?;
    // Anybody may have made this name before us: it must be a directory, ours, and writable to us alone.
    let meta = open_dir(&dir).and_then(|dir| dir.metadata());
    let meta = meta.map_err(|error| error.to_string())?;
    if meta.uid() != uid || meta.mode() & 0o022 != 0 {
        return Err(format!("{} belongs to somebody else", dir.display()));
    }
    let hex = super::hex(&sha256[..8]);
    let path = dir.join(format!("agent-{hex}"));
    if !is_ours(&path, uid, sha256) {
        copy_to(&path).map_err(|error| error.to_string())?;
        if !is_ours(&path, uid, sha256) {
            return Err("the copy is not what was written".into());
        }
    }
    Ok(path)
}

fn open_dir(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
}

/// Is it our file, executable, with exactly the content of this binary?
fn is_ours(path: &Path, uid: u32, sha256: &[u8; 32]) -> bool {
    let check = || -> io::Result<bool> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != uid || meta.mode() & 0o7777 != 0o755 {
            return Ok(false);
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 128 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(<[u8; 32]>::from(hash.finalize()) == *sha256),
                count => hash.update(&buffer[..count]),
            }
        }
    };
    check().unwrap_or(false)
}

fn copy_to(path: &Path) -> io::Result<()> {
    let temporary = crate::host::temporary_beside(path);
    let copy = || -> io::Result<()> {
        let mut from = File::open("/proc/self/exe")?;
        from.rewind()?;
        let mut to = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&temporary)?;
        io::copy(&mut from, &mut to)?;
        fchmod(&to, Mode::from_raw_mode(0o755))?;
        drop(to);
        fs::rename(&temporary, path)
    };
    copy().inspect_err(|_| drop(fs::remove_file(&temporary)))
}
