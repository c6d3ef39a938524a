//! `patch_restart`: services that run replaced files.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_module_api::prelude::*;
use hostler_package_managers as managers;
use hostler_probes::{Scope, systemctl, systemd_is_running};
use hostler_updates::{Reboot, Restarted, StaleProcess};

use crate::patching::{glob, manager, one_line, units, value_of};

/// Restarts services that still run files which have been replaced. Never those that would take the connection, all
/// containers or all sessions with them: those are told of, and a reboot restarts them.
///
/// ```yaml
/// - patch_restart:
///     allow: ["*"]
///   register: restarted
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Patterns of units that may be restarted. Without it: all that are not denied.
    #[serde(default = "all")]
    allow: Vec<String>,
    /// Patterns of units that may not; they win. Without it: the network, container engines, buses, logins.
    #[serde(default = "denied")]
    deny: Vec<String>,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

fn denied() -> Vec<String> {
    DENIED.iter().map(|it| (*it).to_owned()).collect()
}

/// Restarting these takes others along: hosts were lost from the network, containers stopped, users logged out.
const DENIED: &[&str] = &[
    "systemd-networkd*",
    "systemd-udevd*",
    "systemd-logind*",
    "NetworkManager*",
    "networking.service",
    "network.service",
    "wpa_supplicant*",
    "dhcpcd*",
    "dhclient*",
    "ifup@*",
    "connman*",
    "openvswitch*",
    "ovs-*",
    "firewalld*",
    "multipathd*",
    "iscsid*",
    "dbus.service",
    "dbus-broker*",
    "docker*",
    "containerd*",
    "crio*",
    "podman*",
    "kubelet*",
    "k3s*",
    "lxc*",
    "lxd*",
    "incus*",
    "libvirtd*",
    "virtqemud*",
    "getty@*",
    "serial-getty@*",
    "console-getty*",
    "gdm*",
    "lightdm*",
    "sddm*",
    "display-manager*",
];

/// Seconds that a restart may take.
const RESTART_MAX_S: u64 = 300;

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_restart")
}

pub(crate) struct This;

pub(crate) struct State {
    /// Units that are to be restarted.
    units: Vec<String>,
    /// What is left alone, and why.
    left: Vec<(String, String)>,
    reboot: Reboot,
    program: Program,
}

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_restart";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        let kind = manager::manager(host)?.kind();
        let stale = managers::stale(host);
        let mut state = State {
            units: Vec::new(),
            left: Vec::new(),
            reboot: managers::reboot(host, kind, &managers::kernel(host), &stale),
            program: systemctl(host, Scope::System, []),
        };
        // Units with the processes that made them candidates.
        let mut candidates: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let systemd = systemd_is_running(host);
        for process in &stale {
            match unit_to_restart(process, systemd) {
                Ok(unit) => candidates
                    .entry(unit.to_owned())
                    .or_default()
                    .push(process.pid),
                Err(why) => state.left.push((shown(process), why.to_owned())),
            }
        }
        let known = ask(host, candidates.keys())?;
        let own = own_unit(host);
        for (unit, pids) in candidates {
            match refusal(args, &unit, &pids, &known, own.as_deref()) {
                Some(why) => state.left.push((unit, why)),
                None => state.units.push(unit),
            }
        }
        Ok(state)
    }

    fn plan(_: &Args, now: &State) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        // A unit that runs replaced files even after its restart is reported, not restarted again.
        plan.once = true;
        for unit in &now.units {
            let mut program = now.program.clone();
            program.argv.extend(["restart".to_owned(), unit.clone()]);
            program.timeout_s = Some(RESTART_MAX_S);
            // One that fails does not keep the others from theirs.
            let run = Run {
                ok_rc: Vec::new(),
                ..Run::new(program)
            };
            plan.push(
                Delta::action(format!("unit {unit}"), "restart"),
                Edit::Run(run),
            );
        }
        Ok(plan)
    }

    fn report(_: &Args, ran: &Ran<'_, State>) -> Report {
        let mut restarted = Restarted {
            left: ran.after.left.clone(),
            reboot: ran.after.reboot.clone(),
            ..Restarted::default()
        };
        let mut failed = Vec::new();
        for (unit, applied) in ran.before.units.iter().zip(ran.applied) {
            match applied {
                Applied::Ran(output) if !output.success() || output.timed_out => {
                    let stderr = output.stderr_text();
                    failed.push(format!(
                        "{unit}: {}",
                        one_line(stderr.lines().next().unwrap_or("failed"), 200)
                    ));
                }
                _ => restarted.units.push(unit.clone()),
            }
        }
        if ran.check {
            restarted.units.clone_from(&ran.before.units);
        } else if !ran.applied.is_empty() {
            let still = ran.after.units.iter();
            let still = still.map(|it| {
                (
                    it.clone(),
                    "runs replaced files after its restart, too".to_owned(),
                )
            });
            restarted.left.extend(still);
        }
        let report = Report::default().with("restarted", value_of(&restarted));
        if failed.is_empty() {
            report
        } else {
            report.fail(format!("not restarted: {}", failed.join("; ")))
        }
    }
}

