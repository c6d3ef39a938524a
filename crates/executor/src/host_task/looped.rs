//! A task with a loop.
//!
//! Items that do not depend on each other's results go to the agent in one message, as many as follow each other with
//! the same place and mode; nobody can tell the difference, but a thousand items cost one round trip.

use std::sync::Arc;
use std::time::Duration;

use hostler_events::{RunEvent, Status};
use hostler_playbook::{Loop, LoopKind};
use hostler_template::Scope;
use hostler_value::{Map, Unknown, Value};

use super::written::mentions;
use super::{HostTask, Prepared, RemoteWork, TaskKeywords, When, with_locals};
use crate::failure::Failure;
use crate::interrupts::Level;
use crate::result::Single;

/// Most items in one message, and so the most that are done before a Ctrl-C is seen.
const BATCH_MAX: usize = 1000;

/// One item on its way.
struct Turn {
    index: usize,
    item: Value,
    label: String,
    scope: Arc<dyn Scope>,
}

/// Items that travel together.
struct Batch {
    keywords: TaskKeywords,
    turns: Vec<Turn>,
    works: Vec<RemoteWork>,
}

impl Batch {
    fn new(keywords: TaskKeywords) -> Self {
        Batch {
            keywords,
            turns: Vec::new(),
            works: Vec::new(),
        }
    }

    /// Can one more travel with it?
    fn takes(&self, keywords: &TaskKeywords, work: &RemoteWork) -> bool {
        self.turns.len() < BATCH_MAX
            && self.keywords.same_place(keywords)
            && self.works[0].module == work.module
    }
}

