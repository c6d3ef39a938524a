//! The controller is killed (SIGKILL) at every write of its journal (F-29): what is resumed comes to the same end.

use crate::playbook::{self, State};
use crate::site::{Ran, Site, path, run};

/// With it, every write is tried; without, each of so many.
const ALL: &str = "HOSTLER_FAULTS_ALL";
const STEP: usize = 7;
const HOSTS: usize = 20;
/// A run that was killed once is over after one resume; killed again while it was resumed, after two.
const RESUMES_MAX: usize = 3;

struct Killer {
    site: Site,
    playbook: String,
    inventory: String,
    right: State,
    runs: usize,
}

impl Killer {
    async fn new() -> Killer {
        let site = Site::up(HOSTS).await;
        let playbook = path(&playbook::write(&site));
        let inventory = path(&site.fleet.inventory_path());
        let mut killer = Killer {
            site,
            playbook,
            inventory,
            right: State::new(),
            runs: 0,
        };
        let ran = killer.apply("right", None).await;
        assert!(playbook::is_over(&ran), "{}", ran.said());
        killer.right = playbook::state(&killer.site, "right");
        playbook::assert_right(&killer.right);
        killer
    }

    async fn apply(&mut self, dir: &str, failpoint: Option<&str>) -> Ran {
        let dir = format!("dir=/srv/{dir}");
        let (playbook, inventory) = (self.playbook.clone(), self.inventory.clone());
        self.hostler(
            &["apply", &playbook, "-i", &inventory, "-e", &dir],
            failpoint,
        )
        .await
    }

    async fn resume(&mut self, failpoint: Option<&str>) -> Ran {
        self.hostler(&["resume"], failpoint).await
    }

    async fn hostler(&mut self, args: &[&str], failpoint: Option<&str>) -> Ran {
        self.runs += 1;
        let mut command = self.site.hostler(args);
        if let Some(failpoint) = failpoint {
            command.env("HOSTLER_FAILPOINT", failpoint);
        }
        run(command).await
    }

    /// Kills a run at a place, and then goes on until it is over. False: the run was over before it came to that place.
    async fn kill_at(&mut self, failpoint: &str, dir: &str, and_again: Option<&str>) -> bool {
        let ran = self.apply(dir, Some(failpoint)).await;
        if ran.code.is_some() {
            assert!(playbook::is_over(&ran), "{failpoint}: {}", ran.said());
            self.assert_right(dir, failpoint, &ran);
            return false;
        }
        let mut again = and_again;
        for attempt in 0.. {
            let before = playbook::state(&self.site, dir);
            let ran = self.resume(again.take()).await;
            if ran.code.is_none() {
                continue;
            }
            if playbook::is_over(&ran) {
                self.assert_right(dir, failpoint, &ran);
                return true;
            }
            if ran.said().contains("there is no run to resume") {
                // It was killed before it was written down, and had done nothing, or when it had done everything.
                if before.values().all(std::collections::BTreeMap::is_empty) {
                    let ran = self.apply(dir, None).await;
                    assert!(playbook::is_over(&ran), "{failpoint}: {}", ran.said());
                }
                self.assert_right(dir, failpoint, &ran);
                return true;
            }
            assert!(
                attempt < RESUMES_MAX,
                "{failpoint}: it does not come to its end: {:?}\n{}",
                ran.code,
                ran.said()
            );
        }
        unreachable!("it ends or fails")
    }

    fn assert_right(&self, dir: &str, failpoint: &str, ran: &Ran) {
        let found = playbook::state(&self.site, dir);
        let difference = playbook::difference(&self.right, &found);
        assert!(
            difference.is_empty(),
            "{failpoint}: {difference}\nthe last run said:\n{}",
            ran.said()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_write_of_the_journal_it_is_resumed_to_the_same_end() {
    let mut killer = Killer::new().await;
    let step = std::env::var_os(ALL).map_or(STEP, |_| 1);
    let (mut killed, mut last) = (0, 0);
    // Group commits differ a little in number from run to run: it is over when none has come so far a few times.
    let mut missed = 0;
    for number in (1..).step_by(step) {
        for place in ["journal-commit-before", "journal-commit-after"] {
            let failpoint = format!("{place}:{number}:kill");
            // Every third one is killed again while it is resumed.
            let again = (number % 3 == 0).then(|| format!("{place}:{}:kill", 1 + number % 7));
            let dir = format!("{place}-{number}");
            if killer.kill_at(&failpoint, &dir, again.as_deref()).await {
                (killed, last, missed) = (killed + 1, number, 0);
            } else {
                missed += 1;
            }
        }
        if missed > 4 {
            break;
        }
    }
    report(&format!(
        "{HOSTS} hosts: a run has about {last} commits; killed {killed} runs, {} started in all",
        killer.runs
    ));
    assert!(killed >= 10, "only {killed} runs were killed");
    killer.site.fleet.down().await.unwrap();
}

#[expect(clippy::print_stderr, reason = "the figures are wanted")]
fn report(line: &str) {
    eprintln!("{line}");
}
