//! `hostler runs list`.

use clap::Args;
use hostler_app::{ExitCode, ListRequest, RunState};
use hostler_reporters::{runs_json, runs_text};

use super::{HistoryArgs, short_time, with_runs};

/// Flags of `runs list`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only runs in this state: running, finished, failed, interrupted or journal-broken
    #[arg(long, value_name = "STATE")]
    state: Option<RunState>,
    /// Only runs that had this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Only runs of this playbook: its path, or the end of it
    #[arg(long, value_name = "PLAYBOOK")]
    playbook: Option<String>,
    /// Only runs that began in this time: a number with s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    since: Option<std::time::Duration>,
    /// At most so many; 0 is all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50)]
    number: usize,
    #[command(flatten)]
    common: HistoryArgs,
}

pub(super) fn run(args: ListArgs) -> ExitCode {
    let request = ListRequest {
        state: args.state,
        host: args.host,
        playbook: args.playbook,
        since: args.since,
        number: (args.number > 0).then_some(args.number),
    };
    with_runs(args.common, false, |runs, console| {
        let rows = runs.list(&request)?;
        let text = if console.is_json() {
            runs_json(&rows)
        } else {
            runs_text(&rows, console.options(), &short_time)
        };
        console.text(&text);
        Ok(ExitCode::Ok)
    })
}
