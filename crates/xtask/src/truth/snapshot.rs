//! Everything in a host's file system, and how two such looks differ.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::fleet::{Fleet, Host};
use crate::process::{Context, Result};

/// Trees that are not looked at, and why. A `*` stands for the rest of one part of a path.
const LEFT_OUT: [(&str, &str); 25] = [
    ("proc", "the kernel's, not files"),
    ("sys", "the kernel's, not files"),
    ("dev", "made anew at each start; terminals of logins"),
    ("run", "made anew at each start; sessions of logins"),
    ("ballast", "what fills a full disk"),
    (
        "tmp/systemd-private-*",
        "made and removed by systemd with its services",
    ),
    (
        "var/tmp/systemd-private-*",
        "made and removed by systemd with its services",
    ),
    (
        "root/.cache/hostler",
        "the agent, which a login leaves for the next one",
    ),
    (
        "home/*/.cache/hostler",
        "the agent, which a login leaves for the next one",
    ),
    ("var/tmp/.hostler-*", "the agent, where there is no home"),
    ("tmp/.hostler-*", "the agent, where there is no home"),
    (
        "var/tmp/hostler-*",
        "the result store and lock of a user who is not root",
    ),
    ("root/.ansible", "ansible-core's modules"),
    ("home/*/.ansible", "ansible-core's modules"),
    ("var/log/wtmp", "a line for each login"),
    ("var/log/btmp", "a line for each failed login"),
    ("var/log/lastlog", "the time of each user's last login"),
    ("var/log/faillog", "counts of failed logins"),
    ("var/log/journal", "what every service says while it runs"),
    ("var/log/auth.log", "a line for each login"),
    ("var/lib/sudo", "who has seen sudo's lecture"),
    (
        "var/lib/systemd/random-seed",
        "written by systemd at each start",
    ),
    ("var/lib/systemd/timers", "times at which timers went off"),
    ("etc/.pwd.lock", "an empty file that locks accounts"),
    (
        "etc/apt/apt.conf.d/00fleet-proxy",
        "the way to the mirror, made by this tool",
    ),
];

/// Directories that are looked into but not at: they are made for a cache that is left out.
const WAYS: [&str; 2] = ["root/.cache", "home/*/.cache"];

/// One thing in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// `f`ile, `d`irectory, `l`ink, `p`ipe, `s`ocket, `b`lock or `c`haracter device.
    pub(super) kind: char,
    /// Permission bits, the lowest twelve.
    pub(super) mode: u32,
    /// Numeric owner and group.
    pub(super) owner: (u32, u32),
    /// Bytes in a file; 0 for all others.
    pub(super) size: u64,
    /// What is in it: a hash of a file's bytes, a link's target, a device's number.
    pub(super) content: Content,
    /// When a file was last written, in nanoseconds since the epoch; 0 for all others.
    pub(super) modified: i128,
}

/// What is in a file or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A directory, pipe or socket.
    None,
    /// The host never wrote to this file: it is the base's.
    Base,
    /// A hash of the bytes, good enough to see a change that nobody tries to hide.
    Hash(u64),
    /// Where a link points.
    Target(PathBuf),
    /// A device.
    Device(u64),
}

/// A whole file system: by path (`/etc/motd`).
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    nodes: BTreeMap<String, Node>,
}

/// How a path differs between two looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    /// The path.
    pub(super) path: String,
    /// What was there.
    pub(super) before: Option<Node>,
    /// What is there.
    pub(super) after: Option<Node>,
}

impl Moved {
    /// Whether the file was only written again with what it held.
    pub(super) fn only_time(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                let same_time = Node {
                    modified: after.modified,
                    ..before.clone()
                };
                same_time == *after
            }
            _ => false,
        }
    }

    /// The difference in a few words.
    pub(super) fn words(&self) -> String {
        match (&self.before, &self.after) {
            (None, _) => "made".to_owned(),
            (_, None) => "removed".to_owned(),
            (Some(before), Some(after)) => {
                let mut words = Vec::new();
                if before.kind != after.kind {
                    words.push(format!("kind {} -> {}", before.kind, after.kind));
                }
                if before.mode != after.mode {
                    words.push(format!("mode {:04o} -> {:04o}", before.mode, after.mode));
                }
                if before.owner != after.owner {
                    words.push(format!("owner {:?} -> {:?}", before.owner, after.owner));
                }
                if before.content != after.content {
                    words.push(format!("content, {} -> {} bytes", before.size, after.size));
                }
                if words.is_empty() {
                    words.push("written again".to_owned());
                }
                words.join(", ")
            }
        }
    }
}

impl Snapshot {
    /// Looks at every path of `host`. What the host never wrote is not read: it is the base's, which nobody can change.
    pub(super) fn of(fleet: &Fleet, host: &Host) -> Result<Self> {
        let walk = Walk {
            root: host.root()?,
            base: fleet.base(),
            upper: (!host.disk_is_full()).then(|| host.upper()),
        };
        let mut nodes = BTreeMap::new();
        walk.directory("", &mut nodes)
            .context(format!("look at the files of {}", host.name))?;
        Ok(Self { nodes })
    }

