//! One host of a fleet: what it is called, where its files are, how to get into it.

use std::fmt;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use super::network::Slot;
use super::supervisor;
use crate::process::{Context, Failure, Result, run, tail, wait_for};

/// Which of the twin sets: the same hosts twice, so that two engines can run the same playbook side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Set {
    /// `a001`, `a002`, ...
    A,
    /// `b001`, `b002`, ...
    B,
}

impl fmt::Display for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// What runs as process 1 of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// Nothing but sshd: up in milliseconds, no services.
    Sshd,
    /// systemd, under systemd-nspawn: real services and reboots.
    Systemd,
}

/// One host of a fleet.
#[derive(Debug, Clone)]
pub struct Host {
    /// `a001`: the host's name everywhere (inventory, hostname, directory, link).
    pub name: String,
    /// Its address on the fleet's bridge.
    pub address: Ipv4Addr,
    /// Its state: `up` (what it wrote over the base), `work`, `root`, `log`.
    pub directory: PathBuf,
}

impl Host {
    pub(super) fn new(fleet: &Path, slot: Slot, set: Set, index: usize) -> Self {
        let name = format!("{set}{index:03}");
        Self {
            address: slot.address(set, index),
            directory: fleet.join("hosts").join(&name),
            name,
        }
    }

    pub(super) fn parse(fleet: &Path, slot: Slot, name: &str) -> Option<Self> {
        let index = name.get(1..)?.parse().ok()?;
        let set = match name.get(..1)? {
            "a" => Set::A,
            "b" => Set::B,
            _ => return None,
        };
        Some(Self::new(fleet, slot, set, index))
    }

    /// The set that the host belongs to.
    pub fn set(&self) -> Set {
        if self.name.starts_with('a') {
            Set::A
        } else {
            Set::B
        }
    }

    /// Everything that the host wrote over the base: an overlayfs upper directory (a deleted file is a character
    /// device 0:0 there).
    pub fn upper(&self) -> PathBuf {
        self.directory.join("up")
    }

    /// What runs as the host's process 1.
    pub fn init(&self) -> Init {
        if self.directory.join("systemd").exists() {
            Init::Systemd
        } else {
            Init::Sshd
        }
    }

    /// The command `argv`, to be run as root inside the host. It does not go through sshd, so it works on hosts whose
    /// sshd is broken.
    pub fn command(&self, argv: &[&str]) -> Result<Command> {
        let leader = supervisor::leader(self)?.context(format!("{} is not running", self.name))?;
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &leader.to_string(),
                "--mount",
                "--uts",
                "--ipc",
                "--net",
                "--pid",
                "--root",
                "--wd=/",
            ])
            .args([
                "env",
                "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
                "LC_ALL=C.UTF-8",
            ])
            .args(argv);
        Ok(command)
    }

    /// The host's root as its own processes see it, through `/proc`: for looking, while it runs.
    pub fn root(&self) -> Result<PathBuf> {
        let leader = supervisor::leader(self)?.context(format!("{} is not running", self.name))?;
        Ok(PathBuf::from(format!("/proc/{leader}/root")))
    }

    /// Whether [`super::Fault::FullDisk`] has taken its disk: what it writes is then not in [`Host::upper`].
    pub fn disk_is_full(&self) -> bool {
        self.directory.join("full-disk").exists()
    }

    /// Runs `argv` as root inside the host and returns what it printed; a status other than 0 is a failure.
    pub fn exec(&self, argv: &[&str]) -> Result<Output> {
        run(&mut self.command(argv)?)
    }

    /// Runs a shell script as root inside the host and returns its stdout.
    pub fn shell(&self, script: &str) -> Result<String> {
        let output = self.exec(&["sh", "-ec", script])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether an sshd answers with its banner within two seconds.
    pub fn answers(&self) -> bool {
        let limit = Duration::from_secs(2);
        let banner = || -> std::io::Result<[u8; 4]> {
            let mut stream =
                TcpStream::connect_timeout(&SocketAddr::from((self.address, 22)), limit)?;
            stream.set_read_timeout(Some(limit))?;
            let mut start = [0; 4];
            stream.read_exact(&mut start)?;
            Ok(start)
        };
        banner().is_ok_and(|start| &start == b"SSH-")
    }

    /// Waits until sshd answers and, under systemd, until start-up is complete.
    pub fn wait_until_ready(&self) -> Result<()> {
        let gave_up = |what: &str| {
            let log = std::fs::read(self.directory.join("log")).unwrap_or_default();
            let said = String::from_utf8_lossy(&log);
            Failure::new(format!(
                "{}: {what}; its log ends:\n{}",
                self.name,
                tail(&said, 20)
            ))
        };
        let dead = || !matches!(supervisor::leader(self), Ok(Some(_)));
        let mut asked = 0;
        let answered = wait_for(Duration::from_secs(120), || {
            asked += 1;
            if self.answers() {
                return Some(true);
            }
            // A host whose processes are gone will not answer later either.
            (asked % 50 == 49 && dead()).then_some(false)
        });
        if answered != Some(true) {
            return Err(gave_up("sshd does not answer"));
        }
        if self.started() {
            Ok(())
        } else {
            Err(gave_up("systemd does not reach `running`"))
        }
    }

    /// Waits until systemd, if that is the host's init, has started everything. Not for ever: who asks too early in a
    /// boot may get no answer at all, so each question has an end.
    pub(super) fn started(&self) -> bool {
        let ask = ["timeout", "20", "systemctl", "is-system-running", "--wait"];
        self.init() != Init::Systemd
            || wait_for(Duration::from_secs(120), || self.exec(&ask).ok()).is_some()
    }
}
