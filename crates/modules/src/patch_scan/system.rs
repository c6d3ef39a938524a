//! The host besides its packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use hostler_module_api::Hasher;
use hostler_module_api::prelude::*;
use hostler_probes::{names, text, word};
use hostler_updates::{Finding, Os, PackageName, Space};

/// Most characters of the reason why a host must not be patched.
const REASON_MAX: usize = 200;
/// Seconds that a file system may take to tell its space.
const SPACE_MAX_S: u64 = 10;
/// Most people that are named.
const USERS_MAX: usize = 50;

pub(crate) fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn boot_id(host: &dyn Inspect) -> String {
    word(host, "/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

pub(super) fn uptime_s(host: &dyn Inspect) -> u64 {
    let text = word(host, "/proc/uptime").unwrap_or_default();
    text.split('.').next().and_then(|it| it.parse().ok()).unwrap_or(0)
}

pub(super) fn os(host: &dyn Inspect) -> Os {
    let os = hostler_probes::os_release(host);
    let get = |key: &str| os.get(key).map(|it| it.chars().take(100).collect()).unwrap_or_default();
    Os { id: get("ID"), version: get("VERSION_ID"), name: get("PRETTY_NAME"), codename: get("VERSION_CODENAME") }
}

/// The kernel tells since Linux 6.1; the agent runs natively, so that it is the same as the agent's own.
pub(super) fn arch(host: &dyn Inspect) -> String {
    word(host, "/proc/sys/kernel/arch").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// SHA-256 over lines `name:arch version`, sorted.
pub(crate) fn installed_sha256(installed: &BTreeMap<PackageName, String>) -> String {
    let Some(mut hasher) = Hasher::new("sha256") else {
        return String::new();
    };
    let mut line = String::new();
    for (package, version) in installed {
        line.clear();
        let _ = writeln!(line, "{package} {version}");
        hasher.update(line.as_bytes());
    }
    hasher.hex()
}

/// Space on `/`, and on `/var` and `/boot` where those are file systems of their own.
pub(crate) fn space(host: &dyn Inspect) -> Vec<Space> {
    let mounts = hostler_probes::parse_mounts(&text(host, "/proc/mounts").unwrap_or_default());
    let wanted = ["/", "/boot", "/boot/efi", "/var", "/var/cache", "/var/lib"];
    let one = |path: &&str| {
        // What is mounted last at a place is what one sees. A container's `/` need not be a device.
        let mount = mounts.iter().rev().find(|it| it.path == *path);
        let mount = match (mount, *path) {
            (Some(mount), _) => mount.clone(),
            (None, "/") => hostler_probes::Mount { path: "/".into(), ..hostler_probes::Mount::default() },
            (None, _) => return None,
        };
        let it = mount.space(host, SPACE_MAX_S)?;
        Some(Space {
            path: mount.path,
            free_bytes: it.blocks_available.saturating_mul(it.fragment_size),
            size_bytes: it.blocks.saturating_mul(it.fragment_size),
            free_inodes: (it.inodes > 0).then_some(it.inodes_available),
        })
    };
    wanted.iter().filter_map(one).collect()
}

/// First line of the file that forbids patching; `no reason given` if it is empty.
pub(crate) fn forbidden(host: &dyn Inspect) -> Option<String> {
    let path = hostler_package_managers::FORBIDDEN;
    if !hostler_probes::exists(host, path) {
        return None;
    }
    let text = text(host, path).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default().trim();
    Some(if line.is_empty() { "no reason given".to_owned() } else { line.chars().take(REASON_MAX).collect() })
}

/// People who are logged in at a terminal; connections of programs, such as this one, have none. From the session
/// files of logind.
pub(super) fn users(host: &dyn Inspect) -> Vec<String> {
    let dir = "/run/systemd/sessions";
    let mut found = BTreeSet::new();
    for name in names(host, dir).into_iter().filter(|it| it.strip_suffix(".ref").is_none()) {
        let session = text(host, format!("{dir}/{name}")).unwrap_or_default();
        let get = |key: &str| {
            let line = session.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
            line.map(str::trim).filter(|it| !it.is_empty())
        };
        let is_open = !matches!(get("STATE"), Some("closing"));
        if let (Some(user), Some("user"), true, true) = (get("USER"), get("CLASS"), get("TTY").is_some(), is_open) {
            found.insert(user.chars().take(64).collect::<String>());
        }
    }
    found.into_iter().take(USERS_MAX).collect()
}

/// Beginnings of device names that depend on the order in which disks are found.
const BY_ORDER: &[&str] = &["/dev/sd", "/dev/hd", "/dev/vd", "/dev/xvd", "/dev/nvme"];

/// Entries of `/etc/fstab` by device name: another order of disks at boot, and the host does not come up.
pub(crate) fn fstab(host: &dyn Inspect, findings: &mut Vec<Finding>) {
    let text = text(host, "/etc/fstab").unwrap_or_default();
    for line in text.lines().map(str::trim).filter(|it| !it.starts_with('#')) {
        let mut fields = line.split_whitespace();
        let (Some(device), Some(place), _, options) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let is_lenient = options.unwrap_or_default().split(',').any(|it| it == "nofail" || it == "noauto");
        if BY_ORDER.iter().any(|it| device.starts_with(it)) && !is_lenient && findings.len() < 1000 {
            findings.push(Finding {
                code: "fstab-device-name".to_owned(),
                text: format!("/etc/fstab mounts {place} from {device}: after a reboot that may be another disk"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::FakeHost;

    #[test]
    fn sessions_of_people() {
        let host = FakeHost::bare()
            .dir("/run/systemd/sessions", 0o755)
            .file("/run/systemd/sessions/3", "# x\nUID=0\nUSER=root\nACTIVE=1\nSTATE=active\nTTY=pts/0\nCLASS=user\n")
            .file("/run/systemd/sessions/4", "USER=hostler\nSTATE=active\nCLASS=user\n")
            .file("/run/systemd/sessions/5", "USER=gone\nSTATE=closing\nTTY=pts/1\nCLASS=user\n")
            .file("/run/systemd/sessions/c1", "USER=gdm\nTTY=tty1\nCLASS=greeter\n");
        assert_eq!(users(&host), ["root"]);
        assert!(users(&FakeHost::bare()).is_empty());
    }

    #[test]
    fn what_forbids() {
        assert_eq!(forbidden(&FakeHost::bare()), None);
        let with = |text: &str| FakeHost::bare().file("/etc/hostler/no-patch", text);
        assert_eq!(forbidden(&with("demo on Friday\nmore")).as_deref(), Some("demo on Friday"));
        assert_eq!(forbidden(&with("\n")).as_deref(), Some("no reason given"));
    }

    #[test]
    fn devices_by_order() {
        let mut findings = Vec::new();
        let host = FakeHost::bare().file("/etc/fstab", "# /dev/sda9 /x ext4\n/dev/sdb1 /srv ext4 defaults 0 2\nUUID=1 / ext4 defaults 0 1\n/dev/sdc1 /usb vfat nofail 0 0\n/dev/sr0 /cd auto noauto\n");
        fstab(&host, &mut findings);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].text.contains("/srv from /dev/sdb1"));
    }

    #[test]
    fn equal_hosts_have_equal_hashes() {
        let one = |version: &str| BTreeMap::from([(PackageName { name: "a".into(), arch: "all".into() }, version.to_owned())]);
        assert_eq!(installed_sha256(&one("1")), installed_sha256(&one("1")));
        assert_ne!(installed_sha256(&one("1")), installed_sha256(&one("2")));
        // echo "a:all 1" | sha256sum
        assert_eq!(installed_sha256(&one("1")).len(), 64);
    }
}
