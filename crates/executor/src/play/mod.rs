//! A play: its batches, and in each facts, sections and handlers in order.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_events::{RunEvent, TaskKind};
use hostler_playbook::{Context, Entry, Play};
use hostler_template::Scope;
use hostler_value::{Map, Unknown};
use hostler_vars::PlayLayer;
use hostler_yaml::Mapping;

mod batches;
mod facts;
mod state;

pub use state::RunState;

use batches::batches;

use crate::context::RunContext;
use crate::failure::Failure;
use crate::past::Written;

/// A play with everything that was looked up for it.
pub struct PlayInputs {
    /// The play.
    pub play: Arc<Play>,
    /// Its name, evaluated.
    pub name: String,
    /// Its hosts, in inventory order, failed ones included.
    pub hosts: Vec<String>,
    /// Directory of the playbook.
    pub directory: PathBuf,
    /// The playbook, an absolute path.
    pub playbook: String,
    /// Variables of the play itself.
    pub layer: Arc<PlayLayer>,
}

/// How a play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayOutcome {
    /// The next play may run.
    GoOn,
    /// Later plays must not run: the failures of this one forbid it, or the user asked.
    Stop,
}

/// What a host is in its play.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostFlags {
    /// A task failed, and nothing rescued it.
    pub(crate) failed: bool,
    /// It could not be reached.
    pub(crate) unreachable: bool,
    /// `meta: end_host` or the like.
    pub(crate) ended: bool,
    /// It has no part in this pass any more, and catches up later, in this run or when it is resumed.
    pub(crate) behind: bool,
    /// Handlers to run, by their place in the play.
    pub(crate) notified: BTreeMap<usize, Notice>,
}

/// A notification that a handler got.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    /// It runs.
    Certain,
    /// In a preview: it may run; these tasks decide it.
    Maybe(Arc<Unknown>),
}

/// A batch of a play while it runs.
pub(crate) struct PlayRun {
    pub(crate) play: Arc<Play>,
    pub(crate) hosts: Vec<String>,
    pub(crate) position: Mutex<(u32, u32)>,
    /// Number of the play in the run, and of the batch in the play, from 1.
    pub(crate) number: u32,
    pub(crate) batch: u32,
    pub(crate) playbook: String,
    pub(crate) name: String,
    /// How often each task ran once for all hosts.
    once: Mutex<HashMap<Written, usize>>,
    directory: PathBuf,
    layer: Arc<PlayLayer>,
    /// All hosts of the play, and those of them that took part when the batch began.
    all: Vec<String>,
    active: Vec<String>,
    flags: Mutex<BTreeMap<String, HostFlags>>,
    /// Why no more tasks start, if that is so.
    stopped: Mutex<Option<String>>,
}

/// Runs a play over its hosts, batch by batch.
pub async fn run_play(
    run: &Arc<RunContext>,
    inputs: PlayInputs,
    state: &mut RunState,
) -> PlayOutcome {
    let PlayInputs {
        play,
        name,
        hosts,
        directory,
        playbook,
        layer,
    } = inputs;
    let all = hosts.clone();
    let hosts: Vec<String> = hosts
        .into_iter()
        .filter(|host| state.takes_part(host))
        .collect();
    state.plays_started += 1;
    state.numbers.after(run.past.last_task());
    if hosts.is_empty() {
        // Those that catch up have their say later, or had it.
        if state.only.is_none() && state.behind.is_empty() {
            let reason = match all.as_slice() {
                [] => "no hosts matched",
                _ => "no hosts left",
            };
            run.emit(RunEvent::PlaySkipped {
                name,
                reason: reason.into(),
            });
        }
        return PlayOutcome::GoOn;
    }
    let batches = match batches(run, &play, &layer, &hosts) {
        Ok(batches) => batches,
        Err(failure) => return broken(run, failure, &hosts, state),
    };
    let count = u32::try_from(batches.len()).unwrap_or(u32::MAX);
    for (batch, number) in batches.into_iter().zip(1..) {
        tell_hosts(&layer, &all, &hosts, &batch);
        // Of a part, the whole has told.
        if state.seen.is_none() {
            run.emit(RunEvent::PlayStarted {
                name: name.clone(),
                number: state.plays_started,
                hosts: batch.clone(),
                batch: (count > 1).then_some((number, count)),
            });
        }
        let total = selected(run, &play.pre_tasks)
            + selected(run, &play.tasks)
            + selected(run, &play.post_tasks);
        let batch_run = Arc::new(PlayRun {
            play: play.clone(),
            flags: Mutex::new(
                batch
                    .iter()
                    .map(|host| (host.clone(), HostFlags::default()))
                    .collect(),
            ),
            hosts: batch,
            number: state.plays_started,
            batch: number,
            playbook: playbook.clone(),
            name: name.clone(),
            once: Mutex::default(),
            position: Mutex::new((0, total)),
            directory: directory.clone(),
            layer: layer.clone(),
            all: all.clone(),
            active: hosts
                .iter()
                .filter(|host| state.takes_part(host))
                .cloned()
                .collect(),
            stopped: Mutex::default(),
        });
        if batch_run.run_written(run, state).await {
            return PlayOutcome::Stop;
        }
    }
    PlayOutcome::GoOn
}

fn play_scope(run: &RunContext, host: &str, layer: &Arc<PlayLayer>) -> Arc<dyn Scope> {
    run.vars.scope(host, layer, &[], Map::new())
}

/// `ansible_play_hosts` and its relatives.
fn tell_hosts(layer: &PlayLayer, all: &[String], active: &[String], batch: &[String]) {
    let names = |hosts: &[String]| -> Vec<Arc<str>> {
        hosts.iter().map(|it| Arc::from(it.as_str())).collect()
    };
    layer.set_hosts(
        &names(all),
        &names(active).into_iter().collect(),
        &names(batch),
    );
}

