//! Notes of patch runs: lines of JSON, in order, durable before what they announce is done.
//!
//! An entry of the table is all lines of one transaction, each after its length (4 bytes, little endian). Unlike the
//! journal they stay when the run has ended, since reports are made of them.

use hostler_events::RunId;

use crate::error::{Result, StoreError};
use crate::memory;
use crate::query;
use crate::seal::Kind;
use crate::store::{DbError, Store};

impl Store {
    /// All notes that a patch run wrote down, in order. Those of a run that still goes on may be read, too.
    ///
    /// # Errors
    /// If there is no such run, or an entry cannot be read.
    pub fn patch_notes(&self, run: &RunId) -> Result<Vec<String>> {
        self.with(|connection| {
            let number = query::number(connection, run)?;
            let sql = "SELECT id, body FROM patch_notes WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(memory::entries(number))?;
            let mut notes = Vec::new();
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                let plain = self
                    .sealer()
                    .open(Kind::PatchNotes, &id.to_be_bytes(), body)?;
                read(&plain, &mut notes)?;
            }
            Ok::<_, DbError>(notes)
        })
    }
}

impl Store {
    /// A patch run that is over may go on after all: its hosts are to be put back.
    ///
    /// # Errors
    /// If there is no such run, or the store cannot be written.
    pub fn open_again(&self, run: &RunId) -> Result<()> {
        self.change(|transaction| {
            let number = query::number(transaction, run)?;
            transaction.execute(
                "UPDATE runs SET resumable = 1 WHERE id = ?1 AND NOT checks",
                [number],
            )?;
            Ok::<_, DbError>(())
        })
    }
}

/// The plain texts of the entries that hold these notes, each of about `most` bytes or of one note.
pub(crate) fn entries(notes: &[String], most: usize) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for note in notes {
        let length = u32::try_from(note.len()).unwrap_or(u32::MAX);
        let text = note.as_bytes();
        let text = &text[..text.len().min(length as usize)];
        match all.last_mut() {
            Some(entry) if entry.len() + text.len() <= most => push(entry, length, text),
            _ => {
                let mut entry = Vec::with_capacity(text.len() + 4);
                push(&mut entry, length, text);
                all.push(entry);
            }
        }
    }
    all
}

fn push(entry: &mut Vec<u8>, length: u32, text: &[u8]) {
    entry.extend_from_slice(&length.to_le_bytes());
    entry.extend_from_slice(text);
}

fn read(mut plain: &[u8], notes: &mut Vec<String>) -> Result<()> {
    let cut = || StoreError::unreadable("notes of a patch run that end in the middle");
    while !plain.is_empty() {
        let (length, rest) = plain.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (text, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let text = std::str::from_utf8(text).map_err(StoreError::unreadable)?;
        notes.push(text.to_owned());
        plain = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written_whatever_they_hold() {
        let notes: Vec<String> = ["", "{\"a\":1}", "two\nlines", &"x".repeat(50)]
            .map(str::to_owned)
            .to_vec();
        for most in [1, 20, 10_000] {
            let entries = entries(&notes, most);
            assert!(entries.iter().all(|it| it.len() <= most.max(54)));
            let mut found = Vec::new();
            for entry in &entries {
                read(entry, &mut found).unwrap();
            }
            assert_eq!(found, notes);
        }
        let whole = entries(&notes, 10_000).remove(0);
        // Ends of whole notes are the only places where it may end.
        let ends = [0, 4, 4 + 11, 4 + 11 + 13, whole.len()];
        for cut in 0..=whole.len() {
            let result = read(&whole[..cut], &mut Vec::new());
            assert_eq!(result.is_ok(), ends.contains(&cut), "{cut}");
        }
    }
}
