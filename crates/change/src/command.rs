//! Programs that run on a host, and what came of them.

use serde::{Deserialize, Serialize};

/// A program to run: always an argument vector, never a line for a shell (a module that runs a shell names it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Program and arguments. A name without `/` is looked up in the search path.
    pub argv: Vec<String>,
    /// Bytes for its standard input; `None` is an empty input (`/dev/null`).
    pub stdin: Option<Vec<u8>>,
    /// Variables set on top of the task's environment.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub chdir: Option<String>,
    /// File mode mask.
    pub umask: Option<u32>,
    /// What people read instead of the argument vector, where that holds a whole script.
    pub shown_as: Option<String>,
    /// Ended, with its whole process group, after this many seconds.
    pub timeout_s: Option<u64>,
}

impl Program {
    /// A program with its arguments.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Program {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Program::default()
        }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives it an input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Sets what people read instead of the argument vector.
    #[must_use]
    pub fn shown_as(mut self, text: impl Into<String>) -> Self {
        self.shown_as = Some(text.into());
        self
    }

    /// The argument vector for people, quoted for a POSIX shell; or what stands for it.
    pub fn shown(&self) -> Shown<'_> {
        Shown(self)
    }
}

/// Shows an argument vector as a line that a POSIX shell would read back the same; or what stands for it.
pub struct Shown<'a>(&'a Program);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(text) = &self.0.shown_as {
            return f.write_str(text);
        }
        for (index, word) in self.0.argv.iter().enumerate() {
            let gap = if index > 0 { " " } else { "" };
            let plain = |ch: char| ch.is_ascii_alphanumeric() || "@%+=:,./-_".contains(ch);
            if !word.is_empty() && word.chars().all(plain) {
                write!(f, "{gap}{word}")?;
            } else {
                write!(f, "{gap}'{}'", word.replace('\'', "'\\''"))?;
            }
        }
        Ok(())
    }
}

/// What a program left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandOutput {
    /// Exit status; minus the signal's number if a signal ended it, as Python's `subprocess` counts.
    pub rc: i32,
    /// Standard output, at most [`CommandOutput::KEPT_MAX`] bytes: the first and the last half of that.
    pub stdout: Vec<u8>,
    /// Standard error, bounded the same way.
    pub stderr: Vec<u8>,
    /// Bytes of standard output that were left out in the middle.
    pub stdout_cut: u64,
    /// Bytes of standard error that were left out in the middle.
    pub stderr_cut: u64,
    /// When it started, in microseconds since the epoch by the host's clock.
    pub start_us: i64,
    /// When it ended, likewise.
    pub end_us: i64,
    /// It was ended because its time was up.
    pub timed_out: bool,
}

impl CommandOutput {
    /// Bytes kept of each stream.
    pub const KEPT_MAX: usize = 2 << 20;

    /// Standard output as text; bytes that are not UTF-8 become U+FFFD.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, likewise.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Did it exit with status 0?
    pub fn success(&self) -> bool {
        self.rc == 0
    }
}
