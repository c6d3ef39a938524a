//! `hostler plan`: what `apply` would change.

use hostler_app::ExitCode;

use crate::run_args::RunArgs;

/// The same as `apply --check --diff`.
pub(crate) fn run(mut args: Box<RunArgs>) -> ExitCode {
    args.check = true;
    args.diff = true;
    super::apply::run(args)
}
