//! `hostler undo`: put back the files that a run replaced.

use clap::Args;
use hostler_app::{ApplyRequest, ExitCode, Interrupts, UndoRequest};
use hostler_diag::SourceMap;

use super::{begin, runtime};
use crate::environment::Environment;
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::{BecomeArgs, ConnectArgs, OutputArgs};
use crate::signals;
use crate::state_args::{LimitArgs, LockArgs, StateArgs};

/// Flags of `undo`. Inventory, connection and privileges are those of the run, where none are given.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct UndoArgs {
    /// The run: its id, the beginning or end of it, or `last`, the newest that was no preview
    #[arg(value_name = "RUN")]
    run: String,
    /// Inventory, if it is another one now; may be given several times
    #[arg(
        short,
        long,
        value_name = "INVENTORY",
        visible_alias = "inventory-file"
    )]
    inventory: Vec<String>,
    /// Only files on hosts that this pattern selects
    #[arg(short, long, value_name = "PATTERN", visible_alias = "subset")]
    limit: Option<String>,
    /// More variables for the connection: key=value, YAML, JSON or @FILE
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// Change nothing: say what would be put back
    #[arg(short = 'C', long)]
    check: bool,
    /// Show differences
    #[arg(short = 'D', long)]
    diff: bool,
    /// Work on so many hosts at the same time; all of them if not given
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

/// Puts the files back.
pub(crate) fn run(args: UndoArgs) -> ExitCode {
    let (console, environment) = match begin(&args.show, args.diff) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = args
        .request(&environment)
        .and_then(|request| carry_out(request, &sources, &console));
    done.unwrap_or_else(|problem| problem.tell(&sources, &console))
}

impl UndoArgs {
    fn request(self, environment: &Environment) -> Result<UndoRequest, Problem> {
        // What the environment says of hosts is older than what the run was told: it counts for nothing here.
        let nothing = Environment::default();
        let connect = self.connect.request(&nothing)?;
        let r#become = self.r#become.request(&nothing, &connect)?;
        let given = ApplyRequest {
            inventory: self.inventory,
            limit: self.limit,
            extra_vars: self.extra_vars,
            check: self.check,
            diff: self.diff,
            forks: self.forks.and_then(|forks| usize::try_from(forks).ok()),
            verbosity: self.show.verbose,
            state: self.state.request(environment),
            locks: self.locks.request(),
            limits: self.limits.request(environment),
            connect,
            r#become,
            ..ApplyRequest::default()
        };
        Ok(UndoRequest {
            run: self.run,
            given,
        })
    }
}

fn carry_out(
    request: UndoRequest,
    sources: &SourceMap,
    console: &Console,
) -> Result<ExitCode, Problem> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let interrupts = Interrupts::default();
        let audience = signals::audience(console, sources, &interrupts)?;
        let done = hostler_app::undo(request, sources, audience).await;
        done.map_err(Problem::from)
    });
    // A name look-up that hangs must not keep a finished program.
    runtime.shutdown_background();
    done
}
