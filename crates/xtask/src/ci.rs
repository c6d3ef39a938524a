//! Every check that has to pass before a change is merged, in the order of what they cost.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, Machine};
use crate::fuzz;
use crate::process::{Failure, Result, checkout, find_program, is_root, run_visibly};

/// How long each fuzz target runs: enough to fall over what is shallow. Longer by hand: `cargo xtask fuzz`.
const FUZZ_TIME: Duration = Duration::from_secs(12);

/// One check.
enum Check {
    /// Arguments of a cargo.
    Cargo(Vec<&'static str>),
    Fuzz,
    FleetBase,
}

/// Runs all checks, even after one has failed, and fails with the names of those that did.
pub fn run(progress: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let nextest = find_program("cargo-nextest").is_some();
    let test: &[&str] = if nextest {
        &["nextest", "run"]
    } else {
        &["test"]
    };
    // Not --all-targets: that would build examples as tests, and some tests run examples.
    let lib = ["--workspace", "--exclude", "real-hosts"];
    let lints = "clippy --workspace --all-targets -- --deny warnings";
    let mut checks: Vec<(&str, Check)> = vec![
        ("format", Check::Cargo(vec!["fmt", "--all", "--check"])),
        ("lints", Check::Cargo(lints.split(' ').collect())),
        ("tests", Check::Cargo([test, &lib].concat())),
        (
            "documentation examples",
            Check::Cargo(vec!["test", "--workspace", "--doc"]),
        ),
        ("fuzz targets", Check::Fuzz),
    ];
    if is_root() {
        checks.push(("what hosts start from", Check::FleetBase));
    } else {
        progress("NOT TESTED: real hosts; that needs root");
    }
    let real = [test, &["--package", "real-hosts"]].concat();
    checks.push(("real hosts", Check::Cargo(real)));
    let mut failures = Vec::new();
    for (name, check) in checks {
        progress(&format!("{name} ..."));
        let start = Instant::now();
        let result = match check {
            Check::Cargo(arguments) => cargo(&arguments),
            Check::Fuzz => fuzz::run_targets(&[], FUZZ_TIME, progress),
            Check::FleetBase => Fleet::named("ci").and_then(|fleet| Machine::prepare(&fleet)),
        };
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(()) => progress(&format!("{name}: passed in {seconds} s")),
            Err(failure) => {
                progress(&format!("{name}: FAILED after {seconds} s: {failure}"));
                failures.push(name);
            }
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("failed: {}", failures.join(", "))))
    }
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(checkout());
    if is_root() {
        command.env("HOSTLER_REQUIRE_FLEET", "1");
    }
    run_visibly(&mut command)
}
