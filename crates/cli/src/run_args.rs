//! The flags of `apply` and `plan`: those of ansible-playbook.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hostler_app::{ApplyRequest, BecomeRequest, ConnectRequest};

use crate::environment::Environment;
use crate::problem::Problem;
use crate::secrets;
use crate::state_args::{LimitArgs, LockArgs, StateArgs};

/// How to write what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The live view on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// Folded, sorted by what matters; with a live view if there is a terminal.
    Terminal,
    /// The lines of ansible-playbook.
    Plain,
    /// One JSON object for each event.
    Json,
}

/// How much to say, and how.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OutputArgs {
    /// Say more; -vv shows what modules return
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say failures and the recap only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How to write what happens
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub output: Output,
}

/// What to run where: shared by everything that reads playbooks.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SelectArgs {
    /// Playbooks, run in this order
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub playbooks: Vec<PathBuf>,
    /// Inventory: a file, directory, script or comma-separated list; may be given several times
    #[arg(
        short,
        long,
        value_name = "INVENTORY",
        visible_alias = "inventory-file"
    )]
    pub inventory: Vec<String>,
    /// Only hosts that this pattern selects too; @FILE reads names from a file
    #[arg(short, long, value_name = "PATTERN", visible_alias = "subset")]
    pub limit: Option<String>,
    /// Only tasks with one of these tags, separated by commas
    #[arg(short, long, value_name = "TAGS", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// No tasks with one of these tags, separated by commas
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Variables that go before all others: key=value, YAML, JSON or @FILE
    #[arg(short, long, value_name = "VARS")]
    pub extra_vars: Vec<String>,
}

/// Flags of `apply` and `plan`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub show: OutputArgs,
    /// Work on so many hosts at the same time; all of them if not given
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub forks: Option<u32>,
    /// Change nothing: say what would change
    #[arg(short = 'C', long)]
    pub check: bool,
    /// In check mode: run `command` and `shell` tasks that have `changed_when: false`, where no earlier task would have
    /// changed the host.
    #[arg(long)]
    pub run_read_only: bool,
    /// Show differences
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// Start at the task with this name
    #[arg(long, value_name = "NAME")]
    pub start_at_task: Option<String>,
    /// Run handlers even if a task fails
    #[arg(long)]
    pub force_handlers: bool,
    /// List the hosts and stop
    #[arg(long)]
    pub list_hosts: bool,
    /// List the tasks and stop
    #[arg(long)]
    pub list_tasks: bool,
    /// List the tags and stop
    #[arg(long)]
    pub list_tags: bool,
    /// Check the playbooks and stop
    #[arg(long)]
    pub syntax_check: bool,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub locks: LockArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
    #[command(flatten)]
    pub r#become: BecomeArgs,
}

/// How to reach hosts.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// Log in as this user
    #[arg(short, long = "user", value_name = "USER")]
    pub user: Option<String>,
    /// Ask for the login password
    #[arg(short = 'k', long)]
    pub ask_pass: bool,
    /// Read the login password from this file (or program)
    #[arg(
        long,
        value_name = "FILE",
        visible_alias = "conn-pass-file",
        conflicts_with = "ask_pass"
    )]
    pub connection_password_file: Option<PathBuf>,
    /// Log in with this private key
    #[arg(long, value_name = "FILE", visible_alias = "key-file")]
    pub private_key: Option<PathBuf>,
    /// ssh (the default) or local
    #[arg(short = 'c', long, value_name = "KIND")]
    pub connection: Option<String>,
    /// Seconds for each phase of connecting
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Options of ssh, such as "-o ProxyJump=gate"
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_common_args: Option<String>,
    /// More options of ssh
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_extra_args: Option<String>,
    /// Configuration of ssh to read instead of ~/.ssh/config
    #[arg(short = 'F', long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Try a password on no more hosts once so many have refused it and none has accepted it, so that no accounts are locked; 3
    /// if not given, 0 tries it on every host
    #[arg(long, value_name = "NUMBER")]
    pub password_trials: Option<u32>,
    /// Store the keys of unknown hosts instead of refusing them; changed keys are refused all the same
    #[arg(long)]
    pub accept_new: bool,
}

