//! `sysctl`: kernel parameters, in their file and in the running kernel.

use std::path::PathBuf;

use hostler_module_api::prelude::*;

use crate::edited::{FILE_BYTES_MAX, from_bytes, to_bytes};
use crate::files::{expand_path, real_path};
use crate::presence::Presence;

/// Keep a kernel parameter in a file of `sysctl.conf(5)`, and in the running kernel.
///
/// ```yaml
/// - ansible.posix.sysctl:
///     name: vm.swappiness
///     value: "10"
///     sysctl_set: true
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Name of the parameter, with dots.
    #[serde(alias = "key")]
    name: String,
    /// Value of the parameter. Words for true and false become `1` and `0`.
    #[serde(alias = "val")]
    value: Option<Value>,
    /// Should the file set the parameter?
    #[serde(default)]
    state: Presence,
    /// Go on if the kernel does not know the parameter.
    #[serde(default)]
    ignoreerrors: bool,
    /// Let the kernel read the file again when it changed, or when the kernel's value is another.
    #[serde(default = "yes")]
    reload: bool,
    /// File that keeps the parameter.
    #[serde(default = "default_file")]
    sysctl_file: String,
    /// Also compare the kernel's value, and set it if it differs.
    #[serde(default)]
    sysctl_set: bool,
}

fn yes() -> bool {
    true
}

fn default_file() -> String {
    "/etc/sysctl.conf".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("sysctl").of_collections(&["ansible.posix"])
}

pub(crate) struct State {
    file: PathBuf,
    content: Option<Vec<u8>>,
    /// Value in the running kernel; `None` if it cannot be read.
    running: Option<String>,
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "sysctl";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        let name = args.name.trim();
        if name.is_empty() {
            return Err(ModuleError::new("name cannot be blank"));
        }
        if name.starts_with('-') || name.contains(['=', '\n']) || !name.is_ascii() {
            return Err(ModuleError::new(format!("`{name}` is not a name of a parameter")));
        }
        if args.state == Presence::Present {
            wanted(args)?;
        }
        let file = real_path(&expand_path(&args.sysctl_file, host)?, host)?;
        Ok(State {
            content: host.read(&file, FILE_BYTES_MAX)?,
            running: hostler_probes::sysctl(host, name)?,
            file,
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let name = args.name.trim();
        let present = args.state == Presence::Present;
        let value = if present { Some(wanted(args)?) } else { None };
        let text = from_bytes(now.content.as_deref().unwrap_or_default());
        let in_file = value_in(&text, name);
        let running = now.running.as_deref();
        let differs = value.as_deref().is_some_and(|value| !same(running, value));
        let write = in_file != value.as_deref();
        let mut plan = Plan::none();
        // The kernel may round a value or refuse it quietly: nothing is gained by trying again.
        plan.once = true;
        if args.sysctl_set && differs && running.is_some() {
            let value = value.as_deref().unwrap_or_default();
            let delta = Delta::field(name, "value", running.map(str::trim), value);
            let sets = vec![sets(name, value)];
            run(args, delta, &["-w", &format!("{name}={value}")], sets, &mut plan);
        }
        let shown = now.file.display().to_string();
        let fixed = if write { fixed(&text, name, value.as_deref()) } else { text.clone() };
        if write {
            let after = to_bytes(&fixed);
            let delta = Delta::content(&shown, now.content.as_deref(), Some(&after));
            plan.write(
                vec![delta],
                WriteFile {
                    path: now.file.clone(),
                    content: Content::Bytes(after),
                    attrs: Attrs::default(),
                    backup: false,
                    validate: None,
                    unsafe_writes: false,
                },
            );
        }
        if args.reload && (write || differs) {
            let delta = Delta::action(&shown, "the kernel reads it again");
            let all = fixed.lines().filter_map(setting).map(|(key, value)| sets(key, value));
            run(args, delta, &["-p", &shown], all.collect(), &mut plan);
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let report = Report::default();
        for (planned, applied) in ran.plan.edits.iter().zip(ran.applied) {
            let (Edit::Run(run), Applied::Ran(output)) = (&planned.edit, applied) else {
                continue;
            };
            let errors = output.stderr_text();
            if refused(&errors) {
                let sets = run.program.argv.iter().any(|it| it == "-w");
                return report.fail(if sets {
                    format!("setting {} failed: {errors}", args.name.trim())
                } else {
                    format!("Failed to reload sysctl: {errors}")
                });
            }
        }
        report
    }
}

fn sets(key: &str, value: &str) -> Effect {
    Effect::Sysctl { key: key.trim_start_matches('-').trim().to_owned(), value: value.to_owned() }
}

/// Adds a run of `sysctl`. What it sets is declared unless the kernel may refuse it.
fn run(args: &Args, delta: Delta, arguments: &[&str], sets: Vec<Effect>, plan: &mut Plan) {
    let mut argv = vec!["sysctl"];
    if args.ignoreerrors {
        argv.push("-e");
    }
    argv.extend(arguments);
    let program = Program::new(argv).env("LANG", "C").env("LC_ALL", "C");
    let sets = if args.ignoreerrors { Vec::new() } else { sets };
    plan.push(delta, Edit::Run(Run::new(program).bringing(sets)));
}

/// Older `sysctl` programs exit with 0 although the kernel refused the value.
fn refused(errors: &str) -> bool {
    errors.lines().any(|line| {
        line.starts_with("sysctl: setting key \"")
            && (line.ends_with(": Invalid argument") || line.ends_with(": Read-only file system"))
    })
}

/// The value as it is written.
fn wanted(args: &Args) -> Result<String, ModuleError> {
    let value = args.value.as_ref().filter(|it| !it.is_null());
    let Some(value) = value else {
        return Err(ModuleError::new("state is present but all of the following are missing: value"));
    };
    let text = match value {
        Value::Bool(bool) => i32::from(*bool).to_string(),
        other => other.to_scalar_text().map_err(|it| ModuleError::new(format!("argument `value`: {it}")))?,
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(ModuleError::new("value cannot be blank"));
    }
    if text.contains('\n') || !text.is_ascii() {
        return Err(ModuleError::new("value must be one line of ASCII"));
    }
    Ok(match text.to_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" => "1".into(),
        "n" | "no" | "off" | "0" | "false" | "f" => "0".into(),
        _ => text.to_owned(),
    })
}

/// Are they the same words, whatever is between them?
fn same(running: Option<&str>, value: &str) -> bool {
    running.is_some_and(|running| running.split_whitespace().eq(value.split_whitespace()))
}

/// A line's parameter and value; `None` for comments and what else is in the file.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    line.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
}

