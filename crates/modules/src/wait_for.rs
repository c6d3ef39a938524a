//! `wait_for`: wait until a port, a file or a time is reached.

mod drained;

use std::path::Path;
use std::time::{Duration, SystemTime};

use hostler_module_api::Receive;
use hostler_module_api::prelude::*;
use hostler_python_regex::{Flags, Regex};

use crate::edited::{FILE_BYTES_MAX, from_bytes, to_bytes};
use crate::files::expand_path;
use drained::Connections;

/// Wait until something is so on the host, and fail if it takes too long.
///
/// ```yaml
/// - wait_for:
///     port: 22
///     host: 192.0.2.1
///     search_regex: OpenSSH
///     delay: 10
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Name or address to connect to.
    #[serde(default = "default_host")]
    host: String,
    /// Most seconds to wait. Without port and path: the seconds to sleep.
    #[serde(default = "default_timeout")]
    timeout: i64,
    /// Most seconds for one connection.
    #[serde(default = "default_connect_timeout")]
    connect_timeout: i64,
    /// Seconds to wait before the first look.
    #[serde(default)]
    delay: i64,
    /// Port to connect to.
    port: Option<u16>,
    /// Kernel's names of the states of connections that count as active.
    #[serde(default = "default_states")]
    active_connection_states: Vec<String>,
    /// What to wait for: a port that answers or not, a path that is there or not, no more connections.
    #[serde(default)]
    state: State,
    /// File to look at.
    path: Option<String>,
    /// Regular expression (Python's) to find in the file, or in what the peer sends.
    search_regex: Option<String>,
    /// Peers whose connections do not count.
    exclude_hosts: Option<Vec<String>>,
    /// Seconds between two looks.
    #[serde(default = "default_sleep")]
    sleep: i64,
    /// Message of the failure instead of the usual one.
    msg: Option<String>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// The path is not there.
    Absent,
    /// Nobody is connected to the port.
    Drained,
    /// The path is there.
    Present,
    /// The port answers.
    #[default]
    Started,
    /// The port does not answer.
    Stopped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Absent => "absent",
            State::Drained => "drained",
            State::Present => "present",
            State::Started => "started",
            State::Stopped => "stopped",
        }
    }
}

fn default_host() -> String {
    "127.0.0.1".into()
}

fn default_timeout() -> i64 {
    300
}

fn default_connect_timeout() -> i64 {
    5
}

fn default_sleep() -> i64 {
    1
}

