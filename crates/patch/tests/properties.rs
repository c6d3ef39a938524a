//! What holds for every fleet and policy: each host is in one place, budgets and windows are kept, canaries come first, and the
//! order of the input decides nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hostler_diag::SourceMap;
use hostler_patch::plan::{Pin, Plan};
use hostler_patch::select::Request;
use hostler_patch::simulate::{Pace, Simulation, Turn, simulate};
use hostler_patch::{file, forecast, text};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use support::{Case, Fleet, load_and_lint};

/// A fleet and a policy in words.
#[derive(Clone, Debug)]
struct World {
    hosts: Vec<HostWords>,
    waves: String,
    group: (u32, bool),
    duration_h: u32,
    parallel: u32,
    ramp: bool,
    pin: &'static str,
    limit: bool,
}

#[derive(Clone, Debug)]
struct HostWords {
    role: usize,
    boot: usize,
    os: usize,
    lost: bool,
    kernel: bool,
    packages: BTreeSet<usize>,
}

const PACKAGES: [&str; 8] = [
    "openssl",
    "nginx",
    "postgresql",
    "vim",
    "curl",
    "bash",
    "zlib",
    "tzdata",
];
const ROLES: [&str; 3] = ["web", "db", "cache"];
const BOOTS: [&str; 3] = ["bios kvm", "uefi kvm", "uefi metal R640"];
const SYSTEMS: [&str; 2] = ["debian 13", "ubuntu 24.04"];

fn world() -> impl Strategy<Value = World> {
    let host = (
        0..ROLES.len(),
        0..BOOTS.len(),
        0..SYSTEMS.len(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.3),
        prop::collection::btree_set(0..PACKAGES.len(), 0..5),
    );
    let host = host.prop_map(|(role, boot, os, lost, kernel, packages)| HostWords {
        role,
        boot,
        os,
        lost,
        kernel,
        packages,
    });
    let waves = prop::sample::select(vec![
        "[1, 10%, rest]",
        "[auto, rest]",
        "[{hosts: {per: [os, role], at_most: 2}, soak: 1h}, 30%, rest]",
        "[rest]",
        "[cache, 2, rest]",
        "[{hosts: 50%, max_failures: 10%, soak: 0s}, {hosts: rest, parallel: 30%}]",
    ]);
    (
        prop::collection::vec(host, 1..40),
        waves,
        (0_u32..4, any::<bool>()),
        1_u32..6,
        1_u32..12,
        any::<bool>(),
        prop::sample::select(vec!["proven", "plan"]),
        any::<bool>(),
    )
        .prop_map(
            |(hosts, waves, group, duration_h, parallel, ramp, pin, limit)| World {
                hosts,
                waves: waves.into(),
                group,
                duration_h,
                parallel,
                ramp,
                pin,
                limit,
            },
        )
}

impl World {
    /// As a case; `backwards` names everything in the other order.
    fn case(&self, backwards: bool) -> Case {
        let mut policy = String::from("kind: PatchPolicy\nname: p\ntargets: all\nupdates: all\n");
        let window = if self.limit { "night" } else { "window" };
        let hours = self.duration_h;
        if self.limit {
            writeln!(
                policy,
                "windows:\n  night: {{zone: UTC, daily: true, at: \"20:00\", duration: {hours}h}}"
            )
            .unwrap();
            policy.push_str(
                "  late: {zone: UTC, daily: true, at: \"20:30\", duration: 8h, hosts: web}\n",
            );
        } else {
            writeln!(
                policy,
                "{window}: {{zone: UTC, daily: true, at: \"20:00\", duration: {hours}h}}"
            )
            .unwrap();
        }
        let (most, percent) = self.group;
        let group = if percent {
            format!("min_available: {}%", most * 30)
        } else {
            format!("max_unavailable: {}", most + 1)
        };
        let role = |index: usize| self.hosts.iter().any(|it| it.role == index);
        let fits = |waves: &str| role(2) || !waves.contains("cache");
        if role(1) && (!percent || most < 3) {
            writeln!(policy, "groups:\n  db: {{hosts: db, {group}}}").unwrap();
        }
        let waves = if fits(&self.waves) {
            &self.waves
        } else {
            "[1, rest]"
        };
        let rest = format!(
            ", {{hosts: rest, parallel: {}, ramp: {}}}]",
            self.parallel, self.ramp
        );
        let waves = waves.replace(", rest]", &rest);
        writeln!(policy, "waves: {waves}\npin: {{mode: {}}}", self.pin).unwrap();
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        if backwards {
            order.reverse();
        }
        let mut inventory = String::new();
        let mut fleet = String::new();
        for index in order {
            let host = &self.hosts[index];
            writeln!(inventory, "{}: h{index:02}", ROLES[host.role]).unwrap();
            let mut words = vec![
                format!("os {}", SYSTEMS[host.os]),
                format!("boot {}", BOOTS[host.boot]),
            ];
            let mut packages: Vec<usize> = host.packages.iter().copied().collect();
            if backwards {
                packages.reverse();
            }
            for package in packages {
                words.push(format!("update {} 1 -> 2 security", PACKAGES[package]));
            }
            if host.kernel {
                words
                    .push("update linux-image-1 1 -> 2 security size=90MiB; reboots kernel".into());
            }
            if host.lost {
                words.push("unreachable it is off".into());
            }
            writeln!(fleet, "h{index:02}: {}", words.join("; ")).unwrap();
        }
        Case::parse(&format!(
            "== policy\n{policy}\n== inventory\n{inventory}\n== fleet\n{fleet}\n== now\n2026-12-08 10:00\n"
        ))
    }
}

