//! Running programs: own process group, bounded output, an end in time.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hostler_change::{CommandOutput, Program};
use hostler_protocol::FromAgent;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::hello::clock_us;
use crate::outbox::Outbox;
use crate::task::Task;

/// Directories that are searched behind the search path: administration programs are not in an ordinary user's.
pub(crate) const SBIN: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// From the request to end to the order.
const GRACE: Duration = Duration::from_secs(10);
/// How long output of a watched task waits for company, and how much of it there may be.
const OUTPUT_LINGER: Duration = Duration::from_millis(200);
const OUTPUT_BATCH: usize = 16 << 10;
/// What is written faster than that is left out while the program runs.
const FRESH_MAX: usize = 64 << 10;
/// Programs that leave packages half installed when they are interrupted.
const SPARED: &[&str] = &[
    "apt-get", "apt", "aptitude", "dpkg", "dnf", "dnf5", "microdnf", "yum", "rpm", "zypper",
    "pacman", "apk",
];
/// How often cancellation and deadlines are looked at while a program says nothing.
const TICK: Duration = Duration::from_millis(500);
/// The same on kernels (before 5.3) that cannot wake us when it ends.
const TICK_WITHOUT_PIDFD: Duration = Duration::from_millis(10);

/// The name of a program, without its directory.
fn name_of(program: &Program) -> &str {
    let path = program.argv.first().map_or("", String::as_str);
    path.rsplit('/').next().unwrap_or(path)
}

/// What people are told that a task does while it runs a program: the program's name; of a script, the first word of
/// what stands for it.
fn shown_name(program: &Program) -> &str {
    let stands = program.shown_as.as_deref().unwrap_or_default();
    stands.split_whitespace().next().unwrap_or(name_of(program))
}

/// Is a program that has begun let end, even if its task is cancelled?
pub(crate) fn is_spared(program: &Program) -> bool {
    SPARED.contains(&name_of(program))
}

/// Runs a program that looks at the host to its end.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn run(
    program: &Program,
    env: &[(String, String)],
    task: &Task,
) -> io::Result<CommandOutput> {
    run_telling(program, env, task, None)
}

/// Runs a program to its end; what it writes goes to `outbox` meanwhile, if the task is watched.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn run_telling(
    program: &Program,
    env: &[(String, String)],
    task: &Task,
    outbox: Option<&Outbox>,
) -> io::Result<CommandOutput> {
    let before = task.does(shown_name(program).to_owned());
    let result = run_to_end(program, env, task, outbox);
    task.does(before);
    result
}

fn run_to_end(
    program: &Program,
    env: &[(String, String)],
    task: &Task,
    outbox: Option<&Outbox>,
) -> io::Result<CommandOutput> {
    let start_us = clock_us();
    let started = Instant::now();
    let mut child = command(program, env)?.spawn()?;
    let group = Pid::from_child(&child);
    let spared = is_spared(program);
    task.started(group, spared);
    let limit = program.timeout_s.map(Duration::from_secs);
    let mut watch = Watch {
        streams: Streams::of(&mut child, program.stdin.clone())?,
        pidfd: pidfd_open(group, PidfdFlags::empty()).ok(),
        deadline: limit.and_then(|limit| started.checked_add(limit)),
        kill_at: None,
        timed_out: false,
        group,
        spared,
        outbox,
        told: started,
    };
    let status = watch.until_ended(&mut child, task)?;
    let (stdout, stdout_cut) = watch.streams.stdout.1.parts();
    let (stderr, stderr_cut) = watch.streams.stderr.1.parts();
    Ok(CommandOutput {
        rc: exit_code(status),
        stdout,
        stderr,
        stdout_cut,
        stderr_cut,
        start_us,
        end_us: clock_us(),
        timed_out: watch.timed_out,
    })
}

/// Exit status, or minus the signal's number.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| -status.signal().unwrap_or_default())
}

fn command(program: &Program, env: &[(String, String)]) -> io::Result<Command> {
    let name = program.argv.first().map(String::as_str).unwrap_or_default();
    let mut all = env.to_vec();
    all.extend(program.env.iter().cloned());
    let path = all.iter().rev().find(|(key, _)| key == "PATH");
    let path = path.map(|(_, value)| value.as_str()).unwrap_or_default();
    let file = find_program(name, path, program.chdir.as_deref())?;
    let mut command = match program.umask {
        None => {
            let mut command = Command::new(file);
            command.arg0(name);
            command
        }
        // Between fork and exec only a shell can set it for us.
        Some(umask) => {
            let mut command = Command::new("/bin/sh");
            let set = "umask \"$1\" && shift && exec \"$@\"";
            command.args(["-c", set, "sh", &format!("{umask:04o}")]);
            command.arg(file);
            command
        }
    };
    command
        .args(&program.argv[1..])
        .env_clear()
        .envs(all.iter().map(|(key, value)| (key, value)))
        .process_group(0)
        .stdin(match program.stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(dir) = &program.chdir {
        command.current_dir(dir);
    }
    Ok(command)
}

/// The file of a program: as `execvp` finds it, then in the directories of administration programs.
pub(crate) fn find_program(name: &str, path: &str, chdir: Option<&str>) -> io::Result<PathBuf> {
    if name.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no program is named",
        ));
    }
    if name.contains('/') {
        return Ok(name.into());
    }
    let base = Path::new(chdir.unwrap_or(""));
    let dirs = path.split(':').filter(|it| !it.is_empty());
    let mut seen = io::ErrorKind::NotFound;
    for dir in dirs.chain(SBIN.iter().copied()) {
        let file = Path::new(dir).join(name);
        let place = if file.is_absolute() {
            file.clone()
        } else {
            base.join(&file)
        };
        match std::fs::metadata(&place) {
            Ok(meta) if meta.is_file() && meta.permissions().mode() & 0o111 != 0 => {
                return Ok(file);
            }
            Ok(meta) if meta.is_file() => seen = io::ErrorKind::PermissionDenied,
            _ => {}
        }
    }
    Err(if seen == io::ErrorKind::NotFound {
        io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error())
    } else {
        io::Error::from_raw_os_error(rustix::io::Errno::ACCESS.raw_os_error())
    })
}

