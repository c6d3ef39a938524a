//! `systemd_service`: units of systemd.

use hostler_module_api::prelude::*;
use std::path::PathBuf;

use hostler_change::{Link, MakeDir, Remove, UnitEffect};
use hostler_probes::{Scope, Unit, enabling_links, masking_link, systemctl, unit_name};

/// Start, stop, enable or mask a unit.
///
/// ```yaml
/// - name: The new unit runs, now and after a reboot
///   systemd_service:
///     name: app.service
///     daemon_reload: true
///     enabled: true
///     state: started
/// ```
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Name of the unit; `.service` if it has no suffix.
    #[serde(alias = "service", alias = "unit")]
    pub(crate) name: Option<String>,
    /// Whether it should run; restarted and reloaded are done each time.
    pub(crate) state: Option<State>,
    /// Whether it should start at boot.
    pub(crate) enabled: Option<bool>,
    /// Whether it should be impossible to start.
    pub(crate) masked: Option<bool>,
    /// Replace links that are in the way of enabling or masking.
    pub(crate) force: Option<bool>,
    /// Let the manager read all unit files again first.
    #[serde(default, alias = "daemon-reload")]
    pub(crate) daemon_reload: bool,
    /// Restart the manager itself first, as after an upgrade of systemd.
    #[serde(default, alias = "daemon-reexec")]
    pub(crate) daemon_reexec: bool,
    /// Whose manager: the host's, the user's own, or that of all users.
    #[serde(default)]
    pub(crate) scope: ScopeName,
    /// Do not wait until the unit is started or stopped.
    #[serde(default)]
    pub(crate) no_block: bool,
}

/// What a unit should do.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It runs.
    Started,
    /// It does not run.
    Stopped,
    /// It is stopped and started.
    Restarted,
    /// It reads its configuration again.
    Reloaded,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Started => "started",
            State::Stopped => "stopped",
            State::Restarted => "restarted",
            State::Reloaded => "reloaded",
        }
    }

    /// What is done to get there.
    pub(crate) fn verb(self, running: bool) -> Option<&'static str> {
        match self {
            State::Started => (!running).then_some("start"),
            State::Stopped => running.then_some("stop"),
            State::Restarted if running => Some("restart"),
            State::Reloaded if running => Some("reload"),
            State::Restarted | State::Reloaded => Some("start"),
        }
    }
}

/// Whose manager.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ScopeName {
    /// The host's.
    #[default]
    System,
    /// The user's own.
    User,
    /// That of all users.
    Global,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::System => Scope::System,
            ScopeName::User => Scope::User,
            ScopeName::Global => Scope::Global,
        }
    }
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("systemd_service")
}

