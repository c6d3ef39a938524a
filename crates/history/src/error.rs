//! What can go wrong with the store.

use std::path::{Path, PathBuf};

use crate::Held;

/// The store cannot be used, or not for this.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state directory or a file in it, in words.
    #[error("{0}")]
    Directory(String),
    /// A newer hostler made the database.
    #[error(
        "{path} was made by a newer hostler (schema {found}; this one knows {known}): use that one, or another --state-dir",
        path = path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// There is such a file, and it is not ours.
    #[error("{path} is not a run store of hostler", path = .0.display())]
    Foreign(PathBuf),
    /// The database is damaged, and was moved aside: the next run starts a new one.
    #[error(
        "{path} is damaged ({why}); it was moved to {moved}, and the next run starts a new one",
        path = path.display(), moved = moved.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// Where it is now.
        moved: PathBuf,
        /// What `SQLite` says.
        why: String,
    },
    /// The key file is not that of the database, or is missing.
    #[error("{0}")]
    Key(String),
    /// Another process has the database locked for too long.
    #[error("{path} is locked by another process since 30 s", path = .0.display())]
    Locked(PathBuf),
    /// What is stored cannot be understood: it was sealed with another key, or altered.
    #[error("the run store has an entry that cannot be read: {0}")]
    Unreadable(String),
    /// There is no such run.
    #[error("there is no run {0}")]
    NoSuchRun(String),
    /// The beginning of an id fits several runs.
    #[error("{text} fits several runs: {}", runs.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// Ids of runs that begin so.
        runs: Vec<String>,
    },
    /// The run is still going on, as far as can be known.
    #[error("run {run} is still going on: {held}", run = held.run.0)]
    StillRunning {
        /// Who runs it.
        held: Box<Held>,
    },
    /// The journal of the run was written by a hostler whose journals this one cannot read.
    #[error(
        "run {run} was made by hostler {version}, whose journals this version cannot read; it can be shown, but not resumed"
    )]
    OtherForm {
        /// The run.
        run: String,
        /// Version of hostler that began it.
        version: String,
    },
    /// Somebody broke the lock of the run, and may have gone on with it: nothing of it may be written here any more.
    #[error("its lock {0} was broken by somebody else")]
    LockBroken(String),
    /// The run ended, and its journal was dropped.
    #[error("run {0} has nothing to resume")]
    NotResumable(String),
    /// Everything else that `SQLite` or the system says.
    #[error("{what}: {why}")]
    Failed {
        /// What was tried, with the file.
        what: String,
        /// What came of it.
        why: String,
    },
}

/// For results of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

impl StoreError {
    pub(crate) fn unreadable(what: impl std::fmt::Display) -> Self {
        StoreError::Unreadable(what.to_string())
    }

    /// An error of the database at `path`, in our words.
    pub(crate) fn database(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreError::Locked(path.to_owned())
            }
            _ => StoreError::Failed {
                what: path.display().to_string(),
                why: error.to_string(),
            },
        }
    }
}

/// Does it say that the file is damaged?
pub(crate) fn is_corruption(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Does it say that the disk is full?
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    // A write below a file size limit is an I/O error to SQLite (SQLITE_IOERR_WRITE) that means the same.
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
    )
}
