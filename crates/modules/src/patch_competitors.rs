//! `patch_competitors`: others that update packages by themselves are kept still during a run, and let go again.

use std::path::PathBuf;

use hostler_change::Remove;
use hostler_module_api::prelude::*;
use hostler_probes::{Scope, systemctl, systemd_is_running, text};
use serde::Serialize;

use crate::patching::{make_dirs, missing_dirs, private_file, run_dir, units, value_of};

/// Keeps automatic updates still while a host is patched. What was done is remembered on the host, so that letting go
/// undoes exactly that. An update that runs is never interrupted.
///
/// ```yaml
/// - patch_competitors:
///     state: masked
///     run: "{{ run_id }}"
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Whether they are kept still, or let go.
    state: Wanted,
    /// The run on whose behalf.
    run: String,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wanted {
    /// They cannot start.
    Masked,
    /// They are as they were.
    Released,
}

/// Units that start updates or are one, besides those that a scan tells of.
const MORE: &[&str] = &["dnf-makecache.timer", "dnf-automatic-notifyonly.timer"];

/// Units that start updates, or are one.
pub(crate) fn known() -> impl Iterator<Item = &'static str> {
    hostler_package_managers::UPDATERS
        .iter()
        .chain(MORE)
        .copied()
}

/// Where systemd looks for units that hold until the next boot, and for those of the administrator, which go first.
const RUNTIME: &str = "/run/systemd/system";
const ADMIN: &str = "/etc/systemd/system";

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("patch_competitors")
}

pub(crate) struct This;

/// A unit that was kept still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Its name.
    name: String,
    /// It waited for its time and was stopped.
    stopped: bool,
}

/// How a known unit is.
#[derive(Debug)]
struct Unit {
    name: &'static str,
    /// It only waits for its time, so that stopping it interrupts nothing.
    waits: bool,
    loaded: bool,
    active: bool,
    /// We, or another one, masked it until the next boot.
    masked: bool,
    /// The administrator's own file goes before a mask that holds until the next boot.
    of_admin: bool,
}

pub(crate) struct State {
    memory: PathBuf,
    /// What was kept still before; `None`: nothing ever.
    kept: Option<Vec<Kept>>,
    units: Vec<Unit>,
    missing: Vec<PathBuf>,
    program: Program,
}

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "patch_competitors";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        let dir = run_dir(&args.run)?;
        let memory = dir.join("competitors.json");
        let kept = text(host, &memory)
            .map(|it| serde_json::from_str(&it))
            .transpose();
        let kept = kept.map_err(|error| {
            ModuleError::new(format!("{} cannot be read: {error}", memory.display()))
        })?;
        Ok(State {
            memory,
            kept,
            units: look(host)?,
            missing: missing_dirs(host, &dir)?,
            program: systemctl(host, Scope::System, []),
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        Ok(match args.state {
            Wanted::Masked => now.mask(),
            Wanted::Released => now.release(),
        })
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let kept = match args.state {
            Wanted::Masked if ran.check => ran.before.to_keep(),
            Wanted::Masked => ran.after.kept.clone().unwrap_or_default(),
            Wanted::Released => ran.before.kept.clone().unwrap_or_default(),
        };
        let names: Vec<String> = kept.into_iter().map(|it| it.name).collect();
        Report::default().with("names", value_of(&names))
    }
}

