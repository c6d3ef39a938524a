//! Facts of the operating system.

use std::path::Path;

use hostler_module_api::prelude::*;
use hostler_probes::{exists, names, text, word};

pub(super) fn apparmor(host: &dyn Inspect, facts: &mut Map) {
    let status = if exists(host, "/sys/kernel/security/apparmor") { "enabled" } else { "disabled" };
    facts.insert("apparmor", Map::from_iter([("status", status)]));
}

pub(super) fn fips(host: &dyn Inspect, facts: &mut Map) {
    facts.insert("fips", word(host, "/proc/sys/crypto/fips_enabled").as_deref() == Some("1"));
}

pub(super) fn chroot(host: &dyn Inspect, facts: &mut Map) {
    let at = |path: &str| host.stat(Path::new(path), Follow::Yes).ok().flatten().map(|it| (it.dev, it.ino));
    // Without the right to look at process 1: the root of most file systems is inode 2 (xfs 128, btrfs 256).
    let is_chroot = match (at("/"), at("/proc/1/root/.")) {
        (Some(own), Some(first)) => own != first,
        (Some((_, inode)), None) => ![2, 128, 256].contains(&inode),
        _ => false,
    };
    let named = host.identity().env.iter().any(|(name, value)| name == "debian_chroot" && !value.is_empty());
    facts.insert("is_chroot", named || is_chroot);
}

/// `cmdline` keeps the last of a repeated key, `proc_cmdline` all. Quoted words are kept with their quotes, as
/// Python's `shlex.split(posix=False)` does.
pub(super) fn cmdline(host: &dyn Inspect, facts: &mut Map) {
    let Some(line) = word(host, "/proc/cmdline") else { return };
    let (mut last, mut all) = (Map::new(), Map::new());
    for word in quoted_words(&line) {
        let Some((key, value)) = word.split_once('=') else {
            last.insert(word.as_str(), true);
            all.insert(word.as_str(), true);
            continue;
        };
        last.insert(key, value);
        let value = match all.get(key) {
            None => Value::str(value),
            Some(Value::List(items)) => Value::list(items.iter().cloned().chain([Value::str(value)])),
            Some(one) => Value::list([one.clone(), Value::str(value)]),
        };
        all.insert(key, value);
    }
    facts.insert("cmdline", last);
    facts.insert("proc_cmdline", all);
}

fn quoted_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for ch in line.chars() {
        if ch.is_whitespace() && quote.is_none() {
            words.push(String::new());
            continue;
        }
        match quote {
            Some(open) if open == ch => quote = None,
            None if ch == '"' || ch == '\'' => quote = Some(ch),
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(ch);
        }
    }
    words.retain(|it| !it.is_empty());
    words
}

pub(super) fn distribution(host: &dyn Inspect, facts: &mut Map) {
    let it = hostler_probes::distribution(host);
    facts.insert("distribution", it.name);
    facts.insert("distribution_version", it.version);
    facts.insert("distribution_major_version", it.major);
    facts.insert("distribution_release", it.release);
    facts.insert("os_family", it.family);
    if let Some(minor) = it.minor {
        facts.insert("distribution_minor_version", minor);
    }
    if let (Some(file), Some(variety)) = (it.file, it.variety) {
        facts.insert("distribution_file_parsed", true);
        facts.insert("distribution_file_path", file);
        facts.insert("distribution_file_variety", variety);
    }
    if let Some(searched) = it.search_string {
        facts.insert("distribution_file_search_string", searched);
    }
}

pub(super) fn env(host: &dyn Inspect, facts: &mut Map) {
    let env: Map = host.identity().env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    facts.insert("env", env);
}

pub(super) fn loadavg(host: &dyn Inspect, facts: &mut Map) {
    let line = text(host, "/proc/loadavg").unwrap_or_default();
    let loads: Vec<f64> = line.split_whitespace().take(3).filter_map(|it| it.parse().ok()).collect();
    if let [one, five, fifteen] = loads[..] {
        facts.insert("loadavg", Map::from_iter([("1m", one), ("5m", five), ("15m", fifteen)]));
    }
}

/// What `lsb_release -a` would print, without running it.
pub(super) fn lsb(host: &dyn Inspect, facts: &mut Map) {
    let mut lsb = Map::new();
    if let Some(file) = text(host, "/etc/lsb-release") {
        let file = hostler_probes::parse_os_release(&file);
        let pairs = [
            ("id", "DISTRIB_ID"),
            ("release", "DISTRIB_RELEASE"),
            ("description", "DISTRIB_DESCRIPTION"),
            ("codename", "DISTRIB_CODENAME"),
        ];
        for (name, key) in pairs {
            file.get(key).map(|value| lsb.insert(name, value.as_str()));
        }
    } else if hostler_probes::program(host, "lsb_release").is_some() {
        let os = hostler_probes::os_release(host);
        let get = |key: &str| os.get(key).map(String::as_str);
        let id = get("ID").unwrap_or_default();
        let mut capital = id.to_owned();
        if let Some(first) = capital.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        lsb.insert("id", capital);
        lsb.insert("description", get("PRETTY_NAME").unwrap_or_default());
        lsb.insert("release", get("VERSION_ID").unwrap_or("n/a"));
        lsb.insert("codename", get("VERSION_CODENAME").unwrap_or("n/a"));
    }
    if let Some(release) = lsb.get("release").and_then(Value::as_str) {
        let major = release.split('.').next().unwrap_or_default().to_owned();
        lsb.insert("major_release", major);
    }
    facts.insert("lsb", lsb);
}

