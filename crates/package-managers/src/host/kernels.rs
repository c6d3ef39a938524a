//! Which kernel runs, and which are installed.

use hostler_module_api::Inspect;
use hostler_probes::{compare_versions, exists, names, word};
use hostler_updates::{Action, Kernel};

use super::{is_container, kernel_package};

/// Most kernels that are looked at.
const KERNELS_MAX: usize = 50;

/// `uname -r`, the newest installed kernel, and live patches.
pub fn kernel(host: &dyn Inspect) -> Kernel {
    Kernel {
        running: word(host, "/proc/sys/kernel/osrelease").unwrap_or_default(),
        newest: installed_kernels(host).pop(),
        livepatch: livepatch(host),
    }
}

/// Versions of installed kernels, the newest last; none in a container. Where `/boot` has kernels by version, those
/// are bootable; elsewhere (Alpine, Arch, systemd-boot) their modules tell.
pub fn installed_kernels(host: &dyn Inspect) -> Vec<String> {
    if is_container(host) {
        return Vec::new();
    }
    let is_version =
        |it: &str| it.starts_with(|ch: char| ch.is_ascii_digit()) && !it.starts_with("0-rescue");
    let in_boot = names(host, "/boot").into_iter().filter_map(|name| {
        let version = name
            .strip_prefix("vmlinuz-")
            .or_else(|| name.strip_prefix("vmlinux-"))?;
        (is_version(version) && version.strip_suffix(".old").is_none()).then(|| version.to_owned())
    });
    let mut all: Vec<String> = in_boot.collect();
    if all.is_empty() {
        let root = if exists(host, "/usr/lib/modules") {
            "/usr/lib/modules"
        } else {
            "/lib/modules"
        };
        let has_modules = |it: &String| {
            // What is left of a removed one are generated indexes.
            is_version(it)
                && ["kernel", "vmlinuz", "pkgbase"]
                    .iter()
                    .any(|part| exists(host, format!("{root}/{it}/{part}")))
        };
        all = names(host, root).into_iter().filter(has_modules).collect();
    }
    hostler_value::order::sort_by(&mut all, |a, b| compare_versions(a, b));
    all.dedup();
    all.drain(..all.len().saturating_sub(KERNELS_MAX));
    all
}

/// Is there a kernel to go back to after these actions?
pub fn has_older(host: &dyn Inspect, actions: &[Action]) -> bool {
    let installed = installed_kernels(host).len();
    let brings_one = actions
        .iter()
        .any(|it| it.from.is_none() && kernel_package(&it.package.name));
    installed >= if brings_one { 1 } else { 2 }
}

/// Modules of live patches that are active.
fn livepatch(host: &dyn Inspect) -> Option<String> {
    let active = names(host, "/sys/kernel/livepatch");
    let active: Vec<String> = active
        .into_iter()
        .filter(|it| {
            word(host, format!("/sys/kernel/livepatch/{it}/enabled")).as_deref() == Some("1")
        })
        .take(10)
        .collect();
    (!active.is_empty()).then(|| active.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn the_newest_counts_by_version() {
        let host = FakeHost::bare()
            .dir("/boot", 0o755)
            .file("/boot/vmlinuz-6.1.0-9-amd64", "")
            .file("/boot/vmlinuz-6.1.0-37-amd64", "")
            .file("/boot/vmlinuz-0-rescue-abc", "")
            .file("/boot/vmlinuz", "")
            .file("/proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
        let it = kernel(&host);
        assert_eq!(it.running, "6.1.0-9-amd64");
        assert_eq!(it.newest.as_deref(), Some("6.1.0-37-amd64"));
        assert!(has_older(&host, &[]));
        let container = host.file("/run/systemd/container", "systemd-nspawn");
        assert_eq!(kernel(&container).newest, None);
    }

    #[test]
    fn modules_tell_where_boot_has_no_versions() {
        let host = FakeHost::bare()
            .dir("/boot", 0o755)
            .file("/boot/vmlinuz-lts", "")
            .dir("/lib/modules", 0o755)
            .dir("/lib/modules/6.6.10-0-lts", 0o755)
            .dir("/lib/modules/6.6.10-0-lts/kernel", 0o755)
            .dir("/lib/modules/6.6.9-0-lts", 0o755)
            .file("/lib/modules/6.6.9-0-lts/modules.dep", "")
            .dir("/sys/kernel/livepatch/lp1", 0o755)
            .dir("/sys/kernel/livepatch", 0o755)
            .file("/sys/kernel/livepatch/lp1/enabled", "1\n");
        assert_eq!(installed_kernels(&host), ["6.6.10-0-lts"]);
        assert_eq!(kernel(&host).livepatch.as_deref(), Some("lp1"));
    }
}
