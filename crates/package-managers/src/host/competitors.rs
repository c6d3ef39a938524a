//! Others that update packages by themselves.

use hostler_change::Program;
use hostler_module_api::Inspect;
use hostler_probes::{names, systemd_is_running, word};
use hostler_updates::Competitor;

/// Units that start an update, or that are one while they run: timers first, since they start the others.
pub const UPDATERS: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-daily.service",
    "apt-daily-upgrade.service",
    "unattended-upgrades.service",
    "apt-xapian-index.timer",
    "dnf-automatic.timer",
    "dnf-automatic-install.timer",
    "dnf-automatic-download.timer",
    "dnf5-automatic.timer",
    "dnf-automatic.service",
    "dnf-automatic-install.service",
    "dnf5-automatic.service",
    "yum-cron.service",
    "packagekit.service",
    "packagekit-offline-update.service",
    "transactional-update.timer",
    "transactional-update.service",
    "ua-timer.timer",
    "snapd.refresh.timer",
];

/// Programs that are an update while they run.
const PROGRAMS: &[&str] = &[
    "unattended-upgr",
    "packagekitd",
    "dnf-automatic",
    "aptd",
    "yum-cron",
];

/// Units that are active, and programs that run.
pub fn competitors(host: &dyn Inspect) -> Vec<Competitor> {
    let mut all = Vec::new();
    if systemd_is_running(host) {
        let words = ["systemctl", "show", "--property=Id,ActiveState"];
        let mut question = Program::new(words.iter().chain(UPDATERS).copied()).env("LC_ALL", "C");
        question.timeout_s = Some(30);
        let output = host
            .look(&question)
            .map(|it| it.stdout_text())
            .unwrap_or_default();
        for unit in output.split("\n\n") {
            let get = |key: &str| {
                unit.lines()
                    .find_map(|it| it.strip_prefix(key)?.strip_prefix('='))
            };
            if let (Some(name), Some(state @ ("active" | "activating" | "reloading"))) =
                (get("Id"), get("ActiveState"))
                && UPDATERS.contains(&name)
            {
                all.push(Competitor {
                    name: name.to_owned(),
                    state: state.to_owned(),
                });
            }
        }
    }
    for pid in names(host, "/proc")
        .iter()
        .filter_map(|it| it.parse::<u32>().ok())
    {
        let name = word(host, format!("/proc/{pid}/comm")).unwrap_or_default();
        // The service of unattended-upgrades only waits for the shutdown.
        let waits = || super::unit_of(host, pid).as_deref() == Some("unattended-upgrades.service");
        if PROGRAMS.contains(&name.as_str()) && !all.iter().any(|it| it.name == name) && !waits() {
            all.push(Competitor {
                name,
                state: format!("running (pid {pid})"),
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn active_ones() {
        let line = format!(
            "systemctl show --property=Id,ActiveState {}",
            UPDATERS.join(" ")
        );
        let host = FakeHost::bare()
            .dir("/run/systemd/system", 0o755)
            .dir("/proc", 0o555)
            .dir("/proc/812", 0o555)
            .file("/proc/812/comm", "packagekitd\n")
            .answers(&line, 0, "ActiveState=active\nId=apt-daily.timer\n\nId=apt-daily-upgrade.timer\nActiveState=inactive\n\nId=x.service\nActiveState=active\n");
        let found: Vec<String> = competitors(&host)
            .iter()
            .map(|it| format!("{} {}", it.name, it.state))
            .collect();
        assert_eq!(
            found,
            ["apt-daily.timer active", "packagekitd running (pid 812)"]
        );
    }
}
