//! Units of systemd that should be active again after a restart or a reboot, and those that have failed.

use std::collections::{BTreeMap, BTreeSet};

use hostler_change::Program;
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::{Scope, systemctl, systemd_is_running};

/// Seconds after which a manager that does not answer is not waited for.
pub(crate) const TIMEOUT_S: u64 = 30;

/// Kinds of units that are looked at. Only services, sockets, timers and mounts are compared; any of these may fail.
const KINDS: &[&str] = &[
    "*.service",
    "*.socket",
    "*.timer",
    "*.mount",
    "*.automount",
    "*.path",
    "*.swap",
];
const COMPARED: &[&str] = &[".service", ".socket", ".timer", ".mount"];

const PROPERTIES: &str = "--property=Id,ActiveState,Transient,Type,FragmentPath,WantedBy,RequiredBy,UpheldBy,\
                          TriggeredBy,BusName,Accept";

/// Units of users: they are there as long as somebody is logged in.
const OF_USERS: &[&str] = &["user@", "user-runtime-dir@", "session-", "run-user-"];

/// What the manager of units says.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// `running`, `degraded`, `starting`, ...; empty without systemd.
    pub(super) state: String,
    pub(super) active: BTreeSet<String>,
    pub(super) failed: BTreeSet<String>,
}

/// Asks systemd; nothing where that does not run.
///
/// # Errors
/// It does not answer, or says more than can be compared.
pub(super) fn units(host: &dyn Inspect) -> Result<Units, ModuleError> {
    if !systemd_is_running(host) {
        return Ok(Units::default());
    }
    let state = ask(host, &["is-system-running"])?;
    let words = ["show", "--no-pager", PROPERTIES];
    let shown = ask(host, &[&words[..], KINDS].concat())?;
    if shown.is_empty() {
        return Err(ModuleError::new(
            "systemctl does not say which units there are",
        ));
    }
    let (active, failed) = parse(&shown);
    Ok(Units {
        state: super::one_line(&state, 40),
        active,
        failed,
    })
}

/// Output of a `systemctl`, whatever its exit status: `is-system-running` fails if the system is not well.
fn ask(host: &dyn Inspect, words: &[&str]) -> Result<String, ModuleError> {
    let program = Program {
        timeout_s: Some(TIMEOUT_S),
        ..systemctl(host, Scope::System, words.iter().copied())
    };
    let output = host.look(&program)?;
    if output.timed_out {
        let msg = format!(
            "`systemctl {}` did not answer in {TIMEOUT_S} seconds",
            words[0]
        );
        return Err(ModuleError::new(msg));
    }
    if output.stdout_cut > 0 {
        return Err(ModuleError::new(
            "systemd tells of too many units to compare them",
        ));
    }
    Ok(output.stdout_text())
}

type Properties<'a> = BTreeMap<&'a str, &'a str>;

/// Active and failed units, from `systemctl show`: paragraphs of `Key=value`.
fn parse(shown: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let units: Vec<Properties<'_>> = shown
        .split("\n\n")
        .map(|unit| {
            unit.lines()
                .filter_map(|line| line.split_once('='))
                .collect()
        })
        .collect();
    // A socket that accepts makes a service for each connection.
    let per_connection: Vec<String> = units
        .iter()
        .filter(|it| is(it, "Accept", "yes"))
        .filter_map(|it| Some(format!("{}@", it.get("Id")?.strip_suffix(".socket")?)))
        .collect();
    let (mut active, mut failed) = (BTreeSet::new(), BTreeSet::new());
    for unit in &units {
        let Some(name) = unit.get("Id").filter(|it| !it.is_empty()) else {
            continue;
        };
        // Updaters are kept still by ourselves meanwhile.
        let ours = crate::patch_competitors::known().any(|it| it == *name);
        let passes = ours
            || is(unit, "Transient", "yes")
            || OF_USERS.iter().any(|it| name.starts_with(it))
            || per_connection
                .iter()
                .any(|it| name.starts_with(it.as_str()));
        if passes {
            continue;
        }
        let set = match unit.get("ActiveState") {
            Some(&("active" | "reloading" | "refreshing")) if should_return(name, unit) => {
                &mut active
            }
            Some(&"failed") => &mut failed,
            _ => continue,
        };
        set.insert((*name).to_owned());
    }
    (active, failed)
}

/// Will it be active again after the next boot, if all is well?
fn should_return(name: &str, unit: &Properties<'_>) -> bool {
    if !COMPARED.iter().any(|it| name.ends_with(it)) || is(unit, "Type", "oneshot") {
        return false;
    }
    if name.strip_suffix(".mount").is_some() {
        // Those without a file only show what is mounted, and that is compared by itself.
        return has(unit, "FragmentPath");
    }
    // What nothing starts at boot, and something else on demand, is there by chance.
    let starts = ["WantedBy", "RequiredBy", "UpheldBy"];
    let on_demand = has(unit, "TriggeredBy") || has(unit, "BusName");
    starts.iter().any(|it| has(unit, it)) || !on_demand
}

fn is(unit: &Properties<'_>, key: &str, value: &str) -> bool {
    unit.get(key) == Some(&value)
}

fn has(unit: &Properties<'_>, key: &str) -> bool {
    unit.get(key).is_some_and(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn what_returns_after_a_boot() {
        let unit = |name: &str, more: &str| {
            format!("Id={name}\nActiveState=active\nTransient=no\n{more}\n")
        };
        let shown = [
            unit(
                "ssh.service",
                "Type=notify\nWantedBy=multi-user.target\nTriggeredBy=ssh.socket\n",
            ),
            unit("by-hand.service", "Type=simple\nWantedBy=\nTriggeredBy=\n"),
            unit("on-demand.service", "Type=dbus\nWantedBy=\nBusName=org.x\n"),
            unit("once.service", "Type=oneshot\nWantedBy=multi-user.target\n"),
            unit("user@0.service", "Type=notify\n"),
            unit("a@1-10.0.0.1:22-10.0.0.2:5.service", "Type=simple\n"),
            unit("a.socket", "Accept=yes\nWantedBy=sockets.target\n"),
            unit("apt-daily.timer", "WantedBy=timers.target\n"),
            unit("logrotate.timer", "WantedBy=timers.target\n"),
            unit(
                "srv.mount",
                "FragmentPath=/run/systemd/generator/srv.mount\n",
            ),
            unit("proc-x.mount", "FragmentPath=\n"),
            unit("dev-sda2.swap", "\n"),
            "Id=run-u1.service\nActiveState=active\nTransient=yes\n".into(),
            "Id=bad.service\nActiveState=failed\nTransient=no\nType=oneshot\n".into(),
            "Id=dead.service\nActiveState=inactive\n".into(),
        ];
        let (active, failed) = parse(&shown.join("\n"));
        assert_eq!(
            active,
            set(&[
                "a.socket",
                "by-hand.service",
                "logrotate.timer",
                "srv.mount",
                "ssh.service"
            ])
        );
        assert_eq!(failed, set(&["bad.service"]));
    }

    #[test]
    fn nonsense_is_no_unit() {
        assert_eq!(
            parse("a\n\n=b\n\nId=\nActiveState=active\n"),
            Default::default()
        );
    }
}
