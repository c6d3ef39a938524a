//! What is done on a host, the way back, and gates, as they are written.

use std::collections::BTreeMap;

use hostler_updates::Conffiles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::{Bytes, Seconds, Texts};
use crate::plan::{HostRollback, RebootRule, WaveRollback};

/// What a host must have before anything is done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreflightRules {
    /// What must be free, by mount point, besides what the updates take. Mount points that a host does not have count for
    /// nothing there.
    pub disk: BTreeMap<String, Bytes>,
    /// How far off a host's clock may be.
    pub clock_skew_max: Seconds,
    /// How long the locks of the package manager are waited for. Who holds them is said, and never killed.
    pub locks_wait: Seconds,
    /// What to do with an interrupted package database.
    pub package_db: PackageDb,
    /// What to do with others that update packages by themselves (unattended-upgrades, dnf-automatic, `PackageKit`).
    pub competing_updaters: Competing,
    /// What to do with a host that should have been rebooted before.
    pub pending_reboot: PendingReboot,
}

/// See [`PreflightRules`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PackageDb {
    /// It is repaired (`dpkg --configure -a`), and the host is patched.
    #[default]
    Repair,
    /// The host is left out.
    Fail,
}

/// See [`PreflightRules`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Competing {
    /// They are named.
    Warn,
    /// They are masked while the host is worked on, and released afterwards.
    #[default]
    MaskDuringRun,
}

/// See [`PreflightRules`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PendingReboot {
    /// It is rebooted before anything else, so that old faults are not taken for the patch's. A host with nothing else to do
    /// is rebooted, too.
    #[default]
    RebootFirst,
    /// Nothing.
    Ignore,
    /// It is left out.
    Fail,
}

/// What is done on a host besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostRules {
    /// Before anything is changed, in order.
    pub pre: Vec<HookRule>,
    /// After everything, before the host counts as done.
    pub post: Vec<HookRule>,
    /// What happens to configuration files that were changed by hand and of which an update brings another version.
    pub conffiles: Conffiles,
    /// Which services are restarted that run replaced files.
    pub restart_services: RestartServices,
    /// With `listed`: these units (patterns).
    pub restart_allow: Texts,
    /// Never these units (patterns). Wins.
    pub restart_deny: Texts,
}

/// See [`HostRules`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartServices {
    /// None.
    Never,
    /// Those of `restart_allow`. The others are reported.
    #[default]
    Listed,
    /// All but those of `restart_deny`.
    All,
}

/// Something of yours that is run for each host. One of `tasks` and `cmd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookRule {
    /// A tasks file, relative to the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<String>,
    /// A command line for the host's shell, as root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<String>,
    /// What undoes it, a tasks file or a command line as the hook itself. Once the hook has begun it is run for certain: also
    /// after failures, a halt, the end of the window or a crash of the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// How often it is tried again.
    #[serde(default)]
    pub retries: u32,
    /// How long between two of these.
    #[serde(default = "default_every")]
    pub every: Seconds,
}

/// When and how hosts are rebooted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RebootRules {
    /// When.
    pub mode: RebootRule,
    /// How long it may take until the host is back. Machines of metal often take a quarter of an hour.
    pub timeout: Seconds,
    /// Good logins, one after the other, that make a host one that is back.
    #[schemars(range(min = 1, max = 100))]
    pub logins: u32,
}

/// The way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackRules {
    /// Keep the old package files, so that there is a way back?
    pub keep_old_packages: bool,
    /// A snapshot before anything is changed.
    pub snapshot: SnapshotMode,
    /// With `snapshot: hook`: makes it and, as its `undo`, goes back to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_hook: Option<HookRule>,
    /// On a host that failed, without asking.
    pub on_host_failure: HostRollback,
    /// When a wave fails, without asking.
    pub on_wave_failure: WaveRollback,
    /// Packages (patterns) that are never put back to a lower version.
    pub never_downgrade: Texts,
    /// Hosts (patterns) that are left out if not everything can be undone there.
    pub require_ready: Texts,
}

/// See [`RollbackRules`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotMode {
    /// None.
    #[default]
    None,
    /// Where the host can make one (btrfs, LVM).
    IfPossible,
    /// A host that cannot make one is left out.
    Required,
    /// `snapshot_hook` makes it: of the virtual machine, say.
    Hook,
}

