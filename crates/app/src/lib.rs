//! Wires inputs, engine and reporters; one file per use case.
//!
//! - [`apply`]: run playbooks, for real or in check mode.
//! - [`preview`], [`read_plan`], [`apply_plan`]: see first, keep it, do exactly that.
//! - [`list`]: what playbooks would visit, without a connection.
//! - [`check`]: every problem that can be found without a connection.

mod apply;
mod check;
mod extra_vars;
mod inputs;
mod list;
mod origins;
mod plan;
mod plan_key;
mod request;
mod scripts;
mod static_check;

pub use apply::apply;
pub use check::{CheckReport, check};
pub use hostler_executor::{Interrupts, Level, Limits};
pub use list::{PlayListing, TaskListing, list};
pub use plan::{Draft, PlanRequest, after, apply_plan, is_expired, preview, read_plan, time_words};
pub use request::{
    ApplyRequest, BecomeRequest, ConnectRequest, ExitCode, LockRequest, StateRequest,
};
