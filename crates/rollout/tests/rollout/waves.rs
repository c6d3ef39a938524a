//! Waves, limits, gates.

use hostler_rollout::{End, HaltCause, Outcome, Stand};
use serde_json::json;

use super::fleet::Fault;
use super::plans::{group, host, small, three_waves, wave};
use super::world::Sim;

#[tokio::test(start_paused = true)]
async fn a_clean_run_of_one_host() {
    let sim = Sim::new(small(&["a"]));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        sim.told(),
        [
            "+0 opened",
            "+0 wave 0 opened",
            "+0 a: admitted",
            "+0 a: begun resolve 1",
            "+3 a: resolve done",
            "+3 a: begun preflight 1",
            "+6 a: preflight done",
            "+6 a: begun mask 1",
            "+7 a: mask done",
            "+7 a: begun download 1",
            "+27 a: download done",
            "+27 a: begun pre-0 1",
            "+30 a: pre-0 done",
            "+30 a: begun baseline 1",
            "+33 a: baseline done",
            "+33 a: begun install 1",
            "+93 a: install done",
            "+93 a: begun restart 1",
            "+96 a: restart done",
            "+96 a: begun verify 1",
            "+99 a: verify done",
            "+99 a: begun post-0 1",
            "+102 a: post-0 done",
            "+102 a: begun undo-0 1",
            "+105 a: undo-0 done",
            "+105 a: begun release 1",
            "+106 a: release done",
            "+106 a: came Done",
            "+106 wave 0 soaking",
            "+106 wave 0 green",
            "+106 wave 0 passed, 1 proven",
            "+106 closed Complete",
        ]
    );
    sim.fleet.with("a", |it| {
        assert!(!it.drained && !it.masked);
        assert_eq!(it.packages["nginx"], "2");
    });
}

