//! From the events of a run in check mode to what the preview found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostler_change::{Change, Delta};
use hostler_events::{ItemResult, RunEvent, Stamped, TaskId, TaskInfo, TaskKind, TaskResult};

use crate::document::{
    Fate, HandlerPreview, HostTotals, ItemOutcome, Outcome, PlayPreview, Preview, RestartPreview,
    TaskGroup, TaskPreview, UnknownPreview,
};
use crate::execution::{Execution, Executions};
use crate::fold::fold_hosts;
use crate::mask::Mask;

/// Different warnings that are kept.
const WARNINGS_MAX: usize = 1000;

/// Reads the events of a preview.
#[derive(Debug, Default)]
pub struct Builder {
    mask: Mask,
    preview: Preview,
    executions: Executions,
    open: HashMap<TaskId, OpenTask>,
    /// How often a task ran on a host so far.
    counts: HashMap<(String, String), u32>,
    /// The task that ended last on each host: what notifies a handler.
    last: HashMap<String, String>,
    hosts: BTreeSet<String>,
    totals: BTreeMap<String, HostTotals>,
    warnings: BTreeSet<String>,
    finished: bool,
}

#[derive(Debug)]
struct OpenTask {
    info: TaskInfo,
    play: u32,
    outcomes: HashMap<Outcome, BTreeSet<String>>,
    items: HashMap<String, Items>,
}

/// What the items of a loop on one host came to so far.
#[derive(Debug, Default)]
struct Items {
    outcomes: Vec<ItemOutcome>,
    execution: Execution,
    any: bool,
}

impl Builder {
    /// Known secrets are taken out of everything.
    pub fn new(mask: Mask) -> Self {
        Builder {
            mask,
            ..Builder::default()
        }
    }

    /// Takes in an event.
    pub fn event(&mut self, stamped: &Stamped) {
        match &stamped.event {
            RunEvent::RunStarted {
                run,
                version,
                playbooks,
                ..
            } => {
                let made = &mut self.preview.made;
                made.run.clone_from(&run.0);
                made.version.clone_from(version);
                made.playbooks.clone_from(playbooks);
                made.at_us = stamped.at_us;
            }
            RunEvent::Warned {
                diagnostic, host, ..
            } => {
                let on = host
                    .as_ref()
                    .map(|it| format!("{it}: "))
                    .unwrap_or_default();
                self.warn(format!("{on}{}", diagnostic.message));
            }
            RunEvent::PlayStarted {
                name,
                number,
                hosts,
                batch,
            } => {
                self.hosts.extend(hosts.iter().cloned());
                self.preview.plays.push(PlayPreview {
                    name: name.clone(),
                    number: *number,
                    batch: *batch,
                    hosts: hosts.clone(),
                });
            }
            RunEvent::TaskStarted(info) => self.start(info),
            RunEvent::ItemFinished { task, host, item } => self.item(*task, host, item),
            RunEvent::TaskFinished { task, host, result } => self.result(*task, host, result),
            RunEvent::TaskEnded { task } => self.end(*task),
            RunEvent::HandlerNotified {
                host,
                handler,
                certain,
            } => self.notified(host, handler, *certain),
            RunEvent::RunFinished {
                elapsed_us,
                exit_code,
                ..
            } => {
                self.preview.made.elapsed_us = *elapsed_us;
                self.preview.made.interrupted = *exit_code == 99;
                self.finished = true;
            }
            _ => {}
        }
    }

