//! `hostler runs log`: the history of a path, a host, a task.

use clap::Args;
use hostler_app::{ExitCode, LogRequest};
use hostler_reporters::{log_json, log_text};

use super::{HistoryArgs, short_time, with_runs};

/// Flags of `runs log`.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// Only changes of this: a path, `package nginx`, `unit ssh.service`
    #[arg(value_name = "PATH")]
    file: Option<String>,
    /// Only changes on this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only changes by tasks with this in their name
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// Only changes in this time: a number with s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    since: Option<std::time::Duration>,
    /// At most so many; 0 is all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50)]
    number: usize,
    /// Show differences
    #[arg(short = 'D', long)]
    diff: bool,
    #[command(flatten)]
    common: HistoryArgs,
}

pub(super) fn run(args: LogArgs) -> ExitCode {
    let request = LogRequest {
        subject: args.file,
        host: args.host,
        task: args.task,
        since: args.since,
        number: (args.number > 0).then_some(args.number),
    };
    with_runs(args.common, args.diff, |runs, console| {
        let rows = runs.log(&request)?;
        let text = if console.is_json() {
            log_json(&rows)
        } else {
            log_text(&rows, console.options(), &short_time)
        };
        console.text(&text);
        Ok(ExitCode::Ok)
    })
}
