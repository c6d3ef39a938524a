//! Go on with a run that did not get to its end, or give it up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_diag::{Diagnostic, SourceMap};
use hostler_events::{Recap, Reporter, RunEvent, Status};
use hostler_executor::Interrupts;
use hostler_history::{Keep, RunEnd, RunFilter, RunRecord, RunState, Store, StoreError};
use hostler_journal::{Memory, OwedHandler};
use hostler_preview::Mask;

use crate::apply::{Audience, Terms, run, secrets};
use crate::keeping::{self, Keeping, Open, Subject, refused};
use crate::mandate::Carries;
use crate::plan::time_words;
use crate::plan_run::bind_again;
use crate::refusal::Refusal;
use crate::request::{ApplyRequest, ExitCode, StateRequest};
use crate::stored_request::{self, Passwords, StoredRequest};
use crate::{fingerprints, inputs, locks, undo};

/// Runs that are looked at to find the newest that can be resumed.
const RUNS_MAX: usize = 2000;
/// Tasks and hosts that are named when a run goes on.
const NAMED_MAX: usize = 5;

/// A run that can be resumed.
pub struct Unfinished {
    pub(crate) store: Store,
    pub(crate) record: RunRecord,
    pub(crate) stored: StoredRequest,
    /// It was not named.
    newest: bool,
}

/// How a run goes on.
#[derive(Clone, Debug, Default)]
pub struct ResumeRequest {
    /// Passwords, the state directory, locks, output, and a limit; everything else is as it was.
    pub given: ApplyRequest,
    /// Go on even if inputs have changed.
    pub accept_changes: bool,
    /// Run tasks again of which is not known what they did, though their module does not look before it acts.
    pub rerun_unknown: bool,
}

/// What is left of a run that was given up.
#[derive(Clone, Debug)]
pub struct Abandoned {
    /// The run.
    pub run: String,
    /// Hosts that it had locked.
    pub released: Vec<String>,
    /// Handlers that it notified and did not run.
    pub owed: Vec<OwedHandler>,
}

impl Abandoned {
    /// For programs.
    pub fn json(&self) -> String {
        let value = serde_json::json!({
            "event": "run_abandoned",
            "run": self.run,
            "released": self.released,
            "owed": self.owed,
        });
        value.to_string()
    }
}

impl Unfinished {
    /// Where it was started: its relative paths mean something there only.
    pub fn directory(&self) -> &Path {
        Path::new(&self.stored.directory)
    }

    /// Does it carry out a patch plan?
    pub fn patches(&self) -> bool {
        self.stored.patch.is_some()
    }

    /// The passwords that it was given.
    pub fn passwords(&self) -> Passwords {
        self.stored.had
    }
}

/// The run of this id (or of the beginning of one), or the newest that can be resumed.
///
/// # Errors
/// There is none, it still goes on, or the store cannot be read.
pub fn find_unfinished(state: &StateRequest, run: Option<&str>) -> Result<Unfinished, Refusal> {
    let told = |error: StoreError| refused(&error);
    let store = keeping::open(state).map_err(told)?;
    let id = match run {
        Some(text) => store.find(text).map_err(told)?,
        None => newest(&store)?,
    };
    let record = store.run(&id).map_err(told)?;
    if record.summary.check {
        let text = format!("run {} was a preview: there is nothing to resume", id.0);
        return Err(input(Diagnostic::error("not-resumable", text)));
    }
    if !record.summary.resumable {
        return Err(refused(&StoreError::NotResumable(id.0)));
    }
    let stored: StoredRequest =
        serde_json::from_value(record.request.clone()).map_err(|error| {
            let text = format!(
                "run {} was begun by hostler {} in a form that this one does not know: {error}",
                id.0, record.summary.version
            );
            input(Diagnostic::error("not-resumable", text))
        })?;
    if stored.by_plan {
        let text = format!(
            "run {} was begun by hostler {}, which did not keep what a plan or an undoing has for hosts",
            id.0, record.summary.version
        );
        let hint = "`hostler runs abandon` gives it up; make a new plan, or undo once more";
        return Err(input(Diagnostic::error("not-resumable", text).hint(hint)));
    }
    Ok(Unfinished {
        store,
        record,
        stored,
        newest: run.is_none(),
    })
}

fn input(diagnostic: Diagnostic) -> Refusal {
    Refusal::new(ExitCode::UnreachableOrInput, diagnostic)
}

