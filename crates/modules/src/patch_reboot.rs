//! `patch_reboot`: a reboot that happens once, after the answer is away.

use std::path::Path;

use hostler_module_api::prelude::*;
use hostler_probes::{Scope, exists, program, systemctl, systemd_is_running};

use crate::patching::{baseline, one_line};

/// Reboots a host if it still is in the boot that is named; otherwise it was rebooted already and nothing is done.
///
/// ```yaml
/// - patch_reboot:
///     boot_id: "{{ before.baseline.boot_id }}"
///     message: new kernel, back in five minutes
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The boot that is to end (`/proc/sys/kernel/random/boot_id`).
    boot_id: String,
    /// Seconds until it happens: the answer must get out first.
    #[serde(default = "default_delay")]
    delay_s: u64,
    /// What users who are logged in are told.
    message: Option<String>,
}

fn default_delay() -> u64 {
    3
}

/// Longest delay, seconds, and longest message, bytes.
const DELAY_MAX_S: u64 = 3600;
const MESSAGE_MAX: usize = 500;

/// The transient timer, and the service that it starts.
const TIMER: &str = "hostler-patch-reboot.timer";
const SERVICE: &str = "hostler-patch-reboot.service";
const UNIT: &str = "hostler-patch-reboot";
/// Where systemd does not run: a process that waits, and its note. Gone after a boot.
const NOTE: &str = "/run/hostler-patch-reboot";
const LATER: &str = r#"printf '%s\n' "$2" >"$3" || exit 1
setsid sh -c 'sleep "$1"; shutdown -r now || reboot; rm -f "$2"' sh "$1" "$3" </dev/null >/dev/null 2>&1 &
"#;

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_reboot")
}

pub(crate) struct This;

pub(crate) struct State {
    boot_id: String,
    /// It is on its way.
    begun: bool,
    systemd: bool,
    /// There is a program that reboots.
    able: bool,
    /// Users can be told.
    wall: bool,
    /// Who wants that it is not done now.
    inhibitor: Option<String>,
}

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_reboot";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        if args.boot_id.is_empty() {
            return Err(ModuleError::new("argument `boot_id` is empty"));
        }
        let boot_id = baseline::boot_id(host);
        if boot_id.is_empty() {
            let msg = "the kernel does not say its boot id: a reboot could not be told from none";
            return Err(ModuleError::new(msg));
        }
        let systemd = systemd_is_running(host);
        let same = boot_id == args.boot_id;
        let (begun, inhibitor) = match (same, systemd) {
            (false, _) => (false, None),
            (true, true) => (is_begun(host)?, inhibitor(host)),
            (true, false) => (
                hostler_probes::word(host, NOTE).as_ref() == Some(&boot_id),
                None,
            ),
        };
        Ok(State {
            boot_id,
            begun,
            systemd,
            able: systemd || ["shutdown", "reboot"].iter().any(|it| program(host, it).is_some()),
            wall: program(host, "wall").is_some(),
            inhibitor,
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        if now.boot_id != args.boot_id || now.begun {
            return Ok(plan);
        }
        if !now.able {
            let msg = "there is no way to reboot this host: no systemd runs, and there is neither `shutdown` nor `reboot`";
            let hint = "a container is restarted by what runs it: `reboot: {mode: never}` in its policy";
            return Err(ModuleError::new(msg).hint(hint));
        }
        if args.delay_s > DELAY_MAX_S {
            return Err(ModuleError::new(format!(
                "argument `delay_s` is more than {DELAY_MAX_S}"
            )));
        }
        if let Some(inhibitor) = &now.inhibitor {
            let msg = format!("something on the host forbids its shutdown: {inhibitor}");
            return Err(ModuleError::new(msg).hint("`systemd-inhibit --list` shows it"));
        }
        if let Some(message) = args.message.as_deref().filter(|_| now.wall) {
            let mut tell = Program::new(["wall"]).stdin(one_line(message, MESSAGE_MAX) + "\n");
            tell.timeout_s = Some(10);
            let run = Run {
                always: true,
                ok_rc: Vec::new(),
                ..Run::new(tell)
            };
            plan.push(Delta::action("users", "are told"), Edit::Run(run));
        }
        plan.run_always(Delta::action("host", "reboot"), reboot(args, now));
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let before = ran.before;
        let still = before.boot_id == args.boot_id;
        Report::default()
            .with("rebooting", still)
            .with("boot_id", before.boot_id.as_str())
    }
}

fn reboot(args: &Args, now: &State) -> Program {
    if !now.systemd {
        let delay = args.delay_s.to_string();
        return Program::new(["sh", "-c", LATER, "sh", &delay, &now.boot_id, NOTE])
            .shown_as("shutdown -r, a little later");
    }
    Program::new([
        "systemd-run".to_owned(),
        "--quiet".into(),
        "--collect".into(),
        format!("--unit={UNIT}"),
        format!("--on-active={}s", args.delay_s),
        "--timer-property=AccuracySec=100ms".into(),
        "systemctl".into(),
        "reboot".into(),
    ])
}

