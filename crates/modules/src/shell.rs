//! `shell`: run a line by a shell.

use hostler_module_api::prelude::*;

use crate::commands::{self, Request, Seen};

/// Run a line by a shell, with pipes, redirections and variables.
///
/// ```yaml
/// - shell: cat < /tmp/*txt
///   args:
///     executable: /bin/bash
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The line, in free form.
    #[serde(rename = "_raw_params")]
    raw_params: Option<String>,
    /// The line.
    cmd: Option<String>,
    /// The shell to run it by.
    #[serde(default = "shell")]
    executable: String,
    /// Go to this directory first.
    chdir: Option<String>,
    /// Do not run if something is at this path or fits this pattern.
    creates: Option<String>,
    /// Run only if something is at this path or fits this pattern.
    removes: Option<String>,
    /// Text for its standard input.
    stdin: Option<String>,
    /// Add a line break to that text.
    #[serde(default = "yes")]
    stdin_add_newline: bool,
    /// Strip line breaks from the end of what it prints.
    #[serde(default = "yes")]
    strip_empty_ends: bool,
}

fn shell() -> String {
    "/bin/sh".into()
}

fn yes() -> bool {
    true
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("shell").free_form("_raw_params")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "shell";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        let line = match (&args.raw_params, &args.cmd) {
            (Some(line), None) | (None, Some(line)) => line,
            (None, None) => {
                let msg = "one of the following is required: _raw_params, cmd";
                return Err(ModuleError::new(msg));
            }
            (Some(_), Some(_)) => {
                let msg = "parameters are mutually exclusive: _raw_params|cmd";
                return Err(ModuleError::new(msg));
            }
        };
        let request = Request {
            program: Program::new([args.executable.as_str(), "-c", line]),
            shown: line.into(),
            chdir: args.chdir.as_deref(),
            creates: args.creates.as_deref(),
            removes: args.removes.as_deref(),
            stdin: args.stdin.as_deref(),
            stdin_add_newline: args.stdin_add_newline,
        };
        Seen::observe(request, host)
    }

    fn plan(_args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        Ok(now.plan())
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        commands::report(ran, args.strip_empty_ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    #[test]
    fn runs_by_the_shell_that_is_asked_for() {
        let host = FakeHost::bare().on("/bin/bash -c 'echo $A | cat'", |_| CommandOutput {
            stdout: b"a\n".to_vec(),
            ..CommandOutput::default()
        });
        let mut args = Map::new();
        args.insert("_raw_params", "echo $A | cat");
        args.insert("executable", "/bin/bash");
        let done = check_module::<This>(args, host);
        assert!(done.check.skipped && done.first.changed);
        assert_eq!(done.first.fields.get("stdout"), Some(&"a".into()));
        assert_eq!(done.first.fields.get("cmd"), Some(&"echo $A | cat".into()));
    }

    #[test]
    fn needs_a_line() {
        assert!(check_fails::<This>(Map::new(), FakeHost::bare()).contains("required"));
    }
}
