//! The trait, and what a module is told after its plan was applied.

use hostler_change::{Applied, ModuleFailure, Plan};
use hostler_value::{Map, Value};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Inspect, ModuleError};

/// One module. See the crate's page for the order of calls.
pub trait Module: 'static {
    /// Typed arguments. Doc comments are the manual page; `#[serde(deny_unknown_fields)]` is a must, aliases are
    /// `#[serde(alias = "...")]`.
    type Args: DeserializeOwned + JsonSchema;

    /// What it looked at.
    type State: 'static;

    /// Short name, as playbooks write it.
    const NAME: &'static str;

    /// False for a module that check mode skips without looking, because ansible-core's does not support it
    /// (`wait_for` would wait for what earlier tasks only pretended to do).
    const CHECK_MODE: bool = true;
    /// For a module without check mode: does it change the host when it runs?
    const CHANGES: bool = true;

    /// Looks at the host.
    fn observe(args: &Self::Args, host: &dyn Inspect) -> Result<Self::State, ModuleError>;

    /// Says what to do. Pure: the same arguments and state give the same plan.
    fn plan(args: &Self::Args, now: &Self::State) -> Result<Plan, ModuleError>;

    /// The return values. Called after every run, also in check mode (then `applied` is empty) and when nothing had
    /// to be done. The default has none of its own.
    fn report(_args: &Self::Args, _ran: &Ran<'_, Self::State>) -> Report {
        Report::default()
    }

    /// Return values that go with the failure of an edit. The default has none.
    fn failure_fields(_args: &Self::Args, _before: &Self::State, _error: &ModuleError) -> Map {
        Map::new()
    }
}

/// What happened, for [`Module::report`].
pub struct Ran<'a, S> {
    /// What was seen before.
    pub before: &'a S,
    /// What is there now: seen again after edits were applied, else the same as `before`.
    pub after: &'a S,
    /// The first plan.
    pub plan: &'a Plan,
    /// What came of each of its edits, in order; empty in check mode and for an empty plan.
    pub applied: &'a [Applied],
    /// Is this check mode?
    pub check: bool,
}

/// A module's return values.
#[derive(Debug, Default)]
pub struct Report {
    /// Values, as ansible-core names them; `changed`, `failed` and `diff` are added by the engine.
    pub fields: Map,
    /// It failed after all (a command's exit status).
    pub failed: Option<ModuleFailure>,
    /// It was not carried out (`creates` is there; check mode of an unpredictable module).
    pub skipped: bool,
    /// Says whether it changed the host, where the plan's emptiness does not.
    pub changed: Option<bool>,
    /// Facts to set, without the `ansible_` prefix.
    pub facts: Option<Map>,
    /// Warnings.
    pub warnings: Vec<String>,
}

impl Report {
    /// Adds a return value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name, value);
        self
    }

    /// Adds `stdout` and `stderr` of the programs that were run, joined, where there is any.
    #[must_use]
    pub fn with_printed(mut self, applied: &[Applied]) -> Self {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for done in applied {
            if let Applied::Ran(output) = done {
                stdout.push_str(&output.stdout_text());
                stderr.push_str(&output.stderr_text());
            }
        }
        for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
            if !text.is_empty() {
                self.fields.insert(name, text);
            }
        }
        self
    }

    /// Makes it a failure.
    #[must_use]
    pub fn fail(mut self, msg: impl Into<String>) -> Self {
        self.failed = Some(ModuleFailure {
            msg: msg.into(),
            hint: None,
        });
        self
    }
}
