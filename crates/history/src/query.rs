//! Questions about runs.

use std::collections::BTreeMap;

use hostler_events::{Counts, RunId};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::error::{Result, StoreError};
use crate::lease;
use crate::seal::{Kind, Sealer};
use crate::store::{DbError, Store};
use crate::{Held, Input, RunRecord, RunState, RunSummary};

type Inner<T> = std::result::Result<T, DbError>;

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Those of this state.
    pub state: Option<RunState>,
    /// Those that had this host.
    pub host: Option<String>,
    /// Those of a playbook whose path ends in this.
    pub playbook: Option<String>,
    /// Those that began at this time or later, in microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Leave out those in check mode.
    pub without_checks: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

const COLUMNS: &str = "id, run, started_us, who, version, playbooks, inventory, checks, attempts, state, \
                       resumable, ended_us, elapsed_us, exit_code, reason, lost_events";

impl Store {
    /// Runs, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunSummary>> {
        self.with(|connection| {
            let mut sql = format!("SELECT {COLUMNS} FROM runs WHERE 1");
            let mut values = Vec::new();
            if let Some(since) = filter.since_us {
                sql.push_str(" AND started_us >= ?");
                values.push(Sql::Integer(since));
            }
            if let Some(host) = &filter.host {
                sql.push_str(" AND id IN (SELECT run FROM hosts WHERE host = ?)");
                values.push(Sql::Text(host.clone()));
            }
            if filter.without_checks {
                sql.push_str(" AND NOT checks");
            }
            sql.push_str(" ORDER BY started_us DESC, id DESC");
            let held = lease::holders(connection)?;
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut runs = Vec::new();
            let limit = filter.limit.unwrap_or(usize::MAX);
            while let Some(row) = rows.next()? {
                if runs.len() >= limit {
                    break;
                }
                let mut run = summary(row, &held)?;
                let wanted = filter.state.is_none_or(|state| state == run.state)
                    && filter.playbook.as_ref().is_none_or(|end| {
                        run.playbooks.iter().any(|it| it.ends_with(end.as_str()))
                    });
                if wanted {
                    count_hosts(connection, row.get(0)?, &mut run)?;
                    runs.push(run);
                }
            }
            Ok::<_, DbError>(runs)
        })
    }

    /// The run of this id, or of an id that begins so and no other does, or `last`.
    ///
    /// # Errors
    /// If there is none, or there are several.
    pub fn find(&self, text: &str) -> Result<RunId> {
        self.with(|connection| {
            if text == "last" {
                let sql = "SELECT run FROM runs ORDER BY started_us DESC, id DESC LIMIT 1";
                let newest: Option<String> =
                    connection.query_row(sql, [], |row| row.get(0)).optional()?;
                return newest
                    .map(RunId)
                    .ok_or_else(|| StoreError::NoSuchRun("at all".into()).into());
            }
            let sql = "SELECT run FROM runs WHERE substr(run, 1, length(?1)) = ?1
                       ORDER BY started_us DESC LIMIT 9";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map([text], |row| row.get::<_, String>(0))?;
            let mut found = found.collect::<rusqlite::Result<Vec<_>>>()?;
            if let Some(exact) = found.iter().position(|it| it == text) {
                return Ok(RunId(found.swap_remove(exact)));
            }
            match found.len() {
                0 => Err(StoreError::NoSuchRun(text.to_owned()).into()),
                1 => Ok(RunId(found.remove(0))),
                _ => Err(StoreError::Ambiguous {
                    text: text.to_owned(),
                    runs: found,
                }
                .into()),
            }
        })
    }

    /// What a run was begun with ([`crate::NewRun::mandate`]); `None` if it had none, or has nothing left to resume.
    ///
    /// # Errors
    /// If there is no such run or it cannot be read.
    pub fn mandate(&self, run: &RunId) -> Result<Option<Vec<u8>>> {
        self.with(|connection| {
            let number = number(connection, run)?;
            let sealed: Option<Vec<u8>> = connection
                .prepare_cached("SELECT body FROM mandates WHERE run = ?1")?
                .query_row([number], |row| row.get(0))
                .optional()?;
            let open = |it: Vec<u8>| self.sealer().open(Kind::Mandate, run.0.as_bytes(), &it);
            Ok::<_, DbError>(sealed.map(open).transpose()?)
        })
    }

    /// Everything about a run but its events.
    ///
    /// # Errors
    /// If there is no such run or it cannot be read.
    pub fn run(&self, run: &RunId) -> Result<RunRecord> {
        self.with(|connection| {
            let run = number(connection, run)?;
            record(connection, self.sealer(), run)
        })
    }
}