impl HostTask<'_> {
    /// All items, then one result of them all.
    pub(crate) async fn run_loop(
        &self,
        l: &Loop,
        scope: &Arc<dyn Scope>,
    ) -> (Single, u32, Option<TaskKeywords>) {
        let items = match self.loop_items(l, scope) {
            Ok(items) => items,
            // The condition may say that the list need not even exist.
            Err(failure) => match self.when(scope) {
                Ok(When::Unmet(condition)) => {
                    return (
                        Single::skipped("Conditional result was False", Some(&condition)),
                        0,
                        None,
                    );
                }
                _ => return (self.failed(failure), 0, None),
            },
        };
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        if items.is_empty() {
            return (Single::skipped("No items in the list", None), 0, None);
        }
        let mut results: Vec<Option<Single>> = Vec::with_capacity(items.len());
        results.resize_with(items.len(), || None);
        let mut last_keywords = None;
        let outcome = self
            .all_items(l, &items, scope, &mut results, &mut last_keywords)
            .await;
        if let Err(failure) = outcome {
            return (self.failed(failure), count, last_keywords);
        }
        let done = results.into_iter().flatten().collect();
        (merge(done), count, last_keywords)
    }

    fn loop_items(&self, l: &Loop, scope: &Arc<dyn Scope>) -> Result<Vec<Value>, Failure> {
        let value = self
            .open_value(&l.items, scope)
            .map_err(|failure| failure.at(l.items.span))?;
        match (l.kind, value) {
            (_, Value::Unknown(unknown)) => Err(Failure::Unknown(unknown)),
            (LoopKind::List, Value::List(items)) => Ok(items.to_vec()),
            (LoopKind::List, other) => Err(Failure::new(format!(
                "Invalid data passed to 'loop', it requires a list, got this instead: {}",
                other.to_text().chars().take(200).collect::<String>()
            ))
            .hint("wrap a single value in a list; turn a dictionary into one with `| dict2items`")
            .at(l.items.span)),
            (LoopKind::Items, Value::List(items)) => {
                let each = items.iter().map(|item| match item {
                    Value::List(inner) => Ok(inner.to_vec()),
                    // It may be a list.
                    Value::Unknown(unknown) => Err(Failure::Unknown(unknown.clone())),
                    other => Ok(vec![other.clone()]),
                });
                Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
            }
            (LoopKind::Items, scalar) => Ok(vec![scalar]),
            (LoopKind::Dict, Value::Map(map)) => Ok(map
                .iter()
                .map(|(key, value)| {
                    Value::from(
                        [("key", key.clone()), ("value", value.clone())]
                            .into_iter()
                            .collect::<Map>(),
                    )
                })
                .collect()),
            (LoopKind::Dict, other) => Err(Failure::new(format!(
                "with_dict expects a dict, got {}",
                other.type_name()
            ))
            .at(l.items.span)),
        }
    }

    async fn all_items(
        &self,
        l: &Loop,
        items: &[Value],
        scope: &Arc<dyn Scope>,
        results: &mut [Option<Single>],
        last_keywords: &mut Option<TaskKeywords>,
    ) -> Result<(), Failure> {
        let alone = self.one_by_one(l);
        let pause = self.pause(l, scope)?;
        let mut batch: Option<Batch> = None;
        for index in 0..items.len() {
            if index > 0 && !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.run.interrupts.reached(Level::Drain) => {}
                }
            }
            if self.run.interrupts.level() >= Level::Cancel {
                return Err(Failure::cancelled());
            }
            let turn = self.turn(l, items, index, scope)?;
            let variable = l.control.item_name();
            let known = self
                .trail
                .and_then(|it| it.result_of(index, &turn.item, variable));
            if let Some(value) = known {
                results[index] = Some(Single::remembered(value));
                continue;
            }
            let perhaps = !alone && matches!(self.when(&turn.scope), Ok(When::Unknown(_)));
            if perhaps && let Some(full) = batch.take() {
                self.send(l, full, results).await?;
            }
            if alone || perhaps {
                let (single, keywords) = self.run_single(&turn.scope).await;
                *last_keywords = keywords.or(last_keywords.take());
                if let Some(failure) = self.without_result(&single) {
                    return Err(failure);
                }
                let stop = self.breaks(l, &single, &turn)?;
                self.end_turn(l, turn, single, results);
                if stop {
                    break;
                }
                continue;
            }
            match self.prepare_turn(&turn) {
                Ok((keywords, work)) if !work.before.is_empty() => {
                    if let Some(full) = batch.take() {
                        self.send(l, full, results).await?;
                    }
                    let done = self.carry_out(Prepared::Agent(work), &keywords).await;
                    let single = done.unwrap_or_else(|failure| self.failed(failure));
                    if let Some(failure) = self.without_result(&single) {
                        return Err(failure);
                    }
                    *last_keywords = Some(keywords);
                    let judged = self.judge(single, &turn.scope);
                    self.end_turn(l, turn, judged, results);
                }
                Ok((keywords, work)) => {
                    let fits = batch.as_ref().is_some_and(|it| it.takes(&keywords, &work));
                    if !fits && let Some(full) = batch.take() {
                        self.send(l, full, results).await?;
                    }
                    *last_keywords = Some(keywords.clone());
                    let open = batch.get_or_insert_with(|| Batch::new(keywords));
                    open.turns.push(turn);
                    open.works.push(work);
                }
                Err(single) => {
                    let judged = self.judge(*single, &turn.scope);
                    self.end_turn(l, turn, judged, results);
                }
            }
        }
        if let Some(rest) = batch {
            self.send(l, rest, results).await?;
        }
        Ok(())
    }

    /// An item was not done, or nobody knows what came of it: the task goes no further on this host.
    fn without_result(&self, single: &Single) -> Option<Failure> {
        if let Some(left) = single.left {
            return Some(Failure::Left(left));
        }
        let unknown = single.status == Status::Unknown && !self.run.settings.check;
        unknown.then(|| Failure::NoAnswer(single.message.clone().unwrap_or_default()))
    }

    /// Must an item's result be known before the next item is looked at?
    fn one_by_one(&self, l: &Loop) -> bool {
        let waits = l.control.pause.is_some() || l.control.break_when.is_some();
        let looks_back = self
            .task
            .register
            .as_deref()
            .is_some_and(|name| mentions(self.task, name));
        let retried = self.task.until.is_some() || self.task.retries.is_some();
        let by_shell = self.task.module == "raw";
        let timed = self
            .task
            .context
            .nearest(|it| it.timeout.as_ref())
            .is_some();
        waits || looks_back || retried || by_shell || timed
    }

    fn pause(&self, l: &Loop, scope: &Arc<dyn Scope>) -> Result<Duration, Failure> {
        let Some(node) = &l.control.pause else {
            return Ok(Duration::ZERO);
        };
        let seconds = self
            .value(node, scope)?
            .to_float()
            .ok()
            .filter(|it| (0.0..1e6).contains(it));
        let seconds = seconds
            .ok_or_else(|| Failure::new("`pause` must be a number of seconds").at(node.span))?;
        Ok(Duration::from_secs_f64(seconds))
    }

    fn breaks(&self, l: &Loop, single: &Single, turn: &Turn) -> Result<bool, Failure> {
        let Some(node) = &l.control.break_when else {
            return Ok(false);
        };
        let locals = self
            .task
            .register
            .clone()
            .map(|name| (name, single.to_value()));
        let scope = with_locals(&turn.scope, locals);
        let parts = node.as_list().unwrap_or(std::slice::from_ref(node));
        for part in parts {
            if !self.holds(part, &scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn turn(
        &self,
        l: &Loop,
        items: &[Value],
        index: usize,
        scope: &Arc<dyn Scope>,
    ) -> Result<Turn, Failure> {
        let item = items[index].clone();
        let mut locals = vec![(l.control.item_name().to_owned(), item.clone())];
        locals.push(("ansible_loop_var".into(), l.control.item_name().into()));
        if let Some(name) = &l.control.index_var {
            locals.push((name.clone(), Value::from(index)));
            locals.push(("ansible_index_var".into(), name.into()));
        }
        if let Some(node) = &l.control.extended
            && self.value(node, scope)?.truthy()
        {
            let all = match &l.control.extended_allitems {
                Some(node) => self.value(node, scope)?.truthy(),
                None => true,
            };
            locals.push(("ansible_loop".into(), extended(items, index, all)));
        }
        let scope = with_locals(scope, locals);
        let label = match &l.control.label {
            Some(node) => self.open_value(node, &scope)?.to_text(),
            None => item.to_text(),
        };
        Ok(Turn {
            index,
            item,
            label,
            scope,
        })
    }

    /// What the agent has to do for an item; or the item's result, if the agent is not needed.
    fn prepare_turn(&self, turn: &Turn) -> Result<(TaskKeywords, RemoteWork), Box<Single>> {
        let fail = |failure: Failure| Box::new(self.failed(failure));
        match self.when(&turn.scope).map_err(fail)? {
            When::Holds => {}
            When::Unmet(condition) => {
                return Err(Box::new(Single::skipped(
                    "Conditional result was False",
                    Some(&condition),
                )));
            }
            When::Unknown(unknown) => return Err(Box::new(Single::unknown(unknown))),
        }
        let mut keywords = self.keywords(&turn.scope).map_err(fail)?;
        keywords.check &= !self.runs_read_only(&keywords);
        match self.prepare(&keywords, &turn.scope).map_err(fail)? {
            Prepared::Agent(work) => Ok((keywords, work)),
            Prepared::Done(single) => Err(single),
            Prepared::Raw { .. } => Err(fail(Failure::new("`raw` is done one item at a time"))),
        }
    }

    /// Sends a batch and ends its turns.
    ///
    /// # Errors
    /// If the task has no result and later items need not be tried.
    async fn send(
        &self,
        l: &Loop,
        batch: Batch,
        results: &mut [Option<Single>],
    ) -> Result<(), Failure> {
        let Batch {
            keywords,
            turns,
            works,
        } = batch;
        let items = works.iter().flat_map(|work| work.items.clone()).collect();
        let mut asked = keywords.clone();
        asked.diff |= works.iter().any(|work| work.holes.is_some());
        let answer = self.on_agent(&asked, &works[0].module, items, false).await;
        let mut answer = match answer {
            Ok(outcomes) => Ok(outcomes),
            Err(failure @ (Failure::NoAnswer(_) | Failure::Left(_))) => return Err(failure),
            Err(failure) => Err(self.failed(failure)),
        };
        let mut next = 0;
        for (turn, work) in turns.into_iter().zip(works) {
            let count = u32::try_from(work.items.len()).unwrap_or(u32::MAX);
            let single = match &mut answer {
                Ok(outcomes) => {
                    let own = (next..next + count).filter_map(|index| outcomes.remove(&index));
                    self.result_of(&work, own.collect(), &keywords)
                }
                Err(failed) => failed.clone(),
            };
            next += count;
            let judged = self.judge(single, &turn.scope);
            self.end_turn(l, turn, judged, results);
        }
        Ok(())
    }

    fn end_turn(&self, l: &Loop, turn: Turn, mut single: Single, results: &mut [Option<Single>]) {
        let no_log = self
            .flag(&turn.scope, |it| it.no_log.as_ref())
            .unwrap_or(true);
        single = self.doubt(single, None);
        single
            .value
            .insert("ansible_loop_var", l.control.item_name());
        single.value.insert(l.control.item_name(), turn.item);
        if let Some(name) = &l.control.index_var {
            single.value.insert("ansible_index_var", name.as_str());
            single.value.insert(name.as_str(), Value::from(turn.index));
        }
        // The next item sees what this one set: lists are built so.
        for (name, value) in single.variables.iter().flat_map(|map| map.iter()) {
            let name = name.to_text();
            self.run.vars.set_fact(self.host, &name, value.clone());
        }
        let mut item = super::item_result(turn.index, turn.label, &single, no_log);
        item.ignored = single.status == Status::Failed
            && self
                .flag(&turn.scope, |it| it.ignore_errors.as_ref())
                .unwrap_or(false);
        self.run.emit(RunEvent::ItemFinished {
            task: self.id,
            host: self.host.to_owned(),
            item,
        });
        results[turn.index] = Some(single);
    }
}

/// `ansible_loop`.
fn extended(items: &[Value], index: usize, all: bool) -> Value {
    let length = items.len();
    let mut map = Map::new();
    if all {
        map.insert("allitems", Value::list(items.iter().cloned()));
    }
    map.insert("index", Value::from(index + 1));
    map.insert("index0", Value::from(index));
    map.insert("first", index == 0);
    map.insert("last", index + 1 == length);
    map.insert("length", Value::from(length));
    map.insert("revindex", Value::from(length - index));
    map.insert("revindex0", Value::from(length - index - 1));
    if let Some(before) = index.checked_sub(1) {
        map.insert("previtem", items[before].clone());
    }
    if let Some(after) = items.get(index + 1) {
        map.insert("nextitem", after.clone());
    }
    Value::from(map)
}

/// One result of all items, shaped as ansible-core shapes it.
fn merge(done: Vec<Single>) -> Single {
    let mut merged = Single::ok(Map::new());
    let changed = done.iter().any(Single::reports_change);
    let failed = done
        .iter()
        .filter(|single| single.status == Status::Failed)
        .count();
    let skipped = done.iter().all(|single| single.status == Status::Skipped);
    let open: Vec<&Single> = done
        .iter()
        .filter(|single| single.status == Status::Unknown)
        .collect();
    let lost = done
        .iter()
        .find(|single| single.status == Status::Unreachable);
    merged
        .value
        .insert("results", Value::list(done.iter().map(Single::to_value)));
    let reasons = open.iter().filter_map(|single| single.whole.as_deref());
    let unknown = (!open.is_empty()).then(|| Arc::new(Unknown::join(reasons)));
    let unless_unknown = |truth: bool| match &unknown {
        Some(unknown) if !truth => Value::Unknown(unknown.clone()),
        _ => Value::Bool(truth),
    };
    merged.value.insert("changed", unless_unknown(changed));
    merged.value.insert("failed", unless_unknown(failed > 0));
    if skipped {
        merged.value.insert("skipped", true);
    }
    let words = match (skipped, failed) {
        (true, _) => "All items skipped",
        (false, 0) => "All items completed",
        (false, _) => "One or more items failed",
    };
    merged.value.insert("msg", words);
    merged.message = (failed > 0 || skipped).then(|| words.to_owned());
    merged.status = match (lost.is_some(), failed > 0, skipped, changed) {
        (true, _, _, _) => Status::Unreachable,
        (_, true, _, _) => Status::Failed,
        (_, _, true, _) => Status::Skipped,
        (_, _, _, true) => Status::Changed,
        _ if unknown.is_some() => Status::Unknown,
        _ => Status::Ok,
    };
    if let (Status::Unknown, Some(unknown)) = (merged.status, &unknown) {
        merged.message = Some(unknown.words());
        merged.idle = open.iter().all(|single| single.idle);
    }
    if let Some(single) = lost {
        merged.value.insert("unreachable", true);
        merged.unreachable.clone_from(&single.unreachable);
        merged.message.clone_from(&single.message);
    }
    for single in done {
        merged.incomplete |= single.incomplete;
        merged.would_run |= single.would_run;
        merged.of_state |= single.of_state;
        merged.unknown.extend(single.unknown);
        merged.warnings.extend(single.warnings);
        if let Some(facts) = single.facts {
            merged.facts.get_or_insert_default().extend(&facts);
        }
        if let Some(variables) = single.variables {
            merged.variables.get_or_insert_default().extend(&variables);
        }
    }
    merged.unknown.sort();
    merged.unknown.dedup();
    merged
}
