//! What a preview found, folded over the fleet; plan files and how two of them differ.
//!
//! ```text
//! RunEvents ─→ Builder ─┬→ Preview      for people and programs: tasks, hosts with equal outcomes, changes, unknowns
//!                       └→ Executions   for binding: fingerprints of edits and the state that they rest on
//!                            │ seal (keyed: nothing can be guessed from a file)
//!                            └→ PlanFile ─ encode/decode ─ bytes
//! ```
//!
//! Pure: no files, no clock, no printing. See `docs/design/0008-plans.md`.

mod agreed;
mod builder;
mod compare;
mod document;
mod execution;
mod file;
mod fold;
mod key;
mod mask;

pub use agreed::Agreed;
pub use builder::Builder;
pub use compare::{PlanDiff, compare_plans, moved};
pub use document::{
    Fate, HandlerPreview, HostGroup, HostTotals, InputFile, ItemOutcome, Made, Origin, Outcome,
    PlayPreview, Preview, RestartPreview, TaskGroup, TaskPreview, Totals, UnknownPreview, schema,
};
pub use execution::{BasisPrint, EditPrint, Execution, Executions, Sealed, allowed, seal};
pub use file::{Body, FILE_MAX, FileError, Header, PlanFile, Scope, decode, encode};
pub use fold::{
    Difference, FoldedGroup, FoldedHosts, Likeness, delta_without_host, fold_hosts, fold_task,
    fold_task_by, without_host,
};
pub use key::Key;
pub use mask::Mask;
