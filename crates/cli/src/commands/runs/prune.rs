//! `hostler runs prune`.

use clap::Args;
use hostler_app::{ExitCode, PruneRequest};
use hostler_reporters::pruned_text;

use super::{HistoryArgs, with_runs};

/// Flags of `runs prune`.
#[derive(Args, Debug)]
pub(super) struct PruneArgs {
    /// Remove runs that are older than so many days
    #[arg(long, value_name = "NUMBER")]
    keep_days: Option<u32>,
    /// Remove all but the newest so many runs
    #[arg(long, value_name = "NUMBER")]
    keep_runs: Option<u32>,
    /// Remove the oldest runs until the database is not larger: bytes, or a number with K, M or G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: HistoryArgs,
}

/// `500M`, `2G`, `1048576`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a number with K, M or G");
    let (digits, shift) = match text.chars().last().map(|it| it.to_ascii_uppercase()) {
        Some('K') => (&text[..text.len() - 1], 10),
        Some('M') => (&text[..text.len() - 1], 20),
        Some('G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

pub(super) fn run(args: PruneArgs) -> ExitCode {
    let request = PruneRequest {
        keep_days: args.keep_days,
        keep_runs: args.keep_runs,
        max_size: args.max_size,
        dry_run: args.dry_run,
    };
    with_runs(args.common, false, |runs, console| {
        let pruned = runs.prune(&request)?;
        console.text(&pruned_text(&pruned, console.is_json()));
        Ok(ExitCode::Ok)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("1048576"), Ok(1 << 20));
        assert_eq!((size("3k"), size("2G")), (Ok(3 << 10), Ok(2 << 30)));
        for wrong in ["", "M", "1T", "-1", "99999999999G", "1é"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