/// The plan, or `None` if lint refuses the policy for this fleet (a group of which nobody may be missing).
fn plan_of(case: &Case) -> Option<(Plan, Fleet)> {
    let mut fleet = Fleet::of(case);
    let sources = SourceMap::new();
    let (found, problems) = load_and_lint(&sources, case.section("policy"), &fleet);
    let errors: Vec<_> = problems.iter().filter(|it| it.is_error()).collect();
    if !errors.is_empty() {
        assert!(
            errors.iter().all(|it| it.code == "policy-group"),
            "{errors:?}"
        );
        return None;
    }
    let (policy, checked) = found?;
    let plan = fleet.plan(&policy, &checked, &Request::default());
    Some((plan, fleet))
}

fn turns(simulation: &Simulation) -> BTreeMap<&str, (i64, i64)> {
    simulation
        .turns
        .iter()
        .filter_map(|(host, turn)| match turn {
            Turn::Works(it) => Some((host.as_str(), (it.start_us, it.end_us))),
            _ => None,
        })
        .collect()
}

/// How many of these stretches overlap, at most.
fn most(stretches: impl Iterator<Item = (i64, i64)>) -> usize {
    let mut changes: Vec<(i64, i32)> = stretches
        .flat_map(|(start, end)| [(start, 1), (end, -1)])
        .collect();
    changes.sort_unstable();
    let mut now = 0;
    changes
        .iter()
        .map(|(_, change)| {
            now += change;
            now
        })
        .max()
        .map_or(0, |it| usize::try_from(it).unwrap())
}

fn check_simulation(plan: &Plan, simulation: &Simulation) -> Result<(), TestCaseError> {
    let turns = turns(simulation);
    prop_assert_eq!(
        simulation.turns.len(),
        plan.hosts.len(),
        "each host has a turn, or a reason"
    );
    for (index, wave) in plan.waves.iter().enumerate() {
        let number = u32::try_from(index).unwrap();
        let hosts = plan.hosts_of(number);
        let own: Vec<(i64, i64)> = hosts
            .iter()
            .filter_map(|it| turns.get(it).copied())
            .collect();
        prop_assert!(most(own.iter().copied()) <= wave.parallel as usize);
        let opens = simulation.opens_us[index];
        prop_assert!(
            own.iter().all(|(start, _)| *start >= opens),
            "waves do not overlap"
        );
        if index > 0 {
            prop_assert!(opens >= simulation.passes_us[index - 1]);
            let soak = i64::try_from(plan.waves[index - 1].soak_s).unwrap() * 1_000_000;
            let before = plan.hosts_of(number - 1);
            let last = before
                .iter()
                .filter_map(|it| turns.get(it))
                .map(|it| it.1)
                .max();
            prop_assert!(
                last.is_none_or(|it| opens >= it + soak),
                "a wave soaks before the next"
            );
        }
        let open = wave.window.as_ref().map(|it| &plan.windows[it]);
        for host in hosts {
            let Some((start, _)) = turns.get(host) else {
                continue;
            };
            let planned = &plan.hosts[host];
            let end = start + i64::from(planned.expected_p95_s + wave.reserve_s) * 1_000_000;
            let inside =
                |it: &hostler_schedule::Interval| it.start_us <= *start && end <= it.end_us;
            if let Some(open) = open {
                prop_assert!(
                    open.iter().flat_map(|it| &it.open).any(inside),
                    "{} is outside",
                    host
                );
            }
            if let Some(own) = &planned.own_windows {
                prop_assert!(
                    own.iter().any(inside),
                    "{host} is outside of its own window"
                );
            }
        }
    }
    for group in &plan.groups {
        let members = group
            .hosts
            .iter()
            .filter_map(|it| turns.get(it.as_str()).copied());
        let busy = most(members);
        let away = group.unavailable.len();
        prop_assert!(
            busy == 0 || busy + away <= group.max_unavailable as usize,
            "group {}",
            group.name
        );
    }
    Ok(())
}

