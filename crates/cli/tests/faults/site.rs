//! A demo fleet with evil hosts beside it, and hostler as a program that can be watched and killed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hostler_demo::{Fleet, FleetOptions};
use hostler_faults::EvilSshd;

/// The program, or the one of `HOSTLER_BIN`: the long runs by hand outlast builds.
fn program() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_hostler").into();
    std::env::var_os("HOSTLER_BIN").unwrap_or_else(built).into()
}

/// No run of these tests takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(300);

/// Hosts, and a controller's home.
pub(crate) struct Site {
    pub(crate) fleet: Fleet,
    pub(crate) home: tempfile::TempDir,
}

/// How a run ended.
pub(crate) struct Ran {
    /// Exit code; none if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Most memory that it had resident, in KiB.
    pub(crate) peak_kib: u64,
    /// Recap counts by host.
    pub(crate) recap: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Site {
    pub(crate) async fn up(hosts: usize) -> Site {
        let options = FleetOptions {
            program: program(),
            ..FleetOptions::default()
        };
        Site {
            fleet: Fleet::up(hosts, &options).await.unwrap(),
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// Adds hosts to the inventory, in the group `evil`: name and where they listen, with their lines of `known_hosts`.
    pub(crate) fn add<'a>(&self, hosts: impl IntoIterator<Item = (String, &'a EvilSshd)>) {
        let mut inventory = String::from("[evil]\n");
        let mut known = std::fs::read_to_string(self.fleet.known_hosts_path()).unwrap();
        for (name, host) in hosts {
            // The good ones have all the time of the defaults, the bad ones are given up soon.
            writeln!(
                inventory,
                "{name} ansible_host={} ansible_port={} patience=5 \
                 ansible_ssh_common_args='-o UserKnownHostsFile={} -o ConnectTimeout=5'",
                host.address.ip(),
                host.address.port(),
                self.fleet.known_hosts_path().display()
            )
            .unwrap();
            known.push_str(&host.known_host());
        }
        let before = std::fs::read_to_string(self.fleet.inventory_path()).unwrap();
        let after = before.replacen("[all:vars]", &format!("{inventory}\n[all:vars]"), 1);
        std::fs::write(self.fleet.inventory_path(), after).unwrap();
        std::fs::write(self.fleet.known_hosts_path(), known).unwrap();
    }

    /// Writes a playbook.
    pub(crate) fn playbook(&self, text: &str) -> PathBuf {
        let path = self.home.path().join("playbook.yml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// hostler with nothing of this machine's settings.
    pub(crate) fn hostler(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("NO_COLOR", "1")
            .env("HOSTLER_STATE_DIR", self.home.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// Applies a playbook to the fleet.
    pub(crate) async fn apply(&self, playbook: &Path, more: &[&str]) -> Ran {
        let (playbook, inventory) = (path(playbook), path(&self.fleet.inventory_path()));
        let mut args = vec!["apply", &*playbook, "-i", &*inventory];
        args.extend(more);
        run(self.hostler(&args)).await
    }

    /// What a host has written.
    pub(crate) fn written(&self, index: usize, path: &str) -> Option<String> {
        let kind = if self.fleet.overlay { "up" } else { "root" };
        let host = &self.fleet.hosts[index];
        std::fs::read_to_string(host.directory.join(kind).join(path)).ok()
    }
}

pub(crate) fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command to its end; the servers of this process go on meanwhile.
pub(crate) async fn run(command: Command) -> Ran {
    tokio::task::spawn_blocking(move || watch(command))
        .await
        .unwrap()
}

fn watch(mut command: Command) -> Ran {
    let out = tempfile::NamedTempFile::new().unwrap();
    let err = tempfile::NamedTempFile::new().unwrap();
    command
        .stdout(out.reopen().unwrap())
        .stderr(err.reopen().unwrap());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let end = Instant::now() + DEADLINE;
    let mut peak_kib = 0;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        peak_kib = peak_kib.max(peak(&status));
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!(
                "it does not end:\n{}",
                String::from_utf8_lossy(&std::fs::read(out.path()).unwrap())
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = |file: &tempfile::NamedTempFile| {
        String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned()
    };
    let stdout = text(&out);
    Ran {
        code,
        recap: recap(&stdout),
        stdout,
        stderr: text(&err),
        peak_kib,
    }
}

fn peak(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Reads `host : ok=1 changed=0 ...` lines after the heading `PLAY RECAP`.
fn recap(output: &str) -> BTreeMap<String, BTreeMap<String, u32>> {
    let mut lines = output
        .lines()
        .skip_while(|line| !line.starts_with("PLAY RECAP"));
    lines.next();
    let read = |line: &str| {
        let (host, counts) = line.split_once(" : ")?;
        let counts = counts.split_whitespace().map(|pair| {
            let (name, number) = pair.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Some((host.trim().to_owned(), counts.collect::<Option<_>>()?))
    };
    lines.filter_map(read).collect()
}

impl Ran {
    /// Everything that was said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// A count of a host's recap; zero if it is not there.
    pub(crate) fn count(&self, host: &str, what: &str) -> u32 {
        let line = self.recap.get(host);
        let line = line.unwrap_or_else(|| panic!("no recap of {host}:\n{}", self.said()));
        line.get(what).copied().unwrap_or(0)
    }

    /// Tasks that did not come to a good end on the host.
    pub(crate) fn bad(&self, host: &str) -> u32 {
        ["failed", "unreachable", "unknown"]
            .iter()
            .map(|what| self.count(host, what))
            .sum()
    }
}
