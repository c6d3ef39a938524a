//! Apply playbooks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::{Recap, Reporter, Reporters, RunEvent};
use hostler_executor::{
    Bound, Fleet, Interrupts, Level, PlayInputs, PlayOutcome, RunContext, RunState, SecretSink,
    run_play,
};
use hostler_preview::{Mask, Origin};
use hostler_value::{Map, Secret};
use hostler_vars::PlayLayer;
use tokio::sync::mpsc;

use crate::caught::caught;
use crate::connecting::{connector, image, ssh_config};
use crate::inputs::{self, Inputs};
use crate::keeping::{self, Keeping, Kept};
use crate::origins::Used;
use crate::refusal::Refusal;
use crate::reporting;
use crate::request::{ApplyRequest, ExitCode};
use crate::settings::{settings, var_store};
use crate::static_check::{self, Depth};
use crate::undiffed::Undiffed;

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
        keeping: Keeping::New { by_plan: false },
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

fn started(request: &ApplyRequest, hosts: usize, kept: &Kept) -> RunEvent {
    let playbooks = request.playbooks.iter();
    RunEvent::RunStarted {
        run: kept.run.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        playbooks: playbooks.map(|path| path.display().to_string()).collect(),
        check: request.check,
        diff: request.diff,
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
        by: keeping::who(),
        resumed: kept.resumed,
    }
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
    let Audience {
        mut reporters,
        interrupts,
        tell,
    } = audience;
    let subject = keeping::Subject {
        request,
        sources,
        files,
        hosts: inputs.hosts().into_iter().collect(),
    };
    let mut kept = keeping::begin(&subject, terms.keeping, &interrupts, &*tell).await?;
    if !request.diff {
        reporters = reporters.into_iter().map(Undiffed::boxed).collect();
    }
    reporters.extend(kept.reporter());
    let start = Instant::now();
    let settings = settings(request, subject.hosts.len());
    let (events, reporting) = reporting::start(Reporters::new(reporters), sources, &terms.mask);
    let emit = |event| {
        // Only a reporter that panicked does not listen any more; the run goes on without it.
        let _nobody_listens = events.send(event);
    };
    emit(started(request, subject.hosts.len(), &kept));
    tell_warnings(inputs, problems, sources, &emit);
    let mut state = RunState::default();
    refuse(&terms.refused, &mut state, &emit);
    let vars = Arc::new(var_store(inputs, &settings, request));
    let run = RunContext::new(
        settings,
        inputs.catalog.clone(),
        vars,
        Fleet::new(connector(request, config), image()),
        sources.clone(),
        events.clone(),
        interrupts.clone(),
    );
    let mut run = run.telling_secrets(learning(terms.mask));
    if let Some(bound) = terms.bound {
        run = run.bound_by(bound);
    }
    if let Some(recording) = kept.recording(request.check, &request.locks) {
        run = run.recorded(recording);
    }
    let run = Arc::new(run.with_contents(terms.contents));
    let done = watched(&run, inputs, &mut state, &kept).await;
    let (sent, received, round_trips) = run.close().await;
    let broken = run.journal_broken().or(state.journal_broken.take());
    let exit = match () {
        () if broken.is_some() => ExitCode::JournalBroken,
        () if done.is_err() => ExitCode::Unexpected,
        () if kept.lost_lock() => ExitCode::Locked,
        () => exit_code(&state.recap, request.check, &interrupts),
    };
    let unfinished = state.resumable || done.is_err();
    let end = keeping::End {
        exit,
        recap: state.recap,
        elapsed_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        resumable: kept.resumable(request.check, unfinished),
    };
    emit(end.event((sent, received), round_trips));
    let files = run.files_sent();
    drop(events);
    drop(run);
    // The reporters have the last word before the program ends; a panic of theirs is no failure of the run.
    let _reporter_panicked = reporting.join();
    // Events are stored, too: the end of the run comes after the last of them.
    let unwritten = kept.finish(end).filter(|_| !request.check);
    if let Some(why) = &unwritten {
        tell(&format!("The end of the run could not be written: {why}"));
    }
    Ok(Ran {
        exit: unwritten.map_or(exit, |_| ExitCode::JournalBroken),
        files,
        origins: done.unwrap_or_default(),
    })
}

/// Passwords that the run comes upon are hidden from then on.
fn learning(mask: Mask) -> SecretSink {
    Arc::new(move |secret: &Secret| mask.learn([secret.clone()]))
}

/// Runs the plays, and listens to the user meanwhile. A panic is told, and is the error.
async fn watched(
    run: &Arc<RunContext>,
    inputs: &Inputs,
    state: &mut RunState,
    kept: &Kept,
) -> Result<Vec<Origin>, String> {
    let events = run.events.clone();
    let guard = kept.guard(&run.interrupts, events.clone());
    let watch = tokio::spawn(tell_of_interrupts(run.interrupts.clone(), events.clone()));
    let done = caught(plays(run, inputs, state)).await;
    watch.abort();
    guard.abort();
    if let Err(panic) = &done {
        let reason = format!("a defect of hostler ended the run: {panic}");
        let _nobody_listens = events.send(RunEvent::Stopping { reason });
    }
    done
}

/// What is wrong with the inputs and stops nothing.
fn tell_warnings(
    inputs: &Inputs,
    problems: Vec<Diagnostic>,
    sources: &SourceMap,
    emit: &impl Fn(RunEvent),
) {
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
