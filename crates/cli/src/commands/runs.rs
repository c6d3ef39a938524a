//! `hostler runs`: what became of runs.

use clap::{Args, Subcommand};
use hostler_app::ExitCode;

use super::abandon::{self, AbandonArgs};

/// Flags of `runs`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum RunsCommand {
    /// Give up a run that did not get to its end: its locks are released, it cannot be resumed any more
    Abandon(AbandonArgs),
}

/// Does what the subcommand says.
pub(crate) fn run(args: RunsArgs) -> ExitCode {
    match args.command {
        RunsCommand::Abandon(args) => abandon::run(args),
    }
}
