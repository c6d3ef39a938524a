//! Work that an agent does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_change::{Content, Edit, Forecast, Outcome, Run};
use hostler_diag::Diagnostic;
use hostler_events::{HostState, RunEvent};
use hostler_protocol::{Item, PreviewTask, Unresolved};
use hostler_transport::{RunningTask, SessionError, TaskMessage, TaskRequest};
use hostler_value::{Cause, Map, Unknown, Value};

use super::{HostTask, TaskKeywords};
use crate::failure::Failure;
use crate::fleet::{HostLink, HostSession, PreviewLog};
use crate::interrupts::Level;
use crate::result::Single;

/// Seconds that a host's clock may differ from ours without a word.
const SKEW_MAX_S: i64 = 5;
/// How long a cancelled task may take to say so before its host is given up.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// A task (or item) that is ready to be done.
pub(crate) enum Prepared {
    /// The controller did it.
    Done(Box<Single>),
    /// An agent does it.
    Agent(RemoteWork),
    /// The login shell does it, without an agent.
    Raw {
        /// The command.
        command: String,
        /// Shell to run it with, if not the login shell.
        executable: Option<String>,
    },
}

/// What an agent has to do for one result.
#[derive(Clone, Debug)]
pub(crate) struct RemoteWork {
    /// Module's short name.
    pub(crate) module: String,
    /// Mostly one; several make one result together (a directory that is copied).
    pub(crate) items: Vec<AgentItem>,
    /// Directories to make first, arguments of `file`.
    pub(crate) before: Vec<AgentItem>,
    /// Return values to add.
    pub(crate) more: Map,
    /// In a preview: why the content that goes with it has holes.
    pub(crate) holes: Option<Arc<Unknown>>,
}

/// Arguments and content for the agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentItem {
    pub(crate) args: Map,
    pub(crate) payload: Option<Content>,
}

impl RemoteWork {
    /// A module with its arguments.
    pub(crate) fn module(module: &str, args: Map) -> Self {
        let items = vec![AgentItem {
            args,
            payload: None,
        }];
        RemoteWork {
            module: module.to_owned(),
            items,
            before: Vec::new(),
            more: Map::new(),
            holes: None,
        }
    }

    /// The outcomes of all its items as one.
    pub(crate) fn merge(&self, outcomes: Vec<Outcome>) -> Outcome {
        let mut outcomes = outcomes.into_iter();
        let mut merged = outcomes
            .next()
            .unwrap_or_else(|| Outcome::failure("the host did not answer"));
        for next in outcomes {
            merged.changed |= next.changed;
            merged.skipped &= next.skipped;
            merged.incomplete |= next.incomplete;
            merged.unforeseen = merged.unforeseen.or(next.unforeseen);
            merged.unknown.extend(next.unknown);
            merged.faults.extend(next.faults);
            if let Some(more) = next.forecast {
                let forecast = merged.forecast.get_or_insert_default();
                forecast.edits.extend(more.edits);
                forecast.basis.extend(more.basis);
            }
            merged.deltas.extend(next.deltas);
            merged.warnings.extend(next.warnings);
            if merged.failed.is_none() && next.failed.is_some() {
                merged.failed = next.failed;
                merged.fields = next.fields;
            }
        }
        for (key, value) in &self.more {
            merged.fields.insert(key.clone(), value.clone());
        }
        merged
    }
}

