//! Apply playbooks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::{Recap, Reporter, RunEvent};
use hostler_executor::{
    Bound, Interrupts, PlayInputs, PlayOutcome, RunContext, RunState, run_play,
};
use hostler_preview::{Mask, Origin};
use hostler_value::{Map, Secret};
use hostler_vars::PlayLayer;

use crate::connecting::ssh_config;
use crate::engine::Engine;
use crate::inputs::{self, Inputs};
use crate::keeping::{self, Keeping};
use crate::mandate::Mandate;
use crate::origins::Used;
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode};
use crate::static_check::{self, Depth};

/// Who watches a run, and can stop it.
pub struct Audience {
    /// Are told what happens.
    pub reporters: Vec<Box<dyn Reporter>>,
    /// The user's wishes.
    pub interrupts: Interrupts,
    /// Is told, in a line, what is waited for before the run begins.
    pub tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// What a run is to do besides running.
#[derive(Default)]
pub(crate) struct Terms {
    /// The plan that binds it.
    pub(crate) bound: Option<Bound>,
    /// Hosts that take no part, and why: they count as failed.
    pub(crate) refused: BTreeMap<String, Vec<String>>,
    /// Secrets that must not be shown. Learns those that the run comes upon.
    pub(crate) mask: Mask,
    /// How it is kept in the run store.
    pub(crate) keeping: Keeping,
    /// Contents for `restore`, by the hexadecimal digits of their SHA-256.
    pub(crate) contents: std::collections::HashMap<String, Arc<[u8]>>,
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
/// All problems of inventory, playbooks and variables, if there is at least one error; the run store cannot be written;
/// other runs have hosts locked. Nothing was contacted then.
pub async fn apply(
    mut request: ApplyRequest,
    sources: &SourceMap,
    audience: Audience,
) -> Result<ExitCode, Refusal> {
    let inputs = inputs::load(&request, sources)?;
    request.limit.clone_from(&inputs.limit);
    let terms = Terms {
        mask: Mask::new(secrets(&request)),
        keeping: Keeping::New(Mandate::Playbooks),
        ..Terms::default()
    };
    let ran = run(&request, &inputs, sources, audience, terms).await?;
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

/// What is known without a connection: warnings, or errors that stop the run; and the files that tasks would send. What only some hosts will fail at stops no
/// other host: there the run itself says it.
fn preflight(
    request: &ApplyRequest,
    inputs: &Inputs,
    sources: &SourceMap,
) -> Result<(Vec<Diagnostic>, BTreeSet<PathBuf>), Vec<Diagnostic>> {
    let for_all = |found: Diagnostic| match &found.on {
        Some(on) if !on.all => found.softened(),
        _ => found,
    };
    let (found, files) = static_check::run(inputs, request, sources, Depth::Preflight);
    let found: Vec<Diagnostic> = found.into_iter().map(for_all).collect();
    if found.iter().any(Diagnostic::is_error) {
        return Err(found);
    }
    Ok((found, files))
}

/// Runs what was read.
pub(crate) async fn run(
    request: &ApplyRequest,
    inputs: &Inputs,
    sources: &SourceMap,
    audience: Audience,
    terms: Terms,
) -> Result<Ran, Refusal> {
    let (config, mut problems) = ssh_config(request)?;
    let (found, files) = preflight(request, inputs, sources)?;
    problems.extend(found);
    let subject = keeping::Subject {
        request,
        sources,
        files,
        hosts: inputs.hosts().into_iter().collect(),
    };
    let refused = terms.refused.clone();
    let engine = Engine::start(&subject, inputs, config, audience, terms).await?;
    engine.tell_warnings(inputs, problems);
    let mut state = RunState::default();
    refuse(&refused, &mut state, &|event| engine.emit(event));
    let done = watched(&engine, inputs, &mut state).await;
    let done = done.inspect_err(|_| state.resumable = true);
    let broken = engine.run.journal_broken().or(state.journal_broken.take());
    let exit = match () {
        () if broken.is_some() => ExitCode::JournalBroken,
        () if done.is_err() => ExitCode::Unexpected,
        () if engine.lost_lock() => ExitCode::Locked,
        () => exit_code(&state.recap, request.check, &engine.run.interrupts),
    };
    let (exit, files) = engine.finish(exit, state.recap, state.resumable).await;
    Ok(Ran {
        exit,
        files,
        origins: done.unwrap_or_default(),
    })
}

/// Runs the plays, and listens to the user meanwhile. A panic is told, and is the error.
async fn watched(
    engine: &Engine,
    inputs: &Inputs,
    state: &mut RunState,
) -> Result<Vec<Origin>, String> {
    engine.watched(plays(&engine.run, inputs, state)).await
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
