//! `command`: run a program, without a shell.

use hostler_module_api::prelude::*;

use crate::commands::{self, Request, Seen};
use crate::files::expand_text;
use crate::split_words;

/// Run a program. No shell is involved: `|`, `>` and `&` mean nothing (see `shell`); `$VAR` and `~` are expanded.
///
/// ```yaml
/// - command: cat /etc/motd
/// - command:
///     cmd: /usr/bin/make_database.sh db_user
///     creates: /path/to/database
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The command as one line, in free form.
    #[serde(rename = "_raw_params")]
    raw_params: Option<String>,
    /// The command as one line; it is split into words as a shell would.
    cmd: Option<String>,
    /// The command as a list of words.
    argv: Option<Vec<String>>,
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
    /// Expand `$VAR` and `~` in the words.
    #[serde(default = "yes")]
    expand_argument_vars: bool,
    /// Not used by this module; accepted for old playbooks.
    executable: Option<String>,
}

fn yes() -> bool {
    true
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("command").free_form("_raw_params")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Seen;
    const NAME: &'static str = "command";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Seen, ModuleError> {
        let words = words(args)?;
        let argv = if args.expand_argument_vars {
            let expanded = words.iter().map(|word| expand_text(word, host));
            expanded.collect::<Result<Vec<_>, _>>()?
        } else {
            words.clone()
        };
        let request = Request {
            program: Program::new(argv),
            shown: Value::from(words),
            chdir: args.chdir.as_deref(),
            creates: args.creates.as_deref(),
            removes: args.removes.as_deref(),
            stdin: args.stdin.as_deref(),
            stdin_add_newline: args.stdin_add_newline,
        };
        Seen::observe(request, host)
    }

    fn plan(args: &Args, now: &Seen) -> Result<Plan, ModuleError> {
        let mut plan = now.plan();
        if let Some(executable) = &args.executable {
            let words = "the parameter 'executable' is not supported with the 'command' module";
            plan.warnings.push(format!("{words}. Not using '{executable}'."));
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, Seen>) -> Report {
        commands::report(ran, args.strip_empty_ends)
    }
}

fn words(args: &Args) -> Result<Vec<String>, ModuleError> {
    let words = match (&args.raw_params, &args.cmd, &args.argv) {
        (Some(line), None, None) | (None, Some(line), None) => split_words(line)
            .map_err(|error| ModuleError::new(format!("the command cannot be read: {error}")))?,
        (None, None, Some(argv)) => argv.clone(),
        (None, None, None) => {
            let msg = "one of the following is required: _raw_params, cmd, argv";
            return Err(ModuleError::new(msg));
        }
        _ => {
            let msg = "parameters are mutually exclusive: _raw_params|cmd|argv";
            return Err(ModuleError::new(msg));
        }
    };
    if words.is_empty() {
        return Err(ModuleError::new("no command given").field("rc", 256));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_module_api::fake::{FakeHost, check_fails, check_module};

    fn args(pairs: &[(&'static str, Value)]) -> Map {
        pairs.iter().cloned().collect()
    }

    fn prints(host: &mut FakeHost, rc: i32, text: &str) -> CommandOutput {
        host.set_text("/tmp/ran", text);
        CommandOutput {
            rc,
            stdout: text.into(),
            ..CommandOutput::default()
        }
    }

    #[test]
    fn runs_each_time_and_is_skipped_in_check_mode() {
        let host = FakeHost::bare().on("echo hi /root", |host| prints(host, 0, "hi\n\n"));
        let done = check_module::<This>(args(&[("_raw_params", "echo 'hi' ~".into())]), host);
        assert!(done.check.skipped && !done.check.changed);
        assert!(done.first.changed && done.second.changed);
        let fields = &done.first.fields;
        assert_eq!(fields.get("stdout"), Some(&"hi".into()));
        assert_eq!(fields.get("rc"), Some(&0.into()));
        let words = ["echo", "hi", "~"].map(Value::from);
        assert_eq!(fields.get("cmd"), Some(&Value::list(words)));
        assert_eq!(fields.get("delta"), Some(&"0:00:00".into()));
    }

    #[test]
    fn a_guard_makes_it_predictable() {
        let host = FakeHost::bare().on("touch x", |host| prints(host, 0, "x"));
        let pairs = [("cmd", "touch x".into()), ("creates", "ra*".into()), ("chdir", "/tmp".into())];
        let done = check_module::<This>(args(&pairs), host);
        assert!(done.check.changed && done.first.changed && !done.second.changed);
        let msg = "Did not run command since 'ra*' exists";
        assert_eq!(done.second.fields.get("msg"), Some(&msg.into()));
        let pairs = [("cmd", "rm x".into()), ("removes", "/nope".into())];
        assert!(!check_module::<This>(args(&pairs), FakeHost::bare()).first.changed);
    }

    #[test]
    fn refusals() {
        let host = FakeHost::bare;
        let fails = |pairs: &[(&'static str, Value)]| check_fails::<This>(args(pairs), host());
        assert!(fails(&[]).contains("one of the following"));
        assert!(fails(&[("cmd", "a".into()), ("argv", "b".into())]).contains("mutually exclusive"));
        assert!(fails(&[("cmd", "a 'b".into())]).contains("No closing quotation"));
        let chdir = [("cmd", "a".into()), ("chdir", "/nope".into())];
        assert_eq!(fails(&chdir), "Unable to change directory before execution.");
        let failing = host().on("false", |_| CommandOutput {
            rc: 1,
            ..CommandOutput::default()
        });
        let msg = check_fails::<This>(args(&[("cmd", "false".into())]), failing);
        assert_eq!(msg, "non-zero return code");
    }
}
