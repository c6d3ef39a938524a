//! `cargo xtask fleet ...`.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use xtask::fleet::{Fault, Fleet, Init, Set};
use xtask::made::Archive;
use xtask::process::{Context, Result};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Which fleet; fleets of different names run side by side.
    #[arg(long, global = true, default_value = "main")]
    name: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make the shared root file system (once; minutes).
    Base,
    /// Start hosts 1 to N; those that run already stay as they are.
    Up {
        /// How many hosts.
        count: usize,
        /// Run systemd in each host instead of a bare sshd.
        #[arg(long)]
        boot: bool,
        /// The twin set: a001, a002, ... or b001, b002, ...
        #[arg(long, value_enum, default_value = "a")]
        set: Set,
    },
    /// Stop every host of the fleet and remove what it wrote.
    Down,
    /// Print an inventory of the hosts that are up.
    Inventory {
        /// Only this set.
        #[arg(long, value_enum)]
        set: Option<Set>,
        /// `ini` for -i, `addresses` for parallel-ssh.
        #[arg(long, value_enum, default_value = "ini")]
        format: Format,
    },
    /// Run a command as root inside a host, past its sshd.
    Exec {
        /// The host, as in a001.
        host: String,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// The archive of made packages, for patching: what it offers decides what hosts could be updated to.
    Packages {
        #[command(subcommand)]
        action: Packages,
    },
    /// Break a host, or heal it.
    Fault {
        /// The host, as in a001.
        host: String,
        /// What is to be wrong with it.
        fault: Fault,
    },
}

#[derive(Subcommand)]
enum Packages {
    /// Install the first versions on all hosts that are up; the made archive becomes their only source.
    Install,
    /// Publish releases (`lib-2.0`, ...) or the set `night`, beside what is published.
    Publish {
        /// What to publish.
        #[arg(required = true)]
        releases: Vec<String>,
    },
    /// Take releases out of the archive again.
    Withdraw {
        /// What to take out.
        #[arg(required = true)]
        releases: Vec<String>,
    },
    /// List every release, and which are published.
    Status,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Ini,
    Addresses,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let fleet = Fleet::named(&arguments.name)?;
    match &arguments.action {
        Action::Base => fleet.prepare()?,
        Action::Up { count, boot, set } => {
            fleet.prepare()?;
            let start = Instant::now();
            let init = if *boot { Init::Systemd } else { Init::Sshd };
            let hosts = fleet.up(*set, *count, init)?;
            let directory = fleet.directory().display();
            println!(
                "{} hosts up in {:.1} s\ninventory {directory}/hosts.ini\nknown_hosts {directory}/known_hosts\nkey {}",
                hosts.len(),
                start.elapsed().as_secs_f64(),
                fleet.key().display()
            );
        }
        Action::Down => fleet.down()?,
        Action::Inventory { set, format } => {
            let mut hosts = fleet.hosts()?;
            hosts.retain(|host| set.is_none_or(|set| host.set() == set));
            match format {
                Format::Ini => print!("{}", fleet.inventory(&hosts)),
                Format::Addresses => print!("{}", Fleet::addresses(&hosts)),
            }
        }
        Action::Exec { host, command } => {
            let argv: Vec<&str> = command.iter().map(String::as_str).collect();
            let status = fleet
                .host(host)?
                .command(&argv)?
                .status()
                .context("start nsenter")?;
            let code = status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1);
            return Ok(ExitCode::from(code));
        }
        Action::Packages { action } => packages(&fleet, action)?,
        Action::Fault { host, fault } => fleet.fault(&fleet.host(host)?, *fault)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn packages(fleet: &Fleet, action: &Packages) -> Result<()> {
    let archive = Archive::of(fleet);
    match action {
        Packages::Install => archive.install(&fleet.hosts()?),
        Packages::Publish { releases } => archive.publish(&as_words(releases)),
        Packages::Withdraw { releases } => archive.withdraw(&as_words(releases)),
        Packages::Status => {
            print!("{}", archive.status()?);
            Ok(())
        }
    }
}

fn as_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
