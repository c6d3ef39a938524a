//! Apply playbooks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::{Recap, Reporters, RunEvent, RunId};
use hostler_executor::{
    Bound, ConnectDefaults, Fleet, Interrupts, Level, PlayInputs, PlayOutcome, RunContext,
    RunSettings, RunState, run_play,
};
use hostler_inventory::VarFiles;
use hostler_preview::{Mask, Origin};
use hostler_transport::known_hosts::HostKeyPolicy;
use hostler_transport::ssh_config::{LocalUser, SshConfig};
use hostler_transport::{AgentImage, Connector, ConnectorSettings, Deadlines, GateLimits};
use hostler_value::{Map, Secret};
use hostler_vars::{PlayLayer, RunOptions, VarStore};
use tokio::sync::mpsc;

use crate::inputs::{self, Inputs};
use crate::origins::Used;
use crate::request::{ApplyRequest, ExitCode};
use crate::static_check::{self, Depth};

/// Most hosts worked on at the same time where `-f` does not say: beyond it, files and memory of the controller are
/// the limit, not patience.
const FORKS_MAX: usize = 500;

/// What a run is to do besides running.
#[derive(Default)]
pub(crate) struct Terms {
    /// The plan that binds it.
    pub(crate) bound: Option<Bound>,
    /// Hosts that take no part, and why: they count as failed.
    pub(crate) refused: BTreeMap<String, Vec<String>>,
    /// Secrets that must not be shown. Learns those that the run comes upon.
    pub(crate) mask: Mask,
}

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) exit: ExitCode,
    /// Files that were sent to hosts, with hashes.
    pub(crate) files: Vec<(PathBuf, [u8; 32])>,
    /// Where variables of hosts come from.
    pub(crate) origins: Vec<Origin>,
}

/// Runs the playbooks of `request` and tells `reporters` what happens. Problems that are found before the first
/// connection are the error; afterwards everything is an event.
///
/// # Errors
/// All problems of inventory, playbooks and variables, if there is at least one error; nothing was contacted then.
pub async fn apply(
    request: ApplyRequest,
    sources: &SourceMap,
    reporters: Reporters,
    interrupts: Interrupts,
) -> Result<ExitCode, Vec<Diagnostic>> {
    let inputs = inputs::load(&request, sources)?;
    let terms = Terms {
        mask: Mask::new(secrets(&request)),
        ..Terms::default()
    };
    let ran = run(&request, &inputs, sources, reporters, interrupts, terms).await?;
    Ok(ran.exit)
}

/// Passwords that the command line gave.
pub(crate) fn secrets(request: &ApplyRequest) -> impl Iterator<Item = Secret> + use<> {
    let connect = &request.connect;
    let all = [
        connect.password.clone(),
        connect.key_passphrase.clone(),
        request.r#become.password.clone(),
    ];
    all.into_iter().flatten()
}

fn started(request: &ApplyRequest, hosts: usize) -> RunEvent {
    let playbooks = request.playbooks.iter();
    RunEvent::RunStarted {
        run: run_id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        playbooks: playbooks.map(|path| path.display().to_string()).collect(),
        check: request.check,
        diff: request.diff,
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
        by: String::new(),
        resumed: false,
    }
}

/// What is known without a connection; warnings, or errors that stop the run. What only some hosts will fail at stops no
/// other host: there the run itself says it.
fn preflight(
    request: &ApplyRequest,
    inputs: &Inputs,
    sources: &SourceMap,
) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let for_all = |found: Diagnostic| match &found.on {
        Some(on) if !on.all => found.softened(),
        _ => found,
    };
    let found = static_check::run(inputs, request, sources, Depth::Preflight).into_iter();
    let found: Vec<Diagnostic> = found.map(for_all).collect();
    if found.iter().any(Diagnostic::is_error) {
        return Err(found);
    }
    Ok(found)
}

/// Runs what was read.
pub(crate) async fn run(
    request: &ApplyRequest,
    inputs: &Inputs,
    sources: &SourceMap,
    reporters: Reporters,
    interrupts: Interrupts,
    terms: Terms,
) -> Result<Ran, Vec<Diagnostic>> {
    let start = Instant::now();
    let (config, mut problems) = ssh_config(request)?;
    problems.extend(preflight(request, inputs, sources)?);
    let hosts: BTreeSet<&String> = inputs
        .playbooks
        .iter()
        .flat_map(|book| book.plays.iter().flat_map(|play| &play.hosts))
        .collect();
    let settings = settings(request, hosts.len());
    let (events, receiver) = mpsc::unbounded_channel();
    let mask = terms.mask.clone();
    let reporting = std::thread::spawn(move || report(receiver, reporters, &mask));
    let emit = |event| {
        // Only a reporter that panicked does not listen any more; the run goes on without it.
        let _nobody_listens = events.send(event);
    };
    emit(started(request, hosts.len()));
    for diagnostic in inputs.warnings.iter().cloned().chain(problems) {
        let location = diagnostic
            .labels
            .first()
            .map(|label| sources.locate(label.span));
        emit(RunEvent::Warned {
            diagnostic,
            location,
            host: None,
        });
    }
    let mut state = RunState::default();
    refuse(&terms.refused, &mut state, &emit);
    let connector = connector(request, config);
    let fleet = Fleet::new(connector, image());
    let vars = Arc::new(var_store(inputs, &settings, request));
    let mask = terms.mask;
    let mut run = RunContext::new(
        settings,
        inputs.catalog.clone(),
        vars,
        fleet,
        sources.clone(),
        events.clone(),
        interrupts.clone(),
    )
    .telling_secrets(Arc::new(move |secret: &Secret| mask.learn(secret.clone())));
    if let Some(bound) = terms.bound {
        run = run.bound_by(bound);
    }
    let run = Arc::new(run);
    let watch = tokio::spawn(tell_of_interrupts(interrupts.clone(), events.clone()));
    let origins = plays(&run, inputs, &mut state).await;
    watch.abort();
    let (sent, received, round_trips) = run.close().await;
    let exit = exit_code(&state.recap, request.check, &interrupts);
    let finished = RunEvent::RunFinished {
        recap: state.recap,
        exit_code: exit as u8,
        elapsed_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        bytes: (sent, received),
        round_trips,
        resumable: false,
    };
    let _nobody_listens = events.send(finished);
    let files = run.files_sent();
    drop(events);
    drop(run);
    // The reporters have the last word before the program ends; a panic of theirs is no failure of the run.
    let _reporter_panicked = reporting.join();
    Ok(Ran {
        exit,
        files,
        origins,
    })
}

