//! A message with work that is written down: its intent before it is sent, its answer before anything else is.
//!
//! ```text
//! remember   what an interrupted run sent as this message, and what came of it; the host is asked where that is open
//! send       for the items that have no outcome yet: intent → durable → message → answer
//!   resolve  the connection is gone: connect again, ask the host by the message's key
//! ```
//!
//! An item is never done twice unless it is not known what came of it; and then only by a module that looks before it
//! acts, or if the user asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_change::Outcome;
use hostler_diag::Diagnostic;
use hostler_journal::{Attempt, Intent, Note};
use hostler_protocol::{CANCELLED, Unresolved};
use hostler_transport::{Lane, Reason, TaskRequest, Unreachable};

use super::patience::{Exhausted, Patience};
use super::remote::{Collected, Lapse};
use super::{HostTask, TaskKeywords};
use crate::actions::{is_harmless, is_repeatable};
use crate::failure::{Failure, Left};
use crate::fleet::{HostLink, HostSession};
use crate::interrupts::Level;
use crate::print;
use crate::recording::Recording;

/// How often one message is sent anew before something is thought to be wrong with the host.
const SENT_MAX: u32 = 4;
/// What is said of work that was done again since nobody knew what had come of it.
const DONE_AGAIN: &str = "the connection was lost while this was done, and the host does not know what came of it: \
    it was done again, and counts as changed in case it changed something the first time";

/// The module that runs without an agent.
const RAW: &str = "raw";
const NOBODY_KNOWS: &str = "a raw command runs without an agent that could tell what came of it";

/// One message on its way.
struct Exchange<'a> {
    task: &'a HostTask<'a>,
    keywords: &'a TaskKeywords,
    recording: &'a Recording,
    request: TaskRequest,
    step: u32,
    attempt: u32,
    done: BTreeMap<u32, Outcome>,
    /// Items that may have been done before they are done now.
    doubtful: BTreeSet<u32>,
}

impl HostTask<'_> {
    /// Is what the task sends written down?
    pub(super) fn is_written_down(&self) -> bool {
        self.trail.is_some() && self.run.recording.is_some() && !self.run.settings.check
    }

    /// Sends a request, or takes what is known of it from the run's memory.
    pub(super) async fn exchange(
        &self,
        keywords: &TaskKeywords,
        request: TaskRequest,
    ) -> Result<BTreeMap<u32, Outcome>, Failure> {
        let (Some(trail), Some(recording)) = (self.trail, &self.run.recording) else {
            return Err(Failure::new("the run is not written down"));
        };
        for before in trail.open() {
            self.settle(keywords, before).await?;
        }
        let (step, attempts) = trail.next();
        let mut exchange = Exchange {
            task: self,
            keywords,
            recording,
            request,
            step,
            attempt: 0,
            done: BTreeMap::new(),
            doubtful: BTreeSet::new(),
        };
        exchange.remember(attempts).await?;
        exchange.send().await
    }

    /// As [`HostTask::exchange`], for a command line without an agent, of which the host can tell nothing later.
    pub(super) async fn exchange_raw(
        &self,
        keywords: &TaskKeywords,
        line: &str,
        input: &[u8],
    ) -> Result<Outcome, Failure> {
        let (Some(trail), Some(recording)) = (self.trail, &self.run.recording) else {
            return Err(Failure::new("the run is not written down"));
        };
        let (step, attempts) = trail.next();
        let attempt = attempts.last().map_or(0, |it| it.intent.attempt + 1);
        match attempts.into_iter().next_back() {
            Some(Attempt {
                answer: Some((mut outcomes, _)),
                ..
            }) if outcomes.contains_key(&0) => {
                return Ok(outcomes.remove(&0).unwrap_or_default());
            }
            Some(_) if !recording.rerun_unknown => {
                return Err(Failure::NoAnswer(format!(
                    "sent, but not answered: {NOBODY_KNOWS}"
                )));
            }
            _ => {}
        }
        let key = print::key(&recording.run.0, trail.task, self.host, step, attempt);
        self.run.note(Note::Intent(Intent {
            task: trail.task,
            host: self.host.to_owned(),
            step,
            attempt,
            key,
            place: self.place(keywords).to_owned(),
            boot_id: String::new(),
            module: RAW.to_owned(),
            request: print::of_request(line, &[]),
            items: vec![0],
            repeatable: false,
        }));
        self.run.written().await?;
        match self.run_raw(keywords, line, input).await {
            Ok(outcome) => {
                self.run.note(Note::Answer {
                    key,
                    outcomes: BTreeMap::from([(0, outcome.clone())]),
                    unknown: false,
                });
                Ok(outcome)
            }
            Err(Failure::Unreachable(lost)) if lost.reason == Reason::Lost => {
                Err(Failure::NoAnswer(format!(
                    "sent, but not answered: {NOBODY_KNOWS}: {}",
                    lost.detail
                )))
            }
            Err(failure) => Err(failure),
        }
    }

    /// A message of an earlier attempt may still be worked on: waits for its end, whatever it is.
    async fn settle(&self, keywords: &TaskKeywords, attempt: &Attempt) -> Result<(), Failure> {
        let resolver = Resolver {
            task: self,
            keywords,
        };
        resolver.resolve(&attempt.intent).await.map(drop)
    }

    /// Where the work is done.
    fn place<'a>(&'a self, keywords: &'a TaskKeywords) -> &'a str {
        keywords.delegate_to.as_deref().unwrap_or(self.host)
    }
}