impl State {
    fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|it| it.name == name)
    }

    /// What was kept still before, and what must be now.
    fn to_keep(&self) -> Vec<Kept> {
        let mut all = self.kept.clone().unwrap_or_default();
        for unit in self.units.iter().filter(|it| it.is_free()) {
            let stopped = unit.active && unit.waits;
            match all.iter_mut().find(|it| it.name == unit.name) {
                Some(known) => known.stopped |= stopped,
                None => all.push(Kept {
                    name: unit.name.to_owned(),
                    stopped,
                }),
            }
        }
        all
    }

    fn mask(&self) -> Plan {
        let mut plan = Plan::none();
        let keep = self.to_keep();
        if Some(&keep) != self.kept.as_ref() && !keep.is_empty() {
            make_dirs(&mut plan, &self.missing);
            // Before anything is done: what is not remembered is not undone.
            let json = serde_json::to_vec(&keep).unwrap_or_default();
            plan.write(Vec::new(), private_file(self.memory.clone(), json));
        }
        for unit in self.units.iter().filter(|it| it.is_free()) {
            // In this order: a unit that is masked while it is active has failed when it is stopped.
            if unit.active && unit.waits {
                let delta = Delta::field(subject(unit.name), "state", "started", "stopped");
                plan.run(delta, self.words(&["stop", unit.name]));
            }
            if !unit.masked && !unit.of_admin {
                let delta = Delta::field(subject(unit.name), "masked", false, true);
                plan.run(delta, self.words(&["mask", "--runtime", unit.name]));
            }
        }
        plan
    }

    fn release(&self) -> Plan {
        let mut plan = Plan::none();
        let Some(kept) = &self.kept else { return plan };
        for unit in kept.iter().filter_map(|it| self.unit(&it.name)) {
            if unit.masked {
                let delta = Delta::field(subject(unit.name), "masked", true, false);
                plan.run(delta, self.words(&["unmask", "--runtime", unit.name]));
            }
        }
        for unit in kept
            .iter()
            .filter(|it| it.stopped)
            .filter_map(|it| self.unit(&it.name))
        {
            if !unit.active {
                let delta = Delta::field(subject(unit.name), "state", "stopped", "started");
                plan.run(delta, self.words(&["start", unit.name]));
            }
        }
        let path = self.memory.clone();
        let recursive = false;
        plan.push_all(Vec::new(), Edit::Remove(Remove { path, recursive }));
        plan
    }

    fn words(&self, words: &[&str]) -> Program {
        let mut program = self.program.clone();
        program.argv.extend(words.iter().map(|it| (*it).to_owned()));
        program.timeout_s = Some(units::TIMEOUT_S);
        program
    }
}

impl Unit {
    /// Could it still start an update, or be started?
    fn is_free(&self) -> bool {
        self.loaded
            && !(self.masked && !(self.active && self.waits))
            && (!self.of_admin || self.active && self.waits)
    }
}

fn subject(name: &str) -> String {
    format!("unit {name}")
}