fn newest(store: &Store) -> Result<hostler_events::RunId, Refusal> {
    let runs = store.runs(&RunFilter {
        without_checks: true,
        limit: Some(RUNS_MAX),
        ..RunFilter::default()
    });
    let runs = runs.map_err(|error| refused(&error))?;
    let goes_on = |it: &&hostler_history::RunSummary| it.resumable && it.state != RunState::Running;
    for found in runs.iter().filter(goes_on) {
        let record = store.run(&found.run).map_err(|error| refused(&error))?;
        if record.request.get("by_plan") != Some(&serde_json::Value::Bool(true)) {
            return Ok(found.run.clone());
        }
    }
    let running = runs.iter().find(|it| it.state == RunState::Running);
    let diagnostic = Diagnostic::error("not-resumable", "there is no run to resume");
    let diagnostic = match running.and_then(|it| Some((it, it.held.as_ref()?))) {
        Some((it, held)) => diagnostic.hint(format!("run {} still goes on: {held}", it.run.0)),
        None => diagnostic.hint("`hostler runs list` shows the runs that are kept"),
    };
    Err(input(diagnostic))
}

/// Goes on with a run. `watching` are told of the look at hosts before a plan goes on.
///
/// # Errors
/// As [`crate::apply()`]; inputs have changed; a password is missing. Nothing was contacted then.
pub async fn resume(
    unfinished: Unfinished,
    request: ResumeRequest,
    sources: &SourceMap,
    watching: Vec<Box<dyn Reporter>>,
    audience: Audience,
) -> Result<ExitCode, Refusal> {
    let Unfinished {
        store,
        record,
        stored,
        newest,
    } = unfinished;
    check_passwords(stored.had, &request.given)?;
    let summary = &record.summary;
    if newest {
        (audience.tell)(&format!(
            "The newest run that can be resumed is {} of {}.",
            summary.run.0,
            time_words(summary.started_us)
        ));
    }
    let asked = stored.request(&request.given);
    let mut again = Again {
        store,
        record,
        stored,
        refused: BTreeSet::new(),
        accept_changes: request.accept_changes,
        rerun_unknown: request.rerun_unknown,
    };
    let mut terms = Terms {
        mask: Mask::new(secrets(&request.given)),
        ..Terms::default()
    };
    let carries = again.stored.carries.clone();
    let mut inputs = match &carries {
        Carries::Playbooks | Carries::Plan => inputs::load(&asked, sources)?,
        Carries::Undo(run) => {
            let (inputs, contents) = undo::inputs_again(&again, run, &asked, sources)?;
            terms.contents = contents;
            inputs
        }
    };
    if let Some(limit) = &request.given.limit {
        inputs.keep_only(limit, &asked)?;
    }
    if carries == Carries::Plan {
        let interrupts = &audience.interrupts;
        let bound = bind_again(
            &mut again, &asked, &inputs, sources, watching, interrupts, &mut terms,
        );
        if !bound.await? {
            return Ok(ExitCode::Interrupted);
        }
    }
    terms.keeping = Keeping::Again(Box::new(again));
    let ran = run(&asked, &inputs, sources, audience, terms).await?;
    Ok(ran.exit)
}

fn check_passwords(had: Passwords, given: &ApplyRequest) -> Result<(), Refusal> {
    let missing = [
        (had.login && given.connect.password.is_none(), "login", "-k"),
        (
            had.r#become && given.r#become.password.is_none(),
            "become",
            "-K",
        ),
    ];
    let problems: Vec<Diagnostic> = missing
        .into_iter()
        .filter(|(missing, ..)| *missing)
        .map(|(_, what, flag)| {
            let text = format!(
                "the run was given a {what} password, which is not kept: give it again with {flag}"
            );
            Diagnostic::error("password-missing", text)
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        exit: ExitCode::Usage,
        diagnostics: problems,
    })
}

/// A run that is about to go on.
pub(crate) struct Again {
    pub(crate) store: Store,
    pub(crate) record: RunRecord,
    pub(crate) stored: StoredRequest,
    /// Hosts that take no part.
    pub(crate) refused: BTreeSet<String>,
    pub(crate) accept_changes: bool,
    pub(crate) rerun_unknown: bool,
}