impl HostTask<'_> {
    /// Sends items to the host's agent and collects what came of each, by index. An item without an answer is missing
    /// (the agent stopped at a failure before it).
    pub(crate) async fn on_agent(
        &self,
        keywords: &TaskKeywords,
        module: &str,
        items: Vec<AgentItem>,
        stop_on_failure: bool,
    ) -> Result<BTreeMap<u32, Outcome>, Failure> {
        let contents = items.iter().filter_map(|it| match it.payload {
            Some(Content::Blob { sha256, .. }) => Some(sha256),
            _ => None,
        });
        let contents: Vec<[u8; 32]> = contents.collect();
        let outcomes = self.asked(keywords, module, items, stop_on_failure).await;
        // In a preview a later task may look into a file that this one would have written.
        if !self.run.settings.check {
            let link = self.run.fleet.link(&keywords.route);
            for sha256 in &contents {
                link.blobs().withdraw(sha256);
            }
        }
        outcomes
    }

    /// Sends and collects.
    async fn asked(
        &self,
        keywords: &TaskKeywords,
        module: &str,
        items: Vec<AgentItem>,
        stop_on_failure: bool,
    ) -> Result<BTreeMap<u32, Outcome>, Failure> {
        let mut request = self.request(keywords, module, items, stop_on_failure);
        let target = keywords.route.target();
        self.run
            .tell_secret(target.and_then(|it| it.password.as_ref()));
        let becomes = keywords.r#become.as_ref();
        self.run
            .tell_secret(becomes.and_then(|it| it.password.as_ref()));
        let place = keywords.delegate_to.as_deref().unwrap_or(self.host);
        if let (Some(turn), Some(place)) = (self.turn, &keywords.delegate_to) {
            tokio::select! {
                () = turn.at(place) => {}
                () = self.run.interrupts.reached(Level::Cancel) => return Err(Failure::cancelled()),
            }
        }
        if self.is_written_down() {
            return self.exchange(keywords, request).await;
        }
        let link = self.run.fleet.link(&keywords.route);
        let session = self.connected(&link).await?;
        let log = request
            .preview
            .as_ref()
            .map(|_| self.run.fleet.preview_log(place));
        let lane = match session.lane(keywords.r#become.as_ref()).await {
            Ok(lane) => lane,
            Err(failure) => return Err(self.nobody_yet(failure, log.as_deref(), keywords)),
        };
        let mut part = None;
        if let (Some(preview), Some(log)) = (&mut request.preview, log) {
            let agent = session.agent(lane);
            preview.earlier = log.unseen(agent.0, link.blobs());
            part = Some((log, agent, preview.keep, request.check));
        }
        let Collected {
            mut outcomes,
            lapse,
        } = match session.session.run(lane, request).await {
            Ok(running) => self.collect(running, self.deadline(keywords)).await,
            Err(error) => Collected::nothing(error.into()),
        };
        if let Some((log, agent, keep, forecast)) = part.filter(|_| lapse.is_none()) {
            for outcome in outcomes.values_mut() {
                if let Some(kept) = outcome.forecast.as_ref().filter(|_| keep) {
                    let (by, contents) = (self.cause(), self.run.fleet.contents());
                    log.keep(agent, &by, &kept.edits, link.blobs(), contents);
                }
                // An empty forecast says that there are no edits; without one, nothing was foreseen.
                let plain = outcome.forecast.take().unwrap_or_default();
                outcome.forecast = forecast.then(|| Box::new(without_unforeseen(*plain)));
            }
        }
        match lapse {
            None => {
                for outcome in outcomes.values_mut() {
                    self.run.foresight.admit(outcome, self.run.settings.check);
                }
                Ok(outcomes)
            }
            Some(lapse) => {
                if let Lapse::LaneGone { .. } = lapse {
                    session.forget_lane(lane).await;
                }
                Err(lapse.into())
            }
        }
    }

    /// What is asked of the agent.
    fn request(
        &self,
        keywords: &TaskKeywords,
        module: &str,
        items: Vec<AgentItem>,
        stop_on_failure: bool,
    ) -> TaskRequest {
        let numbered = items.into_iter().zip(0..).map(|(item, index)| Item {
            index,
            args: Value::from(item.args),
            payload: item.payload,
        });
        TaskRequest {
            module: module.to_owned(),
            items: numbered.collect(),
            check: keywords.check,
            preview: self.run.settings.check.then(|| PreviewTask {
                task: self.id.0,
                keep: self.keep,
                earlier: Vec::new(),
            }),
            allowed: self
                .run
                .bound()
                .and_then(|it| it.allowed(self.id, self.host)),
            diff: keywords.diff,
            environment: keywords.environment.clone(),
            stop_on_failure,
            key: None,
            keep_replaced: false,
            watch: self.run.interrupts.watches_output(),
        }
    }

    /// What this task decides.
    fn cause(&self) -> Cause {
        Cause {
            task: self.id.0,
            ..Cause::default()
        }
    }

    /// A user whom the preview itself would make cannot be entered: what the task would do as that user is not known.
    fn nobody_yet(
        &self,
        failure: Failure,
        log: Option<&PreviewLog>,
        keywords: &TaskKeywords,
    ) -> Failure {
        let user = keywords.r#become.as_ref().map(|it| it.user.as_str());
        let (Some(log), Some(user), Failure::Failed(_)) = (log, user, &failure) else {
            return failure;
        };
        let Some(cause) = log.maker_of(user) else {
            return failure;
        };
        log.keep_unforeseen(self.cause());
        Failure::Unknown(Arc::new(Unknown::until(cause)))
    }

    /// The host's agent, connecting if need be; the user's second Ctrl-C ends the wait.
    pub(super) async fn connected(&self, link: &HostLink) -> Result<Arc<HostSession>, Failure> {
        let tell = |state| {
            let host = self.host.to_owned();
            self.run.emit(RunEvent::HostChanged { host, state });
        };
        let new = !link.is_ready();
        let before_us = now_us();
        if new {
            tell(HostState::Connecting);
        }
        let session = tokio::select! {
            session = self.run.fleet.session(link) => session.map_err(Failure::from),
            () = self.run.interrupts.reached(Level::Cancel) => Err(Failure::cancelled()),
        };
        if new {
            tell(if session.is_ok() {
                HostState::Running
            } else {
                HostState::Lost
            });
        }
        if let (true, Ok(session)) = (new, &session) {
            // Said once: it will not be right on the next connection either.
            let words = skew(before_us, session.session.hello().clock_us, now_us());
            if let Some(words) = words.filter(|_| !link.was_connected()) {
                let warning = Diagnostic::warning("clock", format!("{}: {words}", self.host));
                self.run.warn(warning, Some(self.host));
            }
            if link.has_rebooted(&session.session.hello().boot_id) {
                let words = format!(
                    "{} was rebooted while this run was at work there",
                    self.host
                );
                let warning = Diagnostic::warning("rebooted", words);
                self.run.warn(warning, Some(self.host));
            }
            for warning in session.session.link().warnings() {
                self.run
                    .warn(Diagnostic::warning("connection", warning), Some(self.host));
            }
        }
        session
    }

    /// When the task has to have ended: its own `timeout`, or the run's limit for a message.
    pub(super) fn deadline(&self, keywords: &TaskKeywords) -> Option<Duration> {
        match keywords.timeout_s {
            0 => self.run.settings.limits.task,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    /// Collects answers until the end, the deadline, the user's second Ctrl-C, or until the host is given up; tells what
    /// the task says meanwhile.
    pub(super) async fn collect(
        &self,
        mut running: RunningTask,
        limit: Option<Duration>,
    ) -> Collected {
        let mut outcomes = BTreeMap::new();
        let timed_out = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(timed_out);
        let cancelled = self.run.interrupts.reached(Level::Cancel);
        tokio::pin!(cancelled);
        let dropped = self.run.interrupts.dropping(self.host);
        tokio::pin!(dropped);
        let mut watching = self.run.interrupts.watching();
        let mut watched = *watching.borrow_and_update();
        let reason = loop {
            tokio::select! {
                message = running.next() => match self.take(message, &mut outcomes) {
                    Taken::More => {}
                    Taken::End => return Collected { outcomes, lapse: None },
                    Taken::Lapse(lapse) => return Collected { outcomes, lapse: Some(lapse) },
                },
                Ok(()) = watching.changed() => {
                    let wanted = *watching.borrow_and_update();
                    if wanted != watched {
                        watched = wanted;
                        running.watch(wanted).await;
                    }
                }
                () = &mut timed_out => {
                    let seconds = limit.unwrap_or_default().as_secs();
                    let msg = format!("the task did not end within its timeout of {seconds} seconds");
                    break Failure::new(msg);
                }
                () = &mut cancelled => break Failure::cancelled(),
                reason = &mut dropped => {
                    break Failure::new(format!("the host was given up: {reason}"));
                }
            }
        };
        running.cancel().await;
        let drain = async {
            loop {
                match self.take(running.next().await, &mut outcomes) {
                    Taken::More => {}
                    Taken::End => return true,
                    Taken::Lapse(_) => return false,
                }
            }
        };
        let ended = tokio::time::timeout(CANCEL_GRACE, drain).await;
        let lapse = Some(Lapse::Stopped {
            failure: reason,
            ended: ended.unwrap_or(false),
        });
        Collected { outcomes, lapse }
    }

    fn take(
        &self,
        message: Option<Result<TaskMessage, SessionError>>,
        outcomes: &mut BTreeMap<u32, Outcome>,
    ) -> Taken {
        let (task, host) = (self.id, self.host.to_owned());
        match message {
            Some(Ok(TaskMessage::Done { index, mut outcome })) => {
                outcome.bound_words();
                outcomes.insert(index, *outcome);
                Taken::More
            }
            Some(Ok(TaskMessage::Progress(doing))) => {
                self.run.emit(RunEvent::TaskProgress { task, host, doing });
                Taken::More
            }
            Some(Ok(TaskMessage::Output { is_stderr, bytes })) => {
                // A task that hides its result hides what its programs say, too. A host that says what nobody asked for
                // is not listened to.
                if !self.hides() && self.run.interrupts.watches_output() {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.run.emit(RunEvent::TaskOutput {
                        task,
                        host,
                        is_stderr,
                        text,
                    });
                }
                Taken::More
            }
            Some(Ok(TaskMessage::Unresolved(why))) => Taken::Lapse(Lapse::Unresolved(why)),
            Some(Ok(TaskMessage::End)) | None => Taken::End,
            Some(Err(error)) => Taken::Lapse(error.into()),
        }
    }
}

/// Microseconds since the epoch.
fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// What is wrong with a host's clock, which was read between two moments of ours.
fn skew(before_us: i64, host_us: i64, after_us: i64) -> Option<String> {
    let ahead = host_us.saturating_sub(after_us) / 1_000_000;
    let behind = before_us.saturating_sub(host_us) / 1_000_000;
    match (ahead > SKEW_MAX_S, behind > SKEW_MAX_S) {
        (true, _) => Some(format!("its clock is {ahead} s ahead of the controller's")),
        (_, true) => Some(format!("its clock is {behind} s behind the controller's")),
        _ => None,
    }
}

/// Answers, and why they are not all.
pub(super) struct Collected {
    pub(super) outcomes: BTreeMap<u32, Outcome>,
    pub(super) lapse: Option<Lapse>,
}

impl Collected {
    pub(super) fn nothing(lapse: Lapse) -> Self {
        Collected {
            outcomes: BTreeMap::new(),
            lapse: Some(lapse),
        }
    }
}

/// Why a message was not answered to its end.
pub(super) enum Lapse {
    /// The connection is gone.
    Lost(hostler_transport::Unreachable),
    /// The agent of the become user is gone; the connection stands.
    LaneGone {
        /// What it said.
        reason: String,
    },
    /// The host was asked what came of an earlier message, and does not know.
    Unresolved(Unresolved),
    /// It was cancelled, since it is not waited for any longer.
    Stopped {
        /// Why.
        failure: Failure,
        /// The host says that it has ended.
        ended: bool,
    },
    /// It cannot be sent.
    Failed(Failure),
}

impl From<SessionError> for Lapse {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Lost(unreachable) => Lapse::Lost(unreachable),
            SessionError::LaneClosed { reason, .. } => Lapse::LaneGone { reason },
            SessionError::TooLarge(_) => Lapse::Failed(Failure::new(error.to_string())),
        }
    }
}

