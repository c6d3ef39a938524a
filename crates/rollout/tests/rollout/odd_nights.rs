//! Random orders of people, in any number and at any time, with faults and kills. Whatever they order: what is said of a
//! host is how it is, and nobody stays drained or stopped unless it is said, with a reason.

use hostler_patch::plan::{HostRollback, Plan, SnapshotRule, WaveRollback};
use hostler_rollout::{Order, Outcome};
use hostler_updates::SnapshotProvider;
use proptest::prelude::*;

use super::fleet::{Fault, at};
use super::plans::{host, plan, wave, window};
use super::world::{Kill, Sim};

#[derive(Clone, Debug)]
struct Night {
    /// Wave, needs a reboot, has one pending.
    hosts: Vec<(u32, bool, bool)>,
    orders: Vec<(i64, Said)>,
    /// Ordered after the first end, one process each.
    after: Vec<Said>,
    faults: Vec<(usize, &'static str, bool)>,
    lost: Vec<(usize, i64, i64)>,
    kills: Vec<(usize, bool, u64)>,
    rollback: (u8, u8),
    snapshot: bool,
    reboot_first: bool,
    parallel: u32,
    window_ends: Option<i64>,
}

#[derive(Clone, Debug)]
enum Said {
    Halt,
    Resume(bool),
    Rollback(Vec<usize>),
    Abort,
}

const STEPS: &[&str] = &[
    "resolve",
    "mask",
    "pre-0",
    "install",
    "verify",
    "post-0",
    "undo-0",
    "release",
    "rollback",
    "reboot",
    "snapshot",
    "remove-snapshot",
];

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => Just(Said::Halt),
        3 => any::<bool>().prop_map(Said::Resume),
        2 => prop::collection::vec(0usize..6, 0..3).prop_map(Said::Rollback),
        1 => Just(Said::Abort),
    ]
}

fn night() -> impl Strategy<Value = Night> {
    let first = (
        prop::collection::vec((0u32..2, any::<bool>(), any::<bool>()), 1..6),
        prop::collection::vec((0i64..2500, said()), 0..5),
        prop::collection::vec(said(), 0..4),
        prop::collection::vec(
            (0usize..6, prop::sample::select(STEPS), any::<bool>()),
            0..4,
        ),
        prop::collection::vec((0usize..6, 0i64..1500, 20i64..1500), 0..2),
    );
    let second = (
        prop::collection::vec((0usize..50, any::<bool>(), 0u64..5000), 0..3),
        (0u8..2, 0u8..3),
        any::<bool>(),
        any::<bool>(),
        1u32..4,
        prop::option::of(600i64..4000),
    );
    (first, second).prop_map(|(first, second)| {
        let (hosts, orders, after, faults, lost) = first;
        let (kills, rollback, snapshot, reboot_first, parallel, window_ends) = second;
        Night {
            hosts,
            orders,
            after,
            faults,
            lost,
            kills,
            rollback,
            snapshot,
            reboot_first,
            parallel,
            window_ends,
        }
    })
}

fn name(number: usize) -> String {
    format!("h{number}")
}

fn plan_of(night: &Night) -> Plan {
    let names: Vec<String> = (0..night.hosts.len()).map(name).collect();
    let hosts = (0u32..).zip(&night.hosts).zip(&names);
    let hosts = hosts.map(|((order, (wave, ..)), name)| {
        let mut it = host(*wave, order, &[("nginx", "2"), ("libc6", "2")]);
        it.way_back.snapshot = night.snapshot.then_some(SnapshotProvider::Btrfs);
        (name.as_str(), it)
    });
    let mut waves = vec![
        wave("first", night.parallel),
        wave("second", night.parallel),
    ];
    for it in &mut waves {
        it.proves = true;
        it.max_failures = 1;
        it.soak_s = 200;
        it.window = night.window_ends.map(|_| "night".to_owned());
    }
    let mut out = plan(waves, hosts.collect());
    if let Some(end) = night.window_ends {
        let times = [(0, end), (86_400, 90_000)];
        out.windows
            .insert("night".to_owned(), window("night", &times));
    }
    out.procedure.reboot_first = night.reboot_first;
    if night.snapshot {
        out.procedure.snapshot = SnapshotRule::IfPossible;
    }
    out.rollback.on_host_failure =
        [HostRollback::None, HostRollback::Packages][usize::from(night.rollback.0)];
    out.rollback.on_wave_failure = [
        WaveRollback::None,
        WaveRollback::FailedHosts,
        WaveRollback::WholeWave,
    ][usize::from(night.rollback.1)];
    out
}

