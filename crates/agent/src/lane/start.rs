//! Starting this binary as another user: the command line, the password, the magic.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use hostler_change::Program;
use hostler_protocol::{Become, BecomeMethod, LaneErrorKind, MAGIC};
use hostler_value::Secret;
use rustix::process::{Pid, Signal, kill_process_group};

use super::classify::{classify, is_prompt, wants_terminal};
use super::{public, tty};
use crate::host::plain;
use crate::process::find_own;

/// Bytes before the magic that are skipped: what login scripts and lectures print.
const NOISE_MAX: usize = 64 << 10;
/// How long what a program said last may be on its way after it has ended.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(200);

/// An opened lane.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) stdin: File,
    pub(super) events: Receiver<Event>,
    /// Bytes that came behind the magic already.
    pub(super) first: Vec<u8>,
    pub(super) said: Said,
}

/// What a lane's process does.
pub(super) enum Event {
    /// It wrote to standard output.
    Out(Vec<u8>),
    /// It wrote to standard error or its terminal.
    Said(Vec<u8>),
    /// Its standard output ended.
    OutEnded,
}

/// The end of what a process said for people.
#[derive(Default)]
pub(super) struct Said(Vec<u8>);

impl Said {
    const KEPT: usize = 4096;

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let excess = self.0.len().saturating_sub(Self::KEPT);
        self.0.drain(..excess);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// The last line with something on it, at most 300 characters.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = self.text();
        let line = text
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty());
        line.map(|line| line.chars().take(300).collect())
    }
}

type Failure = (LaneErrorKind, String);

