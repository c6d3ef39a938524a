//! How a run stands.

use std::collections::BTreeMap;

use hostler_schedule::Interval;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::machine::admission::Chance;
use crate::machine::waves::WavePhase;
use crate::machine::{Machine, Stage};
use crate::{HaltCause, Held, Outcome, Proof, RunEnd, Step};

/// Number of the form of [`Status`].
pub const FORM: u32 = 1;

/// How a run stands. Times are microseconds since the epoch, UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// [`FORM`].
    pub form: u32,
    /// Id of the run.
    pub run: String,
    /// Id of its plan.
    pub plan: String,
    /// Name of the policy.
    pub policy: String,
    /// When this was so.
    pub at_us: i64,
    /// In one word.
    pub state: RunState,
    /// Why it was halted, if it is.
    pub halted: Option<HaltStatus>,
    /// Failures that count so far, in the whole run.
    pub failures: u32,
    /// It halts when there are more.
    pub max_failures: u32,
    /// The waves, in order.
    pub waves: Vec<WaveStatus>,
    /// The groups and their budgets.
    pub groups: Vec<GroupStatus>,
    /// The hosts.
    pub hosts: BTreeMap<String, HostStatus>,
    /// What must still be done on hosts, and is not.
    pub owed: Vec<OwedStatus>,
    /// What was proven so far.
    pub proven: Vec<Proof>,
    /// What went wrong.
    pub disproven: Vec<Proof>,
    /// Waves that were approved, by whom.
    pub approved: BTreeMap<String, String>,
    /// Orders that had no effect, and why.
    pub refused: Vec<String>,
}

/// See [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not begun.
    New,
    /// Hosts are worked on, or a wave is watched.
    Running,
    /// Nothing is under way: it waits for a window or an approval.
    Waiting,
    /// Halted; hosts in flight still finish.
    Halting,
    /// Halted, and nothing is under way.
    Halted,
    /// All waves were gone through.
    Complete,
    /// Aborted.
    Aborted,
}

/// A halt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HaltStatus {
    /// Why.
    pub cause: HaltCause,
    /// In words.
    pub text: String,
    /// Since when.
    pub since_us: i64,
}

/// A wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaveStatus {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: WaveState,
    /// Since when.
    pub since_us: i64,
    /// What it waits for, in words.
    pub waits_for: Option<String>,
    /// Until when its gates are watched.
    pub soaks_until_us: Option<i64>,
    /// What its gates said last.
    pub gates: Option<String>,
    /// The part of its window that is open, or the next one.
    pub window: Option<Interval>,
    /// How many hosts it has.
    pub hosts: u32,
    /// How many of them are worked on.
    pub in_progress: u32,
    /// How many could be at the same time, now.
    pub slots: u32,
    /// How many have not been started.
    pub waiting: u32,
    /// How many have which outcome (`done`, `failed`, ...).
    pub outcomes: BTreeMap<String, u32>,
    /// Failures that count.
    pub failures: u32,
    /// The run halts when there are more.
    pub max_failures: u32,
}

/// See [`WaveStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaveState {
    /// Its turn has not come.
    Closed,
    /// Its turn has come, and somebody must approve it.
    WaitsForApproval,
    /// Its hosts are started.
    Open,
    /// All its hosts have their outcome, its gates are watched.
    Soaking,
    /// It is over, and well.
    Passed,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// How many may be missing.
    pub max_unavailable: u32,
    /// Which are.
    pub missing: Vec<String>,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostStatus {
    /// Name of its wave.
    pub wave: String,
    /// What it is in.
    pub stage: Stage,
    /// In words: `install, attempt 1`, `waits for window night`, `done`.
    pub state: String,
    /// Since when.
    pub since_us: i64,
    /// The step under way.
    pub step: Option<Step>,
    /// Out of reach since then, while it is worked on.
    pub lost_since_us: Option<i64>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// Updates of the plan that it does not get.
    pub held: Vec<Held>,
    /// What an engineer should know.
    pub findings: Vec<String>,
    /// Reboots that were seen.
    pub reboots: u32,
}

/// Something that must still be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwedStatus {
    /// On which host.
    pub host: String,
    /// What, in words.
    pub what: String,
    /// Why it is not done: the host is not well, it is being worked on, it was tried in vain.
    pub why: String,
}

impl Machine {
    /// How it stands at that time.
    pub fn status(&self, now_us: i64) -> Status {
        Status {
            form: FORM,
            run: self.run.clone(),
            plan: self.id.0.clone(),
            policy: self.plan.policy.clone(),
            at_us: now_us,
            state: self.run_state(),
            halted: self.halted.as_ref().map(|it| HaltStatus {
                text: self.halt_text(&it.cause),
                cause: it.cause.clone(),
                since_us: it.since_us,
            }),
            failures: (0..self.waves.len()).map(|it| self.failures(it)).sum(),
            max_failures: self.plan.max_failures,
            waves: (0..self.waves.len())
                .map(|it| self.wave_status(it, now_us))
                .collect(),
            groups: (0..self.plan.groups.len())
                .map(|it| self.group_status(it))
                .collect(),
            hosts: (0..self.hosts.len())
                .map(|it| (self.names[it].clone(), self.host_status(it, now_us)))
                .collect(),
            owed: (0..self.hosts.len())
                .flat_map(|it| self.owed_status(it))
                .collect(),
            proven: self.versions.all_proven().cloned().collect(),
            disproven: self.versions.all_disproven().cloned().collect(),
            approved: self.approved.clone(),
            refused: self.refused.clone(),
        }
    }

