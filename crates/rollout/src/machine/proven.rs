//! Which versions a host may get: those that earlier waves have proven, and none that went wrong.

use std::collections::{BTreeMap, BTreeSet};

use hostler_patch::glob;
use hostler_patch::plan::{HostPlan, IfGone, Pin, Plan};
use hostler_updates::{Action, ActionKind, BootClass, Firmware, PackageName, Resolution};

use super::{Machine, host::Host};
use crate::{Held, Outcome, Proof};

/// Distribution, architecture, package.
type Key = (String, String, PackageName);

/// What is known of versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Versions {
    proven: BTreeMap<Key, Vec<Proof>>,
    disproven: BTreeMap<Key, Vec<Proof>>,
    /// Proven by earlier runs, as the plan says.
    earlier: BTreeSet<(Key, String)>,
    /// Boot classes that were rebooted with a version.
    booted: BTreeMap<(Key, Option<String>), BTreeSet<BootClass>>,
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
    /// What the plan brings of earlier runs.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut versions = Self::default();
        for it in &plan.proven {
            let os = format!("{} {}", it.os, it.os_version).trim().to_owned();
            let key = (os, it.arch.clone(), it.package.clone());
            let booted = versions
                .booted
                .entry((key.clone(), Some(it.version.clone())));
            booted.or_default().extend(it.rebooted.iter().cloned());
            versions.earlier.insert((key, it.version.clone()));
        }
        versions
    }

    /// `booted` are the boot classes of the hosts that were rebooted.
    pub(crate) fn prove(&mut self, proofs: &[Proof], booted: impl Fn(&str) -> Option<BootClass>) {
        add(&mut self.proven, proofs);
        for proof in proofs {
            let key = (proof.os.clone(), proof.arch.clone(), proof.package.clone());
            let classes = self.booted.entry((key, proof.version.clone())).or_default();
            classes.extend(proof.hosts.iter().filter_map(|it| booted(it)));
        }
    }

    pub(crate) fn disprove(&mut self, proofs: &[Proof]) {
        add(&mut self.disproven, proofs);
    }

    pub(crate) fn is_disproven(&self, proof: &Proof) -> bool {
        let key = (proof.os.clone(), proof.arch.clone(), proof.package.clone());
        let mut known = self.disproven.get(&key).into_iter().flatten();
        known.any(|it| it.version == proof.version)
    }

    pub(crate) fn all_proven(&self) -> impl Iterator<Item = &Proof> {
        self.proven.values().flatten()
    }

    pub(crate) fn all_disproven(&self) -> impl Iterator<Item = &Proof> {
        self.disproven.values().flatten()
    }

    /// Why the host may not have it; `None` if it may.
    fn held(
        &self,
        run: &Plan,
        plan: &HostPlan,
        action: &Action,
        restricted: bool,
    ) -> Option<String> {
        let key = key(plan, &action.package);
        let wrong = self.disproven.get(&key).into_iter().flatten();
        if let Some(wrong) = wrong.into_iter().find(|it| it.version == action.to) {
            let hosts = wrong.hosts.join(", ");
            return Some(format!("disproven: it went wrong on {hosts}"));
        }
        let version = action
            .to
            .as_ref()
            .filter(|_| restricted && action.kind != ActionKind::Remove)?;
        let proofs = self.proven.get(&key).map(Vec::as_slice).unwrap_or_default();
        let earlier = self.earlier.contains(&(key.clone(), version.clone()));
        if !earlier && !proofs.iter().any(|it| it.version.as_ref() == Some(version)) {
            if proofs.is_empty() {
                return Some("not proven: no canary has it".to_owned());
            }
            let versions: Vec<&str> = proofs
                .iter()
                .filter_map(|it| it.version.as_deref())
                .collect();
            return Some(format!(
                "not proven: the canaries have {}",
                versions.join(", ")
            ));
        }
        let critical = glob::first_match(&run.boot_critical, &action.package.name).is_some();
        let boots = !plan.reboot_reasons.is_empty() && plan.boot_class.firmware != Firmware::None;
        let booted = self.booted.get(&(key, action.to.clone()));
        let same = booted.is_some_and(|it| it.contains(&plan.boot_class));
        (critical && boots && !same)
            .then(|| "not proven: no canary of its boot class was rebooted with it".to_owned())
    }
}

