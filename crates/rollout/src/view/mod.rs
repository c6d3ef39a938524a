//! How a run stands, and how it went: pure summaries of a machine's state.

mod ends;
mod status;
mod summary;
mod text;

pub use ends::{ends, tally};
pub use status::{
    FORM as STATUS_FORM, GroupStatus, HaltStatus, HostStatus, OwedStatus, RunState, Status,
    WaveState, WaveStatus,
};
pub use summary::{Cause, HostSummary, StepTimes, Summary};
