//! The two programs whose previews are measured, and how each is asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::events::{self, Run};
use crate::fleet::{Fleet, Set};
use crate::process::{Context, Failure, Result, checkout, find_program, tail};

/// A program with a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Engine {
    /// `hostler plan` and `hostler apply` by this program, on set a.
    Hostler(PathBuf),
    /// `ansible-playbook --check --diff` and `ansible-playbook`, on set b.
    Ansible,
}

const CALLBACK: &str = include_str!("callback.py");

impl Engine {
    /// The hosts that are its own.
    pub(super) fn set(&self) -> Set {
        match self {
            Self::Hostler(_) => Set::A,
            Self::Ansible => Set::B,
        }
    }

    /// Whether it is hostler.
    pub(super) fn is_hostler(&self) -> bool {
        matches!(self, Self::Hostler(_))
    }

    /// The name in the tables.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Hostler(_) => "hostler",
            Self::Ansible => "ansible-core",
        }
    }

    /// Previews or applies `playbook` on the fleet's hosts of its own set and returns what it said.
    pub(super) fn run(&self, fleet: &Fleet, playbook: &Path, preview: bool) -> Result<Run> {
        let home = fleet.directory().join("home");
        fs::create_dir_all(&home).context("create the controller's home directory")?;
        let events_file = fleet.directory().join("events.jsonl");
        let mut command = match self {
            Self::Hostler(program) => hostler(program, playbook, preview, &home),
            Self::Ansible => ansible(fleet, playbook, preview, &events_file)?,
        };
        command
            .arg("-i")
            .arg(fleet.inventory_file(Some(self.set())))
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("SSH_AUTH_SOCK");
        let output = command.output().context(format!("start {}", self.name()))?;
        let lines = match self {
            Self::Hostler(_) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Self::Ansible => fs::read_to_string(&events_file).unwrap_or_default(),
        };
        if let Some(directory) = std::env::var_os("HOSTLER_TRUTH_KEEP") {
            // For the person who looks into a finding.
            let name = playbook.file_stem().unwrap_or_default().to_string_lossy();
            let stage = if preview { "plan" } else { "apply" };
            let file = format!("{name}.{}.{stage}.jsonl", self.name());
            fs::write(Path::new(&directory).join(file), &lines).context("keep the events")?;
        }
        let mut run = events::read(&lines)?;
        run.success = output.status.success();
        // A run that never started a play has refused the playbook, or its own flags.
        if lines.contains("\"play_started\"") {
            return Ok(run);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!(
            "{} {}: {}\n{}",
            self.name(),
            playbook.display(),
            output.status,
            tail(&said, 30)
        )))
    }
}

fn hostler(program: &Path, playbook: &Path, preview: bool, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg(if preview { "plan" } else { "apply" })
        .arg(playbook)
        // A real run says what it changed only if it is asked for differences.
        .args(["--diff", "--output", "json"])
        .env("HOME", home)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_STATE_HOME");
    command
}

fn ansible(fleet: &Fleet, playbook: &Path, preview: bool, events: &Path) -> Result<Command> {
    let plugins = fleet.directory().join("callback");
    fs::create_dir_all(&plugins).context("create a directory for the callback")?;
    fs::write(plugins.join("truth.py"), CALLBACK).context("write the callback")?;
    let configuration = fleet.directory().join("ansible.cfg");
    fs::write(&configuration, "").context("write ansible.cfg")?;
    let _ = fs::remove_file(events);
    let mut command = Command::new(ansible_playbook()?);
    command.arg(playbook).args(["--forks", "10"]);
    if preview {
        command.args(["--check", "--diff"]);
    }
    command
        .env("ANSIBLE_CONFIG", configuration)
        .env("ANSIBLE_PIPELINING", "1")
        .env("ANSIBLE_CALLBACK_PLUGINS", plugins)
        .env("ANSIBLE_STDOUT_CALLBACK", "truth")
        .env("TRUTH_EVENTS", events)
        // Connections must be gone before another playbook's host has the same address.
        .env(
            "ANSIBLE_SSH_ARGS",
            "-o ControlMaster=auto -o ControlPersist=3s",
        )
        .env("ANSIBLE_SSH_CONTROL_PATH_DIR", fleet.directory().join("cp"));
    Ok(command)
}

/// `$HOSTLER_ANSIBLE_PLAYBOOK`, the one that `.ci/run` installs, or the one in `PATH`.
fn ansible_playbook() -> Result<PathBuf> {
    let chosen = std::env::var_os("HOSTLER_ANSIBLE_PLAYBOOK").map(PathBuf::from);
    let installed = checkout().join("target/ansible/bin/ansible-playbook");
    chosen
        .or_else(|| installed.is_file().then_some(installed))
        .or_else(|| find_program("ansible-playbook"))
        .context("ansible-playbook is needed to compare with, see docs/testing.md")
}
