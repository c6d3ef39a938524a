//! `hostler patch clear`: versions that went wrong once may be installed again.

use clap::Args;
use hostler_app::{ExitCode, patch_clear, patch_disproven, short_time_words};
use hostler_diag::SourceMap;
use hostler_reporters::sanitize;

use crate::commands::begin;
use crate::problem::Problem;
use crate::run_args::OutputArgs;
use crate::state_args::StateArgs;

/// Flags of `patch clear`.
#[derive(Args, Clone, Debug)]
pub(super) struct ClearArgs {
    /// The package (openssl, or openssl:amd64); without one, the versions that went wrong are listed
    #[arg(value_name = "PACKAGE", requires = "reason")]
    package: Option<String>,
    /// Only this version of it
    #[arg(id = "package_version", value_name = "VERSION")]
    version: Option<String>,
    /// Why they may be installed
    #[arg(long, value_name = "TEXT", requires = "package")]
    reason: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    show: OutputArgs,
}

pub(super) fn run(args: ClearArgs) -> ExitCode {
    let (console, environment) = match begin(&args.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let state = args.state.request(&environment);
    let (came, none) = match &args.package {
        None => (patch_disproven(&state), "No version went wrong."),
        Some(package) => {
            let reason = args.reason.as_deref().unwrap_or_default();
            let cleared = patch_clear(&state, package, args.version.as_deref(), reason);
            (cleared, "Nothing was cleared.")
        }
    };
    let all = match came {
        Ok(all) => all,
        Err(refusal) => return Problem::from(refusal).tell(&SourceMap::new(), &console),
    };
    if console.is_json() {
        let json = serde_json::to_string(&all).unwrap_or_default();
        console.line(&sanitize::json(&json));
        return ExitCode::Ok;
    }
    if all.is_empty() {
        console.line(none);
    }
    let verb = if args.package.is_some() {
        "cleared: "
    } else {
        ""
    };
    for it in &all {
        let version = it.version.as_deref().unwrap_or("(its removal)");
        let hosts = it
            .hosts
            .iter()
            .take(3)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        let more = match it.hosts.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let run = it.run.as_deref().unwrap_or("?");
        let (at, package) = (short_time_words(it.at_us), &it.package);
        let line = format!(
            "{verb}{package} {version} on {}: went wrong {at} on {hosts}{more} (run {run})",
            it.system
        );
        console.text(&sanitize::text(&format!("{line}\n")));
    }
    ExitCode::Ok
}
