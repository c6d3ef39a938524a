//! Once with the real thing: Debian's own security updates.

use std::fs;

use real_hosts::{fleet, shell};
use xtask::fleet::{AptProxy, Init};

#[test]
fn security_updates_of_debian() {
    let Some((fleet, hosts)) = fleet("debian-updates", 1, Init::Systemd) else {
        return;
    };
    let proxy = AptProxy::start(&fleet).unwrap_or_else(|failure| panic!("{failure}"));
    let host = &hosts[0];
    proxy.configure(host).unwrap();
    shell(
        host,
        "sed -n 's,^deb \\([^ ]*\\) bookworm main,deb \\1-security bookworm-security main,p' /etc/apt/sources.list >/etc/apt/sources.list.d/security.list; cat /etc/apt/sources.list.d/security.list",
    );
    let said = shell(host, "apt-get update; apt-get -s dist-upgrade | grep ^Inst");
    eprintln!("{said}");
}
