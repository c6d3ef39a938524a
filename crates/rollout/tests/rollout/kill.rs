//! The driver is killed at every note, before and after it is durable, and the run resumed: it ends as one that was never
//! interrupted, and nothing was done twice.

use std::collections::BTreeMap;

use hostler_patch::plan::{HostRollback, Plan, SnapshotRule, WaveRollback};
use hostler_rollout::{Order, Outcome, Stand};
use hostler_updates::SnapshotProvider;

use super::fleet::Fault;
use super::plans::{group, small, three_waves, window};
use super::world::{Kill, Sim};

/// How everything is when the run has ended.
#[derive(Debug, PartialEq)]
pub(crate) struct Ended {
    stand: Stand,
    hosts: BTreeMap<String, HostEnd>,
}

#[derive(Debug, PartialEq)]
struct HostEnd {
    outcome: Option<Outcome>,
    packages: BTreeMap<String, String>,
    drained: bool,
    masked: bool,
    snapshot: bool,
    boots: u32,
    installs: usize,
}

pub(crate) fn ended(sim: &Sim, stand: Stand) -> Ended {
    let hosts = sim.plan.hosts.keys().map(|name| {
        let installs = sim.fleet.steps_of(name);
        let installs = installs
            .iter()
            .filter(|it| it.as_str() == "install")
            .count();
        let end = sim.fleet.with(name, |it| HostEnd {
            outcome: None,
            packages: it.packages.clone(),
            drained: it.drained,
            masked: it.masked,
            snapshot: it.snapshot,
            boots: it.boots,
            installs,
        });
        let outcome = sim.outcome(name);
        (name.clone(), HostEnd { outcome, ..end })
    });
    Ended {
        stand,
        hosts: hosts.collect(),
    }
}

/// Runs `make` uninterrupted, then once for each note with a kill there.
async fn at_every_note(make: impl Fn() -> Sim) {
    let whole = make();
    let stand = whole.run().await;
    let notes = whole.entries().len();
    let expected = ended(&whole, stand);
    for at in 0..notes {
        for kept in [false, true] {
            let sim = make();
            let killed = sim.process(Some(Kill { at, kept })).await;
            assert!(killed.is_err(), "killed at note {at}");
            let stand = sim.run().await;
            let told = || sim.told().join("\n");
            assert_eq!(
                ended(&sim, stand),
                expected,
                "killed at note {at} (kept: {kept}):\n{}",
                told()
            );
            assert_eq!(
                sim.fleet.doubled(),
                Vec::<String>::new(),
                "killed at note {at}:\n{}",
                told()
            );
        }
    }
}

/// As if the controller had a life of only so many notes, again and again.
async fn with_short_lives(make: impl Fn() -> Sim, life: usize) {
    let whole = make();
    let stand = whole.run().await;
    let expected = ended(&whole, stand);
    let sim = make();
    for lives in 0.. {
        assert!(lives < 2000, "it gets nowhere:\n{}", sim.told().join("\n"));
        let killed = sim
            .process(Some(Kill {
                at: life,
                kept: true,
            }))
            .await;
        let Ok(stand) = killed else { continue };
        assert_eq!(ended(&sim, stand), expected);
        assert_eq!(sim.fleet.doubled(), Vec::<String>::new());
        return;
    }
}

fn rich(rest: u32) -> Plan {
    let mut plan = three_waves(rest);
    plan.groups = vec![group("web", &["e1", "e2", "r00", "r01"], 1, Some("health"))];
    for name in ["e1", "e2", "r00", "r01"] {
        if let Some(host) = plan.hosts.get_mut(name) {
            host.groups = vec![0];
        }
    }
    plan
}

#[tokio::test(start_paused = true)]
async fn a_clean_run_with_reboots() {
    at_every_note(|| {
        let mut plan = rich(0);
        plan.hosts.remove("e2");
        plan.procedure.snapshot = SnapshotRule::IfPossible;
        plan.hosts
            .get_mut("canary")
            .expect("canary")
            .way_back
            .snapshot = Some(SnapshotProvider::Lvm);
        let sim = Sim::new(plan);
        sim.fleet.with("canary", |it| it.needs_reboot = true);
        sim
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_and_goes_back() {
    at_every_note(|| {
        let mut plan = small(&["a", "b"]);
        plan.waves[0].max_failures = 1;
        plan.rollback.on_host_failure = HostRollback::Packages;
        let sim = Sim::new(plan);
        sim.fleet.fault("a", "install", Fault::Fail("dpkg: error"));
        sim
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_fails_and_goes_back() {
    at_every_note(|| {
        let mut plan = small(&["a", "b", "c"]);
        plan.rollback.on_wave_failure = WaveRollback::WholeWave;
        let sim = Sim::new(plan);
        sim.fleet.fault("b", "post-0", Fault::Fail("502"));
        sim.fleet.fault("b", "post-0", Fault::Fail("502"));
        sim
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_install_of_which_nobody_knows() {
    at_every_note(|| {
        let sim = Sim::new(small(&["a"]));
        sim.fleet.fault("a", "install", Fault::Unknown(true));
        sim
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_abort() {
    at_every_note(|| {
        let mut sim = Sim::new(small(&["a", "b"]));
        sim.orders = vec![(
            20,
            Order::Abort {
                reason: "enough".to_owned(),
            },
        )];
        sim
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn windows_and_a_reboot_that_is_put_off() {
    at_every_note(|| {
        let mut plan = small(&["a", "b"]);
        plan.waves[0].window = Some("night".to_owned());
        plan.windows.insert(
            "night".to_owned(),
            window("night", &[(100, 500), (5000, 6000)]),
        );
        let sim = Sim::new(plan);
        sim.fleet.with("a", |it| it.needs_reboot = true);
        sim.fleet.fault("a", "install", Fault::Slow(330));
        sim
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_dies_all_the_time() {
    for life in [1, 2, 3, 5, 8, 13] {
        with_short_lives(
            || {
                let sim = Sim::new(rich(3));
                sim.fleet.with("e1", |it| it.needs_reboot = true);
                sim
            },
            life,
        )
        .await;
    }
}
