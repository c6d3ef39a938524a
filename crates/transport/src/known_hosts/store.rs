//! The files of a run: each parsed once, and appended to by one writer at a time.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::PublicKey;

use super::parse::{HostName, KnownHostsFile, hash_name};
use super::verdict::{HostRecords, Verdict};

/// Larger files are refused: 64 MiB is half a million keys.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a new key could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be opened, locked, read or written.
    #[error("cannot record the host key in {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Somebody recorded another key for the host in the meantime.
    #[error("another key for {host} was recorded in {} meanwhile", path.display())]
    Raced {
        /// The host as it stands in the file.
        host: String,
        /// The file.
        path: PathBuf,
    },
    /// The key has no text form.
    #[error("the host key cannot be encoded")]
    Encoding,
}

/// Parsed files shared by all connections of a run. Cheap to clone handles are made with `Arc`.
#[derive(Debug, Default)]
pub struct KnownHostsStore {
    files: Mutex<HashMap<PathBuf, Arc<Loaded>>>,
    /// Held while appending: one writer in this process; the file lock keeps other processes out.
    writer: Mutex<()>,
}

#[derive(Debug, Default)]
struct Loaded {
    file: KnownHostsFile,
    problem: Option<String>,
}

impl KnownHostsStore {
    /// Collects what `paths` say about `name`. A missing file is empty; one that cannot be read is reported in the
    /// verdict's note. Reads each file at most once per run: call it off the async threads.
    pub fn lookup<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
        name: &HostName,
    ) -> HostRecords {
        let bare = name.without_port();
        let mut records = HostRecords {
            name: name.clone(),
            records: Vec::new(),
            without_port: Vec::new(),
            problems: Vec::new(),
        };
        for path in paths {
            let loaded = self.load(path);
            records
                .records
                .extend(loaded.file.records_for(name).cloned());
            if let Some(bare) = &bare {
                records
                    .without_port
                    .extend(loaded.file.records_for(bare).cloned());
            }
            records.problems.extend(loaded.problem.clone());
        }
        records
    }

    fn load(&self, path: &Path) -> Arc<Loaded> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = files.get(path) {
            return Arc::clone(loaded);
        }
        let loaded = Arc::new(match read_bounded(path) {
            Ok(text) => Loaded {
                file: KnownHostsFile::parse(path, &text),
                problem: None,
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Loaded::default(),
            Err(error) => Loaded {
                file: KnownHostsFile::default(),
                problem: Some(format!("{} cannot be read: {error}", path.display())),
            },
        });
        files.insert(path.to_owned(), Arc::clone(&loaded));
        loaded
    }

    /// Appends `key` for `name` to the file at `path` (made with mode 0600 if missing) and syncs it to disk. Safe
    /// against parallel writers of this and of other processes: the file is locked, read again, and a key that is
    /// already there is not written twice. Blocks; call it off the async threads.
    pub fn append(
        &self,
        path: &Path,
        name: &HostName,
        key: &PublicKey,
        hashed: bool,
    ) -> Result<(), StoreError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let io = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = open_locked(path).map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            // `UserKnownHostsFile /dev/null`: the user wants nothing recorded.
            return Ok(());
        }
        let mut text = String::new();
        let mut bytes = Vec::new();
        (&mut file)
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        text.push_str(&String::from_utf8_lossy(&bytes));

        let present: Vec<_> = KnownHostsFile::parse(path, &text)
            .records_for(name)
            .cloned()
            .collect();
        let now = HostRecords {
            name: name.clone(),
            records: present,
            without_port: vec![],
            problems: vec![],
        };
        match now.check_key(key) {
            Verdict::Known => return Ok(()),
            Verdict::Unknown { .. } => {}
            Verdict::CertAuthority | Verdict::Changed { .. } | Verdict::Revoked { .. } => {
                return Err(StoreError::Raced {
                    host: name.as_str().to_owned(),
                    path: path.to_owned(),
                });
            }
        }
        let mut line = line_for(name, key, hashed)?;
        if !text.is_empty() && !text.ends_with('\n') {
            line.insert(0, '\n');
        }
        file.seek(SeekFrom::End(0)).map_err(io)?;
        file.write_all(line.as_bytes()).map_err(io)?;
        file.sync_data().map_err(io)
    }
}

fn line_for(name: &HostName, key: &PublicKey, hashed: bool) -> Result<String, StoreError> {
    let mut key = key.clone();
    key.set_comment("");
    let key = key.to_openssh().map_err(|_| StoreError::Encoding)?;
    let name = if hashed {
        // `HashKnownHosts`: 20 random bytes, as long as the hash (hostfile.c does the same).
        let mut salt = [0_u8; 20];
        getrandom(&mut salt)?;
        format!(
            "|1|{}|{}",
            BASE64.encode(salt),
            BASE64.encode(hash_name(&salt, name.as_str()))
        )
    } else {
        name.as_str().to_owned()
    };
    Ok(format!("{name} {}\n", key.trim_end()))
}

fn getrandom(buffer: &mut [u8]) -> Result<(), StoreError> {
    let path = Path::new("/dev/urandom");
    File::open(path)
        .and_then(|mut source| source.read_exact(buffer))
        .map_err(|source| StoreError::Io {
            path: path.to_owned(),
            source,
        })
}

fn open_locked(path: &Path) -> std::io::Result<File> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("the file is larger than 64 MiB"));
    }
    // Comments may be in any encoding; names and keys are ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
