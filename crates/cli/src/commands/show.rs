//! `hostler show`: what a plan file holds, without a connection.

use std::path::PathBuf;

use clap::Args;
use hostler_app::ExitCode;
use hostler_diag::SourceMap;
use hostler_reporters::sanitize;

use super::begin;
use super::previews::{self, Extent};
use crate::problem::Problem;
use crate::run_args::OutputArgs;

/// Flags of `show`.
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Show differences
    #[arg(short = 'D', long)]
    diff: bool,
    /// Write it as one page to this file, for a change request
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    show: OutputArgs,
}

/// Shows it.
pub(crate) fn run(args: &ShowArgs) -> ExitCode {
    let (console, _) = match begin(&args.show, args.diff) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let plan = match hostler_app::read_plan(&args.plan) {
        Ok(plan) => plan,
        Err(problems) => return Problem::inputs(problems).tell(&SourceMap::new(), &console),
    };
    let header = &plan.header;
    if !console.is_json() {
        let word = if hostler_app::is_expired(&plan) {
            "EXPIRED at"
        } else {
            "holds until"
        };
        console.line(&format!(
            "Plan by {} on {}, made {} with hostler {}, {word} {}",
            sanitize::name(&header.user),
            sanitize::name(&header.controller),
            hostler_app::time_words(header.created_us),
            sanitize::name(&header.hostler),
            hostler_app::time_words(header.expires_us)
        ));
    }
    previews::show(&plan.body.preview, Extent::Whole, &console);
    if let Some(path) = &args.html {
        let written = previews::write_page(&plan.body.preview, Some(header.expires_us), path);
        if let Err(problem) = written {
            return problem.tell(&SourceMap::new(), &console);
        }
    }
    ExitCode::Ok
}