impl Exchange<'_> {
    async fn remember(&mut self, attempts: Vec<Attempt>) -> Result<(), Failure> {
        if attempts.is_empty() {
            return Ok(());
        }
        let now = print::of_request(&self.request.module, &self.request.items);
        for attempt in attempts {
            let Attempt { intent, answer } = attempt;
            let all: BTreeSet<u32> = self.request.items.iter().map(|item| item.index).collect();
            let same_items = intent.items.iter().all(|item| all.contains(item));
            if intent.request != now && !(same_items && all.len() == 1) {
                let msg = "cannot go on in the middle of this task: its items are not those of the interrupted run";
                return Err(Failure::new(msg).hint("lists that are made of the time or of random values differ each time; run the playbook anew"));
            }
            self.attempt = intent.attempt + 1;
            let (outcomes, unknown) = match answer {
                Some(answer) => answer,
                None => self.resolver().resolve(&intent).await?,
            };
            self.take(&intent.items, outcomes, unknown)?;
        }
        Ok(())
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver {
            task: self.task,
            keywords: self.keywords,
        }
    }

    /// Keeps an answer. `unknown`: nobody knows what came of its first item without an outcome.
    fn take(
        &mut self,
        items: &[u32],
        outcomes: BTreeMap<u32, Outcome>,
        unknown: bool,
    ) -> Result<(), Failure> {
        self.done.extend(outcomes);
        let open = items.iter().find(|item| !self.done.contains_key(item));
        let Some(open) = open.filter(|_| unknown) else {
            return Ok(());
        };
        if !is_repeatable(&self.request.module) && !self.recording.rerun_unknown {
            let msg = "sent, but not answered: the host does not know what came of it (its agent died or the host rebooted)";
            return Err(Failure::NoAnswer(msg.to_owned()));
        }
        self.doubtful.insert(*open);
        Ok(())
    }

    /// Sends the items without an outcome until all have one, or one failed after which none is wanted.
    async fn send(mut self) -> Result<BTreeMap<u32, Outcome>, Failure> {
        let all = std::mem::take(&mut self.request.items);
        let last_attempt = self.attempt + SENT_MAX;
        loop {
            let rest = all
                .iter()
                .filter(|item| !self.done.contains_key(&item.index));
            let rest: Vec<_> = rest.cloned().collect();
            let failed = self.done.values().any(|it| it.failed.is_some());
            if rest.is_empty() || (failed && self.request.stop_on_failure) {
                return Ok(self.end());
            }
            if self.attempt >= last_attempt {
                let msg = format!("the host began none of this in {SENT_MAX} attempts");
                return Err(Failure::new(msg));
            }
            let (items, (outcomes, unknown)) = self.send_once(rest).await?;
            self.take(&items, outcomes, unknown)?;
        }
    }

    fn end(mut self) -> BTreeMap<u32, Outcome> {
        for item in &self.doubtful {
            let outcome = self.done.get_mut(item);
            if let Some(outcome) = outcome.filter(|it| it.failed.is_none() && !it.skipped) {
                outcome.changed = true;
                outcome.warnings.push(DONE_AGAIN.to_owned());
            }
        }
        self.done
    }

    async fn send_once(
        &mut self,
        items: Vec<hostler_protocol::Item>,
    ) -> Result<(Vec<u32>, (BTreeMap<u32, Outcome>, bool)), Failure> {
        let run = self.task.run;
        let keyed = !self.request.check && !is_harmless(&self.request.module);
        let (session, lane) = self.ready(keyed).await?;
        let trail = self.task.trail.map_or(self.task.id, |it| it.task);
        let host = self.task.host;
        let key = print::key(&self.recording.run.0, trail, host, self.step, self.attempt);
        let indexes: Vec<u32> = items.iter().map(|item| item.index).collect();
        let intent = Intent {
            task: trail,
            host: host.to_owned(),
            step: self.step,
            attempt: self.attempt,
            key,
            place: self.task.place(self.keywords).to_owned(),
            boot_id: session.session.hello().boot_id.clone(),
            module: self.request.module.clone(),
            request: print::of_request(&self.request.module, &items),
            items: indexes.clone(),
            repeatable: is_repeatable(&self.request.module),
        };
        self.attempt += 1;
        let answered = session.take_answered(lane);
        run.note(Note::Intent(intent.clone()));
        run.written().await?;
        // With the intent, all answers before it are on the disk: the host need not keep them any longer.
        session.forget(lane, answered).await;
        let mut request = self.request.clone();
        request.items = items;
        request.key = keyed.then_some(key);
        request.keep_replaced = keyed;
        // The history shows what changed, whoever asked to see it at once.
        request.diff = true;
        let deadline = self.task.deadline(self.keywords);
        let Collected { outcomes, lapse } = match session.session.run(lane, request).await {
            Ok(running) => self.task.collect(running, deadline).await,
            Err(error) => Collected::nothing(error.into()),
        };
        let answer = match lapse {
            None => {
                run.note(Note::Answer {
                    key,
                    outcomes: outcomes.clone(),
                    unknown: false,
                });
                session.answered(lane, key);
                (outcomes, false)
            }
            Some(Lapse::LaneGone { .. }) => {
                session.forget_lane(lane).await;
                self.resolver().resolve(&intent).await?
            }
            // A host that breaks the protocol is not asked what it did: it would not be believed.
            Some(Lapse::Lost(lost)) if lost.reason == Reason::AgentProtocol => {
                let detail = lost.detail;
                let msg = format!("sent, but not answered: {detail}");
                return Err(Failure::NoAnswer(msg));
            }
            Some(Lapse::Lost(_)) => self.resolver().resolve(&intent).await?,
            Some(Lapse::Stopped { failure, ended }) => {
                if ended {
                    run.note(Note::Answer {
                        key,
                        outcomes: without_cancelled(outcomes),
                        unknown: false,
                    });
                    session.answered(lane, key);
                }
                return Err(failure);
            }
            Some(other) => return Err(other.into()),
        };
        Ok((indexes, answer))
    }

    /// The agent that does it, with its user's lock on the host if it may change something. A host that was there before
    /// is tried again for a while.
    async fn ready(&self, locked: bool) -> Result<(Arc<HostSession>, Lane), Failure> {
        let link = self.task.run.fleet.link(&self.keywords.route);
        let mut patience = Patience::new();
        loop {
            let lost = match self.try_ready(&link, locked).await {
                Err(Failure::Unreachable(lost)) if link.was_connected() => lost,
                other => return other,
            };
            match patience.wait(self.task, &lost).await {
                Ok(()) => {}
                Err(Exhausted::Over) => return Err(Failure::Unreachable(lost)),
                Err(Exhausted::Ended(failure)) => return Err(failure),
            }
        }
    }

    async fn try_ready(
        &self,
        link: &HostLink,
        locked: bool,
    ) -> Result<(Arc<HostSession>, Lane), Failure> {
        let session = self.task.connected(link).await?;
        let lane = session.lane(self.keywords.r#become.as_ref()).await?;
        if locked {
            self.lease(&session, lane).await?;
        }
        Ok((session, lane))
    }

    /// Nobody else may work on the host as this user. Waits as long as the user wants.
    async fn lease(&self, session: &HostSession, lane: Lane) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            let recording = self.recording;
            let held = session.lease(lane, recording).await?;
            let Some(held) = held else { return Ok(()) };
            if began.elapsed() >= recording.wait {
                let msg = format!(
                    "locked by {} (run {}, for {} s, lock {})",
                    held.who,
                    held.run,
                    seconds_since(held.since_us),
                    held.id
                );
                let hint = format!(
                    "wait for that run (`--wait`), or break its lock with `--break-lock {}`",
                    held.id
                );
                return Err(Failure::new(msg).hint(hint));
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = self.task.run.interrupts.reached(Level::Drain) => {
                    return Err(Failure::Left(Left::Stopped));
                }
            }
        }
    }
}

