//! Carries out what the machine decides: writes notes, does jobs, waits.

mod traits;

pub use traits::{Clock, GateAnswer, Gates, Hosts, Later, NewOrder, NotWritten, Notes, Orders};
