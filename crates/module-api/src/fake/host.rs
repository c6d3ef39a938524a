//! The state of the fake host, and looking at it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use hostler_change::{CommandOutput, Content, FileKind, Program};
use hostler_value::Cause;

use crate::{Account, Declared, FileStat, Follow, Group, Identity, Inspect, InspectError, Receive};

/// Something at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeFile {
    /// Kind.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Content of a file, target of a link.
    pub content: Vec<u8>,
    /// Access time, nanoseconds.
    pub atime_ns: i64,
    /// Modification time, nanoseconds.
    pub mtime_ns: i64,
}

/// Something that answers on a TCP port.
#[derive(Clone)]
struct Service {
    host: String,
    port: u16,
    /// From this time on, after the fake clock's start.
    from: Duration,
    greeting: Vec<u8>,
}

type Effect = Rc<dyn Fn(&mut FakeHost) -> CommandOutput>;

/// A host in memory.
#[derive(Clone, Default)]
pub struct FakeHost {
    pub(super) files: BTreeMap<PathBuf, FakeFile>,
    pub(super) effects: BTreeMap<String, Effect>,
    answers: BTreeMap<String, CommandOutput>,
    identity: Identity,
    payload: Option<Content>,
    services: Vec<Service>,
    declared: Vec<Declared>,
    touched: Vec<(PathBuf, Cause)>,
    pub(super) downloads: BTreeMap<String, Vec<u8>>,
    clock: Cell<Duration>,
    /// Lines of the programs that were run as edits, in order.
    pub ran: Vec<String>,
}

impl FakeHost {
    /// A bare host: `/`, `/etc`, `/tmp`, `/root`, `/home`, `/usr/bin`, `/var/tmp`, and the users root and daemon.
    /// The module runs as root.
    pub fn bare() -> Self {
        let mut host = FakeHost::default();
        for dir in [
            "/", "/etc", "/root", "/home", "/usr", "/usr/bin", "/var", "/var/tmp",
        ] {
            host = host.dir(dir, 0o755);
        }
        host.identity = Identity {
            user: "root".into(),
            home: "/root".into(),
            env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
            umask: 0o022,
            ..Identity::default()
        };
        host.dir("/tmp", 0o1777)
            .file(
                "/etc/passwd",
                "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n",
            )
            .file("/etc/group", "root:x:0:\ndaemon:x:1:\n")
    }

