//! How a run stands: a pure summary of a machine's state.

mod status;
mod text;

pub use status::{
    FORM as STATUS_FORM, GroupStatus, HaltStatus, HostStatus, OwedStatus, RunState, Status,
    WaveState, WaveStatus,
};
