//! How runs end, and when their history goes.

use rusqlite::{Connection, Transaction};

use crate::error::StoreError;
use crate::memory::entries;
use crate::store::{DbError, now_us, transact};
use crate::{RunEnd, RunState};

type Result<T> = std::result::Result<T, DbError>;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Runs that began so many days ago go.
    pub days: u32,
    /// Of more runs the oldest go.
    pub runs: u32,
    /// If the database takes more bytes, the oldest go.
    pub bytes: Option<u64>,
}

impl Default for Keep {
    fn default() -> Self {
        Keep {
            days: 90,
            runs: 1000,
            bytes: None,
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
        transaction.execute("DELETE FROM notes WHERE id BETWEEN ?1 AND ?2", entries(run))?;
    }
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

/// What is cheap enough to be done after each run.
pub(crate) fn at_end_of_run(connection: &mut Connection, _keep: &Keep) -> Result<()> {
    transact(connection, |_| Ok(()))
}