/// The unit to restart for a process, or why there is none.
fn unit_to_restart(process: &StaleProcess, systemd: bool) -> Result<&str, &'static str> {
    match process.unit.as_deref() {
        _ if !systemd => Err("systemd does not run"),
        _ if process.pid == 1 => Err("systemd itself; a reboot restarts it"),
        Some(unit) if unit.starts_with("user@") => Err("belongs to a user who is logged in"),
        Some(unit) if unit.ends_with(".service") => Ok(unit),
        Some(unit) if unit.starts_with("session-") => Err("belongs to a session of a user"),
        Some(_) => Err("belongs to no service"),
        None => Err("belongs to no unit"),
    }
}

fn shown(process: &StaleProcess) -> String {
    format!("{} (pid {})", one_line(&process.command, 40), process.pid)
}

/// What the manager says of units.
fn ask<'a>(
    host: &dyn Inspect,
    names: impl ExactSizeIterator<Item = &'a String>,
) -> Result<String, ModuleError> {
    if names.len() == 0 {
        return Ok(String::new());
    }
    let words = [
        "show",
        "--property=Id,ActiveState,Type,RefuseManualStop,KillMode,MainPID",
    ];
    let names = names.map(String::as_str);
    let program = Program {
        timeout_s: Some(units::TIMEOUT_S),
        ..systemctl(host, Scope::System, words.into_iter().chain(names))
    };
    Ok(host.look(&program)?.stdout_text())
}

/// Why a unit is not restarted.
fn refusal(
    args: &Args,
    unit: &str,
    pids: &[u32],
    known: &str,
    own: Option<&str>,
) -> Option<String> {
    let id = format!("Id={unit}");
    let properties = known
        .split("\n\n")
        .find(|it| it.lines().any(|line| line == id));
    let has = |line: &str| properties.is_some_and(|it| it.lines().any(|it| it == line));
    if let Some(pattern) = glob::first_fit(&args.deny, unit) {
        return Some(format!("denied by `{pattern}`"));
    }
    if glob::first_fit(&args.allow, unit).is_none() {
        return Some("not among the units that may be restarted".to_owned());
    }
    if !has("ActiveState=active") {
        return Some("is not active".to_owned());
    }
    if has("Type=oneshot") {
        return Some("runs once, to its end".to_owned());
    }
    if has("RefuseManualStop=yes") {
        return Some("refuses to be stopped by hand".to_owned());
    }
    let spares = has("KillMode=process");
    if spares && !pids.iter().any(|pid| has(&format!("MainPID={pid}"))) {
        // Sessions of sshd, where they have no units of their own.
        return Some("only processes that a restart spares run replaced files".to_owned());
    }
    if own == Some(unit) && !spares {
        return Some("this connection belongs to it, and would end with it".to_owned());
    }
    None
}

