//! Which versions a host may get: those that earlier waves have proven, and none that went wrong.

use std::collections::{BTreeMap, BTreeSet};

use hostler_patch::plan::{HostPlan, Pin};
use hostler_updates::{Action, PackageName, Resolution};

use super::{Machine, host::Host};
use crate::{Held, Outcome, Proof};

/// Distribution, architecture, package.
type Key = (String, String, PackageName);

/// What is known of versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Versions {
    proven: BTreeMap<Key, Vec<Proof>>,
    disproven: BTreeMap<Key, Vec<Proof>>,
}

fn os(plan: &HostPlan) -> String {
    format!("{} {}", plan.os.id, plan.os.version)
        .trim()
        .to_owned()
}

fn key(plan: &HostPlan, package: &PackageName) -> Key {
    (os(plan), plan.arch.clone(), package.clone())
}

impl Versions {
    pub(crate) fn prove(&mut self, proofs: &[Proof]) {
        add(&mut self.proven, proofs);
    }

    pub(crate) fn disprove(&mut self, proofs: &[Proof]) {
        add(&mut self.disproven, proofs);
    }

    pub(crate) fn all_proven(&self) -> impl Iterator<Item = &Proof> {
        self.proven.values().flatten()
    }

    pub(crate) fn all_disproven(&self) -> impl Iterator<Item = &Proof> {
        self.disproven.values().flatten()
    }

    fn is_proven(&self, plan: &HostPlan, action: &Action) -> bool {
        let found = self.proven.get(&key(plan, &action.package));
        found.is_some_and(|all| all.iter().any(|it| it.version == action.to))
    }

    /// Why the host may not have it; `None` if it may.
    fn held(&self, plan: &HostPlan, action: &Action, restricted: bool) -> Option<String> {
        let key = key(plan, &action.package);
        let wrong = self.disproven.get(&key).into_iter().flatten();
        if let Some(wrong) = wrong.into_iter().find(|it| it.version == action.to) {
            let hosts = wrong.hosts.join(", ");
            return Some(format!("disproven: it went wrong on {hosts}"));
        }
        if !restricted || self.is_proven(plan, action) {
            return None;
        }
        Some(match self.proven.get(&key) {
            None => "not proven: no canary has it".to_owned(),
            Some(proofs) => {
                let versions: Vec<&str> = proofs
                    .iter()
                    .map(|it| it.version.as_deref().unwrap_or("its removal"))
                    .collect();
                format!("not proven: the canaries have {}", versions.join(", "))
            }
        })
    }
}

fn add(to: &mut BTreeMap<Key, Vec<Proof>>, proofs: &[Proof]) {
    for proof in proofs {
        let key = (proof.os.clone(), proof.arch.clone(), proof.package.clone());
        let known = to.entry(key).or_default();
        if let Some(same) = known.iter_mut().find(|it| it.version == proof.version) {
            same.rebooted |= proof.rebooted;
            let hosts: BTreeSet<String> = same.hosts.drain(..).chain(proof.hosts.clone()).collect();
            same.hosts = hosts.into_iter().collect();
        } else {
            known.push(proof.clone());
        }
    }
}

impl Machine {
    /// May the hosts of the wave only have what was proven?
    pub(crate) fn restricted(&self, wave: u32) -> bool {
        let earlier = self.plan.waves.iter().take(wave as usize);
        self.plan.pin == Pin::Proven && earlier.into_iter().any(|it| it.proves)
    }

    /// Updates of the plan that the host may not have now, with the reasons.
    pub(crate) fn held_now(&self, host: usize) -> Vec<Held> {
        let plan = self.plan_of(host);
        let restricted = self.restricted(plan.wave);
        let held = plan.actions.iter().filter_map(|action| {
            let reason = self.versions.held(plan, action, restricted)?;
            Some(Held {
                package: action.package.clone(),
                version: action.to.clone(),
                reason,
            })
        });
        held.collect()
    }

    /// What the host is to have: its plan without what is held.
    pub(crate) fn wanted(&self, host: usize) -> Vec<&Action> {
        let held: BTreeSet<&PackageName> =
            self.hosts[host].held.iter().map(|it| &it.package).collect();
        let actions = self.plan_of(host).actions.iter();
        actions.filter(|it| !held.contains(&it.package)).collect()
    }

