//! Starting and stopping hosts. One `unshare` process holds each host; it is recognised by an environment variable with
//! the host's directory, so there are no process-id files that could be stale.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::host::{Host, Init};
use super::network::{self, Slot};
use super::{START_THREADS, base, keys};
use crate::process::{Context, Result, in_parallel, run, wait_for};

const MARK: &str = "HOSTLER_FLEET_HOST";
const INIT_SCRIPT: &str = include_str!("host-init.sh");

/// The running hosts whose directories are under `scope`: directory and process id of the supervisor.
pub(super) fn running(scope: &Path) -> Result<HashMap<PathBuf, u32>> {
    let mark = format!("{MARK}={}/", scope.display());
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc").context("list processes")? {
        let Ok(entry) = entry else { continue };
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // Processes end while the list is read; then there is nothing to read.
        let Ok(environment) = fs::read(entry.path().join("environ")) else {
            continue;
        };
        let marked = environment
            .split(|byte| *byte == 0)
            .find(|entry| entry.starts_with(mark.as_bytes()));
        let Some(marked) = marked else { continue };
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.trim() == "unshare" {
            let directory = String::from_utf8_lossy(&marked[MARK.len() + 1..]).into_owned();
            found.insert(PathBuf::from(directory), process);
        }
    }
    Ok(found)
}

/// Starts `hosts`, all of which are stopped, and returns when their processes run; sshd may take a little longer.
pub(super) fn start(store: &Path, slot: Slot, hosts: &[&Host], init: Init) -> Result<()> {
    let script = store.join("host-init.sh");
    if fs::read_to_string(&script).is_ok_and(|text| text == INIT_SCRIPT) {
        // Kept as it is: bash reads a running script from the file bit by bit.
    } else {
        let fresh = store.join(format!("host-init.{}", std::process::id()));
        base::write(&fresh, INIT_SCRIPT, 0o755)?;
        fs::rename(&fresh, &script).context("put host-init.sh in place")?;
    }
    let children = in_parallel(hosts, START_THREADS, |host| {
        prepare(store, host, init)?;
        launch(store, slot, host, init)
    })?;
    let ends: Vec<(&str, u32)> = hosts
        .iter()
        .zip(&children)
        .map(|(host, child)| (host.name.as_str(), child.id()))
        .collect();
    for part in ends.chunks(50) {
        network::connect(slot, part)?;
    }
    for mut child in children {
        if let Some(mut stdin) = child.stdin.take() {
            // A host that has died in between is reported, with its log, by the wait for its sshd.
            let _ = stdin.write_all(b"go\n");
        }
    }
    Ok(())
}

/// Lays out the host's directories and the few files that make it itself: name, addresses, host key, machine id.
fn prepare(store: &Path, host: &Host, init: Init) -> Result<()> {
    let ssh = host.upper().join("etc/ssh");
    for directory in [
        &ssh,
        &host.directory.join("work"),
        &host.directory.join("root"),
        &host.directory.join("disk"),
    ] {
        fs::create_dir_all(directory).context(format!("create {}", directory.display()))?;
    }
    fs::set_permissions(host.upper(), fs::Permissions::from_mode(0o755))
        .context("open the host's root")?;
    let mark = host.directory.join("systemd");
    match init {
        Init::Systemd => fs::write(&mark, "").context("note the host's init")?,
        Init::Sshd => drop(fs::remove_file(&mark)),
    }
    let etc = host.upper().join("etc");
    if etc.join("machine-id").exists() {
        return Ok(());
    }
    let key = keys::host_key(store, &host.name);
    for (from, to, mode) in [
        (key.clone(), ssh.join("ssh_host_ed25519_key"), 0o600),
        (
            key.with_extension("pub"),
            ssh.join("ssh_host_ed25519_key.pub"),
            0o644,
        ),
    ] {
        let text = fs::read_to_string(&from).context(format!("read {}", from.display()))?;
        base::write(&to, &text, mode)?;
    }
    base::write(&etc.join("hostname"), &format!("{}\n", host.name), 0o644)?;
    base::write(
        &etc.join("hosts"),
        &format!("127.0.0.1 localhost\n{} {}\n", host.address, host.name),
        0o644,
    )?;
    let octets = host.address.octets();
    let number = u32::from_be_bytes(octets);
    base::write(
        &etc.join("machine-id"),
        &format!("f1ee7000{:016x}{number:08x}\n", 0),
        0o444,
    )
}