    /// Every path that differs in `later`, in order.
    pub(super) fn moved(&self, later: &Self) -> Vec<Moved> {
        let mut moved = Vec::new();
        for (path, before) in &self.nodes {
            let after = later.nodes.get(path);
            if after != Some(before) {
                moved.push(Moved {
                    path: path.clone(),
                    before: Some(before.clone()),
                    after: after.cloned(),
                });
            }
        }
        for (path, after) in &later.nodes {
            if !self.nodes.contains_key(path) {
                moved.push(Moved {
                    path: path.clone(),
                    before: None,
                    after: Some(after.clone()),
                });
            }
        }
        moved.sort_by(|left, right| left.path.cmp(&right.path));
        moved
    }
}

/// One walk through a host.
struct Walk {
    root: PathBuf,
    base: PathBuf,
    /// What the host wrote, where that can be seen from outside.
    upper: Option<PathBuf>,
}

impl Walk {
    fn directory(&self, relative: &str, into: &mut BTreeMap<String, Node>) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join(relative))? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let path = if relative.is_empty() {
                name.into_owned()
            } else {
                format!("{relative}/{name}")
            };
            if left_out(&path) {
                continue;
            }
            let metadata = match fs::symlink_metadata(self.root.join(&path)) {
                // A service may remove its files while this looks.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let node = self.node(&path, &metadata)?;
            let is_directory = node.kind == 'd';
            if !WAYS.iter().any(|way| matches(way, &path, false)) {
                into.insert(format!("/{path}"), node);
            }
            if is_directory {
                self.directory(&path, into)?;
            }
        }
        Ok(())
    }

    fn node(&self, path: &str, metadata: &Metadata) -> io::Result<Node> {
        let kind = metadata.file_type();
        let (kind, content) = if kind.is_file() {
            ('f', self.content(path, metadata)?)
        } else if kind.is_dir() {
            ('d', Content::None)
        } else if kind.is_symlink() {
            ('l', Content::Target(fs::read_link(self.root.join(path))?))
        } else if kind.is_fifo() {
            ('p', Content::None)
        } else if kind.is_socket() {
            ('s', Content::None)
        } else if kind.is_block_device() {
            ('b', Content::Device(metadata.rdev()))
        } else {
            ('c', Content::Device(metadata.rdev()))
        };
        let is_file = kind == 'f';
        Ok(Node {
            kind,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            size: if is_file { metadata.size() } else { 0 },
            content,
            modified: if is_file { modified(metadata) } else { 0 },
        })
    }

    fn content(&self, path: &str, metadata: &Metadata) -> io::Result<Content> {
        let written = self
            .upper
            .as_ref()
            .is_some_and(|upper| fs::symlink_metadata(upper.join(path)).is_ok());
        if !written
            && let Ok(base) = fs::symlink_metadata(self.base.join(path))
            && base.is_file()
            && base.size() == metadata.size()
            && modified(&base) == modified(metadata)
        {
            return Ok(Content::Base);
        }
        let bytes = match fs::read(self.root.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        Ok(Content::Hash(hash(&bytes)))
    }
}

fn modified(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Whether `path` (`etc/motd`) is in a tree that is not looked at.
fn left_out(path: &str) -> bool {
    LEFT_OUT.iter().any(|(tree, _)| matches(tree, path, true))
}

/// Whether `path` is what `pattern` says, or (where that is asked) below it.
fn matches(pattern: &str, path: &str, or_below: bool) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    let mut pairs = pattern.iter().zip(&parts);
    let long_enough = parts.len() == pattern.len() || (or_below && parts.len() > pattern.len());
    long_enough
        && pairs.all(|(pattern, part)| match pattern.split_once('*') {
            Some((start, _)) => part.starts_with(start),
            None => pattern == part,
        })
}

/// The text of a file under `root`, if a plain text file is there.
pub(super) fn text(root: &Path, path: &str) -> Option<String> {
    let path = root.join(path.trim_start_matches('/'));
    let metadata = fs::symlink_metadata(&path).ok()?;
    if !metadata.is_file() {
        return None;
    }
    String::from_utf8(fs::read(&path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::left_out;

    #[test]
    fn only_the_listed_trees_are_left_out() {
        assert!(left_out("proc") && left_out("proc/1/stat"));
        assert!(left_out("home/ops/.cache/hostler/agent-1"));
        assert!(left_out("tmp/systemd-private-abc/tmp"));
        assert!(!left_out("home/ops/.cache"));
        assert!(!left_out("etc/process") && !left_out("runner") && !left_out("srv/proc"));
        assert!(!left_out("tmp/other"));
    }
}
