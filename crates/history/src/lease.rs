//! One controller at a time: who holds a run, and which hosts.

use std::collections::BTreeMap;
use std::fmt;

use hostler_events::RunId;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use crate::error::{Result, StoreError};
use crate::process::Process;
use crate::store::{DbError, Store, now_us};

/// Is the process that holds something still there?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// It is, or gave a sign of life a moment ago.
    Alive,
    /// It is not: it was killed.
    ProcessGone,
    /// Its machine was booted since.
    OtherBoot,
    /// No sign of life for 45 s; it may be on another machine, so that nothing is certain.
    Silent,
}

impl Life {
    /// Is it certain that the process is gone?
    pub fn is_gone(self) -> bool {
        matches!(self, Life::ProcessGone | Life::OtherBoot)
    }
}

/// Who holds a run and its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Names the lock, for `--break-lock`.
    pub lock: String,
    /// The run.
    pub run: RunId,
    /// `user@controller`.
    pub who: String,
    /// Host name of the machine.
    pub controller: String,
    /// The process.
    pub pid: u32,
    /// Since when, in microseconds since the epoch by its clock.
    pub since_us: i64,
    /// Its last sign of life, likewise.
    pub heartbeat_us: i64,
    /// The age of that by our clock, in microseconds; not negative.
    pub heartbeat_age_us: i64,
    /// Is it still there?
    pub life: Life,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held {
            lock,
            who,
            controller,
            pid,
            ..
        } = self;
        write!(f, "lock {lock} of {who} (process {pid} on {controller}), ")?;
        let age = self.heartbeat_age_us / 1_000_000;
        match self.life {
            Life::Alive => write!(f, "alive, last heartbeat {age} s ago"),
            Life::ProcessGone => write!(f, "stale: that process is gone"),
            Life::OtherBoot => write!(f, "stale: that machine was booted since"),
            Life::Silent => write!(f, "perhaps stale: no heartbeat for {age} s"),
        }
    }
}

/// A holder that stands in the way, and of which hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who.
    pub held: Held,
    /// The hosts that were wanted and it holds.
    pub hosts: Vec<String>,
}