pub(super) fn platform(host: &dyn Inspect, facts: &mut Map) {
    let kernel = |name: &str| word(host, format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    // `arch` is there since Linux 6.1; the agent runs natively, so it is the same as the agent's own.
    let machine = Some(kernel("arch")).filter(|it| !it.is_empty()).unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let nodename = hostler_probes::node_name(host);
    let fqdn = hostler_probes::full_name(host, &nodename);
    let bits = usize::BITS.to_string();
    facts.insert("system", "Linux");
    facts.insert("kernel", kernel("osrelease"));
    facts.insert("kernel_version", kernel("version"));
    facts.insert("hostname", nodename.split('.').next().unwrap_or_default());
    facts.insert("nodename", nodename.as_str());
    facts.insert("domain", fqdn.split_once('.').map_or("", |it| it.1));
    facts.insert("fqdn", fqdn);
    let is_x86 = machine == "x86_64";
    let is_i386 = machine.len() == 4 && machine.starts_with('i') && machine.ends_with("86");
    facts.insert("architecture", if is_i386 { "i386" } else { machine.as_str() });
    if is_x86 || is_i386 {
        facts.insert("userspace_architecture", if bits == "64" { "x86_64" } else { "i386" });
    }
    facts.insert("userspace_bits", bits);
    facts.insert("machine", machine);
    let id = word(host, "/var/lib/dbus/machine-id").or_else(|| word(host, "/etc/machine-id"));
    if let Some(id) = id {
        facts.insert("machine_id", id.lines().next().unwrap_or_default());
    }
}

pub(super) fn selinux(host: &dyn Inspect, facts: &mut Map) {
    let root = "/sys/fs/selinux";
    let mut selinux = Map::new();
    let enforce = word(host, format!("{root}/enforce"));
    selinux.insert("status", if enforce.is_some() { "enabled" } else { "disabled" });
    if let Some(enforce) = enforce {
        let config = text(host, "/etc/selinux/config").unwrap_or_default();
        let setting = |key: &str| {
            let mut values = config.lines().filter_map(|it| it.trim().strip_prefix(key)?.strip_prefix('='));
            values.next_back().map_or_else(|| "unknown".to_owned(), |it| it.trim().to_lowercase())
        };
        let version = word(host, format!("{root}/policyvers")).and_then(|it| it.parse::<i64>().ok());
        selinux.insert("policyvers", version.map_or(Value::str("unknown"), Value::from));
        selinux.insert("config_mode", setting("SELINUX"));
        selinux.insert("mode", if enforce == "1" { "enforcing" } else { "permissive" });
        selinux.insert("type", setting("SELINUXTYPE"));
    }
    facts.insert("selinux", selinux);
}

pub(super) fn ssh_host_keys(host: &dyn Inspect, facts: &mut Map) {
    for dir in ["/etc/ssh", "/etc/openssh", "/etc"] {
        let mut found = false;
        for algorithm in ["dsa", "rsa", "ecdsa", "ed25519"] {
            let line = word(host, format!("{dir}/ssh_host_{algorithm}_key.pub")).unwrap_or_default();
            let mut words = line.split_whitespace();
            if let (Some(kind), Some(key)) = (words.next(), words.next()) {
                facts.insert(format!("ssh_host_key_{algorithm}_public"), key);
                facts.insert(format!("ssh_host_key_{algorithm}_public_keytype"), kind);
                found = true;
            }
        }
        if found {
            return;
        }
    }
}

/// The version, read off the name of systemd's own library (`libsystemd-shared-252.so`); its list of features would
/// cost a program.
pub(super) fn systemd(host: &dyn Inspect, facts: &mut Map) {
    if !hostler_probes::systemd_is_running(host) {
        return;
    }
    let arch = format!("/usr/lib/{}-linux-gnu/systemd", std::env::consts::ARCH);
    for dir in [arch.as_str(), "/usr/lib/systemd", "/lib/systemd", "/usr/lib64/systemd"] {
        let version = names(host, dir).iter().find_map(|name| {
            let digits = name.strip_prefix("libsystemd-shared-")?.split(|ch: char| !ch.is_ascii_digit()).next()?;
            digits.parse::<i64>().ok()
        });
        if let Some(version) = version {
            facts.insert("systemd", Map::from_iter([("version", version)]));
            return;
        }
    }
}

pub(super) fn user(host: &dyn Inspect, facts: &mut Map) {
    let identity = host.identity();
    facts.insert("user_id", identity.user.as_str());
    if let Ok(Some(account)) = host.account(&identity.user) {
        facts.insert("user_uid", account.uid);
        facts.insert("user_gid", account.gid);
        facts.insert("user_gecos", account.gecos);
        facts.insert("user_dir", account.home);
        facts.insert("user_shell", account.shell);
    }
    let status = text(host, "/proc/self/status").unwrap_or_default();
    let real = |key: &str| {
        let line = status.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix(':'));
        line?.split_whitespace().next()?.parse::<u32>().ok()
    };
    facts.insert("real_user_id", real("Uid").unwrap_or(identity.uid));
    facts.insert("effective_user_id", identity.uid);
    facts.insert("real_group_id", real("Gid").unwrap_or(identity.gid));
    facts.insert("effective_group_id", identity.gid);
}

pub(super) fn virtualization(host: &dyn Inspect, facts: &mut Map) {
    let it = hostler_probes::virtualization(host);
    facts.insert("virtualization_type", it.kind);
    facts.insert("virtualization_role", it.role);
    facts.insert("virtualization_tech_guest", Value::list(it.guest.into_iter().map(Value::from)));
    facts.insert("virtualization_tech_host", Value::list(it.host.into_iter().map(Value::from)));
}
