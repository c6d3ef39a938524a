//! The fuzz targets of `fuzz/`, built and run: some seconds each among the checks, hours by hand.
//!
//! They are ordinary cargo-fuzz targets, but neither cargo-fuzz nor a nightly compiler is needed: without a sanitizer
//! (there is no unsafe code of ours to watch) the fuzzer's counters are flags of the stable compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::process::{Context, Failure, Result, checkout, run, run_visibly};

/// What cargo-fuzz gives to the compiler: a counter in every branch, comparisons told to the fuzzer.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];
/// One input that takes longer is a finding. A limit for hangs, not for slowness: machines of checks are busy.
const TIMEOUT_S: u32 = 25;
/// So is one that takes more memory.
const MEMORY_MIB: u32 = 2048;

/// Runs these targets (all, if none is named), each for so long and as many at once as there are processors.
///
/// # Errors
/// The targets do not build, one is not there, or inputs were found that make one panic, hang or swell. The inputs are
/// kept in `target/fuzz/artifacts`.
pub fn run_targets(
    named: &[String],
    time: Duration,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let all = targets()?;
    if let Some(unknown) = named.iter().find(|it| !all.contains(it)) {
        let text = format!(
            "there is no fuzz target {unknown}; there are {}",
            all.join(", ")
        );
        return Err(Failure::new(text));
    }
    let wanted = if named.is_empty() {
        all
    } else {
        named.to_vec()
    };
    let programs = build()?;
    let queue = Mutex::new(wanted.into_iter());
    let failures = Mutex::new(Vec::new());
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(target) = next() {
                    progress(&format!("fuzzing {target} for {} s ...", time.as_secs()));
                    if let Err(failure) = fuzz(&programs, &target, time) {
                        progress(&format!("{target}: {failure}"));
                        if let Ok(mut failures) = failures.lock() {
                            failures.push(target);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    if failures.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{}; the inputs are in target/fuzz/artifacts",
        failures.join(", ")
    );
    Err(Failure::new(text))
}

/// Names of all targets.
fn targets() -> Result<Vec<String>> {
    let dir = checkout().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).context(format!("read {}", dir.display()))? {
        let path = entry.context(format!("read {}", dir.display()))?.path();
        if path.extension().is_some_and(|it| it == "rs") {
            names.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Builds all targets and gives the directory where their programs are.
fn build() -> Result<PathBuf> {
    let dir = checkout().join("target/fuzz");
    let triple = host_triple()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // With a target named, programs of the build itself are built without the flags.
    command
        .args(["build", "--quiet", "--release", "--locked", "--bins"])
        .args(["--manifest-path", "fuzz/Cargo.toml", "--target", &triple])
        .arg("--target-dir")
        .arg(&dir)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
        .env_remove("RUSTFLAGS")
        .current_dir(checkout());
    run_visibly(&mut command)?;
    Ok(dir.join(triple).join("release"))
}

fn host_triple() -> Result<String> {
    let output = run(Command::new("rustc").arg("-vV"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say for what it is")?
        .to_owned())
}

fn fuzz(programs: &Path, target: &str, time: Duration) -> Result<()> {
    let root = checkout();
    let found = root.join("target/fuzz/corpus").join(target);
    let artifacts = root.join("target/fuzz/artifacts").join(target);
    for dir in [&found, &artifacts] {
        fs::create_dir_all(dir).context(format!("create {}", dir.display()))?;
    }
    let mut command = Command::new(programs.join(target));
    // New inputs are kept in the first directory; the seeds are only read.
    command
        .arg(&found)
        .arg(root.join("fuzz/seeds").join(target))
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-timeout={TIMEOUT_S}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .current_dir(&artifacts);
    let dictionary = root.join("fuzz/dictionaries").join(target);
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    run(&mut command).map(|_| ())
}
