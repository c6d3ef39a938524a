//! `gather_subset` and `filter`.

use std::collections::BTreeSet;

use hostler_module_api::ModuleError;

/// What gathers some facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collector {
    Apparmor,
    Chroot,
    Cmdline,
    DateTime,
    Distribution,
    Dns,
    Env,
    Fips,
    Hardware,
    Loadavg,
    Local,
    Lsb,
    Network,
    PkgMgr,
    Platform,
    Selinux,
    ServiceMgr,
    SshPubKeys,
    Systemd,
    User,
    Virtual,
    /// A name that playbooks may use, behind which nothing is gathered here.
    None,
}

/// A collector's name, whether it is in the minimal subset, and single facts that name it.
struct Named(Collector, &'static str, bool, &'static [&'static str]);

/// Sorted by the order in which facts are shown.
const COLLECTORS: &[Named] = &[
    Named(Collector::Distribution, "distribution", true, &["distribution_version", "distribution_release", "distribution_major_version", "os_family"]),
    Named(Collector::Platform, "platform", true, &["system", "kernel", "kernel_version", "machine", "architecture", "machine_id"]),
    Named(Collector::Apparmor, "apparmor", true, &[]),
    Named(Collector::None, "caps", true, &["system_capabilities", "system_capabilities_enforced"]),
    Named(Collector::Chroot, "chroot", false, &["is_chroot"]),
    Named(Collector::Cmdline, "cmdline", true, &[]),
    Named(Collector::DateTime, "date_time", true, &[]),
    Named(Collector::Dns, "dns", true, &[]),
    Named(Collector::Env, "env", true, &[]),
    Named(Collector::None, "facter", false, &[]),
    Named(Collector::None, "fibre_channel_wwn", false, &[]),
    Named(Collector::Fips, "fips", true, &[]),
    Named(Collector::Hardware, "hardware", false, &["devices", "mounts", "processor", "processor_cores", "processor_count"]),
    Named(Collector::None, "iscsi", false, &[]),
    Named(Collector::Loadavg, "loadavg", false, &[]),
    Named(Collector::Local, "local", true, &[]),
    Named(Collector::Lsb, "lsb", true, &[]),
    Named(Collector::Network, "network", false, &["all_ipv4_addresses", "all_ipv6_addresses", "default_ipv4", "default_ipv6", "interfaces"]),
    Named(Collector::None, "nvme", false, &[]),
    Named(Collector::None, "ohai", false, &[]),
    Named(Collector::PkgMgr, "pkg_mgr", true, &[]),
    Named(Collector::None, "python", true, &["python_version"]),
    Named(Collector::Selinux, "selinux", true, &[]),
    Named(Collector::ServiceMgr, "service_mgr", true, &[]),
    Named(Collector::SshPubKeys, "ssh_pub_keys", true, &["ssh_host_pub_keys", "ssh_host_key_dsa_public", "ssh_host_key_rsa_public", "ssh_host_key_ecdsa_public", "ssh_host_key_ed25519_public"]),
    Named(Collector::Systemd, "systemd", false, &[]),
    Named(Collector::User, "user", true, &["user_id", "user_uid", "user_gid", "user_gecos", "user_dir", "user_shell", "real_user_id", "effective_user_id", "effective_group_ids"]),
    Named(Collector::Virtual, "virtual", false, &["virtualization_type", "virtualization_role", "virtualization_tech_guest", "virtualization_tech_host"]),
];

/// The collectors to run.
pub(super) struct Subsets(BTreeSet<usize>);

impl Subsets {
    /// Reads `gather_subset`. The minimal subset is in it unless `!min` is.
    ///
    /// # Errors
    /// A name that is no subset.
    pub(super) fn read(names: &[String]) -> Result<Self, ModuleError> {
        let all = || (0..COLLECTORS.len()).collect::<BTreeSet<_>>();
        let min = || all().into_iter().filter(|at| COLLECTORS[*at].2).collect::<BTreeSet<_>>();
        let (mut wanted, mut unwanted, mut explicit) = (min(), BTreeSet::new(), BTreeSet::new());
        let every = ["all".to_owned()];
        for name in if names.is_empty() { &every } else { names } {
            match name.as_str() {
                "all" => wanted = all(),
                "min" | "" => {}
                "!min" => unwanted.extend(min()),
                "!all" => unwanted.extend(all().difference(&min())),
                name => {
                    let plain = name.strip_prefix('!');
                    match (position(plain.unwrap_or(name)), plain) {
                        (Some(at), None) => {
                            wanted.insert(at);
                            explicit.insert(at);
                        }
                        (Some(at), Some(_)) => drop(unwanted.insert(at)),
                        (None, Some(_)) => {}
                        (None, None) => return Err(unknown(name)),
                    }
                }
            }
        }
        if names.iter().all(|it| it.starts_with('!')) && names.iter().all(|it| it != "!all") {
            wanted = all();
        }
        wanted.retain(|at| !unwanted.contains(at) || explicit.contains(at));
        Ok(Subsets(wanted))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Collector> + '_ {
        self.0.iter().map(|at| COLLECTORS[*at].0)
    }
}

fn position(name: &str) -> Option<usize> {
    COLLECTORS.iter().position(|it| it.1 == name || it.3.contains(&name))
}

fn unknown(name: &str) -> ModuleError {
    let mut names: Vec<&str> = COLLECTORS.iter().flat_map(|it| it.3.iter().copied().chain([it.1])).collect();
    hostler_value::order::sort(&mut names);
    ModuleError::new(format!(
        "Bad subset '{name}' given to Ansible. gather_subset options allowed: all, min, {}",
        names.join(", ")
    ))
}

/// Does a fact's name, with or without the prefix, match one of the patterns?
pub(super) fn is_wanted(filter: &[String], fact: &str) -> bool {
    let prefixed = format!("ansible_{}", fact.replace('-', "_"));
    filter.iter().any(|it| it.is_empty() || fnmatch(it, &prefixed) || fnmatch(&format!("ansible_{it}"), &prefixed))
}

/// Python's `fnmatch`: `*`, `?`, `[seq]`, `[!seq]`.
pub(crate) fn fnmatch(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Where the last `*` stands in the pattern, and from where in the text it was tried.
    let mut star = None;
    let (mut p, mut t) = (0, 0);
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(length) = one(&pattern[p..], text[t]) {
            p += length;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|it| *it == '*')
}

/// How many characters of the pattern match one character; `None` if they do not.
fn one(pattern: &[char], ch: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => {
            let negated = pattern.get(1) == Some(&'!');
            let start = 1 + usize::from(negated);
            // A bracket right after the opening stands for itself.
            let end = pattern.iter().skip(start + 1).position(|it| *it == ']').map(|it| it + start + 1);
            let Some(end) = end else { return (ch == '[').then_some(1) };
            let set = &pattern[start..end];
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
                    found |= (set[at]..=set[at + 2]).contains(&ch);
                    at += 3;
                } else {
                    found |= set[at] == ch;
                    at += 1;
                }
            }
            (found != negated).then_some(end + 1)
        }
        plain => (*plain == ch).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(subset: &[&str]) -> Vec<&'static str> {
        let subset: Vec<String> = subset.iter().map(|it| (*it).to_owned()).collect();
        Subsets::read(&subset).unwrap().0.iter().map(|at| COLLECTORS[*at].1).collect()
    }

    #[test]
    fn subsets() {
        assert_eq!(names(&[]).len(), COLLECTORS.len());
        assert_eq!(names(&["all"]).len(), COLLECTORS.len());
        assert_eq!(names(&["!all"]).len(), 17);
        assert!(names(&["!all", "network"]).contains(&"network"));
        assert_eq!(names(&["!all", "!min", "interfaces"]), ["network"]);
        assert!(!names(&["!hardware"]).contains(&"hardware"));
        assert!(names(&["!hardware"]).contains(&"network"));
        assert!(!names(&["min"]).contains(&"network"));
        let error = Subsets::read(&["nonsense".into()]).err().unwrap();
        assert!(error.msg.starts_with("Bad subset 'nonsense'"));
    }

    #[test]
    fn patterns() {
        let wanted = |filter: &str, fact: &str| is_wanted(&[filter.to_owned()], fact);
        assert!(wanted("ansible_default_*", "default_ipv4"));
        assert!(wanted("default_*", "default_ipv4"));
        assert!(wanted("*_mb", "memtotal_mb") && !wanted("*_mb", "mounts"));
        assert!(wanted("ansible_eth[0-2]", "eth1") && !wanted("ansible_eth[!0-2]", "eth1"));
        assert!(wanted("ansible_br_a", "br-a"));
        assert!(!wanted("a?", "abc") && wanted("a*c*", "abcd") && wanted("x[", "x["));
    }
}
