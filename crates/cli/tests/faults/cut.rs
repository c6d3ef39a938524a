//! The line to a host is cut, reset or goes silent after byte N, for many N in both directions (F-05, F-06): the run
//! itself connects again and comes to the same end, or what is resumed does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hostler_faults::{Plan, Shim, Way};

use crate::playbook::{self, State};
use crate::site::{Ran, Site, path, run};

const ALL: &str = "HOSTLER_FAULTS_ALL";
/// Offsets in each direction.
const SOME: u64 = 5;
const MANY: u64 = 60;
const RESUMES_MAX: usize = 3;

/// Has a host of the inventory reached through a line of ours.
pub(crate) async fn through_a_line(site: &Site, index: usize) -> Shim {
    let address = site.fleet.hosts[index].address;
    let shim = Shim::start(address, |_| Plan::PASS).await.unwrap();
    let direct = format!(
        "ansible_host={} ansible_port={}\n",
        address.ip(),
        address.port()
    );
    let through = format!(
        "ansible_host=127.0.0.1 ansible_port={}\n",
        shim.address.port()
    );
    let inventory = std::fs::read_to_string(site.fleet.inventory_path()).unwrap();
    assert!(inventory.contains(&direct), "{inventory}");
    let inventory = inventory.replace(&direct, &through);
    std::fs::write(site.fleet.inventory_path(), inventory).unwrap();
    let known = std::fs::read_to_string(site.fleet.known_hosts_path()).unwrap();
    let before = format!("[{}]:{} ", address.ip(), address.port());
    let line = known.lines().find(|line| line.starts_with(&before));
    let line = line
        .unwrap()
        .replace(&before, &format!("[127.0.0.1]:{} ", shim.address.port()));
    let known = format!("{known}{line}\n");
    std::fs::write(site.fleet.known_hosts_path(), known).unwrap();
    shim
}

/// Two of three hosts are reached through a line that breaks.
struct Lines {
    site: Site,
    shims: Vec<Shim>,
    playbook: String,
    right: State,
    resumed: AtomicUsize,
}

impl Lines {
    async fn new() -> Lines {
        let site = Site::up(3).await;
        let mut shims = Vec::new();
        for index in [0, 2] {
            shims.push(through_a_line(&site, index).await);
        }
        let inventory = std::fs::read_to_string(site.fleet.inventory_path()).unwrap();
        // A line that goes silent is noticed after some seconds instead of a minute.
        let inventory = inventory.replace(
            "ansible_ssh_common_args=",
            "ansible_ssh_common_args=-o ServerAliveInterval=1 -o ServerAliveCountMax=3 ",
        );
        std::fs::write(site.fleet.inventory_path(), inventory).unwrap();
        let playbook = path(&playbook::write(&site));
        let mut lines = Lines {
            site,
            shims,
            playbook,
            right: State::new(),
            resumed: AtomicUsize::new(0),
        };
        // The first run sends the agent, the second one has the exchange that is cut.
        for dir in ["first", "right"] {
            lines.replan(|_| Plan::PASS);
            let ran = lines.apply(dir).await;
            assert!(playbook::is_over(&ran), "{}", ran.said());
        }
        lines.right = playbook::state(&lines.site, "right");
        playbook::assert_right(&lines.right);
        lines
    }

    fn replan(&self, plan: impl Fn(usize) -> Plan + Send + Sync + 'static) {
        let plan = Arc::new(plan);
        for shim in &self.shims {
            let plan = Arc::clone(&plan);
            shim.replan(move |number| plan(number));
        }
    }

    async fn apply(&self, dir: &str) -> Ran {
        let dir = format!("dir=/srv/{dir}");
        let inventory = path(&self.site.fleet.inventory_path());
        let args = ["apply", &self.playbook, "-i", &inventory, "-e", &dir];
        run(self.site.hostler(&args)).await
    }

    /// Runs with a line that breaks as planned; goes on until it is over.
    async fn broken(&self, way: Way, is_up: bool, breaks: usize) {
        let what = format!("{way:?}, up: {is_up}, {breaks} times");
        let dir = what.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        self.replan(move |number| match (number < breaks, is_up) {
            (false, _) => Plan::PASS,
            (true, true) => Plan::up(way),
            (true, false) => Plan::down(way),
        });
        let mut ran = self.apply(&dir).await;
        for _ in 0..RESUMES_MAX {
            if playbook::is_over(&ran) {
                break;
            }
            self.resumed.fetch_add(1, Ordering::SeqCst);
            ran = run(self.site.hostler(&["resume"])).await;
        }
        assert!(
            playbook::is_over(&ran),
            "{what}: it does not come to its end: {:?}\n{}",
            ran.code,
            ran.said()
        );
        let found = playbook::state(&self.site, &dir);
        let difference = playbook::difference(&self.right, &found);
        assert!(
            difference.is_empty(),
            "{what}: {difference}\n{}",
            ran.said()
        );
    }
}

fn offsets(whole: u64) -> impl Iterator<Item = u64> {
    let count = if std::env::var_os(ALL).is_some() {
        MANY
    } else {
        SOME
    };
    // Before the banner a cut is tried again anyway.
    (0..count).map(move |number| 30 + (whole - 30) * number / count)
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_after_any_byte_it_comes_to_the_same_end() {
    let lines = Lines::new().await;
    let whole = lines.shims[0].transferred()[0];
    let mut cuts = 0;
    for (is_up, bytes) in [(true, whole.up), (false, whole.down)] {
        for offset in offsets(bytes) {
            let way = if offset % 2 == 0 {
                Way::Cut(offset)
            } else {
                Way::Reset(offset)
            };
            lines.broken(way, is_up, 1).await;
            cuts += 1;
        }
        // A line that breaks again and again, each time a little later in the exchange than its handshake.
        lines.broken(Way::Cut(bytes * 2 / 3), is_up, 3).await;
        // Half a line: the host reads the end of its input, or the controller does.
        lines.broken(Way::HalfClose(bytes * 2 / 3), is_up, 1).await;
        cuts += 2;
    }
    let resumed = lines.resumed.load(Ordering::SeqCst);
    report(&format!(
        "{} and {} bytes up and down: {cuts} runs with a line that was cut, {resumed} times resumed",
        whole.up, whole.down
    ));
    lines.site.fleet.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_after_any_byte_it_comes_to_the_same_end() {
    let lines = Lines::new().await;
    let whole = lines.shims[0].transferred()[0];
    for (is_up, bytes) in [(true, whole.up), (false, whole.down)] {
        for part in [45, 60, 75, 90] {
            let way = Way::Blackhole(bytes * part / 100);
            lines.broken(way, is_up, 1).await;
        }
    }
    lines.site.fleet.down().await.unwrap();
}

#[expect(clippy::print_stderr, reason = "the figures are wanted")]
fn report(line: &str) {
    eprintln!("{line}");
}