    /// Adds a file, owned by root, mode 0644.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(path, FileKind::File, 0o644, content.as_ref())
    }

    /// As if an earlier task of a preview, number `task`, had declared an effect.
    #[must_use]
    pub fn declaring(mut self, task: u32, effect: hostler_change::Effect) -> Self {
        let by = Cause {
            task,
            ..Cause::default()
        };
        self.declared.push(Declared { by, effect });
        self
    }

    /// As if an earlier task of a preview, number `task`, had changed what is at a path.
    #[must_use]
    pub fn touched(mut self, task: u32, path: &str) -> Self {
        let by = Cause {
            task,
            ..Cause::default()
        };
        self.touched.push((path.into(), by));
        self
    }

    /// Adds a directory, owned by root.
    #[must_use]
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.with(path, FileKind::Dir, mode, b"")
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.with(path, FileKind::Link, 0o777, target.as_bytes())
    }

    /// Sets owner, group and mode of what was added.
    #[must_use]
    pub fn attrs(mut self, path: &str, uid: u32, gid: u32, mode: u32) -> Self {
        if let Some(file) = self.files.get_mut(Path::new(path)) {
            (file.uid, file.gid, file.mode) = (uid, gid, mode);
        }
        self
    }

    fn with(mut self, path: &str, kind: FileKind, mode: u32, content: &[u8]) -> Self {
        let content = content.to_vec();
        let file = FakeFile {
            kind,
            mode,
            uid: 0,
            gid: 0,
            content,
            atime_ns: 0,
            mtime_ns: 0,
        };
        self.files.insert(path.into(), file);
        self
    }

    /// Declares what a program that only looks prints; `line` is the argument vector as a shell would read it.
    #[must_use]
    pub fn answers(mut self, line: &str, rc: i32, stdout: &str) -> Self {
        self.answer(line, rc, stdout);
        self
    }

    /// The same, from inside an effect.
    pub fn answer(&mut self, line: &str, rc: i32, stdout: &str) {
        let output = CommandOutput {
            rc,
            stdout: stdout.into(),
            ..CommandOutput::default()
        };
        self.answers.insert(line.into(), output);
    }

    /// Declares what a program that is run as an edit does.
    #[must_use]
    pub fn on(
        mut self,
        line: &str,
        effect: impl Fn(&mut FakeHost) -> CommandOutput + 'static,
    ) -> Self {
        self.effects.insert(line.into(), Rc::new(effect));
        self
    }

    /// Declares that a program which is run as an edit succeeds and changes these files.
    #[must_use]
    pub fn on_writes(self, line: &str, files: &[(&str, &str)]) -> Self {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        self.on(line, move |host| {
            for (path, text) in &files {
                host.set_text(path, text);
            }
            CommandOutput::default()
        })
    }

    /// Sends content along with the arguments, as the controller does for `copy` and `template`.
    #[must_use]
    pub fn payload_is(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload = Some(Content::Bytes(bytes.into()));
        self
    }

    /// Lets a TCP port answer.
    #[must_use]
    pub fn listens(self, host: &str, port: u16) -> Self {
        self.listens_after(host, port, 0, "")
    }

    /// Lets a TCP port answer with a greeting when the fake clock, which [`Inspect::sleep`] moves, has come so far.
    #[must_use]
    pub fn listens_after(mut self, host: &str, port: u16, seconds: u64, greeting: &str) -> Self {
        self.services.push(Service {
            host: host.into(),
            port,
            from: Duration::from_secs(seconds),
            greeting: greeting.into(),
        });
        self
    }

    /// Lets a URL be downloaded.
    #[must_use]
    pub fn serves(mut self, url: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.downloads.insert(url.into(), bytes.as_ref().to_vec());
        self
    }

    fn service(&self, host: &str, port: u16) -> Option<&Service> {
        self.services
            .iter()
            .find(|it| it.host == host && it.port == port && it.from <= self.clock.get())
    }

    /// Lets the module run as somebody else.
    #[must_use]
    pub fn identity_is(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Replaces a file's text, keeping its attributes.
    pub fn set_text(&mut self, path: &str, text: &str) {
        if let Some(file) = self.files.get_mut(Path::new(path)) {
            file.content = text.into();
        } else {
            *self = std::mem::take(self).file(path, text);
        }
    }

    /// What is at a path, not following a link there.
    pub fn at(&self, path: &str) -> Option<&FakeFile> {
        self.files.get(Path::new(path))
    }

    /// A file's text; `None` if there is no file or it is not text.
    pub fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(self.at(path)?.content.clone()).ok()
    }

    /// All that is on it.
    pub fn snapshot(&self) -> &BTreeMap<PathBuf, FakeFile> {
        &self.files
    }

    /// Resolves symbolic links at the end of a path.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        let mut path = path.to_owned();
        for _ in 0..40 {
            match self.files.get(&path) {
                Some(file) if file.kind == FileKind::Link => {
                    let target = PathBuf::from(String::from_utf8_lossy(&file.content).as_ref());
                    path = path.parent().unwrap_or(Path::new("/")).join(target);
                }
                _ => break,
            }
        }
        path
    }
}

