//! Carries out a patch plan: waves, budgets, gates, windows, the way back.
//!
//! ```text
//! Plan ──► Machine (pure) ── decide(now) ──► notes to write, jobs to do, when to look again
//!             ▲    ▲                                   │
//!     replay  │    │ take(note)                        ▼
//!           notes ◄┴──────────── drive: writes each note durably, then acts (Hosts, Gates, Orders, Clock)
//! ```
//!
//! The machine's state is a function of the plan and of the notes: whoever has both can go on, on the same controller
//! after a crash or on another one. A job that had begun when its controller died is given out again with
//! [`StepCall::again`], and whoever carries it out looks first whether it was done.

mod call;
pub mod drive;
mod gates;
pub mod machine;
mod note;
mod view;

pub use call::{CommandOutcome, Job, JobName, Step, StepCall, StepOutcome, StepWork};
pub use drive::{
    Clock, DriveError, GateAnswer, Gates, Hosts, Later, NewOrder, NotWritten, Notes, Orders, Stand,
    SystemClock, World, drive,
};
pub use gates::{Hide, RealGates};
pub use machine::{Command, End, Machine, Misfit, Owed, Stage};
pub use note::{
    Entry, FORM, Failure, FailureKind, HaltCause, Held, Moment, Note, Order, Outcome, Proof, RunEnd,
};
pub use view::{
    GroupStatus, HaltStatus, HostStatus, OwedStatus, RunState, STATUS_FORM, Status, WaveState,
    WaveStatus, ends, tally,
};
