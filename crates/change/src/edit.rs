//! The closed vocabulary of changes to a host.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Effect, Program};

/// One change to a host. The agent's applier is the only code that carries these out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// Write a file, whole: temporary file in the same directory, validate, owner and mode, fsync, rename.
    WriteFile(WriteFile),
    /// Remove a file, link or tree.
    Remove(Remove),
    /// Make one directory (its parent is there, or an earlier edit makes it).
    MakeDir(MakeDir),
    /// Make or replace a symbolic or hard link.
    Link(Link),
    /// Set owner, group and mode of what is there.
    SetAttrs {
        /// The path.
        path: PathBuf,
        /// What to set.
        attrs: Attrs,
        /// Follow a symbolic link at the end of the path?
        follow: bool,
    },
    /// Set access and modification time, making an empty file first if there is none.
    SetTimes {
        /// The path.
        path: PathBuf,
        /// What to set.
        times: Times,
    },
    /// Run a program that changes the host.
    Run(Run),
    /// Download a file on the host and put it in place like [`Edit::WriteFile`].
    Fetch(Fetch),
}

/// Writes a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteFile {
    /// Where. A symbolic link here is replaced, not followed: the module resolves links when it observes.
    pub path: PathBuf,
    /// With what.
    pub content: Content,
    /// Owner, group and mode. What is `None` stays as it was; on a new file it is what the process's umask gives.
    pub attrs: Attrs,
    /// Keep a copy of what was there beside it, named as ansible-core names backups.
    pub backup: bool,
    /// A command line with `%s` for the temporary file; it must succeed before the file is put in place. Split into
    /// words as a POSIX shell would, run without one.
    pub validate: Option<String>,
    /// Write in place instead of by rename where the rename is impossible (a bind-mounted file).
    pub unsafe_writes: bool,
}

/// What to write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A blob that the controller has, named by the hash of its content; the applier streams it.
    Blob {
        /// SHA-256.
        sha256: [u8; 32],
        /// Length in bytes.
        size: u64,
    },
    /// A file that is already on the host.
    HostFile(PathBuf),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Content::Blob { size, .. } => write!(f, "blob of {size} bytes"),
            Content::HostFile(path) => write!(f, "content of {}", path.display()),
        }
    }
}

/// A user or group, by name or number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// Looked up on the host when the edit is applied: an earlier edit may have made it.
    Name(String),
    /// A number.
    Id(u32),
}

/// Owner, group and mode; `None` leaves as is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attrs {
    /// User.
    pub owner: Option<Owner>,
    /// Group.
    pub group: Option<Owner>,
    /// Permission bits, the lowest twelve. The module has resolved symbolic modes against what it observed.
    pub mode: Option<u32>,
}

impl Attrs {
    /// Nothing to set?
    pub fn is_empty(&self) -> bool {
        self.owner.is_none() && self.group.is_none() && self.mode.is_none()
    }
}

/// Kinds of things at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Dir,
    /// Symbolic link.
    Link,
    /// Character device, block device, socket or pipe.
    Other,
}

/// Removes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// The path; a symbolic link is removed itself.
    pub path: PathBuf,
    /// A directory with all that is in it; without this only an empty one.
    pub recursive: bool,
}

/// Makes a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeDir {
    /// The path.
    pub path: PathBuf,
    /// Owner, group, mode.
    pub attrs: Attrs,
}

/// Makes a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The path of the link; what is there is replaced atomically, except a directory.
    pub path: PathBuf,
    /// What it points to (symbolic), or the file that it is another name of (hard).
    pub target: PathBuf,
    /// A hard link?
    pub hard: bool,
}

/// Times to set, in nanoseconds since the epoch; `None` leaves as is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Access time.
    pub atime_ns: Option<i64>,
    /// Modification time.
    pub mtime_ns: Option<i64>,
}

/// Runs a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program.
    pub program: Program,
    /// It runs each time, so that a second plan holds it again (`command`, a restart): left out of the rule that a
    /// second plan is empty.
    pub always: bool,
    /// Exit statuses that are not failures. Any other status stops the plan and fails the task.
    /// Empty: every status is accepted, and the module's report judges.
    pub ok_rc: Vec<i32>,
    /// What it brings about, as far as the module can say: a preview cannot run it and shows later tasks this
    /// instead. Has no part in a real run.
    pub effects: Vec<Effect>,
}

impl Run {
    /// A program that must exit with status 0.
    pub fn new(program: Program) -> Self {
        Run {
            program,
            always: false,
            ok_rc: vec![0],
            effects: Vec::new(),
        }
    }

    /// Stands for all that cannot be foreseen. Only previews have it.
    pub fn unforeseen() -> Self {
        Run::new(Program::default()).bringing(vec![Effect::Unforeseen])
    }

    /// Declares what it brings about.
    #[must_use]
    pub fn bringing(mut self, effects: Vec<Effect>) -> Self {
        self.effects = effects;
        self
    }
}

/// Downloads a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// `http`, `https` or `file` URL.
    pub url: String,
    /// Request headers.
    pub headers: Vec<(String, String)>,
    /// Where to put it.
    pub path: PathBuf,
    /// Owner, group, mode.
    pub attrs: Attrs,
    /// Keep a copy of what was there.
    pub backup: bool,
    /// Hash that the content must have: algorithm (`sha256`, `sha1`, `md5`, ...) and lower-case hex digits.
    pub checksum: Option<(String, String)>,
    /// Seconds without progress before it is given up.
    pub timeout_s: u64,
    /// Check the server's certificate?
    pub validate_certs: bool,
    /// Fetch only if newer than this (HTTP `If-Modified-Since`), seconds since the epoch.
    pub if_modified_since_s: Option<i64>,
}
