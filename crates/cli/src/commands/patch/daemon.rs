//! `hostler patch daemon`.

use std::path::PathBuf;

use clap::Args;
use hostler_app::{
    Audience, Audiences, DaemonRequest, ExitCode, Interrupts, PatchAudience, patch_daemon,
    short_time_words,
};
use hostler_diag::SourceMap;
use hostler_patch::plan::Plan;

use super::FleetArgs;
use super::apply::audience;
use crate::commands::{begin, runtime};
use crate::output::Console;
use crate::problem::Problem;
use crate::signals::{self, Underway};

/// Flags of `patch daemon`.
#[derive(Args, Clone, Debug)]
pub(super) struct DaemonArgs {
    /// The policies
    #[arg(value_name = "POLICY", required = true)]
    policies: Vec<PathBuf>,
    /// Do what is due now, and end (for timers: see `install-schedule`)
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    fleet: FleetArgs,
}

pub(super) fn run(args: DaemonArgs) -> ExitCode {
    let (console, environment) = match begin(&args.fleet.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let request = DaemonRequest {
            given: args.fleet.request(&environment)?,
            policies: args.policies,
            once: args.once,
            interrupts: Interrupts::default(),
        };
        let runtime = runtime()?;
        runtime.block_on(async { signals::watch(&request.interrupts, Underway::default()) })?;
        let exit = patch_daemon(&request, runtime.handle(), &sources, &Log(console));
        runtime.shutdown_background();
        Ok(exit?)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}

/// Shows what goes on as other commands do; lines of its own have the time before them.
struct Log(Console);

impl Log {
    fn listening(&self, sources: &SourceMap, interrupts: &Interrupts) -> Audience {
        Audience {
            reporters: self.0.progress_only(sources),
            interrupts: interrupts.clone(),
            tell: self.0.teller(),
        }
    }
}

impl Audiences for Log {
    fn planning(&self, sources: &SourceMap, interrupts: &Interrupts) -> Audience {
        self.listening(sources, interrupts)
    }

    fn carrying_out(
        &self,
        sources: &SourceMap,
        interrupts: &Interrupts,
        plan: &Plan,
    ) -> PatchAudience {
        let listening = Audience {
            reporters: Vec::new(),
            ..self.listening(sources, interrupts)
        };
        audience(&self.0, plan, listening, interrupts)
    }

    fn tell(&self, text: &str) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_us = now.map_or(0, |it| i64::try_from(it.as_micros()).unwrap_or(i64::MAX));
        if self.0.is_json() {
            let line = serde_json::json!({ "event": "scheduler", "at_us": now_us, "text": text });
            self.0.line(&line.to_string());
        } else {
            self.0.line(&format!("{} {text}", short_time_words(now_us)));
        }
    }
}
