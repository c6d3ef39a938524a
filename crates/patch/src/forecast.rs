//! "What will tonight's window do?": a plan gone through with the expected times.

use std::collections::{BTreeMap, BTreeSet};

use hostler_schedule::{Interval, Occurrence};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{HostPlan, LeftOutCode, Plan};
use crate::simulate::{Pace, Simulation, Turn, simulate};

/// What a plan would do. Times are microseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// Name of the policy.
    pub policy: String,
    /// Id of the plan.
    pub plan: String,
    /// From when on it was gone through.
    pub from_us: i64,
    /// Counts of hosts.
    pub hosts: HostCounts,
    /// Packages, reboots and so on of the whole plan.
    pub work: WorkCounts,
    /// The nights in which something is done, in order; for plans without windows one, from the first host to the last.
    pub nights: Vec<Night>,
    /// Waves, in order.
    pub waves: Vec<WaveForecast>,
    /// Groups that the plan touches.
    pub groups: Vec<GroupForecast>,
    /// How far hosts can be put back.
    pub way_back: WayBackCounts,
    /// When the last host is done, most likely; `None`: nothing is done.
    pub ends_us: Option<i64>,
    /// When it is in one of 20 cases.
    pub ends_p95_us: Option<i64>,
    /// The run halts at one failure more.
    pub max_failures: u32,
    /// Lines of the plan.
    pub risks: Vec<String>,
}

/// Counts of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostCounts {
    /// Hosts of the policy.
    pub all: u32,
    /// Those that will be patched.
    pub patched: u32,
    /// Those of the plan for which no window has time.
    pub no_time: u32,
    /// Those of the plan whose group can miss no host more.
    pub blocked: u32,
    /// Those that are not in the plan, by the kind of reason.
    pub left_out: BTreeMap<LeftOutCode, u32>,
}

/// Counts of work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkCounts {
    /// Package versions to be installed, over all hosts.
    pub packages: u64,
    /// Different ones of them.
    pub distinct: u32,
    /// Hosts that are rebooted.
    pub reboots: u32,
    /// Units that are restarted, over all hosts.
    pub restarts: u32,
    /// Bytes to download.
    pub download_bytes: u64,
    /// Configuration files changed by hand of which another version comes.
    pub conffiles: u32,
}

/// One opening of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Night {
    /// The occurrence; `None`: the plan has no window.
    pub occurrence: Option<Occurrence>,
    /// Hosts that are started in it.
    pub hosts: u32,
    /// Waves that are worked on in it.
    pub waves: Vec<String>,
    /// Hosts that are rebooted in it.
    pub reboots: u32,
    /// When the last of them is done, most likely.
    pub ends_us: i64,
    /// When it is in one of 20 cases.
    pub ends_p95_us: i64,
}

/// A wave as it would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaveForecast {
    /// Its name.
    pub name: String,
    /// Its window.
    pub window: Option<String>,
    /// Its hosts.
    pub hosts: u32,
    /// Most hosts at the same time.
    pub parallel: u32,
    /// It takes so many failures; the run halts at one more.
    pub max_failures: u32,
    /// Somebody must approve it.
    pub approve: bool,
    /// Its gates must stay green for so long, seconds.
    pub soak_s: u64,
    /// Its gates.
    pub gates: Vec<String>,
    /// When its first host starts.
    pub starts_us: Option<i64>,
    /// When its last host is done, most likely.
    pub ends_us: Option<i64>,
    /// When it is in one of 20 cases.
    pub ends_p95_us: Option<i64>,
    /// Hosts that do not fit into the first opening in which the wave is worked on: later ones, or none.
    pub misfits: Vec<String>,
    /// With so many at the same time they would all fit; `None` if nothing is to be gained, or groups do not allow it.
    pub parallel_that_fits: Option<u32>,
    /// Classes of hosts that no canary stands for.
    pub uncovered: Vec<String>,
}

