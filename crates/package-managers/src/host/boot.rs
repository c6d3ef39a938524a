//! How a host boots.

use hostler_change::Program;
use hostler_module_api::Inspect;
use hostler_probes::{exists, program, virtualization, word};
use hostler_updates::{BootClass, Firmware};

/// What `systemd-detect-virt` calls containers.
const CONTAINERS: &[&str] = &[
    "systemd-nspawn",
    "docker",
    "podman",
    "lxc",
    "lxc-libvirt",
    "openvz",
    "rkt",
    "wsl",
    "proot",
    "pouch",
    "container-other",
    "container",
];

/// Is it a container, whose kernel is its host's?
pub fn is_container(host: &dyn Inspect) -> bool {
    virtualization(host).guest.contains("container") || exists(host, "/run/systemd/container")
}

/// Firmware, virtualisation and model.
pub fn boot_class(host: &dyn Inspect) -> BootClass {
    let virtualisation = virtualisation(host);
    let firmware = if is_container(host) || CONTAINERS.contains(&virtualisation.as_str()) {
        Firmware::None
    } else if exists(host, "/sys/firmware/efi") {
        Firmware::Uefi
    } else {
        Firmware::Bios
    };
    let model = match virtualisation.as_str() {
        "none" => word(host, "/sys/class/dmi/id/product_name").unwrap_or_default(),
        _ => String::new(),
    };
    BootClass {
        firmware,
        virtualisation,
        model: model.chars().take(100).collect(),
    }
}

/// As `systemd-detect-virt` names it; where that is missing, by the marks that virtualisation leaves.
fn virtualisation(host: &dyn Inspect) -> String {
    if program(host, "systemd-detect-virt").is_some()
        && let Ok(output) = host.look(&Program::new(["systemd-detect-virt"]))
    {
        // It exits with 1 and says `none` on metal.
        let said = output.stdout_text();
        let said = said.trim();
        let is_word = |it: &str| {
            it.bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it))
        };
        if !said.is_empty() && said.len() < 40 && is_word(said) {
            return said.to_owned();
        }
    }
    let found = virtualization(host);
    match (found.role.as_str(), found.kind.to_ascii_lowercase()) {
        ("guest", kind) => kind,
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn containers_metal_and_guests() {
        let metal = FakeHost::bare()
            .dir("/sys/firmware/efi", 0o755)
            .file("/sys/class/dmi/id/product_name", "PowerEdge R640\n");
        let class = boot_class(&metal);
        assert_eq!(
            (class.firmware, class.virtualisation.as_str()),
            (Firmware::Uefi, "none")
        );
        assert_eq!(class.model, "PowerEdge R640");
        let nspawn = FakeHost::bare()
            .file("/run/systemd/container", "systemd-nspawn\n")
            .file("/usr/bin/systemd-detect-virt", "")
            .attrs("/usr/bin/systemd-detect-virt", 0, 0, 0o755)
            .answers("systemd-detect-virt", 0, "systemd-nspawn\n");
        let class = boot_class(&nspawn);
        assert_eq!(
            (class.firmware, class.virtualisation.as_str()),
            (Firmware::None, "systemd-nspawn")
        );
        let kvm = FakeHost::bare().file("/sys/devices/virtual/dmi/id/sys_vendor", "QEMU\n");
        assert_eq!(boot_class(&kvm).virtualisation, "kvm");
        assert_eq!(boot_class(&kvm).firmware, Firmware::Bios);
    }
}
