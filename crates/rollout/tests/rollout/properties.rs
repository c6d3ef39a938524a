//! Random plans, faults and kills. Whatever happens: no budget is exceeded, nobody starts outside a window, the canary is
//! first, nobody is started after a halt, what is owed is done or said, and nobody who is done is touched again.

use std::collections::{BTreeMap, BTreeSet};

use hostler_patch::plan::{HostRollback, Plan, WaveRollback};
use hostler_rollout::{Note, Order, Outcome, Step};
use proptest::prelude::*;

use super::fleet::{Fault, START_US, at};
use super::plans::{group, host, plan, wave, window};
use super::world::{Kill, Sim};

#[derive(Clone, Debug)]
struct Case {
    hosts: Vec<(u32, Vec<u32>, bool)>,
    groups: Vec<(u32, bool)>,
    parallel: Vec<u32>,
    ramp: bool,
    max_failures: u32,
    windows: Option<Vec<(i64, i64)>>,
    rollback: (u8, u8),
    faults: Vec<(usize, &'static str, Kind)>,
    lost: Vec<(usize, i64, i64)>,
    kills: Vec<(usize, bool)>,
    halt: Option<i64>,
    red: Option<(i64, i64)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fail,
    Mismatch,
    Unknown(bool),
    Slow(u64),
}

const STEPS: &[&str] = &[
    "resolve",
    "preflight",
    "mask",
    "download",
    "pre-0",
    "baseline",
    "install",
    "restart",
    "verify",
    "post-0",
    "undo-0",
    "release",
    "rollback",
    "reboot",
];

fn case() -> impl Strategy<Value = Case> {
    let hosts = prop::collection::vec(
        (0u32..3, prop::collection::vec(0u32..2, 0..2), any::<bool>()),
        1..9,
    );
    let kind = prop_oneof![
        3 => Just(Kind::Fail),
        1 => Just(Kind::Mismatch),
        1 => any::<bool>().prop_map(Kind::Unknown),
        1 => (30u64..900).prop_map(Kind::Slow),
    ];
    let faults = prop::collection::vec((0usize..9, prop::sample::select(STEPS), kind), 0..6);
    let windows = prop::option::of(prop::collection::vec((0i64..4000, 300i64..3000), 1..4));
    let first = (
        hosts,
        prop::collection::vec((0u32..3, any::<bool>()), 2),
        prop::collection::vec(1u32..5, 3),
        any::<bool>(),
        0u32..4,
        windows,
    );
    let second = (
        (0u8..2, 0u8..3),
        faults,
        prop::collection::vec((0usize..9, 0i64..1500, 20i64..2000), 0..3),
        prop::collection::vec((0usize..60, any::<bool>()), 0..4),
        prop::option::of(0i64..2000),
        prop::option::of((0i64..2000, 10i64..2000)),
    );
    (first, second).prop_map(|(first, second)| {
        let (hosts, groups, parallel, ramp, max_failures, windows) = first;
        let (rollback, faults, lost, kills, halt, red) = second;
        Case {
            hosts,
            groups,
            parallel,
            ramp,
            max_failures,
            windows,
            rollback,
            faults,
            lost,
            kills,
            halt,
            red,
        }
    })
}

fn name(number: usize) -> String {
    format!("h{number}")
}

fn plan_of(case: &Case) -> Plan {
    let names: Vec<String> = (0..case.hosts.len()).map(name).collect();
    let hosts =
        (0u32..)
            .zip(&case.hosts)
            .zip(&names)
            .map(|((order, (number, groups, _)), name)| {
                let mut it = host(*number, order, &[("nginx", "2"), ("libc6", "2")]);
                it.groups = groups
                    .iter()
                    .copied()
                    .collect::<BTreeSet<u32>>()
                    .into_iter()
                    .collect();
                (name.as_str(), it)
            });
    let mut waves: Vec<_> = ["canary", "early", "rest"]
        .iter()
        .zip(&case.parallel)
        .map(|(name, parallel)| wave(name, *parallel))
        .collect();
    for it in &mut waves {
        it.ramp = case.ramp;
        it.max_failures = case.max_failures;
        it.window = case.windows.as_ref().map(|_| "night".to_owned());
        it.gates = vec!["health".to_owned()];
        it.soak_s = 100;
    }
    waves[0].proves = true;
    let mut out = plan(waves, hosts.collect());
    out.max_failures = 4;
    for (number, (may, gate)) in (0u32..).zip(&case.groups) {
        let members: Vec<String> = out
            .hosts
            .iter()
            .filter(|(_, it)| it.groups.contains(&number))
            .map(|(name, _)| name.clone())
            .collect();
        let mut members: Vec<&str> = members.iter().map(String::as_str).collect();
        members.push("outsider");
        out.groups.push(group(
            &format!("g{number}"),
            &members,
            *may,
            gate.then_some("health"),
        ));
    }
    if let Some(windows) = &case.windows {
        let mut start = 0;
        let times: Vec<(i64, i64)> = windows
            .iter()
            .map(|&(gap, length)| {
                let it = (start + gap, start + gap + length);
                start = it.1 + 1;
                it
            })
            .collect();
        out.windows
            .insert("night".to_owned(), window("night", &times));
    }
    out.rollback.on_host_failure =
        [HostRollback::None, HostRollback::Packages][usize::from(case.rollback.0)];
    out.rollback.on_wave_failure = [
        WaveRollback::None,
        WaveRollback::FailedHosts,
        WaveRollback::WholeWave,
    ][usize::from(case.rollback.1)];
    out
}

async fn run(case: &Case) -> Sim {
    let mut sim = Sim::new(plan_of(case));
    let count = case.hosts.len();
    for (number, (_, _, reboots)) in case.hosts.iter().enumerate() {
        sim.fleet
            .with(&name(number), |it| it.needs_reboot = *reboots);
    }
    for (number, step, kind) in &case.faults {
        let fault = match kind {
            Kind::Fail => Fault::Fail("it broke"),
            Kind::Mismatch => Fault::Fail("plan_mismatch: other"),
            Kind::Unknown(done) => Fault::Unknown(*done),
            Kind::Slow(seconds) => Fault::Slow(*seconds),
        };
        sim.fleet.fault(&name(number % count), step, fault);
    }
    for (number, from, length) in &case.lost {
        sim.fleet.with(&name(number % count), |it| {
            it.lost.push((*from, from + length));
        });
    }
    if let Some(seconds) = case.halt {
        let reason = "stop".to_owned();
        sim.orders.push((seconds, Order::Halt { reason }));
    }
    if let Some((from, length)) = case.red {
        let fleet = std::sync::Arc::clone(&sim.fleet);
        let seconds =
            |it: i64| std::time::Duration::from_secs(u64::try_from(it).expect("positive"));
        tokio::spawn(async move {
            tokio::time::sleep(seconds(from)).await;
            fleet.red.lock().expect("lock").push("check".to_owned());
            tokio::time::sleep(seconds(length)).await;
            fleet.red.lock().expect("lock").clear();
        });
    }
    for &(at, kept) in &case.kills {
        if sim.process(Some(Kill { at, kept })).await.is_ok() {
            break;
        }
    }
    sim.run().await;
    sim
}

/// Goes through the notes and checks what must hold at each of them.
struct Watcher<'a> {
    sim: &'a Sim,
    /// Hosts in progress.
    taken: BTreeSet<String>,
    gone: BTreeSet<String>,
    drained: BTreeSet<String>,
    masked: BTreeSet<String>,
    /// Go back: in progress as long as something is owed on them.
    leaving: BTreeSet<String>,
    outcomes: BTreeMap<String, Outcome>,
    halted: bool,
    wave: Option<u32>,
    passed: BTreeSet<u32>,
}