    /// The transaction of the host.
    pub(crate) fn actions_of(&self, host: usize) -> &[Action] {
        let got = self.hosts[host].got.actions.as_deref();
        got.unwrap_or(&self.plan_of(host).actions)
    }

    /// Takes what the host says would be done. Nothing comes in that the plan does not have: where only proven versions are
    /// wanted, what cannot be had is held, and all of it if more would come with it; else the plan does not fit the host.
    /// What is installed already is no difference.
    pub(crate) fn resolved(&mut self, index: usize, resolution: Resolution) {
        let wanted: Vec<Action> = self.wanted(index).into_iter().cloned().collect();
        let planned = |it: &Action| {
            let same = |want: &Action| {
                want.package == it.package && want.to == it.to && want.kind == it.kind
            };
            wanted.iter().any(same)
        };
        let extra = resolution.actions.iter().find(|it| !planned(it)).map(|it| {
            let version = it.to.as_deref().unwrap_or("its removal");
            format!("{} {version} would come with it", it.package)
        });
        let refusal = |it: &Action| -> Option<String> {
            let said = resolution
                .impossible
                .iter()
                .find(|(package, _)| *package == it.package);
            said.map(|(_, reason)| reason.clone())
                .or_else(|| extra.clone())
        };
        let refused = wanted.iter().filter_map(|it| Some((it, refusal(it)?)));
        let refused: Vec<Held> = refused
            .map(|(action, reason)| Held {
                package: action.package.clone(),
                version: action.to.clone(),
                reason,
            })
            .collect();
        let bound = self.restricted(self.plan_of(index).wave) || !self.hosts[index].held.is_empty();
        let host = &mut self.hosts[index];
        if !bound {
            if !refused.is_empty() {
                let reason = reasons(&refused);
                host.coming = Some(Outcome::PlanMismatch { reason });
            }
            return;
        }
        let kept = |it: &Action| !refused.iter().any(|held| held.package == it.package);
        let left: Vec<Action> = wanted.iter().filter(|it| kept(it)).cloned().collect();
        host.held.extend(refused);
        if left.is_empty() {
            let reason = reasons(&host.held);
            host.coming = Some(Outcome::Held { reason });
        }
        if !host.held.is_empty() {
            host.got.reboot_reasons = Some(resolution.reboot_reasons);
        }
        host.got.actions = Some(left);
    }

    /// What hosts have installed, put together by version.
    pub(crate) fn proofs<'a>(&self, hosts: impl Iterator<Item = (usize, &'a Host)>) -> Vec<Proof> {
        let mut all: BTreeMap<(Key, Option<String>), Proof> = BTreeMap::new();
        for (index, host) in hosts {
            let plan = self.plan_of(index);
            for action in self.actions_of(index) {
                let key = key(plan, &action.package);
                let proof = all
                    .entry((key, action.to.clone()))
                    .or_insert_with(|| Proof {
                        os: os(plan),
                        arch: plan.arch.clone(),
                        package: action.package.clone(),
                        version: action.to.clone(),
                        hosts: Vec::new(),
                        rebooted: false,
                    });
                proof.hosts.push(self.names[index].clone());
                proof.rebooted |= host.got.reboots > 0;
            }
        }
        all.into_values().collect()
    }

    /// Those that no wave has proven.
    pub(crate) fn unproven(&self, proofs: Vec<Proof>) -> Vec<Proof> {
        let is_proven = |it: &Proof| {
            self.versions.all_proven().any(|known| {
                known.os == it.os
                    && known.arch == it.arch
                    && known.package == it.package
                    && known.version == it.version
            })
        };
        proofs.into_iter().filter(|it| !is_proven(it)).collect()
    }
}

/// The reasons of what is held, once each.
pub(crate) fn reasons(held: &[Held]) -> String {
    let lines: BTreeSet<String> = held
        .iter()
        .map(|it| format!("{}: {}", it.package, it.reason))
        .collect();
    let shown: Vec<String> = lines.iter().take(5).cloned().collect();
    let more = lines.len().saturating_sub(shown.len());
    if more == 0 {
        shown.join("; ")
    } else {
        format!("{}; and {more} more", shown.join("; "))
    }
}
