//! `hostler patch approve`, `halt`, `abort` and `rollback`: orders for a run, wherever it goes on.

use std::time::Duration;

use clap::Args;
use hostler_app::{ExitCode, PatchOrder, give_patch_order};
use hostler_diag::SourceMap;

use crate::commands::{begin, plan::duration};
use crate::run_args::OutputArgs;
use crate::state_args::StateArgs;

/// Flags of every order.
#[derive(Args, Clone, Debug, Default)]
struct Common {
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    show: OutputArgs,
}

/// Flags of `patch approve`.
#[derive(Args, Clone, Debug)]
pub(super) struct ApproveArgs {
    /// The run (or the beginning of its id), or the plan (its file, its id or the beginning of that): then ahead of time
    #[arg(value_name = "RUN|PLAN")]
    what: String,
    /// Name of the wave
    #[arg(value_name = "WAVE")]
    wave: String,
    /// The approval counts for so long: a number with s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    common: Common,
}

/// Flags of `patch halt` and `patch abort`.
#[derive(Args, Clone, Debug)]
pub(super) struct StopArgs {
    /// The run, or the beginning of its id
    #[arg(value_name = "RUN")]
    run: String,
    /// Why, for the notes
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
    #[command(flatten)]
    common: Common,
}

/// Flags of `patch rollback`.
#[derive(Args, Clone, Debug)]
pub(super) struct RollbackArgs {
    /// The run, or the beginning of its id
    #[arg(value_name = "RUN")]
    run: String,
    /// Only these hosts, separated by commas; all that the run has changed if not given
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    hosts: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn approve(args: ApproveArgs) -> ExitCode {
    let order = PatchOrder::Approve { wave: args.wave };
    give(args.common, &args.what, order, args.expires)
}

pub(super) fn halt(args: StopArgs) -> ExitCode {
    let reason = args.reason;
    give(args.common, &args.run, PatchOrder::Halt { reason }, None)
}

pub(super) fn abort(args: StopArgs) -> ExitCode {
    let reason = args.reason;
    give(args.common, &args.run, PatchOrder::Abort { reason }, None)
}

pub(super) fn rollback(args: RollbackArgs) -> ExitCode {
    let hosts = args.hosts;
    give(args.common, &args.run, PatchOrder::Rollback { hosts }, None)
}

fn give(common: Common, what: &str, order: PatchOrder, expires: Option<Duration>) -> ExitCode {
    let (console, environment) = match begin(&common.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    match give_patch_order(&common.state.request(&environment), what, order, expires) {
        Ok(told) => {
            console.line(&told);
            ExitCode::Ok
        }
        Err(refusal) => crate::problem::Problem::from(refusal).tell(&SourceMap::new(), &console),
    }
}