/// Starts one host's processes and waits until its namespaces exist.
fn launch(store: &Path, slot: Slot, host: &Host, init: Init) -> Result<Child> {
    let log = File::create(host.directory.join("log")).context("create the host's log")?;
    let mut child = Command::new("setsid")
        .args([
            "unshare",
            "--mount",
            "--net",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child=SIGKILL",
            "--mount-proc",
        ])
        .args([
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
            "bash",
        ])
        .arg(store.join("host-init.sh"))
        .arg(if init == Init::Systemd {
            "boot"
        } else {
            "sshd"
        })
        .args([&host.directory, &store.join("base")])
        .args([
            format!("{}/16", host.address),
            host.name.clone(),
            slot.gateway().to_string(),
        ])
        .arg(slot.control_group(&host.name))
        .env(MARK, &host.directory)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("start unshare")?;
    let stdout = child.stdout.take().context("no pipe from the host")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("wait for the host's namespaces")?;
    if line.trim() != "ready" {
        let said = fs::read_to_string(host.directory.join("log")).unwrap_or_default();
        return Err(crate::process::Failure::new(format!(
            "{} did not start: {}",
            host.name,
            said.trim()
        )));
    }
    Ok(child)
}

/// Stops the hosts under `scope` (a fleet, or one host's directory) and returns when their processes are gone.
pub(super) fn stop_all(scope: &Path) -> Result<()> {
    let supervisors: Vec<u32> = running(scope)?.into_values().collect();
    stop(&supervisors)
}

/// Stops one host.
pub(super) fn stop_host(host: &Host) -> Result<()> {
    let supervisor =
        running(host.directory.parent().unwrap_or(&host.directory))?.remove(&host.directory);
    stop(&supervisor.into_iter().collect::<Vec<_>>())
}

/// Kills the supervisors. Each is the parent of process 1 of a process namespace and takes it along
/// (`--kill-child`); the kernel then kills everything else in there.
fn stop(supervisors: &[u32]) -> Result<()> {
    if supervisors.is_empty() {
        return Ok(());
    }
    let inside: Vec<u32> = supervisors
        .iter()
        .flat_map(|process| children(*process))
        .collect();
    let all = || supervisors.iter().chain(&inside);
    let ids: Vec<String> = all().map(u32::to_string).collect();
    // Some may end by themselves before the signal comes; what counts is that all are gone afterwards.
    let _ = Command::new("kill")
        .arg("-KILL")
        .args(&ids)
        .stderr(Stdio::null())
        .status();
    wait_for(Duration::from_secs(30), || {
        all().all(|process| gone(*process)).then_some(())
    })
    .context("hosts are still running 30 s after being killed")
}

/// Whether the process has ended (one that only waits to be collected has).
fn gone(process: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
        return true;
    };
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.trim_start().starts_with('Z')
}

/// The processes that `process` has started itself.
fn children(process: u32) -> Vec<u32> {
    let listing =
        fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listing
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// The process that is 1 inside the host, as this machine numbers it; `None` while the host is down or not up yet.
pub(super) fn leader(host: &Host) -> Result<Option<u32>> {
    let hosts = host.directory.parent().unwrap_or(&host.directory);
    let Some(supervisor) = running(hosts)?.remove(&host.directory) else {
        return Ok(None);
    };
    let Some(first) = children(supervisor).into_iter().next() else {
        return Ok(None);
    };
    if host.init() == Init::Sshd {
        return Ok(Some(first));
    }
    // Under systemd-nspawn, systemd is process 1 of one more process namespace.
    let mut candidates = children(first);
    while let Some(process) = candidates.pop() {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let ids = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .unwrap_or_default();
        match ids.split_whitespace().collect::<Vec<_>>().as_slice() {
            [_, _, "1"] => return Ok(Some(process)),
            [_, _] => candidates.extend(children(process)),
            _ => {}
        }
    }
    Ok(None)
}

/// Starts a stopped host again as it was.
pub(super) fn restart(store: &Path, slot: Slot, host: &Host) -> Result<()> {
    let link = slot.link(&host.name);
    network::remove_control_groups(slot, &host.name);
    // The link of the old life disappears a little after its processes; the new one has the same name.
    let path = PathBuf::from("/sys/class/net").join(&link);
    if wait_for(Duration::from_secs(5), || (!path.exists()).then_some(())).is_none() {
        run(Command::new("ip").args(["link", "delete", &link]))?;
    }
    start(store, slot, &[host], host.init())
}
