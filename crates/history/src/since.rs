//! What other runs did to the files of a run after it.

use std::collections::HashMap;

use hostler_change::Replaced;
use hostler_events::RunId;

use crate::error::{Result, StoreError};
use crate::replaced::sealed_at;
use crate::seal::Kind;
use crate::store::{DbError, Store};

/// A later change of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaterChange {
    /// The run that made it.
    pub run: RunId,
    /// Inventory name of the host where the file is.
    pub place: String,
    /// The file.
    pub path: String,
    /// SHA-256 of what that run left; `None` if it removed the file.
    pub after: Option<[u8; 32]>,
}

impl Store {
    /// Changes by other runs of files that this run changed, if they were made after its own last one; oldest first.
    ///
    /// # Errors
    /// If there is no such run or it cannot be read.
    pub fn replaced_since(&self, run: &RunId) -> Result<Vec<LaterChange>> {
        self.with(|connection| {
            let number = crate::query::number(connection, run)?;
            let mut own: HashMap<(String, String), i64> = HashMap::new();
            let sql = "SELECT id, place, path FROM replaced WHERE run = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([number])?;
            while let Some(row) = rows.next()? {
                let last = own.entry((row.get(1)?, row.get(2)?)).or_default();
                *last = row.get::<_, i64>(0)?.max(*last);
            }
            let first = own.values().min().copied().unwrap_or(i64::MAX);
            let sql = "SELECT replaced.id, replaced.run, runs.run, place, path, body
                       FROM replaced JOIN runs ON runs.id = replaced.run
                       WHERE replaced.id > ?1 AND replaced.run <> ?2 ORDER BY replaced.id";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([first, number])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let key: (String, String) = (row.get(3)?, row.get(4)?);
                let id: i64 = row.get(0)?;
                if own.get(&key).is_none_or(|last| id < *last) {
                    continue;
                }
                let (place, path) = key;
                let body: Vec<u8> = row.get(5)?;
                let at = sealed_at(row.get(1)?, &place, &path);
                let plain = self.sealer().open(Kind::Replaced, &at, &body)?;
                let file: Replaced =
                    postcard::from_bytes(&plain).map_err(StoreError::unreadable)?;
                all.push(LaterChange {
                    run: RunId(row.get(2)?),
                    place,
                    path,
                    after: file.after,
                });
            }
            Ok::<_, DbError>(all)
        })
    }
}
