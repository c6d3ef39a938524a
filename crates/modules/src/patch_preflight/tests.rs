use hostler_change::{Planned, Remove};
use hostler_module_api::Applier as _;
use hostler_module_api::fake::{FakeHost, check_module};
use hostler_module_api::value::Map;
use hostler_updates::Preflight;

use super::*;
use crate::patching::fake::action;

fn host() -> FakeHost {
    FakeHost::bare().file("/tin", "a:amd64 1\nb:amd64 1\n").file("/archive", "a:amd64 2\n")
}

fn args(more: &[(&str, Value)]) -> Value {
    let actions = value_of(&vec![action("a", Some("1"), Some("2"))]);
    let mut map = Map::from_iter([("actions", actions)]);
    for (key, value) in more {
        map.insert(*key, value.clone());
    }
    Value::from(map)
}

fn limits(locks_wait_s: i64, repair: bool) -> (&'static str, Value) {
    let limits = Map::from_iter([("locks_wait_s", Value::from(locks_wait_s)), ("repair", Value::from(repair))]);
    ("limits", Value::from(limits))
}

fn seen(more: &[(&str, Value)], host: FakeHost) -> Preflight {
    let checked = check_module::<This>(args(more), host);
    let text = serde_json::to_string(checked.first.fields.get("preflight").unwrap()).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_host_in_order() {
    let it = seen(&[], host());
    let clock_us = 1_800_000_000_000_000;
    assert_eq!(it, Preflight { clock_us, ..Preflight::default() });
}

#[test]
fn what_forbids_and_who_holds_a_lock() {
    let it = seen(&[], host().file("/etc/hostler/no-patch", "fair on Friday\n"));
    assert_eq!(it.refused, ["/etc/hostler/no-patch forbids it: fair on Friday"]);
    let it = seen(&[limits(5, false)], host().file("/locked", "apt-get (pid 7)"));
    assert!(it.refused[0].contains("held by apt-get (pid 7), and was for 5 seconds"), "{:?}", it.refused);
}

#[test]
fn an_interrupted_database_is_repaired_if_that_is_allowed() {
    let broken = || host().file("/interrupted", "a is half-configured");
    let it = seen(&[], broken());
    assert_eq!(it.refused, ["the package database is not whole: a is half-configured"]);
    let repairs = broken().on("tin repair", |host| {
        let edit = Edit::Remove(Remove { path: "/interrupted".into(), recursive: false });
        host.apply(&Planned { edit, deltas: Vec::new() }).unwrap();
        CommandOutput::default()
    });
    let it = seen(&[limits(0, true)], repairs);
    assert_eq!(it.refused, [""; 0]);
    assert_eq!(it.repaired, ["the package database: a is half-configured"]);
    let fails = broken().on("tin repair", |_| CommandOutput { rc: 1, ..CommandOutput::default() });
    let it = seen(&[limits(0, true)], fails);
    assert_eq!(it.refused, ["the package database is not whole, and could not be repaired: a is half-configured"]);
}

#[test]
fn what_has_changed_since_the_plan() {
    let planned = ("installed_sha256", Value::str("0".repeat(64)));
    let it = seen(std::slice::from_ref(&planned), host());
    assert!(it.refused.is_empty());
    assert_eq!(it.findings[0].code, "host-changed");
    let it = seen(std::slice::from_ref(&planned), FakeHost::bare().file("/tin", "a:amd64 1.5\n"));
    assert_eq!(it.refused, ["the host has changed since it was planned: a:amd64 is 1.5, not 1"]);
    let it = seen(std::slice::from_ref(&planned), FakeHost::bare().file("/tin", "b:amd64 1\n"));
    assert_eq!(it.refused, ["the host has changed since it was planned: a:amd64 is not installed, and was 1"]);
    let it = seen(&[], FakeHost::bare().file("/tin", "a:all 1\n"));
    assert!(it.refused.is_empty(), "it becomes one for amd64: {:?}", it.refused);
    let it = seen(&[planned], FakeHost::bare().file("/tin", "a:amd64 3\n"));
    assert!(it.refused.is_empty());
    assert_eq!(it.findings[0].code, "drift-newer");
}

#[test]
fn changed_configuration_files_where_they_must_not_be_touched() {
    let with = || host().file("/changed", "/etc/a.conf\n");
    assert!(seen(&[], with()).refused.is_empty());
    let it = seen(&[("conffiles", Value::str("fail"))], with());
    assert_eq!(it.refused, ["configuration files were changed by hand: /etc/a.conf (of a)"]);
}

#[test]
fn a_kernel_without_its_file_system_and_disks_by_order() {
    let it = seen(
        &[],
        host()
            .dir("/boot", 0o755)
            .file("/boot/vmlinuz-6.1.0-9-amd64", "x")
            .file("/boot/initrd.img-6.1.0-9-amd64", "")
            .file("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n"),
    );
    let codes: Vec<&str> = it.findings.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["fstab-device-name", "initramfs"]);
}

#[test]
fn room() {
    let gib = |gib: u64| hostler_module_api::FsSpace {
        fragment_size: 1 << 20,
        blocks_available: gib << 10,
        inodes: 100_000,
        inodes_available: 50_000,
        ..hostler_module_api::FsSpace::default()
    };
    let mut big = action("a", Some("1"), Some("2"));
    big.download_bytes = 1 << 30;
    let mut kernel = action("linux-image-6.1.0-40-amd64", None, Some("6.1.1"));
    kernel.download_bytes = 0;
    let limits = PreflightLimits { free_bytes: [("/srv".to_owned(), 3 << 30)].into(), ..PreflightLimits::default() };
    let host = host().dir("/srv", 0o755).dir("/boot", 0o755);
    let needs = room::needs(&limits, &[big, kernel], &host);
    let all = room::judge(&needs, |_| Some(gib(2)));
    assert_eq!(
        all,
        ["/ has 2048 MiB free, unpacking takes up to 4160 MiB", "/srv has 2048 MiB free, the policy wants 3072 MiB"]
    );
    assert!(room::judge(&needs, |_| Some(gib(8))).is_empty());
    let few = |_: &str| Some(hostler_module_api::FsSpace { inodes_available: 3, ..gib(8) });
    assert_eq!(room::judge(&needs, few).len(), 4);
    let boot = |path: &str| Some(gib(if path == "/boot" { 0 } else { 8 }));
    assert_eq!(room::judge(&needs, boot), ["/boot has 0 MiB free, the new kernels take 134 MiB"]);
}
