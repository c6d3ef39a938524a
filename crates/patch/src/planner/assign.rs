//! Which host is in which wave.
//!
//! A wave of so many hosts takes those first that stand for most others: for their class (distribution, architecture, boot class,
//! role) and for the versions that others will get. What is equal after that is decided by a hash of policy and host, so that
//! the same hosts come first each month.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::Input;
use super::candidates::Candidate;
use crate::policy::{AutoCanary, Dimension, WaveHosts};

/// A host's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of its wave in the policy.
    pub(super) wave: usize,
    /// Its turn in the wave.
    pub(super) order: u32,
}

/// Assigns each candidate to a wave. A host is missing if no wave takes it.
pub(super) fn waves(
    input: &Input<'_>,
    all: &BTreeMap<String, Candidate<'_>>,
) -> BTreeMap<String, Place> {
    let rules = &input.file.policy.waves;
    let mut assigner = Assigner::new(input, all);
    for (index, rule) in rules.iter().enumerate() {
        let claimed = assigner.claimed_by(index);
        for host in &claimed {
            assigner.put(*host, index);
        }
        match &rule.hosts {
            WaveHosts::Amount(amount) => {
                let of = u32::try_from(input.members.targets.len()).unwrap_or(u32::MAX);
                assigner.take_best(index, amount.hosts(of));
            }
            WaveHosts::Auto(auto) => assigner.take_canaries(index, auto, claimed.len()),
            WaveHosts::Rest => assigner.take_rest(index),
            WaveHosts::Pattern(_) => {}
        }
    }
    assigner.places()
}

/// What tells hosts of a policy apart, for people and for canaries.
pub(super) fn class_of(
    input: &Input<'_>,
    host: &str,
    candidate: &Candidate<'_>,
    per: &[Dimension],
) -> String {
    let scan = &candidate.scanned.scan;
    let boot = &scan.boot_class;
    let parts: Vec<String> = per
        .iter()
        .map(|dimension| match dimension {
            Dimension::Os => format!("{} {}", scan.os.id, scan.os.version)
                .trim_end()
                .to_owned(),
            Dimension::Arch => scan.arch.clone(),
            Dimension::BootClass => boot_text(boot),
            Dimension::Role => match input.members.role_of(host) {
                role if role.is_empty() => "no role".into(),
                role => role,
            },
        })
        .collect();
    crate::select::shown(&parts.join(", "))
}

/// A boot class in words: `uefi kvm`, `bios metal PowerEdge R640`.
pub(crate) fn boot_text(boot: &hostler_updates::BootClass) -> String {
    let firmware = match boot.firmware {
        hostler_updates::Firmware::Uefi => "uefi",
        hostler_updates::Firmware::Bios => "bios",
        hostler_updates::Firmware::None => "no firmware",
    };
    let virtualisation = match boot.virtualisation.as_str() {
        "none" => "metal",
        other => other,
    };
    let text = format!("{firmware} {virtualisation} {}", boot.model);
    crate::select::shown(text.trim_end())
}

/// Where hosts come in a row that no rule has made: the same in each run of the policy.
fn turn(policy: &str, host: &str) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(policy.as_bytes());
    hasher.update([0]);
    hasher.update(host.as_bytes());
    let digest = hasher.finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// All ways to tell classes apart.
pub(super) const ALL_DIMENSIONS: [Dimension; 4] = [
    Dimension::Os,
    Dimension::Arch,
    Dimension::BootClass,
    Dimension::Role,
];

struct Entry<'a> {
    name: &'a str,
    /// Comes last of its wave?
    last: bool,
    turn: u64,
    /// Numbers of what it stands for: its class, its versions.
    items: Vec<usize>,
    /// The wave whose pattern it belongs to.
    claimed: Option<usize>,
    wave: Option<usize>,
}

struct Assigner<'a> {
    input: &'a Input<'a>,
    all: &'a BTreeMap<String, Candidate<'a>>,
    hosts: Vec<Entry<'a>>,
    items: usize,
}

impl<'a> Assigner<'a> {
    fn new(input: &'a Input<'a>, all: &'a BTreeMap<String, Candidate<'a>>) -> Self {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let hosts = all
            .iter()
            .map(|(name, candidate)| {
                let mut items: Vec<usize> = stands_for(input, name, candidate)
                    .into_iter()
                    .map(|item| {
                        let next = numbers.len();
                        *numbers.entry(item).or_insert(next)
                    })
                    .collect();
                items.sort_unstable();
                items.dedup();
                let claims = |set: &Option<BTreeSet<String>>| {
                    set.as_ref().is_some_and(|hosts| hosts.contains(name))
                };
                Entry {
                    name,
                    last: input.members.is_last(name),
                    turn: turn(&input.file.policy.name, name),
                    items,
                    claimed: input.members.waves.iter().position(claims),
                    wave: None,
                }
            })
            .collect();
        Assigner {
            input,
            all,
            hosts,
            items: numbers.len(),
        }
    }

