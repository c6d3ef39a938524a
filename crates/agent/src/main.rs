//! The agent program.

use std::process::ExitCode;

fn main() -> ExitCode {
    hostler_agent::main()
}
