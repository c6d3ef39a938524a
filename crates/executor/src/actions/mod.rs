//! What the controller does itself, or prepares before an agent does it: one file each.
//!
//! A task whose module is not listed here goes to the agent as it is.

mod assert;
mod copy;
mod debug;
mod fail;
pub(crate) mod meta;
pub(crate) mod pause;
mod raw;
mod restore;
mod set_fact;
mod setup;
pub(crate) mod template;

use std::sync::Arc;

use hostler_module_api::ModuleSpec;
use hostler_template::Scope;

use crate::failure::Failure;
use crate::host_task::{HostTask, Prepared, RemoteWork, TaskKeywords};

/// Modules that change nothing on a host, whatever they are given.
const HARMLESS: &[&str] = &[
    "assert", "debug", "fail", "meta", "pause", "ping", "set_fact", "setup", "slurp", "stat",
    "wait_for",
];

/// Does the module leave hosts as they are?
pub fn is_harmless(module: &str) -> bool {
    HARMLESS.contains(&module)
}

/// Modules that do what they are told without a look at the host first: done twice, it is done twice.
const BLIND: &[&str] = &["command", "raw", "shell"];

/// May the module be run again when nobody knows whether it ran?
pub(crate) fn is_repeatable(module: &str) -> bool {
    !BLIND.contains(&module)
}

type Prepare = fn(&HostTask<'_>, &TaskKeywords, &Arc<dyn Scope>) -> Result<Prepared, Failure>;

/// Actions by the module's name.
const ACTIONS: &[(&str, Prepare)] = &[
    ("assert", assert::prepare),
    ("copy", copy::prepare),
    ("debug", debug::prepare),
    ("fail", fail::prepare),
    ("raw", raw::prepare),
    ("restore", restore::prepare),
    ("set_fact", set_fact::prepare),
    ("setup", setup::prepare),
    ("template", template::prepare),
];

/// Specifications of the modules that only the controller has.
pub fn specs() -> Vec<ModuleSpec> {
    vec![
        assert::spec(),
        debug::spec(),
        fail::spec(),
        meta::spec(),
        pause::spec(),
        raw::spec(),
        set_fact::spec(),
        template::spec(),
    ]
}

impl HostTask<'_> {
    /// Evaluates the task's arguments and decides who does it.
    pub(crate) fn prepare(
        &self,
        keywords: &TaskKeywords,
        scope: &Arc<dyn Scope>,
    ) -> Result<Prepared, Failure> {
        let action = ACTIONS.iter().find(|(name, _)| *name == self.task.module);
        match action {
            Some((_, prepare)) => prepare(self, keywords, scope),
            None => Ok(Prepared::Agent(RemoteWork::module(
                &self.task.module,
                self.args(scope)?,
            ))),
        }
    }
}
