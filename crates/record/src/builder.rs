//! Events in, a record out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostler_events::{
    Counts, ItemResult, Recap, RunEvent, Stamped, Status, TaskId, TaskInfo, TaskResult,
};

use crate::{
    HostRecord, ItemRecord, OwedRecord, PlayRecord, Record, ResultRecord, State, TaskRecord,
    WarningRecord,
};

/// Most warnings that are kept: a host may send any number.
const WARNINGS_MAX: usize = 1000;

/// Makes a [`Record`] from the events of a run, in order; those of a resumed run follow those of its beginning.
#[derive(Default)]
pub struct Builder {
    record: Record,
    /// Index of the play that runs.
    current_play: usize,
    /// Place in [`Record::tasks`].
    tasks: HashMap<TaskId, usize>,
    /// By task and host, until the host's result comes.
    running: HashMap<(TaskId, String), Running>,
    owed: BTreeSet<OwedRecord>,
    dropped: BTreeMap<String, String>,
    recap: Option<Recap>,
    counts: Vec<BTreeMap<String, Counts>>,
}

#[derive(Default)]
struct Running {
    /// The host was waited for.
    started: bool,
    items: BTreeMap<u32, ItemRecord>,
}

impl Builder {
    /// Adds an event.
    pub fn event(&mut self, stamped: &Stamped) {
        self.record.ended_us = stamped.at_us;
        match &stamped.event {
            RunEvent::RunStarted { .. } => self.started(stamped),
            RunEvent::Warned {
                diagnostic,
                location,
                host,
            } => self.warn(WarningRecord {
                text: diagnostic.message.clone(),
                place: location.as_ref().map(ToString::to_string),
                host: host.clone(),
            }),
            RunEvent::PlayStarted {
                name,
                number,
                hosts,
                batch,
            } => self.play(PlayRecord {
                name: name.clone(),
                number: *number,
                batch: *batch,
                hosts: hosts.clone(),
                skipped: None,
            }),
            RunEvent::PlaySkipped { name, reason } => self.play(PlayRecord {
                name: name.clone(),
                skipped: Some(reason.clone()),
                ..PlayRecord::default()
            }),
            RunEvent::TaskStarted(info) => self.task(info, stamped.at_us),
            RunEvent::HostStarted { task, host } => self.running(*task, host).started = true,
            RunEvent::ItemFinished { task, host, item } => {
                let item = item_record(item);
                self.running(*task, host).items.insert(item.index, item);
            }
            RunEvent::TaskFinished { task, host, result } => {
                self.result(*task, host, result, stamped.at_us);
            }
            RunEvent::HandlerOwed {
                host,
                handler,
                run,
                runs_now,
            } => self.owed(
                OwedRecord {
                    handler: handler.clone(),
                    host: host.clone(),
                    run: run.0.clone(),
                },
                *runs_now,
            ),
            RunEvent::HostDropped { host, reason } => {
                self.dropped.insert(host.clone(), reason.clone());
            }
            RunEvent::Stopping { reason } => self.record.stopped.push(reason.clone()),
            RunEvent::RunFinished { .. } => self.ended(&stamped.event),
            RunEvent::HostChanged { .. }
            | RunEvent::TaskRetried { .. }
            | RunEvent::TaskEnded { .. }
            | RunEvent::HandlerNotified { .. }
            | RunEvent::TaskProgress { .. }
            | RunEvent::TaskOutput { .. } => {}
        }
    }

    fn owed(&mut self, owed: OwedRecord, runs_now: bool) {
        if runs_now {
            self.owed.remove(&owed);
        } else {
            self.owed.insert(owed);
        }
    }

    fn ended(&mut self, event: &RunEvent) {
        let RunEvent::RunFinished {
            recap,
            exit_code,
            elapsed_us,
            resumable,
            ..
        } = event
        else {
            return;
        };
        self.recap = Some(recap.clone());
        self.record.exit_code = Some(*exit_code);
        self.record.elapsed_us = self.record.elapsed_us.saturating_add(*elapsed_us);
        self.record.resumable = *resumable;
        self.record.state = match exit_code {
            0 => State::Finished,
            6 => State::JournalBroken,
            99 => State::Interrupted,
            _ => State::Failed,
        };
    }

    fn started(&mut self, stamped: &Stamped) {
        let RunEvent::RunStarted {
            run,
            version,
            playbooks,
            check,
            by,
            resumed,
            ..
        } = &stamped.event
        else {
            return;
        };
        let record = &mut self.record;
        record.state = State::Running;
        record.exit_code = None;
        record.resumable = false;
        record.stopped.clear();
        self.dropped.clear();
        self.recap = None;
        record.version.clone_from(version);
        if *resumed && !record.run.is_empty() {
            record.resumed += 1;
            return;
        }
        record.format = Record::FORMAT;
        record.run.clone_from(&run.0);
        record.by.clone_from(by);
        record.playbooks.clone_from(playbooks);
        record.check = *check;
        record.started_us = stamped.at_us;
        record.resumed = u32::from(*resumed);
    }

