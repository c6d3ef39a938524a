//! What `command` and `shell` share: when a program is run, and what is told about it.

use std::path::{Path, PathBuf};

use hostler_module_api::prelude::*;

use crate::files::{any_match, expand_path};
use crate::local_time;

/// Largest time zone file that is read.
const ZONE_MAX: u64 = 256 << 10;

/// What both modules ask for, apart from the program itself.
pub(crate) struct Request<'a> {
    /// The program, complete but for working directory and input.
    pub(crate) program: Program,
    /// The command as return values show it: text, or a list of words.
    pub(crate) shown: Value,
    pub(crate) chdir: Option<&'a str>,
    pub(crate) creates: Option<&'a str>,
    pub(crate) removes: Option<&'a str>,
    pub(crate) stdin: Option<&'a str>,
    pub(crate) stdin_add_newline: bool,
}

/// What was seen before it is run.
pub(crate) struct Seen {
    program: Program,
    shown: Value,
    /// The reason why it need not run.
    idle: Option<Idle>,
    /// The working directory cannot be entered.
    bad_chdir: bool,
    guarded: bool,
    zone: Vec<u8>,
}

struct Idle {
    what: String,
    exists: bool,
}

impl Seen {
    pub(crate) fn observe(request: Request<'_>, host: &dyn Inspect) -> Result<Self, ModuleError> {
        let chdir = request
            .chdir
            .map(|dir| expand_path(dir, host))
            .transpose()?;
        let bad_chdir = match &chdir {
            None => false,
            Some(dir) => {
                let stat = host.stat(dir, Follow::Yes)?;
                stat.is_none_or(|it| it.kind != FileKind::Dir) || !host.access(dir, 1)
            }
        };
        let base = chdir.clone().unwrap_or_default();
        let there = |text: Option<&str>| match text {
            None => Ok(None),
            Some(text) => {
                let path: PathBuf = expand_path(text, host)?;
                let found = any_match(&base.join(&path), host)?;
                Ok::<_, ModuleError>(Some((path.display().to_string(), found)))
            }
        };
        let created = there(request.creates)?.filter(|(_, found)| *found);
        let removed = there(request.removes)?.filter(|(_, found)| !*found);
        let idle = created
            .or(removed)
            .map(|(what, exists)| Idle { what, exists });
        let mut program = request.program;
        program.chdir = chdir.map(|dir| dir.display().to_string());
        program.stdin = request.stdin.map(|text| {
            let end = if request.stdin_add_newline { "\n" } else { "" };
            format!("{text}{end}").into_bytes()
        });
        Ok(Seen {
            program,
            shown: request.shown,
            idle,
            bad_chdir,
            guarded: request.creates.is_some() || request.removes.is_some(),
            zone: host
                .read(Path::new("/etc/localtime"), ZONE_MAX)?
                .unwrap_or_default(),
        })
    }

    pub(crate) fn plan(&self) -> Plan {
        let mut plan = Plan::none();
        if self.bad_chdir || self.idle.is_some() {
            return plan;
        }
        let run = Run {
            program: self.program.clone(),
            always: true,
            ok_rc: Vec::new(),
            effects: Vec::new(),
        };
        let line = match &self.shown {
            Value::Str(text) => text.to_string(),
            _ => self.program.shown().to_string(),
        };
        plan.push(
            Delta::action("command", format!("run {line}")),
            Edit::Run(run),
        );
        plan.unpredictable = true;
        plan
    }
}

/// The return values.
pub(crate) fn report(ran: &Ran<'_, Seen>, strip: bool) -> Report {
    let seen = ran.before;
    let mut fields = Map::new();
    for name in ["stdout", "stderr"] {
        fields.insert(name, "");
    }
    fields.insert("rc", Value::Null);
    fields.insert("cmd", seen.shown.clone());
    for name in ["start", "end", "delta"] {
        fields.insert(name, Value::Null);
    }
    fields.insert("msg", "");
    let mut report = Report {
        fields,
        ..Report::default()
    };
    if seen.bad_chdir {
        return report.fail("Unable to change directory before execution.");
    }
    if let Some(Idle { what, exists }) = &seen.idle {
        let verb = if ran.check { "Would" } else { "Did" };
        let state = if *exists { "exists" } else { "does not exist" };
        return report
            .with("rc", 0)
            .with("stdout", format!("skipped, since {what} {state}"))
            .with(
                "msg",
                format!("{verb} not run command since '{what}' {state}"),
            );
    }
    let Some(Applied::Ran(output)) = ran.applied.first() else {
        report.skipped = !seen.guarded;
        return report
            .with("rc", 0)
            .with("msg", "Command would have run if not in check mode");
    };
    for (name, cut) in [("output", output.stdout_cut), ("error", output.stderr_cut)] {
        if cut > 0 {
            let words = format!("{cut} bytes in the middle of standard {name} were left out");
            report.warnings.push(words);
        }
    }
    let text = |text: String| {
        if strip {
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            text
        }
    };
    let report = report
        .with("stdout", text(output.stdout_text()))
        .with("stderr", text(output.stderr_text()))
        .with("rc", output.rc)
        .with("start", moment(&seen.zone, output.start_us))
        .with("end", moment(&seen.zone, output.end_us))
        .with("delta", duration(output.end_us - output.start_us));
    if output.success() {
        report
    } else {
        report
            .with("msg", "non-zero return code")
            .fail("non-zero return code")
    }
}

/// A moment as Python's `str(datetime.now())` writes it.
fn moment(zone: &[u8], us: i64) -> String {
    let text = local_time(zone, us.div_euclid(1_000_000)).format(" ");
    match us.rem_euclid(1_000_000) {
        0 => text,
        fraction => format!("{text}.{fraction:06}"),
    }
}

/// A duration as Python's `str(timedelta)` writes it.
fn duration(us: i64) -> String {
    let us = us.max(0);
    let (seconds, fraction) = (us / 1_000_000, us % 1_000_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let days = match days {
        0 => String::new(),
        1 => "1 day, ".into(),
        days => format!("{days} days, "),
    };
    let fraction = if fraction == 0 {
        String::new()
    } else {
        format!(".{fraction:06}")
    };
    format!(
        "{days}{}:{:02}:{:02}{fraction}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_python_writes_them() {
        assert_eq!(duration(3_456), "0:00:00.003456");
        assert_eq!(duration(90_061_000_000), "1 day, 1:01:01");
        assert_eq!(duration(-5), "0:00:00");
        assert_eq!(moment(b"", 1_000_000), "1970-01-01 00:00:01");
        assert_eq!(moment(b"", 1_000_001), "1970-01-01 00:00:01.000001");
    }
}
