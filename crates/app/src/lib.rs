//! Wires inputs, engine and reporters; one file per use case.

mod request;

pub use request::{ApplyRequest, BecomeRequest, ConnectRequest, ExitCode};
