//! A policy's windows as a systemd service and timer (systemd.service(5), systemd.timer(5)), for those who want no daemon of
//! their own.
//!
//! The service does what is due and ends; the timer starts it at each start of the policy's windows. It starts it each quarter
//! of an hour besides: for what a timer does not know (a freeze that ends in the middle of a window, a run to go on with, a start
//! that daylight saving moves). Looking costs nothing: an occurrence is opened once, however often somebody looks.

use std::fmt::Write as _;
use std::path::PathBuf;

use hostler_schedule::{Window, on_calendar};

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `hostler-patch-monthly.timer`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What the service runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs: relative paths of the inventory mean something there.
    pub directory: PathBuf,
    /// The account, if not the one of the service manager.
    pub user: Option<String>,
}

/// Service and timer of a policy.
pub(crate) fn units(policy: &str, windows: &[Window], invocation: &Invocation) -> [Unit; 2] {
    let stem = format!("hostler-patch-{}", unit_name(policy));
    [
        Unit {
            name: format!("{stem}.service"),
            text: service(policy, invocation),
        },
        Unit {
            name: format!("{stem}.timer"),
            text: timer(policy, windows),
        },
    ]
}

fn service(policy: &str, invocation: &Invocation) -> String {
    let mut command = quoted(&invocation.program.display().to_string());
    for argument in &invocation.arguments {
        command.push(' ');
        command += &quoted(argument);
    }
    let directory = escaped(&invocation.directory.display().to_string());
    let user = match &invocation.user {
        Some(user) => format!("User={}\n", escaped(user)),
        None => String::new(),
    };
    format!(
        "# Written by `hostler patch install-schedule`: run it again when the windows of the policy have changed.
[Unit]
Description=Patch windows of the policy {policy}
Documentation=man:systemd.timer(5)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{user}WorkingDirectory={directory}
ExecStart={command}
# A window is as long as it is; a stop lets hosts come to the end of what they do.
TimeoutStartSec=infinity
TimeoutStopSec=1h
KillMode=mixed
",
        policy = escaped(policy),
    )
}

fn timer(policy: &str, windows: &[Window]) -> String {
    let mut text = format!(
        "# Written by `hostler patch install-schedule`: run it again when the windows of the policy have changed.
[Unit]
Description=Timer of the patch windows of the policy {}

[Timer]
",
        escaped(policy)
    );
    for window in windows {
        let timer = on_calendar(window);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {}: {}", window.name(), window.fingerprint());
        if !timer.exact {
            text.push_str("# A timer cannot say that: it elapses on other days, too, and nothing is due then.\n");
        }
        for line in timer.lines {
            let _ = writeln!(text, "OnCalendar={line}");
        }
    }
    text.push_str(
        "# What a timer does not know: a freeze that ends in a window, a run to go on with, a start moved by daylight saving.
OnCalendar=*:00/15
OnBootSec=2min
AccuracySec=1s

[Install]
WantedBy=timers.target
",
    );
    text
}

/// A name for units: letters, digits, `-`, `_` and `.`. Names of policies are so already.
fn unit_name(policy: &str) -> String {
    let letter = |it: char| {
        if it.is_ascii_alphanumeric() || "-_.".contains(it) {
            it
        } else {
            '_'
        }
    };
    policy.chars().map(letter).collect()
}

/// A value of a unit file: specifiers stand for themselves, a line is a line.
fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|it| !it.is_control()).collect();
    text.replace('%', "%%")
}

/// An argument of a command line (systemd.service(5), "Command lines").
fn quoted(text: &str) -> String {
    let harmless = |it: char| it.is_ascii_alphanumeric() || "/._-=:,@+".contains(it);
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace('\n', "\\n").replace('\t', "\\t");
    format!("\"{}\"", escaped(&text.replace('$', "$$")))
}