    fn claimed_by(&self, wave: usize) -> Vec<usize> {
        let free = |it: &usize| self.hosts[*it].claimed == Some(wave);
        (0..self.hosts.len()).filter(free).collect()
    }

    fn put(&mut self, host: usize, wave: usize) {
        self.hosts[host].wave.get_or_insert(wave);
    }

    /// Hosts that no wave has, and none claims.
    fn free(&self) -> Vec<usize> {
        let free = |it: &usize| {
            let host = &self.hosts[*it];
            host.wave.is_none() && host.claimed.is_none()
        };
        (0..self.hosts.len()).filter(free).collect()
    }

    fn take_rest(&mut self, wave: usize) {
        for host in self.free() {
            self.put(host, wave);
        }
    }

    /// How many hosts without a wave have each item; 0 for those that a host with a wave stands for.
    fn weights(&self) -> Vec<u64> {
        let mut weights = vec![0_u64; self.items];
        for host in self.hosts.iter().filter(|it| it.wave.is_none()) {
            for item in &host.items {
                weights[*item] += 1;
            }
        }
        for host in self.hosts.iter().filter(|it| it.wave.is_some()) {
            for item in &host.items {
                weights[*item] = 0;
            }
        }
        weights
    }

    /// Takes the hosts that stand for most others, one after the other.
    fn take_best(&mut self, wave: usize, count: u32) {
        let mut weights = self.weights();
        let mut free = self.free();
        for _ in 0..count {
            let Some(best) = self.best(&free, &weights) else {
                break;
            };
            let host = free.swap_remove(best);
            for item in &self.hosts[host].items {
                weights[*item] = 0;
            }
            self.put(host, wave);
        }
    }

    /// Index in `from` of the host that stands for most others; hosts that come last are taken only if there is no other.
    fn best(&self, from: &[usize], weights: &[u64]) -> Option<usize> {
        let rank = |index: usize| {
            let host = &self.hosts[from[index]];
            let score: u64 = host.items.iter().map(|it| weights[*it]).sum();
            (host.last, std::cmp::Reverse(score), host.turn, host.name)
        };
        (0..from.len()).min_by_key(|index| rank(*index))
    }

    /// Takes so many hosts of each class; larger classes first. `claimed`: how many hosts it has besides.
    fn take_canaries(&mut self, wave: usize, auto: &AutoCanary, claimed: usize) {
        let mut classes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for index in 0..self.hosts.len() {
            let name = self.hosts[index].name;
            if let Some(candidate) = self.all.get(name) {
                let class = class_of(self.input, name, candidate, &auto.per);
                classes.entry(class).or_default().push(index);
            }
        }
        let mut classes: Vec<Vec<usize>> = classes.into_values().collect();
        // Stable: classes of one size stay in the order of their names.
        classes.sort_by_key(|hosts| std::cmp::Reverse(hosts.len()));
        let most = auto.at_most.map_or(usize::MAX, |it| it as usize);
        let mut left = most.saturating_sub(claimed);
        let mut weights = self.weights();
        for class in classes {
            let there = class
                .iter()
                .filter(|it| self.hosts[**it].wave.is_some())
                .count();
            let wanted = (auto.count as usize).saturating_sub(there);
            let free: HashSet<usize> = self.free().into_iter().collect();
            let mut from: Vec<usize> = class.into_iter().filter(|it| free.contains(it)).collect();
            for _ in 0..wanted.min(left) {
                let Some(best) = self.best(&from, &weights) else {
                    break;
                };
                let host = from.swap_remove(best);
                for item in &self.hosts[host].items {
                    weights[*item] = 0;
                }
                self.put(host, wave);
                left -= 1;
            }
        }
    }

    /// Places with turns: hosts that come last do, the others are in the order of their hashes.
    fn places(self) -> BTreeMap<String, Place> {
        let mut ordered: Vec<&Entry<'_>> =
            self.hosts.iter().filter(|it| it.wave.is_some()).collect();
        ordered.sort_by_key(|it| (it.wave, it.last, it.turn, it.name));
        let mut next: HashMap<usize, u32> = HashMap::new();
        ordered
            .into_iter()
            .filter_map(|host| {
                let wave = host.wave?;
                let order = next.entry(wave).or_default();
                let place = Place {
                    wave,
                    order: *order,
                };
                *order += 1;
                Some((host.name.to_owned(), place))
            })
            .collect()
    }
}

/// What a host stands for: its class, and each version for its distribution and architecture.
fn stands_for(input: &Input<'_>, host: &str, candidate: &Candidate<'_>) -> Vec<String> {
    let scan = &candidate.scanned.scan;
    let class = class_of(input, host, candidate, &ALL_DIMENSIONS);
    let versions = candidate.resolution.actions.iter().map(|action| {
        let to = action.to.as_deref().unwrap_or_default();
        format!(
            "{}\0{}\0{}\0{}\0{to}",
            scan.os.id, scan.os.version, scan.arch, action.package
        )
    });
    std::iter::once(class).chain(versions).collect()
}
