//! The program, started in a directory with nothing of this machine's settings; hosts of the embedded fleet for it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hostler_demo::{Fleet, FleetOptions};

/// Programs that were left to themselves: each has a log of its own.
static STARTED: AtomicUsize = AtomicUsize::new(0);
/// How long anything is waited for: machines that build and test are slow.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn hostler(directory: &Path, args: &[&str]) -> Output {
    command(directory, args)
        .output()
        .expect("the program can be started")
}

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
    command
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .env("NO_COLOR", "1")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Both outputs, for messages of tests.
    pub(crate) fn all(&self) -> String {
        format!("{:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A fleet, a directory for its playbook and its runs.
pub(crate) struct Site {
    pub(crate) fleet: Fleet,
    pub(crate) directory: tempfile::TempDir,
    inventory: String,
}

/// A program that goes on.
pub(crate) struct Underway {
    child: Child,
    log: PathBuf,
}

impl Site {
    /// Raises hosts, and writes `site.yml`.
    pub(crate) async fn new(hosts: usize, playbook: &str) -> Self {
        let options = FleetOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_hostler")),
            ..FleetOptions::default()
        };
        let fleet = Fleet::up(hosts, &options).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let inventory = fleet.inventory_path().display().to_string();
        let site = Site {
            fleet,
            directory,
            inventory,
        };
        site.write("site.yml", playbook);
        site
    }

    pub(crate) async fn down(self) {
        self.fleet.down().await.unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// `hostler apply site.yml` with these flags, to its end.
    pub(crate) async fn apply(&self, more: &[&str]) -> Ran {
        let mut args = vec!["apply", "site.yml", "-i", &self.inventory];
        args.extend(more);
        self.run(&args).await
    }

    /// Another playbook on the same hosts, which changes nothing.
    pub(crate) async fn apply_other(&self) -> Ran {
        let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: hello}\n";
        self.write("other.yml", text);
        self.run(&["apply", "other.yml", "-i", &self.inventory])
            .await
    }

    /// Any command, to its end; the fleet's servers go on meanwhile.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        let mut command = command(self.directory.path(), args);
        let done = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output());
        let out = done.await.unwrap().unwrap();
        Ran {
            code: out.status.code(),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
        }
    }

    /// `hostler apply site.yml`, left to itself.
    pub(crate) fn start(&self, more: &[&str]) -> Underway {
        let mut args = vec!["apply", "site.yml", "-i", &self.inventory];
        args.extend(more);
        self.start_any(&args)
    }

    /// Any command, left to itself.
    pub(crate) fn start_any(&self, args: &[&str]) -> Underway {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = self.directory.path().join(format!("log{number}"));
        let out = std::fs::File::create(&log).unwrap();
        let err = out.try_clone().unwrap();
        let child = command(self.directory.path(), args)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap();
        Underway { child, log }
    }

    /// What each host has in its `/srv/out`.
    pub(crate) fn out(&self) -> Vec<String> {
        let hosts = 0..self.fleet.hosts.len();
        let text = |host| std::fs::read_to_string(self.path_on(host, "srv/out"));
        hosts.map(|host| text(host).unwrap_or_default()).collect()
    }

    /// Where a path of a host is here.
    pub(crate) fn path_on(&self, host: usize, path: &str) -> PathBuf {
        let kind = if self.fleet.overlay { "up" } else { "root" };
        self.fleet.hosts[host].directory.join(kind).join(path)
    }

    /// The inventory.
    pub(crate) fn inventory(&self) -> &str {
        &self.inventory
    }

    /// Waits until every host has these lines, and no others.
    pub(crate) async fn until(&self, lines: &str) {
        self.until_any(&[lines]).await;
    }

    async fn until_any(&self, lines: &[&str]) {
        wait(&format!("{lines:?}, have {:?}", self.out()), || {
            self.out().iter().all(|out| lines.contains(&out.as_str()))
        })
        .await;
    }
}

/// Looks again and again until it is so.
pub(crate) async fn wait(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Underway {
    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// What it has written so far, both outputs.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has written this.
    pub(crate) async fn until_said(&self, what: &str) {
        wait(what, || self.said().contains(what)).await;
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ran {
        let done = tokio::task::spawn_blocking(move || (self.child.wait(), self));
        let (status, this) = done.await.unwrap();
        Ran {
            code: status.unwrap().code(),
            stdout: this.said(),
            stderr: String::new(),
        }
    }
}
