//! Events of a run, as they were told.

use std::collections::VecDeque;

use hostler_events::{RunId, Stamped};
use rusqlite::OptionalExtension;

use crate::error::{Result, StoreError};
use crate::event_text;
use crate::memory::entries;
use crate::seal::{Address, Kind};
use crate::store::{DbError, Store};

/// Events in order, read piece by piece.
pub struct Events {
    store: Store,
    next: i64,
    last: i64,
    ready: VecDeque<Result<Stamped>>,
    ended: bool,
}

impl Store {
    /// Events of a run, in order, numbered from 1 across all parts of a run that was resumed. One that cannot be read is an
    /// error in its place; the others follow.
    ///
    /// # Errors
    /// If there is no such run.
    pub fn events(&self, run: &RunId) -> Result<Events> {
        let run = self.with(|connection| crate::query::number(connection, run))?;
        let (next, last) = entries(run);
        Ok(Events {
            store: self.clone(),
            next,
            last,
            ready: VecDeque::new(),
            ended: false,
        })
    }

    /// Events of one chunk: its number, and they.
    pub(crate) fn chunk(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Option<(i64, VecDeque<Result<Stamped>>)>> {
        let found: Option<(i64, i64, Vec<u8>)> = self.with(|connection| {
            let sql = "SELECT id, first_seq, body FROM chunks WHERE id BETWEEN ?1 AND ?2
                       ORDER BY id LIMIT 1";
            let mut statement = connection.prepare_cached(sql)?;
            let row = statement.query_row((from, to), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            });
            Ok(row.optional()?)
        })?;
        let Some((id, first, body)) = found else {
            return Ok(None);
        };
        let plain = self.sealer().open(Kind::Events, &id.to_be_bytes(), &body)?;
        let lines = plain
            .split(|byte| *byte == b'\n')
            .filter(|it| !it.is_empty());
        let events = lines.zip(first.cast_unsigned()..).map(|(line, seq)| {
            let mut stamped = event_text::read(line, &mut |address| self.text(address))?;
            stamped.seq = seq;
            Ok(stamped)
        });
        Ok(Some((id, events.collect())))
    }

    /// A text that was stored once.
    fn text(&self, address: Address) -> Result<String> {
        let body: Option<Vec<u8>> = self.with(|connection| {
            let sql = "SELECT body FROM contents WHERE address = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            Ok::<_, DbError>(
                statement
                    .query_row([address], |row| row.get(0))
                    .optional()?,
            )
        })?;
        let body = body.ok_or_else(|| StoreError::unreadable("a text is missing"))?;
        let plain = self.sealer().open(Kind::Text, &address, &body)?;
        String::from_utf8(plain).map_err(StoreError::unreadable)
    }
}

impl Iterator for Events {
    type Item = Result<Stamped>;

    fn next(&mut self) -> Option<Result<Stamped>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            match self.store.chunk(self.next, self.last) {
                Ok(Some((id, events))) => {
                    self.next = id + 1;
                    self.ready = events;
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
