//! Wires inputs, engine and reporters; one file per use case.
//!
//! - [`apply`]: run playbooks, for real or in check mode.
//! - [`list`]: what playbooks would visit, without a connection.
//! - [`check`]: every problem that can be found without a connection.

mod apply;
mod check;
mod extra_vars;
mod inputs;
mod list;
mod request;
mod scripts;
mod static_check;

pub use apply::apply;
pub use check::{CheckReport, check};
pub use hostler_executor::{Interrupts, Level};
pub use list::{PlayListing, TaskListing, list};
pub use request::{ApplyRequest, BecomeRequest, ConnectRequest, ExitCode};