    fn warn(&mut self, mut text: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.mask.text(&mut text);
            self.warnings.insert(text);
        }
    }

    fn start(&mut self, info: &TaskInfo) {
        let plays = u32::try_from(self.preview.plays.len()).unwrap_or(u32::MAX);
        let open = OpenTask {
            info: info.clone(),
            play: plays.saturating_sub(1),
            outcomes: HashMap::new(),
            items: HashMap::new(),
        };
        self.open.insert(info.id, open);
    }

    fn item(&mut self, task: TaskId, host: &str, item: &ItemResult) {
        let Some(open) = self.open.get_mut(&task) else {
            return;
        };
        let items = open.items.entry(host.to_owned()).or_default();
        items.any = true;
        let fate = Fate::from(item.status);
        let execution = &mut items.execution;
        execution.undecided |= fate == Fate::Unknown || !item.unknown.is_empty();
        match &item.forecast {
            Some(forecast) => execution.take(forecast, &self.mask),
            None => execution.free |= matches!(fate, Fate::NoChange | Fate::WouldChange),
        }
        if !matches!(fate, Fate::NoChange | Fate::Skipped) || !item.unknown.is_empty() {
            let mut outcome = ItemOutcome {
                label: item.label.clone(),
                fate,
                message: item.message.clone().filter(|_| tells(fate)),
                deltas: item.deltas.clone(),
                unknown: item.unknown.clone(),
            };
            self.mask.deltas(&mut outcome.deltas);
            self.mask.text(&mut outcome.label);
            outcome.message.iter_mut().for_each(|it| self.mask.text(it));
            items.outcomes.push(outcome);
        }
    }

    fn result(&mut self, task: TaskId, host: &str, result: &TaskResult) {
        let Some(open) = self.open.get_mut(&task) else {
            return;
        };
        let items = open.items.remove(host).unwrap_or_default();
        let fate = Fate::from(result.status);
        let place = open.info.location.as_ref().map(ToString::to_string);
        let place = place.unwrap_or_default();
        let mut execution = items.execution;
        if !items.any {
            match &result.forecast {
                Some(forecast) => execution.take(forecast, &self.mask),
                None => execution.free = matches!(fate, Fate::NoChange | Fate::WouldChange),
            }
        }
        let count = self
            .counts
            .entry((host.to_owned(), place.clone()))
            .or_default();
        execution.nth = *count;
        *count += 1;
        execution.place.clone_from(&place);
        execution.name.clone_from(&open.info.name);
        execution.fate = fate;
        execution.undecided |=
            fate == Fate::Unknown || result.incomplete || !result.unknown.is_empty();
        execution.free |= execution.undecided;
        execution.censored = result.censored;
        execution.delegated_to.clone_from(&result.delegated_to);
        self.executions
            .entry(host.to_owned())
            .or_default()
            .push(execution);
        let mut outcome = outcome(fate, result, items.outcomes);
        self.mask.deltas(&mut outcome.deltas);
        let texts = outcome.message.iter_mut().chain(&mut outcome.hint);
        texts.for_each(|it| self.mask.text(it));
        let totals = self.totals.entry(host.to_owned()).or_default();
        totals.totals.count(&outcome);
        open.outcomes
            .entry(outcome)
            .or_default()
            .insert(host.to_owned());
        self.hosts.insert(host.to_owned());
        self.last.insert(host.to_owned(), open.info.name.clone());
        let name = open.info.name.clone();
        for warning in &result.warnings {
            self.warn(format!("{name}: {warning}"));
        }
    }

    fn end(&mut self, task: TaskId) {
        let Some(open) = self.open.remove(&task) else {
            return;
        };
        let mut groups: Vec<TaskGroup> = open
            .outcomes
            .into_iter()
            .map(|(outcome, hosts)| TaskGroup {
                hosts: hosts.into_iter().collect(),
                outcome,
            })
            .collect();
        groups.sort_by(|a, b| {
            let key = |it: &TaskGroup| (it.outcome.fate, it.hosts.len());
            key(b).cmp(&key(a)).then_with(|| a.hosts.cmp(&b.hosts))
        });
        let mut name = open.info.name;
        self.mask.text(&mut name);
        self.preview.tasks.push(TaskPreview {
            number: open.info.id.0,
            play: open.play,
            name,
            module: open.info.module,
            handler: open.info.kind == TaskKind::Handler,
            place: open
                .info
                .location
                .map(|it| it.to_string())
                .unwrap_or_default(),
            groups,
        });
    }

    fn notified(&mut self, host: &str, handler: &str, certain: bool) {
        let handlers = &mut self.preview.handlers;
        let index = handlers.iter().position(|it| it.name == handler);
        let index = index.unwrap_or_else(|| {
            handlers.push(HandlerPreview {
                name: handler.to_owned(),
                ..HandlerPreview::default()
            });
            handlers.len() - 1
        });
        let found = &mut handlers[index];
        let host = host.to_owned();
        if certain {
            found.may_run.retain(|it| *it != host);
        }
        let list = if certain {
            &mut found.would_run
        } else {
            &mut found.may_run
        };
        if !list.contains(&host) {
            list.push(host.clone());
        }
        if let Some(by) = self.last.get(&host)
            && !found.notified_by.contains(by)
        {
            found.notified_by.push(by.clone());
        }
    }

    /// Everything; call it when the run is over.
    pub fn finish(mut self) -> (Preview, Executions) {
        let open: Vec<TaskId> = self.open.keys().copied().collect();
        for task in open {
            self.end(task);
        }
        let mut preview = self.preview;
        preview.format = Preview::FORMAT;
        preview.made.interrupted |= !self.finished;
        preview.tasks.sort_by_key(|it| it.number);
        for handler in &mut preview.handlers {
            handler.would_run.sort();
            handler.may_run.sort();
        }
        preview.hosts = self.hosts.into_iter().collect();
        preview.totals = self
            .totals
            .into_iter()
            .map(|(host, totals)| HostTotals { host, ..totals })
            .collect();
        preview.warnings = self.warnings.into_iter().collect();
        preview.restarts = restarts(&preview.tasks);
        preview.unknown = unknown(&preview.tasks);
        preview.groups = fold_hosts(&preview).document();
        (preview, self.executions)
    }
}

