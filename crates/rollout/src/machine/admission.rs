//! Which host may start now: windows, budgets, slots.

use hostler_schedule::{Interval, intersect};

use super::waves::{WavePhase, is_good};
use super::{Machine, Stage, proven};
use crate::{Note, Outcome};

/// Gates of a group that say no are asked again after so long, at least.
pub(crate) const RED_WAIT_US: i64 = 60_000_000;
/// Where no window ends the waiting: so often.
pub(crate) const RED_LIMIT: u32 = 10;

/// When a host could start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chance {
    /// Now; until then it must be done, if there is an end.
    Now(Option<i64>),
    /// Not before then.
    Later(i64),
    /// Never in this run.
    Never(String),
}

fn us(seconds: u32) -> i64 {
    i64::from(seconds) * 1_000_000
}

impl Machine {
    /// Stretches of time in which the host may be worked on, in order; `None`: any time.
    pub(crate) fn stretches(&self, host: usize) -> Option<Vec<Interval>> {
        let plan = self.plan_of(host);
        let window = self.plan.waves[plan.wave as usize].window.as_ref();
        let window = window.map(|name| {
            let occurrences = self.plan.windows.get(name).into_iter().flatten();
            joined(occurrences.flat_map(|it| it.open.iter().copied()).collect())
        });
        match (window, &plan.own_windows) {
            (None, None) => None,
            (Some(one), None) => Some(one),
            (None, Some(own)) => Some(joined(own.clone())),
            (Some(one), Some(own)) => Some(intersect(&one, &joined(own.clone()))),
        }
    }

    /// When the host could start: it must be expected to be done before its time is over, less the reserve.
    pub(crate) fn chance(&self, host: usize, now_us: i64) -> Chance {
        let plan = self.plan_of(host);
        let wave = &self.plan.waves[plan.wave as usize];
        let valid = self.plan.valid_until_us;
        if now_us >= valid {
            return Chance::Never("the plan is not valid any more".to_owned());
        }
        let Some(stretches) = self.stretches(host) else {
            return Chance::Now(None);
        };
        let need = us(plan.expected_p95_s) + us(wave.reserve_s);
        for it in stretches {
            let start = it.start_us.max(now_us);
            if start < it.end_us && start.saturating_add(need) <= it.end_us && start < valid {
                return if start <= now_us {
                    Chance::Now(Some(it.end_us))
                } else {
                    Chance::Later(start)
                };
            }
        }
        let name = wave.window.as_deref().unwrap_or("of its own");
        let minutes = need / 60_000_000;
        Chance::Never(format!(
            "no more occurrence of window {name} has the {minutes} minutes that it needs"
        ))
    }

    /// The last moment at which it can start in the stretch that is open now.
    pub(crate) fn last_start(&self, host: usize, end_us: i64) -> i64 {
        let plan = self.plan_of(host);
        let wave = &self.plan.waves[plan.wave as usize];
        end_us - us(plan.expected_p95_s) - us(wave.reserve_s)
    }

    /// Is the rest of the procedure expected to fit, before anything is changed? Half of the predicted time is the least that
    /// is still to come then.
    pub(crate) fn change_fits(&self, host: usize, now_us: i64) -> bool {
        let state = &self.hosts[host];
        let all = us(self.plan_of(host).expected_p95_s);
        let rest = (all - (now_us - state.admitted_us)).max(all / 2);
        state
            .until_us
            .is_none_or(|end| now_us.saturating_add(rest) <= end)
    }

    /// Is a reboot expected to fit? It takes ten minutes, 25 on metal, never longer than the whole procedure.
    pub(crate) fn reboot_fits(&self, host: usize, now_us: i64) -> bool {
        let plan = self.plan_of(host);
        let class = match plan.boot_class.virtualisation.as_str() {
            "none" => us(25 * 60),
            _ => us(10 * 60),
        };
        let need = class.min(us(plan.expected_p95_s));
        let end = self.hosts[host].until_us;
        end.is_none_or(|end| now_us.saturating_add(need) <= end)
    }

    /// How many hosts of a wave may be worked on at the same time: one, then two, four, ... as hosts end well.
    pub(crate) fn slots(&self, wave: usize) -> usize {
        let plan = &self.plan.waves[wave];
        let limit = plan.parallel.max(1) as usize;
        if !plan.ramp {
            return limit;
        }
        let hosts = self.waves[wave].hosts.iter();
        let good = hosts
            .filter(|&&it| is_good(self.hosts[it].outcome.as_ref()))
            .count();
        let power = (good + 1).ilog2();
        limit.min(1 << power.min(30))
    }