impl Watcher<'_> {
    fn check(&mut self) {
        for entry in self.sim.entries() {
            match entry.note {
                Note::WaveOpened { wave } => {
                    assert!(
                        (0..wave).all(|it| self.passed.contains(&it)),
                        "wave {wave} comes too early"
                    );
                    self.wave = Some(wave);
                }
                Note::WavePassed { wave, .. } => {
                    self.passed.insert(wave);
                }
                Note::Halted { .. }
                | Note::Ordered {
                    order: Order::Halt { .. },
                    ..
                } => self.halted = true,
                Note::Admitted { host, .. } => self.admitted(&host, entry.at_us),
                Note::RollingBack { host, .. } => {
                    self.take(&host);
                }
                Note::Begun { host, step, .. } => self.begun(&host, step),
                Note::Ended {
                    host,
                    step,
                    outcome: hostler_rollout::StepOutcome::Done { .. },
                    ..
                } => {
                    match step {
                        Step::Undo(_) => self.drained.remove(&host),
                        Step::Release => self.masked.remove(&host),
                        _ => false,
                    };
                }
                Note::Left { host, .. } => {
                    self.leaving.insert(host);
                }
                Note::Came { host, outcome } => {
                    self.taken.remove(&host);
                    if matches!(
                        outcome,
                        Outcome::Failed { .. } | Outcome::Unreachable { .. }
                    ) {
                        self.gone.insert(host.clone());
                    } else {
                        self.gone.remove(&host);
                    }
                    self.outcomes.insert(host, outcome);
                }
                Note::Answered {
                    host,
                    moment: hostler_rollout::Moment::Take,
                    green: false,
                    ..
                } => {
                    self.taken.remove(&host);
                }
                _ => {}
            }
        }
    }

    fn admitted(&mut self, host: &str, at_us: i64) {
        let plan = &self.sim.plan;
        assert!(!self.halted, "{host} is started after the halt");
        assert!(
            !self.outcomes.contains_key(host),
            "{host} is started though it has its outcome"
        );
        assert_eq!(
            self.wave,
            Some(plan.hosts[host].wave),
            "{host} is started in another wave"
        );
        if plan.waves[0].window.is_some() {
            let need = (i64::from(plan.hosts[host].expected_p95_s) + 60) * 1_000_000;
            let fits = plan.windows["night"].iter().flat_map(|it| &it.open);
            let fits = fits
                .into_iter()
                .any(|it| it.holds(at_us) && at_us + need <= it.end_us);
            assert!(
                fits,
                "{host} is started outside of its window, at {}",
                at_us - START_US
            );
        }
        self.take(host);
    }

    /// A host is taken: nobody's budget may be exceeded by it.
    fn take(&mut self, host: &str) {
        let plan = &self.sim.plan;
        let owed = |it: &String| self.drained.contains(it) || self.masked.contains(it);
        let gone: Vec<String> = self
            .leaving
            .iter()
            .filter(|it| !owed(it))
            .cloned()
            .collect();
        for it in gone {
            self.leaving.remove(&it);
            self.taken.remove(&it);
        }
        self.taken.insert(host.to_owned());
        let was_gone = self.gone.contains(host) || self.drained.contains(host);
        for &number in &plan.hosts[host].groups {
            let group = &plan.groups[number as usize];
            let missing = group.hosts.iter().filter(|it| {
                self.taken.contains(*it) || self.gone.contains(*it) || self.drained.contains(*it)
            });
            let missing: Vec<&String> = missing.collect();
            // One that is missing already does not become more missing when it is put back.
            let may = group.max_unavailable as usize;
            assert!(
                missing.len() <= may || was_gone,
                "{host}: group {} misses {missing:?}, {may} may",
                group.name
            );
        }
        let wave = plan.hosts[host].wave;
        let busy = self
            .taken
            .iter()
            .filter(|it| plan.hosts[*it].wave == wave)
            .count();
        assert!(
            busy <= plan.waves[wave as usize].parallel as usize,
            "{busy} at once in wave {wave}"
        );
    }

    fn begun(&mut self, host: &str, step: Step) {
        match step {
            Step::Pre(_) => self.drained.insert(host.to_owned()),
            Step::Mask => self.masked.insert(host.to_owned()),
            _ => false,
        };
        let housekeeping = matches!(step, Step::Undo(_) | Step::Release | Step::RemoveSnapshot);
        let done = self.outcomes.contains_key(host) && !self.taken.contains(host);
        assert!(!done || housekeeping, "{host} is touched again: {step}");
    }
}

