//! `hostname`: the host's name, now and after the next start.

mod strategy;

use hostler_module_api::prelude::*;

use strategy::Strategy;

/// Set the host's name.
///
/// ```yaml
/// - hostname:
///     name: web01.example.com
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The name.
    name: String,
    /// How to set it; found out, if not given.
    r#use: Option<Use>,
}

/// Ways to set the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Use {
    /// `/etc/hostname` and `hostname -F`.
    Alpine,
    /// As `systemd`.
    Debian,
    /// Not supported: not Linux.
    Freebsd,
    /// Not supported: it sets nothing.
    Generic,
    /// Not supported: not Linux.
    Macos,
    /// Not supported: not Linux.
    Macosx,
    /// Not supported: not Linux.
    Darwin,
    /// Not supported: not Linux.
    Openbsd,
    /// `/etc/conf.d/hostname`.
    Openrc,
    /// `/etc/sysconfig/network`.
    Redhat,
    /// `/etc/HOSTNAME`.
    Sles,
    /// Not supported: not Linux.
    Solaris,
    /// `hostnamectl`.
    Systemd,
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("hostname")
}

pub(crate) struct State {
    strategy: Strategy,
    /// The name that the kernel has.
    current: String,
    /// The name that it will have after the next start.
    permanent: String,
    /// Content of the file that keeps the name, where one does.
    content: Option<Vec<u8>>,
    fqdn: String,
}

