//! What a program of the host answers, with what earlier tasks of a preview have declared put on top.

use hostler_change::{CommandOutput, Effect, Program, UnitEffect};
use hostler_module_api::{Inspect, InspectError};

use crate::{unit_name, word};

/// The last effect of a kind that was declared.
fn last<T>(host: &dyn Inspect, of: impl Fn(&Effect) -> Option<T>) -> Option<T> {
    let declared = host.declared();
    declared.iter().rev().find_map(|it| of(&it.effect))
}

/// The value of a kernel parameter, as `sysctl -n` prints it; `None` if the kernel does not know it.
///
/// # Errors
/// If `sysctl` cannot be started.
pub fn sysctl(host: &dyn Inspect, name: &str) -> Result<Option<String>, InspectError> {
    let told = last(host, |effect| match effect {
        Effect::Sysctl { key, value } if key == name => Some(value.clone()),
        _ => None,
    });
    if told.is_some() {
        return Ok(told);
    }
    let output = host.look(&Program::new(["sysctl", "-e", "-n", name]))?;
    Ok(output.success().then(|| output.stdout_text()))
}

/// What `crontab -l` says for a user; `None` is the one who asks.
///
/// # Errors
/// If `crontab` cannot be started.
pub fn crontab(host: &dyn Inspect, user: Option<&str>) -> Result<CommandOutput, InspectError> {
    let me = host.identity().user.as_str();
    let told = last(host, |effect| match effect {
        Effect::Crontab { user: it, table } if it == user.unwrap_or(me) => Some(table.clone()),
        _ => None,
    });
    if let Some(stdout) = told {
        return Ok(CommandOutput {
            stdout,
            ..CommandOutput::default()
        });
    }
    let of_user = user.map(|user| ["-u", user]).into_iter().flatten();
    host.look(&Program::new(
        ["crontab"].into_iter().chain(of_user).chain(["-l"]),
    ))
}

/// The running kernel's name of the host, if a task of the preview would set it.
pub fn declared_node_name(host: &dyn Inspect) -> Option<String> {
    last(host, |effect| match effect {
        Effect::Hostname { running, .. } => running.clone(),
        _ => None,
    })
}

/// The running kernel's name of the host (`uname -n`); empty if it cannot be read.
pub fn node_name(host: &dyn Inspect) -> String {
    declared_node_name(host)
        .or_else(|| word(host, "/proc/sys/kernel/hostname"))
        .unwrap_or_default()
}

/// What `hostnamectl` says with `--transient` or `--static`.
///
/// # Errors
/// If it cannot be started.
pub fn hostnamectl(host: &dyn Inspect, which: &str) -> Result<CommandOutput, InspectError> {
    let told = last(host, |effect| match effect {
        Effect::Hostname { running, .. } if which == "--transient" => running.clone(),
        Effect::Hostname { kept, .. } if which == "--static" => kept.clone(),
        _ => None,
    });
    match told {
        Some(name) => Ok(CommandOutput {
            stdout: format!("{name}\n").into_bytes(),
            ..CommandOutput::default()
        }),
        None => host.look(&Program::new(["hostnamectl", which, "status"])),
    }
}

/// All that was declared of a unit, joined; the later one holds.
pub fn declared_unit(host: &dyn Inspect, name: &str) -> UnitEffect {
    let name = unit_name(name);
    let mut joined = UnitEffect::default();
    for declared in host.declared() {
        let Effect::Unit(unit) = declared.effect else {
            continue;
        };
        if unit.name == name {
            joined.active = unit.active.or(joined.active);
            joined.enabled = unit.enabled.or(joined.enabled);
            joined.masked = unit.masked.or(joined.masked);
        }
    }
    UnitEffect { name, ..joined }
}

/// Does an init script say that its service runs? As the LSB has it: `status` exits with 0 if so, 1 to 3 if not.
///
/// # Errors
/// If the script cannot be started.
pub fn init_script_runs(
    host: &dyn Inspect,
    script: &str,
    name: &str,
) -> Result<bool, InspectError> {
    if let Some(active) = declared_unit(host, name).active {
        return Ok(active);
    }
    let mut program = Program::new([script, "status"]).env("LC_ALL", "C");
    program.timeout_s = Some(60);
    let output = match host.look(&program) {
        // A script that is not there yet has started nothing.
        Err(InspectError::Unknown { .. }) => return Ok(false),
        other => other?,
    };
    let said = format!("{}{}", output.stdout_text(), output.stderr_text()).to_lowercase();
    let denies = ["not running", "stopped", "is dead", "not started"];
    Ok(output.success() && !denies.iter().any(|it| said.contains(it)))
}
