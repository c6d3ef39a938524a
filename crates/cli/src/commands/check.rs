//! `hostler check`: mistakes that can be found without a connection.

use clap::Args;
use hostler_app::{ApplyRequest, ExitCode};
use hostler_diag::{Diagnostic, SourceMap};

use super::begin;
use crate::output::Console;
use crate::run_args::{OutputArgs, SelectArgs};

/// Flags of `check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    show: OutputArgs,
}

/// Checks, and says what it found.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    match begin(&args.show, false) {
        Ok((console, environment)) => report(&args.select.clone().request(&environment), &console),
        Err(exit) => exit,
    }
}

/// Checks what a request names.
pub(super) fn report(request: &ApplyRequest, console: &Console) -> ExitCode {
    let sources = SourceMap::new();
    let found = hostler_app::check(request, &sources);
    let wrong = found.diagnostics.iter().any(Diagnostic::is_error);
    if !found.diagnostics.is_empty() || console.is_json() {
        console.diagnostics(&found.diagnostics, &sources);
    }
    if wrong {
        return ExitCode::UnreachableOrInput;
    }
    if !console.is_json() {
        let verdict = if found.diagnostics.is_empty() {
            "are in order"
        } else {
            "have no errors"
        };
        console.line(&format!(
            "{} and {} {verdict}",
            counted(found.plays, "play"),
            counted(found.hosts, "host")
        ));
    }
    ExitCode::Ok
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}
