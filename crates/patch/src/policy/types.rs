//! A policy, as it is written. The JSON schema and `docs/patching/policy.md` are made of these types.

use std::collections::BTreeMap;

use hostler_updates::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::host::{GateRule, HostRules, PreflightRules, RebootRules, RollbackRules};
use super::scalars::{Seconds, Texts};
use super::waves::{GroupRule, RunRules, WaveRule};

/// What is patched where, when, and in which steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Says that the file is a patch policy.
    pub kind: Kind,
    /// Its name: letters, digits, `-`, `_` and `.`. Names runs, and the occurrences of its windows.
    #[schemars(extend("format" = "name"))]
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The hosts: an inventory pattern as plays have it, a list of them, or a mapping with `include` and `exclude`.
    pub targets: Targets,
    /// Which updates are wanted.
    #[serde(default)]
    pub updates: Updates,
    /// More about which updates are wanted.
    #[serde(default)]
    pub select: Select,
    /// Files that say which versions close which security holes, for hosts whose package lists do not (Debian, Ubuntu):
    /// paths relative to the policy. See `advisories.md`.
    #[serde(default)]
    pub advisories: Texts,
    /// Which versions later waves may install.
    #[serde(default)]
    pub pin: PinRules,
    /// The one window. Waves that name no window have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRule>,
    /// Windows by name, if there is more than one.
    #[serde(default)]
    pub windows: BTreeMap<String, WindowRule>,
    /// Times in which nothing is started, whatever the windows say. A file `/etc/hostler/no-patch` on a host forbids to patch
    /// that host, at any time; its first line is the reason.
    #[serde(default)]
    pub freezes: BTreeMap<String, FreezeRule>,
    /// What becomes of a window that nobody opened (the controller was off).
    #[serde(default)]
    pub missed: hostler_schedule::MissedRule,
    /// Hosts of which only some may be unavailable at the same time, whatever the waves.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupRule>,
    /// Inventory groups that tell apart hosts with different work; a canary is wanted for each. If none are given, it is the
    /// names of `groups` that tell them apart.
    #[serde(default)]
    pub roles: Texts,
    /// The order: each item is a number of hosts, a percentage of the policy's hosts, `auto`, `rest`, a pattern, or a mapping.
    #[serde(default = "default_waves")]
    pub waves: Vec<WaveRule>,
    /// Limits of the whole run.
    #[serde(default)]
    pub run: RunRules,
    /// What a host must have before anything is done to it.
    #[serde(default)]
    pub preflight: PreflightRules,
    /// What is done on a host besides.
    #[serde(default)]
    pub host: HostRules,
    /// When and how hosts are rebooted.
    #[serde(default)]
    pub reboot: RebootRules,
    /// The way back.
    #[serde(default)]
    pub rollback: RollbackRules,
    /// Questions with the answer yes or no, by name. Waves and groups name those that they need.
    #[serde(default)]
    pub gates: BTreeMap<String, GateRule>,
    /// What is knowingly not patched, by whom, and until when.
    #[serde(default)]
    pub exceptions: Vec<ExceptionRule>,
    /// What reports measure against.
    #[serde(default)]
    pub report: ReportRules,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A patch policy.
    PatchPolicy,
}

/// Hosts of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Targets {
    /// Patterns.
    Patterns(Texts),
    /// Patterns, and those that take away from them.
    Both(IncludeExclude),
}

/// Hosts that belong to the policy, and such that do not all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncludeExclude {
    /// Patterns of hosts.
    pub include: Texts,
    /// Patterns of hosts that do not belong to it all the same.
    #[serde(default)]
    pub exclude: Texts,
}

/// Which updates are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Updates {
    /// Those that close a security hole: any version between the installed and the newest one was published as such.
    #[default]
    Security,
    /// Those, and all that their source classifies as something else.
    Bugfix,
    /// All.
    All,
    /// None: a rehearsal of drains, gates, reboots and checks.
    None,
}

/// More about which updates are wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// What to do with updates whose source does not say what they are for.
    pub unknown_classification: UnknownRule,
    /// Only security updates of this severity or a higher one. Updates without a severity pass, with a warning.
    pub severity_at_least: Option<Severity>,
    /// How long a version must have been seen before it is wanted, counted from the first scan (of any host of the
    /// distribution) that saw it.
    pub delay: Seconds,
    /// Updates that cannot wait.
    pub urgent: Urgent,
    /// Only these packages (patterns); empty: all.
    pub include: Texts,
    /// Not these packages (patterns). Wins over `include` and over `urgent`.
    pub exclude: Texts,
    /// May packages be installed that were not, because an update needs them? They appear in the plan.
    pub allow_new: bool,
    /// Packages that may be removed, by their exact names. An update that removes another one is left out.
    pub allow_remove: Texts,
    /// Packages (patterns) that decide whether a host boots. A host gets them only after a host of the same boot class was
    /// rebooted with the same versions.
    pub boot_critical: Texts,
}

/// See [`Select`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownRule {
    /// A host on which no source classifies its updates is left out, loudly. Elsewhere these updates wait.
    #[default]
    Fail,
    /// They count as security updates.
    TreatAsSecurity,
    /// They wait; the host gets the others.
    Skip,
}

/// Updates that cannot wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Urgent {
    /// CVE ids (`CVE-2026-12345`).
    pub cves: Texts,
    /// Takes the place of `select.delay` for them.
    pub delay: Seconds,
    /// If a plan holds nothing else, soaks of waves are so much of what they are: 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub soak_factor: f64,
}

