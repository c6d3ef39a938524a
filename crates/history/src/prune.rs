//! How runs end, and when their history goes.

use hostler_events::RunId;
use rusqlite::{Connection, Transaction};

use crate::error::StoreError;
use crate::memory::entries;
use crate::store::{DbError, Store, now_us, transact};
use crate::{RunEnd, RunState};
use crate::{facts, lease};

type Result<T> = std::result::Result<T, DbError>;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Runs that began so many days ago go: 90 by default.
    pub days: u32,
    /// Of more runs the oldest go: 1000 by default.
    pub runs: u32,
    /// If the database takes more bytes, the oldest go: 2 GiB by default.
    pub bytes: Option<u64>,
}

impl Default for Keep {
    fn default() -> Self {
        Keep {
            days: 90,
            runs: 1000,
            bytes: Some(2 << 30),
        }
    }
}

/// The end of a run.
pub(crate) fn end(
    transaction: &Transaction<'_>,
    run: i64,
    end: &RunEnd,
    broken: Option<&str>,
    lost: u64,
) -> Result<()> {
    let state = if broken.is_some() {
        RunState::JournalBroken
    } else {
        end.state
    };
    transaction.execute(
        "UPDATE runs SET state = ?2, ended_us = ?3, elapsed_us = ?4, exit_code = ?5,
            resumable = ?6 AND NOT checks, reason = ?7, lost_events = lost_events + ?8
         WHERE id = ?1",
        (
            run,
            state.number(),
            now_us(),
            end.elapsed_us.cast_signed(),
            end.exit_code,
            end.resumable,
            broken,
            lost.cast_signed(),
        ),
    )?;
    let mut statement = transaction.prepare_cached("REPLACE INTO hosts VALUES (?1, ?2, ?3)")?;
    for (host, counts) in &end.recap.hosts {
        let counts = serde_json::to_string(counts).map_err(StoreError::unreadable)?;
        statement.execute((run, host, counts))?;
    }
    if !end.resumable {
        forget(transaction, run)?;
    }
    Ok(())
}

/// Nothing is left to resume: what was only kept for that goes.
fn forget(transaction: &Transaction<'_>, run: i64) -> Result<()> {
    transaction.execute("DELETE FROM notes WHERE id BETWEEN ?1 AND ?2", entries(run))?;
    transaction.execute("DELETE FROM mandates WHERE run = ?1", [run])?;
    Ok(())
}

/// A run that was left without an end.
pub(crate) fn abandon(
    transaction: &Transaction<'_>,
    run: i64,
    broken: Option<&str>,
    lost: u64,
) -> Result<()> {
    let state = if broken.is_some() {
        RunState::JournalBroken
    } else {
        RunState::Interrupted
    };
    transaction.execute(
        "UPDATE runs SET state = ?2, ended_us = ?3, reason = ?4, lost_events = lost_events + ?5
         WHERE id = ?1",
        (run, state.number(), now_us(), broken, lost.cast_signed()),
    )?;
    Ok(())
}

/// What is to be removed from the history.
#[derive(Clone, Debug, Default)]
pub struct PruneRequest {
    /// How much is kept.
    pub keep: Keep,
    /// These runs go in any case.
    pub runs: Vec<RunId>,
    /// Runs that can be resumed, or owe handlers, go like all others if there are too many; else only when they are too
    /// old.
    pub also_resumable: bool,
    /// Only say what would go. By [`Keep::bytes`] nothing is foreseen.
    pub dry_run: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The runs, oldest first.
    pub runs: Vec<RunId>,
    /// Runs that were named and stay, since a process has them.
    pub held: Vec<RunId>,
    /// Bytes of the database before.
    pub bytes_before: u64,
    /// Bytes of the database afterwards.
    pub bytes_after: u64,
}

impl Store {
    /// Removes old runs, with every content that no other run uses, and gives the room back to the disk.
    ///
    /// # Errors
    /// If a named run is not there, or the store cannot be written.
    pub fn prune(&self, request: &PruneRequest) -> crate::Result<Pruned> {
        let bytes_before = self.size()?;
        if !request.dry_run {
            // It may be a full disk that room is wanted on; the next run lays it in again.
            let _gone = std::fs::remove_file(self.dir().ballast());
        }
        let mut pruned = self.with(|connection| {
            for run in &request.runs {
                crate::query::number(connection, run)?;
            }
            let mut pruned = remove(connection, request, usize::MAX)?;
            if !request.dry_run {
                transact(connection, facts::thin)?;
            }
            if !request.dry_run && !pruned.runs.is_empty() {
                give_back(connection, u32::MAX)?;
            }
            pruned.bytes_before = bytes_before;
            Ok::<_, DbError>(pruned)
        })?;
        pruned.bytes_after = self.size()?;
        Ok(pruned)
    }