/// The unit that this process belongs to: sshd's, where sessions have none of their own.
fn own_unit(host: &dyn Inspect) -> Option<String> {
    let own = host.read_link(Path::new("/proc/self")).ok().flatten()?;
    let pid = own.to_str()?.parse().ok()?;
    managers::unit_of(host, pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::fake;
    use hostler_module_api::fake::{FakeHost, check_module};
    use hostler_module_api::{Mode, execute};

    const SHOW: &str =
        "systemctl show --property=Id,ActiveState,Type,RefuseManualStop,KillMode,MainPID";

    /// Each process with its group.
    fn host(processes: &[(u32, &str)]) -> FakeHost {
        let mut host = fake::host()
            .dir("/proc", 0o555)
            .dir("/run/systemd/system", 0o755);
        for (pid, group) in processes {
            host = host
                .dir(&format!("/proc/{pid}"), 0o555)
                .file(&format!("/proc/{pid}/comm"), "x\n")
                .file(&format!("/proc/{pid}/cgroup"), format!("0::{group}\n"))
                .file(
                    &format!("/proc/{pid}/maps"),
                    "1-2 r-xp 0 08:01 1 /usr/lib/libssl.so.3 (deleted)\n",
                );
        }
        host
    }

    fn unit(name: &str, more: &str) -> String {
        format!("Id={name}\nActiveState=active\nType=simple\nKillMode=control-group\n{more}\n")
    }

    fn got(outcome: &hostler_change::Outcome) -> Restarted {
        let value = outcome.fields.get("restarted").unwrap();
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn what_may_be_restarted_is_and_the_rest_is_told() {
        let host = host(&[
            (1, "/init.scope"),
            (20, "/system.slice/web.service"),
            (21, "/system.slice/web.service"),
            (22, "/system.slice/dbus.service"),
            (23, "/user.slice/user-0.slice/session-3.scope"),
            (24, "/user.slice/user-0.slice/user@0.service/x.service"),
            (25, "/system.slice/auditd.service"),
            (26, "/system.slice/ssh.service"),
            (27, "/system.slice/sshd-old.service"),
            (30, "/"),
        ])
        .link("/proc/self", "40")
        .file("/proc/40/cgroup", "0::/system.slice/ssh.service\n");
        let answer = [
            unit("auditd.service", "RefuseManualStop=yes\n"),
            unit("dbus.service", ""),
            unit("ssh.service", "MainPID=26\n").replace("control-group", "process"),
            unit("sshd-old.service", "MainPID=99\n").replace("control-group", "process"),
            unit("web.service", ""),
        ];
        let all =
            format!("{SHOW} auditd.service dbus.service ssh.service sshd-old.service web.service");
        let rest = format!("{SHOW} auditd.service dbus.service sshd-old.service");
        let fresh = |pids: &'static [u32]| {
            move |host: &mut FakeHost| {
                for pid in pids {
                    host.set_text(&format!("/proc/{pid}/maps"), "");
                }
                CommandOutput::default()
            }
        };
        let host = host
            .answers(&all, 0, &answer.join("\n"))
            .answers(&rest, 0, &answer.join("\n"))
            .on("systemctl restart web.service", fresh(&[20, 21]))
            .on("systemctl restart ssh.service", fresh(&[26]));
        let done = check_module::<This>(Map::new(), host);
        assert_eq!(
            done.host.ran,
            [
                "systemctl restart ssh.service",
                "systemctl restart web.service"
            ]
        );
        assert!(!done.second.changed);
        let it = got(&done.first);
        assert_eq!(it.units, ["ssh.service", "web.service"]);
        let left: Vec<String> = it
            .left
            .iter()
            .map(|(what, why)| format!("{what}: {why}"))
            .collect();
        assert_eq!(
            left,
            [
                "x (pid 1): systemd itself; a reboot restarts it",
                "x (pid 23): belongs to a session of a user",
                "x (pid 24): belongs to a user who is logged in",
                "x (pid 30): belongs to no unit",
                "auditd.service: refuses to be stopped by hand",
                "dbus.service: denied by `dbus.service`",
                "sshd-old.service: only processes that a restart spares run replaced files",
            ]
        );
    }

    #[test]
    fn deny_wins_and_the_own_session_stays() {
        let host = host(&[
            (20, "/a.service"),
            (21, "/b.service"),
            (22, "/sshd.service"),
        ])
        .link("/proc/self", "22")
        .answers(
            &format!("{SHOW} a.service b.service sshd.service"),
            0,
            &[
                unit("a.service", ""),
                unit("b.service", ""),
                unit("sshd.service", ""),
            ]
            .join("\n"),
        );
        let mut args: Map = Map::new();
        args.insert("allow", Value::list(["a*".into(), "sshd*".into()]));
        args.insert("deny", Value::list(["a.service".into()]));
        let done = check_module::<This>(args, host);
        let left: Vec<String> = got(&done.first).left.into_iter().map(|it| it.1).collect();
        assert_eq!(
            left,
            [
                "denied by `a.service`",
                "not among the units that may be restarted",
                "this connection belongs to it, and would end with it"
            ]
        );
    }

    #[test]
    fn a_restart_that_fails_keeps_no_other_from_its_own() {
        let mut host = host(&[(20, "/a.service"), (21, "/b.service")])
            .answers(
                &format!("{SHOW} a.service b.service"),
                0,
                &[unit("a.service", ""), unit("b.service", "")].join("\n"),
            )
            .on("systemctl restart a.service", |_| CommandOutput {
                rc: 1,
                stderr: b"Job for a.service failed\nmore".to_vec(),
                ..CommandOutput::default()
            })
            .on("systemctl restart b.service", |_| CommandOutput::default());
        let outcome = execute::<This>(&Map::new().into(), Mode::default(), &mut host);
        assert_eq!(
            outcome.failed.as_ref().unwrap().msg,
            "not restarted: a.service: Job for a.service failed"
        );
        let it = got(&outcome);
        assert_eq!(it.units, ["b.service"]);
        assert!(it.left.iter().any(|it| it.1.contains("after its restart")));
    }
}