/// Names of both, each once.
fn join(names: &mut Vec<String>, more: &[String]) {
    let all: BTreeSet<String> = names.drain(..).chain(more.iter().cloned()).collect();
    names.extend(all);
}

fn add(to: &mut BTreeMap<Key, Vec<Proof>>, proofs: &[Proof]) {
    for proof in proofs {
        let key = (proof.os.clone(), proof.arch.clone(), proof.package.clone());
        let known = to.entry(key).or_default();
        if let Some(same) = known.iter_mut().find(|it| it.version == proof.version) {
            join(&mut same.hosts, &proof.hosts);
            join(&mut same.rebooted_hosts, &proof.rebooted_hosts);
        } else {
            known.push(proof.clone());
        }
    }
}

impl Machine {
    /// May the hosts of the wave only have what was proven?
    pub(crate) fn restricted(&self, wave: u32) -> bool {
        let proves = self
            .plan
            .waves
            .get(wave as usize)
            .is_some_and(|it| it.proves);
        self.plan.pin == Pin::Proven && !proves
    }

    /// What a wave has proven, as the note says.
    pub(crate) fn prove(&mut self, proofs: &[Proof]) {
        let booted: BTreeMap<&str, BootClass> = self
            .names
            .iter()
            .enumerate()
            .filter(|(index, _)| self.hosts[*index].got.rebooted)
            .map(|(index, name)| (name.as_str(), self.plan_of(index).boot_class.clone()))
            .collect();
        let mut versions = std::mem::take(&mut self.versions);
        versions.prove(proofs, |host| booted.get(host).cloned());
        self.versions = versions;
    }

    /// Updates of the plan that the host may not have now, with the reasons.
    pub(crate) fn held_now(&self, host: usize) -> Vec<Held> {
        let plan = self.plan_of(host);
        let restricted = self.restricted(plan.wave);
        let held = plan.actions.iter().filter_map(|action| {
            let reason = self.versions.held(&self.plan, plan, action, restricted)?;
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
    /// wanted, all of it is held if more would come with it; else the plan does not fit the host. What cannot be had any
    /// more is dealt with as the plan says. What is installed already is no difference.
    ///
    /// # Errors
    /// Something cannot be had, and the plan takes that for a failure.
    pub(crate) fn resolved(&mut self, index: usize, resolution: Resolution) -> Result<(), String> {
        let wanted: Vec<Action> = self.wanted(index).into_iter().cloned().collect();
        let is_wanted = |package: &PackageName| wanted.iter().any(|it| it.package == *package);
        let gone: Vec<String> = resolution
            .impossible
            .iter()
            .filter(|(package, _)| is_wanted(package))
            .map(|(package, why)| format!("{package}: {why}"))
            .collect();
        if !gone.is_empty() {
            return self.gone(index, &gone.join("; "));
        }
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
        let bound = self.restricted(self.plan_of(index).wave) || !self.hosts[index].held.is_empty();
        match extra {
            Some(extra) if bound => self.hold_all(index, &extra),
            Some(extra) => {
                self.hosts[index].coming = Some(Outcome::PlanMismatch { reason: extra });
            }
            None if !self.hosts[index].held.is_empty() => {
                let host = &mut self.hosts[index];
                host.got.reboot_reasons = Some(resolution.reboot_reasons);
                host.got.actions = Some(wanted);
            }
            None => {}
        }
        Ok(())
    }

    /// A version cannot be had any more: nothing is installed on the host, never a newer one instead.
    pub(crate) fn gone(&mut self, index: usize, reason: &str) -> Result<(), String> {
        match self.plan.if_gone {
            IfGone::Fail => Err(format!("it cannot be had any more: {reason}")),
            IfGone::Hold => {
                self.hold_all(index, reason);
                Ok(())
            }
        }
    }

    fn hold_all(&mut self, index: usize, reason: &str) {
        let held: Vec<Held> = self
            .wanted(index)
            .into_iter()
            .map(|it| Held {
                package: it.package.clone(),
                version: it.to.clone(),
                reason: reason.to_owned(),
            })
            .collect();
        let host = &mut self.hosts[index];
        host.held.extend(held);
        host.got.actions = Some(Vec::new());
        host.coming = Some(Outcome::Held {
            reason: reason.to_owned(),
        });
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
                        rebooted_hosts: Vec::new(),
                    });
                proof.hosts.push(self.names[index].clone());
                if host.got.rebooted {
                    proof.rebooted_hosts.push(self.names[index].clone());
                }
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
