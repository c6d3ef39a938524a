//! The one event enum that the engine emits and every reporter reads.
//!
//! The engine emits [`RunEvent`]s, stamped with time and number; the terminal, plain lines, JSON lines and whatever
//! comes later only read them. Events say what happened, in past tense, and repeat what a reader needs to make sense
//! of them alone. They are serialised (JSON lines today, history later): a change of shape is a change of format.

mod event;
mod recap;
mod reporter;
mod result;

pub use event::{HostState, RunEvent, RunId, Stamped, TaskId, TaskInfo, TaskKind};
pub use recap::{Counts, Recap};
pub use reporter::{Reporter, Reporters};
pub use result::{ItemResult, Status, TaskResult, Unreachable};
