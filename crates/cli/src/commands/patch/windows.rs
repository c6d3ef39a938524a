//! `hostler patch windows`.

use std::path::PathBuf;

use clap::Args;
use hostler_app::{ExitCode, WindowsRequest, patch_windows};
use hostler_diag::SourceMap;
use hostler_reporters::{windows_json, windows_text};

use super::FleetArgs;
use crate::commands::begin;
use crate::problem::Problem;

/// Flags of `patch windows`.
#[derive(Args, Clone, Debug)]
pub(super) struct WindowsArgs {
    /// The policy
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// So many occurrences
    #[arg(short, long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    next: u16,
    /// Only what is open for this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    fleet: FleetArgs,
}

pub(super) fn run(args: WindowsArgs) -> ExitCode {
    let (console, environment) = match begin(&args.fleet.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let request = WindowsRequest {
            given: args.fleet.request(&environment)?,
            policy: args.policy,
            next: args.next.into(),
            host: args.host,
        };
        let (all, warnings) = patch_windows(&request, &sources)?;
        console.diagnostics(&warnings, &sources);
        console.text(&if console.is_json() {
            windows_json(&all)
        } else {
            windows_text(&all, console.options())
        });
        Ok(ExitCode::Ok)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}
