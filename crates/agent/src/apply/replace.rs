//! Replacing a file: at every moment its path names the old content or the new, whole.
//!
//! The new content goes into a temporary file in the same directory. It gets owner, mode and extended attributes
//! before it has the file's name, is validated, flushed to disk (so that after a power failure no empty file can be
//! behind the name) and renamed. That the directory's entry is on the disk is ensured once for each task, after its
//! answer was sent.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hostler_change::{Applied, Attrs, Content, Program, WriteFile};
use hostler_module_api::ModuleError;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{attrs, cannot, directory_of, replaced};
use crate::blobs::Stored;
use crate::host::{Host, open, plain, temporary_beside};
use crate::process;

/// Seconds that a validator may take.
const VALIDATE_S: u64 = 120;

/// Carries out [`WriteFile`].
pub(super) fn write_file(host: &mut Host, write: &WriteFile) -> Result<Applied, ModuleError> {
    let source = Source::open(host, &write.content)?;
    let place = Place {
        path: &write.path,
        attrs: &write.attrs,
        backup: write.backup,
        validate: write.validate.as_deref(),
        unsafe_writes: write.unsafe_writes,
    };
    let backup_file = put(host, &place, |file| source.copy_to(file, &write.path))?;
    Ok(Applied::Wrote { backup_file })
}

/// Where and how new content is put.
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) attrs: &'a Attrs,
    pub(super) backup: bool,
    pub(super) validate: Option<&'a str>,
    pub(super) unsafe_writes: bool,
}

/// Puts what `fill` writes in place. Gives the backup's path.
pub(super) fn put(
    host: &mut Host,
    place: &Place<'_>,
    fill: impl Fn(&mut File) -> Result<(), ModuleError>,
) -> Result<Option<String>, ModuleError> {
    let mut temporary = match Temporary::beside(place.path) {
        Ok(temporary) => temporary,
        Err(error) if place.unsafe_writes && may_write_in_place(&error) => {
            return in_place(host, place, fill);
        }
        Err(error) => return Err(cannot("write", place.path, error)),
    };
    fill(&mut temporary.file)?;
    finish(host, place, temporary, fill)
}

/// From a filled temporary file to the file in place.
pub(super) fn finish(
    host: &mut Host,
    place: &Place<'_>,
    mut temporary: Temporary,
    fill: impl Fn(&mut File) -> Result<(), ModuleError>,
) -> Result<Option<String>, ModuleError> {
    let path = place.path;
    let old = old_file(path)?;
    let before = host.before(old.as_ref());
    let is_untold = host.is_untold(path, before.as_ref());
    let numbers = attrs::numbers(place.attrs)?;
    let mode_if_new = 0o666 & !host.identity.umask;
    let file = &temporary.file;
    attrs::prepare(file, old.as_ref(), place.attrs, numbers, mode_if_new, path)?;
    if let Some(line) = place.validate {
        validate(host, line, &temporary.path)?;
    }
    let flushed = temporary.file.sync_all();
    flushed.map_err(|error| cannot("write", path, error))?;
    let backup = match old.as_ref().filter(|_| place.backup) {
        Some((file, meta)) => Some(back_up(path, file, meta)?),
        None => None,
    };
    let after = (!is_untold).then(|| replaced::read(&temporary.file));
    match fs::rename(&temporary.path, path) {
        Ok(()) => temporary.keep(),
        Err(error) if place.unsafe_writes && may_write_in_place(&error) => {
            drop(temporary);
            in_place_now(path, place, fill)?;
        }
        Err(error) => return Err(cannot("replace", path, error)),
    }
    if let Some(Ok((after, _))) = after {
        host.has_replaced(path, before, Some(after));
    }
    host.unsynced.insert(directory_of(path));
    Ok(backup)
}

/// Errors after which writing in place may still work: the name is a mount point, or the directory is closed to us.
fn may_write_in_place(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        number,
        Some(Errno::BUSY | Errno::XDEV | Errno::PERM | Errno::ACCESS | Errno::ROFS | Errno::TXTBSY)
    )
}

fn in_place(
    host: &mut Host,
    place: &Place<'_>,
    fill: impl Fn(&mut File) -> Result<(), ModuleError>,
) -> Result<Option<String>, ModuleError> {
    let path = place.path;
    let old = old_file(path)?;
    if place.validate.is_some() {
        let msg = format!(
            "cannot validate the content of {}: its directory cannot hold a temporary file",
            path.display()
        );
        return Err(ModuleError::new(msg));
    }
    let backup = match old.as_ref().filter(|_| place.backup) {
        Some((file, meta)) => Some(back_up(path, file, meta)?),
        None => None,
    };
    let before = host.before(old.as_ref());
    let is_untold = host.is_untold(path, before.as_ref());
    in_place_now(path, place, fill)?;
    if !is_untold && let Some(after) = host.look_before(path) {
        host.has_replaced(path, before, Some(after.sha256));
    }
    host.unsynced.insert(directory_of(path));
    Ok(backup)
}

/// Not atomic: whoever reads meanwhile sees a part. Only where it was asked for.
fn in_place_now(
    path: &Path,
    place: &Place<'_>,
    fill: impl Fn(&mut File) -> Result<(), ModuleError>,
) -> Result<(), ModuleError> {
    let opened = OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path);
    let mut file = opened.map_err(|error| cannot("write", path, error))?;
    fill(&mut file)?;
    file.sync_all()
        .map_err(|error| cannot("write", path, error))?;
    drop(file);
    if !place.attrs.is_empty() {
        attrs::set(path, place.attrs, false)?;
    }
    Ok(())
}

