//! `cargo xtask`: developer commands.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

mod fleet_command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::bench::{self, Engine};
use xtask::ci;

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
    /// Every check: format, lints, tests, documentation examples, real hosts.
    Ci,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Task::Fleet(arguments) => fleet_command::run(&arguments),
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

fn progress(message: &str) {
    eprintln!("xtask: {message}");
}