/// The value in the file: of the last line that sets it, as the kernel gets it.
fn value_in<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut settings = text.lines().filter_map(setting);
    settings.rfind(|(it, _)| *it == name).map(|(_, value)| value)
}

/// The file with the parameter set in its first place, or not set. As the original module does, settings lose the
/// spaces around `=`, and only the first setting of each parameter is kept.
fn fixed(text: &str, name: &str, value: Option<&str>) -> String {
    let mut lines = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for line in text.lines() {
        let Some((key, old)) = setting(line) else {
            lines.push(line.trim().to_owned());
            continue;
        };
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let new = if key == name { value } else { Some(old) };
        lines.extend(new.map(|new| format!("{key}={new}")));
    }
    if !seen.contains(&name) {
        lines.extend(value.map(|value| format!("{name}={value}")));
    }
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    const GET: &str = "sysctl -e -n vm.swappiness";

    fn args(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().copied().collect()
    }

    /// A kernel whose value becomes the wanted one when it is set or the file is read.
    fn host(running: &str) -> FakeHost {
        let sets = |host: &mut FakeHost| {
            host.answer(GET, 0, "10\n");
            CommandOutput::default()
        };
        FakeHost::bare()
            .answers(GET, 0, running)
            .on("sysctl -w vm.swappiness=10", sets)
            .on("sysctl -p /etc/sysctl.conf", sets)
    }

    #[test]
    fn sets_file_and_kernel() {
        let host = host("60\n").file("/etc/sysctl.conf", "# x\n a = 1\nvm.swappiness = 60\n");
        let pairs = [("name", "vm.swappiness"), ("value", "10"), ("sysctl_set", "yes")];
        let done = check_module::<This>(args(&pairs), host);
        let wanted = "# x\na=1\nvm.swappiness=10\n";
        assert_eq!(done.host.text("/etc/sysctl.conf").as_deref(), Some(wanted));
        assert_eq!(
            done.host.ran,
            ["sysctl -w vm.swappiness=10", "sysctl -p /etc/sysctl.conf"]
        );
        assert!(done.first.changed && !done.second.changed);
        let delta = Delta::field("vm.swappiness", "value", "60", "10");
        assert!(done.first.deltas.contains(&delta));
    }

    #[test]
    fn a_new_file_is_made_and_read() {
        let pairs = [("name", "vm.swappiness"), ("value", "10")];
        let done = check_module::<This>(args(&pairs), host("10\n"));
        let text = done.host.text("/etc/sysctl.conf");
        assert_eq!(text.as_deref(), Some("vm.swappiness=10\n"));
        assert!(!done.second.changed);
    }

    #[test]
    fn without_reload_only_the_file_counts() {
        let host = host("60\n").file("/etc/sysctl.conf", "vm.swappiness=10\n");
        let pairs = [("name", "vm.swappiness"), ("value", "10"), ("reload", "no")];
        assert!(!check_module::<This>(args(&pairs), host).first.changed);
    }

    #[test]
    fn absent_removes_every_setting() {
        let host = host("10\n").file("/etc/sysctl.conf", "vm.swappiness=1\nb=2\nvm.swappiness=10\n");
        let pairs = [("name", "vm.swappiness"), ("state", "absent")];
        let done = check_module::<This>(args(&pairs), host);
        assert_eq!(done.host.text("/etc/sysctl.conf").as_deref(), Some("b=2\n"));
        assert!(!done.second.changed);
    }

    #[test]
    fn words_and_white_space_are_compared_as_the_kernel_means_them() {
        assert!(same(Some("4096\t87380  1\n"), "4096 87380 1"));
        let value = |value: Value| {
            let map: Map = [("name", Value::str("a")), ("value", value)].into_iter().collect();
            wanted(&hostler_module_api::from_value(&map.into()).unwrap()).ok()
        };
        assert_eq!(value(true.into()).as_deref(), Some("1"));
        assert_eq!(value("Off".into()).as_deref(), Some("0"));
        assert_eq!(value(10.into()).as_deref(), Some("10"));
        assert_eq!(value(" ".into()), None);
    }

    #[test]
    fn a_refused_value_is_a_failure() {
        let host = FakeHost::bare()
            .answers(GET, 0, "60\n")
            .file("/etc/sysctl.conf", "vm.swappiness=10\n")
            .on("sysctl -p /etc/sysctl.conf", |_| CommandOutput {
                stderr: b"sysctl: setting key \"vm.swappiness\": Invalid argument\n".into(),
                ..CommandOutput::default()
            });
        let msg = check_fails::<This>(args(&[("name", "vm.swappiness"), ("value", "10")]), host);
        assert!(msg.starts_with("Failed to reload sysctl: sysctl: setting key"), "{msg}");
        let msg = check_fails::<This>(args(&[("name", "vm.swappiness")]), FakeHost::bare());
        assert_eq!(msg, "state is present but all of the following are missing: value");
    }
}
