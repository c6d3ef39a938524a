//! `hostler plan`: what `apply` would change; kept in a file, if asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hostler_app::ExitCode;
use hostler_diag::SourceMap;
use hostler_reporters::{plan_diff, preview_schema};

use super::begin;
use super::previews::{self, Extent};
use crate::output::Console;
use crate::problem::Problem;
use crate::run_args::RunArgs;

/// How long a plan holds where `--expires` does not say.
const LASTS: &str = "24h";

/// Flags of `plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    run: Box<RunArgs>,
    /// Keep the plan in this file, for `hostler apply --plan FILE`
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long the plan holds: a number with s, m, h or d
    #[arg(long, value_name = "TIME", default_value = LASTS, value_parser = duration)]
    expires: Duration,
    /// Write the preview as one page to this file, for a change request
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the JSON schema of the preview (the last line of --output json) and stop
    #[arg(long)]
    schema: bool,
}

/// `90s`, `30m`, `24h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a number with s, m, h or d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let total = number.checked_mul(seconds).filter(|it| *it > 0);
    total.map(Duration::from_secs).ok_or_else(wrong)
}

/// Previews, and keeps what it found.
pub(crate) fn run(args: PlanArgs) -> ExitCode {
    let PlanArgs {
        run: mut args,
        out,
        expires,
        html,
        schema,
    } = args;
    let (console, environment) = match begin(&args.show, args.diff) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    if schema {
        console.line(&preview_schema());
        return ExitCode::Ok;
    }
    if let (true, [first, second]) = (args.diff, args.select.playbooks.as_slice())
        && is_plan(first)
        && is_plan(second)
    {
        return compare(first, second, &console);
    }
    if args.only_lists() {
        args.check = true;
        return super::apply::run_args(*args);
    }
    args.check = true;
    // Texts are needed for the file and the page, whether they are shown or not.
    args.diff = true;
    let request = match args.request(&environment) {
        Ok(request) => request,
        Err(problem) => return problem.tell(&SourceMap::new(), &console),
    };
    let (sources, done) = previews::run(request, &console, |sources| console.progress(sources));
    let draft = match done {
        Ok(draft) => draft,
        Err(problem) => return problem.tell(&sources, &console),
    };
    previews::show(&draft.preview, Extent::Whole, &console);
    let expires_at = out.as_ref().map(|_| hostler_app::after(expires));
    if let Some(path) = &out {
        if let Err(problems) = draft.save(path, expires) {
            return Problem::machine_all(problems).tell(&sources, &console);
        }
        tell_saved(path, &draft.preview, expires_at, &console);
    }
    if let Some(path) = &html
        && let Err(problem) = previews::write_page(&draft.preview, expires_at, path)
    {
        return problem.tell(&sources, &console);
    }
    draft.exit
}

fn tell_saved(
    path: &Path,
    preview: &hostler_preview::Preview,
    expires_us: Option<i64>,
    console: &Console,
) {
    if console.is_json() {
        return;
    }
    let until = expires_us.map(hostler_app::time_words).unwrap_or_default();
    let accept = if preview.unknown.is_empty() {
        ""
    } else {
        " --accept-unknown"
    };
    console.line(&format!(
        "\nThe plan is in {}; until {until}: hostler apply --plan {}{accept}",
        path.display(),
        path.display()
    ));
}

fn is_plan(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 13];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"hostler-plan "
}

/// `plan --diff A B`: ends with 0 if both do the same, with 2 if not.
fn compare(first: &Path, second: &Path, console: &Console) -> ExitCode {
    let read = |path| hostler_app::read_plan(path).map_err(Problem::inputs);
    match (read(first), read(second)) {
        (Ok(a), Ok(b)) => {
            let (same, text) = plan_diff(&a.body.preview, &b.body.preview, console.options());
            console.text(&text);
            if same {
                ExitCode::Ok
            } else {
                ExitCode::HostFailed
            }
        }
        (Err(problem), _) | (_, Err(problem)) => problem.tell(&SourceMap::new(), console),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in [
            "",
            "24",
            "h",
            "-1h",
            "1w",
            "0h",
            "99999999999999999999d",
            "1é",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
