//! `cron`: jobs and variables of a user's crontab, or of a file in `/etc/cron.d`.

mod table;

use std::path::{Path, PathBuf};

use hostler_change::Remove;
use hostler_module_api::prelude::*;

use crate::edited::{FILE_BYTES_MAX, backup_file, refuse_both, to_bytes};
use crate::files::expand_path;
use crate::presence::Presence;
use crate::unique::unique;
use table::{Edited, edit};

/// Keep a job, or a variable, in a crontab. A comment line `#Ansible: NAME` before the job tells it apart.
///
/// ```yaml
/// - cron:
///     name: check dirs
///     minute: "0"
///     hour: "5,2"
///     job: ls -alh > /dev/null
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Name of the job, or of the variable.
    name: String,
    /// User whose crontab it is; the current one, if not given. In a file: the user who runs the job.
    user: Option<String>,
    /// Command to run, or value of the variable.
    #[serde(alias = "value")]
    job: Option<String>,
    /// Should it be there?
    #[serde(default)]
    state: Presence,
    /// File to use instead of a user's crontab; in `/etc/cron.d`, if it has no directory.
    cron_file: Option<String>,
    /// Keep a copy of the crontab as it was.
    #[serde(default)]
    backup: bool,
    /// Minutes at which the job runs.
    #[serde(default = "any")]
    minute: String,
    /// Hours at which the job runs.
    #[serde(default = "any")]
    hour: String,
    /// Days of the month on which the job runs.
    #[serde(default = "any", alias = "dom")]
    day: String,
    /// Months in which the job runs.
    #[serde(default = "any")]
    month: String,
    /// Days of the week on which the job runs.
    #[serde(default = "any", alias = "dow")]
    weekday: String,
    /// Nickname instead of times.
    special_time: Option<SpecialTime>,
    /// Keep the job as a comment.
    #[serde(default)]
    disabled: bool,
    /// Is it a variable?
    #[serde(default)]
    env: bool,
    /// Variable behind which a new variable goes.
    insertafter: Option<String>,
    /// Variable before which a new variable goes.
    insertbefore: Option<String>,
}

/// Nicknames of times, see crontab(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SpecialTime {
    /// Once a year.
    Annually,
    /// Once a day.
    Daily,
    /// Once an hour.
    Hourly,
    /// Once a month.
    Monthly,
    /// When the host starts.
    Reboot,
    /// Once a week.
    Weekly,
    /// Once a year.
    Yearly,
}

impl SpecialTime {
    fn name(self) -> &'static str {
        match self {
            SpecialTime::Annually => "annually",
            SpecialTime::Daily => "daily",
            SpecialTime::Hourly => "hourly",
            SpecialTime::Monthly => "monthly",
            SpecialTime::Reboot => "reboot",
            SpecialTime::Weekly => "weekly",
            SpecialTime::Yearly => "yearly",
        }
    }
}

fn any() -> String {
    "*".into()
}

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("cron")
}

pub(crate) struct State {
    place: Place,
    /// The table as text, byte by byte (`edited::from_bytes`); `None` if there is no file.
    text: Option<String>,
    /// Where a copy of a user's crontab would go.
    backup: Option<PathBuf>,
}

/// Where the table is.
enum Place {
    File(PathBuf),
    /// A crontab of another user, or (`None`) of the current one; whether there is such a user; and who the current
    /// one is.
    User { name: Option<String>, known: bool, me: String },
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = State;
    const NAME: &'static str = "cron";

    fn observe(args: &Args, host: &dyn Inspect) -> Result<State, ModuleError> {
        check(args)?;
        if let Some(file) = &args.cron_file {
            let path = Path::new("/etc/cron.d").join(expand_path(file, host)?);
            let content = host.read(&path, FILE_BYTES_MAX)?;
            let text = content.as_deref().map(crate::edited::from_bytes);
            return Ok(State {
                place: Place::File(path),
                text,
                backup: None,
            });
        }
        let me = &host.identity().user;
        let user = args.user.clone().filter(|user| user != me);
        let known = match &user {
            Some(user) => host.account(user)?.is_some_and(|it| it.name == *user),
            None => true,
        };
        let output = hostler_probes::crontab(host, user.as_deref())?;
        // 1 can mean that there are no jobs.
        if !matches!(output.rc, 0 | 1) {
            return Err(ModuleError::new("Unable to read crontab")
                .field("rc", output.rc)
                .field("stderr", output.stderr_text()));
        }
        let backup = if args.backup {
            Some(Path::new("/tmp").join(format!("crontab{}", unique(host)?)))
        } else {
            None
        };
        let listed = if output.success() { output.stdout } else { Vec::new() };
        Ok(State {
            place: Place::User { name: user, known, me: me.clone() },
            text: Some(crate::edited::from_bytes(&listed)),
            backup,
        })
    }

    fn plan(args: &Args, now: &State) -> Result<Plan, ModuleError> {
        let before = now.text.as_deref().unwrap_or_default();
        let mut plan = Plan::none();
        // A job of several lines is never found again: it is written once a run, as ansible-core does.
        plan.once = args.job.as_deref().is_some_and(|job| job.trim_end_matches(['\r', '\n']).contains('\n'));
        match (edit(args, before)?.text, &now.place) {
            (None, _) => {}
            (Some(text), Place::File(path)) => plan_file(args, now, path, &text, &mut plan),
            (Some(text), Place::User { name, known, me }) => {
                if !known {
                    let name = name.as_deref().unwrap_or_default();
                    plan.unmet.push(format!("crontab: user `{name}' unknown"));
                }
                plan_crontab(now, (name.as_deref(), me), before, &text, &mut plan);
            }
        }
        Ok(plan)
    }

