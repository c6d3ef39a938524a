//! The run store: journals, events, replaced files, locks and owed handlers of all runs, and the ledger of patching, in one `SQLite` database of the
//! user's state directory.
//!
//! ```text
//! executor --Note--> RunWriter ─┐
//! reporter --Event-> RunWriter ─┴─ one thread ── one transaction for everything that waits ──> runs.sqlite
//! runs list, show, replay, undo <── Store ──────────────────────────────────────────────────────┘
//! resume <── Store::reopen: the same run with a Memory
//! patching ── Fact ──> Store::append_facts, claim_fact ── the ledger, which outlives runs
//! ```
//!
//! See `docs/design/0011-the-run-store.md`.

mod begin;
mod changes;
mod error;
mod event_text;
mod events;
mod facts;
mod failpoint;
pub mod key_file;
mod lease;
mod memory;
mod patch_notes;
mod pen;
mod process;
mod prune;
mod query;
mod queue;
mod replaced;
mod run;
mod schema;
mod scribe;
mod seal;
mod since;
mod state_dir;
mod store;
mod stored_note;
mod waiter;
mod words;
mod writer;

pub use changes::{ChangeFilter, ChangeRecord, ResultRecord, TaskRecord};
pub use error::{Result, StoreError};
pub use events::Events;
pub use facts::{Fact, FactFilter, FactKind};
pub use lease::{Conflict, Held, LeaseError, Life};
pub use prune::{Keep, PruneRequest, Pruned};
pub use query::RunFilter;
pub use replaced::ReplacedFile;
pub use run::{Input, NewRun, RunEnd, RunRecord, RunState, RunSummary};
pub use since::LaterChange;
pub use state_dir::StateDir;
pub use store::Store;
pub use writer::RunWriter;
