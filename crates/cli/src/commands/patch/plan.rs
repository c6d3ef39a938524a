//! `hostler patch plan` and `hostler patch show`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hostler_app::{
    Audience, ExitCode, Interrupts, PatchPlanRequest, patch_plan, read_patch_plan, save_patch_plan,
};
use hostler_diag::SourceMap;
use hostler_patch::text;
use hostler_reporters::sanitize;

use super::FleetArgs;
use crate::commands::{begin, plan::duration, runtime};
use crate::problem::Problem;
use crate::run_args::OutputArgs;
use crate::signals;

/// Flags of `patch plan`.
#[derive(Args, Clone, Debug)]
pub(super) struct PlanArgs {
    /// The policy
    #[arg(value_name = "POLICY")]
    pub(super) policy: PathBuf,
    /// Write the plan to this file, for `hostler patch apply`
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only updates that close one of these CVEs, at once; separated by commas
    #[arg(long, value_name = "CVE", value_delimiter = ',')]
    cve: Vec<String>,
    /// Only reboots that are pending
    #[arg(long, conflicts_with = "cve")]
    only_reboots: bool,
    /// How long the plan may be carried out: a number with s, m, h or d; 14d if not given
    #[arg(long, value_name = "TIME", value_parser = duration)]
    valid_for: Option<Duration>,
    #[command(flatten)]
    pub(super) fleet: FleetArgs,
}

impl PlanArgs {
    /// What is to be planned.
    pub(super) fn request(
        self,
        environment: &crate::environment::Environment,
    ) -> Result<PatchPlanRequest, Problem> {
        Ok(PatchPlanRequest {
            given: self.fleet.request(environment)?,
            policy: self.policy,
            cves: self.cve,
            only_reboots: self.only_reboots,
            valid_for_s: self.valid_for.map(|it| it.as_secs()),
        })
    }
}

pub(super) fn run(args: PlanArgs) -> ExitCode {
    let (console, environment) = match begin(&args.fleet.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let out = args.out.clone();
        let request = args.request(&environment)?;
        let runtime = runtime()?;
        let planned = runtime.block_on(async {
            let interrupts = Interrupts::default();
            let audience = Audience {
                reporters: console.progress_only(&sources),
                ..signals::audience(&console, &sources, &interrupts)?
            };
            patch_plan(&request, &sources, audience)
                .await
                .map_err(Problem::from)
        });
        runtime.shutdown_background();
        let planned = planned?;
        console.diagnostics(&planned.warnings, &sources);
        if let Some(path) = &out {
            save_patch_plan(&planned.plan, path)?;
        }
        if console.is_json() {
            let json = serde_json::json!({ "id": planned.id, "plan": planned.plan });
            console.line(&json.to_string());
        } else {
            console.text(&sanitize::text(&text::plan(&planned.plan, &planned.id)));
            if let Some(path) = &out {
                console.line(&format!(
                    "Carry it out: hostler patch apply {}",
                    path.display()
                ));
            }
        }
        Ok(planned.exit)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}

/// Flags of `patch show`.
#[derive(Args, Clone, Debug)]
pub(super) struct ShowArgs {
    /// The plan's file
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    #[command(flatten)]
    show: OutputArgs,
}

pub(super) fn show(args: &ShowArgs) -> ExitCode {
    let (console, _) = match begin(&args.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    match read_patch_plan(&args.plan) {
        Ok((plan, id)) => {
            console.text(&sanitize::text(&text::plan(&plan, &id)));
            ExitCode::Ok
        }
        Err(refusal) => Problem::from(refusal).tell(&SourceMap::new(), &console),
    }
}
