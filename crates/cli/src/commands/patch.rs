//! `hostler patch`: updates of operating systems.

pub(super) mod apply;
mod clear;
mod daemon;
mod install_schedule;
mod lint;
mod orders;
mod plan;
mod report;
mod scan;
mod status;
mod windows;

use clap::{Args, Subcommand};
use hostler_app::{ApplyRequest, ExitCode};

use crate::environment::Environment;
use crate::problem::Problem;
use crate::run_args::{BecomeArgs, ConnectArgs, OutputArgs};
use crate::state_args::{LimitArgs, LockArgs, StateArgs};

/// Flags of `patch`.
#[derive(Args, Debug)]
pub(crate) struct PatchArgs {
    #[command(subcommand)]
    command: PatchCommand,
}

#[derive(Debug, Subcommand)]
enum PatchCommand {
    /// Judge policies: every mistake with its place, before anything is started
    Lint(Box<lint::LintArgs>),
    /// Look at hosts: updates that wait, pending reboots, holds, and what else is to be known. Nothing is changed.
    Scan(Box<scan::ScanArgs>),
    /// Make a plan: exact versions for each host, in waves. Nothing is changed.
    Plan(Box<plan::PlanArgs>),
    /// Show a plan's file
    Show(plan::ShowArgs),
    /// Foresee a night: when each host's turn comes, what does not fit, what is away at the same time. Nothing is changed.
    Forecast(Box<plan::ForecastArgs>),
    /// Say why a host is patched or not, with the rule that decides it
    Explain(Box<plan::ExplainArgs>),
    /// Carry out a plan: wave after wave, inside its windows
    Apply(Box<apply::ApplyArgs>),
    /// Show how a run stands: each wave and host, what it waits for, what is owed
    Status(status::StatusArgs),
    /// Go on with a run that was halted, interrupted or waits
    Resume(Box<apply::PatchResumeArgs>),
    /// Approve a wave of a run, or of a plan ahead of time
    Approve(orders::ApproveArgs),
    /// Start no new hosts in a run; those under way come to their end
    Halt(orders::StopArgs),
    /// Start no new hosts, undo what is owed (drained hosts), and close the run
    Abort(orders::StopArgs),
    /// Put hosts back to the versions that they had before a run
    Rollback(orders::RollbackArgs),
    /// List versions that went wrong and are in no plan any more, or let them be planned again
    Clear(clear::ClearArgs),
    /// Report how hosts stand, how long they were exposed, and what runs did. No host is asked
    Report(Box<report::ReportArgs>),
    /// List the exceptions of a policy, expired ones first
    Exceptions(Box<report::ExceptionsArgs>),
    /// Show when the windows of a policy open next
    Windows(Box<windows::WindowsArgs>),
    /// Open the windows of policies: at each start a plan is made and carried out
    Daemon(Box<daemon::DaemonArgs>),
    /// Write a systemd service and timer that open the windows of a policy
    InstallSchedule(Box<install_schedule::InstallArgs>),
}

/// Which hosts, and how they are reached.
#[derive(Args, Clone, Debug, Default)]
struct FleetArgs {
    /// Inventory: a file, directory, script or comma-separated list; may be given several times
    #[arg(
        short,
        long,
        value_name = "INVENTORY",
        visible_alias = "inventory-file"
    )]
    inventory: Vec<String>,
    /// Only hosts that this pattern selects too; @FILE reads names from a file
    #[arg(short, long, value_name = "PATTERN", visible_alias = "subset")]
    limit: Option<String>,
    /// Variables that go before all others: key=value, YAML, JSON or @FILE
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// Ask so many hosts at the same time; all of them if not given
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    forks: Option<u32>,
    #[command(flatten)]
    show: OutputArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    locks: LockArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    r#become: BecomeArgs,
}

impl FleetArgs {
    /// Decides everything: flags go before the environment; passwords are asked for here.
    fn request(self, environment: &Environment) -> Result<ApplyRequest, Problem> {
        let connect = self.connect.request(environment)?;
        let r#become = self.r#become.request(environment, &connect)?;
        let inventory = if self.inventory.is_empty() {
            environment.inventory.clone()
        } else {
            self.inventory
        };
        let forks = self.forks.or(environment.forks);
        Ok(ApplyRequest {
            inventory,
            limit: self.limit,
            extra_vars: self.extra_vars,
            forks: forks.and_then(|forks| usize::try_from(forks).ok()),
            verbosity: self.show.verbose,
            state: self.state.request(environment),
            locks: self.locks.request(),
            limits: self.limits.request(environment),
            connect,
            r#become,
            ..ApplyRequest::default()
        })
    }
}

/// Does what the subcommand says.
pub(crate) fn run(args: PatchArgs) -> ExitCode {
    match args.command {
        PatchCommand::Lint(args) => lint::run(*args),
        PatchCommand::Scan(args) => scan::run(*args),
        PatchCommand::Plan(args) => plan::run(*args),
        PatchCommand::Show(args) => plan::show(&args),
        PatchCommand::Forecast(args) => plan::forecast(*args),
        PatchCommand::Explain(args) => plan::explain(*args),
        PatchCommand::Clear(args) => clear::run(args),
        PatchCommand::Status(args) => status::run(args),
        PatchCommand::Apply(args) => apply::run(*args),
        PatchCommand::Resume(args) => apply::resume(*args),
        PatchCommand::Approve(args) => orders::approve(args),
        PatchCommand::Halt(args) => orders::halt(args),
        PatchCommand::Abort(args) => orders::abort(args),
        PatchCommand::Rollback(args) => orders::rollback(args),
        PatchCommand::Report(args) => report::run(*args),
        PatchCommand::Exceptions(args) => report::exceptions(*args),
        PatchCommand::Windows(args) => windows::run(*args),
        PatchCommand::Daemon(args) => daemon::run(*args),
        PatchCommand::InstallSchedule(args) => install_schedule::run(*args),
    }
}
