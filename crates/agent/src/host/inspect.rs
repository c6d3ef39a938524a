//! Looking.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hostler_change::{CommandOutput, Content, FileKind, Program};
use hostler_module_api::{
    Account, FileStat, Follow, FsSpace, Group, Hasher, Identity, Inspect, InspectError, Receive,
    receive,
};
use rustix::fs::{Access, AtFlags, CWD, OFlags, accessat};

use super::{Host, accounts, resolve};
use crate::process;

impl Inspect for Host {
    fn stat(&self, path: &Path, follow: Follow) -> Result<Option<FileStat>, InspectError> {
        let meta = match follow {
            Follow::Yes => fs::metadata(path),
            Follow::No => fs::symlink_metadata(path),
        };
        match meta {
            Ok(meta) => Ok(Some(file_stat(&meta))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(source) => Err(failed("stat", path, source)),
        }
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, InspectError> {
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(source) => return Err(failed("read", path, source)),
        };
        let mut bytes = Vec::new();
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source| failed("read", path, source))?;
        if bytes.len() as u64 > limit {
            let path = path.to_owned();
            return Err(InspectError::TooLarge { path, limit });
        }
        Ok(Some(bytes))
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, InspectError> {
        match fs::read_link(path) {
            Ok(target) => Ok(Some(target)),
            Err(error) if is_absent(&error) || error.kind() == ErrorKind::InvalidInput => Ok(None),
            Err(source) => Err(failed("read link", path, source)),
        }
    }

    fn list_dir(&self, path: &Path) -> Result<Option<Vec<PathBuf>>, InspectError> {
        let listed = fs::read_dir(path).and_then(|entries| {
            let names = entries.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
            names.collect::<io::Result<Vec<PathBuf>>>()
        });
        match listed {
            Ok(mut names) => {
                hostler_value::order::sort(&mut names);
                Ok(Some(names))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(source) => Err(failed("list", path, source)),
        }
    }

    fn checksum(&self, path: &Path, algorithm: &str) -> Result<Option<String>, InspectError> {
        let mut file = match open(path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(source) => return Err(failed("read", path, source)),
        };
        let Some(mut hasher) = Hasher::new(algorithm) else {
            let source =
                io::Error::new(ErrorKind::InvalidInput, format!("unknown hash {algorithm}"));
            return Err(failed("hash", path, source));
        };
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(hasher.hex())),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(failed("read", path, source)),
            }
            if self.task.is_cancelled() {
                return Err(failed("read", path, cancelled()));
            }
        }
    }

    fn space(&self, path: &Path) -> Result<Option<FsSpace>, InspectError> {
        match rustix::fs::statvfs(path) {
            Ok(space) => Ok(Some(FsSpace {
                block_size: space.f_bsize,
                fragment_size: space.f_frsize,
                blocks: space.f_blocks,
                blocks_free: space.f_bfree,
                blocks_available: space.f_bavail,
                inodes: space.f_files,
                inodes_available: space.f_favail,
            })),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(failed("statvfs", path, errno.into())),
        }
    }

    fn access(&self, path: &Path, mode: u32) -> bool {
        let mut wanted = Access::EXISTS;
        wanted.set(Access::READ_OK, mode & 4 != 0);
        wanted.set(Access::WRITE_OK, mode & 2 != 0);
        wanted.set(Access::EXEC_OK, mode & 1 != 0);
        accessat(CWD, path, wanted, AtFlags::EACCESS)
            .or_else(|_| accessat(CWD, path, wanted, AtFlags::empty()))
            .is_ok()
    }

    fn look(&self, program: &Program) -> Result<CommandOutput, InspectError> {
        // What is parsed must not depend on the host's language.
        let mut env = self.identity.env.clone();
        env.retain(|(key, _)| !key.starts_with("LC_") && key != "LANG" && key != "LANGUAGE");
        for key in ["LANG", "LC_ALL"] {
            env.push((key.into(), "C.UTF-8".into()));
        }
        process::run(program, &env, &self.task).map_err(|source| InspectError::Spawn {
            program: program.argv.first().cloned().unwrap_or_default(),
            source,
        })
    }

    fn content(&self, content: &Content, limit: u64) -> Result<Vec<u8>, InspectError> {
        let too_large = || InspectError::TooLarge {
            path: "content from the controller".into(),
            limit,
        };
        match content {
            Content::Bytes(bytes) if bytes.len() as u64 > limit => Err(too_large()),
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Blob { size, .. } if *size > limit => Err(too_large()),
            Content::Blob { sha256, size } => {
                let stored = self.shared.blobs.get(*sha256, *size, &self.task);
                let stored = stored.map_err(InspectError::Blob)?;
                let mut bytes = Vec::new();
                let mut buffer = vec![0; 64 << 10];
                loop {
                    let read = stored.read_at(&mut buffer, bytes.len() as u64);
                    match read.map_err(|error| InspectError::Blob(error.to_string()))? {
                        0 => return Ok(bytes),
                        count => bytes.extend_from_slice(&buffer[..count]),
                    }
                }
            }
            Content::HostFile(path) => self
                .read(path, limit)?
                .ok_or_else(|| failed("read", path, ErrorKind::NotFound.into())),
        }
    }

    fn payload(&self) -> Option<&Content> {
        self.payload.as_ref()
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn accounts(&self) -> Result<Vec<Account>, InspectError> {
        Ok(accounts::accounts())
    }

    fn groups(&self) -> Result<Vec<Group>, InspectError> {
        Ok(accounts::groups())
    }

    fn account(&self, name_or_uid: &str) -> Result<Option<Account>, InspectError> {
        Ok(accounts::account(name_or_uid))
    }

    fn group(&self, name_or_gid: &str) -> Result<Option<Group>, InspectError> {
        Ok(accounts::group(name_or_gid))
    }

    fn can_connect(&self, host: &str, port: u16, timeout: Duration) -> bool {
        resolve::connect(host, port, timeout).is_ok()
    }

    fn receive(
        &self,
        host: &str,
        port: u16,
        bounds: Receive,
        enough: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, InspectError> {
        let Ok(stream) = resolve::connect(host, port, bounds.connect_timeout) else {
            return Ok(None);
        };
        let stop = |got: &[u8]| self.task.is_cancelled() || enough(got);
        Ok(Some(receive(stream, bounds, &stop)))
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) -> Result<(), InspectError> {
        if self.task.sleep(time) {
            Ok(())
        } else {
            Err(failed("wait for", Path::new("the time"), cancelled()))
        }
    }
}

/// Opens for reading without ever waiting: opening a pipe that nobody writes to would.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from_raw_os_error(
            rustix::io::Errno::ISDIR.raw_os_error(),
        ));
    }
    Ok(file)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> InspectError {
    InspectError::Io {
        what,
        path: path.to_owned(),
        source: plain(source),
    }
}