/// The number of a run in the tables.
pub(crate) fn number(connection: &Connection, run: &RunId) -> Inner<i64> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT id FROM runs WHERE run = ?1")?
        .query_row([&run.0], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| StoreError::NoSuchRun(run.0.clone()).into())
}

fn summary(row: &Row<'_>, held: &BTreeMap<String, Held>) -> Inner<RunSummary> {
    let list = |index: usize| -> Inner<Vec<String>> {
        let text: String = row.get(index)?;
        Ok(serde_json::from_str(&text).map_err(StoreError::unreadable)?)
    };
    let run: String = row.get(1)?;
    let held = held.get(&run).cloned();
    let mut state = RunState::from_number(row.get(9)?);
    if state == RunState::Running && held.as_ref().is_none_or(|it| it.life.is_gone()) {
        state = RunState::Interrupted;
    }
    Ok(RunSummary {
        run: RunId(run),
        started_us: row.get(2)?,
        who: row.get(3)?,
        version: row.get(4)?,
        playbooks: list(5)?,
        inventory: list(6)?,
        check: row.get(7)?,
        state,
        resumable: row.get(10)?,
        attempts: row.get(8)?,
        ended_us: row.get(11)?,
        elapsed_us: row.get::<_, Option<i64>>(12)?.map(i64::cast_unsigned),
        exit_code: row.get(13)?,
        reason: row.get(14)?,
        lost_events: row.get::<_, i64>(15)?.cast_unsigned(),
        hosts: 0,
        totals: Counts::default(),
        held,
    })
}

fn count_hosts(connection: &Connection, number: i64, run: &mut RunSummary) -> Inner<()> {
    for (_, counts) in hosts(connection, number)? {
        run.hosts += 1;
        let (all, Some(one)) = (&mut run.totals, counts) else {
            continue;
        };
        all.ok += one.ok;
        all.changed += one.changed;
        all.unreachable += one.unreachable;
        all.failed += one.failed;
        all.skipped += one.skipped;
        all.rescued += one.rescued;
        all.ignored += one.ignored;
        all.unknown += one.unknown;
    }
    Ok(())
}

fn hosts(connection: &Connection, number: i64) -> Inner<Vec<(String, Option<Counts>)>> {
    let sql = "SELECT host, counts FROM hosts WHERE run = ?1 ORDER BY host";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([number])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let counts: Option<String> = row.get(1)?;
        let counts = counts.map(|it| serde_json::from_str(&it)).transpose();
        all.push((row.get(0)?, counts.map_err(StoreError::unreadable)?));
    }
    Ok(all)
}

pub(crate) fn record(connection: &Connection, sealer: &Sealer, number: i64) -> Inner<RunRecord> {
    let held = lease::holders(connection)?;
    let sql = format!("SELECT {COLUMNS}, request FROM runs WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([number])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let mut summary = summary(row, &held)?;
    let request: Vec<u8> = row.get(16)?;
    count_hosts(connection, number, &mut summary)?;
    let request = sealer.open(Kind::Request, summary.run.0.as_bytes(), &request)?;
    let request = serde_json::from_slice(&request).map_err(StoreError::unreadable)?;
    let mut statement = connection
        .prepare_cached("SELECT path, sha256 FROM inputs WHERE run = ?1 ORDER BY path")?;
    let inputs = statement.query_map([number], |row| {
        Ok(Input {
            path: row.get(0)?,
            sha256: row.get(1)?,
        })
    })?;
    let inputs = inputs.collect::<rusqlite::Result<_>>()?;
    Ok(RunRecord {
        summary,
        request,
        inputs,
        hosts: hosts(connection, number)?,
    })
}
