//! The directory where hostler keeps what outlives a run.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};

/// A private directory: made with mode 0700; one that others can write is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// `$XDG_STATE_HOME/hostler`, by default `~/.local/state/hostler` (XDG Base Directory Specification 0.8; a relative
    /// `XDG_STATE_HOME` is ignored, as it says).
    ///
    /// # Errors
    /// If neither variable names a directory.
    pub fn default_path() -> Result<PathBuf> {
        let absolute = |name: &str| {
            let value = std::env::var_os(name).map(PathBuf::from);
            value.filter(|path| path.is_absolute())
        };
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("hostler"))
            .ok_or_else(|| {
                StoreError::Directory("neither XDG_STATE_HOME nor HOME names a directory".into())
            })
    }

    /// Uses this directory, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, belongs to another user, or can be written by others.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |what: &str, error: std::io::Error| {
            StoreError::Directory(format!("cannot {what} {}: {error}", path.display()))
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed("make", error))?;
        let path = path.canonicalize().map_err(|error| failed("use", error))?;
        let kind = rustix::fs::statfs(&path).map_or(0, |it| it.f_type);
        let metadata = fs::metadata(&path).map_err(|error| failed("look at", error))?;
        let refuse = |why: String| {
            let path = path.display();
            Err(StoreError::Directory(format!(
                "the state directory {path} {why}; choose another with --state-dir"
            )))
        };
        if !metadata.is_dir() {
            return refuse("is not a directory".into());
        }
        if is_network(kind) {
            return refuse(
                "is on a network file system, where several machines would damage the run store"
                    .into(),
            );
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return refuse(format!(
                "can be written by other users (mode {mode:04o}); make it 0700"
            ));
        }
        let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner != own {
            return refuse(format!("belongs to user {owner}, and this is user {own}"));
        }
        Ok(StateDir(path))
    }

    /// Where it is: an absolute path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("runs.sqlite")
    }

    /// The key that entries are sealed with.
    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("store.key")
    }

    /// A file that is only there to be removed when the disk is full.
    pub(crate) fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

/// Is this file system NFS or SMB? `SQLite`'s locks cannot be relied on there, and its write-ahead log works on one machine
/// alone (<https://sqlite.org/wal.html>).
fn is_network(kind: rustix::fs::FsWord) -> bool {
    /// As `statfs(2)` names them.
    const NFS: rustix::fs::FsWord = 0x6969;
    const SMB: rustix::fs::FsWord = 0x517b;
    const CIFS: rustix::fs::FsWord = 0xff53_4d42;
    const SMB2: rustix::fs::FsWord = 0xfe53_4d42;
    [NFS, SMB, CIFS, SMB2].contains(&kind)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_private_and_refused_if_others_can_write() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a/b");
        let made = StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(made.path()).unwrap().mode() & 0o777, 0o700);
        for mode in [0o770, 0o702] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = StateDir::open(&path).unwrap_err().to_string();
            assert!(refused.contains("0700"), "{refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        StateDir::open(&path).unwrap();
        fs::write(top.path().join("file"), "").unwrap();
        StateDir::open(&top.path().join("file")).unwrap_err();
    }

    #[test]
    fn network_file_systems_are_known() {
        assert!(is_network(0x6969) && is_network(0xfe53_4d42));
        // ext4, tmpfs, overlayfs.
        assert!(
            ![0xef53, 0x0102_1994, 0x794c_7630]
                .into_iter()
                .any(is_network)
        );
    }
}
