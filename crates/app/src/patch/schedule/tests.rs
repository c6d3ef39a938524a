//! The scheduler with a clock, hosts and runs that are made up; the run store is a real one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hostler_diag::SourceMap;
use hostler_history::{StateDir, Store};
use hostler_schedule::Occurrence;

use super::agenda::Agenda;
use super::diary::Diary;
use super::scheduler::{Planned, RunOfPlan, Scheduler, Wake, Worked, World};

const HOUR_US: i64 = 3_600_000_000;

fn us(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

/// How work goes that takes this long.
#[derive(Clone, Copy, Debug)]
enum Going {
    Ends,
    Waits {
        hours: i64,
    },
    /// The process is killed in the middle.
    Killed,
    Refused,
    Halts,
    /// Somebody halts it, and the process is killed while hosts are in the middle.
    CutOff,
}

struct Fake {
    _directory: tempfile::TempDir,
    store: Store,
    policy: PathBuf,
    now_us: Cell<i64>,
    /// The scheduler is stopped then.
    until_us: Cell<i64>,
    log: RefCell<Vec<String>>,
    runs: RefCell<BTreeMap<String, RunOfPlan>>,
    next: RefCell<Vec<Going>>,
    hosts: Cell<usize>,
    silent: Cell<usize>,
    plans: Cell<u32>,
    takes_us: Cell<i64>,
    planning_fails: Cell<bool>,
}

/// A Saturday night in Berlin each week, and a rule for what is missed.
fn policy(more: &str) -> String {
    format!(
        "kind: PatchPolicy\nname: prod\ntargets: all\nwindow: {{zone: Europe/Berlin, weekly: sat, at: \"22:00\", duration: 4h}}\n{more}"
    )
}

impl Fake {
    fn new(at: &str, text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("prod.yml");
        std::fs::write(&path, text).unwrap();
        let state = StateDir::open(&directory.path().join("state")).unwrap();
        Fake {
            store: Store::open(&state).unwrap(),
            policy: path,
            now_us: Cell::new(us(at)),
            until_us: Cell::new(i64::MAX),
            log: RefCell::default(),
            runs: RefCell::default(),
            next: RefCell::default(),
            hosts: Cell::new(3),
            silent: Cell::new(0),
            plans: Cell::new(0),
            takes_us: Cell::new(HOUR_US),
            planning_fails: Cell::new(false),
            _directory: directory,
        }
    }

    /// A scheduler runs until then.
    fn attend(&self, until: &str) -> Vec<String> {
        self.until_us.set(us(until));
        Scheduler::new(self, Diary::new(self.store.clone()), &self.policy).attend();
        self.log.take()
    }

    /// The timer starts the service once.
    fn once(&self) -> (bool, Vec<String>) {
        let fine = Scheduler::new(self, Diary::new(self.store.clone()), &self.policy).once();
        (fine, self.log.take())
    }

    fn at(&self, time: &str) -> &Self {
        self.now_us.set(us(time));
        self
    }

    fn note(&self, text: &str) {
        let at = jiff::Timestamp::from_microsecond(self.now_us.get()).unwrap();
        self.log
            .borrow_mut()
            .push(format!("{} {text}", at.strftime("%m-%dT%H:%M")));
    }

    fn work(&self, plan: &str, run: &str) -> Worked {
        let going = self.next.borrow_mut().pop().unwrap_or(Going::Ends);
        let mut runs = self.runs.borrow_mut();
        let mut stand = |stand: RunOfPlan| runs.insert(plan.to_owned(), stand);
        if !matches!(going, Going::Refused) {
            self.now_us.set(self.now_us.get() + self.takes_us.get());
        }
        match going {
            Going::Ends => {
                stand(RunOfPlan::Over);
                Worked::Ended(format!("{run} ended"))
            }
            Going::Waits { hours } => {
                stand(RunOfPlan::Interrupted {
                    run: run.to_owned(),
                    orderly: true,
                });
                let until_us = self.now_us.get() + hours * HOUR_US;
                Worked::Waits {
                    run: run.to_owned(),
                    until_us,
                }
            }
            Going::Killed => {
                stand(RunOfPlan::Interrupted {
                    run: run.to_owned(),
                    orderly: false,
                });
                self.until_us.set(i64::MIN);
                Worked::Ended("killed".to_owned())
            }
            Going::Halts => {
                stand(RunOfPlan::Halted(run.to_owned()));
                Worked::Ended(format!("{run} halted"))
            }
            Going::CutOff => {
                stand(RunOfPlan::CutOff(run.to_owned()));
                self.until_us.set(i64::MIN);
                Worked::Ended("killed".to_owned())
            }
            Going::Refused => Worked::Refused("hosts are locked".to_owned()),
        }
    }
}

impl World for Fake {
    fn now_us(&self) -> i64 {
        self.now_us.get()
    }

    fn wait(&self, until_us: i64) -> Wake {
        self.now_us.set(until_us);
        if self.stopping() {
            Wake::Stop
        } else {
            Wake::Time
        }
    }

    fn stopping(&self) -> bool {
        self.now_us.get() >= self.until_us.get()
    }

    fn tell(&self, _text: &str) {}

    fn agenda(&self, policy: &Path) -> Result<Agenda, String> {
        Agenda::load(policy, &SourceMap::new()).map_err(|it| it[0].message.clone())
    }

    fn run_of(&self, plan: &str) -> Result<RunOfPlan, String> {
        Ok(self
            .runs
            .borrow()
            .get(plan)
            .cloned()
            .unwrap_or(RunOfPlan::NotBegun))
    }

    fn plan(&self, _policy: &Path, any_window: Option<&[Occurrence]>) -> Result<Planned, String> {
        if self.planning_fails.get() {
            return Err("the inventory is broken".to_owned());
        }
        self.plans.set(self.plans.get() + 1);
        let id = format!("plan{}", self.plans.get());
        self.note(&format!(
            "{id}{}",
            if any_window.is_some() {
                " for any window"
            } else {
                ""
            }
        ));
        Ok(Planned {
            id,
            hosts: self.hosts.get(),
            left_out: 1,
            silent: self.silent.get(),
        })
    }

    fn apply(&self, plan: &str) -> Worked {
        self.note(&format!("apply {plan}"));
        self.work(plan, &plan.replace("plan", "run"))
    }

    fn resume(&self, run: &str) -> Worked {
        self.note(&format!("resume {run}"));
        self.work(&run.replace("run", "plan"), run)
    }

    fn finish(&self, run: &str) -> Worked {
        self.note(&format!("finish {run}"));
        self.next.borrow_mut().push(Going::Halts);
        self.work(&run.replace("run", "plan"), run)
    }

    fn report_missed(&self, _policy: &Path, ids: &[String]) -> Result<(), String> {
        self.note(&format!("missed {}", ids.join(" ")));
        Ok(())
    }
}

#[test]
fn each_window_is_opened_once_at_its_start() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    let log = fake.attend("2026-12-01T00:00:00Z");
    let expected = [
        "11-21T21:00 plan1",
        "11-21T21:00 apply plan1",
        "11-28T21:00 plan2",
        "11-28T21:00 apply plan2",
    ];
    assert_eq!(log, expected);
    // Another scheduler with the same store, or this one started anew, finds it done.
    fake.at("2026-11-28T23:30:00Z");
    assert!(fake.attend("2026-11-29T12:00:00Z").is_empty());
}

