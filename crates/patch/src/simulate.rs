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

struct Run<'a> {
    plan: &'a Plan,
    pace: Pace,
    simulation: Simulation,
    /// Groups of each host, by index.
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
        let mut waiting: Vec<(&'a str, &'a HostPlan, Option<Vec<Interval>>)> = plan
            .hosts_of(number)
            .into_iter()
            .filter_map(|name| {
                let (name, host) = plan.hosts.get_key_value(name)?;
                Some((name.as_str(), host, self.stretches(wave, host)))
            })
            .collect();
        let mut working: BTreeSet<(i64, &'a str)> = BTreeSet::new();
        let mut done = 0_usize;
        let mut last_end = None;
        let mut now_us = from_us;
        while !waiting.is_empty() || !working.is_empty() {
            while let Some(&(end_us, host)) =
                working.first().filter(|(end_us, _)| *end_us <= now_us)
            {
                working.remove(&(end_us, host));
                done += 1;
                last_end = last_end.max(Some(end_us));
            }
            let slots = if rules.ramp {
                limit.min(1 << (done + 1).ilog2().min(30))
            } else {
                limit
            };
            let mut next_us = working.first().map(|(end_us, _)| *end_us);
            let mut still = Vec::new();
            for (name, host, stretches) in waiting {
                let chance = self.chance(host, rules.reserve_s, stretches.as_deref(), now_us);
                match chance {
                    Admission::Never => {
                        self.simulation.turns.insert(name.to_owned(), Turn::NoTime);
                        continue;
                    }
                    Admission::Later(at_us) => {
                        next_us = Some(next_us.map_or(at_us, |it| it.min(at_us)));
                        still.push((name, host, stretches));
                        continue;
                    }
                    Admission::Now => {}
                }
                match self.blocked(name, host, &working) {
                    Some((_, true)) => {
                        still.push((name, host, stretches));
                        continue;
                    }
                    Some((group, false)) => {
                        self.simulation
                            .turns
                            .insert(name.to_owned(), Turn::Blocked(group));
                        continue;
                    }
                    None => {}
                }
                if working.len() >= slots {
                    still.push((name, host, stretches));
                    continue;
                }
                let takes = match self.pace {
                    Pace::Likely => host.expected_s,
                    Pace::Slow => host.expected_p95_s,
                };
                // Something that takes no time would never end a turn of this loop.
                let end_us = now_us.saturating_add(us(takes.max(1)));
                let turn = Interval {
                    start_us: now_us,
                    end_us,
                };
                self.simulation
                    .turns
                    .insert(name.to_owned(), Turn::Works(turn));
                working.insert((end_us, name));
                next_us = Some(next_us.map_or(end_us, |it| it.min(end_us)));
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

    fn chance(
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