pub(crate) struct This;

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    unit: Option<Unit>,
    /// The root directory is not the one of process 1.
    chroot: bool,
    /// A `systemctl` to which words are added.
    program: Program,
    /// Links that enabling makes, and what they point to; of units of the host.
    links: Vec<(PathBuf, PathBuf)>,
}

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "systemd_service";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        check(args)?;
        if hostler_probes::program(host, "systemctl").is_none() {
            return Err(ModuleError::new("Failed to find required executable \"systemctl\"")
                .hint("the host has no systemd; `service` works with other service managers"));
        }
        let scope = args.scope.into();
        let unit = args.name.as_deref().map(|name| hostler_probes::unit(host, scope, name)).transpose()?;
        if let Some(problem) = unit.as_ref().filter(|it| it.is_known() && !it.is_masked()).and_then(|it| it.get("LoadError")) {
            let name = args.name.as_deref().unwrap_or_default();
            return Err(ModuleError::new(format!("Error loading unit file '{name}': {problem}")));
        }
        let at = |path: &str| host.stat(std::path::Path::new(path), Follow::Yes).ok().flatten().map(|it| (it.dev, it.ino));
        let offline = host.identity().env.iter().any(|(name, value)| name == "SYSTEMD_OFFLINE" && value == "1");
        let first_root = at("/proc/1/root/.");
        Ok(Seen {
            unit,
            chroot: offline || (first_root.is_some() && first_root != at("/")),
            program: systemctl(host, scope, []),
            links: match (args.enabled, &args.name, scope) {
                (Some(_), Some(name), Scope::System) => enabling_links(host, name),
                _ => Vec::new(),
            },
        })
    }

    fn plan(args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        let mut plan = Plan::none();
        let ok_rc = if now.chroot { Vec::new() } else { vec![0] };
        for (wanted, verb) in [(args.daemon_reload, "daemon-reload"), (args.daemon_reexec, "daemon-reexec")] {
            if wanted {
                let run = Run { program: words(args, now, [verb]), always: true, ok_rc: ok_rc.clone(), effects: Vec::new() };
                plan.push(Delta::action("systemd", verb), Edit::Run(run));
            }
        }
        let (Some(name), Some(unit)) = (&args.name, &now.unit) else { return Ok(plan) };
        if let Some(masked) = args.masked.filter(|it| *it != unit.is_masked()) {
            let verb = if masked { "mask" } else { "unmask" };
            let delta = Delta::field(subject(name), "masked", !masked, masked);
            let link = Link { path: masking_link(name), target: "/dev/null".into(), hard: false };
            let file = if masked { Edit::Link(link) } else { gone(link.path) };
            let mut effects = brings(args, name, |it| it.masked = Some(masked));
            if !effects.is_empty() {
                effects.push(Effect::Edit(file));
            }
            let run = Run::new(words(args, now, [verb, name])).bringing(effects);
            plan.push(delta, Edit::Run(run));
        }
        // A unit that is not known may be by the time that the manager has read its files again.
        let asks = args.enabled.is_some() || args.state.is_some();
        if asks && !exists(unit) && !args.daemon_reload {
            plan.unmet.push(missing(name));
        }
        enable(args, now, name, unit, &mut plan);
        if let Some(state) = args.state {
            change_state(args, now, name, state, &mut plan)?;
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        let mut report = Report::default().with("name", args.name.as_deref());
        // Reading files again changes nothing on the host.
        let quiet = |delta: &Delta| delta.subject == "systemd" && matches!(delta.change, Change::Action(_));
        if ran.plan.deltas().all(quiet) {
            report.changed = Some(false);
        }
        let Some(unit) = &ran.before.unit else { return report.with("status", Map::new()) };
        let name = args.name.as_deref().unwrap_or_default();
        let status: Map = unit.properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        report = report.with("status", status);
        if unit.init_script && !unit.is_known() {
            report.warnings.push(format!(
                "The service ({name}) is actually an init script but the system is managed by systemd"
            ));
        }
        if let Some(enabled) = args.enabled {
            report = report.with("enabled", enabled);
        }
        if let Some(state) = args.state {
            report = report.with("state", if state == State::Stopped { "stopped" } else { "started" });
            warn_of_failed_start(args, ran, state, name, &mut report);
        }
        report
    }
}

fn subject(name: &str) -> String {
    format!("unit {name}")
}

fn exists(unit: &Unit) -> bool {
    unit.is_known() || unit.init_script
}

fn check(args: &Args) -> Result<(), ModuleError> {
    let asked = args.state.is_some() || args.enabled.is_some() || args.masked.is_some();
    let name = args.name.as_deref().unwrap_or_default();
    let problem = if !asked && !args.daemon_reload && !args.daemon_reexec {
        "one of the following is required: state, enabled, masked, daemon_reload, daemon_reexec".to_owned()
    } else if asked && args.name.is_none() {
        "missing parameter(s) required by 'state', 'enabled' or 'masked': name".to_owned()
    } else if let Some(glob) = name.chars().find(|it| "*?[".contains(*it)) {
        format!("This module does not currently support using glob patterns, found '{glob}' in service name: {name}")
    } else if args.name.is_some() && (name.is_empty() || name.starts_with('-') || name.contains(['/', '\0', '\n'])) {
        "'name' is not the name of a unit".to_owned()
    } else {
        return Ok(());
    };
    Err(ModuleError::new(problem))
}

fn words<'a>(args: &Args, now: &Seen, words: impl IntoIterator<Item = &'a str>) -> Program {
    let mut program = now.program.clone();
    if args.no_block {
        program.argv.push("--no-block".into());
    }
    if args.force == Some(true) {
        program.argv.push("--force".into());
    }
    program.argv.extend(words.into_iter().map(str::to_owned));
    program
}

fn enable(args: &Args, now: &Seen, name: &str, unit: &Unit, plan: &mut Plan) {
    let Some(enabled) = args.enabled else { return };
    if exists(unit) && unit.is_enabled() == enabled {
        return;
    }
    let before = if exists(unit) { Value::Bool(!enabled) } else { Value::Null };
    // These words stay what they are, whatever is done.
    let stubborn = ["static", "indirect", "alias", "generated", "transient"].contains(&unit.file_state());
    let program = words(args, now, [if enabled { "enable" } else { "disable" }, name]);
    let mut effects = brings(args, name, |it| it.enabled = Some(enabled));
    effects.extend(now.links.iter().flat_map(|(link, file)| linked(link, file, enabled)).map(Effect::Edit));
    let run = Run { always: stubborn || !exists(unit), ..Run::new(program).bringing(effects) };
    plan.push(Delta::field(subject(name), "enabled", before, enabled), Edit::Run(run));
}