impl From<Lapse> for Failure {
    fn from(lapse: Lapse) -> Self {
        match lapse {
            Lapse::Lost(unreachable) => Failure::Unreachable(unreachable),
            Lapse::LaneGone { reason } => Failure::new(format!(
                "the agent of the become user ended while the task ran: {reason}"
            )),
            Lapse::Unresolved(_) => Failure::new("the host does not know what came of the task"),
            Lapse::Stopped { failure, .. } | Lapse::Failed(failure) => failure,
        }
    }
}

enum Taken {
    More,
    End,
    Lapse(Lapse),
}

/// Plans have edits; what is not known is told by the outcome.
fn without_unforeseen(mut forecast: Forecast) -> Forecast {
    let unforeseen = Edit::Run(Run::unforeseen());
    forecast.edits.retain(|it| it.edit != unforeseen);
    forecast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_and_slow_connections_are_not_blamed_on_them() {
        let second = 1_000_000;
        assert_eq!(skew(100 * second, 101 * second, 102 * second), None);
        // It took half a minute to connect: whenever it read its clock, it may be right.
        assert_eq!(skew(100 * second, 101 * second, 130 * second), None);
        let ahead = skew(100 * second, 3702 * second, 102 * second);
        assert_eq!(
            ahead.as_deref(),
            Some("its clock is 3600 s ahead of the controller's")
        );
        let behind = skew(100 * second, 90 * second, 102 * second);
        assert_eq!(
            behind.as_deref(),
            Some("its clock is 10 s behind the controller's")
        );
        assert!(skew(0, i64::MIN, 0).is_some() && skew(0, i64::MAX, 0).is_some());
    }
}
