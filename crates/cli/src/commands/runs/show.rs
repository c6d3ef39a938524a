//! `hostler runs show`.

use std::path::{Path, PathBuf};

use clap::Args;
use hostler_app::{ExitCode, Runs};
use hostler_record::{Record, Selection};
use hostler_reporters::{Form, export, run_schema, run_text};

use super::super::begin;
use super::{HistoryArgs, with_runs, write_to};
use crate::output::Console;
use crate::problem::Problem;

/// Flags of `runs show`.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// The run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    run: String,
    /// Only what concerns this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only tasks with this in their name
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// Only what changed this path
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
    /// Only what changed something
    #[arg(long)]
    changed: bool,
    /// Show differences
    #[arg(short = 'D', long)]
    diff: bool,
    #[command(flatten)]
    forms: FormArgs,
    /// Print the JSON schema of --json and stop
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    common: HistoryArgs,
}

/// Files to write instead of text.
#[derive(Args, Debug)]
struct FormArgs {
    /// Write one HTML page to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[arg(
        long,
        value_name = "FILE",
        help = "Write JUnit XML to this file, a suite for each host"
    )]
    junit: Option<PathBuf>,
    /// Write CSV to this file, a row for each task and host
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl FormArgs {
    fn asked(&self) -> impl Iterator<Item = (Form, &Path)> {
        let all = [
            (Form::Html, &self.html),
            (Form::JUnit, &self.junit),
            (Form::Csv, &self.csv),
            (Form::Json, &self.json),
        ];
        all.into_iter()
            .filter_map(|(form, path)| path.as_deref().map(|path| (form, path)))
    }
}

pub(super) fn run(args: ShowArgs) -> ExitCode {
    let ShowArgs {
        run,
        host,
        task,
        file,
        changed,
        diff,
        forms,
        schema,
        common,
    } = args;
    let selection = Selection {
        host,
        task,
        changed,
        file,
    };
    if schema {
        return match begin(&common.show, diff) {
            Ok((console, _)) => {
                console.line(&run_schema());
                ExitCode::Ok
            }
            Err(exit) => exit,
        };
    }
    with_runs(common, diff, |runs, console| {
        let record = selected(runs, &run, &selection)?;
        let when = hostler_app::time_words;
        let mut written = false;
        for (form, path) in forms.asked() {
            write_to(path, &export(&record, form, &when), console)?;
            written = true;
        }
        if !written {
            tell(&record, &selection, console);
        }
        Ok(ExitCode::Ok)
    })
}

/// The part of the run that is wanted.
fn selected(runs: &Runs, name: &str, selection: &Selection) -> Result<Record, Problem> {
    let run = runs.find(name)?;
    let mut record = runs.record(&run)?;
    let has_host = |host: &String| {
        let plays = record.plays.iter().flat_map(|play| &play.hosts);
        record
            .hosts
            .iter()
            .map(|it| &it.host)
            .chain(plays)
            .any(|it| it == host)
    };
    if let Some(host) = selection.host.as_ref().filter(|host| !has_host(host)) {
        return Err(Problem::usage(format!("run {} has no host {host}", run.0)));
    }
    selection.apply(&mut record);
    Ok(record)
}

fn tell(record: &Record, selection: &Selection, console: &Console) {
    if console.is_json() {
        console.text(&export(record, Form::Json, &hostler_app::time_words));
        return;
    }
    let all = (selection.host.is_some() || selection.task.is_some()) && !selection.changed;
    let text = run_text(record, all, console.options(), &hostler_app::time_words);
    console.text(&text);
}