impl Again {
    /// Checks that everything is as it was, takes the run over, says what is left to do, and leases the hosts.
    pub(crate) async fn reopen(
        self,
        subject: &Subject<'_>,
        interrupts: &Interrupts,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Open, Refusal> {
        self.check_inputs(subject, tell)?;
        let run = self.record.summary.run.clone();
        let breaks = subject.request.locks.breaks.as_deref();
        locks::wait(&self.store, subject, Some(&run.0), interrupts, tell).await?;
        let left = self.left()?;
        let reopened = self.store.reopen(&run, &keeping::who(), breaks);
        let (writer, memory, _) = reopened.map_err(|error| refused(&error))?;
        // How far a patch run is stands in its own notes.
        if self.stored.patch.is_none() {
            self.tell(subject, &left, &memory, tell);
        }
        locks::acquire(&self.store, &writer, subject, interrupts, tell).await?;
        let mine: BTreeSet<&String> = subject.hosts.iter().collect();
        Ok(Open {
            writer,
            memory: Some(memory),
            rerun_unknown: self.rerun_unknown,
            others_left: left.hosts.keys().any(|host| !mine.contains(host)),
        })
    }

    /// The texts that were read so far are what they were.
    pub(crate) fn check_texts(&self, sources: &SourceMap) -> Result<(), Refusal> {
        let now = fingerprints::of(sources, &BTreeSet::new());
        let changes = fingerprints::changes(&self.record.inputs, &now);
        self.accept(self.may_accept(&changes), changes, &|_| {})
    }

    fn check_inputs(
        &self,
        subject: &Subject<'_>,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), Refusal> {
        let now = fingerprints::of(subject.sources, &subject.files);
        let mut changes = fingerprints::changes(&self.record.inputs, &now);
        let may_accept = self.may_accept(&changes);
        if self.stored.agent != stored_request::agent() {
            let (then, now) = (&self.record.summary.version, env!("CARGO_PKG_VERSION"));
            changes.push(format!(
                "hostler itself is another one: the run was begun with {then}, this is {now}"
            ));
        }
        self.accept(may_accept, changes, tell)
    }

    /// A plan is a word on files as they were: with others nothing of it holds.
    fn may_accept(&self, changed_files: &[String]) -> bool {
        changed_files.is_empty() || self.stored.carries != Carries::Plan
    }

    /// Changes of what the run rests on: none, or the user accepts them.
    fn accept(
        &self,
        may_accept: bool,
        changes: Vec<String>,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), Refusal> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.accept_changes && may_accept {
            for change in changes {
                tell(&format!("Accepted: {change}."));
            }
            return Ok(());
        }
        let mut diagnostics: Vec<Diagnostic> = changes
            .into_iter()
            .map(|text| Diagnostic::error("resume-input-changed", text))
            .collect();
        if let Some(last) = diagnostics.last_mut() {
            let hint = if may_accept {
                "with --accept-changes the run goes on all the same: tasks that are written as they were are not run again, others are"
            } else {
                "a plan goes on only with the files that it was made of: put them back, or give the run up (`hostler runs abandon`) and make a new plan"
            };
            last.hints.push(hint.into());
        }
        Err(diagnostics.into())
    }

    /// The hosts that did not get to the end, each with what it does next, as far as was told: events are stored a moment
    /// later than the journal is written, so a killed run may be a task further than this says.
    fn left(&self) -> Result<Left, Refusal> {
        let mut left = Left::default();
        let mut tasks: BTreeMap<u32, String> = BTreeMap::new();
        let mut last: BTreeMap<String, (u32, bool)> = BTreeMap::new();
        let events = self.store.events(&self.record.summary.run);
        for event in events.map_err(|error| refused(&error))? {
            match event.map_err(|error| refused(&error))?.event {
                RunEvent::TaskStarted(info) => {
                    tasks.insert(info.id.0, info.name);
                }
                RunEvent::TaskFinished { task, host, result } => {
                    let failed = matches!(
                        result.status,
                        Status::Failed | Status::Unreachable | Status::Unknown
                    );
                    let failed = failed && !result.ignored && !result.rescued;
                    last.insert(host, (task.0, failed));
                }
                _ => {}
            }
        }
        let newest = tasks.keys().next_back().copied();
        let stopped = !matches!(
            self.record.summary.state,
            RunState::Finished | RunState::Failed
        );
        for (host, counts) in &self.record.hosts {
            if self.refused.contains(host) {
                continue;
            }
            let counts = counts.unwrap_or_default();
            let last = last.get(host);
            let failed = counts.failed + counts.unreachable + counts.unknown > 0
                || last.is_some_and(|(_, failed)| *failed);
            let next = match last {
                Some((task, true)) => Some(*task),
                _ if failed || stopped => newest,
                _ => continue,
            };
            let name = next.and_then(|task| tasks.get(&task)).cloned();
            left.hosts.insert(host.clone(), name);
        }
        Ok(left)
    }