    /// Members of a group that cannot be counted on, one host left out.
    pub(crate) fn missing(&self, group: usize, but: Option<usize>) -> Vec<&str> {
        let group = &self.plan.groups[group];
        let own = but.map(|it| &self.names[it]);
        let members = group.hosts.iter().filter(|it| Some(*it) != own);
        let missing = members.filter(|name| {
            let index = self.index.get(*name).copied();
            let back = index.is_some_and(|it| is_good(self.hosts[it].outcome.as_ref()));
            let gone = group.unavailable.contains(name) && !back;
            gone || index.is_some_and(|it| self.hosts[it].unavailable())
        });
        missing.map(String::as_str).collect()
    }

    /// The budget that has no room for the host, if there is one: in words, and whether waiting can help.
    pub(crate) fn budget_block(&self, host: usize) -> Option<(String, bool)> {
        for &number in &self.plan_of(host).groups {
            let Some(group) = self.plan.groups.get(number as usize) else {
                continue;
            };
            let missing = self.missing(number as usize, Some(host));
            if missing.len() < group.max_unavailable as usize {
                continue;
            }
            let passing = missing.iter().any(|name| {
                let host = self.index.get(*name).map(|&it| &self.hosts[it]);
                host.is_some_and(|it| it.in_progress() || it.doing.is_some())
            });
            let by = if missing.is_empty() {
                "nobody may be missing".to_owned()
            } else {
                format!("missing already: {}", missing.join(", "))
            };
            let reason = format!(
                "group {} may miss {} at most; {by}",
                group.name, group.max_unavailable
            );
            return Some((reason, passing));
        }
        None
    }

    /// The next host that is started, or that will not be.
    pub(crate) fn admission(&self, now_us: i64) -> Option<Note> {
        if self.stopping() {
            return None;
        }
        let wave = self.current_wave()?;
        if self.waves[wave].phase != WavePhase::Open {
            return None;
        }
        let hosts = &self.waves[wave].hosts;
        let free = {
            let busy = hosts
                .iter()
                .filter(|&&it| self.hosts[it].in_progress())
                .count();
            self.slots(wave).saturating_sub(busy)
        };
        for &index in hosts {
            let host = &self.hosts[index];
            if host.stage != Stage::Waiting || host.doing.is_some() {
                continue;
            }
            let deferred = |reason: String| {
                Some(Note::Came {
                    host: self.names[index].clone(),
                    outcome: Outcome::Deferred { reason },
                })
            };
            // Where no slot is free nobody starts: what is held is looked at when one is.
            let held = if free == 0 {
                Vec::new()
            } else {
                self.held_now(index)
            };
            if !held.is_empty() && held.len() == self.plan_of(index).actions.len() {
                let reason = proven::reasons(&held);
                return Some(Note::Came {
                    host: self.names[index].clone(),
                    outcome: Outcome::Held { reason },
                });
            }
            let until_us = match self.chance(index, now_us) {
                Chance::Now(until) => until,
                Chance::Later(_) => continue,
                Chance::Never(reason) => {
                    let block = host.blocked.clone();
                    let block = block.or_else(|| Some(self.budget_block(index)?.0));
                    return deferred(match block {
                        Some(block) => format!("{reason} (before: {block})"),
                        None => reason,
                    });
                }
            };
            if until_us.is_none() && host.reds >= RED_LIMIT {
                return deferred(host.blocked.clone().unwrap_or_default());
            }
            if free == 0 {
                continue;
            }
            if let Some((reason, passing)) = self.budget_block(index) {
                if passing {
                    continue;
                }
                return deferred(reason);
            }
            if host.not_before_us > now_us {
                continue;
            }
            return Some(Note::Admitted {
                host: self.names[index].clone(),
                until_us,
            });
        }
        None
    }

    /// When time alone could change what is decided.
    pub(crate) fn next_look(&self, now_us: i64) -> Option<i64> {
        let working = self.hosts.iter().filter(|it| it.in_progress());
        let mut times: Vec<i64> = working.map(|it| it.not_before_us).collect();
        let open = self
            .current_wave()
            .filter(|&it| self.waves[it].phase == WavePhase::Open);
        if let Some(wave) = open.filter(|_| !self.stopping()) {
            for &index in &self.waves[wave].hosts {
                if self.hosts[index].stage != Stage::Waiting {
                    continue;
                }
                times.push(self.hosts[index].not_before_us);
                match self.chance(index, now_us) {
                    Chance::Now(Some(end)) => times.push(self.last_start(index, end) + 1),
                    Chance::Later(start) => times.push(start),
                    Chance::Now(None) | Chance::Never(_) => {}
                }
                times.push(self.plan.valid_until_us);
            }
        }
        times.into_iter().filter(|&it| it > now_us).min()
    }
}

/// In order, and those that touch each other as one.
fn joined(mut all: Vec<Interval>) -> Vec<Interval> {
    all.sort_unstable();
    let mut out: Vec<Interval> = Vec::new();
    for it in all {
        match out.last_mut() {
            Some(last) if it.start_us <= last.end_us => last.end_us = last.end_us.max(it.end_us),
            _ => out.push(it),
        }
    }
    out
}