#[tokio::test(start_paused = true)]
async fn the_first_wave_proves_then_the_others_come() {
    let sim = Sim::new(three_waves(8));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    for name in sim.plan.hosts.keys() {
        assert_eq!(sim.outcome(name), Some(Outcome::Done), "{name}");
    }
    let waves: Vec<String> = sim
        .told()
        .into_iter()
        .filter(|it| it.contains("wave") || it.contains("closed"))
        .collect();
    assert_eq!(
        waves,
        [
            "+0 wave 0 opened",
            "+106 wave 0 soaking",
            "+707 wave 0 green",
            "+707 wave 0 passed, 2 proven",
            "+707 wave 1 opened",
            "+813 wave 1 soaking",
            "+813 wave 1 green",
            "+813 wave 1 passed, 2 proven",
            "+813 wave 2 opened",
            // One, then two, then four; the last one alone.
            "+1237 wave 2 soaking",
            "+1237 wave 2 green",
            "+1237 wave 2 passed, 0 proven",
            "+1237 closed Complete",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_red_gate_of_the_canary_keeps_everything_else_untouched() {
    let sim = Sim::new(three_waves(3));
    sim.fleet
        .red
        .lock()
        .expect("lock")
        .push("check@canary".to_owned());
    let stand = sim.run().await;
    assert!(
        matches!(&stand, Stand::Ended(End::Halted(HaltCause::Gate { wave: 0, evidence })) if evidence.contains("rc 1")),
        "{stand:?}"
    );
    for name in ["e1", "e2", "r00", "r01", "r02"] {
        assert_eq!(sim.fleet.steps_of(name), Vec::<String>::new());
        assert_eq!(sim.outcome(name), None);
    }
    assert!(sim.told().iter().any(|it| it.ends_with("disproven 2")));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_hangs_is_red() {
    let sim = Sim::new(three_waves(1));
    sim.fleet.red.lock().expect("lock").push("hang".to_owned());
    let Stand::Ended(End::Halted(HaltCause::Gate { evidence, .. })) = sim.run().await else {
        panic!("it should halt");
    };
    assert!(evidence.contains("no answer in 30 seconds"), "{evidence}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_turns_red_while_the_wave_soaks_halts() {
    let sim = Sim::new(three_waves(1));
    let fleet = std::sync::Arc::clone(&sim.fleet);
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(400)).await;
        fleet.red.lock().expect("lock").push("check".to_owned());
    });
    let stand = sim.run().await;
    assert!(matches!(
        stand,
        Stand::Ended(End::Halted(HaltCause::Gate { wave: 0, .. }))
    ));
    let seconds = sim.fleet.seconds();
    assert!((400..440).contains(&seconds), "noticed at {seconds}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_allowed_up_to_the_limit_and_not_above() {
    for (failing, halts) in [(1, false), (2, true)] {
        let mut plan = small(&["a", "b", "c", "d"]);
        plan.waves[0].max_failures = 1;
        let sim = Sim::new(plan);
        for name in ["a", "b"].iter().take(failing) {
            sim.fleet.fault(name, "install", Fault::Fail("dpkg: error"));
        }
        let stand = sim.run().await;
        let halted = Stand::Ended(End::Halted(HaltCause::WaveFailures {
            wave: 0,
            failed: 2,
            allowed: 1,
        }));
        assert_eq!(
            stand,
            if halts {
                halted
            } else {
                Stand::Ended(End::Complete)
            }
        );
        assert_eq!(sim.outcome("d").is_some(), !halts);
        // What failed in the middle is not well: it stays drained, and says so.
        sim.fleet.with("a", |it| assert!(it.drained && !it.masked));
    }
}

#[tokio::test(start_paused = true)]
async fn the_run_has_a_limit_of_its_own() {
    let mut plan = three_waves(4);
    plan.max_failures = 1;
    plan.waves[1].max_failures = 2;
    plan.waves[2].max_failures = 2;
    let sim = Sim::new(plan);
    for name in ["e1", "r00"] {
        sim.fleet.fault(name, "install", Fault::Fail("dpkg: error"));
    }
    let stand = sim.run().await;
    let cause = HaltCause::RunFailures {
        wave: 2,
        failed: 2,
        allowed: 1,
    };
    assert_eq!(stand, Stand::Ended(End::Halted(cause)));
    assert_eq!(sim.outcome("r03"), None);
}

#[tokio::test(start_paused = true)]
async fn hosts_in_flight_finish_if_they_are_changed_and_go_back_if_not() {
    let mut plan = small(&["a", "b", "c"]);
    plan.waves[0].parallel = 3;
    let sim = Sim::new(plan);
    sim.fleet.fault("a", "pre-0", Fault::Fail("no"));
    sim.fleet.fault("a", "pre-0", Fault::Fail("no"));
    sim.fleet.fault("b", "download", Fault::Slow(200));
    let stand = sim.run().await;
    assert!(matches!(stand, Stand::Ended(End::Halted(_))));
    assert_eq!(sim.outcome("c"), Some(Outcome::Done));
    assert_eq!(sim.outcome("b"), None);
    assert!(
        sim.told_of("b")
            .contains(&"left (the run was halted)".to_owned())
    );
    sim.fleet.with("b", |it| {
        assert!(!it.masked && !it.drained && it.packages["nginx"] == "1");
    });
    // Its drain has failed, and may have done half of its work: it is undone.
    assert_eq!(
        sim.fleet.steps_of("a").last().map(String::as_str),
        Some("release")
    );
    assert!(sim.fleet.steps_of("a").contains(&"undo-0".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_those_that_are_missing_already() {
    let mut plan = small(&["a", "b", "c"]);
    plan.waves[0].parallel = 3;
    plan.groups = vec![group("etcd", &["a", "b", "c", "x"], 2, None)];
    plan.groups[0].unavailable = vec!["x".to_owned()];
    for host in plan.hosts.values_mut() {
        host.groups = vec![0];
    }
    let sim = Sim::new(plan);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let admitted: Vec<String> = sim
        .told()
        .into_iter()
        .filter(|it| it.contains("admitted"))
        .collect();
    assert_eq!(
        admitted,
        ["+0 a: admitted", "+106 b: admitted", "+212 c: admitted"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_for_good_defers() {
    let mut plan = small(&["a", "b"]);
    plan.waves[0].max_failures = 1;
    plan.groups = vec![group("etcd", &["a", "b", "c"], 1, None)];
    for host in plan.hosts.values_mut() {
        host.groups = vec![0];
    }
    let sim = Sim::new(plan);
    sim.fleet.fault("a", "install", Fault::Fail("dpkg: error"));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let Some(Outcome::Deferred { reason }) = sim.outcome("b") else {
        panic!("{:?}", sim.outcome("b"));
    };
    assert_eq!(reason, "group etcd may miss 1 at most; missing already: a");
    assert!(sim.fleet.steps_of("b").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_gate_of_a_group_is_asked_on_another_member() {
    let mut plan = small(&["a"]);
    plan.groups = vec![group("etcd", &["a", "b", "c"], 1, Some("health"))];
    plan.groups[0].unavailable = vec!["b".to_owned()];
    plan.groups[0].max_unavailable = 2;
    plan.hosts.get_mut("a").expect("a").groups = vec![0];
    let sim = Sim::new(plan);
    sim.fleet
        .red
        .lock()
        .expect("lock")
        .extend(["check@a".to_owned(), "check@b".to_owned()]);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let asked: Vec<String> = sim
        .told_of("a")
        .into_iter()
        .filter(|it| it.contains("green"))
        .collect();
    assert_eq!(asked, ["Take green", "Change green", "Back green"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_not_well_is_waited_for_and_then_left_alone() {
    let mut plan = small(&["a"]);
    plan.groups = vec![group("etcd", &["a", "b"], 1, Some("health"))];
    plan.hosts.get_mut("a").expect("a").groups = vec![0];
    let sim = Sim::new(plan);
    sim.fleet.red.lock().expect("lock").push("check".to_owned());
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        sim.outcome("a"),
        Some(Outcome::Deferred {
            reason: "gate health on b: rc 1".to_owned()
        })
    );
    assert_eq!(
        sim.told_of("a")
            .iter()
            .filter(|it| it.as_str() == "Take red")
            .count(),
        10
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_not_well_after_a_host_is_back_is_a_failure() {
    let mut plan = small(&["a"]);
    plan.groups = vec![group("etcd", &["a", "b"], 1, Some("health"))];
    plan.hosts.get_mut("a").expect("a").groups = vec![0];
    let sim = Sim::new(plan);
    let fleet = std::sync::Arc::clone(&sim.fleet);
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(100)).await;
        fleet.red.lock().expect("lock").push("check".to_owned());
    });
    assert!(matches!(
        sim.run().await,
        Stand::Ended(End::Halted(HaltCause::WaveFailures { .. }))
    ));
    assert!(matches!(
        sim.outcome("a"),
        Some(Outcome::Failed { changed: true, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn plans_that_do_not_fit_count_above_one_in_ten() {
    for (hosts, halts) in [(10, false), (9, true)] {
        let names: Vec<String> = (0..hosts).map(|it| format!("h{it}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let sim = Sim::new(small(&names));
        sim.fleet
            .fault("h0", "install", Fault::Fail("plan_mismatch: libx 1 -> 3"));
        let stand = sim.run().await;
        assert_eq!(
            matches!(stand, Stand::Ended(End::Halted(_))),
            halts,
            "{hosts} hosts: {stand:?}"
        );
        assert_eq!(
            sim.outcome("h0"),
            Some(Outcome::PlanMismatch {
                reason: "libx 1 -> 3".to_owned()
            })
        );
        sim.fleet
            .with("h0", |it| assert!(!it.drained && !it.masked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_wave_that_patches_nothing_halts() {
    let sim = Sim::new(three_waves(1));
    let refused =
        json!({"preflight": {"refused": ["no space on /boot"], "repaired": [], "findings": []}});
    sim.fleet
        .fault("canary", "preflight", Fault::Answer(refused));
    assert_eq!(
        sim.run().await,
        Stand::Ended(End::Halted(HaltCause::NothingProven { wave: 0 }))
    );
    assert_eq!(
        sim.outcome("canary"),
        Some(Outcome::Deferred {
            reason: "refused: no space on /boot".to_owned()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_wrong_since_the_plan_keeps_a_host_out() {
    for (off_s, refused) in [
        (30, None),
        (
            90,
            Some("refused: its clock is off by 90 seconds, 30 are allowed"),
        ),
        // It was asked three seconds before it answered.
        (
            -90,
            Some("refused: its clock is off by 87 seconds, 30 are allowed"),
        ),
    ] {
        let sim = Sim::new(small(&["a"]));
        sim.fleet.with("a", |it| it.clock_off_s = off_s);
        sim.run().await;
        let outcome = match refused {
            Some(reason) => Outcome::Deferred {
                reason: reason.to_owned(),
            },
            None => Outcome::Done,
        };
        assert_eq!(sim.outcome("a"), Some(outcome));
        sim.fleet.with("a", |it| {
            assert_eq!(it.packages["nginx"] == "2", refused.is_none());
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_wave_without_hosts_and_a_rehearsal_pass() {
    let mut plan = super::plans::plan(
        vec![wave("none", 1), wave("some", 2)],
        vec![("a", host(1, 0, &[])), ("b", host(1, 1, &[]))],
    );
    plan.waves[0].soak_s = 10_000;
    let sim = Sim::new(plan);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        sim.fleet.steps_of("a"),
        [
            "preflight",
            "mask",
            "pre-0",
            "baseline",
            "verify",
            "post-0",
            "undo-0",
            "release"
        ]
    );
    assert!(sim.fleet.seconds() < 60);
}

#[tokio::test(start_paused = true)]
async fn a_failure_counts_as_soon_as_it_is_known() {
    let mut it = small(&["a", "b", "c"]);
    it.waves[0].parallel = 2;
    it.rollback.on_host_failure = hostler_patch::plan::HostRollback::Packages;
    let sim = Sim::new(it);
    sim.fleet.fault("a", "install", Fault::Fail("dpkg: error"));
    sim.fleet.fault("a", "rollback", Fault::Slow(3000));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert_eq!(sim.outcome("b"), Some(Outcome::Done), "it was under way");
    assert!(
        sim.fleet.steps_of("c").is_empty(),
        "the first one had failed long before"
    );
}
