//! `hostler patch report`, `hostler patch exceptions`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use hostler_app::{ApplyRequest, ExitCode, PatchReportRequest, short_time_words};
use hostler_diag::SourceMap;
use hostler_patch::report::Report;
use hostler_reporters::{
    Options, Reader, ReportForm, patch_exceptions, patch_exceptions_json, patch_report,
    patch_report_schema, sanitize,
};

use crate::commands::{begin, runs};
use crate::environment::Environment;
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::OutputArgs;
use crate::state_args::StateArgs;

/// Which policy, with which hosts.
#[derive(Args, Clone, Debug)]
struct PolicyArgs {
    /// The policy; that of the newest plan if not given
    #[arg(value_name = "POLICY")]
    policy: Option<PathBuf>,
    /// Inventory: a file, directory, script or comma-separated list; may be given several times
    #[arg(
        short,
        long,
        value_name = "INVENTORY",
        visible_alias = "inventory-file"
    )]
    inventory: Vec<String>,
    /// Only hosts that this pattern selects too; @FILE reads names from a file
    #[arg(short, long, value_name = "PATTERN", visible_alias = "subset")]
    limit: Option<String>,
    #[command(flatten)]
    show: OutputArgs,
    #[command(flatten)]
    state: StateArgs,
}

impl PolicyArgs {
    fn request(self, since: Duration, environment: &Environment) -> PatchReportRequest {
        let inventory = if self.inventory.is_empty() {
            environment.inventory.clone()
        } else {
            self.inventory
        };
        PatchReportRequest {
            given: ApplyRequest {
                inventory,
                limit: self.limit,
                state: self.state.request(environment),
                ..ApplyRequest::default()
            },
            policy: self.policy,
            since,
        }
    }
}

/// Flags of `patch report`.
#[derive(Args, Clone, Debug)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Period of what was fixed, failed and drifted: a number with s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = runs::duration)]
    since: Duration,
    /// Forms, several with commas: by default what the name of the file ends in, all of them for a directory, else text
    #[arg(long, value_enum, value_name = "FORM", value_delimiter = ',')]
    format: Vec<Format>,
    /// Write to this file, or, with names of their own, into this directory; - is standard output
    #[arg(short, long = "out", value_name = "FILE|DIRECTORY")]
    out: Option<PathBuf>,
    /// One page: how hosts stand, exposure, exceptions. So it is by default
    #[arg(long, conflicts_with = "engineer")]
    manager: bool,
    /// Runs by wave with their evidence, and what is open on which host
    #[arg(long)]
    engineer: bool,
    /// Print the JSON schema of reports and stop
    #[arg(long)]
    schema: bool,
}

/// Flags of `patch exceptions`.
#[derive(Args, Clone, Debug)]
pub(super) struct ExceptionsArgs {
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Forms of a report on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// Markdown
    Md,
    /// One page, without scripts
    Html,
    /// Everything
    Json,
    /// A row for each host; for engineers, for each package that runs brought
    Csv,
    #[value(name = "junit", help = "JUnit XML, a case for each host")]
    JUnit,
    #[value(name = "openmetrics", help = "OpenMetrics, for Prometheus")]
    OpenMetrics,
}

impl From<Format> for ReportForm {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => ReportForm::Text,
            Format::Md => ReportForm::Markdown,
            Format::Html => ReportForm::Html,
            Format::Json => ReportForm::Json,
            Format::Csv => ReportForm::Csv,
            Format::JUnit => ReportForm::JUnit,
            Format::OpenMetrics => ReportForm::OpenMetrics,
        }
    }
}

/// Where a report goes.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// Standard output.
    Out(ReportForm),
    File(PathBuf, ReportForm),
    Directory(PathBuf, Vec<ReportForm>),
}

/// Decides it; why that cannot be, if it cannot. `is_directory` says whether a path is one.
fn target(
    out: Option<&Path>,
    formats: &[Format],
    json: bool,
    is_directory: impl Fn(&Path) -> bool,
) -> Result<Target, String> {
    let forms: Vec<ReportForm> = formats.iter().map(|&it| it.into()).collect();
    let one = |otherwise: ReportForm| match forms.as_slice() {
        [] => Ok(otherwise),
        [form] => Ok(*form),
        _ => Err("several forms need a directory: -o DIRECTORY/".to_owned()),
    };
    let stdout = || {
        let usual = if json {
            ReportForm::Json
        } else {
            ReportForm::Text
        };
        Ok(Target::Out(one(usual)?))
    };
    let Some(path) = out.filter(|it| *it != Path::new("-")) else {
        return stdout();
    };
    let ends_as_one = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    if ends_as_one || is_directory(path) {
        let forms = if forms.is_empty() {
            ReportForm::ALL.to_vec()
        } else {
            forms
        };
        return Ok(Target::Directory(path.to_owned(), forms));
    }
    let extension = path.extension().and_then(|it| it.to_str());
    let by_name = ReportForm::ALL
        .into_iter()
        .find(|it| extension == Some(it.extension()));
    let form = one(by_name.unwrap_or(ReportForm::Text))?;
    Ok(Target::File(path.to_owned(), form))
}