/// Hosts that a plan does not fit any more: told, counted as failed, and left alone.
fn refuse(refused: &BTreeMap<String, Vec<String>>, state: &mut RunState, emit: &impl Fn(RunEvent)) {
    for (host, reasons) in refused {
        state.recap.hosts.entry(host.clone()).or_default().failed += 1;
        state.lost.insert(host.clone());
        for reason in reasons {
            emit(RunEvent::Warned {
                diagnostic: Diagnostic::error("refused", reason),
                location: None,
                host: Some(host.clone()),
            });
        }
    }
}

/// Runs the plays; in a preview, looks up afterwards where variables came from.
async fn plays(run: &Arc<RunContext>, inputs: &Inputs, state: &mut RunState) -> Vec<Origin> {
    let mut used = Used::new(run, inputs);
    loop {
        let stopped = pass(run, inputs, state, &mut used).await == PlayOutcome::Stop;
        if stopped || !state.catch_up(run).await {
            break;
        }
    }
    state.leave_behind(run);
    used.origins()
}

/// Runs the plays once, over the hosts that have a part in it.
async fn pass(
    run: &Arc<RunContext>,
    inputs: &Inputs,
    state: &mut RunState,
    used: &mut Used,
) -> PlayOutcome {
    for book in &inputs.playbooks {
        let absolute =
            std::path::absolute(&book.directory).unwrap_or_else(|_| book.directory.clone());
        run.vars.set_playbook(&absolute, book.var_files.clone());
        for play in &book.plays {
            let own = play.play.context.keywords.vars.as_deref();
            let layer = PlayLayer::new(&play.name, own, Map::new());
            for host in &play.hosts {
                layer.set_vars_files(host, play.vars_files.iter().cloned());
            }
            let layer = Arc::new(layer);
            let outcome = run_play(
                run,
                PlayInputs {
                    play: play.play.clone(),
                    name: play.name.clone(),
                    hosts: play.hosts.clone(),
                    directory: book.directory.clone(),
                    playbook: absolute_text(&book.playbook.path),
                    layer: layer.clone(),
                },
                state,
            );
            let outcome = outcome.await;
            used.look(run, &layer, &play.hosts);
            if outcome == PlayOutcome::Stop || run.interrupts.draining() {
                return PlayOutcome::Stop;
            }
        }
    }
    PlayOutcome::GoOn
}

/// An absolute path, by which later runs know the playbook again.
fn absolute_text(path: &std::path::Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

/// Says at once that the user's wish was heard, and what the next Ctrl-C does.
async fn tell_of_interrupts(interrupts: Interrupts, events: mpsc::UnboundedSender<RunEvent>) {
    interrupts.reached(Level::Drain).await;
    let reason = "interrupted by the user: running tasks finish, no new ones start; Ctrl-C again cancels them";
    let _nobody_listens = events.send(RunEvent::Stopping {
        reason: reason.into(),
    });
    interrupts.reached(Level::Cancel).await;
    let reason = "cancelled by the user: running tasks are ended on their hosts; Ctrl-C again leaves at once";
    let _nobody_listens = events.send(RunEvent::Stopping {
        reason: reason.into(),
    });
}

/// Sortable by time; the process number keeps two runs of one second apart.
fn run_id() -> RunId {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    RunId(format!(
        "{:010x}-{:06x}",
        since.as_millis(),
        std::process::id()
    ))
}

/// As ansible-playbook: an unreachable host counts before failed ones. So does one of which nobody knows what it did; in
/// a preview much is unknown, and that is no fault.
fn exit_code(recap: &Recap, check: bool, interrupts: &Interrupts) -> ExitCode {
    if interrupts.draining() {
        ExitCode::Interrupted
    } else if recap.any_unreachable() || (!check && recap.any_unknown()) {
        ExitCode::UnreachableOrInput
    } else if recap.any_failed() {
        ExitCode::HostFailed
    } else {
        ExitCode::Ok
    }
}
