//! What changed: by run, host and subject, with differences.

use std::collections::{HashMap, HashSet, VecDeque};

use hostler_change::Delta;
use hostler_events::{RunEvent, RunId, Stamped, Status, TaskId, TaskKind};
use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params_from_iter};

use crate::error::{Result, StoreError};
use crate::event_text::{IGNORED, RESCUED};
use crate::memory::entries;
use crate::store::{DbError, Store};
use crate::words;

/// Chunks of events that are kept in memory while differences are looked up.
const CHUNKS_KEPT: usize = 16;

/// A task that a run told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its number.
    pub task: TaskId,
    /// Name of its play.
    pub play: String,
    /// Its name.
    pub name: String,
    /// Module's short name.
    pub module: String,
    /// Task, handler or fact gathering.
    pub kind: TaskKind,
}

/// How a task ended on a host, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultRecord {
    /// The task.
    pub task: TaskId,
    /// The host.
    pub host: String,
    /// How it ended.
    pub status: Status,
    /// The failure is ignored.
    pub ignored: bool,
    /// A `rescue` took over.
    pub rescued: bool,
    /// Wall time in microseconds.
    pub duration_us: u64,
    /// When it ended, in microseconds since the epoch.
    pub at_us: i64,
    /// The event that holds everything: [`Store::event`].
    pub seq: u64,
}

/// Which changes.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    /// Of this run.
    pub run: Option<RunId>,
    /// On this host.
    pub host: Option<String>,
    /// Of this subject (a path, `package nginx`, …); one that ends in `/` means everything below it.
    pub subject: Option<String>,
    /// At this time or later, in microseconds since the epoch.
    pub since_us: Option<i64>,
    /// With those that a run in check mode would have made.
    pub with_checks: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Something that changed.
#[derive(Clone, Debug)]
pub struct ChangeRecord {
    /// The run that changed it.
    pub run: RunId,
    /// `user@controller` that began the run.
    pub who: String,
    /// In check mode: it would have been changed.
    pub check: bool,
    /// When, in microseconds since the epoch.
    pub at_us: i64,
    /// The task.
    pub task: TaskId,
    /// Name of its play.
    pub play: String,
    /// Its name.
    pub task_name: String,
    /// Module's short name.
    pub module: String,
    /// The host.
    pub host: String,
    /// Turn of a loop, from 0.
    pub item: Option<u32>,
    /// How the task or item ended; `None` if that was not told.
    pub status: Option<Status>,
    /// What it is about, as in [`Delta::subject`]; empty if the task did not say.
    pub subject: String,
    /// The differences of this subject; none if they were not asked for in that run (texts are only with `--diff`).
    pub deltas: Vec<Delta>,
}

struct Row {
    number: i64,
    seq: Option<i64>,
    change: ChangeRecord,
}

