//! `hostler patch apply` and `hostler patch resume`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hostler_app::{Audience, short_time_words};
use hostler_app::{
    ExitCode, Interrupts, PatchApplyRequest, PatchAudience, PatchOrder, PatchPlanRequest, PatchRan,
    PatchStand, PatchWatch, patch_apply, patch_plan, patch_plan_of, patch_resume, read_patch_plan,
};
use hostler_diag::SourceMap;
use hostler_patch::plan::Plan;
use hostler_reporters::{PatchView, sanitize};

use super::FleetArgs;
use crate::commands::plan::duration;
use crate::commands::resume::{ResumeArgs, prepare};
use crate::commands::{begin, loud, runtime};
use crate::output::Console;
use crate::problem::Problem;
use crate::signals;

/// Flags of `patch apply`.
#[derive(Args, Clone, Debug)]
pub(super) struct ApplyArgs {
    /// A plan's file; or a policy, with --yes: a plan is made and carried out at once
    #[arg(value_name = "PLAN|POLICY")]
    what: PathBuf,
    /// Carry out a policy without looking at its plan first
    #[arg(long)]
    yes: bool,
    /// These waves are approved; separated by commas
    #[arg(long, value_name = "WAVE", value_delimiter = ',')]
    approve: Vec<String>,
    /// Do not stay for a window that is further away than this (a number with s, m, h or d): `resume` goes on then
    #[arg(long, value_name = "TIME", value_parser = duration)]
    stay: Option<Duration>,
    /// Carry the plan out although the policy has changed since
    #[arg(long)]
    accept_changes: bool,
    #[command(flatten)]
    fleet: FleetArgs,
}

pub(super) fn run(args: ApplyArgs) -> ExitCode {
    let (console, environment) = match begin(&args.fleet.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let request = PatchApplyRequest {
            given: args.fleet.request(&environment)?,
            approve: args.approve,
            stay: args.stay,
            accept_changes: args.accept_changes,
        };
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let interrupts = Interrupts::default();
            let listening = signals::audience(&console, &sources, &interrupts)?;
            let plan = plan(
                &args.what,
                args.yes,
                &request,
                &console,
                &sources,
                &interrupts,
            )
            .await?;
            let audience = audience(&console, &plan, listening, &interrupts);
            patch_apply(plan, &request, &sources, audience)
                .await
                .map_err(Problem::from)
        });
        runtime.shutdown_background();
        Ok(tell(&done?, &console))
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}

/// The plan of a file, or one that is made now of a policy.
async fn plan(
    what: &std::path::Path,
    yes: bool,
    request: &PatchApplyRequest,
    console: &Console,
    sources: &SourceMap,
    interrupts: &Interrupts,
) -> Result<Plan, Problem> {
    let is_policy = what
        .extension()
        .is_some_and(|it| it == "yml" || it == "yaml");
    if !is_policy {
        return Ok(read_patch_plan(what)?.0);
    }
    if !yes {
        let text = format!(
            "{} is a policy: make a plan of it with `hostler patch plan`, or have one made and carried out at once with --yes",
            what.display()
        );
        return Err(Problem::usage(text));
    }
    let wanted = PatchPlanRequest {
        given: request.given.clone(),
        policy: what.to_owned(),
        ..PatchPlanRequest::default()
    };
    let audience = Audience {
        reporters: console.progress_only(sources),
        interrupts: interrupts.clone(),
        tell: console.teller(),
    };
    let planned = patch_plan(&wanted, sources, audience).await?;
    console.diagnostics(&planned.warnings, sources);
    if !console.is_json() {
        console.text(&sanitize::text(&hostler_patch::text::plan(
            &planned.plan,
            &planned.id,
        )));
    }
    Ok(planned.plan)
}