/// A play that cannot be cut into batches: all its hosts fail.
fn broken(
    run: &RunContext,
    failure: Failure,
    hosts: &[String],
    state: &mut RunState,
) -> PlayOutcome {
    if let Failure::Failed(failed) = failure {
        let mut diagnostic = hostler_diag::Diagnostic::error("bad-play", failed.msg);
        if let Some(span) = failed.span {
            diagnostic = diagnostic.at(span);
        }
        run.warn(diagnostic, None);
    }
    for host in hosts {
        state.recap.hosts.entry(host.clone()).or_default().failed += 1;
        state.lost.insert(host.clone());
    }
    PlayOutcome::Stop
}

fn selected(run: &RunContext, entries: &[Entry]) -> u32 {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Task(task) => u32::from(run.settings.selects(task)),
            Entry::Block(block) => selected(run, &block.block) + selected(run, &block.always),
        })
        .sum()
}

impl PlayRun {
    /// Runs the batch, with the handlers that earlier runs owe. True if later batches and plays must not run.
    async fn run_written(self: &Arc<Self>, run: &Arc<RunContext>, state: &mut RunState) -> bool {
        self.remember_owed(run);
        let stop = self.run_batch(run, state).await;
        // Also those that were given up in the last task.
        self.let_go(run, state);
        self.tell_owed(run);
        state.lost.extend(self.lost());
        state.journal_broken = run.journal_broken();
        let halted = run.interrupts.draining() || state.journal_broken.is_some();
        state.resumable |= halted && !run.settings.check;
        stop || halted
    }

    /// Runs all sections. True if later batches and plays must not run.
    async fn run_batch(self: &Arc<Self>, run: &Arc<RunContext>, state: &mut RunState) -> bool {
        if self.gathers_facts(run) {
            let task = Arc::new(self.fact_task());
            self.run_task(
                run,
                state,
                &task,
                TaskKind::GatherFacts,
                &self.hosts.clone(),
                false,
            )
            .await;
        }
        let play = self.play.clone();
        for section in [&play.pre_tasks, &play.tasks, &play.post_tasks] {
            self.run_entries(run, state, section, &self.hosts.clone(), false)
                .await;
            self.flush_handlers(run, state).await;
        }
        let lost = self.lost().len();
        lost == self.hosts.len() || self.stopped().is_some_and(|reason| reason != END_BATCH)
    }

    /// Variables of a host in a task.
    pub(crate) fn scope(&self, run: &RunContext, host: &str, context: &Context) -> Arc<dyn Scope> {
        // Levels of blocks and the task; the outermost is the play, whose variables are in the layer.
        let mut levels: Vec<Arc<Mapping>> = Vec::new();
        let mut level = Some(context);
        while let Some(now) = level {
            if now.outer.is_some() {
                levels.extend(now.keywords.vars.clone());
            }
            level = now.outer.as_deref();
        }
        levels.reverse();
        run.vars.scope(host, &self.layer, &levels, Map::new())
    }

    /// Brings `ansible_play_hosts` and its relatives up to date: hosts that were lost are in it no more.
    pub(crate) fn tell_hosts(&self) {
        let lost = self.lost();
        let active: Vec<String> = self
            .active
            .iter()
            .filter(|host| !lost.contains(host))
            .cloned()
            .collect();
        tell_hosts(&self.layer, &self.all, &active, &self.hosts);
    }

    /// Directory of the playbook.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Variables of a host outside of any task.
    pub(crate) fn host_scope(&self, run: &RunContext, host: &str) -> Arc<dyn Scope> {
        play_scope(run, host, &self.layer)
    }

    pub(crate) fn flags(&self) -> MutexGuard<'_, BTreeMap<String, HostFlags>> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of `hosts` that still take part.
    pub(crate) fn live(&self, hosts: &[String]) -> Vec<String> {
        if self.stopped().is_some() {
            return Vec::new();
        }
        let flags = self.flags();
        let live = |host: &&String| {
            flags
                .get(*host)
                .is_some_and(|it| !it.failed && !it.unreachable && !it.ended && !it.behind)
        };
        hosts.iter().filter(live).cloned().collect()
    }

    /// Hosts that failed or were unreachable.
    fn lost(&self) -> Vec<String> {
        let flags = self.flags();
        let lost = flags.iter().filter(|(_, it)| it.failed || it.unreachable);
        lost.map(|(host, _)| host.clone()).collect()
    }

    /// How often the task ran once for all hosts of the batch before.
    pub(crate) fn count_once(&self, written: Written) -> usize {
        let mut counts = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(written).or_default();
        *count += 1;
        *count - 1
    }

    /// Hosts that the user gave up are out, and count as failed.
    pub(crate) fn let_go(&self, run: &RunContext, state: &mut RunState) {
        for host in &self.hosts {
            let Some(reason) = run.interrupts.dropped(host) else {
                continue;
            };
            let is_new = state.dropped.insert(host.clone());
            let mut flags = self.flags();
            let Some(flags) = flags.get_mut(host) else {
                continue;
            };
            if !flags.failed && !flags.unreachable {
                flags.failed = true;
                state.recap.hosts.entry(host.clone()).or_default().failed += 1;
                state.resumable |= !run.settings.check;
            }
            if is_new {
                run.emit(RunEvent::HostDropped {
                    host: host.clone(),
                    reason,
                });
            }
        }
    }

    /// No more tasks start.
    pub(crate) fn stop(&self, reason: &str) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.get_or_insert(reason.to_owned());
    }

    pub(crate) fn stopped(&self) -> Option<String> {
        self.stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Why a batch ended that lets later batches and plays run.
pub(crate) const END_BATCH: &str = "end of batch";