/// Asks a host what came of a message.
struct Resolver<'a> {
    task: &'a HostTask<'a>,
    keywords: &'a TaskKeywords,
}

impl Resolver<'_> {
    /// Outcomes by item, and whether that of the first item without one is unknown for good. Connects again and again
    /// for as long as the run's limits say.
    async fn resolve(&self, intent: &Intent) -> Result<(BTreeMap<u32, Outcome>, bool), Failure> {
        let mut patience = Patience::new();
        loop {
            let lost = match self.ask(intent).await {
                Asked::Knows(outcomes, unknown) => {
                    let outcomes = without_cancelled(outcomes);
                    self.task.run.note(Note::Answer {
                        key: intent.key,
                        outcomes: outcomes.clone(),
                        unknown,
                    });
                    return Ok((outcomes, unknown));
                }
                Asked::Failed(failure) => return Err(failure),
                Asked::Lost(lost) => lost,
            };
            let link = self.task.run.fleet.link(&self.keywords.route);
            let again = if link.was_connected() {
                patience.wait(self.task, &lost).await
            } else {
                Err(Exhausted::Over)
            };
            match again {
                Ok(()) => {}
                Err(Exhausted::Over) => {
                    return Err(Failure::NoAnswer(format!(
                        "sent, but not answered, and the host cannot be asked: {}",
                        lost.detail
                    )));
                }
                Err(Exhausted::Ended(left @ Failure::Left(_))) => return Err(left),
                Err(Exhausted::Ended(failure)) => {
                    let why = failure.into_message();
                    return Err(Failure::NoAnswer(format!("sent, but not answered: {why}")));
                }
            }
        }
    }

    async fn ask(&self, intent: &Intent) -> Asked {
        if intent.module == RAW {
            // It ran without an agent that could tell.
            return Asked::Knows(BTreeMap::new(), true);
        }
        // What only looks has nothing to tell: it looks again.
        if is_harmless(&intent.module) {
            return Asked::Knows(BTreeMap::new(), false);
        }
        let link = self.task.run.fleet.link(&self.keywords.route);
        let lost = |failure| match failure {
            Failure::Unreachable(lost) => Asked::Lost(lost),
            failure => Asked::Failed(failure),
        };
        let session = match self.task.connected(&link).await {
            Ok(session) => session,
            Err(failure) => return lost(failure),
        };
        let lane = match session.lane(self.keywords.r#become.as_ref()).await {
            Ok(lane) => lane,
            Err(failure) => return lost(failure),
        };
        let items = intent.items.iter().copied();
        let Collected { outcomes, lapse } =
            match session.session.resolve(lane, intent.key, items).await {
                Ok(running) => {
                    let deadline = self.task.deadline(self.keywords);
                    self.task.collect(running, deadline).await
                }
                Err(error) => Collected::nothing(error.into()),
            };
        let rebooted =
            !intent.boot_id.is_empty() && intent.boot_id != session.session.hello().boot_id;
        match lapse {
            None => {
                session.answered(lane, intent.key);
                Asked::Knows(outcomes, false)
            }
            Some(Lapse::Unresolved(Unresolved::AgentDied)) => {
                session.answered(lane, intent.key);
                Asked::Knows(outcomes, true)
            }
            Some(Lapse::Unresolved(Unresolved::NeverBegan)) => {
                if rebooted {
                    let words = format!(
                        "{} was rebooted after a task was sent to it: it cannot tell what came of that",
                        self.task.host
                    );
                    let warning = Diagnostic::warning("rebooted-in-task", words);
                    self.task.run.warn(warning, Some(self.task.host));
                }
                Asked::Knows(outcomes, rebooted || !session.keeps_results(lane))
            }
            Some(Lapse::LaneGone { reason }) => {
                session.forget_lane(lane).await;
                Asked::Lost(Unreachable::new(Reason::Lost, reason))
            }
            Some(Lapse::Lost(lost)) => Asked::Lost(lost),
            Some(Lapse::Stopped { failure, .. } | Lapse::Failed(failure)) => Asked::Failed(failure),
        }
    }
}

enum Asked {
    Knows(BTreeMap<u32, Outcome>, bool),
    Lost(Unreachable),
    Failed(Failure),
}

/// Cancelled items have no outcome: they are for the next attempt.
fn without_cancelled(mut outcomes: BTreeMap<u32, Outcome>) -> BTreeMap<u32, Outcome> {
    let cancelled = |outcome: &Outcome| {
        let failure = outcome.failed.as_ref();
        failure.is_some_and(|it| it.msg == CANCELLED)
    };
    outcomes.retain(|_, outcome| !cancelled(outcome));
    outcomes
}

/// Seconds since a moment in microseconds since the epoch; none if it is to come.
fn seconds_since(moment_us: i64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let moment = Duration::from_micros(u64::try_from(moment_us).unwrap_or(0));
    now.unwrap_or_default().saturating_sub(moment).as_secs()
}
