//! A file that holds a random key of the user: made on first use, readable by the user alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

/// Bytes of a key.
pub const LENGTH: usize = 32;

/// The bytes of a key; wiped when they go.
pub type KeyBytes = Zeroizing<[u8; LENGTH]>;

/// The key; `None` if there is no such file.
///
/// # Errors
/// In words: it cannot be read, others can read it, or it is no key.
pub fn read(path: &Path) -> Result<Option<KeyBytes>, String> {
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
    let mut bytes = KeyBytes::new([0; LENGTH]);
    let whole = file
        .read_exact(bytes.as_mut_slice())
        .and_then(|()| file.read(&mut [0]));
    match whole {
        Ok(0) => Ok(Some(bytes)),
        _ => Err(format!("{} is not a key of {LENGTH} bytes", path.display())),
    }
}

/// The key, made if there is none, with its directory.
///
/// # Errors
/// As [`read`], or it cannot be made.
pub fn read_or_make(path: &Path) -> Result<KeyBytes, String> {
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
    let mut bytes = KeyBytes::new([0; LENGTH]);
    File::open("/dev/urandom")
        .and_then(|mut it| it.read_exact(bytes.as_mut_slice()))
        .map_err(failed)?;
    // Whole or not at all; of two programs that make one, the first wins.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let own = directory.join(format!(".{name}.{}", std::process::id()));
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&own);
    let written = made.and_then(|mut file| {
        file.write_all(bytes.as_slice())?;
        file.sync_all()?;
        fs::hard_link(&own, path)?;
        File::open(directory)?.sync_all()
    });
    let _gone = fs::remove_file(&own);
    match written {
        Ok(()) => Ok(bytes),
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
        let path = directory.path().join("a/hostler/some.key");
        assert!(read(&path).unwrap().is_none());
        let key = read_or_make(&path).unwrap();
        assert_eq!(key, read_or_make(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().contains("0600"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read(&path).unwrap_err().contains("32 bytes"));
    }
}
