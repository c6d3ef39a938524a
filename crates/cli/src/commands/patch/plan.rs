//! `hostler patch plan`, `forecast`, `explain` and `show`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hostler_app::{
    Audience, ExitCode, Interrupts, PatchPlanRequest, PatchPlanned, patch_plan, read_patch_plan,
    save_patch_plan,
};
use hostler_diag::SourceMap;
use hostler_patch::plan::Plan;
use hostler_patch::{diff, explain, forecast, text};
use hostler_reporters::sanitize;

use super::FleetArgs;
use crate::commands::{begin, plan::duration, runtime};
use crate::output::Console;
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
    /// A file that says which versions close which CVEs, for hosts with apt, besides those of the policy: JSON of Debian's
    /// security tracker, or OSV records; may be given several times
    #[arg(long, value_name = "FILE")]
    advisories: Vec<PathBuf>,
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
            advisories: self.advisories,
            only_reboots: self.only_reboots,
            valid_for_s: self.valid_for.map(|it| it.as_secs()),
        })
    }
}

/// Makes a plan, writes it if there is a file for it, and shows what is asked for of it.
fn planned(
    args: PlanArgs,
    tell: impl FnOnce(&PatchPlanned, &Console) -> Result<ExitCode, Problem>,
) -> ExitCode {
    let (console, environment) = match begin(&args.fleet.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let out = args.out.clone();
    let done = || -> Result<ExitCode, Problem> {
        let request = args.request(&environment)?;
        let runtime = runtime()?;
        let planned = runtime.block_on(async {
            let interrupts = Interrupts::default();
            let audience = Audience {
                reporters: console.progress_only(&sources),
                ..signals::audience(&console, &sources, &interrupts)?
            };
            let planned = patch_plan(&request, &sources, audience).await;
            planned.map_err(Problem::from)
        });
        runtime.shutdown_background();
        let planned = planned?;
        console.diagnostics(&planned.warnings, &sources);
        if let Some(path) = &out {
            save_patch_plan(&planned.plan, path)?;
        }
        tell(&planned, &console)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}

pub(super) fn run(args: PlanArgs) -> ExitCode {
    let out = args.out.clone();
    let mut carry_out = vec!["hostler patch apply".to_owned()];
    carry_out.extend(args.fleet.inventory.iter().map(|it| format!("-i {it}")));
    planned(args, |planned, console| {
        if console.is_json() {
            let json = serde_json::json!({ "id": planned.id, "plan": planned.plan });
            console.line(&sanitize::json(&json.to_string()));
        } else {
            console.text(&sanitize::text(&text::plan(&planned.plan, &planned.id)));
            if let Some(path) = &out {
                let carry_out = carry_out.join(" ");
                console.line(&format!("Carry it out: {carry_out} {}", path.display()));
            }
        }
        Ok(planned.exit)
    })
}

/// Flags of `patch forecast`.
#[derive(Args, Clone, Debug)]
pub(super) struct ForecastArgs {
    /// As if it began then, in local time: 2026-12-12T22:00; now if not given
    #[arg(long, value_name = "TIME", value_parser = hostler_app::local_time)]
    at: Option<i64>,
    #[command(flatten)]
    plan: PlanArgs,
}

pub(super) fn forecast(args: ForecastArgs) -> ExitCode {
    let at = args.at;
    planned(args.plan, |planned, console| {
        let from_us = at.unwrap_or_else(hostler_app::now);
        let forecast = forecast::forecast(&planned.plan, &planned.id.0, from_us);
        if console.is_json() {
            let json = serde_json::to_string(&forecast).unwrap_or_default();
            console.line(&sanitize::json(&json));
        } else {
            let zone = hostler_app::local_zone();
            console.text(&sanitize::text(&text::forecast(&forecast, &zone)));
        }
        Ok(planned.exit)
    })
}

/// Flags of `patch explain`.
#[derive(Args, Clone, Debug)]
pub(super) struct ExplainArgs {
    /// The host; with --package and without a host, all of the policy's
    #[arg(long, value_name = "HOST", required_unless_present = "package")]
    host: Option<String>,
    /// What becomes of this package (or pattern) there, or of the packages that close this CVE
    #[arg(long, value_name = "PACKAGE")]
    package: Option<String>,
    #[command(flatten)]
    plan: PlanArgs,
}

pub(super) fn explain(args: ExplainArgs) -> ExitCode {
    let (host, package) = (args.host, args.package);
    planned(args.plan, |planned, console| {
        let hosts: Vec<&str> = match &host {
            Some(host) => vec![host],
            None => known(&planned.plan),
        };
        for host in hosts {
            tell_why(planned, host, package.as_deref(), console)?;
        }
        Ok(planned.exit)
    })
}

/// All hosts of a plan, those that are left out too, sorted.
fn known(plan: &Plan) -> Vec<&str> {
    let all = plan.hosts.keys().chain(plan.left_out.keys());
    let mut all: Vec<&str> = all.map(String::as_str).collect();
    all.sort_unstable();
    all
}

fn tell_why(
    planned: &PatchPlanned,
    host: &str,
    what: Option<&str>,
    console: &Console,
) -> Result<(), Problem> {
    let (now, scan) = (hostler_app::now(), planned.scans.get(host));
    let Some(explanation) = explain::explain(&planned.plan, host, what, scan, now) else {
        let text = format!("{host} is none of the policy's hosts");
        return Err(Problem::usage(text));
    };
    if console.is_json() {
        let json = serde_json::to_string(&explanation).unwrap_or_default();
        console.line(&sanitize::json(&json));
    } else {
        console.text(&sanitize::text(&text::explanation(&explanation)));
    }
    Ok(())
}

/// Flags of `patch show`.
#[derive(Args, Clone, Debug)]
pub(super) struct ShowArgs {
    /// The plan's file
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Only what this host gets
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// What this other plan has otherwise
    #[arg(long, value_name = "PLAN", conflicts_with = "host")]
    diff: Option<PathBuf>,
    #[command(flatten)]
    show: OutputArgs,
}

pub(super) fn show(args: &ShowArgs) -> ExitCode {
    let (console, _) = match begin(&args.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let done = || -> Result<String, Problem> {
        let (plan, id) = read_patch_plan(&args.plan)?;
        if let Some(other) = &args.diff {
            let (other, _) = read_patch_plan(other)?;
            return Ok(text::diff(&diff::diff(&plan, &other)));
        }
        let Some(host) = &args.host else {
            return Ok(text::plan(&plan, &id));
        };
        let none = || Problem::usage(format!("{host} is not in the plan"));
        text::host(&plan, host).ok_or_else(none)
    };
    match done() {
        Ok(text) => {
            console.text(&sanitize::text(&text));
            ExitCode::Ok
        }
        Err(problem) => problem.tell(&SourceMap::new(), &console),
    }
}
