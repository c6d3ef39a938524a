//! Looking at a host, without being able to change it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hostler_change::{CommandOutput, Content, Effect, FileKind, Program};
use hostler_value::Cause;

use crate::{InspectError, Receive};

/// Whether a symbolic link at the end of a path is looked at or looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// `stat`.
    Yes,
    /// `lstat`.
    No,
}

/// What `stat(2)` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Kind.
    pub kind: FileKind,
    /// All of `st_mode`, with the file type bits.
    pub st_mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Hard links.
    pub nlink: u64,
    /// Device number of a device file.
    pub rdev: u64,
    /// Allocated 512-byte blocks.
    pub blocks: u64,
    /// Preferred block size.
    pub block_size: u64,
    /// Access time, nanoseconds since the epoch.
    pub atime_ns: i64,
    /// Modification time, likewise.
    pub mtime_ns: i64,
    /// Status change time, likewise.
    pub ctime_ns: i64,
}

impl FileStat {
    /// The lowest twelve bits of the mode: permissions, set-id bits, sticky bit.
    pub fn perm(&self) -> u32 {
        self.st_mode & 0o7777
    }
}

/// Space of a file system, as `statvfs(3)` counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsSpace {
    /// Preferred size of reads and writes (`f_bsize`).
    pub block_size: u64,
    /// Bytes of what `blocks` count (`f_frsize`).
    pub fragment_size: u64,
    /// Size.
    pub blocks: u64,
    /// Free for root.
    pub blocks_free: u64,
    /// Free for users who are not root.
    pub blocks_available: u64,
    /// Inodes.
    pub inodes: u64,
    /// Inodes free for users who are not root.
    pub inodes_available: u64,
}

/// As whom the module runs, and where.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// The user's name; the number as text if it has none.
    pub user: String,
    /// The user's home directory.
    pub home: PathBuf,
    /// Environment of programs that the task runs: the agent's own with the task's `environment` on top.
    pub env: Vec<(String, String)>,
    /// File mode mask of the agent.
    pub umask: u32,
}

/// A line of `passwd(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Primary group's number.
    pub gid: u32,
    /// Comment.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A line of `group(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Number.
    pub gid: u32,
    /// Supplementary members.
    pub members: Vec<String>,
}

/// What an earlier task of a preview has declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The task.
    pub by: Cause,
    /// What it would bring about.
    pub effect: Effect,
}

/// Read-only view of a host. The real one is the agent's; tests have [`crate::fake::FakeHost`]; a preview puts the
/// edits of earlier tasks on top of either.
pub trait Inspect {
    /// What is at a path; `None` if nothing is (also if a directory on the way is missing).
    fn stat(&self, path: &Path, follow: Follow) -> Result<Option<FileStat>, InspectError>;

    /// A file's whole content, through links; `None` if there is no file. More than `limit` bytes is an error.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, InspectError>;

    /// Where a symbolic link points; `None` if there is no link.
    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, InspectError>;

    /// Names in a directory, sorted; `None` if there is no directory.
    fn list_dir(&self, path: &Path) -> Result<Option<Vec<PathBuf>>, InspectError>;

    /// Hash of a file's content as lower-case hex: `sha1`, `sha256`, `sha512`, `md5`, `sha224` or `sha384`; `None` if
    /// there is no file.
    fn checksum(&self, path: &Path, algorithm: &str) -> Result<Option<String>, InspectError>;

    /// Space of the file system that holds a path; `None` where the implementation cannot tell. May hang on a dead
    /// network file system.
    fn space(&self, _path: &Path) -> Result<Option<FsSpace>, InspectError> {
        Ok(None)
    }

    /// May the current identity read (4), write (2), execute (1) it? As `access(2)`.
    fn access(&self, path: &Path, mode: u32) -> bool;

    /// Runs a program **that only looks**. Programs that change the host are [`hostler_change::Edit::Run`].
    fn look(&self, program: &Program) -> Result<CommandOutput, InspectError>;

    /// The bytes of a content: at hand, in a file on the host, or a blob fetched from the controller.
    fn content(&self, content: &Content, limit: u64) -> Result<Vec<u8>, InspectError>;

