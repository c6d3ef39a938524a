//! `lineinfile`: one line of a text file.

mod text;

use hostler_module_api::prelude::*;

use crate::edited::{EditedFile, Writing, backup_file, refuse_both};
use crate::files::with_file_args;
use crate::presence::Presence;
use text::{Edited, edit};

with_file_args! {
    /// Make sure that a line is in a text file, or that it is not.
    ///
    /// ```yaml
    /// - lineinfile:
    ///     path: /etc/ssh/sshd_config
    ///     regexp: '^#?\s*PermitRootLogin'
    ///     line: PermitRootLogin no
    ///     validate: sshd -t -f %s
    /// ```
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Args {
        /// File to edit.
        #[serde(alias = "dest", alias = "destfile", alias = "name")]
        path: String,
        /// Regular expression (Python's) that finds the line to replace, or the lines to remove. The last match
        /// counts.
        #[serde(alias = "regex")]
        regexp: Option<String>,
        /// Text that finds the line instead of a regular expression.
        search_string: Option<String>,
        /// Should the line be there?
        #[serde(default)]
        state: Presence,
        /// The line. With `backrefs` it is a template with groups of the regular expression.
        #[serde(alias = "value")]
        line: Option<String>,
        /// Fill groups of the match into the line; without a match do nothing.
        #[serde(default)]
        backrefs: bool,
        /// Insert a new line behind the last line that matches this regular expression, or at the end (`EOF`).
        insertafter: Option<String>,
        /// Insert a new line before the last line that matches this regular expression, or at the beginning (`BOF`).
        insertbefore: Option<String>,
        /// Make the file if it is missing.
        #[serde(default)]
        create: bool,
        /// Keep a copy of the file as it was.
        #[serde(default)]
        backup: bool,
        /// Let the first match count instead of the last.
        #[serde(default)]
        firstmatch: bool,
        /// Command with `%s` for the new file; it must succeed before the file is put in place.
        validate: Option<String>,
    }
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("lineinfile")
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = EditedFile;
    const NAME: &'static str = "lineinfile";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<EditedFile, ModuleError> {
        check(args)?;
        EditedFile::observe(&args.path, &args.file_args(), host)
    }

    fn plan(args: &Args, now: &EditedFile) -> Result<Plan, ModuleError> {
        let edited = edit_file(args, now)?;
        let mut plan = now.plan(edited.and_then(|it| it.content), writing(args))?;
        plan.once = true;
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, EditedFile>) -> Report {
        let mut report = Report {
            warnings: warnings(args),
            ..Report::default()
        };
        let Ok(Some(edited)) = edit_file(args, ran.before) else {
            return report.with("msg", "file not present");
        };
        let msg = ran.before.message(&edited.msg, ran.check);
        if args.state == Presence::Absent {
            report = report.with("found", edited.found);
        }
        let backup = backup_file(ran.applied).unwrap_or_default();
        report.with("msg", msg).with("backup", backup)
    }
}

fn writing(args: &Args) -> Writing<'_> {
    Writing {
        backup: args.backup,
        validate: args.validate.as_deref(),
        unsafe_writes: args.unsafe_writes,
    }
}

/// What becomes of the file; `None` if a line should be absent from a file that is.
fn edit_file(args: &Args, now: &EditedFile) -> Result<Option<Edited>, ModuleError> {
    if !now.exists() {
        if args.state == Presence::Absent {
            return Ok(None);
        }
        if !args.create {
            now.must_exist("Destination")?;
        }
    }
    edit(args, now.content.as_deref().unwrap_or_default()).map(Some)
}

fn check(args: &Args) -> Result<(), ModuleError> {
    let insertbefore = ("insertbefore", args.insertbefore.is_some());
    refuse_both(insertbefore, ("insertafter", args.insertafter.is_some()))?;
    let search_string = ("search_string", args.search_string.is_some());
    refuse_both(("regexp", args.regexp.is_some()), search_string)?;
    refuse_both(("backrefs", args.backrefs), search_string)?;
    let pattern_given = args.regexp.is_some() || args.search_string.is_some();
    let msg = match args.state {
        Presence::Present if args.backrefs && args.regexp.is_none() => {
            "regexp is required with backrefs=true"
        }
        Presence::Present if args.line.is_none() => "line is required with state=present",
        Presence::Absent if args.line.is_none() && !pattern_given => {
            "one of line, search_string, or regexp is required with state=absent"
        }
        _ => return Ok(()),
    };
    Err(ModuleError::new(msg))
}

fn warnings(args: &Args) -> Vec<String> {
    let empty = |text: &Option<String>| text.as_deref() == Some("");
    let what = match (empty(&args.regexp), empty(&args.search_string)) {
        (true, _) => "regular expression",
        (false, true) => "search string",
        (false, false) => return Vec::new(),
    };
    let mut text = format!(
        "The {what} is an empty string, which will match every line in the file. This may have unintended \
         consequences, such as replacing the last line in the file rather than appending."
    );
    if empty(&args.regexp) {
        text.push_str(
            " If this is desired, use '^' to match every line in the file and avoid this warning.",
        );
    }
    vec![text]
}

#[cfg(test)]
mod tests;
