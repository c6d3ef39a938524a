//! apt, with packages from the Debian mirror that this machine uses.

use std::collections::BTreeMap;

use real_hosts::engine::Engine;
use real_hosts::{fleet, shell};
use xtask::fleet::{AptProxy, Fleet, Host, Init};

fn one(arguments: &str) -> String {
    format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.apt: {{{arguments}}}\n"
    )
}

/// Everything that apt and dpkg keep, by hash and time.
const STATE: &str = "cd /; find /var/lib/dpkg /var/lib/apt /var/cache/apt /var/log/apt /etc/apt -type f -printf '%p %C@ ' -exec sha256sum {} + | sort | sha256sum";

/// Versions of installed packages by name.
fn versions(host: &Host) -> BTreeMap<String, String> {
    let list = shell(
        host,
        "dpkg-query -W -f='${db:Status-Status} ${Package} ${Version}\n' | grep ^installed",
    );
    let line = |line: &str| {
        let mut words = line.split(' ').skip(1).map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    list.lines().filter_map(line).collect()
}

/// The versions that a preview names, by package; an empty one is "removed".
fn named(preview: &str) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for line in preview.lines().filter(|line| line.starts_with('{')) {
        let event: serde_json::Value = serde_json::from_str(line).expect("events are JSON");
        for delta in event["result"]["deltas"].as_array().into_iter().flatten() {
            let package = delta["subject"].as_str().unwrap_or_default();
            let field = &delta["change"]["field"];
            if let (Some(name), Some("version")) =
                (package.strip_prefix("package "), field["name"].as_str())
            {
                let after = field["after"].as_str().unwrap_or_default();
                named.insert(name.to_owned(), after.to_owned());
            }
        }
    }
    named
}

/// What became of each task.
fn statuses(run: &str) -> Vec<String> {
    let events = run.lines().filter(|line| line.starts_with('{'));
    let events = events.map(|line| serde_json::from_str(line).expect("events are JSON"));
    let ended = events.filter(|it: &serde_json::Value| it["event"] == "task_finished");
    ended.map(|it| it["result"]["status"].to_string()).collect()
}

/// Lets a host reach the Debian archive, as long as what is returned lives.
fn archive_for(fleet: &Fleet, host: &Host) -> AptProxy {
    let proxy = AptProxy::start(fleet).unwrap_or_else(|failure| panic!("{failure}"));
    proxy
        .configure(host)
        .unwrap_or_else(|failure| panic!("{failure}"));
    proxy
}

#[test]
fn previews_name_the_versions_that_apt_then_installs() {
    let Some((fleet, hosts)) = fleet("foreseen", 1, Init::Sshd) else {
        return;
    };
    let host = &hosts[0];
    let _proxy = archive_for(&fleet, host);
    let engine = Engine::under_test();
    if !engine.is_hostler() {
        return;
    }
    shell(host, "apt-get update");
    shell(
        host,
        "printf 'Package: tree\nPin: version *\nPin-Priority: -1\n' >/etc/apt/preferences.d/no-tree; apt-mark hold cron",
    );
    let tasks = "- hosts: all
  gather_facts: false
  tasks:
    - {apt: {name: nginx}}
    - {apt: {name: [nginx, nginx-common]}}
    - {apt: {name: nginx-common, state: absent}}
    - {package: {name: jq}}
    - {apt: {autoremove: true, purge: true}}
    - {apt: {name: jq, state: latest}}
";
    let (state, before) = (shell(host, STATE), versions(host));
    let preview = engine.apply_text(&fleet, tasks, &["--check", "--output", "json"]);
    preview.expect_code(0).says(&["to download"]);
    assert_eq!(shell(host, STATE), state, "a preview writes nothing");
    for refused in [
        "name: cron, state: absent",
        "name: tree",
        "name: dpkg, state: absent",
    ] {
        let check = engine.apply_text(&fleet, &one(refused), &["--check"]);
        check.expect_code(2);
        engine.apply_text(&fleet, &one(refused), &[]).expect_code(2);
    }
    let real = engine.apply_text(&fleet, tasks, &["--output", "json"]);
    real.expect_code(0);
    assert_eq!(statuses(&preview.output), statuses(&real.output));
    let after = versions(host);
    let named = named(&preview.output);
    assert!(named.len() > 3, "{named:?}");
    for (package, version) in &named {
        let is = after.get(package).cloned().unwrap_or_default();
        assert_eq!((package, &is), (package, version));
    }
    for (package, version) in &after {
        let was_named = named.contains_key(package);
        assert!(
            was_named || before.get(package) == Some(version),
            "{package}"
        );
    }
}

const INSTALLED: &str = "dpkg-query -W -f='${Status}' tree 2>/dev/null || echo none";

#[test]
fn packages_are_installed_kept_and_removed() {
    let Some((fleet, hosts)) = fleet("packages", 1, Init::Sshd) else {
        return;
    };
    let host = &hosts[0];
    let _proxy = archive_for(&fleet, host);
    let engine = Engine::under_test();
    let changed = |arguments: &str, flags: &[&str]| {
        let run = engine.apply_text(&fleet, &one(arguments), flags);
        run.expect_code(0).count(&host.name, "changed")
    };

    shell(host, "apt-get update");
    assert_eq!(changed("name: tree", &["--check"]), 1);
    assert_eq!(shell(host, INSTALLED), "none");
    assert_eq!(
        changed(
            "name: tree, update_cache: true, cache_valid_time: 3600",
            &[]
        ),
        1
    );
    assert_eq!(shell(host, INSTALLED), "install ok installed");
    assert_eq!(changed("name: [tree, cron], state: present", &[]), 0);
    assert_eq!(changed("name: tree, state: latest", &[]), 0);

    shell(host, "apt-mark hold tree");
    let held = engine.apply_text(&fleet, &one("name: tree, state: absent"), &[]);
    held.expect_code(2).says(&["held"]);
    assert_eq!(shell(host, INSTALLED), "hold ok installed");
    assert_eq!(
        changed(
            "name: tree, state: absent, purge: true, allow_change_held_packages: true",
            &[]
        ),
        1
    );
    assert_eq!(
        shell(
            host,
            "dpkg-query -W -f='${db:Status-Status}' tree 2>/dev/null || echo none"
        ),
        "none"
    );
    assert_eq!(changed("name: tree, state: absent", &[]), 0);

    let unknown = engine.apply_text(&fleet, &one("name: no-such-package-here"), &[]);
    unknown.expect_code(2).says(&["no-such-package-here"]);
}
