//! Windows: who starts when, and what happens at their ends.

use hostler_rollout::{End, Outcome, Stand};
use hostler_schedule::{Interval, subtract};

use super::fleet::{Fault, at};
use super::plans::{host, plan, small, wave, window};
use super::world::{Kill, Sim};

fn admitted(sim: &Sim) -> Vec<String> {
    sim.told()
        .into_iter()
        .filter(|it| it.contains("admitted"))
        .collect()
}

fn in_window(names: &[&str], times: &[(i64, i64)]) -> hostler_patch::plan::Plan {
    let mut it = small(names);
    it.waves[0].window = Some("night".to_owned());
    it.windows
        .insert("night".to_owned(), window("night", times));
    it
}

#[tokio::test(start_paused = true)]
async fn nobody_starts_before_a_window_or_too_late_in_it() {
    // Each needs 300 s and 60 s of reserve: the third would end too late.
    let sim = Sim::new(in_window(&["a", "b", "c"], &[(1000, 1500)]));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(admitted(&sim), ["+1000 a: admitted", "+1106 b: admitted"]);
    assert_eq!(
        sim.outcome("c"),
        Some(Outcome::Deferred {
            reason: "no more occurrence of window night has the 6 minutes that it needs".to_owned()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn what_did_not_fit_waits_for_the_next_occurrence() {
    let day = 86_400;
    let sim = Sim::new(in_window(
        &["a", "b", "c"],
        &[(1000, 1500), (day, day + 400)],
    ));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        admitted(&sim),
        [
            "+1000 a: admitted",
            "+1106 b: admitted",
            "+86400 c: admitted"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_does_not_stay_says_until_when() {
    let mut sim = Sim::new(in_window(&["a"], &[(10_000, 12_000)]));
    sim.stay_us = Some(3_600_000_000);
    let stand = sim.run().await;
    assert_eq!(
        stand,
        Stand::Waiting {
            until_us: Some(at(10_000))
        }
    );
    tokio::time::sleep(std::time::Duration::from_secs(9_000)).await;
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(admitted(&sim), ["+10000 a: admitted"]);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_in_the_middle_is_the_end_of_the_window() {
    let mut it = in_window(&["a", "b", "c"], &[(0, 2000)]);
    let night = it.windows.get_mut("night").expect("night");
    let freeze = Interval {
        start_us: at(450),
        end_us: at(1500),
    };
    night[0].open = subtract(&night[0].open, &[freeze]);
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        admitted(&sim),
        ["+0 a: admitted", "+1500 b: admitted", "+1606 c: admitted"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hosts_own_windows_are_obeyed_too() {
    let mut it = in_window(&["a", "b"], &[(0, 5000)]);
    it.hosts.get_mut("a").expect("a").own_windows = Some(vec![Interval {
        start_us: at(4000),
        end_us: at(9000),
    }]);
    it.hosts.get_mut("b").expect("b").own_windows = Some(vec![Interval {
        start_us: at(6000),
        end_us: at(9000),
    }]);
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(admitted(&sim), ["+4000 a: admitted"]);
    assert!(matches!(sim.outcome("b"), Some(Outcome::Deferred { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_has_expired_starts_nobody() {
    let mut it = small(&["a", "b"]);
    it.valid_until_us = at(50);
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    assert_eq!(
        sim.outcome("a"),
        Some(Outcome::Done),
        "it was started in time"
    );
    assert_eq!(
        sim.outcome("b"),
        Some(Outcome::Deferred {
            reason: "the plan is not valid any more".to_owned()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_too_slow_before_its_packages_goes_back_and_waits() {
    let mut it = in_window(&["a"], &[(0, 400), (5000, 6000)]);
    it.waves[0].parallel = 2;
    let sim = Sim::new(it);
    // Half of the 300 s is still to come after the download, and only 100 are left: it is not even drained.
    sim.fleet.fault("a", "download", Fault::Slow(280));
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    let told = sim.told_of("a");
    assert!(
        told.contains(&"left (its window ends too soon for what is left to do)".to_owned()),
        "{told:?}"
    );
    assert_eq!(admitted(&sim), ["+0 a: admitted", "+5000 a: admitted"]);
    assert_eq!(sim.outcome("a"), Some(Outcome::Done));
    let steps = sim.fleet.steps_of("a");
    assert_eq!(steps.iter().filter(|it| it.as_str() == "pre-0").count(), 1);
    assert_eq!(steps.iter().filter(|it| it.as_str() == "undo-0").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn waves_have_windows_of_their_own() {
    let mut it = plan(
        vec![wave("canary", 1), wave("rest", 2)],
        vec![
            ("canary", host(0, 0, &[("nginx", "2")])),
            ("a", host(1, 0, &[("nginx", "2")])),
            ("b", host(1, 1, &[("nginx", "2")])),
        ],
    );
    it.waves[0].proves = true;
    it.waves[0].window = Some("day".to_owned());
    it.waves[1].window = Some("night".to_owned());
    it.windows
        .insert("day".to_owned(), window("day", &[(5000, 7000)]));
    it.windows.insert(
        "night".to_owned(),
        window("night", &[(1000, 3000), (10_000, 12_000)]),
    );
    let sim = Sim::new(it);
    assert_eq!(sim.run().await, Stand::Ended(End::Complete));
    // The night before the canary is no night for the rest.
    assert_eq!(
        admitted(&sim),
        [
            "+5000 canary: admitted",
            "+10000 a: admitted",
            "+10000 b: admitted"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_is_drained_when_a_run_goes_on_after_the_end_of_its_window() {
    let it = in_window(&["a"], &[(0, 1000), (86_400, 90_000)]);
    let sim = Sim::new(it.clone());
    sim.run().await;
    for (at, line) in sim.told().iter().enumerate() {
        if !line.contains("begun") || line.contains("begun pre-0") {
            continue;
        }
        if line.contains("begun baseline") {
            break;
        }
        let sim = Sim::new(it.clone());
        let killed = sim.process(Some(Kill { at, kept: true })).await;
        assert!(killed.is_err());
        tokio::time::sleep(std::time::Duration::from_secs(30_000)).await;
        assert_eq!(sim.run().await, Stand::Ended(End::Complete));
        let log = sim.fleet.log.lock().expect("lock").clone();
        let drained: Vec<_> = log
            .iter()
            .filter(|(at, _, step)| step == "pre-0" && *at >= 1000 && *at < 86_400)
            .collect();
        assert!(drained.is_empty(), "killed at {line}: {drained:?}");
        assert_eq!(sim.outcome("a"), Some(Outcome::Done));
    }
}