fn order(said: &Said, hosts: usize) -> Order {
    let reason = String::new();
    match said {
        Said::Halt => Order::Halt { reason },
        Said::Resume(accept) => Order::Resume {
            accept_failures: *accept,
        },
        Said::Rollback(which) => Order::Rollback {
            hosts: which.iter().map(|it| name(it % hosts)).collect(),
        },
        Said::Abort => Order::Abort { reason },
    }
}

async fn run(night: &Night) -> Sim {
    let mut sim = Sim::new(plan_of(night));
    let count = night.hosts.len();
    for (number, (_, reboots, pending)) in night.hosts.iter().enumerate() {
        sim.fleet.with(&name(number), |it| {
            it.needs_reboot = *reboots;
            it.pending_reboot = *pending;
        });
    }
    for (number, step, slow) in &night.faults {
        let fault = if *slow {
            Fault::Slow(400)
        } else {
            Fault::Fail("it broke")
        };
        sim.fleet.fault(&name(number % count), step, fault);
    }
    for (number, from, length) in &night.lost {
        sim.fleet.with(&name(number % count), |it| {
            it.lost.push((*from, from + length));
        });
    }
    for (at, said) in &night.orders {
        sim.orders.push((*at, order(said, count)));
    }
    for &(at, kept, pause) in &night.kills {
        if sim.process(Some(Kill { at, kept })).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(pause)).await;
    }
    sim.run().await;
    for said in &night.after {
        sim.orders.push((0, order(said, count)));
        sim.run().await;
    }
    // Everybody can be reached again, and whoever goes on does what is owed.
    tokio::time::sleep(std::time::Duration::from_secs(5000)).await;
    sim.run().await;
    sim
}

fn holds(night: &Night, sim: &Sim) {
    let status = sim.machine().status(at(1_000_000));
    for number in 0..night.hosts.len() {
        let name = name(number);
        let outcome = sim.outcome(&name);
        let tells = format!("{name}: {outcome:?}\n{}", sim.told().join("\n"));
        let seen = |what: &str| {
            let mut owed = status.owed.iter();
            owed.any(|it| it.host == name && it.what.contains(what))
        };
        sim.fleet.with(&name, |it| {
            assert!(!it.drained || seen("drain is not undone"), "{tells}");
            assert!(!it.masked || seen("still stopped"), "{tells}");
            assert!(!it.snapshot || seen("snapshot"), "{tells}");
            let ill = matches!(
                outcome,
                Some(Outcome::Failed { .. } | Outcome::Unreachable { .. })
            );
            assert!(!it.drained || ill, "drained, and well: {tells}");
            let version = it.packages["nginx"].as_str();
            match &outcome {
                Some(Outcome::Done | Outcome::InstalledPendingReboot { .. }) => {
                    let held = &status.hosts[&name].held;
                    assert!(version == "2" || !held.is_empty(), "{tells}");
                }
                Some(Outcome::Failed { changed, .. } | Outcome::Unreachable { changed, .. }) => {
                    assert!(*changed || version == "1", "{tells}");
                }
                // Put back, or never touched.
                _ => assert_eq!(version, "1", "{tells}"),
            }
        });
    }
    assert_eq!(sim.fleet.doubled(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(super::properties::config(40))]

    #[test]
    fn whatever_is_ordered(night in night()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let sim = run(&night).await;
            holds(&night, &sim);
        });
    }
}
