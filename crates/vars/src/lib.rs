//! The precedence stack: which value a variable has for a host, and where it came from.
//!
//! ```text
//!  loop > magic > extra vars > set_fact, register > include_vars > task, blocks > vars_files > vars_prompt > play vars
//!       > facts > host_vars > host > group_vars > group_vars/all > groups > group `all`
//! ```
//!
//! [`VarStore`] holds all of a run; [`VarStore::scope`] gives what one host sees in one task. Layers are shared and asked
//! in order when a template looks at a name, so 10,000 hosts share the variables of their groups.

mod facts;
mod level;
mod magic;
mod play;
mod scope;
mod store;

pub use facts::can_be_fact;
pub use level::{Found, Level};
pub use magic::RunOptions;
pub use play::PlayLayer;
pub use scope::HostScope;
pub use store::VarStore;
