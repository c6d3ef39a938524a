//! What a scan says of a host is what apt says there, and a scan leaves no trace where apt looks.

use std::collections::{BTreeMap, BTreeSet};

use real_hosts::engine::Engine;
use real_hosts::{fleet, shell};
use serde_json::Value;
use xtask::fleet::{AptProxy, Host, Init};

/// Everything that apt and dpkg keep, by hash and time.
const STATE: &str = "cd /; find /var/lib/dpkg /var/lib/apt /var/cache/apt /var/log/apt /etc/apt -type f -printf '%p %C@ ' -exec sha256sum {} + | sort | sha256sum";

const SCAN: &str = "- hosts: all
  gather_facts: false
  tasks:
    - patch_scan:
";

/// A return value of the last task.
fn returned(output: &str, name: &str) -> Value {
    let events = output.lines().filter(|line| line.starts_with('{'));
    let events = events.map(|line| serde_json::from_str(line).expect("events are JSON"));
    let ended = events.filter(|it: &Value| it["event"] == "task_finished");
    let last = ended.last().expect("a task ended");
    let fields = &last["result"]["value"];
    assert!(fields[name].is_object(), "{last}");
    fields[name].clone()
}

/// Versions that `apt-get` would upgrade to, over lists of its own, by package.
fn upgradable(host: &Host) -> BTreeMap<String, String> {
    let said = shell(
        host,
        "apt-get -s -o APT::Get::Always-Include-Phased-Updates=1 dist-upgrade",
    );
    let steps = said.lines().filter_map(|it| it.strip_prefix("Inst "));
    let step = |line: &str| {
        let name = line.split(' ').next()?.to_owned();
        let version = line.split_once('(')?.1.split(' ').next()?.to_owned();
        Some((name, version))
    };
    steps.filter_map(step).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_scan_says_what_apt_says_and_leaves_no_trace() {
    let Some((fleet, hosts)) = fleet("scans", 1, Init::Sshd) else {
        return;
    };
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    let host = &hosts[0];
    let proxy = AptProxy::start(&fleet).unwrap_or_else(|failure| panic!("{failure}"));
    proxy
        .configure(host)
        .unwrap_or_else(|failure| panic!("{failure}"));
    // Something old, something held, something that is asked to be told of each refresh.
    shell(
        host,
        "echo 'deb http://deb.debian.org/debian-security bookworm-security main' >/etc/apt/sources.list.d/security.list
         echo 'APT::Update::Post-Invoke { \"touch /var/lib/apt/was-refreshed\"; };' >/etc/apt/apt.conf.d/90-told
         apt-mark hold base-files",
    );
    let before = shell(host, STATE);
    let run = engine.apply_text(&fleet, SCAN, &["--output", "json"]);
    run.expect_code(0);
    assert_eq!(
        shell(host, STATE),
        before,
        "a scan leaves what apt sees alone"
    );
    let scan = returned(&run.output, "scan");

    shell(host, "apt-get -q update");
    let wanted = upgradable(host);
    let updates = scan["updates"].as_array().expect("updates");
    let free = updates.iter().filter(|it| it["kept_back"].is_null());
    let said: BTreeMap<String, String> = free
        .map(|it| (text(&it["package"]["name"]), text(&it["to"])))
        .collect();
    assert_eq!(said, wanted);
    assert!(!said.is_empty(), "the security suite has something");
    let secure: BTreeSet<String> = updates
        .iter()
        .filter(|it| it["class"] == "security")
        .map(|it| text(&it["package"]["name"]))
        .collect();
    assert!(!secure.is_empty());
    assert!(updates.iter().all(|it| it["class"] != "unknown"));
    assert!(
        updates
            .iter()
            .all(|it| it["download_bytes"].as_u64() > Some(0))
    );
    assert_eq!(scan["holds"][0]["package"], "base-files");
    assert_eq!(scan["database"], "whole");
    assert_eq!(scan["os"]["id"], "debian");

    resolves_as_apt_installs(&engine, &fleet, host, &said);
}

/// Resolving one update exactly gives the transaction that apt then carries out.
fn resolves_as_apt_installs(
    engine: &Engine,
    fleet: &xtask::fleet::Fleet,
    host: &Host,
    updates: &BTreeMap<String, String>,
) {
    let (name, version) = updates.iter().next_back().expect("an update");
    let arch = shell(
        host,
        &format!("dpkg-query -W -f='${{Architecture}}' {name}"),
    );
    let playbook = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - patch_resolve:\n        wanted:\n          - {{name: {name}, arch: {arch}, version: '{version}'}}\n          - {{name: {name}x, arch: {arch}, version: '1'}}\n"
    );
    let run = engine.apply_text(fleet, &playbook, &["--output", "json"]);
    run.expect_code(0);
    let resolution = returned(&run.output, "resolution");
    let impossible = resolution["impossible"].as_array().expect("a list");
    assert_eq!(impossible.len(), 1, "{impossible:?}");
    let list = "dpkg-query -W -f='${Package} ${Version}\n'";
    let before = shell(host, list);
    shell(
        host,
        &format!("DEBIAN_FRONTEND=noninteractive apt-get -q -y install {name}={version}"),
    );
    let after = shell(host, list);
    let old: BTreeSet<&str> = before.lines().collect();
    let changed: BTreeSet<String> = after
        .lines()
        .filter(|it| !old.contains(it))
        .map(str::to_owned)
        .collect();
    let planned: BTreeSet<String> = resolution["actions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| format!("{} {}", text(&it["package"]["name"]), text(&it["to"])))
        .collect();
    assert_eq!(planned, changed);
}