/// What a wave that proves nothing installs was installed before by one that does.
fn check_proof(plan: &Plan) -> Result<(), TestCaseError> {
    if plan.pin == Pin::Plan {
        return Ok(());
    }
    let mut proven: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut booted = BTreeSet::new();
    for (index, wave) in plan.waves.iter().enumerate() {
        for host in plan.hosts_of(u32::try_from(index).unwrap()) {
            let host = &plan.hosts[host];
            let reboots = !host.reboot_reasons.is_empty();
            for action in &host.actions {
                let key = (
                    format!("{} {}", host.os.id, host.os.version),
                    action.package.to_string(),
                    action.to.clone().unwrap_or_default(),
                );
                let boot = (key.clone(), host.boot_class.clone());
                if wave.proves {
                    proven.insert(key);
                    if reboots {
                        booted.insert(boot);
                    }
                    continue;
                }
                prop_assert!(proven.contains(&key), "{:?} is not proven", key);
                if reboots && key.1.starts_with("linux-image") {
                    prop_assert!(booted.contains(&boot), "{:?} was not booted", boot);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_keep_their_promises(world in world()) {
        let case = world.case(false);
        let Some((plan, fleet)) = plan_of(&case) else { return Ok(()) };
        let names: BTreeSet<&String> = fleet.hosts.keys().collect();
        let placed: BTreeSet<&String> = plan.hosts.keys().chain(plan.left_out.keys()).collect();
        prop_assert_eq!(&names, &placed);
        prop_assert_eq!(names.len(), plan.hosts.len() + plan.left_out.len(), "nobody is in two places");
        for wave in 0..plan.waves.len() {
            let number = u32::try_from(wave).unwrap();
            prop_assert!(!plan.hosts_of(number).is_empty(), "no wave is empty");
            let orders: BTreeSet<u32> = plan.hosts.values().filter(|it| it.wave == number).map(|it| it.order).collect();
            prop_assert_eq!(orders.len(), plan.hosts_of(number).len(), "turns differ");
        }
        check_proof(&plan)?;
        for pace in [Pace::Likely, Pace::Slow] {
            check_simulation(&plan, &simulate(&plan, plan.made_us, pace, &BTreeMap::new()))?;
        }
        // A plan file is read as it was written, and everything can be shown.
        let (read, id) = file::read(&file::write(&plan).unwrap()).unwrap();
        prop_assert_eq!(&read, &plan);
        let seen = forecast::forecast(&plan, id.short(), plan.made_us);
        let shown = text::forecast(&seen, &hostler_schedule::Zone::utc()) + &text::plan(&plan, &id);
        prop_assert!(!shown.contains('\x1b'));
        let counts = &seen.hosts;
        let left_out: u32 = counts.left_out.values().sum();
        prop_assert_eq!(counts.all, counts.patched + counts.no_time + counts.blocked + left_out);
    }

    #[test]
    fn the_order_of_the_input_decides_nothing(world in world()) {
        let (one, other) = (world.case(false), world.case(true));
        let (Some((first, _)), Some((second, _))) = (plan_of(&one), plan_of(&other)) else { return Ok(()) };
        prop_assert_eq!(first.id().unwrap(), second.id().unwrap());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}") {
        let sources = SourceMap::new();
        support::load(&sources, &text);
        support::load(&sources, &format!("kind: PatchPolicy\nname: x\ntargets: all\n{text}"));
    }

    #[test]
    fn no_bytes_make_the_reader_of_plans_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(file::read(&bytes).is_err());
    }
}