#[test]
fn who_is_started_in_a_window_that_was_known_opens_it_late() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    assert!(fake.once().1.is_empty());
    fake.at("2026-11-21T22:30:00Z");
    assert_eq!(
        fake.once(),
        (
            true,
            vec!["11-21T22:30 plan1".into(), "11-21T22:30 apply plan1".into()]
        )
    );
    assert!(fake.once().1.is_empty());
}

#[test]
fn editing_the_policy_opens_nothing_that_has_begun() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    assert!(fake.once().1.is_empty());
    // At 22:30 local time somebody writes that the window opens at 22:15.
    fake.at("2026-11-21T21:30:00Z");
    let edited = policy("").replace("22:00", "22:15");
    std::fs::write(&fake.policy, edited).unwrap();
    assert!(fake.once().1.is_empty());
    // And back: that is an edit, too.
    std::fs::write(&fake.policy, policy("")).unwrap();
    assert!(fake.once().1.is_empty());
    assert_eq!(fake.attend("2026-11-29T00:00:00Z")[0], "11-28T21:00 plan1");
}

#[test]
fn a_new_policy_opens_no_window_that_is_open_already() {
    let fake = Fake::new("2026-11-21T22:00:00Z", &policy("missed: catch_up\n"));
    assert_eq!(fake.attend("2026-11-29T00:00:00Z")[0], "11-28T21:00 plan1");
}

