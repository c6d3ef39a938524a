//! `cargo xtask`: developer commands.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

mod fleet_command;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use xtask::bench::{self, Engine};
use xtask::fleet::{Fleet, Machine};
use xtask::process::{Context, Result};
use xtask::{ci, fuzz, truth};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of the project")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Real Debian hosts on this machine (root needed).
    Fleet(fleet_command::Arguments),
    /// A shell, or one command, in an emulated machine with a kernel of its own and LVM; it is gone afterwards (root needed).
    Machine {
        /// A shell script for the machine.
        script: Option<String>,
    },
    /// The baseline on fresh hosts, against the floor of bare OpenSSH (root needed).
    Bench {
        /// How many hosts.
        #[arg(long, default_value_t = 200)]
        hosts: usize,
        /// More engines to compare with; they are installed from the Python package index.
        #[arg(long, value_enum, value_delimiter = ',')]
        with: Vec<Engine>,
        /// Leave hostler itself out.
        #[arg(long)]
        only_others: bool,
    },
    /// What previews say beside what then happens, for every playbook of `tests/preview` on fresh hosts (root needed).
    PreviewTruth {
        /// Only these playbooks (names without `.yml`).
        #[arg(long, num_args = 1.., value_delimiter = ',')]
        only: Vec<String>,
        /// Also ansible-core's `--check`, on twin hosts.
        #[arg(long)]
        with_ansible: bool,
        /// Leave hostler itself out.
        #[arg(long, requires = "with_ansible")]
        only_others: bool,
        /// Write the tables to this file too.
        #[arg(long)]
        out: Option<PathBuf>,
        /// What the names of the fleets begin with: with another one, a second measurement can run beside this one.
        #[arg(long, default_value = "preview")]
        fleet: String,
        /// How many playbooks at the same time.
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// Hostile input for parsers and decoders, made up by libFuzzer (`fuzz/`); needs a C++ compiler.
    Fuzz {
        /// Only these targets.
        targets: Vec<String>,
        /// For how long each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Every check: format, lints, tests, documentation examples, fuzz targets, real hosts.
    Ci,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Task::Fleet(arguments) => fleet_command::run(&arguments),
        Task::Machine { script } => machine(script.as_deref().unwrap_or_default()),
        Task::Bench {
            hosts,
            with,
            only_others,
        } => {
            let mut engines = if only_others {
                Vec::new()
            } else {
                vec![Engine::Hostler]
            };
            engines.extend(with);
            bench::run(hosts, &engines, &progress).map(|table| {
                print!("{table}");
                ExitCode::SUCCESS
            })
        }
        Task::PreviewTruth {
            only,
            with_ansible,
            only_others,
            out,
            fleet,
            jobs,
        } => preview_truth(
            &truth::Options {
                only,
                with_ansible,
                only_others,
                hostler: None,
                fleet,
                jobs,
            },
            out,
        ),
        Task::Fuzz { targets, seconds } => {
            fuzz::run_targets(&targets, Duration::from_secs(seconds), &progress)
                .map(|()| ExitCode::SUCCESS)
        }
        Task::Ci => ci::run(&progress).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Starts a machine and runs a script in it, or a shell if that is empty.
fn machine(script: &str) -> Result<ExitCode> {
    let machine = Machine::start(&Fleet::named("emulated")?)?;
    let status = machine.command(script).status().context("start ssh")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints the tables; the exit code says whether hostler's previews are what they must be.
fn preview_truth(options: &truth::Options, out: Option<PathBuf>) -> Result<ExitCode> {
    let report = truth::run(options, &progress)?;
    let text = report.markdown();
    print!("{text}");
    if let Some(path) = out {
        std::fs::write(&path, text).context(format!("write {}", path.display()))?;
    }
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn progress(message: &str) {
    eprintln!("xtask: {message}");
}
