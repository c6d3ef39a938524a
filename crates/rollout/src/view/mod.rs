//! How a run stands: a pure summary of a machine's state.

mod ends;
mod status;
mod text;

pub use ends::{ends, tally};
pub use status::{
    FORM as STATUS_FORM, GroupStatus, HaltStatus, HostStatus, OwedStatus, RunState, Status,
    WaveState, WaveStatus,
};
