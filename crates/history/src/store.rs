//! The store as a whole: one database in one state directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::error::{Result, StoreError, is_corruption};
use crate::failpoint::{self, Place};
use crate::seal::Sealer;
use crate::{StateDir, key_file, schema};

/// The run store. Cheap to clone; several programs may use one at the same time.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    dir: StateDir,
    path: PathBuf,
    sealer: Sealer,
    /// For questions and small changes; each run has its own besides.
    connection: Mutex<Option<Connection>>,
}

/// An error inside the store, before it is put in words.
#[derive(Debug)]
pub(crate) enum DbError {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        DbError::Sql(error)
    }
}

impl From<StoreError> for DbError {
    fn from(error: StoreError) -> Self {
        DbError::Store(error)
    }
}

impl Store {
    /// Opens the store of a state directory; makes it if there is none.
    ///
    /// # Errors
    /// If the database or its key cannot be used; a damaged database is moved aside and named.
    pub fn open(dir: &StateDir) -> Result<Self> {
        let path = dir.database();
        let key_path = dir.key();
        let there = path.exists();
        let key = if there {
            key_file::read(&key_path)
        } else {
            key_file::read_or_make(&key_path).map(Some)
        };
        let key = key.map_err(StoreError::Key)?.ok_or_else(|| {
            StoreError::Key(format!(
                "{} is missing: without it {} cannot be read. Put it back, or move the database aside",
                key_path.display(),
                path.display()
            ))
        })?;
        let sealer = Sealer::new(&key)?;
        let store = Store(Arc::new(Inner {
            dir: dir.clone(),
            path,
            sealer,
            connection: Mutex::new(None),
        }));
        store.explain(schema::prepare(
            store.path(),
            schema::MIGRATIONS,
            &store.sealer().check(),
        ))?;
        let made_with = store.with(|connection| {
            let sql = "SELECT value FROM meta WHERE name = 'key'";
            Ok(connection
                .query_row(sql, [], |row| row.get::<_, Vec<u8>>(0))
                .optional()?)
        })?;
        if made_with.as_deref() != Some(&store.sealer().check()) {
            return Err(StoreError::Key(format!(
                "{} is not the key that {} was made with. Put that one back, or move the database aside",
                key_path.display(),
                store.path().display()
            )));
        }
        Ok(store)
    }

    /// Its directory.
    pub fn dir(&self) -> &StateDir {
        &self.0.dir
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// A connection of one's own.
    pub(crate) fn connect(&self) -> Result<Connection> {
        self.explain(schema::connect(self.path()).map_err(DbError::from))
    }

    /// Asks something.
    pub(crate) fn with<T>(
        &self,
        ask: impl FnOnce(&mut Connection) -> std::result::Result<T, DbError>,
    ) -> Result<T> {
        let mut slot = self.slot();
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = ask(&mut connection);
        *slot = Some(connection);
        drop(slot);
        self.explain(answer)
    }

    /// Changes something, in one transaction.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, DbError>,
    ) -> Result<T> {
        self.with(|connection| transact(connection, change))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Connection>> {
        let connection = &self.0.connection;
        connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an error in words; a damaged database is moved aside.
    pub(crate) fn explain<T>(&self, result: std::result::Result<T, DbError>) -> Result<T> {
        match result {
            Ok(it) => Ok(it),
            Err(DbError::Store(error)) => Err(error),
            Err(DbError::Sql(error)) => {
                if is_corruption(&error)
                    && let Some(moved) = schema::move_aside_if_damaged(self.path())?
                {
                    return Err(StoreError::Corrupt {
                        path: self.path().to_owned(),
                        moved,
                        why: error.to_string(),
                    });
                }
                Err(StoreError::database(self.path(), &error))
            }
        }
    }

    /// Bytes that the database takes on disk.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn size(&self) -> Result<u64> {
        let mut size = 0;
        for suffix in ["", "-wal"] {
            let mut path = self.path().as_os_str().to_owned();
            path.push(suffix);
            size += fs::metadata(&path).map_or(0, |it| it.len());
        }
        Ok(size)
    }

    /// Which file the path means now: a run must not go on writing to one that was removed.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        let metadata = fs::metadata(self.path()).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
}

/// Carries out a transaction that writes.
pub(crate) fn transact<T>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, DbError>,
) -> std::result::Result<T, DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answer = change(&transaction)?;
    failpoint::hit(Place::Before)?;
    transaction.commit()?;
    failpoint::hit(Place::After)?;
    Ok(answer)
}

/// Microseconds since the epoch.
pub(crate) fn now_us() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
