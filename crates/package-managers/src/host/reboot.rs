//! Should a host be rebooted? Every signal is looked at, since each alone is known to miss something.

use hostler_change::Program;
use hostler_module_api::Inspect;
use hostler_probes::{dpkg, exists, program, text, word};
use hostler_updates::{Kernel, Manager, Reboot, RebootNeed, StaleProcess};

use super::is_container;

/// Longest that a tool may take to tell, seconds.
const ASK_MAX_S: u64 = 60;
/// Most packages that a flag file may name.
const NAMES_MAX: usize = 20;

/// The union of all signals. `stale` and `kernel` are as seen just now.
pub fn reboot(
    host: &dyn Inspect,
    manager: Manager,
    kernel: &Kernel,
    stale: &[StaleProcess],
) -> Reboot {
    let mut signals = Signals::default();
    let container = is_container(host);
    flags(host, &mut signals);
    processes(stale, &mut signals);
    if !container {
        kernels(host, kernel, &mut signals);
        needrestart(host, &mut signals);
    }
    match manager {
        Manager::Dnf => dnf(host, &mut signals),
        Manager::Zypper => zypper(host, &mut signals),
        Manager::Apt | Manager::Apk | Manager::Pacman => {}
    }
    let need = match (signals.yes.is_empty(), signals.unknown.is_empty()) {
        (false, _) => RebootNeed::Yes,
        (true, false) => RebootNeed::Unknown,
        (true, true) => RebootNeed::No,
    };
    let mut reasons = signals.yes;
    if need == RebootNeed::Unknown {
        reasons.extend(signals.unknown);
    }
    Reboot { need, reasons }
}

#[derive(Default)]
struct Signals {
    yes: Vec<String>,
    unknown: Vec<String>,
}

/// Files that maintainer scripts leave (Debian policy, section 9.12), and that of SUSE.
fn flags(host: &dyn Inspect, signals: &mut Signals) {
    for path in ["/run/reboot-required", "/var/run/reboot-required"] {
        if exists(host, path) {
            let names = text(host, format!("{path}.pkgs")).unwrap_or_default();
            let mut names: Vec<&str> = names
                .lines()
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .collect();
            hostler_value::order::sort(&mut names);
            names.dedup();
            names.truncate(NAMES_MAX);
            let by = if names.is_empty() {
                String::new()
            } else {
                format!(" (by {})", names.join(", "))
            };
            signals.yes.push(format!("{path} is there{by}"));
            break;
        }
    }
    if exists(host, "/run/reboot-needed") {
        signals.yes.push("/run/reboot-needed is there".to_owned());
    }
}

/// Processes that cannot be restarted without taking everything with them.
fn processes(stale: &[StaleProcess], signals: &mut Signals) {
    for it in stale {
        let is_bus = matches!(
            it.command.as_str(),
            "dbus-daemon" | "dbus-broker" | "dbus-broker-lau"
        ) && it
            .unit
            .as_deref()
            .is_some_and(|unit| unit.starts_with("dbus"));
        if it.pid == 1 || is_bus {
            let files = it.files.first().map_or("files", String::as_str);
            signals.yes.push(format!(
                "{} (pid {}) runs {files}, which was replaced",
                it.command, it.pid
            ));
        }
    }
}

/// Is the kernel that runs the one that the next boot would bring?
fn kernels(host: &dyn Inspect, kernel: &Kernel, signals: &mut Signals) {
    let running = kernel.running.as_str();
    match &kernel.newest {
        None => signals.unknown.push(format!(
            "no installed kernel was found to compare the running {running} with"
        )),
        Some(newest) if newest != running => {
            // A kernel that is older than the running one is not what the next boot brings.
            if hostler_probes::compare_versions(newest, running).is_gt() {
                signals
                    .yes
                    .push(format!("kernel {newest} is installed, {running} runs"));
            } else {
                signals.unknown.push(format!(
                    "kernel {running} runs, which is not among those installed"
                ));
            }
        }
        Some(_) => {
            if let Some(reason) = same_name(host, running) {
                signals.yes.push(reason);
            }
        }
    }
    let modules = ["/lib/modules", "/usr/lib/modules"].map(|it| format!("{it}/{running}"));
    if kernel.newest.is_some() && !modules.iter().any(|it| exists(host, it)) {
        signals.yes.push(format!(
            "the modules of the running kernel {running} are gone"
        ));
    }
}