    fn run_state(&self) -> RunState {
        let busy = self
            .hosts
            .iter()
            .any(|it| it.in_progress() || it.doing.is_some());
        let soaking = self.current_wave().map(|it| self.waves[it].phase);
        match (self.closed, &self.halted) {
            _ if !self.opened => RunState::New,
            (Some(RunEnd::Complete), _) => RunState::Complete,
            (Some(RunEnd::Aborted), _) => RunState::Aborted,
            (None, Some(_)) if busy => RunState::Halting,
            (None, Some(_)) => RunState::Halted,
            (None, None) if busy || matches!(soaking, Some(WavePhase::Soaking { .. })) => {
                RunState::Running
            }
            (None, None) => RunState::Waiting,
        }
    }

    fn wave_name(&self, wave: u32) -> &str {
        self.plan
            .waves
            .get(wave as usize)
            .map_or("?", |it| it.name.as_str())
    }

    /// A halt, in a sentence.
    pub fn halt_text(&self, cause: &HaltCause) -> String {
        match cause {
            HaltCause::WaveFailures {
                wave,
                failed,
                allowed,
            } => format!(
                "wave {}: {failed} failed, it takes {allowed}",
                self.wave_name(*wave)
            ),
            HaltCause::RunFailures {
                wave,
                failed,
                allowed,
            } => format!(
                "the run: {failed} failed, it takes {allowed} (in wave {})",
                self.wave_name(*wave)
            ),
            HaltCause::Gate { wave, evidence } => {
                format!("wave {}: {evidence}", self.wave_name(*wave))
            }
            HaltCause::NothingProven { wave } => {
                format!(
                    "wave {} should prove versions and patched no host",
                    self.wave_name(*wave)
                )
            }
            HaltCause::Ordered { by, reason } => format!("ordered by {by}: {reason}"),
        }
    }

    fn wave_status(&self, wave: usize, now_us: i64) -> WaveStatus {
        let (state, plan) = (&self.waves[wave], &self.plan.waves[wave]);
        let current = self.current_wave() == Some(wave);
        let needs = plan.approve && !self.approved.contains_key(&plan.name);
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let hosts = || state.hosts.iter().map(|&it| &self.hosts[it]);
        let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
        for outcome in hosts().filter_map(|it| it.outcome.as_ref()) {
            *outcomes.entry(outcome.word().to_owned()).or_default() += 1;
        }
        let word = match state.phase {
            WavePhase::Closed if current && needs => WaveState::WaitsForApproval,
            WavePhase::Closed => WaveState::Closed,
            WavePhase::Open => WaveState::Open,
            WavePhase::Soaking { .. } => WaveState::Soaking,
            WavePhase::Passed => WaveState::Passed,
        };
        let soaks_until_us = match state.phase {
            WavePhase::Soaking { until_us, .. } => Some(until_us),
            _ => None,
        };
        let window = plan.window.as_ref().and_then(|name| {
            let occurrences = self.plan.windows.get(name).into_iter().flatten();
            let mut open: Vec<Interval> =
                occurrences.flat_map(|it| it.open.iter().copied()).collect();
            open.sort_unstable();
            open.into_iter().find(|it| it.end_us > now_us)
        });
        let waits_for = match word {
            WaveState::WaitsForApproval => Some("an approval".to_owned()),
            WaveState::Closed => {
                let before = wave
                    .checked_sub(1)
                    .map(|it| format!("wave {}", self.plan.waves[it].name));
                match before {
                    Some(before) if needs => Some(format!("{before} and an approval")),
                    before => before,
                }
            }
            WaveState::Soaking if plan.gates.is_empty() => Some("the end of its soak".to_owned()),
            WaveState::Soaking => Some(format!(
                "green gates until the end of its soak ({})",
                plan.gates.join(", ")
            )),
            WaveState::Open | WaveState::Passed => None,
        };
        WaveStatus {
            name: plan.name.clone(),
            state: word,
            since_us: state.since_us,
            waits_for,
            soaks_until_us,
            gates: state.evidence.clone(),
            window: window.filter(|_| word != WaveState::Passed),
            hosts: count(state.hosts.len()),
            in_progress: count(hosts().filter(|it| it.in_progress()).count()),
            slots: count(self.slots(wave)),
            waiting: count(hosts().filter(|it| it.stage == Stage::Waiting).count()),
            outcomes,
            failures: self.failures(wave),
            max_failures: plan.max_failures,
        }
    }

