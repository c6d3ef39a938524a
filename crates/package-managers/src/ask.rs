//! Asking programs of the host, and naming packages to them. What comes back is hostile: bounded, and never taken for
//! less than it is (an answer that was cut is a failure, not a short list).

use hostler_change::{CommandOutput, Program};
use hostler_module_api::{Inspect, ModuleError};

/// Longest that a question may take that needs no network, seconds.
pub(crate) const ASK_MAX_S: u64 = 300;
/// Longest that refreshing indexes may take, seconds.
pub(crate) const REFRESH_MAX_S: u64 = 900;

/// Runs a program that only looks. Its status is the caller's to judge; an answer that is not whole is a failure.
pub(crate) fn ask(
    host: &dyn Inspect,
    mut program: Program,
    max_s: u64,
) -> Result<CommandOutput, ModuleError> {
    program.timeout_s = Some(max_s);
    let output = host.look(&program)?;
    if output.timed_out {
        return Err(ModuleError::new(format!(
            "{} was not done in {max_s} s",
            program.shown()
        )));
    }
    if output.stdout_cut > 0 {
        return Err(ModuleError::new(format!(
            "{} says more than can be kept",
            program.shown()
        )));
    }
    Ok(output)
}

/// The same, if only success will do.
pub(crate) fn ask_well(
    host: &dyn Inspect,
    program: Program,
    max_s: u64,
) -> Result<String, ModuleError> {
    let shown = program.shown().to_string();
    let output = ask(host, program, max_s)?;
    if !output.success() {
        return Err(failed(&shown, &output));
    }
    Ok(output.stdout_text())
}

/// A program that failed, in its own words.
pub(crate) fn failed(shown: &str, output: &CommandOutput) -> ModuleError {
    ModuleError::new(format!(
        "{shown} failed with status {}: {}",
        output.rc,
        last_lines(output)
    ))
}

/// The last lines that a program wrote on its standard error, or else on its standard output.
pub(crate) fn last_lines(output: &CommandOutput) -> String {
    let (errors, said) = (output.stderr_text(), output.stdout_text());
    let text = if errors.trim().is_empty() {
        &said
    } else {
        &errors
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let lines = lines.iter().rev().filter(|it| !it.is_empty()).take(6);
    let mut lines: Vec<String> = lines.map(|it| it.chars().take(300).collect()).collect();
    lines.reverse();
    lines.join("; ")
}

/// A name, version or architecture as a word for a package manager. They come from hosts, by way of a plan: what could be
/// an option, a pattern, a path or a second word becomes something that no package is called, so that the package
/// manager says that it does not know it.
pub(crate) fn word(text: &str) -> String {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "._+-:~^".contains(ch);
    let mut word: String = text
        .chars()
        .map(|ch| if plain(ch) { ch } else { '_' })
        .collect();
    if word.starts_with(['-', '.']) {
        word.insert(0, '_');
    }
    word
}

/// A script for the host's shell with arguments; `shown` is what people read.
pub(crate) fn script(
    text: &str,
    shown: &str,
    arguments: impl IntoIterator<Item = String>,
) -> Program {
    let head = ["sh", "-c", text, "hostler"].map(str::to_owned);
    Program::new(head.into_iter().chain(arguments)).shown_as(shown)
}
