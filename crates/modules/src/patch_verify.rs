//! `patch_verify`: is a host as it was before, and as it was planned?

use hostler_module_api::prelude::*;
use hostler_updates::{Action, Baseline, DatabaseState, Difference};

use crate::patching::{baseline, manager, value_of};

/// Says in what a host differs from what it was before it was patched, and from what was planned. It only looks.
///
/// ```yaml
/// - patch_verify:
///     baseline: "{{ before.baseline }}"
///     actions: "{{ planned }}"
///     rebooted: true
///   register: seen
///   until: not seen.settling
///   retries: 30
///   delay: 5
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What ran before, as `patch_baseline` said.
    baseline: Baseline,
    /// What was done to packages.
    #[serde(default)]
    actions: Vec<Action>,
    /// The kernel that should run (`uname -r`), if one is expected.
    expected_kernel: Option<String>,
    /// Should it have been rebooted since?
    #[serde(default)]
    rebooted: bool,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_verify")
}

pub(crate) struct This;

/// What is there now.
pub(crate) struct State {
    now: Baseline,
    /// What is not as planned.
    problems: Vec<String>,
    /// Is it still on its way up?
    settling: bool,
}

/// What systemd says while it starts, and when it is on its way down or in a shell for emergencies.
const STARTING: &[&str] = &["initializing", "starting"];
const NOT_UP: &[&str] = &["maintenance", "stopping", "offline"];

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_verify";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        let now = baseline::look(host)?;
        // Logins are refused while this is there (pam_nologin(8)); systemd removes it when it is up.
        let closed = hostler_probes::exists(host, "/run/nologin");
        let settling = closed || STARTING.contains(&now.system_state.as_str());
        let mut problems = of_boot(args, &now);
        problems.extend(of_packages(args, host)?);
        Ok(State {
            now,
            problems,
            settling,
        })
    }

    fn plan(_: &Args, _: &State) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let seen = ran.after;
        let differences: Vec<Difference> = args.baseline.differences(&seen.now);
        Report::default()
            .with("differences", value_of(&differences))
            .with("baseline", value_of(&seen.now))
            .with(
                "problems",
                Value::list(seen.problems.iter().map(Value::str)),
            )
            .with("settling", seen.settling)
    }
}

fn of_boot(args: &Args, now: &Baseline) -> Vec<String> {
    let mut problems = Vec::new();
    let before = &args.baseline.boot_id;
    let same = now.boot_id == *before;
    if args.rebooted && same {
        problems.push("it was not rebooted: the boot id is the same as before".to_owned());
    }
    if !args.rebooted && !same && !before.is_empty() {
        problems.push("it was rebooted meanwhile: the boot id is another".to_owned());
    }
    if let Some(expected) = args
        .expected_kernel
        .as_ref()
        .filter(|it| **it != now.kernel)
    {
        problems.push(format!("kernel {} runs, not {expected}", now.kernel));
    }
    let state = now.system_state.as_str();
    if NOT_UP.contains(&state) && state != args.baseline.system_state {
        problems.push(format!("the system is {state}"));
    }
    problems
}

fn of_packages(args: &Args, host: &dyn Inspect) -> Result<Vec<String>, ModuleError> {
    if args.actions.is_empty() {
        return Ok(Vec::new());
    }
    let manager = manager::manager(host)?;
    let mut problems = manager::not_as_planned(&args.actions, &manager.installed(host)?);
    if let DatabaseState::Interrupted(why) = manager.database(host)? {
        let why = crate::patching::one_line(&why, 200);
        problems.push(format!("the package database is not whole: {why}"));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::fake::{action, host, set};
    use hostler_module_api::fake::{FakeHost, check_module};

    fn seen(args: Map, host: FakeHost) -> (Vec<String>, Vec<String>, bool) {
        let done = check_module::<This>(args, host);
        assert!(!done.first.changed);
        let texts = |name: &str, key: Option<&str>| {
            let list = done
                .first
                .fields
                .get(name)
                .and_then(Value::as_list)
                .unwrap();
            let text = |it: &Value| key.map_or(it.clone(), |key| it.get(key).unwrap().clone());
            list.iter().map(|it| text(it).to_text()).collect::<Vec<_>>()
        };
        let settling = done.first.fields.get("settling") == Some(&Value::from(true));
        (
            texts("differences", Some("which")),
            texts("problems", None),
            settling,
        )
    }

    fn booted(host: FakeHost, id: &str) -> FakeHost {
        host.file("/proc/sys/kernel/random/boot_id", id)
            .file("/proc/sys/kernel/osrelease", "6.2\n")
    }

    fn args(before: &Baseline, rebooted: bool) -> Map {
        let mut args = Map::new();
        args.insert("baseline", value_of(before));
        args.insert("rebooted", rebooted);
        args
    }

    #[test]
    fn versions_kernel_and_boot() {
        let before = Baseline {
            boot_id: "one".into(),
            ..Baseline::default()
        };
        let mut it = booted(host(), "one");
        set(&mut it, "a", Some("2"));
        let mut wanted = args(&before, true);
        wanted.insert("expected_kernel", "6.3");
        let actions = [
            action("a", Some("1"), Some("2")),
            action("b", Some("1"), Some("2")),
            action("c", None, Some("1")),
            action("b", Some("1"), None),
        ];
        wanted.insert("actions", value_of(&actions));
        let it = it.file("/interrupted", "dpkg was\ninterrupted");
        let (differences, problems, settling) = seen(wanted, it);
        assert!(differences.is_empty() && !settling);
        assert_eq!(
            problems,
            [
                "it was not rebooted: the boot id is the same as before",
                "kernel 6.2 runs, not 6.3",
                "b:amd64 is 1, not 2",
                "c:amd64 is not installed, but should be 1",
                "b:amd64 is 1, not removed",
                "the package database is not whole: dpkg was interrupted",
            ]
        );
        let (_, problems, _) = seen(args(&before, true), booted(host(), "two"));
        assert!(problems.is_empty());
        let (_, problems, _) = seen(args(&before, false), booted(host(), "two"));
        assert_eq!(
            problems,
            ["it was rebooted meanwhile: the boot id is another"]
        );
    }

    #[test]
    fn what_is_lost_is_told_and_a_system_that_starts_is_waited_for() {
        let before = Baseline {
            boot_id: "one".into(),
            ports: ["tcp 0.0.0.0:22".to_owned()].into(),
            ..Baseline::default()
        };
        let it = booted(host(), "two").file("/run/nologin", "System is booting up.");
        let (differences, problems, settling) = seen(args(&before, true), it);
        assert_eq!(differences, ["tcp 0.0.0.0:22"]);
        assert!(problems.is_empty() && settling);
    }
}