fn change_state(args: &Args, now: &Seen, name: &str, state: State, plan: &mut Plan) -> Result<(), ModuleError> {
    let Some(unit) = &now.unit else { return Ok(()) };
    let active = unit.get("ActiveState");
    if active.is_none() {
        if now.chroot || unit.complaint.as_deref().is_some_and(|it| it.contains("ignoring")) {
            plan.warnings.push(
                "Target is a chroot or systemd is offline. This can lead to false positives or prevent the init \
                 system tools from working."
                    .into(),
            );
            return Ok(());
        }
        let complaint = unit.complaint.clone().unwrap_or_default();
        return Err(ModuleError::new("Service is in unknown state").hint(complaint).field("status", Map::new()));
    }
    let running = unit.is_running() || (state == State::Stopped && active == Some("deactivating"));
    let Some(verb) = state.verb(running) else { return Ok(()) };
    let delta = match state {
        State::Started | State::Stopped => Delta::field(subject(name), "state", active, state.word()),
        State::Restarted | State::Reloaded => Delta::action(subject(name), verb),
    };
    // A unit may rightly end by itself after it was started (`Type=oneshot`), so seeing it stopped again afterwards
    // is no reason to start it again.
    let effects = brings(args, name, |it| {
        it.active = match state {
            State::Stopped => Some(false),
            _ => unit.stays().then_some(true),
        };
    });
    let run = Run::new(words(args, now, [verb, name])).bringing(effects);
    plan.push(delta, Edit::Run(Run { always: true, ..run }));
    Ok(())
}

/// An effect on the unit, if it is one of the host: those of users are not looked at through a preview.
fn brings(args: &Args, name: &str, how: impl FnOnce(&mut UnitEffect)) -> Vec<Effect> {
    let mut effect = UnitEffect { name: unit_name(name), ..UnitEffect::default() };
    how(&mut effect);
    match args.scope.into() {
        Scope::System => vec![Effect::Unit(effect)],
        Scope::User | Scope::Global => Vec::new(),
    }
}

/// What enabling does to files, or disabling.
fn linked(link: &std::path::Path, file: &std::path::Path, enabled: bool) -> Vec<Edit> {
    if !enabled {
        return vec![gone(link.to_owned())];
    }
    let dir = link.parent().unwrap_or(link).to_owned();
    let dir = MakeDir { path: dir, attrs: Attrs { mode: Some(0o755), ..Attrs::default() } };
    let link = Link { path: link.to_owned(), target: file.to_owned(), hard: false };
    vec![Edit::MakeDir(dir), Edit::Link(link)]
}

fn gone(path: PathBuf) -> Edit {
    Edit::Remove(Remove { path, recursive: false })
}

/// What Ansible says of a service that is not there; playbooks look for these words.
pub(crate) fn missing(name: &str) -> String {
    format!("Could not find the requested service {name}: host")
}