#[test]
fn a_run_that_was_killed_goes_on_first() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    fake.next.borrow_mut().push(Going::Killed);
    assert_eq!(
        fake.attend("2026-11-29T00:00:00Z"),
        ["11-21T21:00 plan1", "11-21T21:00 apply plan1"]
    );
    let log = fake
        .at("2026-11-21T22:10:00Z")
        .attend("2026-11-29T00:00:00Z");
    assert_eq!(
        log,
        [
            "11-21T22:10 resume run1",
            "11-28T21:00 plan2",
            "11-28T21:00 apply plan2"
        ]
    );
    // After its window, too: what it owes to hosts is not to wait for a week.
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    fake.next.borrow_mut().push(Going::Killed);
    fake.attend("2026-11-29T00:00:00Z");
    let log = fake
        .at("2026-11-22T09:00:00Z")
        .attend("2026-11-22T12:00:00Z");
    assert_eq!(log, ["11-22T09:00 resume run1"]);
}

#[test]
fn a_plan_that_was_not_begun_is_carried_out_and_not_made_again() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    assert!(fake.once().1.is_empty());
    fake.at("2026-11-21T21:00:00Z");
    // Killed after the occurrence was opened and before the run was begun.
    let diary = Diary::new(fake.store.clone());
    assert!(
        diary
            .open(
                "prod/window/2026-11-21",
                &[],
                "plan0",
                us("2026-11-21T21:00:00Z")
            )
            .unwrap()
    );
    assert_eq!(fake.once(), (true, vec!["11-21T21:00 apply plan0".into()]));
    assert!(
        !diary
            .open("prod/window/2026-11-21", &[], "plan9", 0)
            .unwrap()
    );
}

#[test]
fn a_run_that_waits_is_left_alone_until_its_time_and_has_the_next_window() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    fake.next
        .borrow_mut()
        .extend([Going::Ends, Going::Waits { hours: 24 * 6 + 22 }]);
    let log = fake.attend("2026-12-01T00:00:00Z");
    // There is no second plan beside it: the next occurrence is its.
    assert_eq!(
        log,
        [
            "11-21T21:00 plan1",
            "11-21T21:00 apply plan1",
            "11-28T20:00 resume run1",
            "11-28T21:00 plan2",
            "11-28T21:00 apply plan2"
        ]
    );

    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    fake.next
        .borrow_mut()
        .extend([Going::Ends, Going::Waits { hours: 24 * 20 }]);
    let log = fake.attend("2026-12-01T00:00:00Z");
    assert_eq!(
        log,
        [
            "11-21T21:00 plan1",
            "11-21T21:00 apply plan1",
            "11-28T21:00 resume run1"
        ]
    );
}

#[test]
fn windows_that_open_while_a_run_goes_on_are_the_runs() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy("missed: report\n"));
    fake.takes_us.set(24 * 8 * HOUR_US);
    let log = fake.attend("2026-12-01T00:00:00Z");
    assert_eq!(
        log,
        ["11-21T21:00 plan1", "11-21T21:00 apply plan1"],
        "11-28 was neither opened nor missed"
    );
}

#[test]
fn a_halted_run_stays_halted_and_the_next_window_makes_a_new_plan() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    fake.next.borrow_mut().extend([Going::Ends, Going::Halts]);
    let log = fake.attend("2026-12-01T00:00:00Z");
    assert_eq!(
        log,
        [
            "11-21T21:00 plan1",
            "11-21T21:00 apply plan1",
            "11-28T21:00 plan2",
            "11-28T21:00 apply plan2"
        ]
    );
}

#[test]
fn what_cannot_be_done_is_tried_again_while_the_window_is_open() {
    let fake = Fake::new("2026-11-21T20:00:00Z", &policy("missed: report\n"));
    fake.planning_fails.set(true);
    assert!(fake.attend("2026-11-21T21:12:00Z").is_empty());
    fake.planning_fails.set(false);
    fake.next
        .borrow_mut()
        .extend([Going::Ends, Going::Refused, Going::Refused]);
    let log = fake.attend("2026-11-23T00:00:00Z");
    assert_eq!(
        log,
        [
            "11-21T21:15 plan1",
            "11-21T21:15 apply plan1",
            "11-21T21:20 apply plan1",
            "11-21T21:25 apply plan1",
        ]
    );
    // Nobody could plan as long as the window was open: it was missed.
    let fake = Fake::new("2026-11-21T20:00:00Z", &policy("missed: report\n"));
    fake.planning_fails.set(true);
    let log = fake.attend("2026-11-23T00:00:00Z");
    assert_eq!(log, ["11-22T01:00 missed prod/window/2026-11-21"]);
    assert!(
        !fake
            .at("2026-11-23T00:00:00Z")
            .log
            .borrow()
            .iter()
            .any(|it| it.contains("missed"))
    );
}