/// Is a message about such an outcome worth keeping?
fn tells(fate: Fate) -> bool {
    !matches!(fate, Fate::NoChange | Fate::WouldChange)
}

fn outcome(fate: Fate, result: &TaskResult, items: Vec<ItemOutcome>) -> Outcome {
    Outcome {
        fate,
        ignored: result.ignored,
        rescued: result.rescued,
        censored: result.censored,
        incomplete: result.incomplete,
        message: result.message.clone().filter(|_| tells(fate)),
        hint: result.hint.clone().filter(|_| tells(fate)),
        deltas: result.deltas.clone(),
        items,
        unknown: result.unknown.clone(),
        delegated_to: result.delegated_to.clone(),
    }
}

/// Services by what differences of units and services say.
fn restarts(tasks: &[TaskPreview]) -> Vec<RestartPreview> {
    let mut found: Vec<RestartPreview> = Vec::new();
    for group in tasks.iter().flat_map(|task| &task.groups) {
        if !matches!(group.outcome.fate, Fate::WouldChange | Fate::Unknown) {
            continue;
        }
        for (unit, what) in group.outcome.all_deltas().filter_map(restart) {
            let known = found
                .iter()
                .position(|it| it.unit == unit && it.what == what);
            let at = known.unwrap_or_else(|| {
                found.push(RestartPreview {
                    unit,
                    what,
                    hosts: Vec::new(),
                });
                found.len() - 1
            });
            let hosts = &mut found[at].hosts;
            hosts.extend(group.hosts.iter().cloned());
        }
    }
    for restart in &mut found {
        restart.hosts.sort();
        restart.hosts.dedup();
    }
    found
}

/// A difference that starts, stops, restarts or reloads a unit.
fn restart(delta: &Delta) -> Option<(String, String)> {
    let (kind, name) = delta.subject.split_once(' ')?;
    if !matches!(kind, "unit" | "service") {
        return None;
    }
    let what = match &delta.change {
        Change::Action(what) => what.clone(),
        Change::Field {
            name,
            before,
            after,
        } if matches!(name.as_str(), "state" | "active") => {
            format!("{name} {} -> {}", before.to_text(), after.to_text())
        }
        _ => return None,
    };
    Some((name.to_owned(), what))
}

fn unknown(tasks: &[TaskPreview]) -> Vec<UnknownPreview> {
    let mut found: Vec<UnknownPreview> = Vec::new();
    for task in tasks {
        let first = found.len();
        for group in &task.groups {
            let outcome = &group.outcome;
            let mut until = outcome.unknown.clone();
            until.extend(
                outcome
                    .items
                    .iter()
                    .flat_map(|it| it.unknown.iter().cloned()),
            );
            until.sort();
            until.dedup();
            if until.is_empty() && outcome.fate != Fate::Unknown && !outcome.incomplete {
                continue;
            }
            match found[first..].iter_mut().find(|it| it.until == until) {
                Some(same) => same.hosts.extend(group.hosts.iter().cloned()),
                None => found.push(UnknownPreview {
                    task: task.number,
                    name: task.name.clone(),
                    until,
                    hosts: group.hosts.clone(),
                }),
            }
        }
        found[first..].iter_mut().for_each(|it| it.hosts.sort());
    }
    found
}
