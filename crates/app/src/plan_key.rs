//! The user's key for plan files: made on first use, readable by the user alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hostler_preview::Key;

/// Bytes of a key.
const LENGTH: usize = 32;

/// `$XDG_STATE_HOME/hostler/plan.key`, by default below `~/.local/state` (XDG Base Directory Specification 0.8).
pub(crate) fn path() -> Result<PathBuf, String> {
    let absolute = |name: &str| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or("neither XDG_STATE_HOME nor HOME names a directory")?;
    Ok(state.join("hostler/plan.key"))
}

/// The key; `None` if there is none yet.
pub(crate) fn read(path: &Path) -> Result<Option<Key>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(format!(
            "{path} can be read by other users (mode {:04o}); make it 0600",
            mode & 0o7777
        ));
    }
    let mut bytes = [0; LENGTH];
    let whole = file
        .read_exact(&mut bytes)
        .and_then(|()| file.read(&mut [0]));
    match whole {
        Ok(0) => Ok(Some(Key::new(bytes))),
        _ => Err(format!("{} is not a key of {LENGTH} bytes", path.display())),
    }
}

/// The key, made if there is none.
pub(crate) fn read_or_make(path: &Path) -> Result<Key, String> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let failed = |error: std::io::Error| format!("cannot make {}: {error}", path.display());
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let mut bytes = [0; LENGTH];
    File::open("/dev/urandom")
        .and_then(|mut it| it.read_exact(&mut bytes))
        .map_err(failed)?;
    // Whole or not at all; of two runs that make one, the first wins.
    let own = directory.join(format!(".plan.key.{}", std::process::id()));
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&own);
    let written = made.and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::hard_link(&own, path)
    });
    let _gone = fs::remove_file(&own);
    match written {
        Ok(()) => Ok(Key::new(bytes)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| failed(error))
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/hostler/plan.key");
        assert!(read(&path).unwrap().is_none());
        let key = read_or_make(&path).unwrap();
        let same = read_or_make(&path).unwrap();
        assert_eq!(key.mac(&[b"x"]), same.mac(&[b"x"]));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().contains("0600"));
    }
}
