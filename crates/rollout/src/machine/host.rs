//! A host of the run, as the notes tell it.

use std::collections::{BTreeMap, BTreeSet};

use hostler_updates::{Action, Installed, RebootNeed, Restarted, RolledBack, Snapshot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::Place;
use super::waves::is_failure;
use crate::{Held, Moment, Outcome, Step};

/// What a host is in.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not started, or not started again.
    #[default]
    Waiting,
    /// Its slot and its share of the budgets are reserved, the gates of its groups are asked.
    Taking,
    /// In the procedure.
    Working,
    /// It has its outcome.
    Ended,
}

/// Something that must be done on a host before it is left alone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Owed {
    /// The snapshot is to be removed.
    Snapshot,
    /// What others do with packages is to be allowed again.
    Release,
    /// A hook before is to be undone.
    Undo(u32),
}

/// A step under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doing {
    pub(crate) step: Step,
    pub(crate) attempt: u32,
    pub(crate) began_us: i64,
    /// It was begun before, and what came of it is not known.
    pub(crate) again: bool,
}

/// What is known of reboots before one is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) need: RebootNeed,
    pub(crate) kernel: Option<String>,
}

/// What steps have given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Got {
    /// The transaction, where it is not the plan's.
    pub(crate) actions: Option<Vec<Action>>,
    /// Why a reboot follows from that.
    pub(crate) reboot_reasons: Option<Vec<String>>,
    /// As the host gave it, for the steps that compare with it.
    pub(crate) baseline: Option<Value>,
    /// The last boot id that the host is known to have had.
    pub(crate) boot_id: String,
    pub(crate) look_first: Option<Look>,
    pub(crate) look: Option<Look>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) snapshot_hook: bool,
    pub(crate) installed: Option<Installed>,
    pub(crate) restarted: Option<Restarted>,
    pub(crate) rolled_back: Option<RolledBack>,
    /// Reboots that were seen to have happened.
    pub(crate) reboots: u32,
    /// The one after its packages was.
    pub(crate) rebooted: bool,
    /// What was said after services were restarted on the way back.
    pub(crate) restarted_back: Option<Restarted>,
}

/// A host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Host {
    pub(crate) stage: Stage,
    pub(crate) since_us: i64,
    pub(crate) place: Place,
    pub(crate) doing: Option<Doing>,
    /// A step of which it is not known whether it was done.
    pub(crate) redo: Option<(Step, u32)>,
    pub(crate) asking: Option<Moment>,
    /// Nothing is begun before.
    pub(crate) not_before_us: i64,
    /// Attempts at the step of this place.
    pub(crate) tries: u32,
    pub(crate) attempts: BTreeMap<Step, u32>,
    pub(crate) admitted_us: i64,
    /// Before this the host was not asked what its last step gave.
    pub(crate) asked_us: i64,
    pub(crate) until_us: Option<i64>,
    /// How often the gates of its groups said no in a row.
    pub(crate) reds: u32,
    /// Out of reach since when, and why.
    pub(crate) lost: Option<(i64, String)>,
    pub(crate) unreached: u32,
    pub(crate) owed: BTreeSet<Owed>,
    /// What is owed and was tried in vain by this process.
    pub(crate) given_up: BTreeSet<Owed>,
    /// Packages were changed, or may have been, and are not put back.
    pub(crate) changed: bool,
    /// A try to install has ended nobody knows how.
    pub(crate) uncertain: bool,
    /// As well as it was when it was taken, as far as is known.
    pub(crate) healthy: bool,
    pub(crate) leaving: bool,
    pub(crate) put_off: Option<String>,
    /// A reboot that did not happen is tried once more.
    pub(crate) reboot_again: bool,
    /// What made it wait the last time.
    pub(crate) blocked: Option<String>,
    /// The outcome that it will have when nothing is owed any more.
    pub(crate) coming: Option<Outcome>,
    pub(crate) outcome: Option<Outcome>,
    /// Its failure counts no more.
    pub(crate) accepted: bool,
    pub(crate) rollback_tried: bool,
    pub(crate) rollback_ordered: bool,
    pub(crate) disproof_due: bool,
    pub(crate) got: Got,
    pub(crate) held: Vec<Held>,
    pub(crate) findings: Vec<String>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            stage: Stage::Waiting,
            since_us: 0,
            place: Place::Resolve,
            doing: None,
            redo: None,
            asking: None,
            not_before_us: i64::MIN,
            tries: 0,
            attempts: BTreeMap::new(),
            admitted_us: 0,
            asked_us: 0,
            until_us: None,
            reds: 0,
            lost: None,
            unreached: 0,
            owed: BTreeSet::new(),
            given_up: BTreeSet::new(),
            changed: false,
            uncertain: false,
            healthy: true,
            leaving: false,
            put_off: None,
            reboot_again: false,
            blocked: None,
            coming: None,
            outcome: None,
            accepted: false,
            rollback_tried: false,
            rollback_ordered: false,
            disproof_due: false,
            got: Got::default(),
            held: Vec::new(),
            findings: Vec::new(),
        }
    }
}

impl Host {
    /// Is it taken, so that it cannot be counted on?
    pub(crate) fn in_progress(&self) -> bool {
        matches!(self.stage, Stage::Taking | Stage::Working)
    }

    /// Is it known that it has failed, though what follows from that (it is put back, undone) may still be under way?
    pub(crate) fn has_failed(&self) -> bool {
        is_failure(self.outcome.as_ref()) || is_failure(self.coming.as_ref())
    }

    /// Does it use up budgets of its groups?
    pub(crate) fn unavailable(&self) -> bool {
        let drained = self.owed.iter().any(|it| matches!(it, Owed::Undo(_)));
        let outcome = matches!(
            self.outcome,
            Some(Outcome::Failed { .. } | Outcome::Unreachable { .. })
        );
        self.in_progress() || drained || outcome
    }

    /// What is to be done next of what is owed, if something can be. A host that is not well stays drained.
    pub(crate) fn next_owed(&self, snapshot: bool) -> Option<Owed> {
        let fits = |it: &&Owed| match it {
            Owed::Undo(_) => self.healthy,
            Owed::Release => true,
            Owed::Snapshot => snapshot && self.healthy,
        };
        let open = self.owed.difference(&self.given_up);
        open.filter(fits).last().copied()
    }

    /// Back to where it was before it was taken; what was learned stays.
    pub(crate) fn wait_again(&mut self, at_us: i64) {
        self.stage = Stage::Waiting;
        self.since_us = at_us;
        self.place = Place::Resolve;
        self.tries = 0;
        self.leaving = false;
        self.put_off = None;
        self.reboot_again = false;
        self.uncertain = false;
        self.until_us = None;
        self.got = Got::default();
        self.healthy = true;
        self.lost = None;
        self.unreached = 0;
        self.redo = None;
        self.not_before_us = i64::MIN;
        self.rollback_ordered = false;
    }
}

impl Owed {
    /// The step that does it.
    pub(crate) fn step(self) -> Step {
        match self {
            Self::Snapshot => Step::RemoveSnapshot,
            Self::Release => Step::Release,
            Self::Undo(n) => Step::Undo(n),
        }
    }

    /// What the step does, if it is such a one.
    pub(crate) fn of(step: Step) -> Option<Self> {
        match step {
            Step::RemoveSnapshot => Some(Self::Snapshot),
            Step::Release => Some(Self::Release),
            Step::Undo(n) => Some(Self::Undo(n)),
            _ => None,
        }
    }
}
