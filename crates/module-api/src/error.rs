//! How looking and planning fail.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use hostler_value::Cause;

/// Looking at the host failed.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// A system call on a path failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, such as "read".
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is larger than the caller can use.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// A program that was needed to look could not be started.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The controller did not deliver a blob, or what it delivered is not what the hash names.
    #[error("content from the controller is missing: {0}")]
    Blob(String),
    /// In a preview: an earlier task decides what is to be seen here. Becomes the outcome "unknown", not a failure.
    #[error("{what} is not known before the host has been changed")]
    Unknown {
        /// What was looked at: `/etc/nginx/nginx.conf`, `unit nginx.service`.
        what: String,
        /// The tasks that decide it.
        by: Vec<Cause>,
    },
}

/// A module cannot do what it was asked: becomes the task's failure.
///
/// One word long, because a fifth of the modules' code would be the moving of failures otherwise: each `?` is one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.msg)]
pub struct ModuleError(Box<Failed>);

/// What a [`ModuleError`] says.
#[derive(Debug, Default)]
pub struct Failed {
    /// One line, in ansible-core's words where it has some.
    pub msg: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Return values that go with the failure (`rc`, `stderr`, `path`, ...).
    pub fields: hostler_value::Map,
    /// In a preview: not a failure; these earlier tasks decide what would be done.
    pub unknown: Vec<Cause>,
}

impl Deref for ModuleError {
    type Target = Failed;

    fn deref(&self) -> &Failed {
        &self.0
    }
}

impl DerefMut for ModuleError {
    fn deref_mut(&mut self) -> &mut Failed {
        &mut self.0
    }
}

impl From<Failed> for ModuleError {
    fn from(failed: Failed) -> Self {
        ModuleError(Box::new(failed))
    }
}

impl ModuleError {
    /// A failure with a message.
    pub fn new(msg: impl Into<String>) -> Self {
        ModuleError::of(msg.into())
    }

    /// Not generic, so that there is one of it.
    #[inline(never)]
    fn of(msg: String) -> Self {
        let failed = Failed {
            msg,
            ..Failed::default()
        };
        failed.into()
    }

    /// Not a failure: in a preview, what would be done is decided by these earlier tasks.
    pub fn unknown(msg: impl Into<String>, by: Vec<Cause>) -> Self {
        let mut error = ModuleError::new(msg);
        error.unknown = by;
        error
    }

    /// What it says.
    pub fn into_parts(self) -> Failed {
        *self.0
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a return value.
    #[must_use]
    pub fn field(
        mut self,
        name: impl Into<hostler_value::Value>,
        value: impl Into<hostler_value::Value>,
    ) -> Self {
        self.fields.insert(name, value);
        self
    }
}

impl From<InspectError> for ModuleError {
    fn from(error: InspectError) -> Self {
        let msg = error.to_string();
        match error {
            InspectError::Unknown { by, .. } => ModuleError::unknown(msg, by),
            _ => ModuleError::new(msg),
        }
    }
}
