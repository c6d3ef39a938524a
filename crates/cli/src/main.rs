//! The `hostler` command: flags in, exit code out.

mod cli;
mod commands;
mod environment;
mod keys;
mod output;
mod problem;
mod run_args;
mod secrets;
mod settings_file;
mod signals;
mod state_args;
mod sturdy;

use std::process::ExitCode;

use cli::{Cli, Command};
use hostler_app::ExitCode as Exit;

fn main() -> ExitCode {
    let mut args = std::env::args_os().peekable();
    let program = args.next();
    // Before anything else: a host of the demo must enter its namespaces while it has one thread.
    if args
        .next_if(|arg| arg == hostler_demo::HELPER_ARGUMENT)
        .is_some()
    {
        return hostler_demo::host_main(args);
    }
    no_core_dumps();
    all_files_there_are();
    let cli = match Cli::read(program.into_iter().chain(args)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let exit = match cli.command {
        Command::Apply(args) => commands::apply::run(*args),
        Command::Resume(args) => commands::resume::run(*args),
        Command::Runs(args) => commands::runs::run(args),
        Command::Undo(args) => commands::undo::run(*args),
        Command::Patch(args) => commands::patch::run(args),
        Command::Plan(args) => commands::plan::run(*args),
        Command::Show(args) => commands::show::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
    };
    ExitCode::from(exit as u8)
}

/// A crash must not write the passwords in memory to a file. A limit of children too, which may raise it again.
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    // Lowering a limit of one's own is always allowed.
    let _ = setrlimit(Resource::Core, limit);
}

/// Each host is a connection, and many systems give 1024 files of the 1,000,000 that may be had. Programs that are started
/// have the same limit, which matters to those alone that still use `select`.
fn all_files_there_are() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: Some(limit.maximum.unwrap_or(FILES_MAX).min(FILES_MAX)),
        ..limit
    };
    if raised.current > limit.current && limit.current.is_some() {
        // Where it is not allowed, the limit that there is counts.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// More are of no use.
const FILES_MAX: u64 = 1 << 16;

/// Help and version are answers; anything else is a wrong command line, for which ansible-playbook ends with 5.
fn usage(error: &clap::Error) -> ExitCode {
    // Where even this cannot be written, the status still tells.
    let _ = error.print();
    let exit = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Ok
    };
    ExitCode::from(exit as u8)
}