/// A question with the answer yes or no. One of `cmd`, `http` and `prometheus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateRule {
    /// A command line: on the hosts of the wave, or on another member of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<CommandGate>,
    /// A request from the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpGate>,
    /// A query from the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusGate>,
    /// No answer by then is a "no".
    #[serde(default = "default_timeout")]
    pub timeout: Seconds,
    /// How often it is asked again before "no" is believed.
    #[serde(default = "default_retries")]
    #[schemars(range(max = 1000))]
    pub retries: u32,
    /// How long between two of these.
    #[serde(default = "default_every")]
    pub every: Seconds,
}

/// A command that answers by its exit status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CommandGate {
    /// The command line: exit status 0 is yes.
    Line(String),
    /// More about it.
    Full(CommandGateFull),
}

/// A command, with what its exit status means and where it is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandGateFull {
    /// The command line.
    pub line: String,
    /// Exit statuses that mean yes.
    #[serde(default = "zero")]
    pub ok_rc: Vec<i32>,
    /// Where it is run.
    #[serde(default)]
    pub on: CommandOn,
}

/// See [`CommandGateFull`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandOn {
    /// On the hosts of the wave, or on another member of the group.
    #[default]
    Hosts,
    /// On the controller.
    Controller,
}

/// A request that answers by its status and text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HttpGate {
    /// The URL: a status from 200 to 299 is yes.
    Url(String),
    /// More about it.
    Full(HttpGateFull),
}

/// A request, with what its answer means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGateFull {
    /// Where.
    pub url: String,
    /// Statuses that mean yes; empty: 200 to 299.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Text that the answer must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

/// A query to Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusGate {
    /// The server: `http://prometheus:9090`.
    pub url: String,
    /// The query: `ALERTS{alertstate="firing", env="prod"}`.
    pub query: String,
    /// The highest value that means yes. If not given, the result must be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}

impl CommandGate {
    /// The command line.
    pub fn line(&self) -> &str {
        match self {
            CommandGate::Line(line) => line,
            CommandGate::Full(full) => &full.line,
        }
    }
}

impl HttpGate {
    /// Where.
    pub fn url(&self) -> &str {
        match self {
            HttpGate::Url(url) => url,
            HttpGate::Full(full) => &full.url,
        }
    }
}

fn default_timeout() -> Seconds {
    Seconds(60)
}

fn default_every() -> Seconds {
    Seconds(10)
}

fn default_retries() -> u32 {
    2
}

fn zero() -> Vec<i32> {
    vec![0]
}

impl Default for PreflightRules {
    fn default() -> Self {
        let disk = [("/", 512), ("/var", 512), ("/boot", 100)];
        PreflightRules {
            disk: disk
                .map(|(path, mib)| (path.to_owned(), Bytes(mib << 20)))
                .into(),
            clock_skew_max: Seconds(30),
            locks_wait: Seconds(300),
            package_db: PackageDb::default(),
            competing_updaters: Competing::default(),
            pending_reboot: PendingReboot::default(),
        }
    }
}

impl Default for HostRules {
    fn default() -> Self {
        HostRules {
            pre: Vec::new(),
            post: Vec::new(),
            conffiles: Conffiles::KeepOld,
            restart_services: RestartServices::Listed,
            restart_allow: Texts::of(&["cron*", "rsyslog*", "ssh*", "chrony*"]),
            restart_deny: Texts::of(&[
                "systemd-networkd*",
                "systemd-udevd*",
                "systemd-logind*",
                "NetworkManager*",
                "dbus*",
                "docker*",
                "containerd*",
            ]),
        }
    }
}

impl Default for RebootRules {
    fn default() -> Self {
        RebootRules {
            mode: RebootRule::IfRequired,
            timeout: Seconds(25 * 60),
            logins: 3,
        }
    }
}

impl Default for RollbackRules {
    fn default() -> Self {
        RollbackRules {
            keep_old_packages: true,
            snapshot: SnapshotMode::None,
            snapshot_hook: None,
            on_host_failure: HostRollback::None,
            on_wave_failure: WaveRollback::None,
            never_downgrade: Texts::of(&[
                "glibc*",
                "libc6*",
                "dbus*",
                "selinux-policy*",
                "*-server-[0-9]*",
            ]),
            require_ready: Texts::default(),
        }
    }
}
