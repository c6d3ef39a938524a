//! The commands, one file each.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod demo;
mod listing;
pub(crate) mod plan;
mod previews;
pub(crate) mod show;

use hostler_app::{ApplyRequest, ExitCode, Interrupts};
use hostler_diag::SourceMap;
use hostler_events::{Reporter, Reporters};

use crate::environment::Environment;
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::OutputArgs;
use crate::signals;

/// The console and the environment, or the status to end with.
fn begin(show: &OutputArgs, diff: bool) -> Result<(Console, Environment), ExitCode> {
    match Environment::read() {
        Ok(environment) => Ok((Console::new(show, diff, &environment), environment)),
        Err(problem) => {
            let nothing = Environment::default();
            let console = Console::new(show, diff, &nothing);
            Err(problem.tell(&SourceMap::new(), &console))
        }
    }
}

/// A runtime for everything asynchronous.
fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::machine(format!("cannot start the runtime: {error}")))
}

/// Applies, with signals watched and everything shown.
async fn apply_shown(
    request: ApplyRequest,
    console: &Console,
    more: Vec<Box<dyn Reporter>>,
    interrupts: &Interrupts,
) -> (SourceMap, Result<ExitCode, Problem>) {
    let sources = SourceMap::new();
    let mut reporters = console.reporters(&sources, interrupts);
    reporters.extend(more);
    let reporters = Reporters::new(reporters);
    let done = hostler_app::apply(request, &sources, reporters, interrupts.clone())
        .await
        .map_err(Problem::inputs);
    (sources, done)
}

/// One run from start to end.
fn run_once(request: ApplyRequest, console: &Console) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(problem) => return problem.tell(&SourceMap::new(), console),
    };
    let (sources, done) = runtime.block_on(async {
        let interrupts = Interrupts::default();
        let underway = signals::Underway::default();
        if let Err(problem) = signals::watch(&interrupts, underway.clone()) {
            return (SourceMap::new(), Err(problem));
        }
        let more: Vec<Box<dyn Reporter>> = vec![Box::new(underway)];
        apply_shown(request, console, more, &interrupts).await
    });
    // A name look-up that hangs must not keep a finished program.
    runtime.shutdown_background();
    done.unwrap_or_else(|problem| problem.tell(&sources, console))
}
