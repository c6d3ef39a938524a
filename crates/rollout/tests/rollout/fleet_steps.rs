//! What steps do on a simulated host, and what they give.

use std::time::Duration;

use hostler_rollout::{Step, StepCall, StepOutcome, StepWork};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fleet::{Fleet, SimHost, boot_id};

impl Fleet {
    /// How many seconds a step takes.
    pub(crate) fn lasts(step: Step) -> u64 {
        match step {
            Step::Install => 60,
            Step::Download => 20,
            Step::Rollback => 30,
            Step::Reboot | Step::Mask | Step::Release => 1,
            _ => 3,
        }
    }

    pub(crate) fn effect(&self, call: &StepCall) -> StepOutcome {
        let args = match &call.work {
            StepWork::Module { args, .. } => args.clone(),
            StepWork::Hook { .. } | StepWork::Probe => Value::Null,
        };
        let values = self.with(&call.host, |host| match call.step {
            Step::Resolve => {
                let wanted = args["wanted"].as_array().cloned().unwrap_or_default();
                let actions: Vec<Value> = wanted
                    .iter()
                    .map(|it| super::plans::action_json(it["name"].as_str().expect("a name"), it["version"].as_str()))
                    .collect();
                json!({"resolution": {
                    "actions": actions, "impossible": [], "conffiles": [], "restarts": [], "reboot_reasons": [],
                    "download_bytes": 0, "disk_bytes": 0,
                    "way_back": {"packages": 0, "of": 0, "missing": [], "snapshot": null, "older_kernel": false},
                }})
            }
            Step::Preflight => json!({"preflight": {"refused": [], "repaired": [], "findings": []}}),
            Step::Mask => {
                host.masked = true;
                json!({"names": ["apt-daily.timer"]})
            }
            Step::Release => {
                host.masked = false;
                json!({"names": ["apt-daily.timer"]})
            }
            Step::Download => json!({"downloaded": {
                "files": [], "kept_for_way_back": [], "without_way_back": [], "bytes": 1}}),
            Step::Pre(_) => {
                host.drained = true;
                json!({})
            }
            Step::Undo(_) => {
                host.drained = false;
                json!({})
            }
            Step::Post(_) => json!({}),
            Step::Baseline => json!({"baseline": baseline(host.boots)}),
            Step::Snapshot => {
                host.snapshot = true;
                json!({"snapshot": {"provider": "btrfs", "name": "@hostler", "how_back": "boot it"}})
            }
            Step::RemoveSnapshot => {
                host.snapshot = false;
                json!({})
            }
            Step::Install => install(host, &args),
            Step::Restart => {
                let need = if host.needs_reboot { "yes" } else { "no" };
                let reasons = if host.needs_reboot { json!(["a new kernel"]) } else { json!([]) };
                json!({"restarted": {"units": [], "left": [], "reboot": {"need": need, "reasons": reasons}}})
            }
            Step::Look => {
                let pending = host.pending_reboot;
                let need = if pending { "yes" } else { "no" };
                json!({"scan": {"reboot": {"need": need, "reasons": []}, "kernel": {"running": "6.1", "newest": "6.2"}}})
            }
            Step::Reboot => {
                if args["boot_id"] == json!(boot_id(host.boots)) {
                    if host.deaf_reboots > 0 {
                        host.deaf_reboots -= 1;
                    } else {
                        host.boots += 1;
                        host.pending_reboot = false;
                        host.kernel = "6.2".into();
                        host.down_until = Some(Instant::now() + Duration::from_secs(host.boot_s));
                    }
                }
                json!({"rebooting": true})
            }
            Step::Back => Value::Null,
            Step::Verify => verify(host, &args),
            Step::Rollback => roll_back(host, &args),
        });
        StepOutcome::Done { values }
    }
}

/// Judges boot ids as the module does.
fn verify(host: &SimHost, args: &Value) -> Value {
    let expected = args["expected_kernel"].as_str();
    let mut problems = Vec::new();
    if expected.is_some_and(|it| it != host.kernel) {
        problems.push("kernel is not as expected");
    }
    let same = args["baseline"]["boot_id"] == json!(boot_id(host.boots));
    if args["rebooted"] == json!(same) {
        problems.push("its boot id is not as expected");
    }
    json!({"differences": [], "baseline": baseline(host.boots), "problems": problems, "settling": false})
}

fn install(host: &mut SimHost, args: &Value) -> Value {
    put(host, args, "to");
    json!({"installed": {
        "actions": args["actions"], "conffiles_left": [], "kept_in": "/var/lib/x", "seconds": 60}})
}

fn roll_back(host: &mut SimHost, args: &Value) -> Value {
    put(host, args, "from");
    json!({"rolled_back": {"actions": args["actions"], "left": [], "needs_reboot": false}})
}

fn put(host: &mut SimHost, args: &Value, which: &str) {
    for it in args["actions"].as_array().into_iter().flatten() {
        let name = it["package"]["name"].as_str().expect("a name").to_owned();
        match it[which].as_str() {
            Some(version) => host.packages.insert(name, version.to_owned()),
            None => host.packages.remove(&name),
        };
    }
}

pub(crate) fn baseline(boots: u32) -> Value {
    json!({
        "boot_id": boot_id(boots), "kernel": "6.1", "system_state": "running", "units": [], "failed_units": [],
        "ports": [], "mounts": [], "routes": [], "containers": [],
    })
}

/// What `patch_verify` gives if something is not as it was.
pub(crate) fn verdict(what: &str, which: &str, missing: bool, boots: u32) -> Value {
    json!({
        "differences": [{"what": what, "which": which, "missing": missing}],
        "baseline": baseline(boots), "problems": [], "settling": false,
    })
}