/// Does what `patch report` says.
pub(super) fn run(args: ReportArgs) -> ExitCode {
    let (console, environment) = match begin(&args.policy.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    if args.schema {
        console.text(&patch_report_schema());
        return ExitCode::Ok;
    }
    let sources = SourceMap::new();
    let done = || -> Result<ExitCode, Problem> {
        let out = args.out.as_deref();
        let target = target(out, &args.format, console.is_json(), Path::is_dir);
        let target = target.map_err(Problem::usage)?;
        let reader = if args.engineer {
            Reader::Engineer
        } else {
            Reader::Manager
        };
        let request = args.policy.request(args.since, &environment);
        let (report, warnings) = hostler_app::patch_report(&request, &sources)?;
        console.diagnostics(&warnings, &sources);
        write(&report, &target, reader, &console)?;
        Ok(ExitCode::Ok)
    };
    done().unwrap_or_else(|problem| problem.tell(&sources, &console))
}

fn write(
    report: &Report,
    target: &Target,
    reader: Reader,
    console: &Console,
) -> Result<(), Problem> {
    // A file can be read at any width, and has no colours.
    let plain = Options {
        color: false,
        width: 120,
        ..*console.options()
    };
    let text = |form, reader, options: &Options| {
        patch_report(report, form, reader, options, &short_time_words)
    };
    match target {
        Target::Out(form) => {
            console.text(&text(*form, reader, console.options()));
            Ok(())
        }
        Target::File(path, form) => runs::write_to(path, &text(*form, reader, &plain), console),
        Target::Directory(directory, forms) => {
            std::fs::create_dir_all(directory).map_err(|error| {
                Problem::machine(format!("cannot make {}: {error}", directory.display()))
            })?;
            for form in forms {
                let both = [(Reader::Manager, "manager"), (Reader::Engineer, "engineer")];
                let readers = if form.has_readers() {
                    &both[..]
                } else {
                    &[(reader, "")]
                };
                for (reader, of) in readers {
                    let path = hostler_app::patch_report_path(
                        directory,
                        &report.policy,
                        of,
                        form.extension(),
                    );
                    runs::write_to(&path, &text(*form, *reader, &plain), console)?;
                    console.line(&sanitize::name(&path.display().to_string()));
                }
            }
            Ok(())
        }
    }
}

/// Does what `patch exceptions` says.
pub(super) fn exceptions(args: ExceptionsArgs) -> ExitCode {
    let (console, environment) = match begin(&args.policy.show, false) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let sources = SourceMap::new();
    let request = args.policy.request(Duration::ZERO, &environment);
    match hostler_app::patch_exceptions(&request, &sources) {
        Ok(rows) if console.is_json() => {
            console.text(&patch_exceptions_json(&rows));
            ExitCode::Ok
        }
        Ok(rows) => {
            console.text(&patch_exceptions(
                &rows,
                console.options(),
                &short_time_words,
            ));
            ExitCode::Ok
        }
        Err(refusal) => Problem::from(refusal).tell(&sources, &console),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(out: &str, formats: &[Format]) -> Result<Target, String> {
        let out = (!out.is_empty()).then(|| Path::new(out));
        target(out, formats, false, |it| it == Path::new("there"))
    }

    #[test]
    fn forms_and_places_fit_together() {
        use Format::{Csv, Html, JUnit};
        assert_eq!(decide("", &[]), Ok(Target::Out(ReportForm::Text)));
        assert_eq!(decide("-", &[Csv]), Ok(Target::Out(ReportForm::Csv)));
        assert!(decide("", &[Csv, Html]).is_err());
        assert!(decide("x.html", &[Csv, Html]).is_err());
        let file = |name: &str, form| Ok(Target::File(name.into(), form));
        assert_eq!(decide("x.html", &[]), file("x.html", ReportForm::Html));
        assert_eq!(
            decide("x.html", &[JUnit]),
            file("x.html", ReportForm::JUnit)
        );
        assert_eq!(decide("x", &[]), file("x", ReportForm::Text));
        assert_eq!(
            decide("there", &[Csv, Html]),
            Ok(Target::Directory(
                "there".into(),
                vec![ReportForm::Csv, ReportForm::Html]
            ))
        );
        let all = ReportForm::ALL.to_vec();
        assert_eq!(
            decide("new/", &[]),
            Ok(Target::Directory("new/".into(), all))
        );
    }
}
