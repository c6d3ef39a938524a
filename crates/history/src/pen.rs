//! Writes notes and events of one run into tables, inside a transaction.

use std::collections::HashMap;

use hostler_change::Replaced;
use hostler_journal::{Memory, OwedHandler};
use hostler_protocol::TaskKey;
use rusqlite::{OptionalExtension, Transaction};

use crate::event_text::{PreparedEvent, Row};
use crate::memory::entries;
use crate::patch_notes;
use crate::replaced;
use crate::seal::{Address, Kind, Sealer};
use crate::store::{DbError, now_us};
use crate::stored_note::{Prepared, Side};
use crate::words;

type Result<T> = std::result::Result<T, DbError>;

/// Most bytes of notes in one entry.
const ENTRY_MAX: usize = 4 << 20;

/// Where the answer to a message comes from.
#[derive(Clone)]
struct Source {
    task: u32,
    host: String,
    place: String,
}

/// What a run needs to know to write on.
pub(crate) struct Pen {
    pub(crate) run: i64,
    sealer: Sealer,
    next_note: i64,
    next_patch_note: i64,
    next_chunk: i64,
    /// Of the last event.
    seq: i64,
    /// Messages that were not answered yet.
    open: HashMap<TaskKey, Source>,
}

impl Pen {
    /// Goes on where the run's entries end.
    pub(crate) fn new(transaction: &Transaction<'_>, sealer: &Sealer, run: i64) -> Result<Self> {
        let (first, last) = entries(run);
        let next = |table: &str| -> rusqlite::Result<i64> {
            let sql = format!("SELECT max(id) FROM {table} WHERE id BETWEEN ?1 AND ?2");
            let newest: Option<i64> =
                transaction.query_row(&sql, (first, last), |row| row.get(0))?;
            Ok(newest.map_or(first, |it| it + 1))
        };
        let sql = "SELECT max(last_seq) FROM chunks WHERE id BETWEEN ?1 AND ?2";
        let seq: Option<i64> = transaction.query_row(sql, (first, last), |row| row.get(0))?;
        Ok(Pen {
            run,
            sealer: sealer.clone(),
            next_note: next("notes")?,
            next_patch_note: next("patch_notes")?,
            next_chunk: next("chunks")?,
            seq: seq.unwrap_or(0),
            open: HashMap::new(),
        })
    }

    /// Knows from a memory which messages are open.
    pub(crate) fn expect_answers(&mut self, memory: &Memory) {
        let hosts = memory.tasks.values().flat_map(|task| task.hosts.values());
        let attempts = hosts.flat_map(|host| host.steps.values().flatten());
        for attempt in attempts.filter(|it| it.answer.is_none()) {
            let intent = &attempt.intent;
            let source = Source {
                task: intent.task.0,
                host: intent.host.clone(),
                place: intent.place.clone(),
            };
            self.open.insert(intent.key, source);
        }
    }

    pub(crate) fn notes(
        &mut self,
        transaction: &Transaction<'_>,
        notes: &[Prepared],
    ) -> Result<()> {
        let mut entry = Vec::new();
        for note in notes {
            if !entry.is_empty() && entry.len() + note.bytes.len() > ENTRY_MAX {
                self.entry(transaction, &entry)?;
                entry.clear();
            }
            entry.extend_from_slice(&note.bytes);
            self.side(transaction, &note.side)?;
        }
        if !entry.is_empty() {
            self.entry(transaction, &entry)?;
        }
        Ok(())
    }

    pub(crate) fn patch_notes(
        &mut self,
        transaction: &Transaction<'_>,
        notes: &[String],
    ) -> Result<()> {
        for plain in patch_notes::entries(notes, ENTRY_MAX) {
            let id = self.next_patch_note;
            self.next_patch_note += 1;
            let body = self
                .sealer
                .seal(Kind::PatchNotes, &id.to_be_bytes(), &plain)?;
            transaction
                .prepare_cached("INSERT INTO patch_notes VALUES (?1, ?2)")?
                .execute((id, body))?;
        }
        Ok(())
    }

    fn entry(&mut self, transaction: &Transaction<'_>, plain: &[u8]) -> Result<()> {
        let id = self.next_note;
        self.next_note += 1;
        let body = self.sealer.seal(Kind::Notes, &id.to_be_bytes(), plain)?;
        transaction
            .prepare_cached("INSERT INTO notes VALUES (?1, ?2)")?
            .execute((id, body))?;
        Ok(())
    }

    fn side(&mut self, transaction: &Transaction<'_>, side: &Side) -> Result<()> {
        match side {
            Side::None => {}
            Side::Intent {
                key,
                task,
                host,
                place,
            } => {
                let source = Source {
                    task: task.0,
                    host: host.clone(),
                    place: place.clone(),
                };
                self.open.insert(*key, source);
            }
            Side::Answer { key, replaced } => {
                let source = self.open.remove(key);
                if let Some(source) = source {
                    for file in replaced {
                        self.replaced(transaction, &source, file)?;
                    }
                }
            }
            Side::Owed(owed) => {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO owed VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(owed_row(owed))?;
            }
            Side::Paid(owed) => {
                transaction
                    .prepare_cached(
                        "DELETE FROM owed WHERE host = ?1 AND playbook = ?2 AND play = ?3
                         AND handler = ?4 AND run = ?5",
                    )?
                    .execute(owed_row(owed))?;
            }
        }
        Ok(())
    }