/// A program found in the agent's own search path.
pub(crate) fn find_own(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_program(name, &OsStr::to_string_lossy(&path), None)
}

struct Watch<'a> {
    streams: Streams,
    pidfd: Option<OwnedFd>,
    deadline: Option<Instant>,
    kill_at: Option<Instant>,
    timed_out: bool,
    group: Pid,
    spared: bool,
    outbox: Option<&'a Outbox>,
    /// When output was sent last.
    told: Instant,
}

impl Watch<'_> {
    fn until_ended(&mut self, child: &mut Child, task: &Task) -> io::Result<ExitStatus> {
        loop {
            let ended = task.reaped(self.group, || child.try_wait().transpose());
            if let Some(status) = ended {
                // What it wrote is in the pipes. Who still holds them open (a daemon it left behind) is not waited for.
                self.streams.take_all();
                self.tell(task, true);
                return status;
            }
            self.end_if_due(task);
            self.wait()?;
            self.streams.take_all();
            self.tell(task, false);
        }
    }

    /// Sends what the program has written since.
    fn tell(&mut self, task: &Task, all: bool) {
        let Some(outbox) = self.outbox else { return };
        let streams = [
            (false, &mut self.streams.stdout.1),
            (true, &mut self.streams.stderr.1),
        ];
        let waiting: usize = streams.iter().map(|(_, kept)| kept.fresh.len()).sum();
        if waiting == 0 || !all && waiting < OUTPUT_BATCH && self.told.elapsed() < OUTPUT_LINGER {
            return;
        }
        self.told = Instant::now();
        for (is_stderr, kept) in streams {
            let mut bytes = std::mem::take(&mut kept.fresh);
            bytes.truncate(task.may_send(bytes.len()));
            if !bytes.is_empty() {
                let task = task.number();
                outbox.offer(&FromAgent::Output {
                    task,
                    is_stderr,
                    bytes,
                });
            }
        }
    }

    fn end_if_due(&mut self, task: &Task) {
        let now = Instant::now();
        match self.kill_at {
            Some(at) if now >= at => {
                let _ = kill_process_group(self.group, Signal::KILL);
            }
            Some(_) => {}
            None => {
                let late = self.deadline.is_some_and(|at| now >= at);
                if late || task.is_cancelled() && !self.spared {
                    self.timed_out = late;
                    let _ = kill_process_group(self.group, Signal::TERM);
                    self.kill_at = Some(now + GRACE);
                }
            }
        }
    }

    /// Until there is something to do.
    fn wait(&self) -> io::Result<()> {
        let mut limit = if self.pidfd.is_some() {
            TICK
        } else {
            TICK_WITHOUT_PIDFD
        };
        for at in [self.deadline, self.kill_at].into_iter().flatten() {
            // A deadline that has passed is waited for no more: the order to end was given.
            let rest = at.saturating_duration_since(Instant::now());
            if !rest.is_zero() {
                limit = limit.min(rest);
            }
        }
        let mut fds = Vec::with_capacity(4);
        if let Some(pidfd) = &self.pidfd {
            fds.push(PollFd::new(pidfd, PollFlags::IN));
        }
        let streams = &self.streams;
        for file in [&streams.stdout.0, &streams.stderr.0].into_iter().flatten() {
            fds.push(PollFd::new(file, PollFlags::IN));
        }
        if let Some((file, _, _)) = &streams.stdin {
            fds.push(PollFd::new(file, PollFlags::OUT));
        }
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

struct Streams {
    stdin: Option<(File, Vec<u8>, usize)>,
    stdout: (Option<File>, Capped),
    stderr: (Option<File>, Capped),
}

impl Streams {
    fn of(child: &mut Child, stdin: Option<Vec<u8>>) -> io::Result<Self> {
        let ours = |fd: OwnedFd| -> io::Result<File> {
            fcntl_setfl(fd.as_fd(), OFlags::NONBLOCK)?;
            Ok(File::from(fd))
        };
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let input = child.stdin.take().zip(stdin);
        let input = input.map(|(fd, bytes)| Ok::<_, io::Error>((ours(fd.into())?, bytes, 0)));
        Ok(Streams {
            stdin: input.transpose()?,
            stdout: (
                out.map(|fd| ours(fd.into())).transpose()?,
                Capped::default(),
            ),
            stderr: (
                err.map(|fd| ours(fd.into())).transpose()?,
                Capped::default(),
            ),
        })
    }

    /// Reads and writes what is possible without waiting, a bounded amount.
    fn take_all(&mut self) {
        take(&mut self.stdout);
        take(&mut self.stderr);
        if let Some((file, bytes, done)) = &mut self.stdin {
            let more = match file.write(&bytes[*done..]) {
                Ok(count) => {
                    *done += count;
                    *done < bytes.len()
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            };
            if !more {
                self.stdin = None;
            }
        }
    }
}

fn take((file, kept): &mut (Option<File>, Capped)) {
    let mut buffer = [0; 16 << 10];
    for _ in 0..128 {
        let Some(open) = file else { return };
        match open.read(&mut buffer) {
            Ok(0) => *file = None,
            Ok(count) => kept.push(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => *file = None,
        }
    }
}

/// The first and the last part of a stream.
#[derive(Default)]
struct Capped {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Where the oldest byte of a full tail is.
    start: usize,
    cut: u64,
    /// What came since somebody was told, as far as it fits.
    fresh: Vec<u8>,
}

impl Capped {
    const HALF: usize = CommandOutput::KEPT_MAX / 2;

    fn push(&mut self, mut bytes: &[u8]) {
        let room = FRESH_MAX.saturating_sub(self.fresh.len());
        self.fresh
            .extend_from_slice(&bytes[..room.min(bytes.len())]);
        let room = Self::HALF - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        bytes = rest;
        let room = Self::HALF - self.tail.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.tail.extend_from_slice(first);
        for byte in rest {
            self.tail[self.start] = *byte;
            self.start = (self.start + 1) % Self::HALF;
        }
        self.cut += rest.len() as u64;
    }

    fn parts(&mut self) -> (Vec<u8>, u64) {
        let mut all = std::mem::take(&mut self.head);
        all.extend_from_slice(&self.tail[self.start..]);
        all.extend_from_slice(&self.tail[..self.start]);
        (all, self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(line: &str) -> Program {
        Program::new(["sh", "-c", line])
    }

    fn run_it(program: &Program) -> CommandOutput {
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        run(program, &[path], &Task::default()).unwrap()
    }

    #[test]
    fn gives_output_status_and_input() {
        let output = run_it(&sh("cat; echo err >&2; exit 3").stdin("hello"));
        assert_eq!((output.rc, output.stdout_text().as_str()), (3, "hello"));
        assert_eq!(output.stderr_text(), "err\n");
        assert_eq!(run_it(&sh("kill -9 $$")).rc, -9);
        assert_eq!(run_it(&sh("cat")).stdout_text(), "");
    }

    #[test]
    fn input_larger_than_a_pipe_goes_through() {
        let bytes = vec![b'x'; 1 << 20];
        assert_eq!(
            run_it(&sh("wc -c").stdin(bytes)).stdout_text().trim(),
            "1048576"
        );
        assert_eq!(run_it(&sh("true").stdin(vec![b'x'; 1 << 20])).rc, 0);
    }

    #[test]
    fn keeps_both_ends_of_a_flood() {
        let output = run_it(&sh("echo first; head -c 10000000 /dev/zero; echo last"));
        assert_eq!(output.stdout.len(), CommandOutput::KEPT_MAX);
        assert!(output.stdout.starts_with(b"first\n") && output.stdout.ends_with(b"last\n"));
        assert_eq!(
            output.stdout_cut,
            10_000_011 - CommandOutput::KEPT_MAX as u64
        );
    }

    #[test]
    fn a_daemon_that_keeps_the_pipe_is_not_waited_for() {
        let started = Instant::now();
        let output = run_it(&sh("sleep 30 & echo $!"));
        assert!(started.elapsed() < Duration::from_secs(20));
        let left = output
            .stdout_text()
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw);
        rustix::process::kill_process(left.unwrap(), Signal::KILL).unwrap();
    }

    #[test]
    fn ends_with_its_group_when_its_time_is_up() {
        let mut program = sh("sleep 60 | sleep 60");
        program.timeout_s = Some(0);
        let output = run_it(&program);
        assert!(output.timed_out);
        assert_eq!(output.rc, -15);
    }

    #[test]
    fn umask_directory_and_environment() {
        let dir = std::env::temp_dir().canonicalize().unwrap();
        let mut program = sh("umask; pwd; echo $A").env("A", "b");
        program.umask = Some(0o027);
        program.chdir = Some(dir.display().to_string());
        assert_eq!(
            run_it(&program).stdout_text(),
            format!("0027\n{}\nb\n", dir.display())
        );
    }

    #[test]
    fn missing_programs_are_errors() {
        let missing = Program::new(["no-such-program"]);
        let error = run(&missing, &[], &Task::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(run(&Program::default(), &[], &Task::default()).is_err());
    }
}
