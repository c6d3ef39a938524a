//! Owner, group, mode and extended attributes.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hostler_change::{Applied, Attrs, Owner};
use hostler_module_api::ModuleError;
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags, chmodat, chownat, fchmod, fchown, fgetxattr,
    flistxattr, fsetxattr, openat,
};
use rustix::io::Errno;

use super::cannot;
use crate::host::accounts;

/// Extended attributes that belong to the old content: a signature over it.
const OF_CONTENT: &[&[u8]] = &[b"security.ima", b"security.evm"];
/// Largest list of names and largest value, as the kernel has them.
const XATTR_MAX: usize = 64 << 10;

/// Numbers for who is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// Looks up names now: an earlier edit may have made the user.
pub(super) fn numbers(attrs: &Attrs) -> Result<Numbers, ModuleError> {
    let uid = attrs.owner.as_ref().map(|owner| match owner {
        Owner::Id(id) => Ok(*id),
        Owner::Name(name) => accounts::account(name)
            .filter(|it| it.name == *name)
            .map(|it| it.uid)
            .ok_or_else(|| {
                ModuleError::new(format!("chown failed: failed to look up user {name}"))
            }),
    });
    let gid = attrs.group.as_ref().map(|group| match group {
        Owner::Id(id) => Ok(*id),
        Owner::Name(name) => accounts::group(name)
            .filter(|it| it.name == *name)
            .map(|it| it.gid)
            .ok_or_else(|| {
                ModuleError::new(format!("chgrp failed: failed to look up group {name}"))
            }),
    });
    Ok(Numbers {
        uid: uid.transpose()?,
        gid: gid.transpose()?,
    })
}

/// Sets attributes of what is at a path.
pub(super) fn set(path: &Path, attrs: &Attrs, follow: bool) -> Result<Applied, ModuleError> {
    let numbers = numbers(attrs)?;
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, !follow);
    let handle = openat(CWD, path, flags, Mode::empty());
    let handle = handle.map_err(|error| cannot("set attributes of", path, error))?;
    set_handle(&handle, numbers, attrs.mode, path)?;
    Ok(Applied::Done)
}

/// Through a handle, so that nothing can be swapped in between the steps.
pub(super) fn set_handle(
    handle: &OwnedFd,
    numbers: Numbers,
    mode: Option<u32>,
    path: &Path,
) -> Result<(), ModuleError> {
    let (uid, gid) = (
        numbers.uid.map(Uid::from_raw),
        numbers.gid.map(Gid::from_raw),
    );
    if uid.is_some() || gid.is_some() {
        let done = chownat(handle, "", uid, gid, AtFlags::EMPTY_PATH);
        done.map_err(|error| cannot("change the owner of", path, error))?;
    }
    let kind = rustix::fs::fstat(handle).map_err(|error| cannot("stat", path, error))?;
    let is_link = rustix::fs::FileType::from_raw_mode(kind.st_mode).is_symlink();
    if let Some(mode) = mode.filter(|_| !is_link) {
        // fchmod(2) refuses such handles; their entry under /proc stands for the file itself.
        let name = format!("/proc/self/fd/{}", handle.as_raw_fd());
        let done = chmodat(CWD, &name, Mode::from_raw_mode(mode), AtFlags::empty());
        done.map_err(|error| cannot("change the mode of", path, error))?;
    }
    Ok(())
}

/// Gives a new file what was asked for, and of the rest what the file that it replaces has.
pub(super) fn prepare(
    new: &File,
    old: Option<&(File, Metadata)>,
    attrs: &Attrs,
    numbers: Numbers,
    mode_if_new: u32,
    path: &Path,
) -> Result<(), ModuleError> {
    let meta = new
        .metadata()
        .map_err(|error| cannot("stat", path, error))?;
    let before = old.map(|(_, meta)| meta);
    let differs = |wanted: Option<u32>, now: u32| wanted.filter(|id| *id != now);
    // What was asked for must work; what only stays as it was may be beyond an ordinary user.
    if let Some(before) = before {
        let uid = differs(Some(before.uid()), meta.uid()).filter(|_| numbers.uid.is_none());
        let gid = differs(Some(before.gid()), meta.gid()).filter(|_| numbers.gid.is_none());
        keep_owner(new, uid, gid).map_err(|error| cannot("keep the owner of", path, error))?;
    }
    let (uid, gid) = (
        numbers.uid.map(Uid::from_raw),
        numbers.gid.map(Gid::from_raw),
    );
    if uid.is_some() || gid.is_some() {
        fchown(new, uid, gid).map_err(|error| cannot("change the owner of", path, error))?;
    }
    if let Some((old, _)) = old {
        copy_xattrs(old, new)
            .map_err(|error| cannot("keep extended attributes of", path, error))?;
    }
    let kept = before.map_or(mode_if_new, |meta| meta.mode() & 0o7777);
    let mode = Mode::from_raw_mode(attrs.mode.unwrap_or(kept));
    fchmod(new, mode).map_err(|error| cannot("change the mode of", path, error))
}

fn keep_owner(new: &File, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    for (uid, gid) in [(uid, None), (None, gid)] {
        if uid.is_none() && gid.is_none() {
            continue;
        }
        match fchown(new, uid.map(Uid::from_raw), gid.map(Gid::from_raw)) {
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Copies labels, access lists, capabilities and user attributes.
fn copy_xattrs(old: &File, new: &File) -> io::Result<()> {
    let mut names = vec![0; XATTR_MAX];
    let len = match flistxattr(old.as_fd(), &mut names[..]) {
        Ok(len) => len,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0; if len == 0 { 0 } else { XATTR_MAX }];
    for name in names[..len].split(|byte| *byte == 0) {
        if name.is_empty() || OF_CONTENT.contains(&name) {
            continue;
        }
        let len = match fgetxattr(old.as_fd(), name, &mut value[..]) {
            Ok(len) => len,
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => continue,
            Err(error) => return Err(error.into()),
        };
        match fsetxattr(new.as_fd(), name, &value[..len], XattrFlags::empty()) {
            // An ordinary user may not set all of them, and not every file system has all.
            Ok(()) | Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