fn warn_of_failed_start(args: &Args, ran: &Ran<'_, Seen>, state: State, name: &str, report: &mut Report) {
    if ran.applied.is_empty() || args.no_block || state == State::Stopped {
        return;
    }
    let after = ran.after.unit.as_ref();
    if after.and_then(|it| it.get("ActiveState")) == Some("failed") {
        let result = after.and_then(|it| it.get("Result")).unwrap_or("unknown");
        report.warnings.push(format!("{name} was started and has failed since (result: {result})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};
    use hostler_module_api::{Mode, execute};
    use serde_json::json;

    fn args(json: serde_json::Value) -> Value {
        serde_json::from_value(json).unwrap()
    }

    fn show(load: &str, active: &str, file: &str) -> String {
        format!("Id=app.service\nLoadState={load}\nActiveState={active}\nUnitFileState={file}\n")
    }

    fn host(load: &str, active: &str, file: &str) -> FakeHost {
        FakeHost::bare()
            .file("/usr/bin/systemctl", "")
            .attrs("/usr/bin/systemctl", 0, 0, 0o755)
            .answers("systemctl show app", 0, &show(load, active, file))
    }

    fn becomes(host: FakeHost, line: &str, active: &'static str, file: &'static str) -> FakeHost {
        host.on(line, move |host| {
            host.answer("systemctl show app", 0, &show("loaded", active, file));
            CommandOutput::default()
        })
    }

    #[test]
    fn starts_and_enables_once() {
        let host = becomes(host("loaded", "inactive", "disabled"), "systemctl enable app", "inactive", "enabled");
        let host = becomes(host, "systemctl start app", "active", "enabled");
        let done = check_module::<This>(args(json!({"name": "app", "state": "started", "enabled": true})), host);
        assert!(done.check.changed && done.first.changed && !done.second.changed);
        assert_eq!(done.first.fields.get("state"), Some(&Value::str("started")));
        assert_eq!(done.first.fields.get("status").unwrap().get("ActiveState"), Some(&Value::str("inactive")));
        assert_eq!(done.host.ran.len(), 2);
    }

    #[test]
    fn a_oneshot_is_started_once_per_run() {
        let host = becomes(host("loaded", "inactive", "static"), "systemctl start app", "inactive", "static");
        let done = check_module::<This>(args(json!({"name": "app", "state": "started"})), host);
        assert!(done.first.changed);
        assert_eq!(done.host.ran.len(), 2);
    }

    #[test]
    fn restarts_each_time_and_reload_of_files_is_no_change() {
        let host = becomes(host("loaded", "active", "enabled"), "systemctl restart app", "active", "enabled");
        let done = check_module::<This>(args(json!({"name": "app", "state": "restarted"})), host);
        assert!(done.first.changed && done.second.changed);
        let host = becomes(done.host, "systemctl daemon-reload", "active", "enabled");
        let outcome = execute::<This>(&args(json!({"daemon-reload": true})), Mode::default(), &mut host.clone());
        assert!(!outcome.changed && outcome.failed.is_none());
    }

    #[test]
    fn a_new_unit_is_started_after_the_files_are_read_again() {
        let host = becomes(host("not-found", "inactive", ""), "systemctl daemon-reload", "inactive", "disabled");
        let host = becomes(host, "systemctl enable app", "inactive", "enabled");
        let host = becomes(host, "systemctl start app", "active", "enabled");
        let json = json!({"name": "app", "state": "started", "enabled": true, "daemon_reload": true});
        let done = check_module::<This>(args(json), host);
        assert!(done.first.changed && !done.second.changed);
    }

    #[test]
    fn a_missing_unit_fails_also_in_a_preview() {
        let host = host("not-found", "inactive", "");
        let json = json!({"name": "app", "state": "started"});
        assert_eq!(check_fails::<This>(args(json.clone()), host.clone()), "Could not find the requested service app: host");
        let check = Mode { check: true, diff: false, forecast: false };
        let outcome = execute::<This>(&args(json), check, &mut host.clone());
        assert!(outcome.failed.is_some() && !outcome.changed);
    }

    #[test]
    fn a_file_tells_of_a_unit_that_the_manager_has_not_read() {
        let unit = "[Service]\nExecStart=/bin/app\n[Install]\nWantedBy=multi-user.target\n";
        let host = host("not-found", "inactive", "").dir("/etc/systemd", 0o755).dir("/etc/systemd/system", 0o755);
        let host = host.file("/etc/systemd/system/app.service", unit);
        let check = Mode { check: true, diff: false, forecast: true };
        let json = json!({"name": "app", "state": "started", "enabled": true});
        let outcome = execute::<This>(&args(json), check, &mut host.clone());
        assert!(outcome.failed.is_none() && outcome.changed, "{outcome:?}");
        let edits = outcome.forecast.unwrap().edits;
        let Edit::Run(enable) = &edits[0].edit else { panic!("{edits:?}") };
        let link = "/etc/systemd/system/multi-user.target.wants/app.service";
        let links = |effect: &Effect| matches!(effect, Effect::Edit(Edit::Link(it)) if it.path == std::path::Path::new(link));
        assert!(enable.effects.iter().any(links), "{enable:?}");
        let status = outcome.fields.get("status").unwrap();
        assert_eq!(status.get("UnitFileState"), Some(&Value::str("disabled")));
    }

    #[test]
    fn masks() {
        let host = becomes(host("loaded", "inactive", "disabled"), "systemctl mask app", "inactive", "masked");
        let done = check_module::<This>(args(json!({"name": "app", "masked": true})), host);
        assert!(done.first.changed && !done.second.changed);
    }

    #[test]
    fn refuses() {
        let say = |json| check_fails::<This>(args(json), host("loaded", "active", "enabled"));
        assert!(say(json!({"name": "app"})).starts_with("one of the following is required"));
        assert!(say(json!({"state": "started"})).contains("name"));
        assert!(say(json!({"name": "a*", "state": "started"})).contains("glob"));
        assert!(say(json!({"name": "--now", "enabled": true})).contains("not the name"));
        let unknown = FakeHost::bare().file("/usr/bin/systemctl", "").attrs("/usr/bin/systemctl", 0, 0, 0o755)
            .answers("systemctl show app", 1, "").answers("systemctl is-enabled app", 0, "enabled\n");
        assert_eq!(check_fails::<This>(args(json!({"name": "app", "state": "started"})), unknown), "Service is in unknown state");
    }
}
