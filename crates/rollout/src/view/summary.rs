//! How a run went.

use std::collections::BTreeMap;

use hostler_updates::{Installed, Restarted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::machine::{Machine, Timing};
use crate::{FailureKind, Held, Outcome, Step};

/// How a run went, or has gone so far. Times are microseconds since the epoch, UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Id of the run.
    pub run: String,
    /// Id of its plan.
    pub plan: String,
    /// When it began.
    pub began_us: Option<i64>,
    /// When its last note was written.
    pub last_us: Option<i64>,
    /// How many hosts have which outcome; `waiting` has none yet.
    pub outcomes: BTreeMap<String, u32>,
    /// Failures, those with the same cause together, the most frequent first.
    pub causes: Vec<Cause>,
    /// Each host.
    pub hosts: BTreeMap<String, HostSummary>,
    /// How long the steps took, by their words.
    pub steps: BTreeMap<String, StepTimes>,
}

/// Hosts that failed for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// The kind; `None`: out of reach.
    pub kind: Option<FailureKind>,
    /// At which step.
    pub step: Option<Step>,
    /// The first line of what the first of the hosts said.
    pub message: String,
    /// The hosts.
    pub hosts: Vec<String>,
}

/// What became of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostSummary {
    /// Name of its wave.
    pub wave: String,
    /// What came of it; `None`: nothing yet.
    pub outcome: Option<Outcome>,
    /// When it was taken the last time.
    pub admitted_us: Option<i64>,
    /// When it had its outcome.
    pub ended_us: Option<i64>,
    /// Each step that was done.
    pub timings: Vec<Timing>,
    /// What was installed.
    pub installed: Option<Installed>,
    /// What was restarted.
    pub restarted: Option<Restarted>,
    /// Reboots that were seen.
    pub reboots: u32,
    /// Updates of the plan that it did not get.
    pub held: Vec<Held>,
    /// What an engineer should know.
    pub findings: Vec<String>,
    /// What is still owed, in words.
    pub owed: Vec<String>,
}

/// How long a step took on the hosts, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepTimes {
    /// How often it was done.
    pub count: u32,
    /// Half of them took no longer.
    pub median_ms: u64,
    /// 19 of 20 took no longer.
    pub p95_ms: u64,
    /// The longest one.
    pub max_ms: u64,
}

impl Machine {
    /// How it went, or has gone so far.
    pub fn summary(&self) -> Summary {
        let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
        for host in &self.hosts {
            let word = host.outcome.as_ref().map_or("waiting", Outcome::word);
            *outcomes.entry(word.to_owned()).or_default() += 1;
        }
        let hosts = (0..self.hosts.len()).map(|it| (self.names[it].clone(), self.host_summary(it)));
        Summary {
            run: self.run.clone(),
            plan: self.id.0.clone(),
            began_us: self.began_us,
            last_us: self.last_us,
            outcomes,
            causes: self.causes(),
            hosts: hosts.collect(),
            steps: self.step_times(),
        }
    }

    fn host_summary(&self, index: usize) -> HostSummary {
        let (host, plan) = (&self.hosts[index], self.plan_of(index));
        HostSummary {
            wave: self.plan.waves[plan.wave as usize].name.clone(),
            outcome: host.outcome.clone(),
            admitted_us: (host.admitted_us > 0).then_some(host.admitted_us),
            ended_us: host.outcome.as_ref().map(|_| host.since_us),
            timings: host.timings.clone(),
            installed: host.got.installed.clone(),
            restarted: host.got.restarted.clone(),
            reboots: host.got.reboots,
            held: host.held.clone(),
            findings: host.findings.clone(),
            owed: host.owed.iter().map(|it| it.words(self)).collect(),
        }
    }

    fn causes(&self) -> Vec<Cause> {
        let mut all: Vec<Cause> = Vec::new();
        for (name, host) in self.names.iter().zip(&self.hosts) {
            let (kind, step, message) = match &host.outcome {
                Some(
                    Outcome::Failed { failure, .. }
                    | Outcome::RolledBack {
                        failure: Some(failure),
                        ..
                    },
                ) => (Some(failure.kind), failure.step, &failure.message),
                Some(Outcome::Unreachable { reason, .. }) => (None, None, reason),
                _ => continue,
            };
            let line = message.lines().next().unwrap_or_default();
            let shape = shape(line);
            let same = |it: &&mut Cause| {
                it.kind == kind && it.step == step && self::shape(&it.message) == shape
            };
            match all.iter_mut().find(same) {
                Some(cause) => cause.hosts.push(name.clone()),
                None => all.push(Cause {
                    kind,
                    step,
                    message: line.to_owned(),
                    hosts: vec![name.clone()],
                }),
            }
        }
        all.sort_by_key(|it| std::cmp::Reverse(it.hosts.len()));
        all
    }

    fn step_times(&self) -> BTreeMap<String, StepTimes> {
        let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for timing in self.hosts.iter().flat_map(|it| &it.timings) {
            let ms = u64::try_from((timing.ended_us - timing.began_us) / 1000).unwrap_or(0);
            all.entry(timing.step.word()).or_default().push(ms);
        }
        let times = |mut list: Vec<u64>| {
            list.sort_unstable();
            let at =
                |percent: usize| list.get((list.len() * percent).div_ceil(100).saturating_sub(1));
            StepTimes {
                count: u32::try_from(list.len()).unwrap_or(u32::MAX),
                median_ms: at(50).copied().unwrap_or(0),
                p95_ms: at(95).copied().unwrap_or(0),
                max_ms: list.last().copied().unwrap_or(0),
            }
        };
        all.into_iter()
            .map(|(step, list)| (step, times(list)))
            .collect()
    }
}

/// A message without its figures: process numbers, times and addresses do not make another cause.
fn shape(line: &str) -> String {
    let mut out = String::new();
    for it in line.chars() {
        match it {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            other => out.push(other),
        }
    }
    out
}
