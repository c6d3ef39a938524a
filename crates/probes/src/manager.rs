//! What manages services, and what manages packages.

use std::path::Path;

use hostler_module_api::Inspect;

use crate::{exists, program, word};

/// Is systemd the running service manager? As `sd_booted(3)`.
pub fn systemd_is_running(host: &dyn Inspect) -> bool {
    ["/run/systemd/system", "/dev/.run/systemd", "/dev/.systemd"]
        .iter()
        .any(|it| exists(host, it))
}

/// The service manager by Ansible's name: `systemd`, `sysvinit`, `openrc`, `runit`, ...; a program's own name if
/// process 1 is something else; `service` if nothing tells.
pub fn service_manager(host: &dyn Inspect) -> String {
    let init = || host.read_link(Path::new("/sbin/init")).ok().flatten();
    let init_name = || Some(init()?.file_name()?.to_string_lossy().into_owned());
    let first = word(host, "/proc/1/comm").or_else(init_name);
    let first = first.map(|it| it.rsplit('/').next().unwrap_or_default().to_owned());
    // `init` may be anything, and a shell is a container's entry point.
    if let Some(name) = first.filter(|it| it != "init" && !it.ends_with("sh") && !it.is_empty()) {
        return match name.as_str() {
            "procd" => "openwrt_init".into(),
            "runit-init" => "runit".into(),
            "svscan" => "svc".into(),
            "openrc-init" => "openrc".into(),
            _ => name,
        };
    }
    let systemctl = program(host, "systemctl").is_some();
    if systemctl && systemd_is_running(host) {
        "systemd"
    } else if program(host, "initctl").is_some() && exists(host, "/etc/init") {
        "upstart"
    } else if exists(host, "/sbin/openrc") {
        "openrc"
    } else if systemctl && init_name().as_deref() == Some("systemd") {
        "systemd"
    } else if exists(host, "/etc/init.d") {
        "sysvinit"
    } else if exists(host, "/etc/dinit.d") {
        "dinit"
    } else {
        "service"
    }
    .to_owned()
}

/// Programs of package managers; the last that is there counts.
const PACKAGE_MANAGERS: &[(&str, &str)] = &[
    ("/usr/bin/rpm-ostree", "atomic_container"),
    ("/usr/bin/yum", "dnf"),
    ("/usr/bin/dnf-3", "dnf"),
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/zypper", "zypper"),
    ("/usr/sbin/urpmi", "urpmi"),
    ("/usr/bin/pacman", "pacman"),
    ("/bin/opkg", "opkg"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/emerge", "portage"),
    ("/usr/bin/xbps-install", "xbps"),
    ("/usr/bin/swupd", "swupd"),
];

/// The package manager by Ansible's name; `family` is the distribution's.
pub fn package_manager(host: &dyn Inspect, family: &str) -> &'static str {
    if family == "RedHat" {
        if exists(host, "/run/ostree-booted") {
            return "atomic_container";
        }
        let dnf = ["/usr/bin/dnf", "/usr/bin/microdnf"]
            .into_iter()
            .find(|it| exists(host, it));
        let target = dnf.and_then(|it| host.read_link(Path::new(it)).ok().flatten());
        return match (dnf, target) {
            (Some(_), Some(target)) if target.ends_with("dnf5") => "dnf5",
            (Some(_), _) => "dnf",
            (None, _) => "unknown",
        };
    }
    // A Debian host may have other managers installed; it is not managed by them.
    if family == "Debian" {
        return "apt";
    }
    let found = PACKAGE_MANAGERS
        .iter()
        .rev()
        .find(|(path, _)| exists(host, path));
    found.map_or("unknown", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn service_managers() {
        let with_comm = |name: &str| FakeHost::bare().file("/proc/1/comm", name);
        assert_eq!(service_manager(&with_comm("systemd\n")), "systemd");
        assert_eq!(service_manager(&with_comm("runit-init\n")), "runit");
        assert_eq!(
            service_manager(&with_comm("init\n").dir("/etc/init.d", 0o755)),
            "sysvinit"
        );
        assert_eq!(service_manager(&with_comm("bash\n")), "service");
        assert_eq!(
            service_manager(&FakeHost::bare().link("/sbin/init", "/lib/systemd/systemd")),
            "systemd"
        );
    }

    #[test]
    fn package_managers() {
        assert_eq!(
            package_manager(&FakeHost::bare().file("/usr/bin/dnf", ""), "Debian"),
            "apt"
        );
        assert_eq!(
            package_manager(
                &FakeHost::bare()
                    .link("/usr/bin/dnf", "dnf5")
                    .file("/usr/bin/dnf5", ""),
                "RedHat"
            ),
            "dnf5"
        );
        assert_eq!(
            package_manager(&FakeHost::bare().file("/sbin/apk", ""), "Alpine"),
            "apk"
        );
        assert_eq!(package_manager(&FakeHost::bare(), "Foo"), "unknown");
    }
}
