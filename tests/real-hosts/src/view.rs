//! A host as a module sees it: what the agent does for modules on a host, done from outside, so that code below the
//! modules can be tried on a real host by itself.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use hostler_change::{CommandOutput, Content, FileKind, Program};
use hostler_module_api::{
    Account, FileStat, Follow, Group, Identity, Inspect, InspectError, Receive,
};
use xtask::fleet::Host;

/// Makes the command that runs an argument vector there.
type Enter = Box<dyn Fn(&[&str]) -> Command>;

/// A host, or a root directory that programs are run in.
pub struct View {
    command: Enter,
    identity: Identity,
}

impl View {
    /// A host of a fleet.
    ///
    /// # Panics
    /// Later, if the host does not run.
    pub fn of_host(host: &Host) -> Self {
        let host = host.clone();
        Self::new(move |argv| {
            host.command(argv)
                .unwrap_or_else(|failure| panic!("{failure}"))
        })
    }

    /// A root directory, by `chroot`.
    pub fn of_root(root: &Path) -> Self {
        let root = root.to_owned();
        Self::new(move |argv| {
            let mut command = Command::new("chroot");
            command.arg(&root).args(["env", "-i", "HOME=/root"]);
            command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]);
            command.args(argv);
            command
        })
    }

    fn new(command: impl Fn(&[&str]) -> Command + 'static) -> Self {
        View {
            command: Box::new(command),
            identity: Identity::default(),
        }
    }

    /// Runs a program there.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn output(&self, program: &Program) -> CommandOutput {
        let mut argv: Vec<String> = ["env", "--chdir=/"].map(str::to_owned).into();
        argv.extend(
            program
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        argv.extend(program.argv.iter().cloned());
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let mut command = (self.command)(&argv);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{argv:?}: {error}"));
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input is no failure.
            let _ = stdin.write_all(program.stdin.as_deref().unwrap_or_default());
        }
        let output = child
            .wait_with_output()
            .unwrap_or_else(|error| panic!("{argv:?}: {error}"));
        CommandOutput {
            rc: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
            ..CommandOutput::default()
        }
    }

    /// Runs programs one after another, as an applier does.
    ///
    /// # Errors
    /// The first failure, which ends it.
    pub fn run(&self, programs: &[Program]) -> Result<(), String> {
        for program in programs {
            let output = self.output(program);
            if !output.success() {
                let (out, err) = (output.stdout_text(), output.stderr_text());
                return Err(format!("{}: {}\n{out}\n{err}", program.shown(), output.rc));
            }
        }
        Ok(())
    }

    /// Runs a shell script and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn shell(&self, script: &str) -> String {
        let output = self.output(&Program::new(["sh", "-ec", script]));
        let err = output.stderr_text();
        assert!(
            output.success(),
            "{script}: {}\n{}\n{err}",
            output.rc,
            output.stdout_text()
        );
        output.stdout_text().trim_end().to_owned()
    }

    fn ask(&self, argv: &[&str]) -> Option<Vec<u8>> {
        let output = self.output(&Program::new(argv.iter().copied()));
        output.success().then_some(output.stdout)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

impl Inspect for View {
    fn stat(&self, path: &Path, follow: Follow) -> Result<Option<FileStat>, InspectError> {
        let mut argv = vec!["stat", "--format=%f %u %g %s %d %i %h %Y %Z"];
        if follow == Follow::Yes {
            argv.push("--dereference");
        }
        argv.extend(["--", text(path)]);
        let Some(said) = self.ask(&argv) else {
            return Ok(None);
        };
        let said = String::from_utf8_lossy(&said).into_owned();
        let words: Vec<&str> = said.split_whitespace().collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap_or(0);
        let small = |index: usize| u32::try_from(number(index)).unwrap_or(0);
        let time = |index: usize| i64::try_from(number(index)).unwrap_or(0) * 1_000_000_000;
        let st_mode = u32::from_str_radix(words[0], 16).expect("a mode");
        Ok(Some(FileStat {
            kind: match st_mode & 0o170_000 {
                0o040_000 => FileKind::Dir,
                0o120_000 => FileKind::Link,
                0o100_000 => FileKind::File,
                _ => FileKind::Other,
            },
            st_mode,
            uid: small(1),
            gid: small(2),
            size: number(3),
            dev: number(4),
            ino: number(5),
            nlink: number(6),
            rdev: 0,
            blocks: 0,
            block_size: 4096,
            atime_ns: 0,
            mtime_ns: time(7),
            ctime_ns: time(8),
        }))
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, InspectError> {
        let content = self.ask(&["cat", "--", text(path)]);
        if content.as_ref().is_some_and(|it| it.len() as u64 > limit) {
            let path = path.to_owned();
            return Err(InspectError::TooLarge { path, limit });
        }
        Ok(content)
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, InspectError> {
        let said = self.ask(&["readlink", "-n", "--", text(path)]);
        Ok(said.map(|it| PathBuf::from(OsStr::from_bytes(&it))))
    }

    fn list_dir(&self, path: &Path) -> Result<Option<Vec<PathBuf>>, InspectError> {
        let find = [
            "find",
            text(path),
            "-mindepth",
            "1",
            "-maxdepth",
            "1",
            "-printf",
            "%f\\0",
        ];
        let Some(said) = self.ask(&find) else {
            return Ok(None);
        };
        let names = said.split(|it| *it == 0).filter(|it| !it.is_empty());
        let mut names: Vec<PathBuf> = names.map(|it| OsStr::from_bytes(it).into()).collect();
        names.sort();
        Ok(Some(names))
    }

    fn checksum(&self, path: &Path, algorithm: &str) -> Result<Option<String>, InspectError> {
        let said = self.ask(&[&format!("{algorithm}sum"), "--", text(path)]);
        let said = said.map(|it| String::from_utf8_lossy(&it).into_owned());
        Ok(said.and_then(|it| Some(it.split_whitespace().next()?.to_owned())))
    }

    fn access(&self, path: &Path, mode: u32) -> bool {
        let flag = match mode {
            1 => "-x",
            2 => "-w",
            _ => "-r",
        };
        self.ask(&["test", flag, text(path)]).is_some()
    }

    fn look(&self, program: &Program) -> Result<CommandOutput, InspectError> {
        Ok(self.output(program))
    }

    fn content(&self, content: &Content, _limit: u64) -> Result<Vec<u8>, InspectError> {
        match content {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            _ => Err(InspectError::Blob("there is no controller".into())),
        }
    }

    fn payload(&self) -> Option<&Content> {
        None
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn accounts(&self) -> Result<Vec<Account>, InspectError> {
        Ok(Vec::new())
    }

    fn groups(&self) -> Result<Vec<Group>, InspectError> {
        Ok(Vec::new())
    }

    fn can_connect(&self, _host: &str, _port: u16, _timeout: Duration) -> bool {
        false
    }

    fn receive(
        &self,
        _host: &str,
        _port: u16,
        _bounds: Receive,
        _enough: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, InspectError> {
        Ok(None)
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) -> Result<(), InspectError> {
        std::thread::sleep(time);
        Ok(())
    }
}
