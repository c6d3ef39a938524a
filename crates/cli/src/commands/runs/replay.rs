//! `hostler runs replay`: the stored events, given to the reporters that the run gave them to.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use hostler_app::{ExitCode, Runs};
use hostler_diag::SourceMap;

use super::{HistoryArgs, with_runs};
use crate::output::Console;
use crate::problem::Problem;

/// Longest pause between two events: a run may have waited for days to be resumed.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Flags of `runs replay`.
#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// The run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    run: String,
    /// So many times as fast as the run was; on a terminal 1 if not given, elsewhere without pauses
    #[arg(long, value_name = "NUMBER", value_parser = speed)]
    speed: Option<f64>,
    /// Without pauses
    #[arg(long, conflicts_with = "speed")]
    instant: bool,
    /// Show differences
    #[arg(short = 'D', long)]
    diff: bool,
    #[command(flatten)]
    common: HistoryArgs,
}

fn speed(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    if number.is_finite() && number >= 0.001 {
        Ok(number)
    } else {
        Err("it must be greater than 0".to_owned())
    }
}

pub(super) fn run(args: ReplayArgs) -> ExitCode {
    with_runs(args.common, args.diff, |runs, console| {
        let live = console.has_live_view();
        let speed = args.speed.or((live && !args.instant).then_some(1.0));
        replay(runs, &args.run, speed, console)?;
        Ok(ExitCode::Ok)
    })
}

fn replay(runs: &Runs, name: &str, speed: Option<f64>, console: &Console) -> Result<(), Problem> {
    let run = runs.find(name)?;
    let mut reporter = console.reporter(&SourceMap::new());
    let mut clock = Clock::new(speed);
    for event in runs.events(&run, console.options().diff)? {
        let mut event = event?;
        let at_us = clock.wait_for(event.at_us);
        // A live view shows how long something has been going on: by the clock of now.
        if console.has_live_view() {
            event.at_us = at_us;
        }
        reporter.event(&event);
    }
    Ok(())
}

/// Turns the pauses of the run into pauses of now.
struct Clock {
    speed: Option<f64>,
    before_us: Option<i64>,
    due: Instant,
}

impl Clock {
    fn new(speed: Option<f64>) -> Self {
        Clock {
            speed,
            before_us: None,
            due: Instant::now(),
        }
    }

    /// Waits until an event of that time is due; gives the time of now.
    fn wait_for(&mut self, at_us: i64) -> i64 {
        let gap = at_us.saturating_sub(self.before_us.unwrap_or(at_us));
        self.before_us = Some(at_us);
        if let (Some(speed), Ok(gap)) = (self.speed, u64::try_from(gap)) {
            let pause = Duration::from_micros(gap)
                .min(PAUSE_MAX * 1000)
                .div_f64(speed);
            self.due += pause.min(PAUSE_MAX);
            std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
    }
}