/// Longest name that systemd and the kernel take (`HOST_NAME_MAX`).
const NAME_BYTES_MAX: usize = 64;

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "hostname";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        if args.name.is_empty() || args.name.starts_with('-') || args.name.contains(['\n', '"']) {
            let msg = format!("`{}` cannot be a host's name", args.name);
            return Err(ModuleError::new(msg));
        }
        let strategy = Strategy::find(args.r#use, host)?;
        let content = match strategy.file() {
            Some(file) => host.read(file.as_ref(), crate::edited::FILE_BYTES_MAX)?,
            None => None,
        };
        let (current, permanent) = if strategy == Strategy::Systemd {
            (hostnamectl("--transient", host)?, hostnamectl("--static", host)?)
        } else {
            let text = String::from_utf8_lossy(content.as_deref().unwrap_or_default());
            let name = strategy.name_in(&text);
            (name.clone(), name)
        };
        let fqdn = if let Some(name) = hostler_probes::declared_node_name(host) {
            Some(hostler_probes::full_name(host, &name))
        } else {
            let output = host.look(&Program::new(["hostname", "-f"]));
            output.ok().filter(CommandOutput::success).map(|it| it.stdout_text())
        };
        Ok(State {
            fqdn: fqdn.map_or_else(|| current.clone(), |it| it.trim().to_owned()),
            strategy,
            current,
            permanent,
            content,
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let name = args.name.as_str();
        let mut plan = Plan::none();
        if now.strategy == Strategy::Systemd && name.len() > NAME_BYTES_MAX {
            let msg = "name cannot be longer than 64 characters on systemd servers, try a shorter name";
            return Err(ModuleError::new(msg));
        }
        if now.permanent != name {
            let delta = Delta::field("hostname", "permanent", now.permanent.as_str(), name);
            if let Some(file) = now.strategy.file() {
                plan_file(file, args, now, delta, &mut plan);
            } else {
                let argv = ["hostnamectl", "--pretty", "--static", "set-hostname", name];
                let kept = Effect::Hostname { running: None, kept: Some(name.to_owned()) };
                let file = WriteFile {
                    path: "/etc/hostname".into(),
                    content: Content::Bytes(format!("{name}\n").into_bytes()),
                    attrs: Attrs { mode: Some(0o644), ..Attrs::default() },
                    backup: false,
                    validate: None,
                    unsafe_writes: true,
                };
                let effects = vec![kept, Effect::Edit(Edit::WriteFile(file))];
                plan.push(delta, Edit::Run(Run::new(Program::new(argv)).bringing(effects)));
            }
        }
        if now.current != name {
            let delta = Delta::field("hostname", "current", now.current.as_str(), name);
            let running = vec![Effect::Hostname { running: Some(name.to_owned()), kept: None }];
            match now.strategy {
                Strategy::Systemd => {
                    let argv = ["hostnamectl", "--transient", "set-hostname", name];
                    plan.push(delta, Edit::Run(Run::new(Program::new(argv)).bringing(running)));
                }
                Strategy::Alpine => {
                    let program = Program::new(["hostname", "-F", "/etc/hostname"]);
                    plan.push(delta, Edit::Run(Run::new(program).bringing(running)));
                }
                _ => {}
            }
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let fqdn = ran.after.fqdn.as_str();
        let domain = fqdn.split_once('.').map_or("", |(_, domain)| domain);
        let short = args.name.split('.').next().unwrap_or_default();
        let facts = [
            ("hostname", short),
            ("nodename", &args.name),
            ("fqdn", fqdn),
            ("domain", domain),
        ];
        Report {
            facts: Some(facts.into_iter().collect()),
            ..Report::default().with("name", args.name.as_str())
        }
    }
}

fn plan_file(file: &str, args: &Args, now: &State, delta: Delta, plan: &mut Plan) {
    let before = now.content.as_deref();
    let text = String::from_utf8_lossy(before.unwrap_or_default());
    let after = now.strategy.with_name(&text, &args.name).into_bytes();
    let content = Delta::content(file, before, Some(&after));
    plan.write(
        vec![delta, content],
        WriteFile {
            path: file.into(),
            content: Content::Bytes(after),
            attrs: Attrs {
                mode: before.is_none().then_some(0o644),
                ..Attrs::default()
            },
            backup: false,
            validate: None,
            // Containers have this file mounted, so that it cannot be replaced.
            unsafe_writes: true,
        },
    );
}

fn hostnamectl(which: &str, host: &dyn Inspect) -> Result<String, ModuleError> {
    let output = hostler_probes::hostnamectl(host, which)?;
    let (out, err) = (output.stdout_text(), output.stderr_text());
    if !output.success() {
        let msg = format!("Command failed rc={}, out={out}, err={err}", output.rc);
        return Err(ModuleError::new(msg));
    }
    Ok(out.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    fn args(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().copied().collect()
    }

    const TRANSIENT: &str = "hostnamectl --transient status";
    const STATIC: &str = "hostnamectl --static status";

    #[test]
    fn systemd_sets_both_names() {
        let host = FakeHost::bare()
            .dir("/run/systemd/system", 0o755)
            .answers(TRANSIENT, 0, "old\n")
            .answers(STATIC, 0, "old\n")
            .answers("hostname -f", 0, "web01.example.com\n")
            .on("hostnamectl --pretty --static set-hostname web01", |host| {
                host.answer(STATIC, 0, "web01\n");
                CommandOutput::default()
            })
            .on("hostnamectl --transient set-hostname web01", |host| {
                host.answer(TRANSIENT, 0, "web01\n");
                CommandOutput::default()
            });
        let done = check_module::<This>(args(&[("name", "web01")]), host);
        assert_eq!(done.host.ran.len(), 2);
        assert!(done.first.changed && !done.second.changed);
        let facts = done.first.facts.unwrap();
        assert_eq!(facts.get("fqdn"), Some(&Value::str("web01.example.com")));
        assert_eq!(facts.get("domain"), Some(&Value::str("example.com")));
        assert_eq!(done.first.fields.get("name"), Some(&Value::str("web01")));
    }

    #[test]
    fn files_of_other_systems() {
        for (id, file, before, after) in [
            ("debian", "/etc/hostname", "old\n", "web01\n"),
            ("ubuntu", "/etc/hostname", "", "web01\n"),
            ("centos", "/etc/sysconfig/network", "A=b\nHOSTNAME=old\n", "A=b\nHOSTNAME=web01\n"),
            ("rhel", "/etc/sysconfig/network", "A=b\n", "A=b\nHOSTNAME=web01\n"),
            ("gentoo", "/etc/conf.d/hostname", "# x\nhostname=\"old\"\n", "# x\nhostname=\"web01\"\n"),
        ] {
            let host = FakeHost::bare()
                .dir("/etc/conf.d", 0o755)
                .dir("/etc/sysconfig", 0o755)
                .file("/etc/os-release", format!("NAME=x\nID=\"{id}\"\n"))
                .file(file, before);
            let done = check_module::<This>(args(&[("name", "web01")]), host);
            assert_eq!(done.host.text(file).as_deref(), Some(after), "{id}");
            assert!(done.first.changed && !done.second.changed, "{id}");
        }
    }

    #[test]
    fn alpine_tells_the_kernel() {
        let host = FakeHost::bare()
            .file("/etc/os-release", "ID=alpine\n")
            .on("hostname -F /etc/hostname", |_| CommandOutput::default());
        let done = check_module::<This>(args(&[("name", "a.b")]), host);
        assert_eq!(done.host.text("/etc/hostname").as_deref(), Some("a.b\n"));
        assert_eq!(done.host.ran, ["hostname -F /etc/hostname"]);
        let facts = done.first.facts.unwrap();
        assert_eq!(facts.get("hostname"), Some(&Value::str("a")));
    }

    #[test]
    fn says_what_is_wrong() {
        let fails = |pairs: &[(&str, &str)]| {
            check_fails::<This>(args(pairs), FakeHost::bare().file("/etc/os-release", "ID=plan9\n"))
        };
        let unknown = "hostname module cannot be used on platform Linux (plan9)";
        assert_eq!(fails(&[("name", "x")]), unknown);
        assert_eq!(
            fails(&[("name", "x"), ("use", "macos")]),
            "hostname: use=macos is not supported, targets run Linux"
        );
        assert_eq!(fails(&[("name", "-F")]), "`-F` cannot be a host's name");
    }
}
