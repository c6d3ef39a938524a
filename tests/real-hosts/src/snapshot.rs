//! Everything that a host differs in from the base it was made of, and how two such states differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use xtask::fleet::{Fleet, Host};

/// What a host looks like: by path (`etc/motd`), everything that it wrote over the base.
#[derive(Debug, Clone)]
pub struct Snapshot {
    base: PathBuf,
    written: BTreeMap<String, Entry>,
    /// The hosts whose names and addresses are not told apart; `None` for an exact look.
    twin_of: Option<Vec<Host>>,
}

/// One file, directory or link, or that there is none.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing is there (any more).
    Absent,
    /// Something is there.
    Present {
        /// `f`ile, `d`irectory, `l`ink, or `?` for anything else.
        kind: char,
        /// Permission bits, with setuid, setgid and sticky.
        mode: u32,
        /// Numeric owner.
        owner: u32,
        /// Numeric group.
        group: u32,
        /// A file's bytes, a link's target; empty for a directory.
        content: Vec<u8>,
        /// When a file was last written, in nanoseconds; 0 for all others.
        modified: i128,
    },
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => formatter.write_str("absent"),
            Self::Present {
                kind,
                mode,
                owner,
                group,
                content,
                ..
            } => {
                let text = String::from_utf8_lossy(content);
                let shown: String = text.chars().take(2000).collect();
                write!(
                    formatter,
                    "{kind} {mode:04o} {owner}:{group} {} bytes {shown:?}",
                    content.len()
                )
            }
        }
    }
}

/// What logging in and being managed leaves behind, which is not part of what a playbook asked for.
fn is_noise(path: &str) -> bool {
    const FILES: [&str; 5] = [
        "etc/.pwd.lock",
        "var/log/wtmp",
        "var/log/btmp",
        "var/log/lastlog",
        "var/log/faillog",
    ];
    const TREES: [&str; 4] = ["tmp", "var/tmp", "var/lib/sudo", "var/cache/hostler"];
    let in_tree = |tree: &str| {
        path.strip_prefix(tree)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let account_backup = [
        "etc/passwd-",
        "etc/shadow-",
        "etc/group-",
        "etc/gshadow-",
        "etc/subuid-",
        "etc/subgid-",
    ];
    FILES.contains(&path)
        || account_backup.contains(&path)
        || TREES.into_iter().any(in_tree)
        || path.split('/').any(|part| part == ".ansible")
        || path.contains("/.cache")
        || path.starts_with("etc/ssh/ssh_host_")
        || path == "etc/machine-id"
}

impl Snapshot {
    /// Looks at `host` now.
    ///
    /// # Panics
    /// When its files cannot be read.
    pub fn of(fleet: &Fleet, host: &Host) -> Self {
        let mut written = BTreeMap::new();
        let upper = host.upper();
        walk(&upper, &upper, &mut written).unwrap_or_else(|error| panic!("{}: {error}", host.name));
        Self {
            base: fleet.base(),
            written,
            twin_of: None,
        }
    }

    /// What is at `path` (`etc/motd`) on the host: what it wrote, else what the base has.
    ///
    /// # Panics
    /// When the base cannot be read.
    pub fn entry(&self, path: &str) -> Entry {
        let in_base =
            || read(&self.base.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let entry = self.written.get(path).cloned().unwrap_or_else(in_base);
        match &self.twin_of {
            Some(set) => neutral(path, entry, set),
            None => entry,
        }
    }

    /// The text of a file.
    ///
    /// # Panics
    /// When it is not a file.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        match self.entry(path) {
            Entry::Present {
                kind: 'f', content, ..
            } => String::from_utf8_lossy(&content).into_owned(),
            other => panic!("{path} is not a file: {other:?}"),
        }
    }

    /// Fails the test unless `path` is of this kind (`f`, `d`, `l`) with this mode and these owners.
    ///
    /// # Panics
    /// With what is there instead.
    #[track_caller]
    pub fn expect(&self, path: &str, expected: (char, u32, u32, u32)) {
        match self.entry(path) {
            Entry::Present {
                kind,
                mode,
                owner,
                group,
                ..
            } => {
                assert_eq!(
                    (kind, mode, owner, group),
                    expected,
                    "{path}: kind, mode (decimal), owner, group"
                );
            }
            Entry::Absent => panic!("{path} is not there"),
        }
    }

    /// Every difference to another look at the same host (times of writing included), or to a twin when both
    /// are [`Snapshot::neutral`].
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let paths: BTreeSet<&String> = self.written.keys().chain(other.written.keys()).collect();
        let differ = |path: &&String| {
            let (mine, theirs) = (self.entry(path), other.entry(path));
            (mine != theirs).then(|| format!("/{path}:\n  {mine:?}\n  {theirs:?}"))
        };
        paths
            .iter()
            .filter(|path| !is_noise(path))
            .filter_map(differ)
            .collect()
    }

    /// The same without what must differ between twins: the names and addresses of the hosts of their `set`, times, the
    /// day of a password change and crontab(1)'s note of when it installed a table.
    #[must_use]
    pub fn neutral(&self, set: &[Host]) -> Self {
        Self {
            twin_of: Some(set.to_vec()),
            ..self.clone()
        }
    }
}

