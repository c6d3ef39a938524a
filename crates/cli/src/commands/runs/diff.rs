//! `hostler runs diff`.

use clap::Args;
use hostler_app::ExitCode;
use hostler_record::compare;
use hostler_reporters::{comparison_json, comparison_text};

use super::{HistoryArgs, with_runs};

/// Flags of `runs diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// The first run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "A")]
    first: String,
    /// The second run
    #[arg(value_name = "B", default_value = "last")]
    second: String,
    /// Show differences of files
    #[arg(short = 'D', long)]
    diff: bool,
    #[command(flatten)]
    common: HistoryArgs,
}

/// Ends with 0 if both runs did the same, with 2 if not.
pub(super) fn run(args: DiffArgs) -> ExitCode {
    with_runs(args.common, args.diff, |runs, console| {
        let first = runs.record(&runs.find(&args.first)?)?;
        let second = runs.record(&runs.find(&args.second)?)?;
        let found = compare(&first, &second);
        let text = if console.is_json() {
            comparison_json(&first, &second, &found)
        } else {
            comparison_text(&first, &second, &found, console.options())
        };
        console.text(&text);
        Ok(if found.is_same() {
            ExitCode::Ok
        } else {
            ExitCode::HostFailed
        })
    })
}
