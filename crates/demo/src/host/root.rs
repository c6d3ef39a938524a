//! A host's private root: an overlay over the shared tree (or a copy of it), programs read-only, its own /proc, /dev.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};

use super::HostArgs;
use crate::base::PROGRAMS;
use crate::tree;

type Outcome<T = ()> = Result<T, String>;

/// Makes the root and moves this process into it. True: it is an overlay; false: a copy.
pub(super) fn make(host: &HostArgs) -> Outcome<bool> {
    rustix::system::sethostname(host.name.as_bytes())
        .map_err(|error| format!("cannot set the host's name: {error}"))?;
    mount_change(
        "/",
        MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
    )
    .map_err(|error| format!("cannot make the mounts private: {error}"))?;
    let root = host.directory.join("root");
    let overlay = overlay(host, &root).is_ok();
    if !overlay {
        copy(host, &root)?;
    }
    for name in std::iter::once(&"usr").chain(PROGRAMS) {
        let from = Path::new("/").join(name);
        let to = root.join(name);
        if from.is_dir() && !from.is_symlink() {
            bind_read_only(&from, &to)?;
        }
    }
    scratch(&root.join("usr/local"), "mode=755,size=64m").or_else(|error| {
        if root.join("usr/local").is_dir() {
            Err(error)
        } else {
            Ok(())
        }
    })?;
    for name in ["bin", "etc", "lib", "sbin", "share", "src"] {
        // Without /usr/local there is nothing to fill.
        let _ = fs::create_dir(root.join("usr/local").join(name));
    }
    scratch(&root.join("run"), "mode=755,size=64m")?;
    devices(&root.join("dev"))?;
    process_files(&root.join("proc"))?;
    // A host without /sys is still a host; but never a writable one of the machine's.
    if bind_read_only(Path::new("/sys"), &root.join("sys")).is_err() {
        let _ = unmount(root.join("sys"), UnmountFlags::DETACH);
    }
    enter(&root)?;
    Ok(overlay)
}

fn overlay(host: &HostArgs, root: &Path) -> Outcome {
    let upper = host.directory.join("up");
    let work = host.directory.join("work");
    let options = [
        b"userxattr,lowerdir=",
        host.base.as_os_str().as_bytes(),
        b",upperdir=",
        upper.as_os_str().as_bytes(),
        b",workdir=",
        work.as_os_str().as_bytes(),
    ]
    .concat();
    let options = CString::new(options).map_err(|error| error.to_string())?;
    mount(
        "overlay",
        root,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .map_err(|error| error.to_string())
}

/// Where the kernel has no overlay for us: a copy of the shared tree and what is the host's own.
fn copy(host: &HostArgs, root: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("cannot copy the root: {error}");
    tree::copy_own(&host.base, root).map_err(failed)?;
    tree::copy_own(&host.directory.join("up"), root).map_err(failed)?;
    mount_bind(root, root).map_err(|error| format!("cannot make the copy a mount: {error}"))
}

fn scratch(at: &Path, options: &str) -> Outcome {
    let options = CString::new(options).map_err(|error| error.to_string())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", at, "tmpfs", flags, options.as_c_str())
        .map_err(|error| format!("no tmpfs at {}: {error}", at.display()))
}

fn devices(dev: &Path) -> Outcome {
    scratch(dev, "mode=755,size=1m")?;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("cannot make /dev/{what}: {error}")
    };
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let at = dev.join(name);
        fs::write(&at, "").map_err(failed(name))?;
        mount_bind(Path::new("/dev").join(name), &at)
            .map_err(|error| failed(name)(error.into()))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).map_err(failed(name))?;
    }
    for name in ["shm", "pts"] {
        fs::create_dir(dev.join(name)).map_err(failed(name))?;
    }
    scratch(&dev.join("shm"), "mode=1777,size=16m")?;
    // Terminals are a comfort: a kernel that gives none takes nothing away from the demo.
    let _ = mount(
        "devpts",
        dev.join("pts"),
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        c"newinstance,ptmxmode=0666,mode=620",
    );
    Ok(())
}

/// The host's own /proc (the machine's, where the kernel insists), with the machine's settings read-only.
fn process_files(proc: &Path) -> Outcome {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if mount("proc", proc, "proc", flags, None).is_err() {
        return bind_read_only(Path::new("/proc"), proc);
    }
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs"] {
        let at = proc.join(name);
        if at.exists() {
            bind_read_only(&at, &at)?;
        }
    }
    Ok(())
}

/// Shows `from`, and what is mounted below it, at `to`, read-only.
fn bind_read_only(from: &Path, to: &Path) -> Outcome {
    mount_bind_recursive(from, to)
        .map_err(|error| format!("cannot show {} to the host: {error}", from.display()))?;
    let table = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| format!("cannot read the mounts: {error}"))?;
    for (at, flags) in table.lines().filter_map(mount_line) {
        if at.starts_with(to) {
            mount_remount(&at, MountFlags::BIND | MountFlags::RDONLY | flags, c"")
                .map_err(|error| format!("cannot make {} read-only: {error}", at.display()))?;
        }
    }
    Ok(())
}

/// Mount point and flags of a line of `/proc/self/mountinfo` (proc(5)). The flags must be repeated in a remount: a
/// mount from outside a user namespace keeps its restrictions.
fn mount_line(line: &str) -> Option<(PathBuf, MountFlags)> {
    let mut fields = line.split(' ').skip(4);
    let at = unescape(fields.next()?);
    let mut flags = MountFlags::empty();
    for option in fields.next()?.split(',') {
        flags |= match option {
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "noatime" => MountFlags::NOATIME,
            "nodiratime" => MountFlags::NODIRATIME,
            "relatime" => MountFlags::RELATIME,
            _ => MountFlags::empty(),
        };
    }
    Some((at, flags))
}

/// Blanks and backslashes stand there as `\040` and the like.
fn unescape(field: &str) -> PathBuf {
    let mut out = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            out.push(byte);
            rest = &after[3..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    PathBuf::from(std::ffi::OsString::from(
        String::from_utf8_lossy(&out).into_owned(),
    ))
}

fn enter(root: &Path) -> Outcome {
    let failed = |error: rustix::io::Errno| format!("cannot enter the root: {error}");
    rustix::process::chdir(root).map_err(failed)?;
    // The old root ends up on top of the new one and is taken off: pivot_root(2).
    rustix::process::pivot_root(".", ".").map_err(failed)?;
    unmount(".", UnmountFlags::DETACH).map_err(failed)?;
    rustix::process::chdir("/").map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mountinfo() {
        let line = r"36 35 98:0 /mnt1 /a\040b/c rw,noatime,nosuid master:1 - ext3 /dev/root rw";
        let (at, flags) = mount_line(line).unwrap();
        assert_eq!(at, Path::new("/a b/c"));
        assert_eq!(flags, MountFlags::NOATIME | MountFlags::NOSUID);
    }
}
