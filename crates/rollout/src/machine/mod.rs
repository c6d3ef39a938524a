//! The pure state machine of a run.
//!
//! [`Machine::decide`] says what is to be done now, [`Machine::take`] applies a note. Nothing else changes the state, so that
//! the notes are all that has to be kept. Decisions that depend on the time are notes of their own; what follows from a
//! note by the plan alone is not.

pub(crate) mod admission;
pub mod back;
mod calls;
mod decide;
mod fail;
pub(crate) mod host;
mod learn;
pub(crate) mod place;
mod proven;
mod results;
mod take;
pub(crate) mod waves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_patch::plan::{HostPlan, Plan, PlanId, SnapshotRule};

use crate::{HaltCause, JobName, Note, RunEnd};
pub(crate) use calls::asks_a_host;
use host::Host;
pub use host::{Owed, Stage};
use proven::Versions;
pub use results::PLAN_MISMATCH;
use waves::WaveState;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Write this note, let the machine take it, and ask again. Always alone.
    Write(Note),
    /// This is under way, or is to be begun if it is not ([`Machine::job`] says what it is). Jobs that are not named any more
    /// are to be dropped.
    Run(JobName),
    /// Nothing more until a job ends, an order comes, or this time, if there is one.
    Wait {
        /// Microseconds since the epoch.
        until_us: Option<i64>,
    },
    /// The run stands still until somebody orders something, or is over.
    End(End),
}

/// How it stands when nothing is left to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All waves were gone through.
    Complete,
    /// It was aborted.
    Aborted,
    /// It was halted.
    Halted(HaltCause),
}

/// A note that does not belong to this run, or not here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a note does not fit the run: {0}")]
pub struct Misfit(pub String);

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) id: PlanId,
    pub(crate) run: String,
    pub(crate) by: String,
    /// Names of the plan's hosts; everything else has indexes of this.
    pub(crate) names: Vec<String>,
    pub(crate) index: BTreeMap<String, usize>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) waves: Vec<WaveState>,
    pub(crate) versions: Versions,
    pub(crate) opened: bool,
    pub(crate) halted: Option<Halt>,
    /// A halt that was ordered and is not noted yet.
    pub(crate) halt_due: Option<HaltCause>,
    pub(crate) aborting: bool,
    pub(crate) closed: Option<RunEnd>,
    pub(crate) orders: BTreeSet<String>,
    pub(crate) approved: BTreeMap<String, String>,
    /// Orders that had no effect, and why.
    pub(crate) refused: Vec<String>,
}

/// A halt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Halt {
    pub(crate) cause: HaltCause,
    pub(crate) since_us: i64,
}

impl Machine {
    /// A run that has not begun. `run` is its id, `by` who runs it.
    pub fn new(plan: Arc<Plan>, id: PlanId, run: String, by: String) -> Self {
        let names: Vec<String> = plan.hosts.keys().cloned().collect();
        let index = names.iter().cloned().zip(0..).collect();
        let waves = (0u32..)
            .take(plan.waves.len())
            .map(|wave| {
                let hosts = plan.hosts_of(wave);
                let at = |name: &str| names.binary_search_by(|it| it.as_str().cmp(name)).ok();
                WaveState::new(hosts.into_iter().filter_map(at).collect())
            })
            .collect();
        Self {
            hosts: vec![Host::default(); names.len()],
            names,
            index,
            waves,
            versions: Versions::of(&plan),
            opened: false,
            halted: None,
            halt_due: None,
            aborting: false,
            closed: None,
            orders: BTreeSet::new(),
            approved: BTreeMap::new(),
            refused: Vec::new(),
            plan,
            id,
            run,
            by,
        }
    }

    /// Has it been begun, by this process or by an earlier one?
    pub fn is_opened(&self) -> bool {
        self.opened
    }

    /// Is it over?
    pub fn closed(&self) -> Option<RunEnd> {
        self.closed
    }

    /// Was the order taken already?
    pub fn knows_order(&self, id: &str) -> bool {
        self.orders.contains(id)
    }

    /// Its plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn plan_of(&self, host: usize) -> &HostPlan {
        &self.plan.hosts[&self.names[host]]
    }

    /// Are no new hosts started, and those that can go back sent back?
    pub(crate) fn stopping(&self) -> bool {
        self.halted.is_some() || self.halt_due.is_some() || self.aborting || self.closed.is_some()
    }

    pub(crate) fn snapshot_is_hook(&self) -> bool {
        matches!(self.plan.procedure.snapshot, SnapshotRule::Hook { .. })
    }
}
