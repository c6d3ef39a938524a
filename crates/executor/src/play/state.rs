//! What is carried from play to play, and from pass to pass: hosts that were lost catch up in another one.

use std::collections::BTreeSet;

use hostler_events::{Recap, TaskId};
use hostler_journal::JournalError;

use crate::context::RunContext;
use crate::parts::{Seen, TaskNumbers};

/// What is carried from play to play.
#[derive(Debug, Default)]
pub struct RunState {
    /// Counts of all hosts.
    pub recap: Recap,
    /// Hosts that take no part any more: failed or unreachable.
    pub lost: BTreeSet<String>,
    /// Some hosts did not get to the end of their plays, and a resumed run can go on there.
    pub resumable: bool,
    /// Why the journal could not be written, if so: no more tasks started then.
    pub journal_broken: Option<JournalError>,
    /// Hosts that were lost while they worked, and catch up in another pass.
    pub(crate) behind: BTreeSet<String>,
    /// In a later pass: the hosts that catch up. The others are done.
    pub(super) only: Option<BTreeSet<String>>,
    pub(super) dropped: BTreeSet<String>,
    pub(super) numbers: TaskNumbers,
    pub(super) plays_started: u32,
    /// What came of each task, if somebody wants to know.
    pub(super) seen: Option<Vec<Seen>>,
    /// `--start-at-task` has been reached.
    start_reached: bool,
}

impl RunState {
    /// The state of one play among several that run side by side and are parts of something larger. `number` is the
    /// play's, the same when the run is resumed. What comes of its tasks is kept for [`RunState::take_seen`].
    pub fn of_part(numbers: TaskNumbers, number: u32) -> Self {
        RunState {
            numbers,
            plays_started: number.saturating_sub(1),
            seen: Some(Vec::new()),
            ..RunState::default()
        }
    }

    /// What came of the tasks of a part, in order.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        self.seen.take().unwrap_or_default()
    }

    /// Keeps what came of a task, if somebody wants to know.
    pub(crate) fn see(&mut self, seen: impl FnOnce() -> Seen) {
        if let Some(all) = &mut self.seen {
            all.push(seen());
        }
    }

    /// Hosts that were lost in the middle of a task catch up now, in another pass through all plays. False if there are
    /// none, or the run is being stopped.
    pub async fn catch_up(&mut self, run: &RunContext) -> bool {
        let behind = std::mem::take(&mut self.behind);
        let Some(recording) = run.recording.as_ref() else {
            return false;
        };
        if behind.is_empty() || run.interrupts.draining() || self.journal_broken.is_some() {
            return false;
        }
        let hosts: Vec<String> = behind.iter().cloned().collect();
        let Ok(mut memory) = recording.journal.recall(&hosts).await else {
            return false;
        };
        memory.last_task = memory.last_task.max(self.numbers.last());
        // What they did before was told.
        let parts = memory
            .tasks
            .values_mut()
            .flat_map(|it| it.hosts.values_mut());
        parts.for_each(|it| it.told = true);
        // Their part is counted anew from what the journal holds.
        for host in &hosts {
            self.recap.hosts.remove(host);
        }
        if let Some(bound) = run.bound() {
            bound.begin_anew(&hosts);
        }
        run.past.replace(memory);
        run.set_may_fall_behind(false);
        self.plays_started = 0;
        self.only = Some(behind);
        true
    }

    /// Hosts that were lost and do not catch up in this run: nobody knows what came of their last task.
    pub fn leave_behind(&mut self, run: &RunContext) {
        for host in std::mem::take(&mut self.behind) {
            self.recap.hosts.entry(host.clone()).or_default().unknown += 1;
            let message = format!(
                "the connection to {host} was lost in the middle of a task, and the run ended before the host could be asked what came of it"
            );
            let diagnostic = hostler_diag::Diagnostic::error("left-behind", message);
            run.warn(diagnostic, Some(&host));
        }
    }

    /// Does a host have a part in what comes now?
    pub(super) fn takes_part(&self, host: &String) -> bool {
        !self.lost.contains(host)
            && !self.behind.contains(host)
            && self.only.as_ref().is_none_or(|only| only.contains(host))
    }

    /// A new number for a task that starts.
    pub(crate) fn next_task(&mut self) -> TaskId {
        self.numbers.next()
    }

    /// `--start-at-task`: is it time?
    pub(crate) fn has_started(&mut self, run: &RunContext, name: &str) -> bool {
        let Some(wanted) = &run.settings.start_at_task else {
            return true;
        };
        self.start_reached |= name == wanted;
        self.start_reached
    }
}