fn look(host: &dyn Inspect) -> Result<Vec<Unit>, ModuleError> {
    if !systemd_is_running(host) {
        return Ok(Vec::new());
    }
    let words = ["show", "--property=Id,LoadState,ActiveState"];
    let ask = Program {
        timeout_s: Some(units::TIMEOUT_S),
        ..systemctl(host, Scope::System, words.into_iter().chain(known()))
    };
    let output = host.look(&ask)?;
    if !output.success() {
        return Err(ModuleError::new(
            "systemctl does not say how the updaters' units are",
        ));
    }
    let shown = output.stdout_text();
    let of = |name: &str| {
        let id = format!("Id={name}");
        shown
            .split("\n\n")
            .find(|unit| unit.lines().any(|line| line == id))
    };
    let mut found = Vec::new();
    for name in known() {
        let Some(unit) = of(name) else { continue };
        let has = |line: &str| unit.lines().any(|it| it == line);
        let null = host.read_link(&PathBuf::from(RUNTIME).join(name))?;
        found.push(Unit {
            name,
            waits: name.strip_suffix(".timer").is_some(),
            loaded: has("LoadState=loaded") || null.is_some(),
            active: has("ActiveState=active"),
            masked: null.is_some_and(|it| it.as_os_str() == "/dev/null"),
            of_admin: host
                .stat(&PathBuf::from(ADMIN).join(name), Follow::No)?
                .is_some(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_module};

    const MEMORY: &str = "/var/lib/hostler/patch/runs/r1/competitors.json";

    fn show() -> String {
        let names: Vec<&str> = known().collect();
        format!(
            "systemctl show --property=Id,LoadState,ActiveState {}",
            names.join(" ")
        )
    }

    /// Each unit with whether it is loaded and active.
    fn answer(units: &[(&str, &str, &str)]) -> String {
        let unit = |it: &(&str, &str, &str)| {
            format!("Id={}\nLoadState={}\nActiveState={}\n", it.0, it.1, it.2)
        };
        units.iter().map(unit).collect::<Vec<_>>().join("\n")
    }

    const FREE: &[(&str, &str, &str)] = &[
        ("apt-daily.timer", "loaded", "active"),
        ("apt-daily.service", "loaded", "activating"),
        ("apt-daily-upgrade.timer", "masked", "inactive"),
        ("dnf-makecache.timer", "not-found", "inactive"),
    ];

    fn host() -> FakeHost {
        let run = |line: &str| format!("systemctl {line}");
        FakeHost::bare()
            .dir("/var/lib", 0o755)
            .dir("/run/systemd/system", 0o755)
            .answers(&show(), 0, &answer(FREE))
            .on(&run("mask --runtime apt-daily.timer"), |host| {
                *host =
                    std::mem::take(host).link("/run/systemd/system/apt-daily.timer", "/dev/null");
                CommandOutput::default()
            })
            .on(&run("mask --runtime apt-daily.service"), |host| {
                *host =
                    std::mem::take(host).link("/run/systemd/system/apt-daily.service", "/dev/null");
                CommandOutput::default()
            })
            .on(&run("stop apt-daily.timer"), |host| {
                let units = [
                    ("apt-daily.timer", "masked", "inactive"),
                    ("apt-daily.service", "masked", "activating"),
                    ("apt-daily-upgrade.timer", "masked", "inactive"),
                ];
                host.answer(&show(), 0, &answer(&units));
                CommandOutput::default()
            })
    }

    fn args(state: &str) -> Map {
        [("state", state), ("run", "r1")].into_iter().collect()
    }

    fn names(outcome: &hostler_change::Outcome) -> String {
        outcome.fields.get("names").unwrap().repr()
    }

    #[test]
    fn what_could_start_cannot_and_what_runs_is_let_be() {
        let done = check_module::<This>(args("masked"), host());
        assert!(done.first.changed && !done.second.changed);
        assert_eq!(
            done.host.ran,
            [
                "systemctl stop apt-daily.timer",
                "systemctl mask --runtime apt-daily.timer",
                "systemctl mask --runtime apt-daily.service",
            ]
        );
        for outcome in [&done.check, &done.first, &done.second] {
            assert_eq!(names(outcome), "['apt-daily.timer', 'apt-daily.service']");
        }
        assert_eq!(done.host.at(MEMORY).unwrap().mode, 0o600);
        assert_eq!(done.host.at("/var/lib/hostler/patch").unwrap().mode, 0o711);
        assert_eq!(
            done.host.at("/var/lib/hostler/patch/runs").unwrap().mode,
            0o700
        );
    }

    #[test]
    fn exactly_that_is_undone() {
        let mut host = check_module::<This>(args("masked"), host()).host;
        host.ran.clear();
        let host = host
            .on("systemctl unmask --runtime apt-daily.timer", unmask)
            .on("systemctl unmask --runtime apt-daily.service", unmask)
            .on("systemctl start apt-daily.timer", |host| {
                host.answer(&show(), 0, &answer(FREE));
                CommandOutput::default()
            });
        let done = check_module::<This>(args("released"), host);
        assert_eq!(
            done.host.ran,
            [
                "systemctl unmask --runtime apt-daily.timer",
                "systemctl unmask --runtime apt-daily.service",
                "systemctl start apt-daily.timer",
            ]
        );
        assert!(done.host.at(MEMORY).is_none() && !done.second.changed);
        assert_eq!(
            names(&done.first),
            "['apt-daily.timer', 'apt-daily.service']"
        );
    }

    fn unmask(_: &mut FakeHost) -> CommandOutput {
        CommandOutput::default()
    }

    #[test]
    fn after_a_boot_the_masks_are_gone_and_nothing_needs_to_be_undone() {
        let kept =
            r#"[{"name":"apt-daily.timer","stopped":true},{"name":"rm -rf","stopped":true}]"#;
        let host = host().file(MEMORY, kept);
        let done = check_module::<This>(args("released"), host);
        assert!(done.host.ran.is_empty() && done.host.at(MEMORY).is_none());
    }

    #[test]
    fn nothing_kept_still_nothing_let_go() {
        for (state, host) in [("released", host()), ("masked", FakeHost::bare())] {
            let done = check_module::<This>(args(state), host);
            assert!(!done.first.changed && done.host.ran.is_empty());
        }
    }
}