/// A kernel package may get another version without another name: Debian's kernels tell their package's version in
/// `/proc/version`, Ubuntu's in `/proc/version_signature`.
fn same_name(host: &dyn Inspect, running: &str) -> Option<String> {
    let dpkg = dpkg(host).ok()?;
    let installed = [
        format!("linux-image-{running}"),
        format!("linux-image-unsigned-{running}"),
    ]
    .iter()
    .find_map(|it| dpkg.installed(it).map(|it| it.version.clone()))?;
    let runs = if let Some(signature) = word(host, "/proc/version_signature") {
        // `Ubuntu 5.15.0-91.101-generic 5.15.131`; the flavour is no part of the version.
        let version = signature.split(' ').nth(1)?.to_owned();
        let flavour = version.strip_prefix(&installed);
        if flavour.is_some_and(|it| it.is_empty() || it.starts_with('-')) {
            return None;
        }
        version
    } else {
        // `... SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)`
        let version = word(host, "/proc/version")?;
        let version = version
            .split(" Debian ")
            .nth(1)?
            .split(' ')
            .next()?
            .to_owned();
        if version == installed {
            return None;
        }
        version
    };
    Some(format!(
        "the package of kernel {running} is {installed} now, {runs} runs"
    ))
}

/// needrestart knows of kernels and microcode, and only looks in batch mode.
fn needrestart(host: &dyn Inspect, signals: &mut Signals) {
    if program(host, "needrestart").is_none() {
        return;
    }
    let Some(said) = ask(host, ["needrestart", "-b", "-k", "-w"]) else {
        return;
    };
    let value = |key: &str| {
        said.lines()
            .find_map(|it| it.strip_prefix(key)?.trim().parse::<u8>().ok())
    };
    if matches!(value("NEEDRESTART-KSTA:"), Some(2 | 3)) {
        signals
            .yes
            .push("needrestart: another kernel is installed than runs".to_owned());
    }
    if value("NEEDRESTART-UCSTA:") == Some(2) {
        signals
            .yes
            .push("needrestart: newer microcode waits".to_owned());
    }
}

/// `needs-restarting -r` exits with 1 if a reboot is needed, and also if dnf fails: its words decide.
fn dnf(host: &dyn Inspect, signals: &mut Signals) {
    if program(host, "dnf").is_none() && program(host, "dnf5").is_none() {
        return;
    }
    let name = if program(host, "dnf5").is_some() {
        "dnf5"
    } else {
        "dnf"
    };
    match ask(host, [name, "-q", "needs-restarting", "-r"]) {
        Some(said) if said.contains("Reboot is required") => {
            let what: Vec<&str> = said
                .lines()
                .filter_map(|it| it.trim().strip_prefix("* "))
                .take(NAMES_MAX)
                .collect();
            signals.yes.push(format!(
                "needs-restarting: {} were updated since the last boot",
                what.join(", ")
            ));
        }
        Some(said)
            if said.contains("Reboot should not be necessary")
                || said.contains("No core libraries") => {}
        _ => signals
            .unknown
            .push("needs-restarting, of dnf's plugins, does not tell".to_owned()),
    }
}

/// `zypper needs-rebooting` exits with 102 if a reboot is needed.
fn zypper(host: &dyn Inspect, signals: &mut Signals) {
    let mut question =
        Program::new(["zypper", "--non-interactive", "needs-rebooting"]).env("LC_ALL", "C");
    question.timeout_s = Some(ASK_MAX_S);
    match host.look(&question).map(|it| it.rc) {
        Ok(102) => signals
            .yes
            .push("zypper needs-rebooting says so".to_owned()),
        Ok(0) => {}
        _ => signals
            .unknown
            .push("zypper needs-rebooting does not tell".to_owned()),
    }
}

fn ask<const N: usize>(host: &dyn Inspect, words: [&str; N]) -> Option<String> {
    let mut question = Program::new(words).env("LC_ALL", "C");
    question.timeout_s = Some(ASK_MAX_S);
    let output = host.look(&question).ok()?;
    Some(format!(
        "{}\n{}",
        output.stdout_text(),
        output.stderr_text()
    ))
}

#[cfg(test)]
mod tests;
