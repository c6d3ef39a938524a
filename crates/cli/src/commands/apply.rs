//! `hostler apply`: apply playbooks, or a plan.

use std::path::{Path, PathBuf};

use clap::Args;
use hostler_app::{ApplyRequest, ExitCode, Interrupts, PlanRequest};
use hostler_diag::SourceMap;

use super::previews::{self, Extent};
use super::{begin, check, listing, run_once, runtime};
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::RunArgs;
use crate::signals;

/// Flags of `apply`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Do exactly what this plan says, on hosts that are as it found them
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["playbooks", "inventory", "limit", "tags", "skip_tags", "check", "start_at_task", "force_handlers"]
    )]
    pub plan: Option<PathBuf>,
    /// With --plan: accept that tasks whose outcome the plan does not know do what they do
    #[arg(long, requires = "plan")]
    pub accept_unknown: bool,
}

/// Applies, or only lists or checks if the flags say so.
pub(crate) fn run(args: ApplyArgs) -> ExitCode {
    match args.plan {
        Some(path) => from_plan(&path, args.accept_unknown, args.run),
        None => run_args(args.run),
    }
}

/// Applies or previews playbooks.
pub(super) fn run_args(args: RunArgs) -> ExitCode {
    let (console, environment) = match begin(&args.show, args.diff) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    if args.syntax_check {
        return check::report(&args.select.request(&environment), &console);
    }
    let what = listing::What {
        hosts: args.list_hosts,
        tasks: args.list_tasks,
        tags: args.list_tags,
    };
    if what.any() {
        return listing::show(&args.select.request(&environment), what, &console);
    }
    match args.request(&environment) {
        Ok(request) if request.check => check_mode(request, &console),
        Ok(request) => run_once(request, &console),
        Err(problem) => problem.tell(&SourceMap::new(), &console),
    }
}

/// Ansible's `--check`: its output, then what it comes to.
fn check_mode(request: ApplyRequest, console: &Console) -> ExitCode {
    let (sources, done) =
        previews::run(request, console, |sources| vec![console.reporter(sources)]);
    match done {
        Ok(draft) => {
            if console.is_json() || console.sums_up() {
                previews::show(&draft.preview, Extent::Summary, console);
            }
            draft.exit
        }
        Err(problem) => problem.tell(&sources, console),
    }
}

fn from_plan(path: &Path, accept_unknown: bool, args: RunArgs) -> ExitCode {
    let (console, environment) = match begin(&args.show, args.diff) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = plan_request(path, accept_unknown, args, &environment)
        .and_then(|(plan, request)| apply_plan(&plan, request, &sources, &console));
    done.unwrap_or_else(|problem| problem.tell(&sources, &console))
}

/// The plan, and a request whose paths mean the same in the plan's directory, which is where it goes.
fn plan_request(
    path: &Path,
    accept_unknown: bool,
    args: RunArgs,
    environment: &crate::environment::Environment,
) -> Result<(hostler_preview::PlanFile, PlanRequest), Problem> {
    let plan = hostler_app::read_plan(path).map_err(Problem::inputs)?;
    let mut given = args.request(environment)?;
    for path in [
        &mut given.connect.private_key,
        &mut given.connect.ssh_config,
        &mut given.state.directory,
    ] {
        if let Some(inner) = path {
            *path = std::path::absolute(&*inner)
                .ok()
                .or_else(|| Some(inner.clone()));
        }
    }
    let directory = Path::new(&plan.body.scope.directory);
    std::env::set_current_dir(directory).map_err(|error| {
        let text = format!(
            "cannot go to the plan's directory {}: {error}",
            directory.display()
        );
        Problem::machine(text)
    })?;
    let request = PlanRequest {
        given,
        accept_unknown,
    };
    Ok((plan, request))
}

fn apply_plan(
    plan: &hostler_preview::PlanFile,
    request: PlanRequest,
    sources: &SourceMap,
    console: &Console,
) -> Result<ExitCode, Problem> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let interrupts = Interrupts::default();
        let watching = console.progress_only(sources);
        let audience = signals::audience(console, sources, &interrupts)?;
        let done = hostler_app::apply_plan(plan, request, sources, watching, audience).await;
        done.map(super::loud).map_err(Problem::from)
    });
    runtime.shutdown_background();
    done
}
