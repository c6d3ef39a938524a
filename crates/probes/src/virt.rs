//! Is it a virtual machine or a container, and does it run others? After virt-what and Ansible's rules.

use std::collections::BTreeSet;

use hostler_module_api::Inspect;

use crate::{exists, text, word};

/// Kinds of virtualization. `kind` and `role` are the first that was found; the sets hold all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Virtualization {
    /// Such as `kvm`, `docker`, `systemd-nspawn`; empty text if there is none.
    pub kind: String,
    /// `guest`, `host` or `NA`.
    pub role: String,
    /// What it runs in.
    pub guest: BTreeSet<String>,
    /// What it can run.
    pub host: BTreeSet<String>,
}

impl Virtualization {
    fn guest_of(&mut self, kind: &str) {
        self.guest.insert(kind.to_owned());
        self.first(kind, "guest");
    }

    fn host_of(&mut self, kind: &str) {
        self.host.insert(kind.to_owned());
        self.first(kind, "host");
    }

    fn first(&mut self, kind: &str, role: &str) {
        if self.kind.is_empty() {
            kind.clone_into(&mut self.kind);
            role.clone_into(&mut self.role);
        }
    }
}

/// Looks for the marks that hypervisors and container managers leave.
pub fn virtualization(host: &dyn Inspect) -> Virtualization {
    let mut it = Virtualization::default();
    containers(&mut it, host);
    if exists(host, "/proc/xen") {
        let control =
            text(host, "/proc/xen/capabilities").is_some_and(|it| it.contains("control_d"));
        if control {
            it.host_of("xen");
        } else {
            it.first("xen", "guest");
        }
    }
    machines(&mut it, host);
    let cpuinfo = text(host, "/proc/cpuinfo").unwrap_or_default();
    let cpu = |key: &str, value: &str| {
        cpuinfo
            .lines()
            .any(|it| it.starts_with(key) && it.contains(value))
    };
    if cpu("model name", "QEMU Virtual CPU") {
        it.guest_of("kvm");
    }
    if cpu("vendor_id", "User Mode Linux") {
        it.guest_of("uml");
    }
    let modules = text(host, "/proc/modules").unwrap_or_default();
    let module = |name: &str| modules.lines().any(|it| it.split(' ').next() == Some(name));
    if module("kvm") {
        it.host_of("kvm");
    }
    if module("vboxdrv") {
        it.host_of("virtualbox");
    }
    if module("virtio") {
        it.host.insert("kvm".into());
        it.first("kvm", "guest");
    }
    // A hypervisor whose modules are built in.
    if exists(host, "/dev/kvm") {
        it.host_of("kvm");
    }
    if it.kind.is_empty() {
        "NA".clone_into(&mut it.kind);
        "NA".clone_into(&mut it.role);
    }
    it
}

fn containers(it: &mut Virtualization, host: &dyn Inspect) {
    for line in text(host, "/proc/1/cgroup").unwrap_or_default().lines() {
        if line.contains("/docker/")
            || line
                .split_once("/docker-")
                .is_some_and(|it| it.1.ends_with("scope"))
        {
            it.guest_of("docker");
        }
        if line.contains("/lxc/") || line.contains("/machine.slice/machine-lxc") {
            it.guest_of("lxc");
        }
        if line.contains("/system.slice/containerd.service") {
            it.guest_of("containerd");
        }
    }
    for variable in text(host, "/proc/1/environ")
        .unwrap_or_default()
        .split('\0')
    {
        match variable.strip_prefix("container=") {
            Some(kind) if kind.starts_with("lxc") => it.guest_of("lxc"),
            Some(kind) if kind.starts_with("podman") => it.guest_of("podman"),
            _ => {}
        }
        if variable
            .strip_prefix("container=")
            .is_some_and(|it| !it.is_empty())
        {
            it.guest_of("container");
        }
    }
    if exists(host, "/proc/vz") && !exists(host, "/proc/lve") {
        if exists(host, "/proc/bc") {
            it.host_of("openvz");
        } else {
            it.guest_of("openvz");
        }
    }
    let manager = word(host, "/run/systemd/container");
    if let Some(kind) = &manager {
        it.guest_of(kind);
    }
    if exists(host, "/.dockerenv") || exists(host, "/.dockerinit") {
        it.guest_of("docker");
    }
    let known = ["docker", "lxc", "podman", "openvz", "containerd"];
    if manager.is_some() || known.iter().any(|kind| it.guest.contains(*kind)) {
        it.guest.insert("container".into());
    }
}

fn machines(it: &mut Virtualization, host: &dyn Inspect) {
    let dmi =
        |name: &str| word(host, format!("/sys/devices/virtual/dmi/id/{name}")).unwrap_or_default();
    let (product, vendor, bios) = (dmi("product_name"), dmi("sys_vendor"), dmi("bios_vendor"));
    match product.as_str() {
        "KVM" | "KVM Server" | "Bochs" | "AHV" | "CloudStack KVM Hypervisor" => it.guest_of("kvm"),
        "OpenStack Compute" | "OpenStack Nova" => it.guest_of("openstack"),
        "RHEV Hypervisor" if vendor == "Red Hat" => it.guest_of("RHEV"),
        name if name.starts_with("VMware") => it.guest_of("VMware"),
        _ => {}
    }
    match bios.as_str() {
        "Xen" => it.guest_of("xen"),
        "innotek GmbH" => it.guest_of("virtualbox"),
        "Amazon EC2" | "DigitalOcean" | "Hetzner" | "Linode" => it.guest_of("kvm"),
        _ => {}
    }
    match vendor.as_str() {
        "oVirt" => it.guest_of("oVirt"),
        "Red Hat" if dmi("product_family") == "RHV" => it.guest_of("RHV"),
        "QEMU" | "Amazon EC2" | "DigitalOcean" | "Google" | "Scaleway" | "Nutanix" => {
            it.guest_of("kvm");
        }
        "KubeVirt" => it.guest_of("KubeVirt"),
        "Microsoft Corporation" => it.guest_of("VirtualPC"),
        "Parallels Software International Inc." => it.guest_of("parallels"),
        "OpenStack Foundation" => it.guest_of("openstack"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn a_container_on_a_hypervisor() {
        let host = FakeHost::bare()
            .file("/proc/1/environ", "A=b\0container=systemd-nspawn\0")
            .file("/run/systemd/container", "systemd-nspawn\n")
            .file("/dev/kvm", "");
        let it = virtualization(&host);
        assert_eq!((it.kind.as_str(), it.role.as_str()), ("container", "guest"));
        assert!(it.guest.contains("systemd-nspawn") && it.host.contains("kvm"));
    }

    #[test]
    fn a_virtual_machine_and_bare_metal() {
        let host = FakeHost::bare().file("/sys/devices/virtual/dmi/id/sys_vendor", "QEMU\n");
        assert_eq!(virtualization(&host).kind, "kvm");
        let bare = virtualization(&FakeHost::bare());
        assert_eq!(
            (bare.kind.as_str(), bare.role.as_str(), bare.guest.len()),
            ("NA", "NA", 0)
        );
    }
}
