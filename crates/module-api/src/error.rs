//! How looking and planning fail.

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
#[derive(Debug, thiserror::Error)]
#[error("{msg}")]
pub struct ModuleError {
    /// One line, in ansible-core's words where it has some.
    pub msg: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Return values that go with the failure (`rc`, `stderr`, `path`, ...).
    pub fields: hostler_value::Map,
    /// In a preview: not a failure; these earlier tasks decide what would be done.
    pub unknown: Vec<Cause>,
}

impl ModuleError {
    /// A failure with a message.
    pub fn new(msg: impl Into<String>) -> Self {
        ModuleError {
            msg: msg.into(),
            hint: None,
            fields: hostler_value::Map::new(),
            unknown: Vec::new(),
        }
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
        let mut failure = ModuleError::new(error.to_string());
        if let InspectError::Unknown { by, .. } = error {
            failure.unknown = by;
        }
        failure
    }
}