    /// What the controller sent along with the arguments: a rendered template, a file of its own.
    fn payload(&self) -> Option<&Content>;

    /// As whom the module runs.
    fn identity(&self) -> &Identity;

    /// All accounts: `/etc/passwd`, and what `getent` adds where the host uses other sources.
    fn accounts(&self) -> Result<Vec<Account>, InspectError>;

    /// All groups, likewise.
    fn groups(&self) -> Result<Vec<Group>, InspectError>;

    /// One account by name or by number.
    fn account(&self, name_or_uid: &str) -> Result<Option<Account>, InspectError> {
        let uid = name_or_uid.parse::<u32>().ok();
        let accounts = self.accounts()?;
        let by_name = accounts.iter().find(|it| it.name == name_or_uid);
        Ok(by_name
            .or_else(|| accounts.iter().find(|it| Some(it.uid) == uid))
            .cloned())
    }

    /// One group by name or by number.
    fn group(&self, name_or_gid: &str) -> Result<Option<Group>, InspectError> {
        let gid = name_or_gid.parse::<u32>().ok();
        let groups = self.groups()?;
        let by_name = groups.iter().find(|it| it.name == name_or_gid);
        Ok(by_name
            .or_else(|| groups.iter().find(|it| Some(it.gid) == gid))
            .cloned())
    }

    /// In a preview: what programs of earlier tasks have declared to bring about besides files and accounts, in order.
    /// Probes that ask a program of the host (`dpkg-query`, `systemctl show`) put this on top of its answer.
    fn declared(&self) -> Vec<Declared> {
        Vec::new()
    }

    /// In a preview: the earlier tasks that would have changed what is at this path or below it, in order. Programs
    /// that look ([`Inspect::look`]) do not see those changes.
    fn pending(&self, _path: &Path) -> Vec<Cause> {
        Vec::new()
    }

    /// In a preview: the tasks that would install packages which the host does not have. What those bring (units,
    /// accounts, programs) is not known: who finds nothing where they may bring something says
    /// [`InspectError::Unknown`]. Files and accounts are looked up with that in mind already.
    fn new_packages(&self) -> Vec<Cause> {
        Vec::new()
    }

    /// In a preview: does [`Inspect::new_packages`] count as not there just now? What is planned so is held to be right
    /// only if what they bring has no part in it.
    fn supposing(&self) -> bool {
        false
    }

    /// In a preview: the tasks that would run what the user wrote (`command`). They may bring anything, so that a failure
    /// for want of something is not certain.
    fn unforeseen(&self) -> Vec<Cause> {
        Vec::new()
    }

    /// Can a TCP connection be made within the time? For `wait_for`.
    fn can_connect(&self, host: &str, port: u16, timeout: Duration) -> bool;

    /// Connects and returns what the peer sends unasked; `None` if it cannot be connected to. Ends early when `enough`
    /// says so of what came so far. For `wait_for` with `search_regex`.
    fn receive(
        &self,
        host: &str,
        port: u16,
        bounds: Receive,
        enough: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, InspectError>;

    /// The host's clock.
    fn now(&self) -> SystemTime;

    /// Waits; ends early, with an error, if the task was cancelled.
    fn sleep(&self, time: Duration) -> Result<(), InspectError>;
}

impl Account {
    /// Reads a line of `passwd(5)`; `None` if it is not one.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(':');
        let mut next = || parts.next().map(str::to_owned);
        let (name, _password) = (next()?, next()?);
        let (uid, gid) = (next()?.parse().ok()?, next()?.parse().ok()?);
        Some(Account {
            name,
            uid,
            gid,
            gecos: next()?,
            home: next()?,
            shell: next()?,
        })
    }
}

impl Group {
    /// Reads a line of `group(5)`; `None` if it is not one.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(':');
        let (name, _password) = (parts.next()?.to_owned(), parts.next()?);
        let gid = parts.next()?.parse().ok()?;
        let members = parts
            .next()?
            .split(',')
            .filter(|it| !it.is_empty())
            .map(str::to_owned);
        Some(Group {
            name,
            gid,
            members: members.collect(),
        })
    }
}
