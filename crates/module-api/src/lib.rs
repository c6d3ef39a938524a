//! The contract of a module.
//!
//! ```text
//! arguments (templated by the controller)
//!    └─ from_value ──→ Args                    typed, with Ansible's coercions
//!                       │ observe(&Args, &dyn Inspect) → State     looks, through a read-only capability
//!                       │ plan(&Args, &State)          → Plan      pure: edits with the deltas that explain them
//! check mode stops here ┤
//!                       │ the agent applies the edits              the only code that changes a host
//!                       │ observe and plan again: must be settled, or another round (ROUNDS_MAX)
//!                       └ report(&Args, Ran)           → Report    the return values, named as ansible-core's
//! ```
//!
//! A module is one file in `hostler-modules`: typed `Args` (their doc comments are the manual page and the schema),
//! an `impl Module`, tests on the [`fake`] host, and one word in `modules!{...}`. It has no code for check mode or
//! diff, and cannot write: there is no capability to.

mod args;
mod catalog;
mod digest;
mod driver;
mod erased;
mod error;
mod fingerprint;
mod inspect;
mod module;
mod receive;

pub mod fake;

pub use args::{ArgError, from_value};
pub use catalog::{Catalog, ModuleSpec, spec_of};
pub use digest::{ALGORITHMS, Hasher, digest};
pub use driver::{Applier, Mode, ROUNDS_MAX, describe, execute};
pub use error::{Failed, InspectError, ModuleError};
pub use fingerprint::{FIRST_STAND_IN, Fingerprint, fingerprint, first_not_allowed};
pub use inspect::{Account, Declared, FileStat, Follow, FsSpace, Group, Identity, Inspect};
pub use module::{Module, Ran, Report};
pub use receive::{Receive, receive};

pub use hostler_change as change;
pub use hostler_value as value;

/// What nearly every module file needs.
pub mod prelude {
    pub use crate::{
        FileStat, Follow, Inspect, Module, ModuleError, ModuleSpec, Ran, Report, spec_of,
    };
    pub use hostler_change::{
        Applied, Attrs, Change, CommandOutput, Content, Delta, Edit, Effect, FileKind, Owner, Plan,
        Program, Run, UserEffect, WriteFile,
    };
    pub use hostler_value::{Map, Value};
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
}
