//! What a controller needs to know about a fleet: an inventory and the hosts' keys.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{Fleet, Host, Set, keys};
use crate::process::{Context, Result};

/// An INI inventory: `set_a` and `set_b`, and both in `web`.
pub(super) fn ini(fleet: &Fleet, hosts: &[Host]) -> String {
    let mut text = String::new();
    let mut groups = Vec::new();
    for set in [Set::A, Set::B] {
        let members: Vec<&Host> = hosts.iter().filter(|host| host.set() == set).collect();
        if members.is_empty() {
            continue;
        }
        let _ = writeln!(text, "[set_{set}]");
        for host in members {
            let _ = writeln!(text, "{} ansible_host={}", host.name, host.address);
        }
        text.push('\n');
        groups.push(format!("set_{set}\n"));
    }
    let key = fleet.key();
    let known_hosts = fleet.known_hosts();
    let _ = write!(
        text,
        "[web:children]\n{}\n[all:vars]\nansible_user=root\nansible_ssh_private_key_file={}\n\
         ansible_ssh_common_args=-o UserKnownHostsFile={} -o StrictHostKeyChecking=yes\n\
         ansible_python_interpreter=/usr/bin/python3\n",
        groups.concat(),
        key.display(),
        known_hosts.display(),
    );
    text
}

/// The hosts' public keys in the format of sshd(8)'s `known_hosts`.
pub(super) fn known_hosts(store: &Path, hosts: &[Host]) -> Result<String> {
    let mut text = String::new();
    for host in hosts {
        let path = keys::host_key(store, &host.name).with_extension("pub");
        let public = fs::read_to_string(&path).context(format!("read {}", path.display()))?;
        let mut words = public.split_whitespace();
        let (kind, key) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let _ = writeln!(text, "{},{} {kind} {key}", host.address, host.name);
    }
    Ok(text)
}
