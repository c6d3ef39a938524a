//! Once with the real thing: Debian's own security updates, from Debian's own archive.

use std::collections::BTreeMap;

use real_hosts::shell;
use xtask::fleet::AptProxy;

use crate::night::{Night, done};

const SECURITY: &str = "sed -n 's,^deb \\([^ ]*\\) bookworm main$,deb \\1-security bookworm-security main,p' \
                        /etc/apt/sources.list >/etc/apt/sources.list.d/security.list; \
                        test -s /etc/apt/sources.list.d/security.list";
/// What apt itself would upgrade, by what it says of where that comes from.
const WAITING: &str =
    "apt-get -qq update; apt-get -s dist-upgrade | grep '^Inst.*Debian-Security' || true";
const STALE: &str = "grep -l ' (deleted)' /proc/[0-9]*/maps 2>/dev/null | \
                     while read -r maps; do cat ${maps%/maps}/comm; done | sort -u | grep -E '^(sshd|cron)$' || true";

#[test]
fn security_updates_of_debian_are_installed_and_run() {
    let Some(night) = Night::bare("debian-updates", 1) else {
        return;
    };
    let proxy = AptProxy::start(&night.fleet).unwrap_or_else(|failure| panic!("{failure}"));
    for host in &night.hosts {
        done(proxy.configure(host));
        shell(host, SECURITY);
    }
    // A library of systemd may be among them: then it is rebooted, too.
    let policy = night.monthly(4 * 3600, "[rest]", "reboot: {logins: 1}\n");
    let text = std::fs::read_to_string(&policy).expect("read the policy");
    let text = text.replace("updates: all", "updates: security");
    std::fs::write(&policy, text).expect("write the policy");
    let (file, plan) = night.plan(&policy);
    let waiting = shell(&night.hosts[0], WAITING);
    assert!(
        !waiting.is_empty(),
        "the archive has nothing new for this base"
    );

    night.apply(&file).expect_code(0);
    for host in &night.hosts {
        assert_eq!(shell(host, WAITING), "", "{}", host.name);
        assert_eq!(shell(host, "dpkg --audit"), "", "{}", host.name);
        let list = shell(
            host,
            "dpkg-query -W -f='${Package}:${Architecture} ${Version}\n'",
        );
        let now: BTreeMap<&str, &str> = list.lines().filter_map(|it| it.split_once(' ')).collect();
        let actions = plan["hosts"][&host.name]["actions"].as_array();
        let actions = actions.expect("the plan has the host");
        assert!(actions.len() >= waiting.lines().count());
        for action in actions {
            let package = &action["package"];
            let name = |key: &str| package[key].as_str().expect("a text").to_owned();
            let package = format!("{}:{}", name("name"), name("arch"));
            assert_eq!(
                now.get(&*package).copied(),
                action["to"].as_str(),
                "{package}"
            );
        }
        assert_eq!(
            shell(host, STALE),
            "",
            "{}: services run what was replaced",
            host.name
        );
    }
}