    fn warn(&mut self, warning: WarningRecord) {
        let warnings = &mut self.record.warnings;
        if warnings.len() < WARNINGS_MAX && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// A resumed run tells its plays again.
    fn play(&mut self, play: PlayRecord) {
        let same = |it: &PlayRecord| {
            (it.number, it.batch, &it.name) == (play.number, play.batch, &play.name)
        };
        let known = self.record.plays.iter().position(same);
        let at = known.unwrap_or_else(|| {
            self.record.plays.push(play);
            self.record.plays.len() - 1
        });
        self.current_play = at;
    }

    fn task(&mut self, info: &TaskInfo, at_us: i64) {
        if self.tasks.contains_key(&info.id) {
            return;
        }
        self.tasks.insert(info.id, self.record.tasks.len());
        self.counts.push(BTreeMap::new());
        self.record.tasks.push(TaskRecord {
            id: info.id.0,
            name: info.name.clone(),
            module: info.module.clone(),
            kind: info.kind.into(),
            place: info.location.as_ref().map(ToString::to_string),
            play: self.current_play,
            started_us: at_us,
            ended_us: at_us,
            results: Vec::new(),
            unfinished: Vec::new(),
        });
    }

    fn running(&mut self, task: TaskId, host: &str) -> &mut Running {
        self.running.entry((task, host.to_owned())).or_default()
    }

    fn result(&mut self, id: TaskId, host: &str, result: &TaskResult, at_us: i64) {
        let Some(index) = self.tasks.get(&id).copied() else {
            return;
        };
        let mut one = Recap::default();
        one.count(host, result);
        self.counts[index].extend(one.hosts);
        let running = self.running.remove(&(id, host.to_owned()));
        let mut record = result_record(host, result, at_us);
        record.items = running.unwrap_or_default().items.into_values().collect();
        let task = &mut self.record.tasks[index];
        task.ended_us = at_us;
        // Tried again in a resumed run.
        task.results.retain(|it| it.host != host);
        task.results.push(record);
    }

    /// The record of what was told so far. Of a run that did not tell its end, the caller knows whether it still runs:
    /// see [`Record::state`].
    pub fn finish(mut self) -> Record {
        let mut unfinished: Vec<(TaskId, String)> = std::mem::take(&mut self.running)
            .into_iter()
            .filter(|(_, running)| running.started || !running.items.is_empty())
            .map(|(key, _)| key)
            .collect();
        unfinished.sort_unstable();
        for (id, host) in unfinished {
            if let Some(index) = self.tasks.get(&id) {
                self.record.tasks[*index].unfinished.push(host);
            }
        }
        let recap = self.recap.take().unwrap_or_else(|| self.counted());
        let mut record = self.record;
        record.hosts = recap
            .hosts
            .iter()
            .map(|(host, counts)| HostRecord {
                dropped: self.dropped.get(host).cloned(),
                ..HostRecord::new(host, counts)
            })
            .collect();
        record.owed = self.owed.into_iter().collect();
        if record.exit_code.is_none() {
            let took = record.ended_us.saturating_sub(record.started_us);
            record.elapsed_us = u64::try_from(took).unwrap_or(0);
        }
        record
    }

    fn counted(&self) -> Recap {
        let mut recap = Recap::default();
        for host in self.record.plays.iter().flat_map(|play| &play.hosts) {
            recap.hosts.entry(host.clone()).or_default();
        }
        for (host, counts) in self.counts.iter().flatten() {
            add(recap.hosts.entry(host.clone()).or_default(), counts);
        }
        recap
    }
}

fn add(sum: &mut Counts, one: &Counts) {
    sum.ok += one.ok;
    sum.changed += one.changed;
    sum.unreachable += one.unreachable;
    sum.failed += one.failed;
    sum.skipped += one.skipped;
    sum.rescued += one.rescued;
    sum.ignored += one.ignored;
    sum.unknown += one.unknown;
}

fn item_record(item: &ItemResult) -> ItemRecord {
    ItemRecord {
        index: item.index,
        label: item.label.clone(),
        status: item.status,
        ignored: item.ignored,
        message: item.message.clone(),
        deltas: item.deltas.clone(),
    }
}

fn result_record(host: &str, result: &TaskResult, at_us: i64) -> ResultRecord {
    let unreachable = result.unreachable.as_ref();
    let waits = || {
        let causes = result.unknown.iter().map(hostler_value::Cause::words);
        format!("until {}", causes.collect::<Vec<_>>().join(", "))
    };
    let unknown = result.status == Status::Unknown && !result.unknown.is_empty();
    ResultRecord {
        host: host.to_owned(),
        status: result.status,
        ignored: result.ignored,
        rescued: result.rescued,
        censored: result.censored,
        ended_us: at_us,
        duration_us: result.duration_us,
        message: result.message.clone().or_else(|| unknown.then(waits)),
        hint: result.hint.clone(),
        unreachable: unreachable.map(|why| why.reason.clone()),
        delegated_to: result.delegated_to.clone(),
        attempts: result.attempts,
        deltas: result.deltas.clone(),
        warnings: result.warnings.clone(),
        value: result.value.clone(),
        items: Vec::new(),
    }
}
