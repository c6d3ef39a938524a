//! `pause`: wait, once for all hosts.

use std::io::IsTerminal;
use std::time::Duration;

use hostler_module_api::{ModuleSpec, from_value, spec_of};
use hostler_value::{Map, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::context::RunContext;
use crate::failure::Failure;
use crate::interrupts::Level;
use crate::result::Single;

/// Wait for a time, or until the user presses Enter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// Minutes to wait.
    minutes: Option<f64>,
    /// Seconds to wait.
    seconds: Option<f64>,
    /// What to say; without a time, wait for Enter.
    prompt: Option<String>,
    /// Show what is typed.
    #[serde(default = "yes")]
    echo: bool,
}

fn yes() -> bool {
    true
}

pub(super) fn spec() -> ModuleSpec {
    spec_of::<Args>("pause")
}

/// Waits. A user who wants to stop is not kept waiting.
pub(crate) async fn wait(args: Map, run: &RunContext) -> Result<Single, Failure> {
    let args: Args =
        from_value(&Value::from(args)).map_err(|error| Failure::new(error.to_string()))?;
    let start = std::time::Instant::now();
    let seconds = args.seconds.or(args.minutes.map(|minutes| minutes * 60.0));
    let mut typed = String::new();
    if let Some(seconds) = seconds {
        let seconds = if seconds.is_finite() {
            seconds.clamp(0.0, 1e7)
        } else {
            0.0
        };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => {}
            () = run.interrupts.reached(Level::Drain) => {}
        }
    } else if std::io::stdin().is_terminal() {
        if !args.echo {
            return Err(Failure::new(
                "`pause` with `echo: no` is not available without a time",
            ));
        }
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        tokio::select! {
            line = line => typed = line.ok().and_then(Result::ok).unwrap_or_default(),
            () = run.interrupts.reached(Level::Drain) => {}
        }
    }
    let elapsed = start.elapsed();
    let mut value = Map::new();
    value.insert("user_input", typed.trim_end_matches(['\n', '\r']));
    value.insert("delta", Value::from(elapsed.as_secs()));
    value.insert("echo", args.echo);
    value.insert("rc", 0);
    value.insert("stderr", "");
    value.insert(
        "stdout",
        format!("Paused for {:.2} seconds", elapsed.as_secs_f64()),
    );
    let mut single = Single::ok(value);
    single.message = args.prompt;
    Ok(single)
}