impl Store {
    /// Tasks of a run in the order of their beginning.
    ///
    /// # Errors
    /// If there is no such run or it cannot be read.
    pub fn tasks(&self, run: &RunId) -> Result<Vec<TaskRecord>> {
        self.with(|connection| {
            let run = crate::query::number(connection, run)?;
            let sql =
                "SELECT task, play, name, module, kind FROM tasks WHERE run = ?1 ORDER BY task";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([run], |row| {
                Ok(TaskRecord {
                    task: TaskId(row.get(0)?),
                    play: row.get(1)?,
                    name: row.get(2)?,
                    module: row.get(3)?,
                    kind: words::kind(&row.get::<_, String>(4)?),
                })
            })?;
            Ok::<_, DbError>(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// How each task of a run ended (last) on each host, by task and host.
    ///
    /// # Errors
    /// If there is no such run or it cannot be read.
    pub fn results(&self, run: &RunId) -> Result<Vec<ResultRecord>> {
        self.with(|connection| {
            let run = crate::query::number(connection, run)?;
            let sql = "SELECT task, host, status, flags, duration_us, at_us, seq FROM results
                       WHERE run = ?1 ORDER BY task, host";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([run], |row| {
                let flags: u32 = row.get(3)?;
                Ok(ResultRecord {
                    task: TaskId(row.get(0)?),
                    host: row.get(1)?,
                    status: words::status(&row.get::<_, String>(2)?).unwrap_or(Status::Unknown),
                    ignored: flags & IGNORED != 0,
                    rescued: flags & RESCUED != 0,
                    duration_us: row.get::<_, i64>(4)?.cast_unsigned(),
                    at_us: row.get(5)?,
                    seq: row.get::<_, i64>(6)?.cast_unsigned(),
                })
            })?;
            Ok::<_, DbError>(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// One event of a run.
    ///
    /// # Errors
    /// If there is no such run or event, or it cannot be read.
    pub fn event(&self, run: &RunId, seq: u64) -> Result<Stamped> {
        let number = self.with(|connection| crate::query::number(connection, run))?;
        let mut looked_up = LookedUp::new(self);
        looked_up
            .event(number, seq.cast_signed())?
            .cloned()
            .ok_or_else(|| StoreError::Unreadable(format!("run {} has no event {seq}", run.0)))
    }

    /// What changed, newest first.
    ///
    /// # Errors
    /// If there is no such run, or something cannot be read.
    pub fn changes(&self, filter: &ChangeFilter) -> Result<Vec<ChangeRecord>> {
        let rows = self.with(|connection| change_rows(connection, filter))?;
        let mut looked_up = LookedUp::new(self);
        let mut changes = Vec::with_capacity(rows.len());
        for Row {
            number,
            seq,
            mut change,
        } in rows
        {
            if let Some(seq) = seq
                && let Some(event) = looked_up.event(number, seq)?
            {
                let (status, deltas) = told(&event.event);
                change.status = status;
                change.deltas = deltas
                    .iter()
                    .filter(|it| it.subject == change.subject)
                    .cloned()
                    .collect();
            }
            changes.push(change);
        }
        Ok(changes)
    }
}

fn change_rows(
    connection: &rusqlite::Connection,
    filter: &ChangeFilter,
) -> std::result::Result<Vec<Row>, DbError> {
    let mut sql = String::from(
        "SELECT runs.id, runs.run, who, checks, changes.at_us, changes.task, play, name, module,
            changes.host, item, subject, seq
         FROM changes JOIN runs ON runs.id = changes.run
         LEFT JOIN tasks ON tasks.run = changes.run AND tasks.task = changes.task WHERE 1",
    );
    let mut values = Vec::new();
    if let Some(run) = &filter.run {
        sql.push_str(" AND changes.run = ?");
        values.push(Sql::Integer(crate::query::number(connection, run)?));
    }
    if let Some(host) = &filter.host {
        sql.push_str(" AND changes.host = ?");
        values.push(Sql::Text(host.clone()));
    }
    match &filter.subject {
        Some(below) if below.ends_with('/') => {
            // Everything from `/etc/` up to `/etc0`, since `0` comes after `/`.
            sql.push_str(" AND subject >= ? AND subject < ?");
            values.push(Sql::Text(below.clone()));
            values.push(Sql::Text(format!("{}0", &below[..below.len() - 1])));
        }
        Some(subject) => {
            sql.push_str(" AND subject = ?");
            values.push(Sql::Text(subject.clone()));
        }
        None => {}
    }
    if let Some(since) = filter.since_us {
        sql.push_str(" AND changes.at_us >= ?");
        values.push(Sql::Integer(since));
    }
    if !filter.with_checks {
        sql.push_str(" AND NOT checks");
    }
    sql.push_str(" ORDER BY changes.at_us DESC, changes.id DESC");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut all: Vec<Row> = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |index: usize| {
            row.get::<_, Option<String>>(index)
                .map(Option::unwrap_or_default)
        };
        all.push(Row {
            number: row.get(0)?,
            seq: row.get(12)?,
            change: ChangeRecord {
                run: RunId(row.get(1)?),
                who: row.get(2)?,
                check: row.get(3)?,
                at_us: row.get(4)?,
                task: TaskId(row.get(5)?),
                play: text(6)?,
                task_name: text(7)?,
                module: text(8)?,
                host: row.get(9)?,
                item: row.get(10)?,
                status: None,
                subject: row.get(11)?,
                deltas: Vec::new(),
            },
        });
    }
    let mut all = without_doubles(all);
    all.truncate(filter.limit.unwrap_or(usize::MAX));
    Ok(all)
}

/// A file that was replaced is in the table for itself, and often once more, since its task told the difference: only the
/// latter is shown then.
fn without_doubles(all: Vec<Row>) -> Vec<Row> {
    let key = |row: &Row| {
        let it = &row.change;
        (row.number, it.task, it.host.clone(), it.subject.clone())
    };
    let told: HashSet<_> = all.iter().filter(|it| it.seq.is_some()).map(key).collect();
    let mut seen = HashSet::new();
    all.into_iter()
        .filter(|row| row.seq.is_some() || (!told.contains(&key(row)) && seen.insert(key(row))))
        .collect()
}

fn told(event: &RunEvent) -> (Option<Status>, &[Delta]) {
    match event {
        RunEvent::TaskFinished { result, .. } => (Some(result.status), &result.deltas),
        RunEvent::ItemFinished { item, .. } => (Some(item.status), &item.deltas),
        _ => (None, &[]),
    }
}

/// Events by number, through the chunks that were read last.
struct LookedUp<'a> {
    store: &'a Store,
    chunks: HashMap<i64, VecDeque<Result<Stamped>>>,
    order: VecDeque<i64>,
}

impl<'a> LookedUp<'a> {
    fn new(store: &'a Store) -> Self {
        LookedUp {
            store,
            chunks: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn event(&mut self, run: i64, seq: i64) -> Result<Option<&Stamped>> {
        let (first, last) = entries(run);
        let found: Option<(i64, i64)> = self.store.with(|connection| {
            let sql = "SELECT id, first_seq FROM chunks
                       WHERE id BETWEEN ?1 AND ?2 AND ?3 BETWEEN first_seq AND last_seq";
            let mut statement = connection.prepare_cached(sql)?;
            let row = statement.query_row((first, last, seq), |row| Ok((row.get(0)?, row.get(1)?)));
            Ok(row.optional()?)
        })?;
        let Some((id, first)) = found else {
            return Ok(None);
        };
        if !self.chunks.contains_key(&id) {
            let Some((_, events)) = self.store.chunk(id, id)? else {
                return Ok(None);
            };
            if self.order.len() >= CHUNKS_KEPT
                && let Some(oldest) = self.order.pop_front()
            {
                self.chunks.remove(&oldest);
            }
            self.order.push_back(id);
            self.chunks.insert(id, events);
        }
        let place = usize::try_from(seq - first).unwrap_or(usize::MAX);
        let event = self.chunks.get(&id).and_then(|chunk| chunk.get(place));
        Ok(event.and_then(|it| it.as_ref().ok()))
    }
}
