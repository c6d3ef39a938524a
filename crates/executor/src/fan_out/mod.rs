//! One task over its hosts, in parallel.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use hostler_events::{RunEvent, TaskId, TaskInfo, TaskKind};
use hostler_playbook::Task;
use hostler_value::Unknown;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

mod recall;
mod taken;

use recall::{Worker, number};
use taken::Part;

use crate::actions::pause;
use crate::context::RunContext;
use crate::failure::Failure;
use crate::fleet::Turns;
use crate::host_task::{Finished, HostTask, When};
use crate::past::{Remembered, Written};
use crate::play::{PlayRun, RunState};
use crate::print;
use crate::result::{Shown, Single};

impl PlayRun {
    /// Runs a task on those of `hosts` that still take part. `rescuing`: a failure is a rescue's business.
    pub(crate) async fn run_task(
        self: &Arc<Self>,
        run: &Arc<RunContext>,
        state: &mut RunState,
        task: &Arc<Task>,
        kind: TaskKind,
        hosts: &[String],
        rescuing: bool,
    ) {
        self.run_task_perhaps(run, state, task, kind, hosts, rescuing, &BTreeMap::new())
            .await;
    }

    /// As [`Self::run_task`]; on the hosts of `maybe` only perhaps, for that reason.
    #[expect(clippy::too_many_arguments, reason = "what a task needs")]
    pub(crate) async fn run_task_perhaps(
        self: &Arc<Self>,
        run: &Arc<RunContext>,
        state: &mut RunState,
        task: &Arc<Task>,
        kind: TaskKind,
        hosts: &[String],
        rescuing: bool,
        maybe: &BTreeMap<String, Arc<Unknown>>,
    ) {
        let live = self.live(hosts);
        if live.is_empty() {
            return;
        }
        let name = self.task_name(run, task, &live[0]);
        if kind == TaskKind::Task && !state.has_started(run, &name) {
            return;
        }
        let once =
            self.flag(run, task, &live[0], |it| it.run_once.as_ref()) || task.module == "pause";
        let workers = if once { &live[..1] } else { &live[..] };
        let written = Written {
            play: self.number,
            kind,
            print: print::of_task(task),
        };
        let (done, mut workers) = self.recall(run, task, written, workers, once);
        let id = number(state, &mut workers, &done);
        let untold = done.iter().filter(|(_, it)| !it.on_host.told).count();
        let quiet = workers.is_empty() && untold == 0;
        let place = run.sources.locate(task.span);
        let line = format!("{}:{}", place.file, place.line);
        let stands_at = place.to_string();
        run.foresight.started(id, &name, &line);
        let position = (kind == TaskKind::Task).then(|| self.advance());
        if !quiet {
            run.emit(RunEvent::TaskStarted(TaskInfo {
                id,
                name: name.clone(),
                module: task.module.clone(),
                kind,
                location: Some(place),
                hosts: u32::try_from(workers.len() + untold).unwrap_or(u32::MAX),
                position,
            }));
        }
        let mut part = Part {
            task,
            id,
            rescuing,
            handler: kind == TaskKind::Handler,
            journal: None,
            told: false,
        };
        let all = once.then(|| live.clone());
        let all = all.as_deref();
        self.take_again(run, state, &mut part, done, &stands_at, all);
        if id.0 > run.past.last_task() {
            self.note_task(run, id, written, &name, task);
        }
        let throttle = self.throttle(run, task, &live[0]);
        let trails: HashMap<String, TaskId> = workers
            .iter()
            .map(|it| (it.host.clone(), it.trail.task))
            .collect();
        let (mut jobs, hosts_of) = self.spawn(run, task, id, workers, &throttle, maybe);
        while let Some(joined) = jobs.join_next_with_id().await {
            let (job, finished) = match joined {
                Ok((job, finished)) => (job, finished),
                Err(error) => (error.id(), defect(&error.to_string())),
            };
            let Some(host) = hosts_of.get(&job) else {
                continue;
            };
            part.journal = trails.get(host).copied();
            self.take(run, state, &part, (host, applies_to(all, host)), finished);
        }
        if !quiet {
            run.emit(RunEvent::TaskEnded { task: id });
        }
        self.judge_failures(run, task, &live);
    }