    fn report(args: &Args, ran: &Ran<'_, State>) -> Report {
        let mut report = Report {
            warnings: warnings(args),
            ..Report::default()
        };
        let before = ran.before.text.as_deref().unwrap_or_default();
        let edited = edit(args, before).unwrap_or_default();
        if let Some(file) = &args.cron_file {
            report = report.with("cron_file", file.as_str());
            if edited.text.as_deref() == Some("") && removes_file(args) {
                return report.with("state", "absent");
            }
        }
        let Edited { jobs, envs, .. } = edited;
        report = report.with("jobs", jobs).with("envs", envs);
        let of_crontab = ran.before.backup.as_ref().map(|it| it.display().to_string());
        let of_crontab = of_crontab.filter(|_| !ran.applied.is_empty());
        match backup_file(ran.applied).map(str::to_owned).or(of_crontab) {
            Some(backup) => report.with("backup_file", backup),
            None => report,
        }
    }
}

/// Replaces a crontab by what is on its input.
fn crontab(user: Option<&str>) -> Vec<&str> {
    let of_user = user.map(|user| ["-u", user]).into_iter().flatten();
    ["crontab"].into_iter().chain(of_user).chain(["-"]).collect()
}

/// A file is removed with its last job; with its last variable it stays, empty, as ansible-core leaves it.
fn removes_file(args: &Args) -> bool {
    args.state == Presence::Absent && !args.env
}

fn plan_file(args: &Args, now: &State, path: &Path, text: &str, plan: &mut Plan) {
    let shown = path.display().to_string();
    let before = now.text.as_deref().map(to_bytes);
    if text.is_empty() && removes_file(args) {
        let delta = Delta::content(&shown, before.as_deref(), None);
        let path = path.to_owned();
        let recursive = false;
        plan.push(delta, Edit::Remove(Remove { path, recursive }));
        return;
    }
    let after = to_bytes(text);
    let delta = Delta::content(&shown, before.as_deref(), Some(&after));
    plan.write(
        vec![delta],
        WriteFile {
            path: path.to_owned(),
            content: Content::Bytes(after),
            attrs: Attrs {
                // cron refuses files that others may write; the mask of the agent may be anything.
                mode: now.text.is_none().then_some(0o644),
                ..Attrs::default()
            },
            backup: args.backup,
            validate: None,
            unsafe_writes: false,
        },
    );
}

fn plan_crontab(now: &State, (user, me): (Option<&str>, &str), before: &str, text: &str, plan: &mut Plan) {
    if let Some(backup) = &now.backup {
        let content = to_bytes(before);
        let delta = Delta::content(backup.display().to_string(), None, Some(&content));
        plan.write(
            vec![delta],
            WriteFile {
                path: backup.clone(),
                content: Content::Bytes(content),
                attrs: Attrs {
                    mode: Some(0o600),
                    ..Attrs::default()
                },
                backup: false,
                validate: None,
                unsafe_writes: false,
            },
        );
    }
    let subject = match user {
        Some(user) => format!("crontab for user \"{user}\""),
        None => "crontab".to_owned(),
    };
    let after = to_bytes(text);
    let delta = Delta::content(subject, Some(&to_bytes(before)), Some(&after));
    let brings = Effect::Crontab { user: user.unwrap_or(me).to_owned(), table: after.clone() };
    let run = Run::new(Program::new(crontab(user)).stdin(after)).bringing(vec![brings]);
    plan.push(delta, Edit::Run(run));
}

fn check(args: &Args) -> Result<(), ModuleError> {
    let insertafter = ("insertafter", args.insertafter.is_some());
    refuse_both(insertafter, ("insertbefore", args.insertbefore.is_some()))?;
    let times = [&args.minute, &args.hour, &args.day, &args.month, &args.weekday];
    let present = args.state == Presence::Present;
    let file = args.cron_file.as_deref().filter(|it| !it.is_empty());
    let msg = if file == Some("/etc/crontab") {
        "Will not manage /etc/crontab via cron_file, see documentation."
    } else if args.special_time.is_some() && times.iter().any(|it| *it != "*") {
        "You cannot combine special_time with any of the time or day/date parameters."
    } else if present && file.is_some() && args.user.is_none() {
        "To use cron_file=... parameter you must specify user=... as well"
    } else if present && args.job.is_none() {
        "You must specify 'job' to install a new cron job or variable"
    } else if present && !args.env && (args.insertafter.is_some() || args.insertbefore.is_some()) {
        "Insertafter and insertbefore parameters are valid only with env=yes"
    } else if args.env && args.name.contains(' ') {
        "Invalid name for environment variable"
    } else if args.name.contains(['\n', '\r']) {
        "the name cannot have line breaks"
    } else if args.user.as_deref().is_some_and(|it| it.starts_with('-')) {
        "the user's name cannot begin with a hyphen"
    } else {
        return Ok(());
    };
    Err(ModuleError::new(msg))
}

fn warnings(args: &Args) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(file) = &args.cron_file {
        let name = file.rsplit('/').next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(plain) {
            warnings.push(format!(
                "Filename portion of cron_file (\"{name}\") should consist solely of upper- and lower-case letters, \
                 digits, underscores, and hyphens"
            ));
        }
    }
    let several = |job: &str| job.trim_matches(['\r', '\n']).contains(['\r', '\n']);
    let installs = args.state == Presence::Present && !args.env;
    if installs && args.job.as_deref().is_some_and(several) {
        warnings.push("Job should not contain line breaks".into());
    }
    warnings
}

#[cfg(test)]
mod tests;