/// Whom to become on hosts.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Privileges")]
pub(crate) struct BecomeArgs {
    /// Run tasks as another user, root if not said otherwise
    #[arg(short, long)]
    pub r#become: bool,
    /// sudo (the default), su or doas
    #[arg(long, value_name = "METHOD")]
    pub become_method: Option<String>,
    /// The user to become
    #[arg(long, value_name = "USER")]
    pub become_user: Option<String>,
    /// Ask for the password for becoming
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// Read the password for becoming from this file (or program)
    #[arg(
        long,
        value_name = "FILE",
        visible_alias = "become-pass-file",
        conflicts_with = "ask_become_pass"
    )]
    pub become_password_file: Option<PathBuf>,
}

impl SelectArgs {
    /// The part of a request that says what to run where.
    pub(crate) fn request(self, environment: &Environment) -> ApplyRequest {
        let SelectArgs {
            playbooks,
            inventory,
            limit,
            tags,
            skip_tags,
            extra_vars,
        } = self;
        let inventory = if inventory.is_empty() {
            environment.inventory.clone()
        } else {
            inventory
        };
        ApplyRequest {
            playbooks,
            inventory,
            limit,
            tags,
            skip_tags,
            extra_vars,
            ..ApplyRequest::default()
        }
    }
}

impl RunArgs {
    /// Does it only look at files?
    pub(crate) fn only_lists(&self) -> bool {
        self.list_hosts || self.list_tasks || self.list_tags || self.syntax_check
    }

    /// Decides everything: flags go before the environment; passwords are asked for here.
    pub(crate) fn request(self, environment: &Environment) -> Result<ApplyRequest, Problem> {
        let RunArgs {
            select,
            show,
            forks,
            check,
            run_read_only,
            diff,
            start_at_task,
            force_handlers,
            list_hosts: _,
            list_tasks: _,
            list_tags: _,
            syntax_check: _,
            state,
            locks,
            limits,
            connect,
            r#become,
        } = self;
        let forks = forks.or(environment.forks);
        let connect = connect.request(environment)?;
        let r#become = r#become.request(environment, &connect)?;
        Ok(ApplyRequest {
            forks: forks.and_then(|forks| usize::try_from(forks).ok()),
            check,
            run_read_only,
            diff,
            start_at_task,
            force_handlers,
            verbosity: show.verbose,
            state: state.request(environment),
            locks: locks.request(),
            limits: limits.request(environment),
            connect,
            r#become,
            ..select.request(environment)
        })
    }
}

impl ConnectArgs {
    pub(crate) fn request(self, environment: &Environment) -> Result<ConnectRequest, Problem> {
        let ConnectArgs {
            user,
            ask_pass,
            connection_password_file,
            private_key,
            connection,
            timeout,
            ssh_common_args,
            ssh_extra_args,
            ssh_config,
            password_trials,
            accept_new,
        } = self;
        let password = match &connection_password_file {
            Some(path) => Some(secrets::from_file(path)?),
            None if ask_pass => Some(secrets::ask("SSH password: ")?),
            None => None,
        };
        Ok(ConnectRequest {
            user: user.or_else(|| environment.remote_user.clone()),
            password,
            private_key: private_key.or_else(|| environment.private_key_file.clone()),
            key_passphrase: None,
            connection,
            timeout_s: timeout.or(environment.timeout_s),
            ssh_common_args,
            ssh_extra_args,
            accept_new_host_keys: accept_new || !environment.host_key_checking,
            ssh_config,
            password_trials,
        })
    }
}

impl BecomeArgs {
    pub(crate) fn request(
        self,
        environment: &Environment,
        connect: &ConnectRequest,
    ) -> Result<BecomeRequest, Problem> {
        let BecomeArgs {
            r#become,
            become_method,
            become_user,
            ask_become_pass,
            become_password_file,
        } = self;
        let password = match (&become_password_file, &connect.password) {
            (Some(path), _) => Some(secrets::from_file(path)?),
            (None, _) if !ask_become_pass => None,
            (None, Some(login)) => {
                let asked = secrets::ask("BECOME password [as for SSH]: ")?;
                let same = asked.reveal().is_empty();
                Some(if same { login.clone() } else { asked })
            }
            (None, None) => Some(secrets::ask("BECOME password: ")?),
        };
        Ok(BecomeRequest {
            r#become: r#become || environment.r#become,
            method: become_method.or_else(|| environment.become_method.clone()),
            user: become_user.or_else(|| environment.become_user.clone()),
            password,
        })
    }
}