/// Starts the agent as another user and waits for its magic.
pub(super) fn start(r#become: &Become, sha256: &[u8; 32]) -> Result<Started, Failure> {
    let deadline = Instant::now() + Duration::from_secs(u64::from(r#become.timeout_s.max(1)));
    let agent = public::path_for(&r#become.user, sha256)
        .map_err(|reason| (LaneErrorKind::Failed, reason))?;
    let agent = agent.display().to_string();
    let marker = marker();
    let argv = argv(r#become, &marker, &agent)?;
    // su and doas read a password from a terminal; sudo -S from its input, unless the host wants a terminal for it.
    let ask_on_terminal = r#become.password.is_some() && r#become.method != BecomeMethod::Sudo;
    let attempt = |terminal| {
        let process = Process::spawn(&argv, terminal)?;
        process.until_magic(r#become, &marker, deadline)
    };
    match attempt(ask_on_terminal) {
        Err(refusal) if !ask_on_terminal && refusal.wants_terminal => attempt(true),
        other => other,
    }
    .map_err(|refusal| (refusal.kind, refusal.message))
}

/// A prompt that nothing else prints.
fn marker() -> String {
    let mut bytes = [0; 12];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        let seed = (std::process::id(), Instant::now());
        bytes = *format!("{seed:?}{:12}", "")
            .as_bytes()
            .last_chunk()
            .unwrap_or(&bytes);
    }
    format!("[hostler-{}]", super::hex(&bytes))
}

/// The command line. It never holds the password.
fn argv(r#become: &Become, marker: &str, agent: &str) -> Result<Vec<String>, Failure> {
    let usual = match r#become.method {
        BecomeMethod::Sudo => "sudo",
        BecomeMethod::Su => "su",
        BecomeMethod::Doas => "doas",
    };
    let name = r#become.exe.as_deref().unwrap_or(usual);
    let found = find_own(name).ok().filter(|path| path.exists());
    let program = found.ok_or_else(|| {
        let what = format!(
            "{name} is not installed on this host, so tasks cannot become {}",
            r#become.user
        );
        (LaneErrorKind::NoProgram, what)
    })?;
    if r#become.user.is_empty() || r#become.user.starts_with('-') {
        return Err((
            LaneErrorKind::Failed,
            format!("not a user name: `{}`", r#become.user),
        ));
    }
    let mut argv = vec![program.display().to_string()];
    let asks = r#become.password.is_some();
    let mut flags = r#become.flags.clone();
    match r#become.method {
        BecomeMethod::Sudo => {
            if flags.is_empty() {
                flags = ["-H", "-S", "-n"].map(str::to_owned).to_vec();
            }
            if asks {
                flags.retain(|flag| flag != "-n" && flag != "--non-interactive");
                let reads = |flag: &String| flag == "-S" || flag == "--stdin";
                if !flags.iter().any(reads) {
                    flags.push("-S".into());
                }
                flags.extend(["-p".to_owned(), marker.to_owned()]);
            }
            argv.extend(flags);
            argv.extend(["-u", &r#become.user, "--", agent].map(str::to_owned));
        }
        BecomeMethod::Su => {
            argv.extend(flags);
            let line = Program::new([agent]).shown().to_string();
            argv.extend([r#become.user.clone(), "-c".into(), line]);
        }
        BecomeMethod::Doas => {
            if !asks && !flags.iter().any(|flag| flag == "-n") {
                flags.push("-n".into());
            }
            argv.extend(flags);
            argv.extend(["-u", &r#become.user, "--", agent].map(str::to_owned));
        }
    }
    Ok(argv)
}

struct Refusal {
    kind: LaneErrorKind,
    message: String,
    wants_terminal: bool,
}

impl Refusal {
    fn new(kind: LaneErrorKind, message: impl Into<String>) -> Self {
        Refusal {
            kind,
            message: message.into(),
            wants_terminal: false,
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::new(LaneErrorKind::Failed, plain(error).to_string())
    }
}

struct Process {
    child: Child,
    stdin: File,
    events: Receiver<Event>,
}

impl Process {
    fn spawn(argv: &[String], terminal: bool) -> Result<Self, Refusal> {
        let pair = if terminal {
            Some(tty::open_pair()?)
        } else {
            None
        };
        let mut command = match &pair {
            None => {
                let mut command = Command::new(&argv[0]);
                command
                    .process_group(0)
                    .stdin(Stdio::piped())
                    .args(&argv[1..]);
                command
            }
            Some((_, slave)) => {
                let mut command = Command::new("/proc/self/exe");
                command.arg(tty::TTY_WORD).args(argv);
                command.stdin(Stdio::from(slave.try_clone()?));
                command
            }
        };
        speak_english(&mut command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        drop(command);
        let (sender, events) = sync_channel(16);
        if let Some(out) = child.stdout.take() {
            read_into(sender.clone(), out, Event::Out, true)?;
        }
        if let Some(err) = child.stderr.take() {
            read_into(sender.clone(), err, Event::Said, false)?;
        }
        let stdin = match (pair, child.stdin.take()) {
            (Some((master, _)), _) => {
                read_into(sender, master.try_clone()?, Event::Said, false)?;
                master
            }
            (None, Some(pipe)) => File::from(std::os::fd::OwnedFd::from(pipe)),
            (None, None) => return Err(Refusal::new(LaneErrorKind::Failed, "it has no input")),
        };
        Ok(Process {
            child,
            stdin,
            events,
        })
    }

    fn until_magic(
        mut self,
        r#become: &Become,
        marker: &str,
        deadline: Instant,
    ) -> Result<Started, Refusal> {
        let password = r#become.password.as_deref().map(Secret::new);
        let (mut out, mut said) = (Vec::new(), Said::default());
        // What was said since the last answer: a prompt is answered once.
        let mut fresh = Vec::new();
        let mut sent = false;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(rest) {
                Ok(Event::Out(bytes)) => {
                    out.extend_from_slice(&bytes);
                    if let Some(at) = find(&out, &MAGIC) {
                        let first = out.split_off(at + MAGIC.len());
                        return Ok(Started {
                            child: self.child,
                            stdin: self.stdin,
                            events: self.events,
                            first,
                            said: Said::default(),
                        });
                    }
                    if out.len() > NOISE_MAX {
                        let words = "it printed 64 KiB and the agent did not answer";
                        return Err(self.give_up(LaneErrorKind::Failed, words));
                    }
                }
                Ok(Event::Said(bytes)) => {
                    said.push(&bytes);
                    fresh.extend_from_slice(&bytes);
                    let excess = fresh.len().saturating_sub(Said::KEPT);
                    fresh.drain(..excess);
                    if !is_prompt(r#become.method, marker, &String::from_utf8_lossy(&fresh)) {
                        continue;
                    }
                    fresh.clear();
                    match &password {
                        None => {
                            let words = "it asks for a password and none was given";
                            return Err(self.give_up(LaneErrorKind::PasswordNeeded, words));
                        }
                        // Exactly one attempt: accounts lock after a few.
                        Some(_) if sent => {
                            let words = "it refused the password";
                            return Err(self.give_up(LaneErrorKind::PasswordWrong, words));
                        }
                        Some(password) => {
                            let line = Secret::new(format!("{}\n", password.reveal()));
                            self.stdin.write_all(line.reveal().as_bytes())?;
                            sent = true;
                        }
                    }
                }
                Ok(Event::OutEnded) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.ended(r#become, marker, said, sent));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let words = format!("no answer within {} s", r#become.timeout_s);
                    return Err(self.give_up(LaneErrorKind::Timeout, &words));
                }
            }
        }
    }

    /// Ends it, as far as it lets itself be ended by this user: it reads the end of its input in any case.
    fn give_up(mut self, kind: LaneErrorKind, words: &str) -> Refusal {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        drop(self.stdin);
        let _ = thread::Builder::new().spawn(move || self.child.wait());
        Refusal::new(kind, words)
    }

    /// It ended without a magic: says why.
    fn ended(mut self, r#become: &Become, marker: &str, mut said: Said, sent: bool) -> Refusal {
        while let Ok(event) = self.events.recv_timeout(LAST_WORDS) {
            if let Event::Said(bytes) = event {
                said.push(&bytes);
            }
        }
        let text = said.text().replace(marker, "");
        // The reason may stand before the last line: "unknown user", then "cannot initialise".
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .collect();
        let last = lines[lines.len().saturating_sub(3)..].join("; ");
        let mut line: String = last.chars().take(300).collect();
        if line.is_empty() {
            line.push_str("it ended without a word");
        }
        // A password that somebody typed where it is echoed must not come back.
        let line = match &r#become.password {
            Some(password) if !password.is_empty() => line.replace(password.as_str(), "********"),
            _ => line,
        };
        let refusal = Refusal::new(classify(&text, sent), line);
        let wants_terminal = wants_terminal(&text);
        drop(self.stdin);
        let _ = thread::Builder::new().spawn(move || self.child.wait());
        Refusal {
            wants_terminal,
            ..refusal
        }
    }
}

/// Messages are read, so they must be in one language; all else of the locale stays for the tasks.
fn speak_english(command: &mut Command) {
    if let Ok(all) = std::env::var("LC_ALL") {
        command.env_remove("LC_ALL").env("LANG", all);
    }
    command.env_remove("LANGUAGE").env("LC_MESSAGES", "C");
}

fn read_into(
    sender: SyncSender<Event>,
    mut from: impl Read + Send + 'static,
    event: fn(Vec<u8>) -> Event,
    tell_end: bool,
) -> io::Result<()> {
    let body = move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    if sender.send(event(buffer[..count].to_vec())).is_err() {
                        return;
                    }
                }
            }
        }
        if tell_end {
            let _ = sender.send(Event::OutEnded);
        }
    };
    thread::Builder::new().spawn(body).map(drop)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn become_by(method: BecomeMethod, password: Option<&str>) -> Become {
        Become {
            method,
            user: "nobody".into(),
            password: password.map(str::to_owned),
            flags: Vec::new(),
            exe: Some("/bin/sh".into()),
            timeout_s: 5,
        }
    }

    #[test]
    fn command_lines() {
        let line = |it: &Become| argv(it, "[m]", "/a gent").unwrap()[1..].join(" ");
        let sudo = become_by(BecomeMethod::Sudo, None);
        assert_eq!(line(&sudo), "-H -S -n -u nobody -- /a gent");
        let sudo = become_by(BecomeMethod::Sudo, Some("pw"));
        assert_eq!(line(&sudo), "-H -S -p [m] -u nobody -- /a gent");
        assert_eq!(
            line(&become_by(BecomeMethod::Su, Some("pw"))),
            "nobody -c '/a gent'"
        );
        assert_eq!(
            line(&become_by(BecomeMethod::Doas, None)),
            "-n -u nobody -- /a gent"
        );
        let mut missing = become_by(BecomeMethod::Sudo, None);
        missing.exe = Some("/no/sudo".into());
        assert_eq!(
            argv(&missing, "", "").unwrap_err().0,
            LaneErrorKind::NoProgram
        );
        let mut forged = become_by(BecomeMethod::Su, None);
        forged.user = "-c".into();
        assert!(argv(&forged, "", "").is_err());
    }
}
