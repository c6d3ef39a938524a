//! The procedure on a host: what is owed, what is tried again, what is put back.

use hostler_patch::plan::{HostRollback, SnapshotRule, UnreachableRule, WaveRollback};
use hostler_rollout::{End, FailureKind, HaltCause, Outcome, Stand};
use hostler_updates::SnapshotProvider;
use serde_json::json;

use super::fleet::Fault;
use super::fleet_steps::verdict;
use super::plans::{group, small};
use super::world::Sim;

fn at_step(sim: &Sim, host: &str, step: &str) -> usize {
    sim.fleet
        .steps_of(host)
        .iter()
        .filter(|it| it.as_str() == step)
        .count()
}

#[tokio::test(start_paused = true)]
async fn hooks_are_tried_as_often_as_they_say() {
    let sim = Sim::new(small(&["a"]));
    sim.fleet.fault("a", "pre-0", Fault::Fail("busy"));
    sim.fleet.fault("a", "post-0", Fault::Fail("not yet"));
    sim.fleet.fault("a", "undo-0", Fault::Fail("busy"));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("a"), Some(Outcome::Done));
    assert_eq!(
        ["pre-0", "post-0", "undo-0"].map(|it| at_step(&sim, "a", it)),
        [2, 2, 2]
    );
}

#[tokio::test(start_paused = true)]
async fn a_smoke_test_that_fails_keeps_the_host_drained() {
    let sim = Sim::new(small(&["a"]));
    sim.fleet.fault("a", "post-0", Fault::Fail("502"));
    sim.fleet.fault("a", "post-0", Fault::Fail("502"));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(matches!(
        sim.outcome("a"),
        Some(Outcome::Failed { failure, changed: true }) if failure.kind == FailureKind::Hook && failure.message == "502"
    ));
    assert_eq!(at_step(&sim, "a", "undo-0"), 0);
    assert_eq!(at_step(&sim, "a", "release"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_cannot_be_undone_is_a_failure_and_tried_again_by_a_resume() {
    let sim = Sim::new(small(&["a"]));
    for _ in 0..2 {
        sim.fleet
            .fault("a", "undo-0", Fault::Fail("the load balancer is gone"));
    }
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    sim.fleet.with("a", |it| assert!(it.drained && !it.masked));
    assert!(
        matches!(sim.outcome("a"), Some(Outcome::Failed { failure, .. }) if failure.kind == FailureKind::Undo)
    );
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    sim.fleet.with("a", |it| assert!(!it.drained));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_out_of_reach_from_the_start() {
    for (rule, counts) in [
        (UnreachableRule::CountAsFailure, true),
        (UnreachableRule::Defer, false),
    ] {
        let mut plan = small(&["a", "b", "c"]);
        plan.unreachable = rule;
        plan.groups = vec![group("db", &["a", "c"], 1, None)];
        for name in ["a", "c"] {
            plan.hosts.get_mut(name).expect("it").groups = vec![0];
        }
        let sim = Sim::new(plan);
        sim.fleet.with("a", |it| it.lost.push((0, 1_000_000)));
        let stand = sim.run().await;
        assert_eq!(
            matches!(stand, Stand::Ended(End::Halted(_))),
            counts,
            "{stand:?}"
        );
        assert!(matches!(
            sim.outcome("a"),
            Some(Outcome::Unreachable { changed: false, .. })
        ));
        assert_eq!(
            sim.told_of("a")
                .iter()
                .filter(|it| it.contains("unreachable"))
                .count(),
            3
        );
        if !counts {
            // It does not count as a failure; its group misses it all the same.
            assert!(
                matches!(sim.outcome("c"), Some(Outcome::Deferred { reason }) if reason.contains("missing already: a"))
            );
            assert_eq!(sim.outcome("b"), Some(Outcome::Done));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_cut_at_each_step_is_found_again() {
    // The whole procedure takes 106 seconds: cut it at each of them, for two minutes.
    for cut in 0..106 {
        let sim = Sim::new(small(&["a"]));
        sim.fleet.with("a", |it| it.lost.push((cut, cut + 120)));
        let stand = sim.run().await;
        assert_eq!(
            stand,
            Stand::Ended(End::Complete),
            "cut at {cut}: {:#?}",
            sim.told()
        );
        assert_eq!(sim.outcome("a"), Some(Outcome::Done), "cut at {cut}");
        assert_eq!(sim.fleet.doubled(), Vec::<String>::new());
        assert_eq!(at_step(&sim, "a", "install"), 1);
        sim.fleet.with("a", |it| assert!(!it.drained && !it.masked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_lost_in_the_middle_is_given_up_with_what_is_owed() {
    let sim = Sim::new(small(&["a"]));
    sim.fleet.with("a", |it| it.lost.push((50, 1_000_000)));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(matches!(
        sim.outcome("a"),
        Some(Outcome::Unreachable {
            changed: true,
            counts: true,
            ..
        })
    ));
    assert!(
        (900..1200).contains(&sim.fleet.seconds()),
        "{}",
        sim.fleet.seconds()
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_of_is_looked_at_again() {
    for done in [true, false] {
        let sim = Sim::new(small(&["a"]));
        sim.fleet.fault("a", "install", Fault::Unknown(done));
        assert_eq!(sim.run().await, Stand::Ended(End::Complete));
        assert_eq!(at_step(&sim, "a", "install"), 2);
        assert_eq!(
            sim.fleet.doubled(),
            Vec::<String>::new(),
            "a new attempt has a new name"
        );
    }
    let sim = Sim::new(small(&["a"]));
    for _ in 0..3 {
        sim.fleet.fault("a", "install", Fault::Unknown(false));
    }
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
}

#[tokio::test(start_paused = true)]
async fn a_failed_host_goes_back_to_its_packages() {
    let mut plan = small(&["a", "b"]);
    plan.waves[0].max_failures = 1;
    plan.rollback.on_host_failure = HostRollback::Packages;
    let sim = Sim::new(plan);
    sim.fleet.fault("a", "post-0", Fault::Fail("502"));
    sim.fleet.fault("a", "post-0", Fault::Fail("502"));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let Some(Outcome::RolledBack {
        failure: Some(failure),
        left,
    }) = sim.outcome("a")
    else {
        panic!("{:?}", sim.outcome("a"));
    };
    assert_eq!((failure.message.as_str(), left.len()), ("502", 0));
    sim.fleet.with("a", |it| {
        assert_eq!(it.packages["nginx"], "1");
        assert!(!it.drained && !it.masked);
    });
    // What went wrong there is not installed on the next one.
    let Some(Outcome::Held { reason }) = sim.outcome("b") else {
        panic!("{:?}", sim.outcome("b"));
    };
    assert_eq!(reason, "nginx:amd64: disproven: it went wrong on a");
    assert!(sim.fleet.steps_of("b").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_back_is_said() {
    let mut plan = small(&["a"]);
    plan.rollback.on_host_failure = HostRollback::Packages;
    plan.rollback.never_downgrade = vec!["nginx*".to_owned()];
    let sim = Sim::new(plan);
    sim.fleet.fault("a", "install", Fault::Fail("dpkg: error"));
    let nginx = json!({"name": "nginx", "arch": "amd64"});
    let back = json!({"rolled_back": {"actions": [], "left": [[nginx, "it is never downgraded"]], "needs_reboot": false}});
    sim.fleet.fault("a", "rollback", Fault::Answer(back));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(matches!(
        sim.outcome("a"),
        Some(Outcome::RolledBack { left, .. }) if left == ["nginx:amd64: it is never downgraded"]
    ));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_fails_or_does_not_help_stays_a_failure() {
    for step in ["rollback", "verify"] {
        let mut plan = small(&["a"]);
        plan.rollback.on_host_failure = HostRollback::Packages;
        let sim = Sim::new(plan);
        sim.fleet.fault("a", "install", Fault::Fail("dpkg: error"));
        match step {
            "rollback" => sim
                .fleet
                .fault("a", "rollback", Fault::Fail("no old files")),
            _ => (0..30).for_each(|_| {
                sim.fleet.fault(
                    "a",
                    "verify",
                    Fault::Answer(verdict("unit", "nginx.service", true, 0)),
                );
            }),
        }
        assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
        let Some(Outcome::Failed { failure, .. }) = sim.outcome("a") else {
            panic!("{:?}", sim.outcome("a"));
        };
        assert_eq!(failure.kind, FailureKind::Rollback);
        assert!(
            failure.message.contains("put back because of: dpkg: error"),
            "{failure:?}"
        );
        sim.fleet.with("a", |it| assert!(it.drained));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_fails_goes_back_as_a_whole() {
    for (rule, back) in [
        (WaveRollback::None, ""),
        (WaveRollback::FailedHosts, "b"),
        (WaveRollback::WholeWave, "ab"),
    ] {
        let mut plan = small(&["a", "b", "c"]);
        plan.rollback.on_wave_failure = rule;
        let sim = Sim::new(plan);
        sim.fleet.fault("b", "install", Fault::Fail("dpkg: error"));
        let stand = sim.run().await;
        assert!(matches!(
            stand,
            Stand::Ended(End::Halted(HaltCause::WaveFailures { .. }))
        ));
        for name in ["a", "b"] {
            let is_back = matches!(sim.outcome(name), Some(Outcome::RolledBack { .. }));
            assert_eq!(
                is_back,
                back.contains(name),
                "{rule:?} {name}: {:?}",
                sim.outcome(name)
            );
            if is_back {
                sim.fleet.with(name, |it| {
                    assert_eq!((it.packages["nginx"].as_str(), it.drained), ("1", false));
                });
            }
        }
        assert_eq!(sim.outcome("c"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_red_gate_of_a_wave_takes_the_wave_back() {
    let mut plan = super::plans::three_waves(1);
    plan.rollback.on_wave_failure = WaveRollback::WholeWave;
    let sim = Sim::new(plan);
    sim.fleet.red.lock().expect("lock").push("check".to_owned());
    assert!(matches!(
        sim.run().await,
        Stand::Ended(End::Halted(HaltCause::Gate { .. }))
    ));
    assert_eq!(
        sim.outcome("canary"),
        Some(Outcome::RolledBack {
            failure: None,
            left: Vec::new()
        })
    );
    // It is drained again before it is put back.
    assert_eq!(at_step(&sim, "canary", "pre-0"), 2);
    sim.fleet.with("canary", |it| {
        assert!(!it.drained && !it.masked && it.packages["nginx"] == "1");
    });
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_made_used_and_removed() {
    let mut plan = small(&["a"]);
    plan.procedure.snapshot = SnapshotRule::IfPossible;
    plan.hosts.get_mut("a").expect("a").way_back.snapshot = Some(SnapshotProvider::Btrfs);
    let sim = Sim::new(plan.clone());
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        (
            at_step(&sim, "a", "snapshot"),
            at_step(&sim, "a", "remove-snapshot")
        ),
        (1, 1)
    );

    plan.rollback.on_host_failure = HostRollback::Snapshot;
    let sim = Sim::new(plan.clone());
    sim.fleet.fault("a", "install", Fault::Fail("dpkg: error"));
    let back = json!({"rolled_back": {"actions": [], "left": [], "needs_reboot": true}});
    sim.fleet.fault("a", "rollback", Fault::Answer(back));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(matches!(sim.outcome("a"), Some(Outcome::RolledBack { .. })));
    sim.fleet.with("a", |it| {
        assert_eq!(it.boots, 1, "it is booted into the snapshot");
    });

    plan.procedure.snapshot = SnapshotRule::Required;
    let sim = Sim::new(plan);
    sim.fleet
        .fault("a", "snapshot", Fault::Fail("no space in the volume group"));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert!(
        matches!(sim.outcome("a"), Some(Outcome::Deferred { reason }) if reason.contains("no space in the volume group"))
    );
    sim.fleet.with("a", |it| assert!(!it.drained));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_a_failure_and_no_panic() {
    for step in [
        "resolve",
        "preflight",
        "download",
        "baseline",
        "install",
        "restart",
        "verify",
    ] {
        let sim = Sim::new(small(&["a"]));
        for _ in 0..30 {
            sim.fleet
                .fault("a", step, Fault::Answer(json!({"surprise": [1, 2, 3]})));
        }
        assert!(
            matches!(sim.run().await, Stand::Ended(End::Halted(_))),
            "{step}"
        );
        let Some(Outcome::Failed { failure, .. }) = sim.outcome("a") else {
            panic!("{step}: {:?}", sim.outcome("a"));
        };
        assert!(
            failure.message.contains("cannot be read"),
            "{step}: {failure:?}"
        );
    }
}