/// The error in the system's words, without the number behind them.
pub(crate) fn plain(error: io::Error) -> io::Error {
    let text = error.to_string();
    match (error.raw_os_error(), text.find(" (os error ")) {
        (Some(_), Some(end)) => io::Error::new(error.kind(), text[..end].to_owned()),
        _ => error,
    }
}

fn cancelled() -> io::Error {
    io::Error::new(ErrorKind::Interrupted, crate::task::CANCELLED)
}

/// What `stat(2)` says, in the contract's form.
pub(crate) fn file_stat(meta: &fs::Metadata) -> FileStat {
    let kind = meta.file_type();
    let ns = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    FileStat {
        kind: if kind.is_file() {
            FileKind::File
        } else if kind.is_dir() {
            FileKind::Dir
        } else if kind.is_symlink() {
            FileKind::Link
        } else {
            debug_assert!(
                kind.is_fifo()
                    || kind.is_socket()
                    || kind.is_char_device()
                    || kind.is_block_device()
            );
            FileKind::Other
        },
        st_mode: meta.mode(),
        uid: meta.uid(),
        gid: meta.gid(),
        size: meta.size(),
        dev: meta.dev(),
        ino: meta.ino(),
        nlink: meta.nlink(),
        rdev: meta.rdev(),
        blocks: meta.blocks(),
        block_size: meta.blksize(),
        atime_ns: ns(meta.atime(), meta.atime_nsec()),
        mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
        ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
    }
}

/// A name that no other task or process uses, beside a path.
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(format!(".hostler-{}-{number}-", std::process::id()));
    // The name's end stays: validators look at suffixes. It is bounded, since the whole may not exceed 255 bytes.
    let old = path.file_name().unwrap_or_default().to_string_lossy();
    let keep = old
        .char_indices()
        .rev()
        .map(|(at, _)| at)
        .take_while(|at| old.len() - at <= 64);
    name.push(&old[keep.last().unwrap_or(old.len())..]);
    path.with_file_name(name)
}
