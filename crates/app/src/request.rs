//! What a user asks for, decided: no flag is left to be looked up later.

use std::path::PathBuf;
use std::time::Duration;

use hostler_executor::Limits;
use hostler_value::Secret;

/// Apply playbooks. Fields are `ansible-playbook`'s flags and mean what they mean there.
#[derive(Clone, Debug, Default)]
pub struct ApplyRequest {
    /// Playbook files, applied in order.
    pub playbooks: Vec<PathBuf>,
    /// `-i`: files, directories, scripts, or lists with a comma.
    pub inventory: Vec<String>,
    /// `-l`: a host pattern, or `@file`.
    pub limit: Option<String>,
    /// `-t`: run only tasks with one of these; empty is `all`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// `-e`, each `key=value ...`, JSON, YAML or `@file`, in order.
    pub extra_vars: Vec<String>,
    /// `-f`: hosts worked on at the same time; `None` is all of them up to a sane bound.
    pub forks: Option<usize>,
    /// `-C`.
    pub check: bool,
    /// `-D`.
    pub diff: bool,
    /// `--run-read-only`: see [`hostler_executor::RunSettings::run_read_only`].
    pub run_read_only: bool,
    /// `--start-at-task`.
    pub start_at_task: Option<String>,
    /// `--force-handlers`.
    pub force_handlers: bool,
    /// How many `-v`.
    pub verbosity: u8,
    /// Where runs are kept.
    pub state: StateRequest,
    /// What other runs' locks mean.
    pub locks: LockRequest,
    /// How long things may take.
    pub limits: Limits,
    /// How to reach hosts.
    pub connect: ConnectRequest,
    /// Whom to become there.
    pub r#become: BecomeRequest,
}

/// Where runs are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateRequest {
    /// `--state-dir`; `None` is the user's state directory.
    pub directory: Option<PathBuf>,
}

/// What other runs' locks mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockRequest {
    /// `--wait`: how long hosts that another run has locked are waited for.
    pub wait: Duration,
    /// `--break-lock`: the id of a lock that is taken away from its holder.
    pub breaks: Option<String>,
}

/// How to reach hosts, where the inventory does not say.
#[derive(Clone, Debug, Default)]
pub struct ConnectRequest {
    /// `-u`.
    pub user: Option<String>,
    /// `-k`, already asked for.
    pub password: Option<Secret>,
    /// `--private-key`.
    pub private_key: Option<PathBuf>,
    /// Passphrase of the private key, already asked for.
    pub key_passphrase: Option<Secret>,
    /// `-c`: `ssh` (the default) or `local`.
    pub connection: Option<String>,
    /// `-T`: seconds for each phase of connecting.
    pub timeout_s: Option<u64>,
    /// `--ssh-common-args`.
    pub ssh_common_args: Option<String>,
    /// `--ssh-extra-args`.
    pub ssh_extra_args: Option<String>,
    /// `--accept-new`: store unknown host keys instead of refusing them.
    pub accept_new_host_keys: bool,
    /// `-F`: an `ssh_config` file instead of the user's.
    pub ssh_config: Option<PathBuf>,
    /// `--password-trials`: so many hosts must refuse a password, and none accept it, for it to be tried on no other.
    pub password_trials: Option<u32>,
}

/// Whom to become, where playbook and inventory do not say.
#[derive(Clone, Debug, Default)]
pub struct BecomeRequest {
    /// `-b`.
    pub r#become: bool,
    /// `--become-method`.
    pub method: Option<String>,
    /// `--become-user`.
    pub user: Option<String>,
    /// `-K`, already asked for.
    pub password: Option<Secret>,
}

/// Exit status of the program; the same numbers as ansible-playbook's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything that was asked for was done.
    Ok = 0,
    /// Something went wrong that is nobody else's fault than ours or the machine's.
    Error = 1,
    /// A task failed on a host, a host has moved since the plan that was to be applied, or two plans differ.
    HostFailed = 2,
    /// A patch run was halted, by a gate or by failures: no new hosts are started until somebody lets it go on.
    Halted = 3,
    /// A host was unreachable, or an input file is wrong (ansible-playbook uses the same number for both).
    UnreachableOrInput = 4,
    /// The command line is wrong.
    Usage = 5,
    /// The run store (journal, history, locks) cannot be opened or written: nothing was started, or nothing more was.
    JournalBroken = 6,
    /// Another run has hosts of this one locked. Nothing was contacted.
    Locked = 7,
    /// A patch run left hosts for later: their window was over or is yet to come, or versions are not proven.
    Deferred = 8,
    /// Interrupted by the user.
    Interrupted = 99,
    /// A defect.
    Unexpected = 250,
}
