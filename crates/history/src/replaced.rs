//! Files as they were before a run replaced them.

use hostler_change::{Before, Replaced};
use hostler_events::{RunId, TaskId};

use crate::error::{Result, StoreError};
use crate::seal::{Address, Kind};
use crate::store::{DbError, Store};

/// A file that a run made, replaced or removed.
#[derive(Clone, Debug)]
pub struct ReplacedFile {
    /// The task that did.
    pub task: TaskId,
    /// Host of the play.
    pub host: String,
    /// Inventory name of the host where the file is: the delegate's, if there was one.
    pub place: String,
    /// When, in microseconds since the epoch.
    pub at_us: i64,
    /// The file before and after.
    pub file: Replaced,
}

/// Everything but the content, which is stored once for all.
pub(crate) fn encode(file: &Replaced) -> Result<Vec<u8>> {
    let before = file.before.as_ref().map(|before| Before {
        uid: before.uid,
        gid: before.gid,
        mode: before.mode,
        sha256: before.sha256,
        content: None,
    });
    let bare = Replaced {
        path: file.path.clone(),
        before,
        after: file.after,
    };
    postcard::to_allocvec(&bare).map_err(StoreError::unreadable)
}

/// What the entry is bound to.
pub(crate) fn sealed_at(run: i64, place: &str, path: &str) -> Vec<u8> {
    let mut at = run.to_be_bytes().to_vec();
    at.extend_from_slice(place.as_bytes());
    at.push(0);
    at.extend_from_slice(path.as_bytes());
    at
}

impl Store {
    /// Files that a run replaced, newest first; of these hosts only (where the files are), if some are given.
    ///
    /// # Errors
    /// If there is no such run or it cannot be read.
    pub fn replaced(&self, run: &RunId, hosts: Option<&[String]>) -> Result<Vec<ReplacedFile>> {
        self.with(|connection| {
            let run = crate::query::number(connection, run)?;
            let sql = "SELECT task, host, place, path, at_us, replaced.body, address, contents.body
                       FROM replaced LEFT JOIN contents ON contents.id = content
                       WHERE run = ?1 ORDER BY replaced.id DESC";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([run])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let place: String = row.get(2)?;
                if hosts.is_some_and(|hosts| !hosts.contains(&place)) {
                    continue;
                }
                let path: String = row.get(3)?;
                let body: Vec<u8> = row.get(5)?;
                let body =
                    self.sealer()
                        .open(Kind::Replaced, &sealed_at(run, &place, &path), &body)?;
                let mut file: Replaced =
                    postcard::from_bytes(&body).map_err(StoreError::unreadable)?;
                let address: Option<Address> = row.get(6)?;
                if let (Some(address), Some(before)) = (address, &mut file.before) {
                    let content: Vec<u8> = row.get(7)?;
                    before.content = Some(self.sealer().open(Kind::File, &address, &content)?);
                }
                all.push(ReplacedFile {
                    task: TaskId(row.get(0)?),
                    host: row.get(1)?,
                    place,
                    at_us: row.get(4)?,
                    file,
                });
            }
            Ok::<_, DbError>(all)
        })
    }
}
