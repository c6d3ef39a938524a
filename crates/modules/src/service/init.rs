//! Services without systemd: init scripts (System V) and `OpenRC`.

use std::path::Path;

use hostler_module_api::prelude::*;
use hostler_change::UnitEffect;
use hostler_probes::{declared_unit, init_script_runs, names, program, text, unit_name};

use super::Args;
use crate::systemd_service::{self, State};

/// How services are enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    UpdateRcD,
    Chkconfig,
    OpenRc,
}

/// What was seen of a service.
pub(crate) struct Init {
    /// `None` if there is no such service.
    script: Option<String>,
    tool: Option<Tool>,
    running: bool,
    enabled: bool,
}

pub(super) fn look(args: &Args, manager: &str, host: &dyn Inspect) -> Result<Init, ModuleError> {
    let known = ["sysvinit", "service", "openrc", "init"];
    if args.r#use != "auto" && !known.contains(&manager) {
        return Err(ModuleError::new(format!("service manager {manager} is not supported yet"))
            .hint("systemd, sysvinit and openrc are"));
    }
    if args.name.is_empty() || args.name.starts_with('-') || args.name.contains(['/', '\0', '\n']) {
        return Err(ModuleError::new("'name' is not the name of a service"));
    }
    let script = format!("/etc/init.d/{}", args.name);
    if !host.access(Path::new(&script), 1) {
        return Ok(Init { script: None, tool: None, running: false, enabled: false });
    }
    let tools = [("rc-update", Tool::OpenRc), ("update-rc.d", Tool::UpdateRcD), ("chkconfig", Tool::Chkconfig)];
    let tool = tools.into_iter().find(|(name, _)| program(host, name).is_some()).map(|it| it.1);
    let told = declared_unit(host, &args.name).enabled;
    let enabled = match tool {
        _ if told.is_some() => told == Some(true),
        Some(Tool::OpenRc) => names(host, format!("/etc/runlevels/{}", args.runlevel)).contains(&args.name),
        _ => hostler_probes::starts_at_boot(host, &args.name),
    };
    let running = is_running(args, &script, host)?;
    Ok(Init { script: Some(script), tool, running, enabled })
}

fn is_running(args: &Args, script: &str, host: &dyn Inspect) -> Result<bool, ModuleError> {
    match &args.pattern {
        Some(pattern) if declared_unit(host, &args.name).active.is_none() => Ok(has_process(pattern, host)),
        _ => Ok(init_script_runs(host, script, &args.name)?),
    }
}

fn brings(args: &Args, active: Option<bool>, enabled: Option<bool>) -> Vec<Effect> {
    let name = unit_name(&args.name);
    vec![Effect::Unit(UnitEffect { name, active, enabled, masked: None })]
}

fn has_process(pattern: &str, host: &dyn Inspect) -> bool {
    let processes = names(host, "/proc").into_iter().filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
    let mut lines = processes.filter_map(|it| text(host, format!("/proc/{it}/cmdline")));
    lines.any(|it| it.replace('\0', " ").contains(pattern))
}

impl Init {
    pub(super) fn plan(&self, args: &Args) -> Plan {
        let mut plan = Plan::none();
        let missing = format!("/etc/init.d/{}", args.name);
        let script = self.script.as_ref().unwrap_or(&missing);
        if self.script.is_none() {
            plan.unmet.push(systemd_service::missing(&args.name));
        } else if self.tool.is_none() && args.enabled.is_some_and(|it| it != self.enabled) {
            let tools = "update-rc.d, chkconfig or rc-update";
            plan.unmet.push(format!("the host has none of {tools} to enable services with"));
        }
        let subject = format!("service {}", args.name);
        if let Some(enabled) = args.enabled.filter(|it| *it != self.enabled) {
            let mut deltas = vec![Delta::field(&subject, "enabled", !enabled, enabled)];
            for program in self.enable(args, enabled) {
                let run = Run::new(program).bringing(brings(args, None, Some(enabled)));
                plan.push_all(std::mem::take(&mut deltas), Edit::Run(run));
            }
        }
        let Some(state) = args.state else { return plan };
        let Some(verb) = state.verb(self.running) else { return plan };
        let delta = match state {
            State::Started | State::Stopped => {
                let before = if self.running { "started" } else { "stopped" };
                Delta::field(&subject, "state", before, state.word())
            }
            State::Restarted | State::Reloaded => Delta::action(&subject, verb),
        };
        let run = |verb: &str| {
            let extra = args.arguments.iter().flat_map(|it| it.split_whitespace());
            let words = [script.as_str(), verb].into_iter().chain(extra);
            Program::new(words).env("LC_ALL", "C")
        };
        let always = |program: Program| {
            let run = Run::new(program).bringing(brings(args, Some(state != State::Stopped), None));
            Edit::Run(Run { always: true, ..run })
        };
        match (verb, args.sleep) {
            ("restart", Some(seconds)) => {
                plan.run_always(delta, run("stop"));
                let wait = Run::new(Program::new(["sleep".to_owned(), seconds.to_string()]));
                plan.push_all(Vec::new(), Edit::Run(Run { always: true, ..wait }));
                plan.push_all(Vec::new(), always(run("start")));
            }
            (verb, _) => plan.push(delta, always(run(verb))),
        }
        plan
    }

    fn enable(&self, args: &Args, enabled: bool) -> Vec<Program> {
        let name = args.name.as_str();
        match self.tool {
            Some(Tool::OpenRc) => {
                vec![Program::new(["rc-update", if enabled { "add" } else { "del" }, name, &args.runlevel])]
            }
            Some(Tool::UpdateRcD) if enabled => {
                // Links must be there before they can be turned to "start".
                vec![Program::new(["update-rc.d", name, "defaults"]), Program::new(["update-rc.d", name, "enable"])]
            }
            Some(Tool::UpdateRcD) => vec![Program::new(["update-rc.d", name, "disable"])],
            Some(Tool::Chkconfig) => vec![Program::new(["chkconfig", name, if enabled { "on" } else { "off" }])],
            None => Vec::new(),
        }
    }

    pub(super) fn report(&self, args: &Args) -> Report {
        let mut report = Report::default().with("name", &args.name);
        if let Some(enabled) = args.enabled {
            report = report.with("enabled", enabled);
        }
        let running = args.state.map_or(self.running, |it| it != State::Stopped);
        report.with("state", if running { "started" } else { "stopped" })
    }
}
