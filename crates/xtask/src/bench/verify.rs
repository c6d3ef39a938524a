//! A time counts only if the work was done: the end state of `playbooks/baseline.yml`, looked up on every host.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::fleet::Host;
use crate::process::{Context, Failure, Result};

/// Path, type and permission bits (as in stat(2)), owner, group, and a piece of the content.
type Expected = (&'static str, u32, u32, u32, &'static str);

const USER: u32 = 4200;
const GROUP: u32 = 4200;

const END_STATE: [Expected; 20] = [
    ("etc/group", 0o100_644, 0, 0, "\nshopops:x:4200:\n"),
    (
        "etc/passwd",
        0o100_644,
        0,
        0,
        "\nshop:x:4200:4200:Shop application:/srv/shop:/usr/sbin/nologin\n",
    ),
    ("srv/shop", 0o040_755, 0, GROUP, ""),
    ("srv/shop/conf", 0o040_750, 0, GROUP, ""),
    ("srv/shop/data", 0o042_770, USER, GROUP, ""),
    ("var/log/shop", 0o040_750, USER, GROUP, ""),
    ("etc/motd", 0o100_644, 0, 0, "\nAddress: "),
    (
        "srv/shop/conf/app.ini",
        0o100_640,
        USER,
        GROUP,
        "\nworkers = 7\n",
    ),
    (
        "srv/shop/conf/site-front.conf",
        0o100_640,
        0,
        GROUP,
        "    listen 8081;\n",
    ),
    (
        "srv/shop/conf/site-api.conf",
        0o100_640,
        0,
        GROUP,
        "    listen 8082;\n",
    ),
    (
        "srv/shop/conf/site-admin.conf",
        0o100_640,
        0,
        GROUP,
        "    deny all;\n",
    ),
    (
        "etc/profile.d/shop.sh",
        0o100_644,
        0,
        0,
        "export APP_PORTS=\"8081-8083\"\n",
    ),
    ("etc/logrotate.d/shop", 0o100_644, 0, 0, "    rotate 12\n"),
    (
        "etc/sudoers.d/shop",
        0o100_440,
        0,
        0,
        "\n%shopops ALL=(root) NOPASSWD: /usr/bin/systemctl restart shop\n",
    ),
    ("etc/ssh/sshd_config", 0o100_644, 0, 0, "\nMaxAuthTries 4\n"),
    ("etc/login.defs", 0o100_644, 0, 0, "\nUMASK\t\t027\n"),
    ("etc/default/shop", 0o100_644, 0, 0, "APP_ROOT=/srv/shop\n"),
    (
        "etc/hosts",
        0o100_644,
        0,
        0,
        "\n# BEGIN managed: shop\n192.0.2.10 db.shop.internal db\n",
    ),
    (
        "srv/shop/release.json",
        0o100_644,
        0,
        0,
        "\"sites\": [\"front\", \"api\", \"admin\"]",
    ),
    ("srv/shop/data/restart-needed", 0o100_640, USER, GROUP, ""),
];

/// Fails unless `host` is as the baseline leaves it.
pub(super) fn baseline(host: &Host) -> Result<()> {
    let wrong = |path: &str, what: String| Failure::new(format!("{}: /{path} {what}", host.name));
    for (path, mode, owner, group, needle) in END_STATE {
        let file = host.upper().join(path);
        let metadata = fs::symlink_metadata(&file).context(format!("{}: /{path}", host.name))?;
        let found = (metadata.mode(), metadata.uid(), metadata.gid());
        if found != (mode, owner, group) {
            return Err(wrong(
                path,
                format!(
                    "has mode {:o}, owner {}, group {}",
                    found.0, found.1, found.2
                ),
            ));
        }
        if !needle.is_empty() {
            let text = fs::read_to_string(&file).context(format!("{}: /{path}", host.name))?;
            if !text.contains(needle) {
                return Err(wrong(path, format!("does not contain {needle:?}")));
            }
        }
    }
    let crontab = host.upper().join("var/spool/cron/crontabs/shop");
    let jobs =
        fs::read_to_string(crontab).context(format!("{}: the crontab of shop", host.name))?;
    if !jobs.contains("\n17 3 * * * find /srv/shop/data -type f -mtime +30 -delete\n") {
        return Err(wrong(
            "var/spool/cron/crontabs/shop",
            "lacks the job".to_owned(),
        ));
    }
    let link = fs::read_link(host.upper().join("etc/shop"))
        .context(format!("{}: /etc/shop", host.name))?;
    if link.as_os_str() != "/srv/shop/conf" {
        return Err(wrong("etc/shop", format!("points to {}", link.display())));
    }
    Ok(())
}

/// Fails unless `recap` (ansible-playbook's form) has a line for every host that says that it was reached, that nothing failed, and, with
/// `settled`, that nothing was changed.
pub(super) fn recap(output: &str, hosts: &[Host], settled: bool) -> Result<()> {
    for host in hosts {
        let line = output
            .lines()
            .rev()
            .find(|line| {
                line.split(" : ")
                    .next()
                    .is_some_and(|name| name.trim() == host.name)
            })
            .context(format!("no recap line for {}", host.name))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let fine = words.contains(&"unreachable=0") && words.contains(&"failed=0");
        if !fine || (settled && !words.contains(&"changed=0")) {
            return Err(Failure::new(format!("the recap says: {line}")));
        }
    }
    Ok(())
}
