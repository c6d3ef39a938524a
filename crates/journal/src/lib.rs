//! The journal of a run: what is written down while it runs, and what a resumed run remembers of it.
//!
//! A run is resumed by running it again from its beginning, with everything that a host answered taken from the
//! journal instead of from the host: the same code then comes to the same variables, includes, notified handlers
//! and decisions, up to the task (and the message within the task) where the answers end. There it goes on for real.
//!
//! ```text
//! executor --Note, in order--> Journal (the history crate: SQLite) --> Memory --> executor of the resumed run
//! ```
//!
//! The order that everything rests on: [`Note::Intent`] is durable before its message is sent to a host, and
//! what the host answered is durable before the host's next intent is.

mod memory;
mod note;

use std::future::Future;
use std::pin::Pin;

pub use memory::{Attempt, Memory, OwedHandler, RememberedHost, RememberedTask};
pub use note::{Execution, Finished, Intent, Note, Print};

/// Where notes go. Notes of one task on one host are given in order; the journal keeps the order of all.
pub trait Journal: Send + Sync {
    /// Takes a note. It is durable after the next [`Journal::sync`].
    fn note(&self, note: Note);

    /// Ends when every note that was given before is durable.
    ///
    /// # Errors
    /// If one of them could not be written. The journal is broken then: every later call fails, too.
    fn sync(&self) -> Pending<'_, ()>;

    /// What the journal holds of these hosts in this run, with all notes that were given before: for hosts that fell
    /// behind the others and now catch up.
    ///
    /// # Errors
    /// If it cannot be read.
    fn recall<'a>(&'a self, hosts: &'a [String]) -> Pending<'a, Memory>;
}

/// What comes of asking a journal.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// The journal cannot be written: no new task may start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub struct JournalError(pub String);