/// Does the timer wait, or is the host on its way down?
fn is_begun(host: &dyn Inspect) -> Result<bool, ModuleError> {
    let words = ["show", "--property=ActiveState", TIMER, SERVICE];
    let shown = host
        .look(&systemctl(host, Scope::System, words))?
        .stdout_text();
    let waits = shown
        .lines()
        .any(|it| ["ActiveState=active", "ActiveState=activating"].contains(&it));
    if waits || exists(host, Path::new("/run/systemd/shutdown/scheduled")) {
        return Ok(true);
    }
    let state = host.look(&systemctl(host, Scope::System, ["is-system-running"]))?;
    Ok(state.stdout_text().trim() == "stopping")
}

/// A program that forbids a shutdown, as `systemd-inhibit` shows it. The columns may hold spaces; the last is the mode.
fn inhibitor(host: &dyn Inspect) -> Option<String> {
    let mut ask = Program::new(["systemd-inhibit", "--list", "--no-legend", "--no-pager"]);
    ask.timeout_s = Some(10);
    let output = host
        .look(&ask)
        .ok()
        .filter(CommandOutput::success)?
        .stdout_text();
    let forbids = |line: &&str| {
        let blocks = line.split_whitespace().next_back() == Some("block");
        blocks
            && line
                .split_whitespace()
                .any(|word| word.split(':').any(|it| it == "shutdown"))
    };
    output.lines().find(forbids).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        one_line(&words.join(" "), 200)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    const SHOW: &str = "systemctl show --property=ActiveState hostler-patch-reboot.timer hostler-patch-reboot.service";
    const RUN: &str = "systemd-run --quiet --collect --unit=hostler-patch-reboot --on-active=3s \
                       --timer-property=AccuracySec=100ms systemctl reboot";

    fn host() -> FakeHost {
        FakeHost::bare()
            .file("/proc/sys/kernel/random/boot_id", "one\n")
            .dir("/run/systemd/system", 0o755)
            .answers(SHOW, 0, "ActiveState=inactive\n\nActiveState=inactive\n")
            .answers("systemctl is-system-running", 0, "running\n")
            .answers("systemd-inhibit --list --no-legend --no-pager", 0, "")
            .on(RUN, |host| {
                host.answer(SHOW, 0, "ActiveState=active\n\nActiveState=inactive\n");
                CommandOutput::default()
            })
    }

    fn args() -> Map {
        [("boot_id", "one")].into_iter().collect()
    }

    #[test]
    fn it_is_done_once() {
        let done = check_module::<This>(args(), host());
        assert!(done.first.changed && !done.second.changed);
        assert_eq!(done.host.ran, [RUN]);
        for outcome in [&done.first, &done.second] {
            assert_eq!(outcome.fields.get("rebooting"), Some(&Value::from(true)));
        }
        // On its way down, the timer is gone.
        let stopping = host().answers("systemctl is-system-running", 1, "stopping\n");
        assert!(!check_module::<This>(args(), stopping).first.changed);
    }

    #[test]
    fn a_host_in_another_boot_is_left_alone() {
        let done = check_module::<This>(
            args(),
            host().file("/proc/sys/kernel/random/boot_id", "two\n"),
        );
        assert!(!done.first.changed && done.host.ran.is_empty());
        assert_eq!(
            done.first.fields.get("rebooting"),
            Some(&Value::from(false))
        );
        assert_eq!(done.first.fields.get("boot_id"), Some(&Value::from("two")));
    }

    #[test]
    fn users_are_told_in_one_line() {
        let mut args = args();
        args.insert("message", "back\x07 soon\n/etc/passwd");
        let host = host()
            .file("/usr/bin/wall", "")
            .attrs("/usr/bin/wall", 0, 0, 0o755)
            .on("wall", |_| CommandOutput {
                rc: 1,
                ..CommandOutput::default()
            });
        let done = check_module::<This>(args, host);
        assert_eq!(done.host.ran, ["wall", RUN]);
    }

    #[test]
    fn who_forbids_it_is_named() {
        let list = "NetworkManager 0 root 1 NM sleep Why not delay\nbackup job 0 root 77 tar shutdown:sleep Nightly backup block\n";
        let host = host().answers("systemd-inhibit --list --no-legend --no-pager", 0, list);
        let msg = check_fails::<This>(args(), host);
        assert_eq!(
            msg,
            "something on the host forbids its shutdown: backup job 0 root 77 tar shutdown:sleep Nightly backup block"
        );
        assert!(check_fails::<This>(args(), FakeHost::bare()).contains("boot id"));
    }

    #[test]
    fn without_systemd_a_process_waits() {
        let host = FakeHost::bare()
            .file("/proc/sys/kernel/random/boot_id", "one\n")
            .file("/sbin/shutdown", "")
            .attrs("/sbin/shutdown", 0, 0, 0o755)
            .on_writes("shutdown -r, a little later", &[(NOTE, "one\n")]);
        let done = check_module::<This>(args(), host);
        assert!(done.first.changed && !done.second.changed);
    }

    #[test]
    fn without_any_program_for_it_nothing_is_waited_for() {
        let host = FakeHost::bare().file("/proc/sys/kernel/random/boot_id", "one\n");
        let msg = check_fails::<This>(args(), host);
        assert!(msg.starts_with("there is no way to reboot this host"), "{msg}");
    }
}
