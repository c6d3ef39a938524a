//! `hostler apply`: apply playbooks.

use hostler_app::ExitCode;
use hostler_diag::SourceMap;

use super::{begin, check, listing, run_once};
use crate::run_args::RunArgs;

/// Applies, or only lists or checks if the flags say so.
pub(crate) fn run(args: Box<RunArgs>) -> ExitCode {
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
        Ok(request) => run_once(request, &console),
        Err(problem) => problem.tell(&SourceMap::new(), &console),
    }
}