    fn group_status(&self, group: usize) -> GroupStatus {
        let plan = &self.plan.groups[group];
        GroupStatus {
            name: plan.name.clone(),
            max_unavailable: plan.max_unavailable,
            missing: self
                .missing(group, None)
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }

    fn host_status(&self, index: usize, now_us: i64) -> HostStatus {
        let (host, plan) = (&self.hosts[index], self.plan_of(index));
        HostStatus {
            wave: self.wave_name(plan.wave).to_owned(),
            stage: host.stage,
            state: self.host_words(index, now_us),
            since_us: host.since_us,
            step: host.doing.map(|it| it.step),
            lost_since_us: host
                .lost
                .as_ref()
                .filter(|_| host.in_progress())
                .map(|it| it.0),
            outcome: host.outcome.clone(),
            held: host.held.clone(),
            findings: host.findings.clone(),
            reboots: host.got.reboots,
        }
    }

    fn host_words(&self, index: usize, now_us: i64) -> String {
        let host = &self.hosts[index];
        if let Some(doing) = host.doing {
            return match doing.attempt {
                1 => doing.step.to_string(),
                n => format!("{}, attempt {n}", doing.step),
            };
        }
        if let Some(moment) = host.asking {
            return format!("asks the gates of its groups ({})", moment.words());
        }
        match host.stage {
            Stage::Ended => host
                .outcome
                .as_ref()
                .map_or("", Outcome::word)
                .replace('_', " "),
            Stage::Waiting => self.waits_for(index, now_us),
            Stage::Taking | Stage::Working => match (&host.lost, &host.blocked) {
                (Some((_, reason)), _) => format!("out of reach: {reason}"),
                (None, Some(blocked)) if host.reds > 0 => format!("waits: {blocked}"),
                _ => match host.place.step() {
                    Some(step) => format!("waits to try again: {step}"),
                    None => "settles".to_owned(),
                },
            },
        }
    }

    fn waits_for(&self, index: usize, now_us: i64) -> String {
        let (host, wave) = (&self.hosts[index], self.plan_of(index).wave);
        let phase = self.waves[wave as usize].phase;
        if self.stopping() {
            return "not started: the run is halted".to_owned();
        }
        if phase != WavePhase::Open {
            return format!("waits for wave {}", self.wave_name(wave));
        }
        if let Chance::Later(_) = self.chance(index, now_us) {
            let window = self.plan.waves[wave as usize].window.as_deref();
            return format!("waits for window {}", window.unwrap_or("of its own"));
        }
        if host.not_before_us > now_us
            && let Some(blocked) = &host.blocked
        {
            return format!("waits: {blocked}");
        }
        match self.budget_block(index) {
            Some((reason, _)) => format!("waits: {reason}"),
            None => "waits for its turn".to_owned(),
        }
    }

    fn owed_status(&self, index: usize) -> Vec<OwedStatus> {
        let host = &self.hosts[index];
        let owed = host.owed.iter().map(|it| {
            let why = if host.in_progress() {
                "it is worked on"
            } else if host.given_up.contains(it) {
                "it was tried in vain, or the host is out of reach"
            } else if host.healthy {
                "it comes with the end of its wave, or a resume"
            } else {
                "the host is not well: it is for a person to decide"
            };
            OwedStatus {
                host: self.names[index].clone(),
                what: it.words(self),
                why: why.to_owned(),
            }
        });
        owed.collect()
    }
}

impl crate::Moment {
    fn words(self) -> &'static str {
        match self {
            Self::Take => "before it is taken",
            Self::Change => "before it is changed",
            Self::Reboot => "before its reboot",
            Self::Back => "after it is back",
        }
    }
}

impl Outcome {
    /// Its name, as in the notes.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::InstalledPendingReboot { .. } => "installed_pending_reboot",
            Self::Held { .. } => "held",
            Self::Deferred { .. } => "deferred",
            Self::PlanMismatch { .. } => "plan_mismatch",
            Self::Failed { .. } => "failed",
            Self::Unreachable { .. } => "unreachable",
            Self::RolledBack { .. } => "rolled_back",
        }
    }

    /// Why, in words; empty where there is nothing to say.
    pub fn reason(&self) -> String {
        match self {
            Self::Done => String::new(),
            Self::InstalledPendingReboot { reason }
            | Self::Held { reason }
            | Self::Deferred { reason }
            | Self::PlanMismatch { reason }
            | Self::Unreachable { reason, .. } => reason.clone(),
            Self::Failed { failure, .. } => failure.text(),
            Self::RolledBack { failure, left } => {
                let cause = failure
                    .as_ref()
                    .map(crate::Failure::text)
                    .unwrap_or_default();
                match left.len() {
                    0 => cause,
                    n => format!("{cause} ({n} packages could not be put back)")
                        .trim()
                        .to_owned(),
                }
            }
        }
    }
}

impl crate::Failure {
    /// In a line: where, and what was said.
    pub fn text(&self) -> String {
        match self.step {
            Some(step) => format!("{step}: {}", self.message),
            None => self.message.clone(),
        }
    }
}
