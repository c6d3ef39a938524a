//! What runs on a host: looked at before it is patched, and again afterwards.

use std::collections::BTreeSet;

use hostler_change::{CommandOutput, Program};
use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::{exists, program, word};
use hostler_updates::Baseline;

use super::{mounts, one_line, ports, units};

/// Seconds after which a container engine that does not answer is not waited for.
const ENGINE_TIMEOUT_S: u64 = 10;
/// Longest name of a container.
const NAME_MAX: usize = 200;

/// Looks at all of it.
///
/// # Errors
/// systemd does not answer: what it would have said cannot be compared.
pub(crate) fn look(host: &dyn Inspect) -> Result<Baseline, ModuleError> {
    let units = units::units(host)?;
    Ok(Baseline {
        boot_id: boot_id(host),
        kernel: word(host, "/proc/sys/kernel/osrelease").unwrap_or_default(),
        system_state: units.state,
        units: units.active,
        failed_units: units.failed,
        ports: ports::listening(host),
        mounts: mounts::mounted(host),
        routes: mounts::default_routes(host),
        containers: containers(host),
    })
}

/// Another one after each boot; empty if the kernel does not say.
pub(crate) fn boot_id(host: &dyn Inspect) -> String {
    word(host, "/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Running containers, of engines that can be asked without starting them or making their files.
fn containers(host: &dyn Inspect) -> BTreeSet<String> {
    let engines = [
        ("docker", "/run/docker.pid"),
        ("podman", "/var/lib/containers/storage"),
    ];
    let mut names = BTreeSet::new();
    for (engine, sign) in engines {
        if !exists(host, sign) || program(host, engine).is_none() {
            continue;
        }
        let mut ask = Program::new([engine, "ps", "--format", "{{.Names}}"]);
        ask.timeout_s = Some(ENGINE_TIMEOUT_S);
        let output = host.look(&ask).ok().filter(CommandOutput::success);
        let text = output.map(|it| it.stdout_text()).unwrap_or_default();
        // Kubernetes names its containers anew each time, and looks after them itself.
        let lasting = text
            .lines()
            .filter(|it| !it.is_empty() && !it.starts_with("k8s_"));
        names.extend(lasting.map(|it| one_line(it, NAME_MAX)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn without_systemd_there_are_no_units() {
        let host = FakeHost::bare()
            .file("/proc/sys/kernel/random/boot_id", "b1\n")
            .file("/proc/sys/kernel/osrelease", "6.1.0\n");
        let seen = look(&host).unwrap();
        assert_eq!(
            (seen.boot_id.as_str(), seen.kernel.as_str()),
            ("b1", "6.1.0")
        );
        assert!(seen.units.is_empty() && seen.system_state.is_empty());
    }

    #[test]
    fn containers_of_an_engine_that_runs() {
        let host = FakeHost::bare()
            .file("/usr/bin/docker", "")
            .attrs("/usr/bin/docker", 0, 0, 0o755)
            .answers("docker ps --format '{{.Names}}'", 0, "web\nk8s_x_1\n\ndb\n");
        assert!(containers(&host).is_empty());
        let host = host.file("/run/docker.pid", "1");
        assert_eq!(
            containers(&host).into_iter().collect::<Vec<_>>(),
            ["db", "web"]
        );
    }
}
