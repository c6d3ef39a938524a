//! `hostler resume`: go on with a run that did not get to its end.

use std::path::PathBuf;

use clap::Args;
use hostler_app::{ApplyRequest, ExitCode, Interrupts, ResumeRequest, Unfinished};
use hostler_diag::SourceMap;

use super::{begin, loud, runtime};
use crate::environment::Environment;
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::{BecomeArgs, ConnectArgs, OutputArgs};
use crate::signals;
use crate::state_args::{LockArgs, StateArgs};

/// Flags of `resume`. Everything else is as it was when the run began.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ResumeArgs {
    /// The run, or the beginning of its id; the newest that can be resumed if not given
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Go on even if playbooks, inventory or other files have changed since
    #[arg(long)]
    accept_changes: bool,
    /// Run tasks again of which is not known what they did, even if their module does not look before it acts (`command`)
    #[arg(long)]
    rerun_unknown: bool,
    /// Only hosts that this pattern selects too
    #[arg(short, long, value_name = "PATTERN", visible_alias = "subset")]
    limit: Option<String>,
    /// Work on so many hosts at the same time
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    forks: Option<u32>,
    /// Show differences
    #[arg(short = 'D', long)]
    diff: bool,
    #[command(flatten)]
    show: OutputArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    locks: LockArgs,
    #[command(flatten)]
    passwords: PasswordArgs,
}

/// Passwords, which are never stored.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Passwords")]
struct PasswordArgs {
    /// Ask for the login password
    #[arg(short = 'k', long)]
    ask_pass: bool,
    /// Read the login password from this file (or program)
    #[arg(
        long,
        value_name = "FILE",
        visible_alias = "conn-pass-file",
        conflicts_with = "ask_pass"
    )]
    connection_password_file: Option<PathBuf>,
    /// Ask for the password for becoming
    #[arg(short = 'K', long)]
    ask_become_pass: bool,
    /// Read the password for becoming from this file (or program)
    #[arg(
        long,
        value_name = "FILE",
        visible_alias = "become-pass-file",
        conflicts_with = "ask_become_pass"
    )]
    become_password_file: Option<PathBuf>,
    /// Try a password on no more hosts once so many have refused it and none has accepted it; 3 if not given, 0 tries it on
    /// every host
    #[arg(long, value_name = "NUMBER")]
    password_trials: Option<u32>,
}

/// Goes on.
pub(crate) fn run(args: ResumeArgs) -> ExitCode {
    let (console, environment) = match begin(&args.show, args.diff) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let patches = find(&args, &environment).map(|it| it.patches());
    if let Ok(true) = patches {
        return super::patch::apply::go_on(args, Vec::new(), None);
    }
    let done = prepare(args, &environment)
        .and_then(|(unfinished, request)| go_on(unfinished, request, &sources, &console));
    done.unwrap_or_else(|problem| problem.tell(&sources, &console))
}

impl ResumeArgs {
    /// How output looks.
    pub(super) fn output(&self) -> &OutputArgs {
        &self.show
    }
}

fn find(args: &ResumeArgs, environment: &Environment) -> Result<Unfinished, Problem> {
    let state = absolute(args.state.clone().request(environment));
    Ok(hostler_app::find_unfinished(&state, args.run.as_deref())?)
}

/// Finds the run, and goes to its directory: its relative paths mean something there only.
pub(super) fn prepare(
    args: ResumeArgs,
    environment: &Environment,
) -> Result<(Unfinished, ResumeRequest), Problem> {
    let state = absolute(args.state.request(environment));
    let unfinished = hostler_app::find_unfinished(&state, args.run.as_deref())?;
    // Asked for before anything else goes on, and in the directory that the paths of files are meant in.
    let PasswordArgs {
        ask_pass,
        connection_password_file,
        ask_become_pass,
        become_password_file,
        password_trials,
    } = args.passwords;
    let nothing = Environment::default();
    let connect = ConnectArgs {
        ask_pass,
        connection_password_file,
        password_trials,
        ..ConnectArgs::default()
    };
    let connect = connect.request(&nothing)?;
    let becoming = BecomeArgs {
        ask_become_pass,
        become_password_file,
        ..BecomeArgs::default()
    };
    let r#become = becoming.request(&nothing, &connect)?;
    let directory = unfinished.directory().to_owned();
    std::env::set_current_dir(&directory).map_err(|error| {
        let directory = directory.display();
        Problem::machine(format!(
            "cannot go to the run's directory {directory}: {error}"
        ))
    })?;
    let request = ResumeRequest {
        given: ApplyRequest {
            forks: args.forks.and_then(|forks| usize::try_from(forks).ok()),
            diff: args.diff,
            verbosity: args.show.verbose,
            limit: args.limit,
            state,
            locks: args.locks.request(),
            connect,
            r#become,
            ..ApplyRequest::default()
        },
        accept_changes: args.accept_changes,
        rerun_unknown: args.rerun_unknown,
    };
    Ok((unfinished, request))
}

/// The state directory, wherever we go.
fn absolute(mut state: hostler_app::StateRequest) -> hostler_app::StateRequest {
    if let Some(directory) = &mut state.directory
        && let Ok(path) = std::path::absolute(&*directory)
    {
        *directory = path;
    }
    state
}

fn go_on(
    unfinished: Unfinished,
    request: ResumeRequest,
    sources: &SourceMap,
    console: &Console,
) -> Result<ExitCode, Problem> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let interrupts = Interrupts::default();
        let watching = console.progress_only(sources);
        let audience = signals::audience(console, sources, &interrupts)?;
        let done = hostler_app::resume(unfinished, request, sources, watching, audience).await;
        done.map(loud).map_err(Problem::from)
    });
    // A name look-up that hangs must not keep a finished program.
    runtime.shutdown_background();
    done
}
