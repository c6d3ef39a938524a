//! Orders of people.

use hostler_patch::plan::SnapshotRule;
use hostler_rollout::{End, HaltCause, Order, Outcome, Stand};
use hostler_updates::SnapshotProvider;

use super::fleet::Fault;
use super::plans::{host, small, three_waves};
use super::world::Sim;

fn halt() -> Order {
    Order::Halt {
        reason: "call of the customer".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_wave_waits_for_its_approval() {
    let mut plan = three_waves(1);
    plan.waves[1].approve = true;
    let mut sim = Sim::new(plan);
    let approve = Order::Approve {
        wave: "early".to_owned(),
    };
    sim.orders = vec![(5000, approve)];
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let told = sim.told();
    assert!(
        told.contains(&"+5000 wave 1 opened".to_owned()),
        "{told:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_approval_may_come_ahead_and_one_of_an_unknown_wave_is_refused() {
    let mut plan = three_waves(1);
    plan.waves[1].approve = true;
    let mut sim = Sim::new(plan);
    let approve = |wave: &str| Order::Approve {
        wave: wave.to_owned(),
    };
    sim.orders = vec![(0, approve("early")), (0, approve("nobody"))];
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert!(sim.told().contains(&"+707 wave 1 opened".to_owned()));
    assert_eq!(
        sim.machine().status(i64::MAX).refused,
        ["approve: there is no wave nobody"]
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_approval_a_driver_that_does_not_stay_goes() {
    let mut plan = three_waves(1);
    plan.waves[0].approve = true;
    let mut sim = Sim::new(plan);
    sim.stay_us = Some(3_600_000_000);
    assert_eq!(sim.run().await, Stand::Waiting { until_us: None });
}

#[tokio::test(start_paused = true)]
async fn a_halt_stops_new_hosts_and_a_resume_goes_on() {
    let mut sim = Sim::new(small(&["a", "b", "c"]));
    sim.orders = vec![(50, halt())];
    let Stand::Ended(End::Halted(HaltCause::Ordered { by, reason })) = sim.run().await else {
        panic!("it should halt");
    };
    assert_eq!(
        (by.as_str(), reason.as_str()),
        ("ada", "call of the customer")
    );
    assert_eq!(
        sim.outcome("a"),
        Some(Outcome::Done),
        "it was being changed already"
    );
    assert!(sim.fleet.steps_of("b").is_empty());
    let resume = Order::Resume {
        accept_failures: false,
    };
    sim.orders.push((0, resume));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("c"), Some(Outcome::Done));
    assert_eq!(
        sim.fleet
            .steps_of("a")
            .iter()
            .filter(|it| it.as_str() == "install")
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn failures_must_be_accepted_before_it_goes_on() {
    let mut sim = Sim::new(small(&["a", "b"]));
    sim.fleet.fault("a", "install", Fault::Fail("dpkg: error"));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    sim.orders.push((
        0,
        Order::Resume {
            accept_failures: false,
        },
    ));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(sim.machine().status(i64::MAX).refused[0].contains("--accept-failures"));
    sim.orders.push((
        0,
        Order::Resume {
            accept_failures: true,
        },
    ));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert!(matches!(sim.outcome("a"), Some(Outcome::Failed { .. })));
    assert_eq!(
        sim.outcome("b"),
        Some(Outcome::Held {
            reason: "nginx:amd64: disproven: it went wrong on a".to_owned()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_red_gate_is_asked_again_after_a_resume() {
    let mut sim = Sim::new(three_waves(1));
    sim.fleet.red.lock().expect("lock").push("check".to_owned());
    assert!(matches!(
        sim.run().await,
        Stand::Ended(End::Halted(HaltCause::Gate { .. }))
    ));
    sim.fleet.red.lock().expect("lock").clear();
    sim.orders.push((
        0,
        Order::Resume {
            accept_failures: true,
        },
    ));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    // What the gate said was noted as disproven, and stays so: the later waves hold it.
    assert!(matches!(sim.outcome("r00"), Some(Outcome::Held { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_abort_undoes_what_is_owed_and_closes() {
    let mut sim = Sim::new(small(&["a", "b"]));
    sim.fleet.fault("a", "baseline", Fault::Slow(100));
    sim.orders = vec![(
        40,
        Order::Abort {
            reason: "enough".to_owned(),
        },
    )];
    assert_eq!(sim.run().await, Stand::Ended(End::Aborted));
    sim.fleet.with("a", |it| {
        assert!(!it.drained && !it.masked && it.packages["nginx"] == "1");
    });
    for name in ["a", "b"] {
        assert_eq!(
            sim.outcome(name),
            Some(Outcome::Deferred {
                reason: "the run was aborted".to_owned()
            })
        );
    }
    sim.orders.push((
        0,
        Order::Resume {
            accept_failures: true,
        },
    ));
    assert_eq!(sim.run().await, Stand::Ended(End::Aborted));
}

#[tokio::test(start_paused = true)]
async fn hosts_of_a_run_that_is_over_can_be_put_back() {
    let mut sim = Sim::new(three_waves(2));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let rollback = Order::Rollback {
        hosts: vec!["e1".to_owned(), "canary".to_owned(), "nobody".to_owned()],
    };
    sim.orders.push((0, rollback));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    for (name, version) in [("e1", "1"), ("canary", "1"), ("r00", "2")] {
        sim.fleet.with(name, |it| {
            assert_eq!(it.packages["nginx"], version, "{name}");
            assert!(!it.drained && !it.masked);
        });
    }
    assert!(matches!(
        sim.outcome("e1"),
        Some(Outcome::RolledBack { failure: None, .. })
    ));
    assert_eq!(
        sim.machine().status(i64::MAX).refused,
        ["rollback: the plan has no host nobody"]
    );
}

fn rollback(hosts: &[&str]) -> Order {
    Order::Rollback {
        hosts: hosts.iter().map(|&it| it.to_owned()).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_ordered_while_a_snapshot_is_removed_is_done_all_the_same() {
    let mut it = small(&["a"]);
    it.procedure.snapshot = SnapshotRule::IfPossible;
    it.hosts.get_mut("a").expect("a").way_back.snapshot = Some(SnapshotProvider::Btrfs);
    let mut sim = Sim::new(it);
    sim.fleet.fault("a", "remove-snapshot", Fault::Slow(300));
    sim.orders = vec![(200, rollback(&["a"]))];
    sim.run().await;
    assert!(matches!(sim.outcome("a"), Some(Outcome::RolledBack { .. })));
    sim.fleet.with("a", |it| {
        assert_eq!(it.packages["nginx"], "1");
        assert!(!it.drained && !it.masked);
    });
}

#[tokio::test(start_paused = true)]
async fn an_order_to_put_hosts_back_is_about_those_that_are_changed_now() {
    let mut it = small(&["a", "b"]);
    // So that it gets something that was not put back.
    it.hosts
        .insert("b".to_owned(), host(0, 1, &[("tzdata", "2")]));
    let mut sim = Sim::new(it);
    sim.fleet.with("b", |it| {
        it.packages.insert("tzdata".to_owned(), "1".to_owned())
    });
    // In the middle of the first host.
    sim.orders = vec![(40, rollback(&[]))];
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(matches!(sim.outcome("a"), Some(Outcome::RolledBack { .. })));
    let resume = Order::Resume {
        accept_failures: false,
    };
    let later = sim.fleet.seconds() + 150;
    sim.orders.push((0, resume));
    sim.orders.push((later, halt()));
    sim.run().await;
    assert_eq!(sim.outcome("b"), Some(Outcome::Done));
    sim.fleet
        .with("b", |it| assert_eq!(it.packages["tzdata"], "2"));
}

#[tokio::test(start_paused = true)]
async fn an_order_to_put_back_outlives_one_to_go_on() {
    let mut it = small(&["a", "b", "c"]);
    it.waves[0].soak_s = 10_000;
    let mut sim = Sim::new(it);
    let resume = Order::Resume {
        accept_failures: false,
    };
    // Both are taken in one go.
    sim.orders = vec![(1000, rollback(&["a", "b"])), (1000, resume)];
    sim.run().await;
    for (name, version) in [("a", "1"), ("b", "1"), ("c", "2")] {
        sim.fleet.with(name, |it| {
            assert_eq!(it.packages["nginx"], version, "{name}");
        });
    }
}