impl Inspect for FakeHost {
    fn stat(&self, path: &Path, follow: Follow) -> Result<Option<FileStat>, InspectError> {
        let path = if follow == Follow::Yes {
            self.resolve(path)
        } else {
            path.to_owned()
        };
        let kind_bits = |kind| match kind {
            FileKind::File => 0o100_000,
            FileKind::Dir => 0o040_000,
            FileKind::Link => 0o120_000,
            FileKind::Other => 0o010_000,
        };
        let position = self
            .files
            .keys()
            .position(|it| *it == path)
            .unwrap_or_default() as u64;
        Ok(self.files.get(&path).map(|file| FileStat {
            kind: file.kind,
            st_mode: kind_bits(file.kind) | file.mode,
            uid: file.uid,
            gid: file.gid,
            size: file.content.len() as u64,
            dev: 1,
            ino: position + 2,
            nlink: 1,
            rdev: 0,
            blocks: file.content.len().div_ceil(512) as u64,
            block_size: 4096,
            atime_ns: file.atime_ns,
            mtime_ns: file.mtime_ns,
            ctime_ns: file.mtime_ns,
        }))
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, InspectError> {
        match self.files.get(&self.resolve(path)) {
            Some(file) if file.kind == FileKind::File => {
                if file.content.len() as u64 > limit {
                    return Err(InspectError::TooLarge {
                        path: path.to_owned(),
                        limit,
                    });
                }
                Ok(Some(file.content.clone()))
            }
            Some(file) if file.kind == FileKind::Dir => Err(InspectError::Io {
                what: "read",
                path: path.to_owned(),
                source: std::io::Error::from(std::io::ErrorKind::IsADirectory),
            }),
            _ => Ok(None),
        }
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, InspectError> {
        let link = self
            .files
            .get(path)
            .filter(|file| file.kind == FileKind::Link);
        Ok(link.map(|file| PathBuf::from(String::from_utf8_lossy(&file.content).as_ref())))
    }

    fn list_dir(&self, path: &Path) -> Result<Option<Vec<PathBuf>>, InspectError> {
        let path = self.resolve(path);
        if self
            .files
            .get(&path)
            .is_none_or(|file| file.kind != FileKind::Dir)
        {
            return Ok(None);
        }
        let inside = self.files.keys().filter(|it| it.parent() == Some(&path));
        Ok(Some(
            inside
                .filter_map(|it| it.file_name())
                .map(PathBuf::from)
                .collect(),
        ))
    }

    fn checksum(&self, path: &Path, algorithm: &str) -> Result<Option<String>, InspectError> {
        let content = self.read(path, u64::MAX)?;
        Ok(content.map(|bytes| crate::digest(&bytes, algorithm).unwrap_or_default()))
    }

    fn access(&self, path: &Path, mode: u32) -> bool {
        self.files.get(&self.resolve(path)).is_some_and(|file| {
            let execute = mode & 1 == 0 || file.mode & 0o111 != 0;
            let granted = if self.identity.uid == file.uid {
                file.mode >> 6
            } else {
                file.mode
            };
            execute && (self.identity.uid == 0 || granted & mode == mode)
        })
    }

    fn look(&self, program: &Program) -> Result<CommandOutput, InspectError> {
        let line = program.shown().to_string();
        self.answers
            .get(&line)
            .cloned()
            .ok_or_else(|| InspectError::Spawn {
                program: format!("{line} (the test declares no answer)"),
                source: std::io::Error::from(std::io::ErrorKind::NotFound),
            })
    }

    fn content(&self, content: &Content, limit: u64) -> Result<Vec<u8>, InspectError> {
        match content {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Blob { .. } => Err(InspectError::Blob("no controller in a test".into())),
            Content::HostFile(path) => {
                let missing = || InspectError::Blob(format!("no file {}", path.display()));
                self.read(path, limit)?.ok_or_else(missing)
            }
        }
    }

    fn payload(&self) -> Option<&Content> {
        self.payload.as_ref()
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn accounts(&self) -> Result<Vec<Account>, InspectError> {
        let text = self.text("/etc/passwd").unwrap_or_default();
        Ok(text.lines().filter_map(Account::parse).collect())
    }

    fn groups(&self) -> Result<Vec<Group>, InspectError> {
        let text = self.text("/etc/group").unwrap_or_default();
        Ok(text.lines().filter_map(Group::parse).collect())
    }

    fn declared(&self) -> Vec<Declared> {
        self.declared.clone()
    }

    fn pending(&self, path: &Path) -> Vec<Cause> {
        let below = self.touched.iter().filter(|it| it.0.starts_with(path));
        below.map(|it| it.1.clone()).collect()
    }

    fn can_connect(&self, host: &str, port: u16, _: Duration) -> bool {
        self.service(host, port).is_some()
    }

    fn receive(
        &self,
        host: &str,
        port: u16,
        bounds: Receive,
        _: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, InspectError> {
        let service = self.service(host, port);
        Ok(service.map(|it| it.greeting[..it.greeting.len().min(bounds.bytes_max)].to_vec()))
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.clock.get()
    }

    fn sleep(&self, time: Duration) -> Result<(), InspectError> {
        self.clock.set(self.clock.get() + time);
        Ok(())
    }
}
