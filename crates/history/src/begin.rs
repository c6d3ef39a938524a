//! How a run is begun, and begun again.

use hostler_events::RunId;
use hostler_journal::Memory;
use rusqlite::{OptionalExtension, Transaction};

use crate::error::{Result, StoreError};
use crate::lease;
use crate::memory;
use crate::pen::Pen;
use crate::query;
use crate::scribe::{Scribe, lay_in_ballast, lock_id};
use crate::seal::Kind;
use crate::store::{DbError, Store, transact};
use crate::stored_note::FORM;
use crate::{NewRun, RunRecord, RunWriter};

impl Store {
    /// Begins a run: from now on this process holds it.
    ///
    /// # Errors
    /// If it cannot be written, or there is a run of that id.
    pub fn begin(&self, new: &NewRun) -> Result<RunWriter> {
        let mut connection = self.connect()?;
        let lock = lock_id(self.sealer(), &new.run.0);
        let begun = transact(&mut connection, |transaction| {
            let run = insert(transaction, self, new)?;
            let since = lease::hold(transaction, &lock, &new.run.0, &new.who, None)?;
            Ok((Pen::new(transaction, self.sealer(), run)?, since))
        });
        let (pen, since) = self.explain(begun)?;
        lay_in_ballast(&self.dir().ballast());
        let scribe = Scribe::new(self, connection, pen, lock);
        RunWriter::start(scribe, new.run.clone(), new.who.clone(), since)
    }

    /// Goes on with a run that was interrupted, or whose process is gone: this process holds it, and the hosts that it had
    /// leased, from now on. Handlers that other runs owe its hosts are in the memory, too. `breaks` is the id of a lock
    /// that is taken from its holder even if that may still be there.
    ///
    /// # Errors
    /// If there is no such run, it has nothing to resume, is still going on, or cannot be read.
    pub fn reopen(
        &self,
        run: &RunId,
        who: &str,
        breaks: Option<&str>,
    ) -> Result<(RunWriter, Memory, RunRecord)> {
        let mut connection = self.connect()?;
        let lock = lock_id(self.sealer(), &run.0);
        let opened = transact(&mut connection, |transaction| {
            let number = query::number(transaction, run)?;
            let record = query::record(transaction, self.sealer(), number)?;
            let held = lease::holder(transaction, &run.0)?;
            if let Some(held) = &held
                && !held.life.is_gone()
                && breaks != Some(held.lock.as_str())
            {
                let held = Box::new(held.clone());
                return Err(StoreError::StillRunning { held }.into());
            }
            may_be_resumed(transaction, number, &record)?;
            transaction.execute(
                "UPDATE runs SET state = 0, attempts = attempts + 1, ended_us = NULL,
                    elapsed_us = NULL, exit_code = NULL, reason = NULL WHERE id = ?1",
                [number],
            )?;
            let since = lease::hold(transaction, &lock, &run.0, who, held.as_ref())?;
            let mut memory = memory::remember(transaction, self.sealer(), number)?;
            let hosts: Vec<String> = record.hosts.iter().map(|(name, _)| name.clone()).collect();
            memory.owed = memory::owed(transaction, &record.summary.playbooks, &hosts, &run.0)?;
            let mut pen = Pen::new(transaction, self.sealer(), number)?;
            pen.expect_answers(&memory);
            Ok((pen, since, memory, record))
        });
        let (pen, since, memory, record) = self.explain(opened)?;
        lay_in_ballast(&self.dir().ballast());
        let scribe = Scribe::new(self, connection, pen, lock);
        let writer = RunWriter::start(scribe, run.clone(), who.to_owned(), since)?;
        Ok((writer, memory, record))
    }
}

fn may_be_resumed(
    transaction: &Transaction<'_>,
    number: i64,
    record: &RunRecord,
) -> std::result::Result<(), DbError> {
    let run = &record.summary.run.0;
    let form: u32 =
        transaction.query_row("SELECT form FROM runs WHERE id = ?1", [number], |row| {
            row.get(0)
        })?;
    if form != FORM {
        let (run, version) = (run.clone(), record.summary.version.clone());
        return Err(StoreError::OtherForm { run, version }.into());
    }
    if !record.summary.resumable {
        return Err(StoreError::NotResumable(run.clone()).into());
    }
    Ok(())
}

fn insert(
    transaction: &Transaction<'_>,
    store: &Store,
    new: &NewRun,
) -> std::result::Result<i64, DbError> {
    let there: Option<i64> = transaction
        .query_row("SELECT id FROM runs WHERE run = ?1", [&new.run.0], |row| {
            row.get(0)
        })
        .optional()?;
    if there.is_some() {
        return Err(StoreError::Failed {
            what: format!("run {}", new.run.0),
            why: "there is one of that id".into(),
        }
        .into());
    }
    let request = serde_json::to_vec(&new.request).map_err(StoreError::unreadable)?;
    let request = store
        .sealer()
        .seal(Kind::Request, new.run.0.as_bytes(), &request)?;
    let row = (
        &new.run.0,
        new.started_us,
        &new.who,
        &new.version,
        list(&new.playbooks)?,
        list(&new.inventory)?,
        new.check,
        FORM,
        request,
        !new.check,
        new.needs.as_ref().map(|it| &it.0),
    );
    transaction.execute(
        "INSERT INTO runs (run, started_us, who, version, playbooks, inventory, checks, form, request,
            resumable, needs) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        row,
    )?;
    let run = transaction.last_insert_rowid();
    if let Some(mandate) = &new.mandate {
        let body = store
            .sealer()
            .seal(Kind::Mandate, new.run.0.as_bytes(), mandate)?;
        transaction.execute("INSERT INTO mandates VALUES (?1, ?2)", (run, body))?;
    }
    let mut statement = transaction.prepare("REPLACE INTO inputs VALUES (?1, ?2, ?3)")?;
    for input in &new.inputs {
        statement.execute((run, &input.path, input.sha256))?;
    }
    let mut statement =
        transaction.prepare("INSERT OR IGNORE INTO hosts (run, host) VALUES (?1, ?2)")?;
    for host in &new.hosts {
        statement.execute((run, host))?;
    }
    Ok(run)
}

fn list(texts: &[String]) -> Result<String> {
    serde_json::to_string(texts).map_err(StoreError::unreadable)
}
