//! Reboots.

use hostler_patch::plan::HostRollback;
use hostler_rollout::{End, FailureKind, HaltCause, Order, Outcome, Stand, Step};

use super::fleet::{Fault, Probe};
use super::fleet_steps::verdict;
use super::plans::{host, plan, small, wave, window};
use super::world::{Kill, Sim};

fn rebooting() -> Sim {
    let sim = Sim::new(small(&["a"]));
    sim.fleet.with("a", |it| it.needs_reboot = true);
    sim
}

fn failure(sim: &Sim) -> (FailureKind, String) {
    match sim.outcome("a") {
        Some(Outcome::Failed { failure, .. }) => (failure.kind, failure.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_is_verified() {
    let sim = rebooting();
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("a"), Some(Outcome::Done));
    let steps = sim.fleet.steps_of("a");
    let from = steps
        .iter()
        .position(|it| it == "restart")
        .expect("restart");
    assert_eq!(
        steps[from..],
        [
            "restart", "look", "reboot", "verify", "post-0", "undo-0", "release"
        ]
    );
    sim.fleet.with("a", |it| {
        assert_eq!((it.boots, it.kernel.as_str()), (1, "6.2"));
    });
}

#[tokio::test(start_paused = true)]
async fn only_a_valid_boot_id_counts_and_only_several_logins_in_a_row() {
    let sim = rebooting();
    sim.fleet.with("a", |it| {
        it.probes.extend([
            Probe::Text("Traceback (most recent call last):"),
            Probe::Text(
                "\"System is booting up. Unprivileged users are not permitted to log in yet.\"",
            ),
            Probe::Failed("System is booting up. See pam_nologin(8)"),
            Probe::Text("FFFFFFFF-0000-4000-8000-000000000000"),
            Probe::Text("00000001-0000-4000-8000-000000000000"),
            Probe::Refused,
        ]);
    });
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let told = sim.told();
    let ended = told
        .iter()
        .find(|it| it.contains("back done"))
        .expect("it is back");
    let began = told
        .iter()
        .find(|it| it.contains("begun back"))
        .expect("it is waited for");
    let seconds = |line: &str| {
        let (time, _) = line.split_once(' ').expect("a time");
        time.trim_start_matches('+')
            .parse::<i64>()
            .expect("seconds")
    };
    // 40 s to boot, six probes that do not count (the good one among them is followed by a bad one), then three good ones.
    assert!(
        seconds(ended) - seconds(began) >= 40 + 5 * 5 + 3 * 5,
        "{began} {ended}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_reboot_is_waited_for() {
    let sim = rebooting();
    sim.fleet.with("a", |it| {
        // Another boot id, once; then the one that stays.
        it.probes
            .push_back(Probe::Text("00000077-0000-4000-8000-000000000000"));
        it.probes
            .push_back(Probe::Text("00000077-0000-4000-8000-000000000000"));
    });
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let twice = sim.entries().into_iter().any(|it| {
        let text = serde_json::to_string(&it).expect("JSON");
        text.contains("\"reboots\":2")
    });
    assert!(twice);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_did_not_happen_is_tried_once_more() {
    for (deaf, good) in [(1, true), (2, false)] {
        let sim = rebooting();
        sim.fleet.with("a", |it| it.deaf_reboots = deaf);
        let stand = sim.run().await;
        assert_eq!(stand == Stand::Ended(End::Complete), good, "{stand:?}");
        let reboots = sim
            .fleet
            .steps_of("a")
            .iter()
            .filter(|it| it.as_str() == "reboot")
            .count();
        assert_eq!(reboots, 2);
        if !good {
            assert_eq!(failure(&sim).0, FailureKind::NotRebooted);
            assert!(failure(&sim).1.contains("boot id is the one from before"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_come_back_is_a_failure_with_what_is_owed() {
    let sim = rebooting();
    sim.fleet.with("a", |it| it.boot_s = 100_000);
    let stand = sim.run().await;
    assert!(matches!(
        stand,
        Stand::Ended(End::Halted(HaltCause::WaveFailures { .. }))
    ));
    assert_eq!(failure(&sim).0, FailureKind::RebootTimeout);
    assert!(sim.fleet.seconds() < 100 + 600 + 60);
    sim.fleet.with("a", |it| assert!(it.drained && it.masked));
}

#[tokio::test(start_paused = true)]
async fn another_host_key_is_a_failure_of_its_own_unless_it_goes_away() {
    for (probes, good) in [(5, true), (1000, false)] {
        let sim = rebooting();
        sim.fleet
            .with("a", |it| it.probes.extend(vec![Probe::OtherKey; probes]));
        let stand = sim.run().await;
        assert_eq!(stand == Stand::Ended(End::Complete), good, "{stand:?}");
        if !good {
            assert_eq!(failure(&sim).0, FailureKind::HostKey);
            assert!(sim.fleet.seconds() < 400, "known after two minutes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_kernel_must_be_the_expected_one_and_nothing_may_be_missing() {
    for what in ["kernel", "unit", "port", "failed unit"] {
        let sim = rebooting();
        for _ in 0..30 {
            let values = verdict(what, "x", what != "failed unit", 1);
            sim.fleet.fault("a", "verify", Fault::Answer(values));
        }
        let stand = sim.run().await;
        assert!(matches!(stand, Stand::Ended(End::Halted(_))), "{what}");
        let (kind, message) = failure(&sim);
        assert_eq!(kind, FailureKind::Verify);
        assert!(message.contains(what), "{message}");
        sim.fleet.with("a", |it| {
            assert!(it.drained, "one that is not well stays drained");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn the_boot_with_the_old_kernel_is_found() {
    let sim = rebooting();
    let look =
        serde_json::json!({"scan": {"reboot": {"need": "yes"}, "kernel": {"newest": "6.9"}}});
    sim.fleet.fault("a", "look", Fault::Answer(look));
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert_eq!(
        failure(&sim),
        (FailureKind::Verify, "kernel is not as expected".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_only_for_a_moment_is_no_failure() {
    let sim = rebooting();
    sim.fleet.fault(
        "a",
        "verify",
        Fault::Answer(verdict("port", "tcp 0.0.0.0:80", true, 1)),
    );
    let mut settling = verdict("unit", "nginx.service", true, 1);
    settling["settling"] = true.into();
    sim.fleet.fault("a", "verify", Fault::Answer(settling));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
}

#[tokio::test(start_paused = true)]
async fn a_pending_reboot_comes_first_if_the_policy_says_so() {
    let mut it = small(&["a"]);
    it.procedure.reboot_first = true;
    let sim = Sim::new(it);
    sim.fleet.with("a", |it| it.pending_reboot = true);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let steps = sim.fleet.steps_of("a");
    let at = |step: &str| steps.iter().position(|it| it == step).expect("it was done");
    assert!(at("reboot") < at("install"));
    sim.fleet
        .with("a", |it| assert_eq!(it.boots, 1, "once is enough"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_only_needs_a_reboot() {
    let mut it = host(0, 0, &[]);
    it.reboot_reasons = vec!["the running kernel is not the newest".to_owned()];
    let sim = Sim::new(plan(vec![wave("all", 1)], vec![("a", it)]));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("a"), Some(Outcome::Done));
    assert!(!sim.fleet.steps_of("a").contains(&"install".to_owned()));
    sim.fleet.with("a", |it| assert_eq!(it.boots, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_does_not_fit_is_put_off_and_said() {
    let mut it = small(&["a"]);
    it.waves[0].window = Some("night".to_owned());
    it.windows
        .insert("night".to_owned(), window("night", &[(0, 400)]));
    let sim = Sim::new(it);
    sim.fleet.with("a", |it| it.needs_reboot = true);
    sim.fleet.fault("a", "install", Fault::Slow(350));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        sim.outcome("a"),
        Some(Outcome::InstalledPendingReboot {
            reason: "its window ends too soon for a reboot".to_owned()
        })
    );
    // The package step was not cut short, and what is owed was done after the end of the window.
    sim.fleet.with("a", |it| {
        assert_eq!((it.boots, it.packages["nginx"].as_str()), (0, "2"));
        assert!(!it.drained && !it.masked);
    });
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_never_reboots_says_what_is_due() {
    let mut it = small(&["a"]);
    it.procedure.reboot = hostler_patch::plan::RebootRule::Never;
    let sim = Sim::new(it);
    sim.fleet.with("a", |it| it.needs_reboot = true);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert!(
        matches!(sim.outcome("a"), Some(Outcome::InstalledPendingReboot { reason }) if reason.contains("a new kernel"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_with_the_reboot_is_no_failure() {
    let sim = rebooting();
    sim.fleet.fault("a", "reboot", Fault::Unknown(true));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    sim.fleet.with("a", |it| assert_eq!(it.boots, 1));
    assert_eq!(Step::Reboot.to_string(), "reboot");
}

#[tokio::test(start_paused = true)]
async fn one_that_came_back_while_nobody_looked_is_no_failure() {
    let sim = rebooting();
    let at = position(&sim, "begun back").await;
    let sim = rebooting();
    let killed = sim.process(Some(Kill { at, kept: true })).await;
    assert!(killed.is_err());
    // Its time-out is long over when another process goes on.
    tokio::time::sleep(std::time::Duration::from_secs(10_000)).await;
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(sim.outcome("a"), Some(Outcome::Done));
}

/// Index of the first note that is told like this, in a run that nobody kills.
async fn position(sim: &Sim, what: &str) -> usize {
    sim.run().await;
    let told = sim.told();
    told.iter().position(|it| it.contains(what)).expect(what)
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_rebooted_can_be_put_back() {
    let mut it = small(&["a"]);
    it.rollback.on_host_failure = HostRollback::Packages;
    let sim = Sim::new(it);
    sim.fleet.with("a", |it| it.needs_reboot = true);
    for _ in 0..2 {
        sim.fleet.fault("a", "post-0", Fault::Fail("502"));
    }
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert!(
        matches!(sim.outcome("a"), Some(Outcome::RolledBack { .. })),
        "{:?}",
        sim.outcome("a")
    );
    // What it had booted is not what it has now.
    sim.fleet.with("a", |it| assert_eq!(it.boots, 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_came_back_too_late_is_rebooted_when_it_is_put_back() {
    let mut sim = rebooting();
    sim.fleet.with("a", |it| it.boot_s = 2_000);
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    assert_eq!(failure(&sim).0, FailureKind::RebootTimeout);
    tokio::time::sleep(std::time::Duration::from_secs(2_000)).await;
    sim.fleet.with("a", |it| it.boot_s = 40);
    sim.orders.push((
        0,
        Order::Rollback {
            hosts: vec!["a".to_owned()],
        },
    ));
    let back =
        serde_json::json!({"rolled_back": {"actions": [], "left": [], "needs_reboot": true}});
    sim.fleet.fault("a", "rollback", Fault::Answer(back));
    sim.run().await;
    assert!(
        matches!(sim.outcome("a"), Some(Outcome::RolledBack { .. })),
        "{:?}",
        sim.outcome("a")
    );
    sim.fleet.with("a", |it| assert_eq!(it.boots, 2));
}

#[tokio::test(start_paused = true)]
async fn a_halt_does_not_let_go_of_a_host_that_is_to_reboot_once_more() {
    let mut it = small(&["a"]);
    it.procedure.reboot_first = true;
    let mut sim = Sim::new(it);
    sim.fleet.with("a", |it| {
        it.pending_reboot = true;
        it.deaf_reboots = 1;
    });
    // While it is waited for, in vain.
    sim.orders = vec![(
        300,
        Order::Halt {
            reason: String::new(),
        },
    )];
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    sim.fleet.with("a", |it| {
        assert_eq!(it.boots, 1);
        assert!(!it.drained && !it.masked, "nobody works on it any more");
    });
}