fn neutral(path: &str, entry: Entry, set: &[Host]) -> Entry {
    let Entry::Present {
        kind,
        mode,
        owner,
        group,
        content,
        ..
    } = entry
    else {
        return entry;
    };
    let content = match String::from_utf8(content) {
        Ok(mut text) => {
            for host in set {
                let number = &host.name[1..];
                text = text.replace(&host.name, &format!("HOST-{number}"));
                text = text.replace(&host.address.to_string(), &format!("ADDRESS-{number}"));
                text = text.replace(&format!("set_{}", host.set()), "SET");
            }
            if path == "etc/shadow" {
                text = undated(&text);
            }
            if path.starts_with("var/spool/cron/crontabs/") {
                text = text
                    .lines()
                    .filter(|line| !line.contains(" installed on "))
                    .collect::<Vec<_>>()
                    .join("\n");
            }
            text.into_bytes()
        }
        Err(binary) => binary.into_bytes(),
    };
    Entry::Present {
        kind,
        mode,
        owner,
        group,
        content,
        modified: 0,
    }
}

/// `/etc/shadow` without the day of the last password change: a run may cross midnight.
fn undated(shadow: &str) -> String {
    let line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        if let Some(day) = fields.get_mut(2) {
            *day = "";
        }
        fields.join(":")
    };
    shadow.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn walk(root: &Path, directory: &Path, into: &mut BTreeMap<String, Entry>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let relative = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let entry = read(&path)?;
        let is_directory = matches!(entry, Entry::Present { kind: 'd', .. });
        into.insert(relative, entry);
        if is_directory {
            walk(root, &path, into)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Entry> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.kind() == io::ErrorKind::NotADirectory =>
        {
            return Ok(Entry::Absent);
        }
        other => other?,
    };
    let kind = metadata.file_type();
    // Overlayfs marks a deleted file by a character device 0:0.
    if kind.is_char_device() && metadata.rdev() == 0 {
        return Ok(Entry::Absent);
    }
    let (kind, content) = if kind.is_file() {
        ('f', fs::read(path)?)
    } else if kind.is_symlink() {
        ('l', fs::read_link(path)?.as_os_str().as_bytes().to_vec())
    } else if kind.is_dir() {
        ('d', Vec::new())
    } else {
        ('?', Vec::new())
    };
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Ok(Entry::Present {
        kind,
        mode: metadata.mode() & 0o7777,
        owner: metadata.uid(),
        group: metadata.gid(),
        content,
        modified: if kind == 'f' { modified } else { 0 },
    })
}
