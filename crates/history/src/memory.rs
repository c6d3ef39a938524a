//! From what is stored to what a resumed run remembers.

use std::collections::HashMap;

use hostler_events::{Status, TaskId};
use hostler_journal::{Attempt, Execution, Memory, OwedHandler, RememberedHost, RememberedTask};
use hostler_protocol::TaskKey;
use rusqlite::{Connection, params_from_iter};

use crate::seal::{Kind, Sealer};
use crate::store::{DbError, Store};
use crate::stored_note::{self, StoredNote};
use crate::{Result, words};

/// First and last number of the entries that belong to a run: its number, and a count below it.
pub(crate) fn entries(run: i64) -> (i64, i64) {
    (run << 32, (run << 32) + i64::from(u32::MAX))
}

/// Everything that a run wrote down.
pub(crate) fn remember(
    connection: &Connection,
    sealer: &Sealer,
    run: i64,
) -> std::result::Result<Memory, DbError> {
    let mut folded = Folded::default();
    {
        let sql = "SELECT id, body FROM notes WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query(entries(run))?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let plain = sealer.open(Kind::Notes, &id.to_be_bytes(), body)?;
            for note in stored_note::read(&plain)? {
                folded.take(note);
            }
        }
    }
    let told = told(connection, run)?;
    Ok(folded.finish(&told))
}

#[derive(Default)]
struct Folded {
    tasks: HashMap<Execution, RememberedTask>,
    by_id: HashMap<TaskId, Execution>,
    /// Where the attempt of a key is.
    attempts: HashMap<TaskKey, (TaskId, String, u32, usize)>,
    last_task: u32,
}

impl Folded {
    fn take(&mut self, note: StoredNote) {
        match note {
            StoredNote::Task { id, execution, .. } => {
                self.last_task = self.last_task.max(id.0);
                self.by_id.insert(id, execution.clone());
                let task = self.tasks.entry(execution);
                let task = task.or_insert_with(|| RememberedTask {
                    id,
                    hosts: HashMap::new(),
                });
                task.id = id;
            }
            StoredNote::Intent(intent) => {
                let (task, host, step) = (intent.task, intent.host.clone(), intent.step);
                let key = intent.key;
                let Some(remembered) = self.host(task, &host) else {
                    return;
                };
                let attempts = remembered.steps.entry(step).or_default();
                attempts.push(Attempt {
                    intent,
                    answer: None,
                });
                let place = attempts.len() - 1;
                self.attempts.insert(key, (task, host, step, place));
            }
            StoredNote::Answer {
                key,
                outcomes,
                unknown,
            } => {
                let Some((task, host, step, place)) = self.attempts.get(&key).cloned() else {
                    return;
                };
                let attempt = self
                    .host(task, &host)
                    .and_then(|it| it.steps.get_mut(&step)?.get_mut(place));
                if let Some(attempt) = attempt {
                    attempt.answer = Some((outcomes, unknown));
                }
            }
            StoredNote::Finished {
                task,
                host,
                finished,
            } => {
                if let Some(remembered) = self.host(task, &host) {
                    remembered.finished = Some(*finished);
                }
            }
        }
    }

    fn host(&mut self, task: TaskId, host: &str) -> Option<&mut RememberedHost> {
        let task = self.tasks.get_mut(self.by_id.get(&task)?)?;
        Some(task.hosts.entry(host.to_owned()).or_default())
    }

    fn finish(mut self, told: &Told) -> Memory {
        for task in self.tasks.values_mut() {
            for (name, host) in &mut task.hosts {
                let Some(finished) = &host.finished else {
                    continue;
                };
                let own = (finished.result.status, finished.result.duration_us);
                // An earlier attempt may have been told, and the newest not.
                let results = told.tasks.get(&task.id.0);
                host.told = results.and_then(|it| it.get(name)) == Some(&own);
            }
        }
        Memory {
            tasks: self.tasks,
            last_task: self.last_task,
            owed: Vec::new(),
        }
    }
}

/// Tasks whose beginning was told, each with the newest result of each host that was.
struct Told {
    tasks: HashMap<u32, HashMap<String, (Status, u64)>>,
}

fn told(connection: &Connection, run: i64) -> rusqlite::Result<Told> {
    let mut tasks: HashMap<u32, HashMap<String, (Status, u64)>> = HashMap::new();
    let mut statement = connection.prepare("SELECT task FROM tasks WHERE run = ?1")?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        tasks.entry(row.get(0)?).or_default();
    }
    let sql = "SELECT task, host, status, duration_us FROM results WHERE run = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        let status = words::status(&row.get::<_, String>(2)?);
        let duration = row.get::<_, i64>(3)?.cast_unsigned();
        if let Some(status) = status
            && let Some(task) = tasks.get_mut(&row.get(0)?)
        {
            task.insert(row.get(1)?, (status, duration));
        }
    }
    Ok(Told { tasks })
}

impl Store {
    /// What a run has written down, read without taking it over.
    ///
    /// # Errors
    /// If there is no such run, or it cannot be read.
    pub fn memory(&self, run: &hostler_events::RunId) -> Result<Memory> {
        self.with(|connection| {
            let number = crate::query::number(connection, run)?;
            remember(connection, self.sealer(), number)
        })
    }

    /// Handlers that runs of these playbooks (absolute paths) notified on these hosts and did not run, but for those of the
    /// run `except`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn owed(
        &self,
        playbooks: &[String],
        hosts: &[String],
        except: Option<&hostler_events::RunId>,
    ) -> Result<Vec<OwedHandler>> {
        self.with(|connection| {
            let except = except.map_or("", |run| run.0.as_str());
            Ok(owed(connection, playbooks, hosts, except)?)
        })
    }
}

pub(crate) fn owed(
    connection: &Connection,
    playbooks: &[String],
    hosts: &[String],
    except: &str,
) -> rusqlite::Result<Vec<OwedHandler>> {
    let hosts: std::collections::HashSet<&str> = hosts.iter().map(String::as_str).collect();
    let mut all = Vec::new();
    for playbook in playbooks {
        let sql = "SELECT host, playbook, play, handler, run FROM owed
                   WHERE playbook = ?1 AND run <> ?2 ORDER BY run, host, play, handler";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(params_from_iter([playbook.as_str(), except]), |row| {
            Ok(OwedHandler {
                host: row.get(0)?,
                playbook: row.get(1)?,
                play: row.get(2)?,
                handler: row.get(3)?,
                run: hostler_events::RunId(row.get(4)?),
            })
        })?;
        for owed in rows {
            let owed = owed?;
            if hosts.contains(owed.host.as_str()) && !all.contains(&owed) {
                all.push(owed);
            }
        }
    }
    Ok(all)
}

/// What is known of these hosts.
pub(crate) fn of_hosts(memory: &Memory, hosts: &[String]) -> Memory {
    let tasks = memory.tasks.iter().map(|(execution, task)| {
        let own = hosts.iter().filter_map(|name| {
            let host = task.hosts.get(name)?;
            Some((name.clone(), host.clone()))
        });
        let task = RememberedTask {
            id: task.id,
            hosts: own.collect(),
        };
        (execution.clone(), task)
    });
    Memory {
        tasks: tasks.collect(),
        last_task: memory.last_task,
        owed: Vec::new(),
    }
}
