//! `hostler runs abandon`: give a run up that did not get to its end.

use clap::Args;
use hostler_app::ExitCode;
use hostler_diag::SourceMap;
use hostler_reporters::sanitize;

use super::begin;
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::OutputArgs;
use crate::state_args::StateArgs;

/// Flags of `runs abandon`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct AbandonArgs {
    /// The run, or the beginning of its id
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    show: OutputArgs,
}

/// Gives it up: its locks are released, it cannot be resumed any more.
pub(crate) fn run(args: AbandonArgs) -> ExitCode {
    let (console, environment) = match begin(&args.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    match hostler_app::abandon(&args.state.request(&environment), &args.run) {
        Ok(abandoned) => {
            tell(&abandoned, &console);
            ExitCode::Ok
        }
        Err(refusal) => Problem::from(refusal).tell(&SourceMap::new(), &console),
    }
}

fn tell(abandoned: &hostler_app::Abandoned, console: &Console) {
    if console.is_json() {
        console.line(&sanitize::json(&abandoned.json()));
        return;
    }
    let hosts = abandoned.released.len();
    let plural = if hosts == 1 { "" } else { "s" };
    console.line(&format!(
        "Run {} is abandoned; {hosts} host{plural} released.",
        sanitize::name(&abandoned.run)
    ));
    for owed in &abandoned.owed {
        console.line(&format!(
            "still owed: {} on {}: the next run of {} runs it",
            sanitize::name(&owed.handler),
            sanitize::name(&owed.host),
            sanitize::name(&owed.playbook)
        ));
    }
}