/// What is replaced: a regular file, opened (through the same handle its attributes are copied and its backup is
/// made); nothing; or a symbolic link, of which nothing is kept.
fn old_file(path: &Path) -> Result<Option<(File, Metadata)>, ModuleError> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("write", path, error)),
    };
    let kind = meta.file_type();
    if kind.is_symlink() {
        return Ok(None);
    }
    if kind.is_dir() {
        return Err(cannot("write", path, Errno::ISDIR));
    }
    if !kind.is_file() {
        let msg = format!(
            "cannot write {}: it is a device, socket or pipe",
            path.display()
        );
        return Err(ModuleError::new(msg));
    }
    open_old(path).map_err(|error| cannot("read", path, error))
}

/// Opens a file and looks at it through the same handle. A file that may be replaced but not read (an ordinary user in an
/// own directory) has nothing to be copied.
pub(super) fn open_old(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    Ok(meta.is_file().then_some((file, meta)))
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// A file that is removed again unless it was put in place.
pub(super) struct Temporary {
    pub(super) path: PathBuf,
    pub(super) file: File,
    armed: bool,
}

impl Temporary {
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        let path = temporary_beside(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(flags(OFlags::NOFOLLOW))
            .open(&path)?;
        Ok(Temporary {
            path,
            file,
            armed: true,
        })
    }

    pub(super) fn keep(&mut self) {
        self.armed = false;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.armed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Copies the old file, with its attributes, to `PATH.PID.YYYY-MM-DD@HH:MM:SS~`, as ansible-core names backups.
fn back_up(path: &Path, old: &File, meta: &Metadata) -> Result<String, ModuleError> {
    let seconds = crate::hello::clock_us().div_euclid(1_000_000);
    let zone = fs::read("/etc/localtime").unwrap_or_default();
    let time = hostler_modules::local_time(&zone, seconds);
    let stamp = time.format("@");
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{stamp}~", std::process::id()));
    let name = PathBuf::from(name);
    let fail = |error: io::Error| cannot("back up", path, error);
    let mut copy = Temporary::beside(&name).map_err(fail)?;
    let mut reader = old.try_clone().map_err(fail)?;
    io::Seek::rewind(&mut reader).map_err(fail)?;
    io::copy(&mut reader, &mut copy.file).map_err(fail)?;
    let as_before = Attrs {
        mode: Some(meta.mode() & 0o7777),
        ..Attrs::default()
    };
    let before = (old.try_clone().map_err(fail)?, meta.clone());
    let numbers = attrs::Numbers::default();
    attrs::prepare(&copy.file, Some(&before), &as_before, numbers, 0o600, &name)?;
    if let Ok(modified) = meta.modified() {
        let _ = copy.file.set_modified(modified);
    }
    copy.file.sync_all().map_err(fail)?;
    fs::rename(&copy.path, &name).map_err(fail)?;
    copy.keep();
    Ok(name.display().to_string())
}

fn validate(host: &Host, line: &str, temporary: &Path) -> Result<(), ModuleError> {
    if !line.contains("%s") {
        return Err(ModuleError::new(format!(
            "validate must contain %s: {line}"
        )));
    }
    let words = hostler_modules::split_words(line)
        .map_err(|error| ModuleError::new(format!("validate cannot be read: {error}: {line}")))?;
    let file = temporary.display().to_string();
    let mut program = Program::new(words.iter().map(|word| word.replace("%s", &file)));
    program.timeout_s = Some(VALIDATE_S);
    let output = process::run(&program, &host.identity.env, &host.task).map_err(|error| {
        ModuleError::new(format!(
            "failed to validate: cannot run `{line}`: {}",
            plain(error)
        ))
    })?;
    if output.success() {
        return Ok(());
    }
    let failure = ModuleError::new("failed to validate")
        .field("exit_status", output.rc)
        .field("stdout", output.stdout_text())
        .field("stderr", output.stderr_text());
    Err(if output.timed_out {
        failure.hint(format!("the validator did not end within {VALIDATE_S} s"))
    } else {
        failure
    })
}

/// Content that can be read more than once.
enum Source<'a> {
    Bytes(&'a [u8]),
    Stored(Stored),
    HostFile(&'a Path),
}

impl<'a> Source<'a> {
    fn open(host: &Host, content: &'a Content) -> Result<Self, ModuleError> {
        Ok(match content {
            Content::Bytes(bytes) => Source::Bytes(bytes),
            Content::HostFile(path) => Source::HostFile(path),
            Content::Blob { sha256, size } => {
                let stored = host.shared.blobs.get(*sha256, *size, &host.task);
                Source::Stored(stored.map_err(|reason| {
                    ModuleError::new(format!("content from the controller is missing: {reason}"))
                })?)
            }
        })
    }

    fn copy_to(&self, file: &mut File, path: &Path) -> Result<(), ModuleError> {
        let fail = |error: io::Error| cannot("write", path, error);
        match self {
            Source::Bytes(bytes) => file.write_all(bytes).map_err(fail),
            Source::HostFile(from) => {
                let mut from_file = open(from).map_err(|error| cannot("read", from, error))?;
                io::copy(&mut from_file, file).map(drop).map_err(fail)
            }
            Source::Stored(stored) => {
                let mut reader = StoredReader { stored, at: 0 };
                io::copy(&mut reader, file).map(drop).map_err(fail)
            }
        }
    }
}

struct StoredReader<'a> {
    stored: &'a Stored,
    at: u64,
}

impl Read for StoredReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stored.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