#[test]
fn missed_windows() {
    for (rule, expected) in [
        (
            "next_window",
            vec!["12-05T21:00 plan1", "12-05T21:00 apply plan1"],
        ),
        (
            "report",
            vec![
                "12-01T00:00 missed prod/window/2026-11-21 prod/window/2026-11-28",
                "12-05T21:00 plan1",
                "12-05T21:00 apply plan1",
            ],
        ),
        (
            "catch_up",
            vec!["12-05T21:00 plan1", "12-05T21:00 apply plan1"],
        ),
    ] {
        let fake = Fake::new(
            "2026-11-20T12:00:00Z",
            &policy(&format!("missed: {rule}\n")),
        );
        assert!(fake.once().1.is_empty());
        // The controller was off for ten days.
        let log = fake
            .at("2026-12-01T00:00:00Z")
            .attend("2026-12-06T12:00:00Z");
        assert_eq!(log, expected, "{rule}");
    }
}

#[test]
fn catching_up_takes_any_window_of_the_policy() {
    let text = "kind: PatchPolicy\nname: prod\ntargets: all\nmissed: catch_up\nwindows:\n  canary: {zone: UTC, weekly: wed, at: \"09:00\", duration: 3h}\n  night: {zone: UTC, weekly: sat, at: \"22:00\", duration: 4h}\nwaves:\n  - {hosts: 1, window: canary}\n  - {hosts: rest, window: night}\n";
    let fake = Fake::new("2026-11-20T12:00:00Z", text);
    assert!(fake.once().1.is_empty());
    let log = fake
        .at("2026-11-26T12:00:00Z")
        .attend("2026-11-30T00:00:00Z");
    assert_eq!(
        log,
        [
            "11-28T22:00 plan1 for any window",
            "11-28T22:00 apply plan1"
        ]
    );
    // The window of the first wave opens runs, no other one does.
    let log = fake.attend("2026-12-08T00:00:00Z");
    assert_eq!(log, ["12-02T09:00 plan2", "12-02T09:00 apply plan2"]);
}

#[test]
fn nothing_to_do_is_opened_and_done() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    fake.hosts.set(0);
    assert_eq!(fake.attend("2026-11-23T00:00:00Z"), ["11-21T21:00 plan1"]);
}

#[test]
fn a_policy_without_a_window_or_with_errors_opens_nothing() {
    let fake = Fake::new(
        "2026-11-20T12:00:00Z",
        "kind: PatchPolicy\nname: prod\ntargets: all\n",
    );
    assert_eq!(fake.once(), (false, Vec::new()));
    std::fs::write(&fake.policy, policy("windws: {}\n")).unwrap();
    assert!(fake.attend("2026-11-22T00:00:00Z").is_empty());
    // Mended in time it opens the next one.
    fake.at("2026-11-22T00:00:00Z");
    std::fs::write(&fake.policy, policy("")).unwrap();
    assert_eq!(fake.attend("2026-11-30T00:00:00Z")[0], "11-28T21:00 plan1");
}

#[test]
fn a_fleet_that_does_not_answer_is_asked_again() {
    let fake = Fake::new("2026-11-20T12:00:00Z", &policy(""));
    fake.hosts.set(0);
    fake.silent.set(1);
    let log = fake.attend("2026-11-21T21:12:00Z");
    assert_eq!(
        log,
        [
            "11-21T21:00 plan1",
            "11-21T21:05 plan2",
            "11-21T21:10 plan3"
        ]
    );
    fake.hosts.set(3);
    let log = fake.attend("2026-11-21T23:00:00Z");
    assert_eq!(log[1], format!("{} apply plan4", &log[0][..11]));
}

#[test]
fn a_halted_run_that_was_cut_off_is_brought_to_its_end_and_stays_halted() {
    let fake = Fake::new("2026-11-21T12:00:00Z", &policy(""));
    fake.next.borrow_mut().push(Going::CutOff);
    let log = fake.attend("2026-12-01T00:00:00Z");
    assert_eq!(log, ["11-21T21:00 plan1", "11-21T21:00 apply plan1"]);
    // Its hosts may be drained: they do not wait for the next window.
    let log = fake
        .at("2026-11-22T09:00:00Z")
        .attend("2026-11-29T12:00:00Z");
    let expected = [
        "11-22T09:00 finish run1",
        "11-28T21:00 plan2",
        "11-28T21:00 apply plan2",
    ];
    assert_eq!(log, expected);
}
