//! The flags that say where runs are kept, what other runs' locks mean, and how long things may take.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hostler_app::{Limits, LockRequest, StateRequest};

use crate::environment::Environment;

/// Longest time that a flag can name: ten years, which is for ever.
const FOR_EVER_S: u64 = 315_360_000;

/// What `--wait` without a number means.
const FOR_EVER: &str = "for-ever";

fn seconds(text: &str) -> Result<u64, String> {
    if text == FOR_EVER {
        return Ok(FOR_EVER_S);
    }
    text.parse()
        .map_err(|_| format!("`{text}` is not a number of seconds"))
}

/// Gives `--wait` without a number one, so that what stands behind it (a playbook) is not taken for it.
pub(crate) fn with_wait_closed(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args = args.peekable();
    let mut closed = Vec::new();
    while let Some(arg) = args.next() {
        let number = |it: &OsString| {
            it.to_str()
                .is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if arg == "--wait" && !args.peek().is_some_and(number) {
            closed.push(format!("--wait={FOR_EVER}").into());
        } else {
            closed.push(arg);
        }
    }
    closed
}

/// Where runs are kept.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StateArgs {
    #[arg(
        long,
        value_name = "DIR",
        help = "Keep runs, locks and keys in this directory [env: HOSTLER_STATE_DIR] [default: ~/.local/state/hostler]"
    )]
    pub state_dir: Option<PathBuf>,
}

impl StateArgs {
    /// Decides where runs are kept: flag, environment, default.
    pub(crate) fn request(self, environment: &Environment) -> StateRequest {
        StateRequest {
            directory: self.state_dir.or_else(|| environment.state_dir.clone()),
        }
    }
}

/// What other runs' locks mean.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Locks")]
pub(crate) struct LockArgs {
    /// Wait for hosts that another run has locked, so many seconds or for ever
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = FOR_EVER, value_parser = seconds)]
    pub wait: Option<u64>,
    /// Break the lock of another run that has this id (it says it in the message)
    #[arg(long, value_name = "ID")]
    pub break_lock: Option<String>,
}

impl LockArgs {
    /// Decides.
    pub(crate) fn request(self) -> LockRequest {
        LockRequest {
            wait: Duration::from_secs(self.wait.unwrap_or(0).min(FOR_EVER_S)),
            breaks: self.break_lock,
        }
    }
}

/// How long things may take.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Seconds to try again to connect when a connection is lost while a task runs [default: 300]
    #[arg(long, value_name = "SECONDS")]
    pub reconnect: Option<u64>,
    #[arg(
        long,
        value_name = "SECONDS",
        help = "Seconds for a task on a host that has no `timeout` of its own; 0 is for ever [env: ANSIBLE_TASK_TIMEOUT] [default: 14400]"
    )]
    pub task_timeout: Option<u64>,
    /// Seconds for all work on a host in the run, waiting for other hosts not counted; 0 is for ever [default: 43200]
    #[arg(long, value_name = "SECONDS")]
    pub host_budget: Option<u64>,
}

impl LimitArgs {
    /// Decides: flags, environment and settings file, defaults.
    pub(crate) fn request(self, environment: &Environment) -> Limits {
        let default = Limits::default();
        let time = |seconds: u64| Duration::from_secs(seconds.min(FOR_EVER_S));
        let or_none = |seconds: u64| (seconds > 0).then(|| time(seconds));
        let reconnect = self.reconnect.or(environment.reconnect_s);
        let task = self.task_timeout.or(environment.task_timeout_s);
        let host = self.host_budget.or(environment.host_budget_s);
        Limits {
            reconnect: reconnect.map_or(default.reconnect, time),
            task: task.map_or(default.task, or_none),
            host: host.map_or(default.host, or_none),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_none_and_flags_go_first() {
        let environment = Environment {
            task_timeout_s: Some(60),
            ..Environment::default()
        };
        let none = LimitArgs::default().request(&Environment::default());
        assert_eq!(none, Limits::default());
        let set = LimitArgs {
            reconnect: Some(0),
            host_budget: Some(0),
            ..LimitArgs::default()
        };
        let set = set.request(&environment);
        assert_eq!(
            (set.reconnect, set.task, set.host),
            (Duration::ZERO, Some(Duration::from_secs(60)), None)
        );
        let huge = LimitArgs {
            task_timeout: Some(u64::MAX),
            ..LimitArgs::default()
        };
        let limit = huge.request(&environment).task;
        assert_eq!(limit, Some(Duration::from_secs(FOR_EVER_S)));
    }

    #[test]
    fn waiting_has_an_end_only_if_asked() {
        let wait = |wait| {
            let args = LockArgs {
                wait,
                break_lock: None,
            };
            args.request().wait.as_secs()
        };
        assert_eq!((wait(None), wait(Some(7))), (0, 7));
        assert_eq!(seconds(FOR_EVER), Ok(FOR_EVER_S));
        assert!(seconds("site.yml").is_err());
        let closed = |args: &[&str]| {
            let closed = with_wait_closed(args.iter().map(OsString::from));
            closed
                .join(std::ffi::OsStr::new(" "))
                .into_string()
                .unwrap()
        };
        assert_eq!(
            closed(&["apply", "--wait", "site.yml"]),
            "apply --wait=for-ever site.yml"
        );
        assert_eq!(closed(&["apply", "--wait", "60", "s"]), "apply --wait 60 s");
        assert_eq!(closed(&["resume", "--wait"]), "resume --wait=for-ever");
    }
}
