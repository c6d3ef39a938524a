//! `hostler runs`: the history of runs.

mod diff;
mod list;
mod log;
mod prune;
mod replay;
mod show;

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use hostler_app::{ExitCode, Runs};
use hostler_diag::SourceMap;

use super::abandon::{self, AbandonArgs};
use super::begin;
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::OutputArgs;
use crate::state_args::StateArgs;

/// Flags of `runs`.
#[derive(Args, Debug)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// List runs, newest first
    List(list::ListArgs),
    /// Show a run: what changed where, what failed, what is left open; or write it as HTML, XML, CSV or JSON
    Show(show::ShowArgs),
    /// Show what changed over all runs: of a host, a path, a task
    Log(log::LogArgs),
    /// Compare two runs of the same playbooks
    Diff(diff::DiffArgs),
    /// Show a run's events again, as the run did
    Replay(replay::ReplayArgs),
    /// Remove old runs
    Prune(prune::PruneArgs),
    /// Give up a run that did not get to its end: its locks are released, it cannot be resumed any more
    Abandon(AbandonArgs),
}

/// Flags of every command about runs.
#[derive(Args, Clone, Debug, Default)]
struct HistoryArgs {
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    show: OutputArgs,
}

/// Does what the subcommand says.
pub(crate) fn run(args: RunsArgs) -> ExitCode {
    match args.command {
        RunsCommand::List(args) => list::run(args),
        RunsCommand::Show(args) => show::run(args),
        RunsCommand::Log(args) => log::run(args),
        RunsCommand::Diff(args) => diff::run(args),
        RunsCommand::Replay(args) => replay::run(args),
        RunsCommand::Prune(args) => prune::run(args),
        RunsCommand::Abandon(args) => abandon::run(args),
    }
}

/// Opens the history and does something with it; problems are told.
fn with_runs(
    args: HistoryArgs,
    diff: bool,
    work: impl FnOnce(&Runs, &Console) -> Result<ExitCode, Problem>,
) -> ExitCode {
    let (console, environment) = match begin(&args.show, diff) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let done = Runs::open(&args.state.request(&environment))
        .map_err(Problem::from)
        .and_then(|runs| work(&runs, &console));
    done.unwrap_or_else(|problem| problem.tell(&SourceMap::new(), &console))
}

/// A time for lists: `2026-11-21 05:56`.
pub(super) fn short_time(at_us: i64) -> String {
    hostler_app::short_time_words(at_us)
}

/// Writes text to a file, or to standard output for `-`.
pub(super) fn write_to(path: &Path, text: &str, console: &Console) -> Result<(), Problem> {
    if path == Path::new("-") {
        console.text(text);
        return Ok(());
    }
    std::fs::write(path, text)
        .map_err(|error| Problem::machine(format!("cannot write {}: {error}", path.display())))
}

/// `90s`, `30m`, `24h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    super::plan::duration(text)
}