    /// Takes what hosts did before the run was interrupted.
    fn take_again(
        &self,
        run: &RunContext,
        state: &mut RunState,
        part: &mut Part<'_>,
        done: Vec<(String, Remembered)>,
        place: &str,
        all: Option<&[String]>,
    ) {
        for (host, remembered) in done {
            if let Some(bound) = run.bound() {
                bound.begin(remembered.task, &host, place.to_owned());
                bound.end(remembered.task, &host);
            }
            part.told = remembered.on_host.told;
            if let Some(finished) = remembered.on_host.finished {
                let hosts = (host.as_str(), applies_to(all, &host));
                self.take(run, state, part, hosts, finished.into());
            }
        }
        part.told = false;
    }

    /// Starts the work on all hosts; a host is found by its job's number.
    fn spawn(
        self: &Arc<Self>,
        run: &Arc<RunContext>,
        task: &Arc<Task>,
        id: TaskId,
        workers: Vec<Worker>,
        throttle: &Arc<Semaphore>,
        maybe: &BTreeMap<String, Arc<Unknown>>,
    ) -> (JoinSet<Finished>, HashMap<tokio::task::Id, String>) {
        let mut jobs: JoinSet<Finished> = JoinSet::new();
        let mut hosts_of = HashMap::new();
        // Only these may change the same host at the same time.
        let delegates = task.context.nearest(|it| it.delegate_to.as_ref()).is_some();
        let turns = Turns::of(&task.module, workers.len()).filter(|_| delegates);
        for (index, Worker { host, trail }) in workers.into_iter().enumerate() {
            let turn = turns
                .as_ref()
                .map(|it| it.turn(index, task.r#loop.is_some()));
            let (run, play, task) = (run.clone(), self.clone(), task.clone());
            let (forks, throttle, name) = (run.forks(), throttle.clone(), host.clone());
            let maybe = maybe.get(&host).cloned();
            let job = jobs.spawn(async move {
                if let Some(turn) = &turn {
                    turn.queue().await;
                }
                let _turn = throttle.acquire().await;
                let _place = forks.acquire().await;
                if let Some(turn) = &turn {
                    turn.begin();
                }
                run.emit(RunEvent::HostStarted {
                    task: id,
                    host: host.clone(),
                });
                let host_task = HostTask {
                    run: &run,
                    play: &play,
                    task: &task,
                    id,
                    host: &host,
                    maybe: maybe.as_ref(),
                    keep: true,
                    turn: turn.as_ref(),
                    trail: Some(&trail),
                };
                if task.module == "pause" {
                    host_task.wait().await
                } else {
                    host_task.in_its_time().await
                }
            });
            hosts_of.insert(job.id(), name);
        }
        (jobs, hosts_of)
    }

    /// `any_errors_fatal` and `max_fail_percentage`: do the failures so far end the play?
    fn judge_failures(&self, run: &RunContext, task: &Task, live: &[String]) {
        let (now, all) = {
            let flags = self.flags();
            let lost = |host: &&String| {
                flags
                    .get(*host)
                    .is_some_and(|it| it.failed || it.unreachable)
            };
            (
                live.iter().filter(lost).count(),
                self.hosts.iter().filter(lost).count(),
            )
        };
        if now == 0 {
            return;
        }
        self.tell_hosts();
        let fatal = self.flag(run, task, &live[0], |it| it.any_errors_fatal.as_ref());
        let percentage = self.max_fail_percentage(run, &live[0]);
        #[expect(clippy::cast_precision_loss, reason = "counts of hosts")]
        let share = all as f64 * 100.0 / self.hosts.len().max(1) as f64;
        let too_many = percentage.is_some_and(|limit| share > limit);
        if !fatal && !too_many {
            return;
        }
        let reason = if fatal {
            "`any_errors_fatal` ends the play: a host failed".to_owned()
        } else {
            format!("{share:.0} % of the hosts failed, more than `max_fail_percentage` allows")
        };
        run.emit(RunEvent::Stopping { reason });
        let mut flags = self.flags();
        for host in live {
            if let Some(flags) = flags.get_mut(host) {
                flags.failed = true;
            }
        }
    }

    fn max_fail_percentage(&self, run: &RunContext, host: &str) -> Option<f64> {
        let node = self.play.max_fail_percentage.as_ref()?;
        let scope = self.host_scope(run, host);
        let value = run.engine.finalise(node, &scope).ok()?;
        value.to_text().trim().trim_end_matches('%').parse().ok()
    }

    fn throttle(&self, run: &RunContext, task: &Task, host: &str) -> Arc<Semaphore> {
        let node = task.context.nearest(|it| it.throttle.as_ref());
        let limit = node.and_then(|node| {
            let scope = self.scope(run, host, &task.context);
            run.engine.finalise(node, &scope).ok()?.to_int().ok()
        });
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        Arc::new(Semaphore::new(limit.unwrap_or(Semaphore::MAX_PERMITS)))
    }

    /// A keyword that is a boolean for the whole task, as its first host sees it; what cannot be evaluated is false
    /// here and a failure where the host's own keywords are evaluated.
    fn flag(
        &self,
        run: &RunContext,
        task: &Task,
        host: &str,
        of: impl Fn(&hostler_playbook::Keywords) -> Option<&hostler_yaml::Node>,
    ) -> bool {
        let Some(node) = task.context.levels().find_map(of) else {
            return false;
        };
        let scope = self.scope(run, host, &task.context);
        let value = run.engine.finalise(node, &scope);
        value
            .ok()
            .and_then(|value| value.to_bool().ok())
            .unwrap_or(false)
    }

    /// The task's name for people: evaluated if that is possible, its module's name if it has none.
    pub(crate) fn task_name(&self, run: &RunContext, task: &Task, host: &str) -> String {
        let Some(node) = &task.name else {
            return task.module.clone();
        };
        if !node.is_dynamic() {
            return node.to_literal().to_text();
        }
        let scope = self.scope(run, host, &task.context);
        run.engine
            .finalise(node, &scope)
            .map_or_else(|_| node.to_literal().to_text(), |it| it.to_text())
    }

    fn advance(&self) -> (u32, u32) {
        let mut position = self
            .position
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        position.0 += 1;
        position.1 = position.1.max(position.0);
        *position
    }
}

impl HostTask<'_> {
    /// `pause`: once for all hosts.
    async fn wait(&self) -> Finished {
        let scope = self.play.scope(self.run, self.host, &self.task.context);
        let single = match self.when(&scope) {
            Ok(When::Unmet(condition)) => {
                Single::skipped("Conditional result was False", Some(&condition))
            }
            Ok(When::Unknown(unknown)) => Single::unknown(unknown),
            Ok(When::Holds) => match self.args(&scope) {
                Ok(args) => pause::wait(args, self.run)
                    .await
                    .unwrap_or_else(|it| self.failed(it)),
                Err(failure) => self.failed(failure),
            },
            Err(failure) => self.failed(failure),
        };
        finished(single, self.host)
    }
}

impl HostTask<'_> {
    /// Does it, within what is left of the host's time in this run.
    async fn in_its_time(&self) -> Finished {
        let began = Instant::now();
        let run = self.run();
        tokio::pin!(run);
        let finished = match self.run.time_left(self.host) {
            None => run.await,
            Some(left) => tokio::select! {
                finished = &mut run => finished,
                () = tokio::time::sleep(left) => {
                    let reason = "its time in this run is used up (`--host-budget`)";
                    self.run.interrupts.drop_host(self.host, reason);
                    run.await
                }
            },
        };
        self.run.spend(self.host, began.elapsed());
        finished
    }
}

fn finished(single: Single, host: &str) -> Finished {
    Finished {
        registered: single.to_value(),
        left: single.left,
        result: single.into_result(Shown::default()),
        notified: Vec::new(),
        notifies_maybe: None,
        undecided: false,
        touched: false,
        serves: false,
        facts: None,
        facts_host: host.to_owned(),
        variables: None,
    }
}

/// The hosts that a result is for: all, or the one that brought it.
fn applies_to<'a>(all: Option<&'a [String]>, host: &'a String) -> &'a [String] {
    all.unwrap_or(std::slice::from_ref(host))
}

/// A panic in one host's work is that host's failure.
fn defect(words: &str) -> Finished {
    let failure = Failure::new(format!(
        "a defect in hostler ended the work on this host: {words}"
    ));
    let single = Single::failure(failure, |_| hostler_diag::Location {
        file: String::new(),
        line: 0,
        column: 0,
    });
    finished(single, "")
}
