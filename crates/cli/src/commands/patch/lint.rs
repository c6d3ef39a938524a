//! `hostler patch lint`.

use std::path::PathBuf;

use clap::Args;
use hostler_app::{ExitCode, patch_lint};
use hostler_diag::SourceMap;

use super::FleetArgs;
use crate::commands::begin;
use crate::problem::Problem;

/// Flags of `patch lint`.
#[derive(Args, Clone, Debug)]
pub(super) struct LintArgs {
    /// Policies: each is judged by itself, then all beside each other
    #[arg(value_name = "POLICY", required_unless_present = "schema")]
    policies: Vec<PathBuf>,
    /// Print the JSON schema of policies, for editors
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    fleet: FleetArgs,
}

pub(super) fn run(args: LintArgs) -> ExitCode {
    let (console, environment) = match begin(&args.fleet.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    if args.schema {
        console.line(&format!("{:#}", hostler_patch::policy::schema()));
        return ExitCode::Ok;
    }
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let request = args.fleet.request(&environment)?;
        let (words, warnings) = patch_lint(&request, &args.policies, &sources)?;
        console.diagnostics(&warnings, &sources);
        if !console.is_json() {
            console.text(&words);
        }
        Ok(ExitCode::Ok)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}
