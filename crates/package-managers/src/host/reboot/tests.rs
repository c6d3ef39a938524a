use super::*;
use hostler_module_api::fake::FakeHost;

const RUNS: &str = "6.1.0-37-amd64";

/// A Debian host of metal whose kernel is current.
fn host() -> FakeHost {
    FakeHost::bare()
        .dir("/boot", 0o755)
        .file(&format!("/boot/vmlinuz-{RUNS}"), "")
        .dir("/lib/modules", 0o755)
        .dir(&format!("/lib/modules/{RUNS}"), 0o755)
        .file("/proc/sys/kernel/osrelease", RUNS)
        .file(
            "/proc/version",
            "Linux version 6.1.0-37-amd64 (x) #1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)",
        )
        .file("/var/lib/dpkg/status", package("6.1.140-1"))
}

fn package(version: &str) -> String {
    format!(
        "Package: linux-image-{RUNS}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
    )
}

fn said(host: &FakeHost, manager: Manager, stale: &[StaleProcess]) -> Reboot {
    reboot(host, manager, &super::super::kernel(host), stale)
}

fn apt(host: &FakeHost) -> Reboot {
    said(host, Manager::Apt, &[])
}

#[test]
fn a_current_host() {
    assert_eq!(
        apt(&host()),
        Reboot {
            need: RebootNeed::No,
            reasons: Vec::new()
        }
    );
}

#[test]
fn a_newer_kernel_without_any_flag() {
    let it = apt(&host().file("/boot/vmlinuz-6.1.0-40-amd64", ""));
    assert_eq!(it.need, RebootNeed::Yes);
    assert_eq!(
        it.reasons,
        ["kernel 6.1.0-40-amd64 is installed, 6.1.0-37-amd64 runs"]
    );
}

#[test]
fn a_kernel_of_the_same_name() {
    let it = apt(&host().file("/var/lib/dpkg/status", package("6.1.147-1")));
    assert_eq!(
        it.reasons,
        ["the package of kernel 6.1.0-37-amd64 is 6.1.147-1 now, 6.1.140-1 runs"]
    );
    let ubuntu = |installed: &str| {
        let host = host().file(
            "/proc/version_signature",
            "Ubuntu 6.1.0-37.100-generic 6.1.131",
        );
        apt(&host.file("/var/lib/dpkg/status", package(installed))).need
    };
    assert_eq!(ubuntu("6.1.0-37.100"), RebootNeed::No);
    assert_eq!(ubuntu("6.1.0-37.101"), RebootNeed::Yes);
    assert_eq!(ubuntu("6.1.0-37.1"), RebootNeed::Yes);
}

#[test]
fn flags_with_and_without_names() {
    let flag = host().file("/run/reboot-required", "*** System restart required ***\n");
    assert_eq!(apt(&flag).reasons, ["/run/reboot-required is there"]);
    let named = flag.file(
        "/run/reboot-required.pkgs",
        "libc6\nlinux-image-6.1\nlibc6\n",
    );
    assert_eq!(
        apt(&named).reasons,
        ["/run/reboot-required is there (by libc6, linux-image-6.1)"]
    );
    assert_eq!(
        apt(&host().file("/run/reboot-needed", "")).need,
        RebootNeed::Yes
    );
}

#[test]
fn unknown_is_not_no() {
    let bare = FakeHost::bare().file("/proc/sys/kernel/osrelease", "6.9-custom");
    let it = apt(&bare);
    assert_eq!(it.need, RebootNeed::Unknown);
    assert!(
        it.reasons[0].starts_with("no installed kernel was found"),
        "{:?}",
        it.reasons
    );
    let older = host()
        .file("/proc/sys/kernel/osrelease", "6.9-custom")
        .dir("/lib/modules/6.9-custom", 0o755);
    assert_eq!(apt(&older).need, RebootNeed::Unknown);
    // A container has no kernel of its own that could wait.
    assert_eq!(
        apt(&bare.file("/run/systemd/container", "systemd-nspawn")).need,
        RebootNeed::No
    );
}

#[test]
fn processes_that_cannot_be_restarted_alone() {
    let process = |pid, command: &str, unit: &str| StaleProcess {
        pid,
        command: command.into(),
        unit: Some(unit.into()),
        files: vec!["/usr/lib/x/libc.so.6".into()],
    };
    let it = said(
        &host(),
        Manager::Apt,
        &[
            process(1, "systemd", "init.scope"),
            process(7, "nginx", "nginx.service"),
        ],
    );
    assert_eq!(
        it.reasons,
        ["systemd (pid 1) runs /usr/lib/x/libc.so.6, which was replaced"]
    );
    let bus = said(
        &host(),
        Manager::Apt,
        &[process(9, "dbus-daemon", "dbus.service")],
    );
    assert_eq!(bus.need, RebootNeed::Yes);
    // That of somebody's session ends with it.
    let session = said(
        &host(),
        Manager::Apt,
        &[process(9, "dbus-daemon", "user@1000.service")],
    );
    assert_eq!(session.need, RebootNeed::No);
}

#[test]
fn needrestart_knows_of_microcode() {
    let with = |answer: &str| {
        let host =
            host()
                .file("/usr/sbin/needrestart", "")
                .attrs("/usr/sbin/needrestart", 0, 0, 0o755);
        apt(&host.answers("needrestart -b -k -w", 0, answer))
    };
    assert_eq!(
        with("NEEDRESTART-KSTA: 1\nNEEDRESTART-UCSTA: 1\n").need,
        RebootNeed::No
    );
    assert_eq!(
        with("NEEDRESTART-KSTA: 1\nNEEDRESTART-UCSTA: 2\n").reasons,
        ["needrestart: newer microcode waits"]
    );
    assert_eq!(with("NEEDRESTART-KSTA: 3\n").need, RebootNeed::Yes);
    assert_eq!(with("NEEDRESTART-KSTA: 0\n").need, RebootNeed::No);
}

#[test]
fn the_words_of_dnf_count_and_not_its_status() {
    let with = |rc: i32, answer: &str| {
        let host = host()
            .file("/usr/bin/dnf", "")
            .attrs("/usr/bin/dnf", 0, 0, 0o755);
        said(
            &host.answers("dnf -q needs-restarting -r", rc, answer),
            Manager::Dnf,
            &[],
        )
    };
    let yes = with(
        1,
        "Core libraries or services have been updated since boot-up:\n  * glibc\n  * systemd\n\nReboot is required to fully utilize these updates.\n",
    );
    assert_eq!(
        yes.reasons,
        ["needs-restarting: glibc, systemd were updated since the last boot"]
    );
    assert_eq!(with(0, "No core libraries or services have been updated since boot-up.\nReboot should not be necessary.\n").need, RebootNeed::No);
    assert_eq!(with(1, "Error: failed to load\n").need, RebootNeed::Unknown);
}

#[test]
fn zypper_says_it_by_its_status() {
    let with = |rc: i32| {
        said(
            &host().answers("zypper --non-interactive needs-rebooting", rc, ""),
            Manager::Zypper,
            &[],
        )
        .need
    };
    assert_eq!(with(102), RebootNeed::Yes);
    assert_eq!(with(0), RebootNeed::No);
    assert_eq!(with(7), RebootNeed::Unknown, "locked");
}
