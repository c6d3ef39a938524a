//! Every check that has to pass before a change is merged, in the order of what they cost.

use std::process::Command;
use std::time::Instant;

use crate::fleet::Fleet;
use crate::process::{Failure, Result, checkout, find_program, is_root, run_visibly};

/// Runs all checks, even after one has failed, and fails with the names of those that did.
pub fn run(progress: &dyn Fn(&str)) -> Result<()> {
    let nextest = find_program("cargo-nextest").is_some();
    let test: &[&str] = if nextest {
        &["nextest", "run"]
    } else {
        &["test"]
    };
    // Not --all-targets: that would build examples as tests, and some tests run examples.
    let lib = ["--workspace", "--exclude", "real-hosts"];
    let mut checks: Vec<(&str, Vec<&str>)> = vec![
        ("format", vec!["fmt", "--all", "--check"]),
        (
            "lints",
            vec![
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "--deny",
                "warnings",
            ],
        ),
        ("tests", [test, &lib].concat()),
        (
            "documentation examples",
            vec!["test", "--workspace", "--doc"],
        ),
    ];
    if is_root() {
        checks.push(("the fleet's base", vec![]));
    } else {
        progress("NOT TESTED: real hosts; that needs root");
    }
    checks.push(("real hosts", [test, &["--package", "real-hosts"]].concat()));
    let mut failures = Vec::new();
    for (name, arguments) in checks {
        progress(&format!("{name} ..."));
        let start = Instant::now();
        let result = if arguments.is_empty() {
            Fleet::named("ci").and_then(|fleet| fleet.prepare())
        } else {
            cargo(&arguments)
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
