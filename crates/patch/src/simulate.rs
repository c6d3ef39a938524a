//! What a plan would do hour by hour: the rules of the rollout with the expected times, and nothing going wrong.

use std::collections::{BTreeMap, BTreeSet};

use hostler_schedule::{Admission, Interval, admits, intersect, merge};

use crate::plan::{HostPlan, Plan};

/// How long hosts are taken to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As long as is most likely.
    Likely,
    /// As long as in one of 20 cases.
    Slow,
}

/// When a host is worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// From the one instant to the other.
    Works(Interval),
    /// No window has the time for it.
    NoTime,
    /// A group may miss no host (more): which one.
    Blocked(String),
}

/// A run as it would go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Every host of the plan.
    pub turns: BTreeMap<String, Turn>,
    /// By wave: when it opens.
    pub opens_us: Vec<i64>,
    /// By wave: when it has passed, its soak included.
    pub passes_us: Vec<i64>,
}

/// Goes through the plan from an instant on. Approvals are taken as given. `parallel`: other limits for waves.
pub fn simulate(
    plan: &Plan,
    from_us: i64,
    pace: Pace,
    parallel: &BTreeMap<usize, u32>,
) -> Simulation {
    let mut run = Run::new(plan, pace);
    let mut now_us = from_us.max(plan.made_us);
    for wave in 0..plan.waves.len() {
        run.simulation.opens_us.push(now_us);
        let limit = parallel.get(&wave).copied();
        let last_end = run.wave(wave, now_us, limit);
        if let Some(end_us) = last_end {
            let soak = i64::try_from(plan.waves[wave].soak_s).unwrap_or(i64::MAX);
            now_us = end_us.saturating_add(soak.saturating_mul(1_000_000));
        }
        run.simulation.passes_us.push(now_us);
    }
    run.simulation
}

/// A host that waits for its turn, with the times when it may work.
type Waiting<'a> = (&'a str, &'a HostPlan, Option<Vec<Interval>>);

enum Chance {
    /// It works from the one instant to the other.
    Now(Interval),
    /// Not now; at this instant perhaps, or when another host is done.
    Wait(Option<i64>),
    /// It will not.
    Never(Turn),
}

struct Run<'a> {
    plan: &'a Plan,
    pace: Pace,
    simulation: Simulation,
    /// What is open of each window.
    windows: BTreeMap<&'a str, Vec<Interval>>,
}

