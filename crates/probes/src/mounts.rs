//! Mounted file systems.

use std::collections::BTreeSet;
use std::path::Path;

use hostler_change::Program;
use hostler_module_api::{FsSpace, Inspect};

use crate::{names, text};

/// A mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Device, or what stands for one.
    pub device: String,
    /// Where.
    pub path: String,
    /// Type.
    pub fstype: String,
    /// Options, with commas.
    pub options: String,
    /// Fifth field of `fstab(5)`.
    pub dump: i64,
    /// Sixth field.
    pub passno: i64,
}

/// Reads `/proc/mounts`; spaces in names are written `\040` there.
pub fn parse_mounts(text: &str) -> Vec<Mount> {
    let line = |line: &str| {
        let fields: Vec<String> = line.split(' ').map(unescape).collect();
        let number = |index: usize| {
            fields
                .get(index)
                .and_then(|it| it.parse().ok())
                .unwrap_or(0)
        };
        let (dump, passno) = (number(4), number(5));
        let mut fields = fields.into_iter();
        let mut next = || fields.next().filter(|it| !it.is_empty());
        Some(Mount {
            device: next()?,
            path: next()?,
            fstype: next()?,
            options: next()?,
            dump,
            passno,
        })
    };
    text.lines().filter_map(line).collect()
}

/// Where only a part of a file system is mounted (bind mounts, subvolumes): field 4 of `/proc/self/mountinfo`.
pub fn parse_bind_mounts(mountinfo: &str) -> BTreeSet<String> {
    let line = |line: &str| {
        let mut fields = line.split(' ').skip(3);
        let (root, path) = (fields.next()?, fields.next()?);
        (root != "/").then(|| unescape(path))
    };
    mountinfo.lines().filter_map(line).collect()
}

/// Undoes `\ooo`.
fn unescape(field: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = field.as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        let code = rest
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|it| std::str::from_utf8(it).ok());
        if let Some(byte) = code.and_then(|it| u8::from_str_radix(it, 8).ok()) {
            out.push(byte);
            bytes = &rest[3..];
        } else {
            out.push(first);
            bytes = rest;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Mounts of devices and of network file systems, with `bind` among the options of bind mounts, as Ansible shows them.
pub fn mounts(host: &dyn Inspect) -> Vec<Mount> {
    let binds = parse_bind_mounts(&text(host, "/proc/self/mountinfo").unwrap_or_default());
    let mut mounts = parse_mounts(&text(host, "/proc/mounts").unwrap_or_default());
    mounts.retain(|it| {
        (it.device.starts_with('/') || it.device.contains(":/")) && it.fstype != "none"
    });
    for mount in mounts.iter_mut().filter(|it| binds.contains(&it.path)) {
        mount.options.push_str(",bind");
    }
    mounts
}

impl Mount {
    /// May asking about it hang, since another machine must answer?
    pub fn is_remote(&self) -> bool {
        let kinds = [
            "nfs",
            "cifs",
            "smb",
            "ceph",
            "glusterfs",
            "9p",
            "afs",
            "fuse.sshfs",
            "lustre",
            "beegfs",
        ];
        self.device.contains(":/")
            || self.device.starts_with("//")
            || kinds.iter().any(|it| self.fstype.starts_with(it))
    }

    /// Its space. A remote one is asked by a program that can be ended.
    pub fn space(&self, host: &dyn Inspect, timeout_s: u64) -> Option<FsSpace> {
        if !self.is_remote()
            && let Ok(Some(space)) = host.space(Path::new(&self.path))
        {
            return Some(space);
        }
        let mut program = Program::new(["stat", "-f", "-c", "%s %S %b %f %a %c %d", &self.path]);
        program.timeout_s = Some(timeout_s);
        let output = host
            .look(&program)
            .ok()
            .filter(hostler_change::CommandOutput::success)?;
        parse_space(&output.stdout_text())
    }
}

/// Reads `stat -f -c '%s %S %b %f %a %c %d'`.
fn parse_space(text: &str) -> Option<FsSpace> {
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    Some(FsSpace {
        block_size: next()?,
        fragment_size: next()?,
        blocks: next()?,
        blocks_free: next()?,
        blocks_available: next()?,
        inodes: next()?,
        inodes_available: next()?,
    })
}

/// The links of `/dev/disk/by-uuid` (or `by-id`, `by-label`): device name and link name.
pub fn disk_links(host: &dyn Inspect, kind: &str) -> Vec<(String, String)> {
    let dir = format!("/dev/disk/{kind}");
    let link = |name: String| {
        let target = host
            .read_link(Path::new(&dir).join(&name).as_path())
            .ok()??;
        Some((target.file_name()?.to_string_lossy().into_owned(), name))
    };
    names(host, &dir).into_iter().filter_map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn reads_and_unescapes() {
        let host = FakeHost::bare()
            .file("/proc/mounts", "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw,relatime 0 1\n/dev/sda1 /srv/a\\040b ext4 rw 0 0\nnas:/x /mnt nfs4 rw 0 0\nbroken\n")
            .file("/proc/self/mountinfo", "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 1 8:1 /data /srv/a\\040b rw - ext4 /dev/sda1 rw\n")
            .answers("stat -f -c '%s %S %b %f %a %c %d' /mnt", 0, "4096 512 100 45 40 7 3\n");
        let found = mounts(&host);
        let paths: Vec<_> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["/", "/srv/a b", "/mnt"]);
        assert_eq!(found[1].options, "rw,bind");
        assert_eq!(found[0].passno, 1);
        assert!(found[2].is_remote() && !found[0].is_remote());
        assert_eq!(found[2].space(&host, 10).unwrap().fragment_size, 512);
        assert!(found[0].space(&host, 10).is_none());
    }
}