/// What becomes of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupForecast {
    /// Its name.
    pub name: String,
    /// Its hosts.
    pub hosts: u32,
    /// Those that the plan touches.
    pub touched: u32,
    /// Those that are not there now.
    pub away: Vec<String>,
    /// So many may be unavailable.
    pub max_unavailable: u32,
    /// So many more than now.
    pub margin: u32,
    /// Most of its hosts that are unavailable at the same time, those that are not there now among them.
    pub worst: u32,
}

/// How far hosts can be put back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WayBackCounts {
    /// All of the transaction, or a snapshot of everything.
    pub full: u32,
    /// Some packages of the transaction.
    pub packages: u32,
    /// Only an older kernel.
    pub kernel_only: u32,
    /// Nothing: which hosts.
    pub none: Vec<String>,
}

/// Goes through a plan from an instant on.
pub fn forecast(plan: &Plan, id: &str, from_us: i64) -> Forecast {
    let as_planned = BTreeMap::new();
    let likely = simulate(plan, from_us, Pace::Likely, &as_planned);
    let slow = simulate(plan, from_us, Pace::Slow, &as_planned);
    let last = |simulation: &Simulation| works(simulation).map(|(_, it)| it.end_us).max();
    Forecast {
        policy: plan.policy.clone(),
        plan: id.to_owned(),
        from_us,
        hosts: host_counts(plan, &likely),
        work: work(plan),
        nights: nights(plan, &likely, &slow),
        waves: (0..plan.waves.len())
            .filter_map(|wave| wave_forecast(plan, wave, from_us, &likely, &slow))
            .collect(),
        groups: groups(plan, &likely, &slow),
        way_back: way_back(plan),
        ends_us: last(&likely),
        ends_p95_us: last(&slow),
        max_failures: plan.max_failures,
        risks: plan.risks.clone(),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn works(simulation: &Simulation) -> impl Iterator<Item = (&str, &Interval)> {
    simulation
        .turns
        .iter()
        .filter_map(|(host, turn)| match turn {
            Turn::Works(interval) => Some((host.as_str(), interval)),
            Turn::NoTime | Turn::Blocked(_) => None,
        })
}

fn host_counts(plan: &Plan, simulation: &Simulation) -> HostCounts {
    let mut counts = HostCounts {
        all: count(plan.hosts.len() + plan.left_out.len()),
        ..HostCounts::default()
    };
    for turn in simulation.turns.values() {
        match turn {
            Turn::Works(_) => counts.patched += 1,
            Turn::NoTime => counts.no_time += 1,
            Turn::Blocked(_) => counts.blocked += 1,
        }
    }
    for why in plan.left_out.values() {
        *counts.left_out.entry(why.code).or_default() += 1;
    }
    counts
}

fn work(plan: &Plan) -> WorkCounts {
    let mut counts = WorkCounts::default();
    let mut distinct = BTreeSet::new();
    for host in plan.hosts.values() {
        for action in host.actions.iter().filter(|it| it.to.is_some()) {
            counts.packages += 1;
            distinct.insert((&host.os.id, &action.package, &action.to));
        }
        counts.reboots += u32::from(!host.reboot_reasons.is_empty());
        counts.restarts = counts.restarts.saturating_add(count(host.restarts.len()));
        counts.conffiles = counts.conffiles.saturating_add(count(host.conffiles.len()));
        counts.download_bytes = counts.download_bytes.saturating_add(host.download_bytes);
    }
    counts.distinct = count(distinct.len());
    counts
}

/// The opening of a wave's window that an instant is in.
fn opening(plan: &Plan, wave: u32, at_us: i64) -> Option<&Occurrence> {
    let window = plan.waves.get(wave as usize)?.window.as_ref()?;
    let all = plan.windows.get(window)?;
    all.iter().find(|it| it.whole.holds(at_us))
}

fn nights(plan: &Plan, likely: &Simulation, slow: &Simulation) -> Vec<Night> {
    let mut nights: BTreeMap<(i64, String), Night> = BTreeMap::new();
    let slow_ends: BTreeMap<&str, i64> = works(slow).map(|(host, it)| (host, it.end_us)).collect();
    for (host, turn) in works(likely) {
        let Some(of) = plan.hosts.get(host) else {
            continue;
        };
        let occurrence = opening(plan, of.wave, turn.start_us);
        let key = occurrence.map_or((i64::MIN, String::new()), |it| {
            (it.whole.start_us, it.id.clone())
        });
        let night = nights.entry(key).or_insert_with(|| Night {
            occurrence: occurrence.cloned(),
            hosts: 0,
            waves: Vec::new(),
            reboots: 0,
            ends_us: i64::MIN,
            ends_p95_us: i64::MIN,
        });
        night.hosts += 1;
        night.reboots += u32::from(!of.reboot_reasons.is_empty());
        night.ends_us = night.ends_us.max(turn.end_us);
        // Who goes slowly may come to be done only in a later opening; here it counts as what it takes from its start.
        let taken = i64::from(of.expected_p95_s) * 1_000_000;
        let slow_end = slow_ends
            .get(host)
            .copied()
            .unwrap_or(turn.start_us + taken);
        let end = occurrence.map_or(slow_end, |it| {
            slow_end.min(it.whole.end_us.max(turn.end_us))
        });
        night.ends_p95_us = night.ends_p95_us.max(end);
        if let Some(wave) = plan.waves.get(of.wave as usize)
            && !night.waves.contains(&wave.name)
        {
            night.waves.push(wave.name.clone());
        }
    }
    let order = |name: &String| plan.waves.iter().position(|it| it.name == *name);
    nights
        .into_values()
        .map(|mut night| {
            night.waves.sort_by_key(order);
            night
        })
        .collect()
}

fn wave_forecast(
    plan: &Plan,
    index: usize,
    from_us: i64,
    likely: &Simulation,
    slow: &Simulation,
) -> Option<WaveForecast> {
    let wave = plan.waves.get(index)?;
    let number = count(index);
    let hosts: BTreeSet<&str> = plan.hosts_of(number).into_iter().collect();
    let turns = |simulation: &Simulation| -> Vec<Interval> {
        let all = works(simulation).filter(|(host, _)| hosts.contains(host));
        all.map(|(_, it)| *it).collect()
    };
    let (of_likely, of_slow) = (turns(likely), turns(slow));
    let starts_us = of_likely.iter().map(|it| it.start_us).min();
    let misfits = misfits(plan, number, likely);
    let parallel_that_fits = if misfits.is_empty() {
        None
    } else {
        enough(plan, index, from_us, hosts.len())
    };
    Some(WaveForecast {
        name: wave.name.clone(),
        window: wave.window.clone(),
        hosts: count(hosts.len()),
        parallel: wave.parallel,
        max_failures: wave.max_failures,
        approve: wave.approve,
        soak_s: wave.soak_s,
        gates: wave.gates.clone(),
        starts_us,
        ends_us: of_likely.iter().map(|it| it.end_us).max(),
        ends_p95_us: of_slow.iter().map(|it| it.end_us).max(),
        misfits,
        parallel_that_fits,
        uncovered: wave.uncovered.clone(),
    })
}

/// Hosts of a wave that are not worked on in the first opening in which it is.
fn misfits(plan: &Plan, wave: u32, simulation: &Simulation) -> Vec<String> {
    let hosts = plan.hosts_of(wave);
    let start = |host: &&str| match simulation.turns.get(*host) {
        Some(Turn::Works(it)) => Some(it.start_us),
        _ => None,
    };
    let first = hosts.iter().filter_map(start).min();
    let first = first.and_then(|at| opening(plan, wave, at));
    let mut misfits: Vec<String> = hosts
        .iter()
        .filter(|host| match (simulation.turns.get(**host), first) {
            (Some(Turn::Works(it)), Some(first)) => !first.whole.holds(it.start_us),
            (Some(Turn::NoTime), _) => true,
            (Some(Turn::Works(_) | Turn::Blocked(_)) | None, _) => false,
        })
        .map(|&host| host.to_owned())
        .collect();
    misfits.sort();
    misfits
}

/// The smallest number of hosts at the same time with which a wave fits into one opening; `None` if no number does.
fn enough(plan: &Plan, wave: usize, from_us: i64, hosts: usize) -> Option<u32> {
    let now = plan.waves.get(wave)?.parallel;
    let number = count(wave);
    let fits = |parallel: u32| {
        let limits = BTreeMap::from([(wave, parallel)]);
        misfits(
            plan,
            number,
            &simulate(plan, from_us, Pace::Likely, &limits),
        )
        .is_empty()
    };
    let (mut low, mut high) = (now, count(hosts));
    if high <= low || !fits(high) {
        return None;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

fn groups(plan: &Plan, likely: &Simulation, slow: &Simulation) -> Vec<GroupForecast> {
    plan.groups
        .iter()
        .map(|group| {
            let touched: BTreeSet<&str> = group
                .hosts
                .iter()
                .map(String::as_str)
                .filter(|it| plan.hosts.contains_key(*it))
                .collect();
            let away = count(group.unavailable.len());
            let busy = overlap(likely, &touched).max(overlap(slow, &touched));
            GroupForecast {
                name: group.name.clone(),
                hosts: count(group.hosts.len()),
                touched: count(touched.len()),
                away: group.unavailable.clone(),
                max_unavailable: group.max_unavailable,
                margin: group.max_unavailable.saturating_sub(away),
                worst: busy.saturating_add(away),
            }
        })
        .filter(|it| it.touched > 0)
        .collect()
}

/// How many of the hosts are worked on at the same time, at most.
fn overlap(simulation: &Simulation, hosts: &BTreeSet<&str>) -> u32 {
    let mut changes: Vec<(i64, i32)> = works(simulation)
        .filter(|(host, _)| hosts.contains(host))
        .flat_map(|(_, it)| [(it.start_us, 1), (it.end_us, -1)])
        .collect();
    // Who ends at an instant makes room for who starts then.
    changes.sort_unstable();
    let mut now = 0;
    let mut most = 0;
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    u32::try_from(most).unwrap_or(0)
}

/// How far a host can be put back.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Back {
    /// All of the transaction, or a snapshot of everything.
    Full,
    /// Some packages of it.
    Packages,
    /// Only an older kernel.
    KernelOnly,
    /// Nothing.
    None,
}

/// How far a host can be put back, what the plan keeps taken into account.
pub fn back(plan: &Plan, host: &HostPlan) -> Back {
    let way = &host.way_back;
    let snapshot = match &plan.procedure.snapshot {
        crate::plan::SnapshotRule::None => false,
        crate::plan::SnapshotRule::IfPossible | crate::plan::SnapshotRule::Required => {
            way.snapshot.is_some()
        }
        crate::plan::SnapshotRule::Hook { .. } => true,
    };
    let stays = |it: &&hostler_updates::Action| {
        it.from.is_some()
            && crate::glob::first_match(&plan.rollback.never_downgrade, &it.package.name).is_some()
    };
    let stay = count(host.actions.iter().filter(stays).count());
    let kept = if plan.rollback.keep_old_packages {
        way.packages.saturating_sub(stay)
    } else {
        0
    };
    if snapshot
        || host.actions.is_empty()
        || (kept >= way.of && way.missing.is_empty() && plan.rollback.keep_old_packages)
    {
        Back::Full
    } else if kept > 0 {
        Back::Packages
    } else if way.older_kernel {
        Back::KernelOnly
    } else {
        Back::None
    }
}

fn way_back(plan: &Plan) -> WayBackCounts {
    let mut counts = WayBackCounts::default();
    for (name, host) in &plan.hosts {
        match back(plan, host) {
            Back::Full => counts.full += 1,
            Back::Packages => counts.packages += 1,
            Back::KernelOnly => counts.kernel_only += 1,
            Back::None => counts.none.push(name.clone()),
        }
    }
    counts
}