/// Why hosts were not leased. None is leased then.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Others hold some of them.
    #[error("{}", told(.0))]
    Conflicts(Vec<Conflict>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn told(conflicts: &[Conflict]) -> String {
    let lines = conflicts.iter().map(|it| {
        let shown = it.hosts.iter().take(3).cloned().collect::<Vec<_>>();
        let more = it.hosts.len() - shown.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!(
            "{}{more}: held by run {}, {}",
            shown.join(", "),
            it.held.run.0,
            it.held
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

const COLUMNS: &str = "holders.lock, holders.run, who, controller, machine, boot, pid_space, pid, \
                       pid_started, since_us, heartbeat_us";

fn held(row: &Row<'_>, this: &Process) -> rusqlite::Result<Held> {
    let process = Process {
        controller: row.get(3)?,
        machine: row.get(4)?,
        boot: row.get(5)?,
        pid_space: row.get(6)?,
        pid: row.get(7)?,
        started: row.get::<_, i64>(8)?.cast_unsigned(),
    };
    let heartbeat_us: i64 = row.get(10)?;
    let age = now_us().saturating_sub(heartbeat_us).max(0);
    let life = process.life(this, age);
    Ok(Held {
        lock: row.get(0)?,
        run: RunId(row.get(1)?),
        who: row.get(2)?,
        controller: process.controller,
        pid: process.pid,
        since_us: row.get(9)?,
        heartbeat_us,
        heartbeat_age_us: age,
        life,
    })
}

/// Who holds a run.
pub(crate) fn holder(connection: &Connection, run: &str) -> rusqlite::Result<Option<Held>> {
    let sql = format!("SELECT {COLUMNS} FROM holders WHERE run = ?1");
    let this = Process::this();
    connection
        .prepare_cached(&sql)?
        .query_row([run], |row| held(row, &this))
        .optional()
}

/// All that hold something, by run.
pub(crate) fn holders(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Held>> {
    let sql = format!("SELECT {COLUMNS} FROM holders");
    let this = Process::this();
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| held(row, &this))?;
    rows.map(|held| held.map(|held| (held.run.0.clone(), held)))
        .collect()
}

/// This process holds a run from now on: in place of a holder that is `gone`, with its hosts, if there is one.
pub(crate) fn hold(
    transaction: &Transaction<'_>,
    lock: &str,
    run: &str,
    who: &str,
    gone: Option<&Held>,
) -> rusqlite::Result<i64> {
    let this = Process::this();
    let now = now_us();
    let values = (
        lock,
        run,
        who,
        &this.controller,
        &this.machine,
        &this.boot,
        &this.pid_space,
        this.pid,
        this.started.cast_signed(),
        now,
        now,
    );
    if let Some(gone) = gone {
        // Its hosts move to the new lock with it.
        transaction.execute(
            "UPDATE holders SET lock = ?1 WHERE lock = ?2",
            (lock, &gone.lock),
        )?;
    }
    transaction.execute(
        "INSERT INTO holders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (lock) DO UPDATE SET
            (who, controller, machine, boot, pid_space, pid, pid_started, since_us, heartbeat_us)
            = (?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        values,
    )?;
    Ok(now)
}

/// Takes hosts for a lock: all or none. Those that the lock `breaks` holds are taken from it.
pub(crate) fn acquire(
    transaction: &Transaction<'_>,
    lock: &str,
    hosts: &[String],
    breaks: Option<&str>,
) -> rusqlite::Result<Vec<Conflict>> {
    let this = Process::this();
    let sql = format!(
        "SELECT {COLUMNS} FROM leases JOIN holders USING (lock)
         WHERE host = ?1 AND holders.lock <> ?2 AND holders.lock IS NOT ?3"
    );
    let mut conflicts: BTreeMap<String, Conflict> = BTreeMap::new();
    {
        let mut statement = transaction.prepare(&sql)?;
        for host in hosts {
            let found = statement
                .query_row((host, lock, breaks), |row| held(row, &this))
                .optional()?;
            if let Some(held) = found {
                let conflict = conflicts.entry(held.lock.clone());
                let conflict = conflict.or_insert_with(|| Conflict {
                    held,
                    hosts: Vec::new(),
                });
                conflict.hosts.push(host.clone());
            }
        }
    }
    if conflicts.is_empty() {
        let mut statement =
            transaction.prepare("REPLACE INTO leases (host, lock) VALUES (?1, ?2)")?;
        for host in hosts {
            statement.execute((host, lock))?;
        }
    }
    Ok(conflicts.into_values().collect())
}

/// Does the lock still hold its run? Nobody else writes it down then.
///
/// # Errors
/// If it was broken.
pub(crate) fn own(transaction: &Transaction<'_>, lock: &str) -> std::result::Result<(), DbError> {
    let found = transaction
        .prepare_cached("SELECT 1 FROM holders WHERE lock = ?1")?
        .exists([lock])?;
    if found {
        Ok(())
    } else {
        Err(StoreError::LockBroken(lock.to_owned()).into())
    }
}

/// Does anybody hold the run of this number?
pub(crate) fn is_held(transaction: &Transaction<'_>, run: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM runs JOIN holders USING (run) WHERE id = ?1";
    transaction.prepare_cached(sql)?.exists([run])
}

/// A sign of life.
pub(crate) fn beat(transaction: &Transaction<'_>, lock: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE holders SET heartbeat_us = ?2 WHERE lock = ?1";
    transaction.prepare_cached(sql)?.execute((lock, now_us()))?;
    Ok(())
}

/// How many hosts a lock holds.
pub(crate) fn count(connection: &Connection, lock: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT count(*) FROM leases WHERE lock = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([lock], |row| row.get(0))
}

/// Lets go of a run and its hosts.
pub(crate) fn release(transaction: &Transaction<'_>, lock: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM holders WHERE lock = ?1", [lock])?;
    Ok(())
}

impl Store {
    /// All leases: who holds which hosts.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn leases(&self) -> Result<Vec<Conflict>> {
        self.with(|connection| {
            let mut all = Vec::new();
            for held in holders(connection)?.into_values() {
                let sql = "SELECT host FROM leases WHERE lock = ?1 ORDER BY host";
                let mut statement = connection.prepare_cached(sql)?;
                let hosts = statement.query_map([&held.lock], |row| row.get(0))?;
                let hosts = hosts.collect::<rusqlite::Result<_>>()?;
                all.push(Conflict { held, hosts });
            }
            Ok(all)
        })
    }

    /// Breaks a lock, whoever holds it: all its hosts are free then, and its run, if it still goes on, cannot write
    /// its journal any more. Gives who held it; `None` if there is no such lock.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn break_lock(&self, lock: &str) -> Result<Option<Held>> {
        self.change(|transaction| {
            let found = holders(transaction)?
                .into_values()
                .find(|held| held.lock == lock);
            release(transaction, lock)?;
            Ok::<_, DbError>(found)
        })
    }
}
