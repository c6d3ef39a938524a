//! The command line as a whole.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::apply::ApplyArgs;
use crate::commands::check::CheckArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::patch::PatchArgs;
use crate::commands::plan::PlanArgs;
use crate::commands::resume::ResumeArgs;
use crate::commands::runs::RunsArgs;
use crate::commands::show::ShowArgs;
use crate::commands::undo::UndoArgs;

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
    Apply(Box<ApplyArgs>),
    /// Go on with a run that did not get to its end: each host where it stopped, nothing is done twice.
    Resume(Box<ResumeArgs>),
    /// The history: what runs changed, when, where and by whom.
    Runs(RunsArgs),
    /// Put back the files that a run replaced, where they still are as it left them.
    Undo(Box<UndoArgs>),
    /// Updates of operating systems: scan, plan, carry out in waves.
    Patch(PatchArgs),
    /// Preview playbooks: what `apply` would change, with differences. Nothing is changed.
    Plan(Box<PlanArgs>),
    /// Show a plan file, without a connection.
    Show(ShowArgs),
    /// Check playbooks and inventory for mistakes, without a connection.
    Check(Box<CheckArgs>),
    /// Raise a fleet of demo hosts on this machine, and preview and apply a playbook on it.
    Demo(DemoArgs),
}

impl Cli {
    /// Reads a command line. A plan names the playbooks, and so stands for them; a schema needs none.
    pub(crate) fn read(args: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let unless = |command: clap::Command, flag: &'static str| {
            command.mut_arg("playbooks", |arg| {
                arg.required(false).required_unless_present(flag)
            })
        };
        let command = Cli::command()
            .mut_subcommand("apply", |it| unless(it, "plan"))
            .mut_subcommand("plan", |it| unless(it, "schema"));
        let args = crate::state_args::with_wait_closed(args);
        Cli::from_arg_matches(&command.try_get_matches_from(args)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run_args(args: &[&str]) -> Box<crate::run_args::RunArgs> {
        let all = ["hostler", "apply", "site.yml"].iter().chain(args);
        match Cli::read(all.map(OsString::from)).unwrap().command {
            Command::Apply(args) => Box::new(args.run),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_mean_what_they_mean_to_ansible_playbook() {
        let environment = crate::environment::Environment {
            remote_user: Some("env".into()),
            host_key_checking: false,
            ..Default::default()
        };
        let args = run_args(&[
            "-i",
            "a.ini",
            "-i",
            "b.yml",
            "-l",
            "web:!web3",
            "-t",
            "x,y",
            "-t",
            "z",
            "--skip-tags",
            "s",
            "-e",
            "a=1",
            "-e",
            "@vars.yml",
            "-CD",
            "-f",
            "30",
            "-b",
            "-u",
            "ops",
            "-vvv",
            "--ssh-common-args",
            "-o ProxyJump=gate",
            "-T",
            "7",
            "-c",
            "local",
        ]);
        let request = args.request(&environment).unwrap();
        assert_eq!(request.inventory, ["a.ini", "b.yml"]);
        assert_eq!(request.limit.as_deref(), Some("web:!web3"));
        assert_eq!(request.tags, ["x", "y", "z"]);
        assert_eq!(request.extra_vars, ["a=1", "@vars.yml"]);
        assert!(request.check && request.diff && request.r#become.r#become);
        assert_eq!((request.forks, request.verbosity), (Some(30), 3));
        let connect = request.connect;
        assert_eq!(
            connect.user.as_deref(),
            Some("ops"),
            "flags go before the environment"
        );
        assert_eq!(
            connect.ssh_common_args.as_deref(),
            Some("-o ProxyJump=gate")
        );
        assert_eq!(
            (connect.timeout_s, connect.connection.as_deref()),
            (Some(7), Some("local"))
        );
        assert!(
            connect.accept_new_host_keys,
            "as ANSIBLE_HOST_KEY_CHECKING=False asks"
        );
        let request = run_args(&[]).request(&environment).unwrap();
        assert_eq!(request.connect.user.as_deref(), Some("env"));
    }
}
