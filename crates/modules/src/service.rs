//! `service`: services of whatever manager the host has.

mod init;

use hostler_module_api::prelude::*;

use crate::systemd_service::{self, State};
use init::Init;

/// Start, stop or enable a service.
///
/// ```yaml
/// - name: The web server runs, now and after a reboot
///   service:
///     name: nginx
///     state: started
///     enabled: true
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Name of the service.
    name: String,
    /// Whether it should run; restarted and reloaded are done each time.
    state: Option<State>,
    /// Whether it should start at boot.
    enabled: Option<bool>,
    /// Seconds between stop and start of a restart. Not with systemd.
    sleep: Option<u32>,
    /// Text in the command line of a process, which tells that the service runs if its init script cannot. Not with
    /// systemd.
    pattern: Option<String>,
    /// Run level of `OpenRC`.
    #[serde(default = "default_level")]
    runlevel: String,
    /// More arguments for the init script. Not with systemd.
    #[serde(alias = "args")]
    arguments: Option<String>,
    /// Service manager: `auto` for the one that the host has, else `systemd`, `sysvinit`, `openrc` or `service`.
    #[serde(default = "auto")]
    r#use: String,
}

fn default_level() -> String {
    "default".into()
}

fn auto() -> String {
    "auto".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("service")
}

pub(crate) struct This;

/// What was seen, and through which manager.
pub(crate) enum Seen {
    Systemd(Box<systemd_service::Args>, Box<systemd_service::Seen>),
    Init(Init),
}

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "service";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        if args.state.is_none() && args.enabled.is_none() {
            return Err(ModuleError::new("one of the following is required: state, enabled"));
        }
        let manager = match args.r#use.as_str() {
            "auto" => hostler_probes::service_manager(host),
            other => other.rsplit('.').next().unwrap_or(other).to_owned(),
        };
        let systemd = match manager.as_str() {
            "systemd" | "systemd_service" => true,
            // A process 1 that is not a service manager, in a container: systemctl works on files at least.
            _ => hostler_probes::systemd_is_running(host),
        };
        if systemd {
            let inner = systemd_service::Args {
                name: Some(args.name.clone()),
                state: args.state,
                enabled: args.enabled,
                ..systemd_service::Args::default()
            };
            let seen = systemd_service::This::observe(&inner, host)?;
            return Ok(Seen::Systemd(Box::new(inner), Box::new(seen)));
        }
        Ok(Seen::Init(init::look(args, &manager, host)?))
    }

    fn plan(args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        match now {
            Seen::Systemd(inner, seen) => {
                let mut plan = systemd_service::This::plan(inner, seen)?;
                let unused = [
                    ("sleep", args.sleep.is_some()),
                    ("pattern", args.pattern.is_some()),
                    ("arguments", args.arguments.is_some()),
                ];
                for (name, _) in unused.iter().filter(|it| it.1) {
                    plan.warnings.push(format!("Ignoring \"{name}\" as it is not used in \"systemd\""));
                }
                Ok(plan)
            }
            Seen::Init(init) => Ok(init.plan(args)),
        }
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        match (ran.before, ran.after) {
            (Seen::Systemd(inner, before), Seen::Systemd(_, after)) => {
                let ran = Ran { before: &**before, after, plan: ran.plan, applied: ran.applied, check: ran.check };
                systemd_service::This::report(inner, &ran)
            }
            (Seen::Init(before), _) => before.report(args),
            (Seen::Systemd(..), Seen::Init(_)) => Report::default().fail("the service manager changed meanwhile"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};
    use serde_json::json;

    fn args(json: serde_json::Value) -> Value {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn systemd_does_it_where_it_runs() {
        let host = FakeHost::bare()
            .file("/proc/1/comm", "systemd\n")
            .file("/usr/bin/systemctl", "")
            .attrs("/usr/bin/systemctl", 0, 0, 0o755)
            .answers("systemctl show ssh", 0, "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n")
            .on("systemctl stop ssh", |host| {
                host.answer("systemctl show ssh", 0, "LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n");
                CommandOutput::default()
            });
        let done = check_module::<This>(args(json!({"name": "ssh", "state": "stopped", "sleep": 3})), host);
        assert!(done.first.changed && !done.second.changed);
        assert_eq!(done.first.warnings.len(), 1);
        assert!(done.first.fields.contains("status"));
    }

    fn sysv() -> FakeHost {
        FakeHost::bare()
            .file("/proc/1/comm", "init\n")
            .dir("/etc/init.d", 0o755)
            .dir("/etc/rc2.d", 0o755)
            .dir("/usr/sbin", 0o755)
            .file("/etc/init.d/cron", "")
            .attrs("/etc/init.d/cron", 0, 0, 0o755)
            .file("/usr/sbin/update-rc.d", "")
            .attrs("/usr/sbin/update-rc.d", 0, 0, 0o755)
            .answers("/etc/init.d/cron status", 3, "cron is not running\n")
    }

    #[test]
    fn init_scripts_where_it_does_not() {
        let host = sysv()
            .on("/etc/init.d/cron start", |host| {
                host.answer("/etc/init.d/cron status", 0, "cron is running\n");
                CommandOutput::default()
            })
            .on("update-rc.d cron defaults", |_| CommandOutput::default())
            .on("update-rc.d cron enable", |host| {
                *host = std::mem::take(host).link("/etc/rc2.d/S01cron", "../init.d/cron");
                CommandOutput::default()
            });
        let done = check_module::<This>(args(json!({"name": "cron", "state": "started", "enabled": true})), host);
        assert!(done.first.changed && !done.second.changed);
        assert_eq!(done.first.fields.get("enabled"), Some(&Value::Bool(true)));
    }

    #[test]
    fn refuses() {
        let say = |json| check_fails::<This>(args(json), sysv());
        assert!(say(json!({"name": "cron"})).contains("state, enabled"));
        assert_eq!(say(json!({"name": "nope", "state": "started"})), "Could not find the requested service nope: host");
        assert!(say(json!({"name": "cron", "state": "started", "use": "runit"})).contains("not supported"));
        assert!(say(json!({"name": "../cron", "state": "started"})).contains("not the name"));
    }
}
