//! The planner: scans and simulations of hosts, and the policy, to one immutable [`Plan`].
//!
//! ```text
//! candidates (or the one reason why not) ─> waves ─> fits its windows? ─> proof by earlier waves ─> Plan
//!        └── hosts whose transaction changes are asked again ──────────────────┘
//! ```
//!
//! Pure and deterministic: the order of hosts in the input, and the time it takes, change nothing.

mod assign;
mod candidates;
mod compose;
mod fit;
mod proof;
mod risks;

use std::collections::BTreeMap;

use hostler_updates::{Resolution, Scan};
use thiserror::Error;

use crate::known::Known;
use crate::plan::{LeftOut, LeftOutCode, Plan};
use crate::policy::{Files, Members, PolicyFile, Schedule};
use crate::select::{Request, Selection};
use candidates::Candidate;
pub(crate) use compose::max_unavailable;
pub(crate) use risks::few;

/// What a plan is made of.
pub struct Input<'a> {
    /// The policy.
    pub file: &'a PolicyFile,
    /// The hosts behind its patterns.
    pub members: &'a Members,
    /// Its windows and freezes.
    pub schedule: &'a Schedule,
    /// Files that it names: hooks are bound by their hashes.
    pub files: &'a dyn Files,
    /// What is known from earlier runs.
    pub known: &'a Known,
    /// What a person asks for besides the policy.
    pub request: &'a Request,
    /// What hosts answered. A host of the policy that is not among them counts as unreachable.
    pub hosts: &'a BTreeMap<String, Asked>,
    /// Who asks: `user@controller`.
    pub made_by: &'a str,
    /// Now, microseconds since the epoch.
    pub now_us: i64,
    /// How long the plan may be used, seconds.
    pub valid_for_s: u64,
}

/// What came of asking a host.
#[derive(Clone, Debug)]
pub enum Asked {
    /// It could not be reached: why.
    Unreachable(String),
    /// It could not be scanned, or what was asked of it failed: why.
    Failed(String),
    /// It answered.
    Scanned(Box<Scanned>),
}

/// A host that answered.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// What it says.
    pub scan: Scan,
    /// How far its clock is off, seconds, as [`clock_skew_s`] tells.
    pub skew_s: u64,
    /// What is wanted there: of [`crate::select::select`], or of [`Answer::Ask`].
    pub selection: Selection,
    /// What the wanted versions bring with them; `None`: not asked yet.
    pub resolution: Option<Resolution>,
}

/// What the planner says.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These hosts are to be asked (`patch_resolve`) what exactly these versions bring with them. Their selections replace the ones
    /// of the input; then the planner is called again. It comes to a plan after a few rounds: selections only get shorter.
    Ask(BTreeMap<String, Selection>),
    /// The plan.
    Plan(Box<Plan>),
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanProblem {
    /// A file that the policy names cannot be read.
    #[error("`{path}` cannot be read: {why}")]
    Unreadable {
        /// As the policy has it.
        path: String,
        /// Why not.
        why: String,
    },
}

/// How long a plan may be used unless somebody says otherwise: a fortnight.
pub const VALID_FOR_S: u64 = 14 * 86_400;

/// How far a host's clock is off: it said `taken_us` at some time between the two instants of the controller's clock. Seconds.
pub fn clock_skew_s(taken_us: i64, asked_us: i64, answered_us: i64) -> u64 {
    let off = if taken_us < asked_us {
        asked_us.abs_diff(taken_us)
    } else if taken_us > answered_us {
        taken_us.abs_diff(answered_us)
    } else {
        0
    };
    off / 1_000_000
}

/// Why a host is not patched whose clock is off by so many seconds; `None`: it is not off by more than `most`.
pub fn clock_refusal(skew_s: u64, most: u64) -> Option<String> {
    (skew_s > most).then(|| format!("its clock is off by {skew_s} seconds, {most} are allowed"))
}

/// Makes the plan, or says which hosts are to be asked before.
///
/// # Errors
/// If a file that the policy names cannot be read.
pub fn plan(input: &Input<'_>) -> Result<Answer, PlanProblem> {
    let mut left_out: BTreeMap<String, LeftOut> = BTreeMap::new();
    let mut all: BTreeMap<String, Candidate<'_>> = BTreeMap::new();
    let mut ask: BTreeMap<String, Selection> = BTreeMap::new();
    for host in &input.members.targets {
        match candidates::judge(input, host) {
            candidates::Verdict::Candidate(candidate) => {
                all.insert(host.clone(), *candidate);
            }
            candidates::Verdict::Ask(selection) => {
                ask.insert(host.clone(), *selection);
            }
            candidates::Verdict::LeftOut(why) => {
                left_out.insert(host.clone(), why);
            }
        }
    }
    // Waves are made only of hosts whose transaction is known: who is asked again might drop out.
    if !ask.is_empty() {
        return Ok(Answer::Ask(ask));
    }
    let times = fit::Times::of(input);
    let waves = settle(input, &times, &mut all, &mut left_out);
    let verdict = proof::check(input, &all, &waves);
    if !verdict.ask.is_empty() {
        return Ok(Answer::Ask(verdict.ask));
    }
    for (host, why) in verdict.left_out {
        all.remove(&host);
        left_out.insert(host, why);
    }
    let plan = compose::plan(input, &times, &all, &waves, left_out)?;
    Ok(Answer::Plan(Box::new(plan)))
}

/// Assigns waves until every host fits into the windows of its wave; those that fit into none are left out.
fn settle(
    input: &Input<'_>,
    times: &fit::Times,
    all: &mut BTreeMap<String, Candidate<'_>>,
    left_out: &mut BTreeMap<String, LeftOut>,
) -> BTreeMap<String, assign::Place> {
    loop {
        let waves = assign::waves(input, all);
        let misfits: Vec<(String, LeftOut)> = all
            .iter()
            .filter_map(|(host, candidate)| {
                let Some(place) = waves.get(host) else {
                    return Some((host.clone(), in_no_wave()));
                };
                let why = times.misfit(input, host, place.wave, candidate.p95_s)?;
                Some((host.clone(), why))
            })
            .collect();
        if misfits.is_empty() {
            return waves;
        }
        // Each turn takes hosts away, so it ends.
        for (host, why) in misfits {
            all.remove(&host);
            left_out.insert(host, why);
        }
    }
}

/// Lint refuses policies that leave hosts without a wave; with the inventory of today there may still be one.
fn in_no_wave() -> LeftOut {
    LeftOut {
        code: LeftOutCode::NoWave,
        reason: "no wave takes it: the last one is not `rest`".into(),
        rule: None,
    }
}
