//! What canaries have proven, and what later waves may have.

use hostler_patch::plan::{IfGone, Pin, Proven, RebootRule};
use hostler_rollout::{End, Note, Outcome, Stand};
use serde_json::{Value, json};

use super::fleet::Fault;
use super::plans::{action, action_json, host, plan, small, wave, window};
use super::world::Sim;

fn two_waves(canary: &[(&str, &str)], rest: &[(&str, &str)]) -> hostler_patch::plan::Plan {
    let mut waves = vec![wave("canary", 1), wave("rest", 2)];
    waves[0].proves = true;
    plan(
        waves,
        vec![("canary", host(0, 0, canary)), ("r", host(1, 0, rest))],
    )
}

fn resolution(actions: &[Value], impossible: &Value) -> Value {
    json!({"resolution": {
        "actions": actions, "impossible": impossible, "conffiles": [], "restarts": [], "reboot_reasons": [],
        "download_bytes": 0, "disk_bytes": 0,
        "way_back": {"packages": 0, "of": 0, "missing": [], "snapshot": null, "older_kernel": false},
    }})
}

#[tokio::test(start_paused = true)]
async fn what_was_not_proven_is_left_out_of_the_transaction() {
    let sim = Sim::new(two_waves(
        &[("nginx", "2"), ("libc6", "2")],
        &[("nginx", "2"), ("libc6", "3"), ("tzdata", "2")],
    ));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("r"), Some(Outcome::Done));
    sim.fleet.with("r", |it| {
        let versions = ["nginx", "libc6", "tzdata"].map(|name| it.packages[name].as_str());
        assert_eq!(versions, ["2", "1", "1"]);
    });
    let held: Vec<String> = sim.machine().status(i64::MAX).hosts["r"]
        .held
        .iter()
        .map(|it| format!("{} {}", it.package, it.reason))
        .collect();
    assert_eq!(
        held,
        [
            "libc6:amd64 not proven: the canaries have 2",
            "tzdata:amd64 not proven: no canary has it"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_of_which_nothing_is_proven_is_not_touched() {
    let sim = Sim::new(two_waves(&[("nginx", "2")], &[("nginx", "3")]));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        sim.outcome("r"),
        Some(Outcome::Held {
            reason: "nginx:amd64: not proven: the canaries have 2".to_owned()
        })
    );
    assert!(sim.fleet.steps_of("r").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_held_and_never_replaced_by_a_newer_one() {
    let sim = Sim::new(two_waves(
        &[("nginx", "2"), ("libc6", "2")],
        &[("nginx", "2"), ("libc6", "2")],
    ));
    let nginx = json!({"name": "nginx", "arch": "amd64"});
    let gone = resolution(
        &[action_json("libc6", Some("2"))],
        &json!([[nginx, "no source has version 2 any more"]]),
    );
    sim.fleet.fault("r", "resolve", Fault::Answer(gone));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    sim.fleet.with("r", |it| {
        let versions = ["nginx", "libc6"].map(|name| it.packages[name].as_str());
        assert_eq!(versions, ["1", "1"], "nothing is installed on it");
    });
    assert_eq!(
        sim.outcome("r"),
        Some(Outcome::Held {
            reason: "nginx:amd64: no source has version 2 any more".to_owned()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_download_that_finds_nothing_holds_the_host() {
    let message = "E: Failed to fetch http://d/nginx_2.deb  404  Not Found";
    for (fault, held) in [(Fault::Gone(message), true), (Fault::Fail(message), false)] {
        let sim = Sim::new(two_waves(&[("nginx", "2")], &[("nginx", "2")]));
        sim.fleet.fault("r", "download", fault);
        let stand = sim.run().await;
        assert_eq!(stand == Stand::Ended(End::Complete), held, "{stand:?}");
        // What a package manager says is read on the host, by who knows it.
        match sim.outcome("r") {
            Some(Outcome::Held { reason }) if held => assert_eq!(reason, message),
            Some(Outcome::Failed { failure, .. }) if !held => assert_eq!(failure.message, message),
            other => panic!("{other:?}"),
        }
        sim.fleet.with("r", |it| {
            assert!(!it.masked && !it.drained && it.packages["nginx"] == "1");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn what_would_bring_more_than_was_proven_is_held() {
    let sim = Sim::new(two_waves(&[("nginx", "2")], &[("nginx", "2")]));
    let more = resolution(
        &[
            action_json("nginx", Some("2")),
            action_json("libnew", Some("5")),
        ],
        &json!([]),
    );
    sim.fleet.fault("r", "resolve", Fault::Answer(more));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        sim.outcome("r"),
        Some(Outcome::Held {
            reason: "libnew:amd64 5 would come with it".to_owned()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_would_get_more_than_planned_does_not_fit_its_plan() {
    let sim = Sim::new(two_waves(&[("nginx", "2")], &[("nginx", "2")]));
    let more = resolution(
        &[
            action_json("nginx", Some("2")),
            action_json("libnew", Some("5")),
        ],
        &json!([]),
    );
    sim.fleet.fault("canary", "resolve", Fault::Answer(more));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(
        matches!(sim.outcome("canary"), Some(Outcome::PlanMismatch { reason }) if reason.contains("libnew"))
    );
    assert!(!sim.fleet.steps_of("canary").contains(&"mask".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_no_difference() {
    let sim = Sim::new(two_waves(&[("nginx", "2")], &[("nginx", "2")]));
    sim.fleet
        .fault("r", "resolve", Fault::Answer(resolution(&[], &json!([]))));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("r"), Some(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn proofs_are_of_a_distribution_and_an_architecture() {
    let mut it = two_waves(&[("nginx", "2")], &[("nginx", "2")]);
    it.hosts.get_mut("r").expect("r").arch = "aarch64".to_owned();
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert!(
        matches!(sim.outcome("r"), Some(Outcome::Held { reason }) if reason.contains("no canary has it"))
    );
}

#[tokio::test(start_paused = true)]
async fn the_plan_alone_decides_if_the_policy_says_so() {
    let mut it = two_waves(&[("nginx", "2")], &[("nginx", "3")]);
    it.pin = Pin::Plan;
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    sim.fleet
        .with("r", |it| assert_eq!(it.packages["nginx"], "3"));
}

#[tokio::test(start_paused = true)]
async fn removals_need_no_proof_and_are_noted() {
    let mut it = two_waves(&[("nginx", "2")], &[("nginx", "2")]);
    for name in ["canary", "r"] {
        it.hosts
            .get_mut(name)
            .expect("it")
            .actions
            .push(action("old", None));
    }
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    sim.fleet
        .with("r", |it| assert!(!it.packages.contains_key("old")));
    let proven = sim.entries().into_iter().find_map(|it| match it.note {
        Note::WavePassed { wave: 0, proven } => Some(proven),
        _ => None,
    });
    let versions: Vec<Option<String>> = proven
        .expect("passed")
        .into_iter()
        .map(|it| it.version)
        .collect();
    assert_eq!(versions, [Some("2".to_owned()), None]);
}

#[tokio::test(start_paused = true)]
async fn only_those_that_were_rebooted_have_booted_a_version() {
    let sim = Sim::new(small(&["a", "b"]));
    sim.fleet.with("a", |it| it.needs_reboot = true);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let proven = sim.entries().into_iter().find_map(|it| match it.note {
        Note::WavePassed { wave: 0, proven } => Some(proven),
        _ => None,
    });
    let proven = proven.expect("passed");
    assert_eq!(proven[0].hosts, ["a", "b"]);
    assert_eq!(proven[0].rebooted_hosts, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_a_failure_if_the_policy_says_so() {
    let mut it = two_waves(&[("nginx", "2")], &[("nginx", "2")]);
    it.if_gone = IfGone::Fail;
    let sim = Sim::new(it);
    let nginx = json!({"name": "nginx", "arch": "amd64"});
    let gone = resolution(&[], &json!([[nginx, "no source has version 2 any more"]]));
    sim.fleet.fault("r", "resolve", Fault::Answer(gone));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(matches!(
        sim.outcome("r"),
        Some(Outcome::Failed { changed: false, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn earlier_runs_prove_too() {
    let mut it = two_waves(&[("nginx", "2")], &[("libc6", "2")]);
    it.proven = vec![Proven {
        os: "debian".to_owned(),
        os_version: "13".to_owned(),
        arch: "x86_64".to_owned(),
        package: action("libc6", Some("2")).package,
        version: "2".to_owned(),
        rebooted: Vec::new(),
    }];
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("r"), Some(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn what_decides_whether_a_host_boots_is_proven_by_a_boot_of_its_class() {
    for (model, reboots, good) in [("", true, true), ("", false, false), ("R740", true, false)] {
        let kernel = [("linux-image-amd64", "2")];
        let mut it = two_waves(&kernel, &kernel);
        for name in ["canary", "r"] {
            it.hosts.get_mut(name).expect("it").reboot_reasons = vec!["a new kernel".to_owned()];
        }
        it.hosts.get_mut("r").expect("r").boot_class.model = model.to_owned();
        if !reboots {
            it.procedure.reboot = hostler_patch::plan::RebootRule::Never;
        }
        let sim = Sim::new(it);
        for name in ["canary", "r"] {
            sim.fleet.with(name, |it| it.needs_reboot = true);
        }
        assert_eq!(sim.run().await, Stand::Ended(End::Complete));
        let expected = if good {
            Outcome::Done
        } else {
            Outcome::Held {
                reason: "linux-image-amd64:amd64: not proven: no canary of its boot class was rebooted with it".to_owned(),
            }
        };
        assert_eq!(sim.outcome("r"), Some(expected), "{model} {reboots}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reboot_before_the_packages_proves_nothing_of_them() {
    let kernel = [("linux-image-amd64", "2")];
    let mut it = two_waves(&kernel, &kernel);
    it.procedure.reboot_first = true;
    it.procedure.reboot = RebootRule::IfRequired;
    for host in it.hosts.values_mut() {
        host.reboot_reasons = vec!["a new kernel".to_owned()];
    }
    it.waves[0].window = Some("night".to_owned());
    it.windows
        .insert("night".to_owned(), window("night", &[(0, 500)]));
    let sim = Sim::new(it);
    sim.fleet.with("canary", |it| {
        it.pending_reboot = true;
        it.needs_reboot = true;
    });
    // The first reboot fits, the second one does not.
    sim.fleet.fault("canary", "install", Fault::Slow(300));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert!(
        matches!(
            sim.outcome("canary"),
            Some(Outcome::InstalledPendingReboot { .. })
        ),
        "{:?}",
        sim.outcome("canary")
    );
    sim.fleet.with("canary", |it| assert_eq!(it.boots, 1));
    assert!(
        matches!(sim.outcome("r"), Some(Outcome::Held { .. })),
        "{:?}",
        sim.outcome("r")
    );
}
