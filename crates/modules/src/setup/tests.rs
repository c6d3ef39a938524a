use super::*;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};
use serde_json::json;

fn args(json: serde_json::Value) -> Value {
    serde_json::from_value(json).unwrap()
}

fn host() -> FakeHost {
    FakeHost::bare()
        .file("/etc/os-release", "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n")
        .file("/etc/debian_version", "12.11\n")
        .file("/proc/sys/kernel/hostname", "web1\n")
        .file("/proc/sys/kernel/osrelease", "6.1.0\n")
        .file("/etc/hosts", "127.0.1.1 web1.example.org web1\n")
        .file("/proc/cmdline", "root=/dev/sda1 quiet console=tty0 console=\"ttyS0 x\"\n")
        .file("/proc/meminfo", "MemTotal: 2048000 kB\nMemFree: 1024000 kB\n")
        .file("/proc/self/status", "Uid:\t1000\t0\t0\t0\nGid:\t1000\t0\t0\t0\nCpus_allowed_list:\t0-2\n")
        .file("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: X\nmodel name\t: Y\n")
        .file("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA root@web1\n")
}

#[test]
fn gathers_with_names_that_playbooks_use() {
    let done = check_module::<This>(args(json!({})), host());
    assert!(!done.first.changed);
    let facts = done.first.facts.unwrap();
    let get = |key: &str| facts.get(key).unwrap_or_else(|| panic!("no {key}")).to_text();
    assert_eq!(get("distribution_version"), "12.11");
    assert_eq!((get("fqdn"), get("domain"), get("hostname")), ("web1.example.org".into(), "example.org".into(), "web1".into()));
    assert_eq!((get("memtotal_mb"), get("processor_nproc"), get("real_user_id")), ("2000".into(), "3".into(), "1000".into()));
    assert_eq!(facts.get("cmdline").unwrap().get("console"), Some(&Value::str("\"ttyS0 x\"")));
    assert_eq!(facts.get("proc_cmdline").unwrap().get("console").unwrap().as_list().unwrap().len(), 2);
    assert_eq!(get("ssh_host_key_ed25519_public"), "AAAA");
    assert_eq!((get("pkg_mgr"), get("user_dir"), get("lvm")), ("apt".into(), "/root".into(), "N/A".into()));
    assert!(ABSENT.iter().all(|(name, _)| !facts.contains(name)));
}

#[test]
fn filters_and_subsets() {
    let done = check_module::<This>(args(json!({"filter": "ansible_distribution*"})), host());
    let facts = done.first.facts.unwrap();
    assert!(facts.contains("distribution") && !facts.contains("kernel"));
    let done = check_module::<This>(args(json!({"gather_subset": "!all,!min,virtual"})), host());
    assert_eq!(done.first.facts.unwrap().len(), 4);
    let message = check_fails::<This>(args(json!({"gather_subset": ["netwrok"]})), host());
    assert!(message.starts_with("Bad subset 'netwrok'"));
}
