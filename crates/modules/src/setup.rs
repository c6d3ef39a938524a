//! `setup`: the facts of a host.
//!
//! Facts are gathered in every play, so nearly all comes from files of `/proc`, `/sys` and `/etc`; a program is started
//! only for what no file tells and few hosts have (LVM, several addresses on an interface, remote file systems).

mod date_time;
mod devices;
mod hardware;
mod local;
mod network;
mod subset;
mod system;

use hostler_module_api::prelude::*;

pub(crate) use subset::fnmatch;
use subset::{Collector, Subsets};

/// Facts of ansible-core that are not gathered, and why.
#[cfg(test)]
const ABSENT: &[(&str, &str)] = &[
    ("python", "no Python is needed or looked for"),
    ("python_version", "likewise"),
    ("selinux_python_present", "likewise"),
    ("hostnqn", "storage initiators are not looked at"),
    ("iscsi_iqn", "likewise"),
    ("fibre_channel_wwn", "likewise"),
    ("system_capabilities", "needs a program on each run"),
    ("system_capabilities_enforced", "likewise"),
    ("gather_subset", "says how facts were gathered, not what the host is"),
    ("module_setup", "likewise"),
];

/// Gather facts. They become `ansible_facts` and, with the prefix `ansible_`, variables of the host.
///
/// ```yaml
/// - setup:
///     gather_subset: [min, network]
///     filter: ansible_default_*
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// What to gather: `all`, `min`, names of collectors such as `network` or `hardware`; with `!` before it, what
    /// not to gather.
    #[serde(default)]
    gather_subset: Vec<String>,
    /// Seconds for what may hang, such as a dead network file system.
    #[serde(default = "ten")]
    gather_timeout: u64,
    /// Patterns (`*`, `?`, `[...]`) of the names that are returned; all unless given.
    #[serde(default)]
    filter: Vec<String>,
    /// Directory of local facts: `NAME.fact` is JSON, INI, or a program that prints one of them.
    #[serde(default = "facts_d")]
    fact_path: String,
}

fn ten() -> u64 {
    10
}

fn facts_d() -> String {
    "/etc/ansible/facts.d".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("setup")
}

pub(crate) struct This;

/// Facts, and what went wrong with local ones.
pub(crate) struct Seen {
    facts: Map,
    warnings: Vec<String>,
}

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "setup";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        let subsets = Subsets::read(&args.gather_subset)?;
        let mut seen = Seen { facts: Map::new(), warnings: Vec::new() };
        for collector in subsets.iter() {
            collect(collector, args, host, &mut seen);
        }
        if !args.filter.is_empty() {
            let kept = seen.facts.iter().filter(|(key, _)| subset::is_wanted(&args.filter, &key.to_text()));
            seen.facts = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
        }
        Ok(seen)
    }

    fn plan(_args: &Args, _now: &Seen) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(_args: &Args, ran: &Ran<'_, Seen>) -> Report {
        Report {
            facts: Some(ran.after.facts.clone()),
            warnings: ran.after.warnings.clone(),
            ..Report::default()
        }
    }
}

fn collect(collector: Collector, args: &Args, host: &dyn Inspect, seen: &mut Seen) {
    let facts = &mut seen.facts;
    match collector {
        Collector::Apparmor => system::apparmor(host, facts),
        Collector::Chroot => system::chroot(host, facts),
        Collector::Cmdline => system::cmdline(host, facts),
        Collector::DateTime => date_time::facts(host, facts),
        Collector::Distribution => system::distribution(host, facts),
        Collector::Dns => network::dns(host, facts),
        Collector::Env => system::env(host, facts),
        Collector::Fips => system::fips(host, facts),
        Collector::Hardware => {
            hardware::facts(host, args.gather_timeout, facts);
            devices::facts(host, facts);
        }
        Collector::Loadavg => system::loadavg(host, facts),
        Collector::Local => local::facts(host, &args.fact_path, args.gather_timeout, seen),
        Collector::Lsb => system::lsb(host, facts),
        Collector::Network => network::facts(host, facts),
        Collector::PkgMgr => {
            let family = hostler_probes::distribution(host).family;
            facts.insert("pkg_mgr", hostler_probes::package_manager(host, &family));
        }
        Collector::Platform => system::platform(host, facts),
        Collector::Selinux => system::selinux(host, facts),
        Collector::ServiceMgr => drop(facts.insert("service_mgr", hostler_probes::service_manager(host))),
        Collector::SshPubKeys => system::ssh_host_keys(host, facts),
        Collector::Systemd => system::systemd(host, facts),
        Collector::User => system::user(host, facts),
        Collector::Virtual => system::virtualization(host, facts),
        Collector::None => {}
    }
}

#[cfg(test)]
mod tests;
