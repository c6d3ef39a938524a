//! Facts as variables: `ansible_facts`, and each fact under its old name `ansible_NAME`.
//!
//! Facts come from a host, which may be hostile. Names that decide how hostler reaches a host or what it runs there are
//! never made variables of facts; they stay visible in `ansible_facts`.

use hostler_value::{Map, Value};

/// Variables that facts must not set, without `ansible_`: those of connections, and those that the engine sets itself
/// (some of them only at times, such as `ansible_limit` or `ansible_loop`).
const RESERVED: [&str; 41] = [
    "check_mode",
    "config_file",
    "connection",
    "connection_user",
    "delegated_vars",
    "dependent_role_names",
    "diff_mode",
    "facts",
    "failed_result",
    "failed_task",
    "forks",
    "host",
    "host_key_checking",
    "index_var",
    "inventory_sources",
    "limit",
    "loop",
    "loop_var",
    "managed",
    "module_compression",
    "network_os",
    "parent_role_names",
    "password",
    "pipelining",
    "play_batch",
    "play_hosts",
    "play_hosts_all",
    "play_name",
    "play_role_names",
    "playbook_python",
    "port",
    "private_key_file",
    "role_names",
    "rsync_path",
    "run_tags",
    "search_path",
    "skip_tags",
    "timeout",
    "user",
    "verbosity",
    "version",
];

/// Connection and become variables that come in families.
const RESERVED_STARTS: [&str; 14] = [
    "become",
    "doas_",
    "docker_",
    "local_",
    "paramiko_",
    "private_key_",
    "psrp_",
    "scp_",
    "sftp_",
    "shell_",
    "ssh_",
    "su_",
    "sudo_",
    "winrm_",
];

/// The prefix of the old names.
const PREFIX: &str = "ansible_";

/// May the fact be a variable?
pub(crate) fn is_variable(fact: &str) -> bool {
    if fact.starts_with("ssh_host_key_") || fact.ends_with("_bridge") || fact.ends_with("_gwbridge")
    {
        return true;
    }
    let reserved = RESERVED.contains(&fact)
        || RESERVED_STARTS.iter().any(|start| fact.starts_with(start))
        || fact.ends_with("_interpreter");
    !reserved
}

/// Could a fact set the variable of this name, so that what the inventory says about it does not count?
pub fn can_be_fact(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(is_variable) || name == "ansible_facts"
}

/// The value of `name` as a variable made of a fact.
pub(crate) fn variable<'a>(facts: &'a Map, name: &str) -> Option<&'a Value> {
    let fact = name.strip_prefix(PREFIX)?;
    facts.get(fact).filter(|_| is_variable(fact))
}

/// The names of variables made of facts.
pub(crate) fn names(facts: &Map) -> impl Iterator<Item = String> {
    let facts = facts.keys().filter_map(Value::as_str);
    facts
        .filter(|fact| is_variable(fact))
        .map(|fact| format!("{PREFIX}{fact}"))
}

/// Facts without their prefix, as `ansible_facts` shows them.
pub(crate) fn without_prefix(facts: &Map) -> Map {
    facts
        .iter()
        .map(|(name, value)| {
            let short = name.as_str().and_then(|it| it.strip_prefix(PREFIX));
            (
                short.map_or_else(|| name.clone(), Value::str),
                value.clone(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_do_not_decide_about_connections() {
        let names = [
            "distribution",
            "host",
            "become_password",
            "ssh_common_args",
            "python_interpreter",
            "default_ipv4",
        ];
        let facts: Map = names.iter().map(|name| (*name, "x")).collect();
        assert!(variable(&facts, "ansible_distribution").is_some());
        assert!(variable(&facts, "ansible_default_ipv4").is_some());
        assert!(variable(&facts, "distribution").is_none());
        for name in [
            "ansible_host",
            "ansible_become_password",
            "ansible_ssh_common_args",
            "ansible_python_interpreter",
            "ansible_host_key_checking",
            "ansible_sudo_pass",
            "ansible_private_key_passphrase",
            "ansible_limit",
            "ansible_loop_var",
        ] {
            assert!(!can_be_fact(name), "{name}");
            assert!(variable(&facts, name).is_none(), "{name}");
        }
        assert_eq!(super::names(&facts).count(), 2);
        assert!(is_variable("ssh_host_key_rsa_public"));
    }
}
