//! The commands, one file each.

mod abandon;
pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod demo;
mod listing;
pub(crate) mod patch;
pub(crate) mod plan;
mod previews;
pub(crate) mod resume;
pub(crate) mod runs;
pub(crate) mod show;
pub(crate) mod undo;

use std::io::Write;

use hostler_app::{ApplyRequest, Audience, ExitCode, Interrupts};
use hostler_diag::SourceMap;
use hostler_events::Reporter;

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

/// Applies, with everything shown.
async fn apply_shown(
    request: ApplyRequest,
    console: &Console,
    more: Vec<Box<dyn Reporter>>,
    interrupts: &Interrupts,
) -> (SourceMap, Result<ExitCode, Problem>) {
    let sources = SourceMap::new();
    let mut audience = Audience {
        reporters: console.reporters(&sources, interrupts),
        interrupts: interrupts.clone(),
        tell: console.teller(),
    };
    audience.reporters.extend(more);
    let done = hostler_app::apply(request, &sources, audience).await;
    (sources, done.map_err(Problem::from))
}

/// A run whose journal broke ended like others on standard output: nobody must miss it.
fn loud(exit: ExitCode) -> ExitCode {
    if exit == ExitCode::JournalBroken {
        let text = "hostler: THE JOURNAL OF THIS RUN COULD NOT BE WRITTEN: no more tasks were started, and what was done last may \
                    be missing in it. Make room or the state directory writable, then `hostler resume`\n";
        // Without standard error there is nobody to tell; the exit status still does.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    exit
}

/// One run from start to end.
fn run_once(request: ApplyRequest, console: &Console) -> ExitCode {
    let sources = SourceMap::new();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(problem) => return problem.tell(&sources, console),
    };
    let done = runtime.block_on(async {
        let interrupts = Interrupts::default();
        let audience = signals::audience(console, &sources, &interrupts)?;
        let done = hostler_app::apply(request, &sources, audience).await;
        done.map_err(Problem::from)
    });
    // A name look-up that hangs must not keep a finished program.
    runtime.shutdown_background();
    done.map_or_else(|problem| problem.tell(&sources, console), loud)
}
