//! How a run stands and how it went, and that large runs are decided fast.

use std::collections::BTreeMap;

use hostler_patch::plan::HostRollback;
use hostler_rollout::{End, Note, Order, Outcome, RunState, Stand, Status, Step};

use super::fleet::{Fault, at};
use super::plans::{group, host, plan, three_waves, wave, window};
use super::world::{Kill, Sim};

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_its_window_says_so() {
    let mut it = three_waves(3);
    it.waves[2].window = Some("night".to_owned());
    it.waves[2].approve = true;
    it.windows
        .insert("night".to_owned(), window("night", &[(10_000, 20_000)]));
    let mut sim = Sim::new(it);
    sim.stay_us = Some(60_000_000);
    assert_eq!(sim.run().await, Stand::Waiting { until_us: None });
    let status = sim.machine().status(at(1000));
    assert_eq!(status.state, RunState::Waiting);
    let plan = sim.plan.id().expect("an id");
    assert_eq!(
        status.to_string(),
        format!(
            "run run1 of policy policy (plan {}): waiting
  failures 0 of 5 that the run takes
wave canary: passed, 1 hosts: 1 done; failures 0 of 0
wave early: passed, 2 hosts: 2 done; failures 0 of 1
wave rest: waits for its approval, 3 hosts: 3 waiting; failures 0 of 1; waits for an approval; its window opens in 150 min
",
            plan.short()
        )
        .replace("150 min", "2 h 30 min")
    );
    let approve = Order::Approve {
        wave: "rest".to_owned(),
    };
    sim.orders.push((0, approve));
    assert_eq!(
        sim.run().await,
        Stand::Waiting {
            until_us: Some(at(10_000))
        }
    );
    let status = sim.machine().status(at(1000));
    assert_eq!(status.hosts["r00"].state, "waits for window night");
    assert_eq!(status.approved["rest"], "ada");
}

