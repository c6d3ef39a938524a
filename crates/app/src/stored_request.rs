//! A request as it is kept in the run store, to go on with later. Passwords are never kept.

use std::path::PathBuf;
use std::time::Duration;

use hostler_executor::Limits;
use serde::{Deserialize, Serialize};

use crate::mandate::Carries;
use crate::request::{ApplyRequest, BecomeRequest, ConnectRequest};

/// Everything of a request but passwords, the state directory and other runs' locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRequest {
    /// The working directory: relative paths mean something there only.
    pub(crate) directory: String,
    /// SHA-256 of the agent, in hexadecimal digits.
    pub(crate) agent: String,
    playbooks: Vec<PathBuf>,
    inventory: Vec<String>,
    limit: Option<String>,
    tags: Vec<String>,
    skip_tags: Vec<String>,
    extra_vars: Vec<String>,
    forks: Option<usize>,
    check: bool,
    diff: bool,
    start_at_task: Option<String>,
    force_handlers: bool,
    verbosity: u8,
    reconnect: Duration,
    task_timeout: Option<Duration>,
    host_budget: Option<Duration>,
    user: Option<String>,
    private_key: Option<PathBuf>,
    connection: Option<String>,
    timeout_s: Option<u64>,
    ssh_common_args: Option<String>,
    ssh_extra_args: Option<String>,
    accept_new_host_keys: bool,
    ssh_config: Option<PathBuf>,
    becomes: bool,
    become_method: Option<String>,
    become_user: Option<String>,
    /// Which passwords were given: the same are needed again.
    pub(crate) had: Passwords,
    /// It carried out something that was not kept with it, as earlier versions did with plans.
    #[serde(default)]
    pub(crate) by_plan: bool,
    /// What it carries out.
    #[serde(default)]
    pub(crate) carries: Carries,
    /// It patches: the id of the plan that it carries out.
    #[serde(default)]
    pub(crate) patch: Option<String>,
}

/// Which passwords a run was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passwords {
    /// The login password (`-k`).
    pub login: bool,
    /// The password for becoming (`-K`).
    pub r#become: bool,
}

/// The agent that this program pushes, by hash.
pub(crate) fn agent() -> String {
    crate::plan::hex(&hostler_agent_image::SHA256)
}

impl StoredRequest {
    /// What is kept of a request.
    pub(crate) fn of(request: &ApplyRequest, directory: String, carries: Carries) -> Self {
        let ApplyRequest {
            playbooks,
            inventory,
            limit,
            tags,
            skip_tags,
            extra_vars,
            forks,
            check,
            diff,
            run_read_only: _,
            start_at_task,
            force_handlers,
            verbosity,
            state: _,
            locks: _,
            limits,
            connect,
            r#become,
        } = request.clone();
        let had = Passwords {
            login: connect.password.is_some(),
            r#become: r#become.password.is_some(),
        };
        StoredRequest {
            directory,
            agent: agent(),
            playbooks,
            inventory,
            limit,
            tags,
            skip_tags,
            extra_vars,
            forks,
            check,
            diff,
            start_at_task,
            force_handlers,
            verbosity,
            reconnect: limits.reconnect,
            task_timeout: limits.task,
            host_budget: limits.host,
            user: connect.user,
            private_key: connect.private_key,
            connection: connect.connection,
            timeout_s: connect.timeout_s,
            ssh_common_args: connect.ssh_common_args,
            ssh_extra_args: connect.ssh_extra_args,
            accept_new_host_keys: connect.accept_new_host_keys,
            ssh_config: connect.ssh_config,
            becomes: r#become.r#become,
            become_method: r#become.method,
            become_user: r#become.user,
            had,
            by_plan: false,
            carries,
            patch: None,
        }
    }

    /// The request again. `given` has the passwords and what belongs to the command line that goes on: where runs are kept,
    /// locks, output.
    pub(crate) fn request(&self, given: &ApplyRequest) -> ApplyRequest {
        let it = self.clone();
        ApplyRequest {
            playbooks: it.playbooks,
            inventory: it.inventory,
            limit: it.limit,
            tags: it.tags,
            skip_tags: it.skip_tags,
            extra_vars: it.extra_vars,
            forks: given.forks.or(it.forks),
            check: it.check,
            diff: it.diff || given.diff,
            run_read_only: false,
            start_at_task: it.start_at_task,
            force_handlers: it.force_handlers,
            verbosity: given.verbosity,
            state: given.state.clone(),
            locks: given.locks.clone(),
            limits: Limits {
                reconnect: it.reconnect,
                task: it.task_timeout,
                host: it.host_budget,
            },
            connect: ConnectRequest {
                user: it.user,
                password: given.connect.password.clone(),
                private_key: it.private_key,
                key_passphrase: given.connect.key_passphrase.clone(),
                connection: it.connection,
                timeout_s: it.timeout_s,
                ssh_common_args: it.ssh_common_args,
                ssh_extra_args: it.ssh_extra_args,
                accept_new_host_keys: it.accept_new_host_keys,
                ssh_config: it.ssh_config,
                password_trials: given.connect.password_trials,
            },
            r#become: BecomeRequest {
                r#become: it.becomes,
                method: it.become_method,
                user: it.become_user,
                password: given.r#become.password.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use hostler_value::Secret;

    use super::*;

    #[test]
    fn comes_back_whole_and_without_passwords() {
        let request = ApplyRequest {
            playbooks: vec!["site.yml".into()],
            inventory: vec!["hosts".into()],
            extra_vars: vec!["a=1".into()],
            forks: Some(7),
            connect: ConnectRequest {
                user: Some("ops".into()),
                password: Some(Secret::new("hunter2")),
                ..ConnectRequest::default()
            },
            ..ApplyRequest::default()
        };
        let stored = StoredRequest::of(&request, "/here".into(), Carries::Plan);
        let text = serde_json::to_string(&stored).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let back: StoredRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(back, stored);
        assert!(back.had.login && !back.had.r#become);
        let again = back.request(&ApplyRequest::default());
        assert_eq!((again.playbooks, again.forks), (request.playbooks, Some(7)));
        assert_eq!(again.extra_vars, ["a=1"]);
        assert_eq!(again.connect.user.as_deref(), Some("ops"));
        assert!(again.connect.password.is_none());
        let same = StoredRequest::of(
            &back.request(&ApplyRequest::default()),
            "/here".into(),
            Carries::Plan,
        );
        assert_eq!(
            StoredRequest {
                had: Passwords::default(),
                ..stored
            },
            same
        );
    }
}