fn default_states() -> Vec<String> {
    drained::STATES.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Bytes of a peer's greeting that are searched.
const GREETING_BYTES_MAX: usize = 1 << 20;

pub(crate) fn spec() -> ModuleSpec {
    spec_of::<Args>("wait_for")
}

/// What the wait ended with.
#[derive(Default)]
pub(crate) struct Waited {
    elapsed_s: u64,
    path: Option<String>,
    groups: Vec<Value>,
    named: Map,
}

pub(crate) struct This;

impl Module for This {
    type Args = Args;
    type State = Waited;
    const NAME: &'static str = "wait_for";
    const CHECK_MODE: bool = false;
    const CHANGES: bool = false;

    fn observe(args: &Args, host: &dyn Inspect) -> Result<Waited, ModuleError> {
        check(args)?;
        let path = args.path.as_deref().map(|path| expand_path(path, host)).transpose()?;
        let wait = Wait {
            args,
            host,
            path: path.as_deref(),
            regex: regex(args)?,
            start: host.now(),
        };
        wait.run()
    }

    fn plan(_args: &Args, _now: &Waited) -> Result<Plan, ModuleError> {
        Ok(Plan::none())
    }

    fn report(args: &Args, ran: &Ran<'_, Waited>) -> Report {
        let waited = ran.after;
        Report::default()
            .with("state", args.state.name())
            .with("port", args.port)
            .with("search_regex", args.search_regex.clone())
            .with("match_groups", waited.groups.clone())
            .with("match_groupdict", waited.named.clone())
            .with("path", waited.path.clone())
            .with("elapsed", waited.elapsed_s)
    }
}

fn check(args: &Args) -> Result<(), ModuleError> {
    let port = args.port.is_some_and(|port| port != 0);
    let path = args.path.is_some();
    let unknown = |name: &&String| drained::state_id(name).is_none();
    let msg = if port && path {
        "port and path parameter can not both be passed to wait_for".into()
    } else if path && matches!(args.state, State::Stopped | State::Drained) {
        let state = args.state.name();
        format!("state={state} should only be used for checking a port in the wait_for module")
    } else if args.exclude_hosts.is_some() && args.state != State::Drained {
        "exclude_hosts should only be with state=drained".into()
    } else if args.state == State::Drained && !port {
        "state=drained needs a port".into()
    } else if let Some(name) = args.active_connection_states.iter().find(unknown) {
        format!("unknown active_connection_state ({name}) defined")
    } else {
        return Ok(());
    };
    Err(ModuleError::new(msg).field("elapsed", 0))
}

/// Matches bytes, line by line.
fn regex(args: &Args) -> Result<Option<Regex>, ModuleError> {
    let Some(pattern) = &args.search_regex else { return Ok(None) };
    let flags = Flags {
        ascii: true,
        multi_line: true,
        ..Flags::default()
    };
    let regex = Regex::new(&from_bytes(pattern.as_bytes()), flags);
    let regex = regex
        .map_err(|error| ModuleError::new(format!("Invalid regular expression: {error}")))?;
    Ok(Some(regex))
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

/// A wait that is going on.
struct Wait<'a> {
    args: &'a Args,
    host: &'a dyn Inspect,
    path: Option<&'a Path>,
    regex: Option<Regex>,
    start: SystemTime,
}

impl Wait<'_> {
    fn run(&self) -> Result<Waited, ModuleError> {
        let args = self.args;
        self.host.sleep(seconds(args.delay))?;
        let port = args.port.filter(|port| *port != 0);
        if port.is_none() && self.path.is_none() {
            self.host.sleep(seconds(args.timeout))?;
            return Ok(self.done(Waited::default()));
        }
        let connections = match (args.state, port) {
            (State::Drained, Some(port)) => Some(Connections::new(args, port, self.host)?),
            _ => None,
        };
        while let Some(left) = self.left() {
            let found = match (args.state, port) {
                (State::Drained, _) => {
                    let none = connections.as_ref().map(|it| it.none_active(self.host));
                    none.unwrap_or(Ok(true))?.then(Waited::default)
                }
                (State::Absent | State::Stopped, _) => self.is_gone(port)?.then(Waited::default),
                (State::Present | State::Started, Some(port)) => self.answers(port, left)?,
                (State::Present | State::Started, None) => self.is_there()?,
            };
            if let Some(waited) = found {
                return Ok(self.done(waited));
            }
            self.host.sleep(seconds(args.sleep).min(left))?;
        }
        let msg = args.msg.clone().unwrap_or_else(|| self.timeout_message());
        Err(ModuleError::new(msg).field("elapsed", self.elapsed().as_secs()))
    }

    fn done(&self, waited: Waited) -> Waited {
        Waited {
            elapsed_s: self.elapsed().as_secs(),
            path: self.path.map(|path| path.display().to_string()),
            ..waited
        }
    }

    fn elapsed(&self) -> Duration {
        self.host.now().duration_since(self.start).unwrap_or_default()
    }

    /// Time that is left; `None` when it is over.
    fn left(&self) -> Option<Duration> {
        seconds(self.args.timeout).checked_sub(self.elapsed()).filter(|left| !left.is_zero())
    }

    fn is_gone(&self, port: Option<u16>) -> Result<bool, ModuleError> {
        Ok(match (self.path, port) {
            (Some(path), _) => self.host.stat(path, Follow::Yes)?.is_none(),
            (None, Some(port)) => {
                let timeout = seconds(self.args.connect_timeout);
                !self.host.can_connect(&self.args.host, port, timeout)
            }
            (None, None) => true,
        })
    }

    fn answers(&self, port: u16, left: Duration) -> Result<Option<Waited>, ModuleError> {
        let host = &self.args.host;
        let Some(regex) = &self.regex else {
            let timeout = seconds(self.args.connect_timeout).min(left);
            return Ok(self.host.can_connect(host, port, timeout).then(Waited::default));
        };
        let found = |got: &[u8]| matches!(regex.search(&from_bytes(got)), Ok(Some(_)));
        let bounds = Receive {
            connect_timeout: seconds(self.args.connect_timeout).min(left),
            timeout: left,
            bytes_max: GREETING_BYTES_MAX,
        };
        let got = self.host.receive(host, port, bounds, &found)?;
        // Groups are reported only for files, as ansible-core does.
        Ok(got.filter(|got| found(got)).map(|_| Waited::default()))
    }

    fn is_there(&self) -> Result<Option<Waited>, ModuleError> {
        let Some(path) = self.path else { return Ok(None) };
        if self.host.stat(path, Follow::Yes)?.is_none() {
            return Ok(None);
        }
        let Some(regex) = &self.regex else { return Ok(Some(Waited::default())) };
        let content = self.host.read(path, FILE_BYTES_MAX)?.unwrap_or_default();
        let text = from_bytes(&content);
        let found = regex.search(&text);
        let found = found.map_err(|error| ModuleError::new(format!("search_regex: {error}")))?;
        let value = |group: Option<&str>| group.map(|text| {
            Value::from(String::from_utf8_lossy(&to_bytes(text)).into_owned())
        });
        Ok(found.map(|found| {
            let names = regex.group_names().keys();
            Waited {
                groups: found.groups().map(|group| Value::from(value(group))).collect(),
                named: names.map(|name| (name.as_str(), Value::from(value(found.named(name))))).collect(),
                ..Waited::default()
            }
        }))
    }

    fn timeout_message(&self) -> String {
        let host = &self.args.host;
        let port = self.args.port.unwrap_or_default();
        let path = self.path.map(|path| path.display().to_string());
        match (self.args.state, path, &self.args.search_regex) {
            (State::Drained, ..) => format!("Timeout when waiting for {host}:{port} to drain"),
            (State::Absent | State::Stopped, Some(path), _) => {
                format!("Timeout when waiting for {path} to be absent.")
            }
            (State::Absent | State::Stopped, None, _) => {
                format!("Timeout when waiting for {host}:{port} to stop.")
            }
            (_, Some(path), Some(regex)) => {
                format!("Timeout when waiting for search string {regex} in {path}")
            }
            (_, None, Some(regex)) => {
                format!("Timeout when waiting for search string {regex} in {host}:{port}")
            }
            (_, Some(path), None) => format!("Timeout when waiting for file {path}"),
            (_, None, None) => format!("Timeout when waiting for {host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests;
