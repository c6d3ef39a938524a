//! `hostler demo`: a fleet on this machine, previewed, applied, applied again.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use hostler_app::{ApplyRequest, ExitCode, Interrupts};
use hostler_demo::{DemoError, Fleet, FleetOptions, write_playbooks};
use hostler_diag::SourceMap;
use hostler_events::{Recap, Reporter, RunEvent, Stamped};

use super::{apply_shown, begin, runtime};
use crate::output::Console;
use crate::problem::{Problem, chain};
use crate::run_args::OutputArgs;
use crate::signals;

/// Flags of `demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// How many hosts
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    hosts: u32,
    /// Leave the hosts up until Ctrl-C
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    show: OutputArgs,
}

/// Raises, shows, takes down.
pub(crate) fn run(args: &DemoArgs) -> ExitCode {
    let (console, _) = match begin(&args.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(problem) => return problem.tell(&SourceMap::new(), &console),
    };
    runtime
        .block_on(demo(args, &console))
        .unwrap_or_else(|(problem, sources)| problem.tell(&sources, &console))
}

async fn demo(args: &DemoArgs, console: &Console) -> Result<ExitCode, (Problem, SourceMap)> {
    let outside = |problem: Problem| (problem, SourceMap::new());
    let interrupts = Interrupts::default();
    signals::watch(&interrupts, signals::Underway::default()).map_err(outside)?;
    let say = |text: String| {
        if !console.is_json() {
            console.line(&text);
        }
    };
    say(format!("Raising {} hosts on this machine ...", args.hosts));
    let start = Instant::now();
    let fleet = Fleet::up(args.hosts as usize, &FleetOptions::default())
        .await
        .map_err(|error| outside(fleet_problem(&error)))?;
    let roots = if fleet.overlay {
        "an overlay, /usr read-only from this machine"
    } else {
        "a copy in a private directory (this kernel has no overlay for us), /usr read-only from this machine"
    };
    say(format!(
        "They are up after {:.1} s: SSH servers on loopback, each in its own namespaces with its own root ({roots}).\n\
         Everything is below {} and goes when the demo ends.",
        start.elapsed().as_secs_f32(),
        fleet.directory().display()
    ));
    let shown = show(args, &fleet, console, &interrupts, &say).await;
    if args.keep && shown.is_ok() && !interrupts.draining() {
        say("\nThe hosts stay up until Ctrl-C.".to_owned());
        interrupts.reached(hostler_app::Level::Drain).await;
    }
    let directory = fleet.directory().to_owned();
    fleet
        .down()
        .await
        .map_err(|error| outside(fleet_problem(&error)))?;
    say(format!(
        "\nThe hosts are down and {} is removed.",
        directory.display()
    ));
    shown
}

fn fleet_problem(error: &DemoError) -> Problem {
    Problem::machine(chain(error)).hint(error.hint())
}

/// Previews, applies, applies again.
async fn show(
    args: &DemoArgs,
    fleet: &Fleet,
    console: &Console,
    interrupts: &Interrupts,
    say: &impl Fn(String),
) -> Result<ExitCode, (Problem, SourceMap)> {
    let playbook = write_playbooks(&fleet.directory().join("playbooks"))
        .map_err(|error| (fleet_problem(&error), SourceMap::new()))?;
    let steps = [
        ("1. Preview: what would change? Nothing is touched.", true),
        ("2. Apply.", false),
        ("3. Apply again: nothing is left to change.", false),
    ];
    let mut changed = Vec::new();
    for (title, preview) in steps {
        let flags = if preview { " --check --diff" } else { "" };
        say(format!(
            "\n{title}\n   hostler apply{flags} {}",
            by_hand(fleet, &playbook)
        ));
        let request = ApplyRequest {
            playbooks: vec![playbook.clone()],
            inventory: vec![fleet.inventory_path().display().to_string()],
            check: preview,
            diff: preview,
            state: hostler_app::StateRequest {
                directory: Some(fleet.directory().join("state")),
            },
            verbosity: args.show.verbose,
            ..ApplyRequest::default()
        };
        let seen = Seen::default();
        let console = console.with_diff(preview);
        let more: Vec<Box<dyn Reporter>> = vec![Box::new(seen.clone())];
        let (sources, done) = apply_shown(request, &console, more, interrupts).await;
        match done {
            Err(problem) => return Err((problem, sources)),
            // What a preview cannot foresee is no reason not to apply; the rest must be as it says.
            Ok(ExitCode::HostFailed) if preview => changed.push(seen.changed()),
            Ok(ExitCode::Ok) => changed.push(seen.changed()),
            Ok(other) => return Ok(other),
        }
    }
    let again = changed.get(2).copied().unwrap_or_default();
    say(summary(fleet, &playbook, &changed, args.keep));
    Ok(if again == 0 {
        ExitCode::Ok
    } else {
        ExitCode::HostFailed
    })
}

fn by_hand(fleet: &Fleet, playbook: &Path) -> String {
    format!(
        "{} -i {}",
        playbook.display(),
        fleet.inventory_path().display()
    )
}

fn summary(fleet: &Fleet, playbook: &Path, changed: &[u32], keep: bool) -> String {
    let count = |index: usize| changed.get(index).copied().unwrap_or_default();
    let did = format!(
        "\nThe preview foresaw {} changes, the first run made {}, the second {}.",
        count(0),
        count(1),
        count(2)
    );
    if !keep {
        return format!(
            "{did}\nhostler demo --keep leaves the hosts up and says how to go on by hand."
        );
    }
    let ssh = fleet.hosts.first().map_or_else(String::new, |host| {
        format!(
            "\n   ssh -i {} -o UserKnownHostsFile={} -p {} root@{}",
            fleet.key_path().display(),
            fleet.known_hosts_path().display(),
            host.address.port(),
            host.address.ip()
        )
    });
    format!(
        "{did}\nTo go on by hand, in another terminal:\n   hostler apply {}{ssh}",
        by_hand(fleet, playbook)
    )
}

/// Remembers the recap of a run.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Recap>>);

impl Seen {
    fn changed(&self) -> u32 {
        let recap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recap.hosts.values().map(|counts| counts.changed).sum()
    }
}

impl Reporter for Seen {
    fn event(&mut self, event: &Stamped) {
        if let RunEvent::RunFinished { recap, .. } = &event.event {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = recap.clone();
        }
    }
}
