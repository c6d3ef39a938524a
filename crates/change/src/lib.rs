//! What would be or was done on a host, as data.
//!
//! A module never changes a host: it returns a [`Plan`] of [`Edit`]s, each with the [`Delta`] that explains it.
//! One place in the agent applies edits. The vocabulary is small and closed on purpose: a new variant needs a reason
//! in `docs/design/`.

mod allowed;
mod command;
mod delta;
mod edit;
mod effect;
mod forecast;
mod outcome;
mod plan;

pub use allowed::Allowed;
pub use command::{CommandOutput, Program, Shown};
pub use delta::{Change, Delta, TEXT_SHOWN_MAX};
pub use edit::{
    Attrs, Content, Edit, Fetch, FileKind, Link, MakeDir, Owner, Remove, Run, Times, WriteFile,
};
pub use effect::{Effect, ShadowEffect, UnitEffect, UserEffect};
pub use forecast::{Basis, Forecast};
pub use outcome::{Applied, Before, ModuleFailure, Outcome, Replaced, Unforeseen};
pub use plan::{Plan, Planned};
