//! apt, with packages from the Debian mirror that this machine uses.

use real_hosts::engine::Engine;
use real_hosts::{fleet, shell};
use xtask::fleet::{AptProxy, Init};

fn one(arguments: &str) -> String {
    format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.apt: {{{arguments}}}\n"
    )
}

const INSTALLED: &str = "dpkg-query -W -f='${Status}' tree 2>/dev/null || echo none";

#[test]
fn packages_are_installed_kept_and_removed() {
    let Some((fleet, hosts)) = fleet("packages", 1, Init::Sshd) else {
        return;
    };
    let host = &hosts[0];
    let proxy = AptProxy::start(&fleet).unwrap_or_else(|failure| panic!("{failure}"));
    proxy
        .configure(host)
        .unwrap_or_else(|failure| panic!("{failure}"));
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