    fn replaced(
        &self,
        transaction: &Transaction<'_>,
        source: &Source,
        file: &Replaced,
    ) -> Result<()> {
        let content = file.before.as_ref().and_then(|it| it.content.as_deref());
        let content = match content {
            Some(bytes) => {
                let address = self.sealer.address(Kind::File, bytes);
                Some(self.content(transaction, Kind::File, &address, bytes)?)
            }
            None => None,
        };
        let place = replaced::sealed_at(self.run, &source.place, &file.path);
        let body = replaced::encode(file)?;
        let body = self.sealer.seal(Kind::Replaced, &place, &body)?;
        let row = (
            self.run,
            source.task,
            &source.host,
            &source.place,
            &file.path,
            now_us(),
            body,
            content,
        );
        self.change(
            transaction,
            (source.task, &source.place, None),
            &file.path,
            now_us(),
            None,
        )?;
        transaction
            .prepare_cached(
                "INSERT INTO replaced (run, task, host, place, path, at_us, body, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(row)?;
        Ok(())
    }

    /// Stores a content, if it is not there yet, and notes that this run uses it.
    fn content(
        &self,
        transaction: &Transaction<'_>,
        kind: Kind,
        address: &Address,
        plain: &[u8],
    ) -> Result<i64> {
        let found: Option<i64> = transaction
            .prepare_cached("SELECT id FROM contents WHERE address = ?1")?
            .query_row([address], |row| row.get(0))
            .optional()?;
        let id = if let Some(id) = found {
            id
        } else {
            let body = self.sealer.seal(kind, address, plain)?;
            let size = i64::try_from(plain.len()).unwrap_or(i64::MAX);
            transaction
                .prepare_cached(
                    "INSERT INTO contents (address, kind, size, body) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((address, kind as i64, size, body))?;
            transaction.last_insert_rowid()
        };
        transaction
            .prepare_cached("INSERT OR IGNORE INTO uses VALUES (?1, ?2)")?
            .execute((self.run, id))?;
        Ok(id)
    }

    pub(crate) fn events(
        &mut self,
        transaction: &Transaction<'_>,
        events: &[PreparedEvent],
    ) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let first = self.seq + 1;
        let mut plain = Vec::new();
        for event in events {
            self.seq += 1;
            plain.extend_from_slice(&event.line);
            plain.push(b'\n');
            for (address, text) in &event.contents {
                self.content(transaction, Kind::Text, address, text.as_bytes())?;
            }
            self.row(transaction, event)?;
        }
        let id = self.next_chunk;
        self.next_chunk += 1;
        let body = self.sealer.seal(Kind::Events, &id.to_be_bytes(), &plain)?;
        transaction
            .prepare_cached("INSERT INTO chunks VALUES (?1, ?2, ?3, ?4)")?
            .execute((id, first, self.seq, body))?;
        Ok(())
    }

    fn row(&self, transaction: &Transaction<'_>, event: &PreparedEvent) -> Result<()> {
        match &event.row {
            Row::None => {}
            Row::Task {
                task,
                play,
                name,
                module,
                kind,
            } => {
                transaction
                    .prepare_cached("REPLACE INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                    .execute((self.run, task, play, name, module, words::of_kind(*kind)))?;
            }
            Row::Result {
                task,
                host,
                status,
                flags,
                duration_us,
                subjects,
            } => {
                let row = (
                    self.run,
                    task,
                    host,
                    words::of_status(*status),
                    flags,
                    duration_us.cast_signed(),
                    event.at_us,
                    self.seq,
                );
                transaction
                    .prepare_cached("REPLACE INTO results VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                    .execute(row)?;
                for subject in subjects {
                    let of = (*task, host.as_str(), None);
                    self.change(transaction, of, subject, event.at_us, Some(self.seq))?;
                }
            }
            Row::Item {
                task,
                host,
                item,
                subjects,
            } => {
                for subject in subjects {
                    let of = (*task, host.as_str(), Some(*item));
                    self.change(transaction, of, subject, event.at_us, Some(self.seq))?;
                }
            }
        }
        Ok(())
    }

    /// Notes that something changed: task, host and item; what; when; and the event that tells more, if one does.
    fn change(
        &self,
        transaction: &Transaction<'_>,
        (task, host, item): (u32, &str, Option<u32>),
        subject: &str,
        at_us: i64,
        seq: Option<i64>,
    ) -> Result<()> {
        transaction
            .prepare_cached(
                "INSERT INTO changes (run, task, host, subject, item, at_us, seq)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((self.run, task, host, subject, item, at_us, seq))?;
        Ok(())
    }
}

fn owed_row(owed: &OwedHandler) -> [&str; 5] {
    [
        &owed.host,
        &owed.playbook,
        &owed.play,
        &owed.handler,
        &owed.run.0,
    ]
}
