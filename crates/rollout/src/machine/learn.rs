//! What is kept of what a step gave.

use hostler_patch::planner::{clock_refusal, clock_skew_s};
use hostler_updates::{
    Baseline, Difference, Downloaded, Installed, Preflight, RebootNeed, Restarted, RolledBack,
    Snapshot,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Machine;
use super::back::is_boot_id;
use super::host::Look;
use super::place::Place;
use super::results::short;
use crate::{Outcome, Step};

impl Machine {
    /// Keeps what a step gave. An error is the step's failure.
    pub(super) fn learn(
        &mut self,
        index: usize,
        step: Step,
        values: &Value,
        at_us: i64,
    ) -> Result<Next, String> {
        match step {
            Step::Resolve => {
                self.resolved(index, read(values, "resolution")?)?;
                let ends = self.hosts[index].coming.is_some();
                return Ok(if ends { Next::Settle } else { Next::On });
            }
            Step::Preflight => return Ok(self.preflight(index, read(values, "preflight")?, at_us)),
            Step::Download => {
                let downloaded: Downloaded = read(values, "downloaded")?;
                for it in downloaded.without_way_back {
                    self.finding(
                        index,
                        format!("no way back: the installed version of {it} cannot be had again"),
                    );
                }
            }
            Step::Look => self.looked(index, values)?,
            Step::Baseline => {
                let baseline: Baseline = read(values, "baseline")?;
                if !is_boot_id(&baseline.boot_id) {
                    return Err("the host has no valid boot id".to_owned());
                }
                let host = &mut self.hosts[index];
                if host.place == Place::RollbackLook {
                    // It may have been rebooted while nobody looked: the boot that a reboot ends is this one.
                    host.got.rebooted |= host.got.boot_id != baseline.boot_id;
                    host.got.boot_id = baseline.boot_id;
                    host.got.rolled_back = None;
                    host.got.restarted_back = None;
                    return Ok(Next::On);
                }
                host.got.boot_id = baseline.boot_id;
                host.got.baseline = values.get("baseline").cloned();
            }
            Step::Snapshot if self.snapshot_is_hook() => self.hosts[index].got.snapshot_hook = true,
            Step::Snapshot => {
                let snapshot: Snapshot = read(values, "snapshot")?;
                self.hosts[index].got.snapshot = Some(snapshot);
            }
            Step::Install => {
                let installed: Installed = read(values, "installed")?;
                for path in &installed.conffiles_left {
                    self.finding(
                        index,
                        format!("configuration file left beside another: {path}"),
                    );
                }
                self.hosts[index].got.installed = Some(installed);
            }
            Step::Restart => self.restarted(index, read(values, "restarted")?),
            Step::Back => self.is_back(index, read(values, "boot_id")?, read(values, "reboots")?),
            Step::Verify => self.verified(index, values)?,
            Step::Rollback => {
                let hook = self.snapshot_is_hook() && self.by_snapshot(index);
                if !hook {
                    let back: RolledBack = read(values, "rolled_back")?;
                    self.hosts[index].got.rolled_back = Some(back);
                }
                self.hosts[index].changed = false;
            }
            Step::Mask
            | Step::Pre(_)
            | Step::Post(_)
            | Step::Undo(_)
            | Step::Release
            | Step::RemoveSnapshot
            | Step::Reboot => {}
        }
        Ok(Next::On)
    }

    fn preflight(&mut self, index: usize, mut preflight: Preflight, at_us: i64) -> Next {
        let skew = clock_skew_s(preflight.clock_us, self.hosts[index].asked_us, at_us);
        let most = self.plan.procedure.clock_skew_max_s;
        preflight.refused.extend(clock_refusal(skew, most.into()));
        for line in preflight.repaired {
            self.finding(index, format!("repaired: {line}"));
        }
        for it in preflight.findings {
            self.finding(index, format!("{}: {}", it.code, it.text));
        }
        if preflight.refused.is_empty() {
            return Next::On;
        }
        let reason = format!("refused: {}", preflight.refused.join("; "));
        self.hosts[index].coming = Some(Outcome::Deferred {
            reason: short(&reason),
        });
        Next::Settle
    }

    fn looked(&mut self, index: usize, values: &Value) -> Result<(), String> {
        let part = |name: &str| values.pointer(name).unwrap_or(&Value::Null);
        let look = Look {
            need: read(part("/scan/reboot"), "need")?,
            kernel: read(part("/scan/kernel"), "newest")?,
        };
        let host = &mut self.hosts[index];
        match host.place {
            Place::LookFirst => host.got.look_first = Some(look),
            _ => host.got.look = Some(look),
        }
        Ok(())
    }

    fn restarted(&mut self, index: usize, restarted: Restarted) {
        for (unit, why) in &restarted.left {
            self.finding(index, format!("{unit} still runs replaced files: {why}"));
        }
        if restarted.reboot.need == RebootNeed::Unknown {
            self.finding(
                index,
                "whether a reboot is needed cannot be told".to_owned(),
            );
        }
        let host = &mut self.hosts[index];
        match host.place {
            Place::Restart => host.got.restarted = Some(restarted),
            _ => host.got.restarted_back = Some(restarted),
        }
    }

    fn is_back(&mut self, index: usize, boot_id: String, reboots: u32) {
        let host = &mut self.hosts[index];
        host.got.boot_id = boot_id;
        host.got.reboots = host.got.reboots.saturating_add(reboots);
        host.got.rebooted |= host.place == Place::Back;
        host.reboot_again = false;
        if reboots > 1 {
            self.finding(index, format!("it booted {reboots} times"));
        }
    }

    fn verified(&mut self, index: usize, values: &Value) -> Result<(), String> {
        let differences: Vec<Difference> = read(values, "differences")?;
        let mut problems: Vec<String> = read(values, "problems")?;
        let settling: bool = read(values, "settling")?;
        let now: Baseline = read(values, "baseline")?;
        problems.extend(differences.iter().map(|it| {
            let word = if it.missing { "missing" } else { "new" };
            format!("{word} {}: {}", it.what, it.which)
        }));
        if settling {
            problems.push("it is still starting".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let host = &mut self.hosts[index];
        host.healthy = true;
        if is_boot_id(&now.boot_id) {
            host.got.boot_id = now.boot_id;
        }
        if host.place == Place::RollbackVerify {
            let back = host.got.rolled_back.as_ref();
            let lines = back.into_iter().flat_map(|it| &it.left);
            let left: Vec<String> = lines
                .map(|(package, why)| format!("{package}: {why}"))
                .collect();
            let failure = match host.coming.take() {
                Some(Outcome::Failed { failure, .. }) => Some(failure),
                Some(Outcome::RolledBack { failure, .. }) => failure,
                _ => None,
            };
            host.coming = Some(Outcome::RolledBack { failure, left });
        }
        Ok(())
    }
}

/// Where a host goes after a step that was done.
pub(super) enum Next {
    /// To the next place.
    On,
    /// It has its outcome: what is owed is done.
    Settle,
}

fn read<T: DeserializeOwned>(values: &Value, name: &str) -> Result<T, String> {
    let value = values.get(name).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value)
        .map_err(|error| format!("the answer of the host cannot be read: {name}: {error}"))
}
