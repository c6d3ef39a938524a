//! The programs that are compared, and how each is started at its best.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fleet::{Fleet, Host};
use crate::process::{Context, Result, checkout, run, run_visibly};

/// A program that can bring hosts to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// This project, release build.
    Hostler,
    /// ansible-core 2.19 with pipelining and 50 forks.
    Ansible,
    /// The same with Mitogen's strategy.
    Mitogen,
    /// pyinfra 3, all hosts in parallel, with its own version of the baseline (`crates/xtask/src/bench/pyinfra_baseline.py`).
    Pyinfra,
}

const PACKAGES: [&str; 3] = ["ansible-core==2.19.14", "mitogen==0.3.54", "pyinfra==3.10"];

impl Engine {
    /// The name in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hostler => "hostler",
            Self::Ansible => "ansible-core 2.19.14",
            Self::Mitogen => "mitogen 0.3.54",
            Self::Pyinfra => "pyinfra 3.10",
        }
    }

    /// Whether the output ends with ansible-playbook's recap.
    pub(super) fn has_recap(self) -> bool {
        self != Self::Pyinfra
    }

    /// Makes the program ready: builds or installs it.
    pub(super) fn prepare(self, work: &Path) -> Result<()> {
        if self == Self::Hostler {
            if std::env::var_os("HOSTLER_BIN").is_some() {
                return Ok(());
            }
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            return run_visibly(
                Command::new(cargo)
                    .args([
                        "build",
                        "--release",
                        "--package",
                        "hostler-cli",
                        "--bin",
                        "hostler",
                    ])
                    .current_dir(checkout()),
            );
        }
        let stamp = work.join("venv/packages");
        let wanted = PACKAGES.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(work.join("venv")))?;
        run(Command::new(work.join("venv/bin/pip"))
            .args(["install", "--quiet"])
            .args(PACKAGES))?;
        fs::write(&stamp, wanted).context("note what is installed")
    }

    /// The command that brings all hosts of the fleet to the baseline.
    pub(super) fn command(self, fleet: &Fleet, hosts: &[Host], work: &Path) -> Result<Command> {
        let playbook = checkout().join("playbooks/baseline.yml");
        let inventory = fleet.inventory_file(None);
        let mut command = match self {
            Self::Hostler => {
                let mut command = Command::new(hostler());
                command
                    .arg("apply")
                    .arg(playbook)
                    .arg("-i")
                    .arg(inventory)
                    .env("HOME", work);
                command
            }
            Self::Ansible | Self::Mitogen => {
                let mut command = Command::new(work.join("venv/bin/ansible-playbook"));
                let configuration = work.join("ansible.cfg");
                fs::write(&configuration, "").context("write ansible.cfg")?;
                command
                    .arg(playbook)
                    .arg("-i")
                    .arg(inventory)
                    .args(["--forks", "50"]);
                command
                    .env("ANSIBLE_CONFIG", configuration)
                    .env("ANSIBLE_PIPELINING", "1");
                if self == Self::Mitogen {
                    command.env("ANSIBLE_STRATEGY", "mitogen_linear");
                    command.env("ANSIBLE_STRATEGY_PLUGINS", mitogen_plugins(work)?);
                }
                command
            }
            Self::Pyinfra => {
                let mut command = Command::new(work.join("venv/bin/pyinfra"));
                command.args(["--yes", "--parallel", &hosts.len().to_string()]);
                command.args(pyinfra_files(fleet, hosts, work)?);
                command
            }
        };
        command
            .current_dir(work)
            .env("NO_COLOR", "1")
            .env_remove("SSH_AUTH_SOCK");
        Ok(command)
    }
}

/// OpenSSH alone, on all hosts at once: log in, run `true`, leave.
pub(super) fn floor(fleet: &Fleet, hosts: &[Host], work: &Path) -> Result<Command> {
    let addresses = work.join("addresses");
    fs::write(&addresses, Fleet::addresses(hosts)).context("write the addresses")?;
    let mut command = Command::new("parallel-ssh");
    command
        .args([
            "-p",
            &hosts.len().to_string(),
            "-t",
            "300",
            "-l",
            "root",
            "-h",
        ])
        .arg(addresses);
    command.args(["-x", &format!("-i {}", fleet.key().display())]);
    for option in [
        format!("UserKnownHostsFile={}", fleet.known_hosts().display()),
        "StrictHostKeyChecking=yes".to_owned(),
        "IdentitiesOnly=yes".to_owned(),
    ] {
        command.args(["-O", &option]);
    }
    command.arg("true").env_remove("SSH_AUTH_SOCK");
    Ok(command)
}

/// The release build of this checkout, or what `$HOSTLER_BIN` says.
pub(crate) fn hostler() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| checkout().join("target"), PathBuf::from);
    std::env::var_os("HOSTLER_BIN").map_or_else(|| target.join("release/hostler"), PathBuf::from)
}

fn mitogen_plugins(work: &Path) -> Result<PathBuf> {
    let libraries = fs::read_dir(work.join("venv/lib")).context("list the Python environment")?;
    let python = libraries
        .flatten()
        .next()
        .context("the Python environment is empty")?;
    Ok(python
        .path()
        .join("site-packages/ansible_mitogen/plugins/strategy"))
}

/// Writes pyinfra's inventory and deploy, which it reads as Python files.
fn pyinfra_files(fleet: &Fleet, hosts: &[Host], work: &Path) -> Result<[PathBuf; 2]> {
    let inventory = work.join("pyinfra_inventory.py");
    let deploy = work.join("pyinfra_baseline.py");
    let templates = checkout().join("playbooks/templates/baseline");
    let entries: String = hosts
        .iter()
        .map(|host| {
            format!(
                "    ('{}', {{'ssh_hostname': '{}'}}),\n",
                host.name, host.address
            )
        })
        .collect();
    let text = format!(
        "fleet = ([\n{entries}], {{\n    'ssh_user': 'root',\n    'ssh_key': '{}',\n    \
         'ssh_known_hosts_file': '{}',\n}})\n",
        fleet.key().display(),
        fleet.known_hosts().display()
    );
    fs::write(&inventory, text).context("write pyinfra's inventory")?;
    let text =
        include_str!("pyinfra_baseline.py").replace("@TEMPLATES@", &templates.to_string_lossy());
    fs::write(&deploy, text).context("write pyinfra's deploy")?;
    Ok([inventory, deploy])
}