/// Which versions later waves may install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PinRules {
    /// The rule.
    pub mode: crate::plan::Pin,
    /// What to do on a host for which the version of the plan cannot be had any more.
    pub if_gone: crate::plan::IfGone,
    /// Does proof from earlier runs count? A version that passed all its waves then needs no canary in this one.
    pub earlier_runs: bool,
}

/// When a window opens, and for how long. One of `daily`, `weekly`, `monthly`, `rrule` and `once`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRule {
    /// A time zone by its IANA name (`Europe/Berlin`, `UTC`).
    pub zone: String,
    /// Each day?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub daily: bool,
    /// Days of the week: `sat`, `[tue, thu]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Texts>,
    /// Days of the month: `15`, `last`, `2nd tuesday`, `last friday`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Texts>,
    /// A rule of RFC 5545: `FREQ=MONTHLY;BYDAY=2TU`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rrule: Option<String>,
    /// These dates: `2026-12-12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Texts>,
    /// The first date, where the rule counts from one (every other week).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date"))]
    pub from: Option<String>,
    /// Not on these dates.
    #[serde(default)]
    pub except: Texts,
    /// So many days later: `monthly: 2nd tuesday` with `offset: 4d` is the Saturday after Patch Tuesday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Seconds>,
    /// When it opens, local time: `"22:00"`. Needed unless `rrule` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "clock"))]
    pub at: Option<String>,
    /// How long it is open: real hours, also when clocks change.
    pub duration: Seconds,
    /// No host is started that is not expected to be done so long before the end.
    #[serde(default = "default_reserve")]
    pub reserve: Seconds,
    /// If given, this window is a limit for these hosts (patterns): they are worked on only while it is open, and the window of
    /// their wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Texts>,
}

/// A time in which nothing is started: dates, or a calendar file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeRule {
    /// First day, or first moment: `2026-12-15`, `2026-12-15T18:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "moment"))]
    pub from: Option<String>,
    /// Last day (all of it), or the moment of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "moment"))]
    pub to: Option<String>,
    /// The zone of the dates, and of all-day events; needed unless all windows have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// An iCalendar file, relative to the policy: each of its events is a freeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ics: Option<String>,
    /// Only events whose summary contains this text, whatever the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#match: Option<String>,
}

/// What is knowingly not patched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionRule {
    /// The hosts (patterns); all of the policy if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Texts>,
    /// The packages (patterns). Without packages and CVEs, the hosts are left out altogether.
    #[serde(default)]
    pub packages: Texts,
    /// CVE ids: updates that close only these.
    #[serde(default)]
    pub cves: Texts,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds (UTC). From the next one on it counts for nothing, and is reported.
    #[schemars(extend("format" = "date"))]
    pub expires: String,
    /// Where it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// What reports measure against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportRules {
    /// How long a fix may take until it runs, by severity.
    pub sla: BTreeMap<Severity, Seconds>,
}

fn default_reserve() -> Seconds {
    Seconds(20 * 60)
}

fn default_waves() -> Vec<WaveRule> {
    WaveRule::default_waves()
}

impl Default for Select {
    fn default() -> Self {
        Select {
            unknown_classification: UnknownRule::default(),
            severity_at_least: None,
            delay: Seconds(0),
            urgent: Urgent::default(),
            include: Texts::default(),
            exclude: Texts::default(),
            allow_new: true,
            allow_remove: Texts::default(),
            boot_critical: Texts::of(&[
                "linux-image*",
                "kernel",
                "kernel-core*",
                "kernel-default*",
                "linux-lts",
                "linux-virt",
                "linux",
                "grub*",
                "shim*",
                "*-microcode",
                "microcode_ctl",
                "initramfs-tools*",
                "dracut*",
                "systemd-boot*",
            ]),
        }
    }
}

impl Default for Urgent {
    fn default() -> Self {
        Urgent {
            cves: Texts::default(),
            delay: Seconds(0),
            soak_factor: 1.0,
        }
    }
}

impl Default for PinRules {
    fn default() -> Self {
        PinRules {
            mode: crate::plan::Pin::Proven,
            if_gone: crate::plan::IfGone::Hold,
            earlier_runs: true,
        }
    }
}

impl Targets {
    /// Patterns of hosts that belong to it.
    pub fn include(&self) -> &[String] {
        match self {
            Targets::Patterns(patterns) => &patterns.0,
            Targets::Both(both) => &both.include.0,
        }
    }

    /// Patterns of hosts that do not.
    pub fn exclude(&self) -> &[String] {
        match self {
            Targets::Patterns(_) => &[],
            Targets::Both(both) => &both.exclude.0,
        }
    }
}

impl Policy {
    /// Its windows with their names: the one of `window` is called `window`.
    pub fn all_windows(&self) -> impl Iterator<Item = (&str, &WindowRule)> {
        let one = self.window.as_ref().map(|rule| ("window", rule));
        let named = self.windows.iter();
        one.into_iter()
            .chain(named.map(|(name, rule)| (name.as_str(), rule)))
    }

    /// The window of a wave that names none: the only one that is not a limit for hosts.
    pub fn default_window(&self) -> Option<&str> {
        let mut open = self.all_windows().filter(|(_, rule)| rule.hosts.is_none());
        match (open.next(), open.next()) {
            (Some((name, _)), None) => Some(name),
            _ => None,
        }
    }

    /// The window of a wave.
    pub fn window_of<'a>(&'a self, wave: &'a WaveRule) -> Option<&'a str> {
        wave.window.as_deref().or_else(|| self.default_window())
    }
}
