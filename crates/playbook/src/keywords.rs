//! Which keyword may stand where, and which of Ansible's are not available yet.

/// Keywords that plays, blocks and tasks share.
pub(crate) const SHARED: &[&str] = &[
    "name",
    "vars",
    "tags",
    "become",
    "become_user",
    "become_method",
    "become_flags",
    "become_exe",
    "environment",
    "remote_user",
    "port",
    "connection",
    "ignore_errors",
    "ignore_unreachable",
    "any_errors_fatal",
    "no_log",
    "check_mode",
    "diff",
    "run_once",
    "throttle",
    "timeout",
    "module_defaults",
    "collections",
];

/// Keywords that only plays have.
pub(crate) const PLAY: &[&str] = &[
    "hosts",
    "vars_files",
    "gather_facts",
    "gather_subset",
    "gather_timeout",
    "fact_path",
    "serial",
    "max_fail_percentage",
    "force_handlers",
    "order",
    "pre_tasks",
    "tasks",
    "post_tasks",
    "handlers",
    "strategy",
];

/// Keywords that blocks and tasks have, plays not.
pub(crate) const INNER: &[&str] = &["when", "delegate_to", "delegate_facts"];

/// Keywords that only blocks have.
pub(crate) const BLOCK: &[&str] = &["block", "rescue", "always"];

/// Keywords that only tasks and handlers have.
pub(crate) const TASK: &[&str] = &[
    "action",
    "local_action",
    "args",
    "loop",
    "loop_control",
    "with_items",
    "with_list",
    "with_dict",
    "register",
    "until",
    "retries",
    "delay",
    "changed_when",
    "failed_when",
    "notify",
    "listen",
];

/// Ansible's keywords that are not available yet: an error that says so, not a guess.
pub(crate) const LATER: &[&str] = &[
    "roles",
    "vars_prompt",
    "async",
    "poll",
    "debugger",
    "import_playbook",
    "validate_argspec",
];

/// Ansible's modules that are part of the language and are not available yet.
pub(crate) const LATER_ACTIONS: &[&str] = &[
    "include_tasks",
    "import_tasks",
    "include_role",
    "import_role",
    "include_vars",
    "import_playbook",
    "include",
    "add_host",
    "group_by",
    "script",
    "fetch",
    "reboot",
    "wait_for_connection",
    "unarchive",
    "uri",
    "git",
    "pip",
];

/// The part of a module's name after its collection, if it is one of ansible-core's.
pub(crate) fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .unwrap_or(name)
}