#[tokio::test(start_paused = true)]
async fn a_halted_run_says_why_and_what_is_owed() {
    let mut it = three_waves(2);
    it.groups = vec![group("web", &["canary", "r00"], 1, None)];
    it.hosts.get_mut("canary").expect("canary").groups = vec![0];
    let sim = Sim::new(it);
    sim.fleet.fault(
        "canary",
        "install",
        Fault::Fail("dpkg: error processing package nginx (--configure)"),
    );
    assert!(matches!(sim.run().await, Stand::Ended(End::Halted(_))));
    let status = sim.machine().status(at(160));
    let plan = sim.plan.id().expect("an id");
    assert_eq!(
        status.to_string(),
        format!(
            "run run1 of policy policy (plan {}): halted
  halted for 67 s: wave canary: 1 failed, it takes 0
  failures 1 of 5 that the run takes
wave canary: open, 1 hosts: 1 failed; failures 1 of 0
wave early: not yet, 2 hosts: 2 waiting; failures 0 of 1; waits for wave canary
wave rest: not yet, 2 hosts: 2 waiting; failures 0 of 1; waits for wave early
group web: misses 1 of 1 that it may: canary
not done
  canary: failed: install: dpkg: error processing package nginx (--configure)
owed
  canary: drain is not undone (the host is not well: it is for a person to decide)
",
            plan.short()
        )
    );
    let json = serde_json::to_string(&status).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Status>(&json).expect("a status"),
        status
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_in_the_middle_shows_what_is_under_way() {
    let sim = Sim::new(three_waves(2));
    // The notes up to the begin of the install.
    assert!(
        sim.process(Some(Kill { at: 15, kept: true }))
            .await
            .is_err()
    );
    let machine = sim.machine();
    let status = machine.status(at(40));
    assert_eq!(status.state, RunState::Running);
    assert_eq!(status.hosts["canary"].step, Some(Step::Install));
    let text = status.to_string();
    assert!(
        text.contains("under way\n  canary: install for 7 s\n"),
        "{text}"
    );
    assert!(text.contains("1 of 1 slots under way"), "{text}");
    assert!(status.owed.iter().all(|it| it.why == "it is worked on"));
}

#[tokio::test(start_paused = true)]
async fn hosts_that_fail_side_by_side_each_say_why() {
    let names: Vec<String> = (0..6).map(|it| format!("h{it}")).collect();
    let hosts = names
        .iter()
        .map(|it| (it.as_str(), host(0, 0, &[("nginx", "2")])));
    let mut it = plan(vec![wave("all", 6)], hosts.collect());
    it.waves[0].proves = true;
    it.waves[0].max_failures = 5;
    it.rollback.on_host_failure = HostRollback::None;
    let sim = Sim::new(it);
    sim.fleet
        .fault("h0", "install", Fault::Fail("lock held by apt (pid 812)"));
    sim.fleet
        .fault("h1", "install", Fault::Fail("lock held by apt (pid 9913)"));
    sim.fleet
        .fault("h2", "install", Fault::Fail("no space left on device"));
    sim.fleet.with("h3", |it| it.lost.push((0, 1_000_000)));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let status = sim.machine().status(at(1000));
    let said = |host: &str| {
        let outcome = status.hosts[host].outcome.as_ref();
        outcome.map(|it| (it.word(), it.reason()))
    };
    let failed = |reason: &str| Some(("failed", format!("install: {reason}")));
    assert_eq!(said("h0"), failed("lock held by apt (pid 812)"));
    assert_eq!(said("h1"), failed("lock held by apt (pid 9913)"));
    assert_eq!(said("h2"), failed("no space left on device"));
    let lost = Some(("unreachable", "no route to host".to_owned()));
    assert_eq!(said("h3"), lost);
    let counted = &status.waves[0].outcomes;
    assert_eq!(
        (counted["failed"], counted["unreachable"], counted["done"]),
        (3, 1, 2)
    );
    // The notes carry the time that each install took: the ledger learns from it.
    let mut begun = BTreeMap::new();
    let mut took = Vec::new();
    for entry in sim.entries() {
        match entry.note {
            Note::Begun {
                host,
                step: Step::Install,
                ..
            } => {
                begun.insert(host, entry.at_us);
            }
            Note::Ended {
                host,
                step: Step::Install,
                ..
            } => {
                took.push((entry.at_us - begun[&host]) / 1_000_000);
            }
            _ => {}
        }
    }
    assert_eq!(took, [60; 5]);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_hosts_in_three_waves() {
    let names: Vec<String> = (0..200).map(|it| format!("h{it:03}")).collect();
    let packages: Vec<String> = (0..30).map(|it| format!("package{it}")).collect();
    let updates: Vec<(&str, &str)> = packages.iter().map(|it| (it.as_str(), "2")).collect();
    let hosts = (0u32..).zip(&names).map(|(order, name)| {
        let number = match order {
            0 => 0,
            1..=20 => 1,
            _ => 2,
        };
        let mut it = host(number, order, &updates);
        it.groups = vec![order % 10];
        (name.as_str(), it)
    });
    let mut waves = vec![wave("canary", 1), wave("early", 10), wave("rest", 20)];
    waves[0].proves = true;
    waves[1].proves = true;
    waves[2].ramp = true;
    let mut it = plan(waves, hosts.collect());
    for number in 0..10usize {
        let members: Vec<&str> = names
            .iter()
            .skip(number)
            .step_by(10)
            .map(String::as_str)
            .collect();
        it.groups
            .push(group(&format!("g{number}"), &members, 3, None));
    }
    let sim = Sim::new(it);
    let began = std::time::Instant::now();
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let status = sim.machine().status(sim.fleet.now_us());
    assert!(
        status
            .hosts
            .values()
            .all(|it| it.outcome == Some(Outcome::Done))
    );
    // A debug build on a busy machine; what it guards against takes minutes.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