    /// Gives up a run that was interrupted: it cannot be resumed any more, and its hosts are free.
    ///
    /// # Errors
    /// If it is still going on, or the store cannot be written.
    pub fn abandon(&self, run: &RunId) -> crate::Result<()> {
        self.change(|transaction| {
            let number = crate::query::number(transaction, run)?;
            if let Some(held) = lease::holder(transaction, &run.0)? {
                if !held.life.is_gone() {
                    let held = Box::new(held);
                    return Err(StoreError::StillRunning { held }.into());
                }
                lease::release(transaction, &held.lock)?;
            }
            transaction.execute(
                "UPDATE runs SET resumable = 0, state = iif(state = 0, ?2, state) WHERE id = ?1",
                (number, RunState::Interrupted.number()),
            )?;
            forget(transaction, number)?;
            Ok::<_, DbError>(())
        })
    }
}

/// A run that may go.
struct Candidate {
    number: i64,
    run: String,
    started_us: i64,
    /// It has something that a later run may need, or one that is resumed.
    needed: bool,
    held: bool,
}

fn candidates(connection: &Connection) -> Result<Vec<Candidate>> {
    let holders = lease::holders(connection)?;
    // A run that another one needs to be resumed is as young as that one.
    let sql = "SELECT id, run, max(started_us, coalesce(
                   (SELECT max(started_us) FROM runs AS other WHERE other.needs = runs.run AND other.resumable), 0)),
                   resumable OR state = 0 OR EXISTS (SELECT 1 FROM owed WHERE owed.run = runs.run)
                   OR EXISTS (SELECT 1 FROM runs AS other WHERE other.needs = runs.run AND other.resumable)
               FROM runs ORDER BY started_us, id";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let run: String = row.get(1)?;
        let held = holders.get(&run).is_some_and(|it| !it.life.is_gone());
        Ok(Candidate {
            number: row.get(0)?,
            run,
            started_us: row.get(2)?,
            needed: row.get(3)?,
            held,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes at most so many runs, each in a transaction of its own: others write meanwhile.
fn remove(connection: &mut Connection, request: &PruneRequest, at_most: usize) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let all = candidates(connection)?;
    let oldest = now_us() - i64::from(request.keep.days) * 86_400_000_000;
    let keep = usize::try_from(request.keep.runs).unwrap_or(usize::MAX);
    let mut left = all.len();
    for it in all {
        let named = request.runs.iter().any(|run| run.0 == it.run);
        if it.held {
            if named {
                pruned.held.push(RunId(it.run));
            }
            continue;
        }
        let free = request.also_resumable || !it.needed;
        let goes = named
            || it.started_us < oldest
            || free && (left > keep || !request.dry_run && is_too_large(connection, request)?);
        if !goes || pruned.runs.len() >= at_most {
            continue;
        }
        if !request.dry_run {
            transact(connection, |transaction| delete(transaction, &it))?;
        }
        left -= 1;
        pruned.runs.push(RunId(it.run));
    }
    Ok(pruned)
}

/// Bytes in use, without the pages that are free already.
fn is_too_large(connection: &Connection, request: &PruneRequest) -> Result<bool> {
    let Some(most) = request.keep.bytes else {
        return Ok(false);
    };
    let number = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    let used = (number("page_count")? - number("freelist_count")?) * number("page_size")?;
    Ok(used.cast_unsigned() > most)
}

fn delete(transaction: &Transaction<'_>, it: &Candidate) -> Result<()> {
    // Contents go before the rows that use them; at the commit everything fits again.
    transaction.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    transaction.execute(
        "DELETE FROM contents WHERE id IN (SELECT content FROM uses AS own WHERE run = ?1
            AND NOT EXISTS (SELECT 1 FROM uses WHERE content = own.content AND run <> ?1))",
        [it.number],
    )?;
    for table in ["notes", "chunks", "patch_notes"] {
        let sql = format!("DELETE FROM {table} WHERE id BETWEEN ?1 AND ?2");
        transaction.execute(&sql, entries(it.number))?;
    }
    transaction.execute("DELETE FROM owed WHERE run = ?1", [&it.run])?;
    transaction.execute("DELETE FROM holders WHERE run = ?1", [&it.run])?;
    transaction.execute("DELETE FROM runs WHERE id = ?1", [it.number])?;
    Ok(())
}

/// Gives free pages back to the file system.
fn give_back(connection: &Connection, pages: u32) -> Result<()> {
    for sql in [
        format!("PRAGMA incremental_vacuum({pages})"),
        "PRAGMA wal_checkpoint(TRUNCATE)".into(),
    ] {
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// What is cheap enough to be done after each run.
pub(crate) fn at_end_of_run(connection: &mut Connection, keep: &Keep) -> Result<()> {
    /// Runs.
    const AT_MOST: usize = 10;
    /// Pages of 4 KiB.
    const PAGES: u32 = 2000;
    let request = PruneRequest {
        keep: *keep,
        ..PruneRequest::default()
    };
    let pruned = remove(connection, &request, AT_MOST)?;
    transact(connection, facts::thin)?;
    if !pruned.runs.is_empty() {
        give_back(connection, PAGES)?;
    }
    connection.execute_batch("PRAGMA optimize")?;
    Ok(())
}
