//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::commands::check::CheckArgs;
use crate::commands::demo::DemoArgs;
use crate::run_args::RunArgs;

/// Configuration management that runs Ansible playbooks over SSH, with nothing on the hosts but sshd.
#[derive(Debug, Parser)]
#[command(
    name = "hostler",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply playbooks. Flags mean what they mean to ansible-playbook.
    Apply(Box<RunArgs>),
    /// Preview playbooks: what `apply` would change, with differences. Nothing is changed.
    Plan(Box<RunArgs>),
    /// Check playbooks and inventory for mistakes, without a connection.
    Check(Box<CheckArgs>),
    /// Raise a fleet of demo hosts on this machine, and preview and apply a playbook on it.
    Demo(DemoArgs),
}
