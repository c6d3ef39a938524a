//! `hostler patch status`.

use clap::Args;
use hostler_app::{ExitCode, patch_status};
use hostler_diag::SourceMap;
use hostler_reporters::sanitize;

use crate::commands::begin;
use crate::problem::Problem;
use crate::run_args::OutputArgs;
use crate::state_args::StateArgs;

/// Flags of `patch status`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct StatusArgs {
    /// The run, or the beginning of its id; the newest patch run if not given
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    show: OutputArgs,
}

pub(super) fn run(args: StatusArgs) -> ExitCode {
    let (console, environment) = match begin(&args.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    match patch_status(&args.state.request(&environment), args.run.as_deref()) {
        Ok(status) if console.is_json() => {
            let json = serde_json::to_string(&status).unwrap_or_default();
            console.line(&sanitize::json(&json));
            ExitCode::Ok
        }
        Ok(status) => {
            console.text(&sanitize::text(&status.to_string()));
            ExitCode::Ok
        }
        Err(refusal) => Problem::from(refusal).tell(&SourceMap::new(), &console),
    }
}
