//! What a transaction will ask for afterwards.

use std::collections::BTreeSet;

use hostler_module_api::Inspect;
use hostler_updates::{ActionKind, Resolution};

use super::mapping;
use super::processes::plain;

/// Most units that are reported.
const UNITS_MAX: usize = 500;
/// Packages that everything runs, besides kernels: after them only a reboot is sure to leave nothing old behind.
const CORE: &[(&str, &str)] = &[
    ("libc6", "every process runs it"),
    ("glibc", "every process runs it"),
    ("musl", "every process runs it"),
    ("systemd", "it is process 1"),
    ("dbus", "it cannot be restarted alone"),
    ("dbus-broker", "it cannot be restarted alone"),
    ("dbus-daemon", "it cannot be restarted alone"),
    ("intel-microcode", "microcode is loaded at boot"),
    ("amd64-microcode", "microcode is loaded at boot"),
    ("microcode_ctl", "microcode is loaded at boot"),
    ("ucode-intel", "microcode is loaded at boot"),
    ("ucode-amd", "microcode is loaded at boot"),
    ("linux-firmware", "firmware is loaded at boot"),
];
/// Beginnings of the names of packages that bring a kernel.
const KERNELS: &[&str] = &[
    "linux-image-",
    "kernel-core",
    "kernel-rt",
    "kernel-default",
    "kernel-uek",
];
/// Whole names of such packages.
const KERNEL_NAMES: &[&str] = &[
    "kernel",
    "linux",
    "linux-lts",
    "linux-zen",
    "linux-hardened",
    "linux-virt",
    "linux-stable",
];

/// Does a package of this name bring a kernel?
pub fn kernel_package(name: &str) -> bool {
    KERNELS.iter().any(|it| name.starts_with(it)) || KERNEL_NAMES.contains(&name)
}

/// Fills in units that will run replaced files, and reasons for a reboot. `files` are those of the packages that are
/// replaced or removed.
pub(crate) fn forecast(host: &dyn Inspect, files: &BTreeSet<String>, resolution: &mut Resolution) {
    let mut units = BTreeSet::new();
    let files: BTreeSet<String> = files.iter().map(|it| plain(it).to_owned()).collect();
    for (_, _, unit) in mapping(host, &files) {
        if let Some(unit) = unit.filter(|it| it.ends_with(".service") && !it.starts_with("user@")) {
            units.insert(unit);
        }
    }
    resolution.restarts = units.into_iter().take(UNITS_MAX).collect();
    for action in resolution
        .actions
        .iter()
        .filter(|it| it.kind != ActionKind::Remove)
    {
        let name = action.package.name.as_str();
        let to = action.to.as_deref().unwrap_or_default();
        let why = if kernel_package(name) {
            Some("a kernel takes effect at boot")
        } else {
            CORE.iter().find(|it| it.0 == name).map(|it| it.1)
        };
        // A new package of these runs nowhere yet.
        if let Some(why) = why.filter(|_| action.from.is_some() || kernel_package(name)) {
            resolution
                .reboot_reasons
                .push(format!("{name} {to}: {why}"));
        }
    }
    resolution.reboot_reasons.dedup();
}
