//! `meta`: steer the run itself. Carried out by the strategy, never on a host.

use hostler_module_api::{ModuleSpec, spec_of};
use schemars::JsonSchema;
use serde::Deserialize;

/// Steer the run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "read as a node: the strategy needs it before any host does"
)]
struct Args {
    /// What to do.
    #[serde(alias = "_raw_params")]
    free_form: Meta,
}

/// What a `meta` task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Meta {
    /// Run the notified handlers now.
    FlushHandlers,
    /// Nothing.
    Noop,
    /// Forget facts and variables that were set on the host.
    ClearFacts,
    /// Let failed hosts take part again.
    ClearHostErrors,
    /// End the play for all hosts.
    EndPlay,
    /// End the batch for all its hosts.
    EndBatch,
    /// End the play for the host.
    EndHost,
    /// Connect anew.
    ResetConnection,
}

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("meta").free_form("free_form")
}

impl Meta {
    /// Reads the word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "flush_handlers" => Meta::FlushHandlers,
            "noop" => Meta::Noop,
            "clear_facts" => Meta::ClearFacts,
            "clear_host_errors" => Meta::ClearHostErrors,
            "end_play" => Meta::EndPlay,
            "end_batch" => Meta::EndBatch,
            "end_host" => Meta::EndHost,
            "reset_connection" => Meta::ResetConnection,
            _ => return None,
        })
    }
}
