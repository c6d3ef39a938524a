//! Runs plays over hosts.
//!
//! ```text
//! run_playbook ── for each play ── for each batch (serial)
//!    play/         facts → pre_tasks → handlers → tasks → handlers → post_tasks → handlers
//!    strategy.rs   a list of entries over a set of hosts; block → rescue (hosts that failed) → always
//!    fan_out.rs    one task over its hosts, in parallel, forks at a time
//!    host_task/    one task on one host: keywords, when, loop, until, register
//!    actions/      what the controller does itself (debug, set_fact, ...) or prepares (template, copy)
//!    fleet/        connections, and agents as other users
//! ```
//!
//! What happens to a host is data ([`hostler_events::TaskResult`]); it never stops another host. Only a fault of the
//! controller itself is an error.

mod actions;
mod bound;
mod context;
mod failure;
mod fan_out;
mod files;
mod fleet;
mod foresight;
mod handlers;
mod host_task;
mod interrupts;
mod parts;
mod past;
mod play;
mod preflight;
mod print;
mod probe;
mod recording;
mod result;
mod strategy;

pub use actions::{is_harmless, specs as action_specs};
pub use bound::{Bound, Execution, Permit};
pub use context::{Limits, RunContext, RunSettings, SecretSink};
pub use fleet::{ConnectDefaults, Fleet};
pub use interrupts::{Interrupts, Level};
pub use parts::{Seen, TaskNumbers};
pub use play::{PlayInputs, PlayOutcome, RunState, run_play};
pub use preflight::{Preflight, TemplateTask, task_arguments};
pub use recording::Recording;
