//! `hostler patch scan`.

use std::path::PathBuf;

use clap::Args;
use hostler_app::{Audience, ExitCode, Interrupts, patch_scan};
use hostler_diag::SourceMap;
use hostler_reporters::{scan_json, scan_text};

use super::FleetArgs;
use crate::commands::{begin, runtime};
use crate::problem::Problem;
use crate::signals;

/// Flags of `patch scan`.
#[derive(Args, Clone, Debug)]
pub(super) struct ScanArgs {
    /// Hosts to look at
    #[arg(value_name = "PATTERN", default_value = "all")]
    pattern: String,
    /// Go by the package indexes that the last scan left, instead of fetching new ones
    #[arg(long)]
    no_refresh: bool,
    /// A file that says which versions close which CVEs, for hosts with apt: JSON of Debian's security tracker, or OSV
    /// records; may be given several times
    #[arg(long, value_name = "FILE")]
    advisories: Vec<PathBuf>,
    #[command(flatten)]
    fleet: FleetArgs,
}

pub(super) fn run(args: ScanArgs) -> ExitCode {
    let (console, environment) = match begin(&args.fleet.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let request = args.fleet.request(&environment)?;
        let runtime = runtime()?;
        let scanned = runtime.block_on(async {
            let interrupts = Interrupts::default();
            let audience = Audience {
                reporters: console.progress_only(&sources),
                ..signals::audience(&console, &sources, &interrupts)?
            };
            let scanned = patch_scan(
                &request,
                &args.pattern,
                !args.no_refresh,
                &args.advisories,
                &sources,
                audience,
            );
            scanned.await.map_err(Problem::from)
        });
        runtime.shutdown_background();
        let scanned = scanned?;
        console.diagnostics(&scanned.warnings, &sources);
        let text = if console.is_json() {
            scan_json(&scanned.hosts)
        } else {
            scan_text(&scanned.hosts, console.options())
        };
        console.text(&text);
        Ok(scanned.exit)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}