/// Who watches: the view of a patch run, or its notes as lines of JSON.
pub(super) fn audience(
    console: &Console,
    plan: &Plan,
    listening: Audience,
    interrupts: &Interrupts,
) -> PatchAudience {
    let watch: PatchWatch = if console.is_json() {
        Box::new(|entries| {
            use std::io::Write;
            for entry in entries {
                let line = serde_json::to_string(entry).unwrap_or_default();
                // A closed pipe is the reader's wish.
                let _ = writeln!(
                    std::io::stdout(),
                    "{}",
                    hostler_reporters::sanitize::json(&line)
                );
            }
        })
    } else {
        let live = console.has_live_view();
        let mut view = PatchView::new(
            std::io::stdout(),
            plan,
            *console.options(),
            live,
            hostler_app::time_of_day,
        );
        let mut is_first = true;
        Box::new(move |entries| {
            if std::mem::take(&mut is_first) {
                view.catch_up(entries);
            } else {
                for entry in entries {
                    view.entry(entry);
                }
            }
        })
    };
    PatchAudience {
        reporters: listening
            .reporters
            .into_iter()
            .next_back()
            .into_iter()
            .collect(),
        interrupts: interrupts.clone(),
        tell: listening.tell,
        watch,
    }
}

/// How it ended.
fn tell(ran: &PatchRan, console: &Console) -> ExitCode {
    if console.is_json() {
        let json = serde_json::json!({
            "event": "patch_run",
            "run": ran.run,
            "exit_code": ran.exit as u8,
            "outcomes": ran.outcomes,
        });
        console.line(&json.to_string());
        return loud(ran.exit);
    }
    let run = &ran.run;
    let words = match &ran.stand {
        PatchStand::Left => format!(
            "Left: what hosts have begun they finish. Go on with: hostler patch resume {run}"
        ),
        PatchStand::Broken(why) => {
            format!("Broken off: {why}. Go on with: hostler patch resume {run}")
        }
        PatchStand::Stood(stand) => match stand {
            hostler_rollout::Stand::Waiting {
                until_us: Some(until),
            } => format!(
                "Waiting until {}: hostler patch resume {run}",
                short_time_words(*until)
            ),
            hostler_rollout::Stand::Waiting { until_us: None } => format!(
                "Waiting for an approval: hostler patch approve {run} WAVE, then hostler patch resume {run}"
            ),
            hostler_rollout::Stand::Ended(hostler_rollout::End::Halted(_)) => format!(
                "Halted. Go on: hostler patch resume {run} [--accept-failures]; or end it: hostler patch abort {run}"
            ),
            hostler_rollout::Stand::Ended(hostler_rollout::End::Complete) => {
                format!("Run {run} is complete.")
            }
            hostler_rollout::Stand::Ended(hostler_rollout::End::Aborted) => {
                format!("Run {run} is aborted.")
            }
        },
    };
    console.line(&hostler_rollout::tally(ran.outcomes.values()));
    console.text(&sanitize::text(&hostler_rollout::ends(&ran.outcomes)));
    console.line(&words);
    loud(ran.exit)
}

/// Flags of `patch resume`.
#[derive(Args, Clone, Debug)]
pub(super) struct PatchResumeArgs {
    #[command(flatten)]
    resume: ResumeArgs,
    /// Hosts that have failed so far count no more: the run goes on with the others
    #[arg(long)]
    accept_failures: bool,
    /// Do not stay for a window that is further away than this (a number with s, m, h or d)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    stay: Option<Duration>,
}

pub(super) fn resume(args: PatchResumeArgs) -> ExitCode {
    let orders = if args.accept_failures {
        vec![PatchOrder::Resume {
            accept_failures: true,
        }]
    } else {
        Vec::new()
    };
    go_on(args.resume, orders, args.stay)
}

/// Goes on with a patch run, after these orders.
pub(crate) fn go_on(args: ResumeArgs, orders: Vec<PatchOrder>, stay: Option<Duration>) -> ExitCode {
    let (console, environment) = match begin(args.output(), false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let (unfinished, request) = prepare(args, &environment)?;
        let plan = patch_plan_of(&unfinished)?;
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let interrupts = Interrupts::default();
            let listening = signals::audience(&console, &sources, &interrupts)?;
            let audience = audience(&console, &plan, listening, &interrupts);
            let done = patch_resume(unfinished, request, orders, stay, &sources, audience);
            done.await.map_err(Problem::from)
        });
        runtime.shutdown_background();
        Ok(tell(&done?, &console))
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}