fn holds(case: &Case, sim: &Sim) {
    let mut watcher = Watcher {
        sim,
        taken: BTreeSet::new(),
        gone: BTreeSet::new(),
        drained: BTreeSet::new(),
        masked: BTreeSet::new(),
        leaving: BTreeSet::new(),
        outcomes: BTreeMap::new(),
        halted: false,
        wave: None,
        passed: BTreeSet::new(),
    };
    watcher.check();
    let status = sim.machine().status(at(1_000_000));
    for number in 0..case.hosts.len() {
        let name = name(number);
        let (drained, masked, packages) = sim
            .fleet
            .with(&name, |it| (it.drained, it.masked, it.packages.clone()));
        let owed: Vec<&str> = status
            .owed
            .iter()
            .filter(|it| it.host == name)
            .map(|it| it.what.as_str())
            .collect();
        assert!(
            !drained || owed.contains(&"drain is not undone"),
            "{name} is drained and nobody says so"
        );
        assert!(
            !masked || owed.iter().any(|it| it.contains("still stopped")),
            "{name} is masked and nobody says so"
        );
        let outcome = sim.outcome(&name);
        if matches!(outcome, Some(Outcome::Done)) {
            assert!(!drained && !masked && packages["nginx"] == "2", "{name}");
        }
        if matches!(outcome, Some(Outcome::RolledBack { .. })) {
            assert!(!drained, "{name}");
        }
        // Whoever has no outcome that tells of a change has not been changed.
        let untouched = matches!(
            outcome,
            None | Some(
                Outcome::Held { .. } | Outcome::Deferred { .. } | Outcome::PlanMismatch { .. }
            )
        );
        if untouched {
            let faulty = case
                .faults
                .iter()
                .any(|it| matches!(it.2, Kind::Unknown(_)));
            assert!(faulty || packages["nginx"] == "1", "{name}: {outcome:?}");
        }
    }
    assert_eq!(sim.fleet.doubled(), Vec::<String>::new());
    let waves: Vec<Option<i64>> = (0..3).map(|it| first_start(sim, it)).collect();
    for later in [1, 2] {
        if let (Some(first), Some(then)) = (waves[0], waves[later]) {
            assert!(first <= then, "the canary is first");
        }
    }
}

fn first_start(sim: &Sim, wave: u32) -> Option<i64> {
    sim.entries().into_iter().find_map(|it| match it.note {
        Note::Admitted { host, .. } if sim.plan.hosts[&host].wave == wave => Some(it.at_us),
        _ => None,
    })
}

/// `PROPTEST_CASES` asks for more.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|it| it.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(cases),
        max_shrink_iters: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn whatever_happens(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let sim = run(&case).await;
            holds(&case, &sim);
        });
    }
}