    /// Says what the run will do.
    fn tell(
        &self,
        subject: &Subject<'_>,
        left: &Left,
        memory: &Memory,
        tell: &(dyn Fn(&str) + Send + Sync),
    ) {
        let summary = &self.record.summary;
        let mine: Vec<&String> = subject.hosts.iter().collect();
        let go_on: Vec<&String> = mine
            .iter()
            .copied()
            .filter(|host| left.hosts.contains_key(*host))
            .collect();
        let done = mine.len() - go_on.len();
        let verb = if go_on.len() == 1 { "goes" } else { "go" };
        let playbooks: Vec<&str> = summary
            .playbooks
            .iter()
            .map(|it| it.rsplit('/').next().unwrap_or(it))
            .collect();
        tell(&format!(
            "Run {} ({}) by {}, begun {}: {} at the end already, {} {verb} on.",
            summary.run.0,
            playbooks.join(", "),
            summary.who,
            time_words(summary.started_us),
            hosts(done),
            go_on.len(),
        ));
        let mut at: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for host in go_on {
            let task = left.hosts.get(host).and_then(Option::as_deref);
            at.entry(task.unwrap_or("the first task"))
                .or_default()
                .push(host);
        }
        let rest = at.len().saturating_sub(NAMED_MAX);
        for (task, on) in at.into_iter().take(NAMED_MAX) {
            tell(&format!("  from `{task}` on: {}", named(&on)));
        }
        if rest > 0 {
            tell(&format!("  and from {rest} other tasks on"));
        }
        for owed in memory.owed.iter().take(NAMED_MAX) {
            tell(&format!(
                "  owed: {} on {} (since run {})",
                owed.handler, owed.host, owed.run.0
            ));
        }
        if memory.owed.len() > NAMED_MAX {
            tell(&format!(
                "  and {} more handlers are owed",
                memory.owed.len() - NAMED_MAX
            ));
        }
    }
}

/// Hosts that did not get to the end, with the name of the task that they go on at.
#[derive(Default)]
struct Left {
    hosts: BTreeMap<String, Option<String>>,
}

fn named(all: &[&str]) -> String {
    let shown = all.iter().take(NAMED_MAX).copied().collect::<Vec<_>>();
    let more = all.len() - shown.len();
    if more > 0 {
        format!("{} and {more} more", shown.join(", "))
    } else {
        shown.join(", ")
    }
}

fn hosts(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} host{plural}")
}

/// Gives a run up: its locks are released, and it cannot be resumed any more. Handlers that it owes stay owed.
///
/// # Errors
/// There is no such run, it still goes on, it is over, or the store cannot be written.
pub fn abandon(state: &StateRequest, run: &str) -> Result<Abandoned, Refusal> {
    let told = |error: StoreError| refused(&error);
    let store = keeping::open(state).map_err(told)?;
    let id = store.find(run).map_err(told)?;
    let record = store.run(&id).map_err(told)?;
    let leases = store.leases().map_err(told)?;
    let released = leases.into_iter().find(|it| it.held.run == id);
    let released = released.map(|it| it.hosts).unwrap_or_default();
    let hosts: Vec<String> = record.hosts.iter().map(|(host, _)| host.clone()).collect();
    let owed = store.owed(&record.summary.playbooks, &hosts, None);
    let mut owed = owed.map_err(told)?;
    owed.retain(|it| it.run == id);
    let (writer, _, _) = store.reopen(&id, &keeping::who(), None).map_err(told)?;
    let mut recap = Recap::default();
    for (host, counts) in record.hosts {
        recap.hosts.extend(counts.map(|counts| (host, counts)));
    }
    let end = RunEnd {
        state: RunState::Interrupted,
        exit_code: record
            .summary
            .exit_code
            .unwrap_or(ExitCode::Interrupted as u8),
        elapsed_us: record.summary.elapsed_us.unwrap_or_default(),
        recap,
        resumable: false,
        keep: Keep::default(),
    };
    writer.finish(end).map_err(told)?;
    Ok(Abandoned {
        run: id.0,
        released,
        owed,
    })
}