fn us(seconds: u32) -> i64 {
    i64::from(seconds) * 1_000_000
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, pace: Pace) -> Self {
        let windows = plan.windows.iter().map(|(name, all)| {
            let open = all.iter().flat_map(|it| it.open.iter().copied()).collect();
            (name.as_str(), merge(open))
        });
        Run {
            plan,
            pace,
            simulation: Simulation::default(),
            windows: windows.collect(),
        }
    }

    /// When the host may work; `None`: at any time.
    fn stretches(&self, wave: usize, host: &HostPlan) -> Option<Vec<Interval>> {
        let window = self
            .plan
            .waves
            .get(wave)
            .and_then(|it| it.window.as_deref());
        let window = window.map(|name| self.windows.get(name).map_or(&[][..], Vec::as_slice));
        match (window, &host.own_windows) {
            (None, None) => None,
            (Some(one), None) => Some(one.to_vec()),
            (None, Some(own)) => Some(own.clone()),
            (Some(one), Some(own)) => Some(intersect(one, own)),
        }
    }

    /// Works through a wave; the end of its last host.
    fn wave(&mut self, wave: usize, from_us: i64, limit: Option<u32>) -> Option<i64> {
        let plan = self.plan;
        let rules = plan.waves.get(wave)?;
        let limit = limit.unwrap_or(rules.parallel).max(1) as usize;
        let number = u32::try_from(wave).ok()?;
        let hosts = plan.hosts_of(number).into_iter().filter_map(|name| {
            let (name, host) = plan.hosts.get_key_value(name)?;
            Some((name.as_str(), host, self.stretches(wave, host)))
        });
        let mut waiting: Vec<Waiting<'a>> = hosts.collect();
        let mut working: BTreeSet<(i64, &'a str)> = BTreeSet::new();
        let mut done = 0_usize;
        let mut last_end = None;
        let mut now_us = from_us;
        while !waiting.is_empty() || !working.is_empty() {
            let ended = |working: &BTreeSet<(i64, &'a str)>| {
                let first = working.first().copied();
                first.filter(|(end_us, _)| *end_us <= now_us)
            };
            while let Some(it) = ended(&working) {
                working.remove(&it);
                done += 1;
                last_end = last_end.max(Some(it.0));
            }
            let slots = if rules.ramp {
                limit.min(1 << (done + 1).ilog2().min(30))
            } else {
                limit
            };
            let mut next_us = working.first().map(|(end_us, _)| *end_us);
            let mut sooner = |at_us: i64| {
                next_us = Some(next_us.map_or(at_us, |it| it.min(at_us)));
            };
            let mut still = Vec::new();
            for it in waiting {
                match self.chance(&it, rules.reserve_s, &working, slots, now_us) {
                    Chance::Never(turn) => {
                        self.simulation.turns.insert(it.0.to_owned(), turn);
                    }
                    Chance::Wait(at_us) => {
                        at_us.into_iter().for_each(&mut sooner);
                        still.push(it);
                    }
                    Chance::Now(turn) => {
                        working.insert((turn.end_us, it.0));
                        sooner(turn.end_us);
                        self.simulation
                            .turns
                            .insert(it.0.to_owned(), Turn::Works(turn));
                    }
                }
            }
            waiting = still;
            match next_us {
                Some(next_us) if next_us > now_us => now_us = next_us,
                // Nothing is under way and nothing will open: who is left has no time.
                _ => {
                    for (name, ..) in waiting {
                        self.simulation.turns.insert(name.to_owned(), Turn::NoTime);
                    }
                    break;
                }
            }
        }
        last_end
    }

    /// What becomes of a host that waits.
    fn chance(
        &self,
        (name, host, stretches): &Waiting<'a>,
        reserve_s: u32,
        working: &BTreeSet<(i64, &str)>,
        slots: usize,
        now_us: i64,
    ) -> Chance {
        match self.admission(host, reserve_s, stretches.as_deref(), now_us) {
            Admission::Never => return Chance::Never(Turn::NoTime),
            Admission::Later(at_us) => return Chance::Wait(Some(at_us)),
            Admission::Now => {}
        }
        match self.blocked(name, host, working) {
            Some((_, true)) => return Chance::Wait(None),
            Some((group, false)) => return Chance::Never(Turn::Blocked(group)),
            None => {}
        }
        if working.len() >= slots {
            return Chance::Wait(None);
        }
        let takes = match self.pace {
            Pace::Likely => host.expected_s,
            Pace::Slow => host.expected_p95_s,
        };
        // Something that takes no time would never end a turn of the loop.
        Chance::Now(Interval {
            start_us: now_us,
            end_us: now_us.saturating_add(us(takes.max(1))),
        })
    }

    fn admission(
        &self,
        host: &HostPlan,
        reserve_s: u32,
        stretches: Option<&[Interval]>,
        now_us: i64,
    ) -> Admission {
        if now_us >= self.plan.valid_until_us {
            return Admission::Never;
        }
        stretches.map_or(Admission::Now, |open| {
            admits(open, now_us, host.expected_p95_s.into(), reserve_s.into())
        })
    }

    /// The group that can miss no host more, and whether waiting helps.
    fn blocked(
        &self,
        name: &str,
        host: &HostPlan,
        working: &BTreeSet<(i64, &str)>,
    ) -> Option<(String, bool)> {
        host.groups.iter().find_map(|group| {
            let group = self.plan.groups.get(*group as usize)?;
            let member = |it: &str| {
                group
                    .hosts
                    .binary_search_by(|host| host.as_str().cmp(it))
                    .is_ok()
            };
            let busy = working.iter().filter(|(_, it)| member(it)).count();
            let away = group
                .unavailable
                .iter()
                .filter(|it| it.as_str() != name)
                .count();
            let full = busy + away >= group.max_unavailable as usize;
            full.then(|| (group.name.clone(), busy > 0))
        })
    }
}
