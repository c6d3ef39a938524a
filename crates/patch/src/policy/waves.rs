//! Waves, groups and limits, as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalars::{Seconds, Texts};
use crate::amount::Amount;

/// A wave: how many hosts, or which, and what must hold before the next one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaveRule {
    /// Its name; if not given, `canary` for the first of several, `rest` for the rest, else `wave 2` and so on.
    pub name: Option<String>,
    /// Its hosts.
    pub hosts: WaveHosts,
    /// Name of its window.
    pub window: Option<String>,
    /// Most hosts at the same time.
    pub parallel: Amount,
    /// Begin with one host, then two, four, ... up to `parallel`?
    pub ramp: bool,
    /// How many failures it takes; the run halts at one more. Default: 0 for the first of several waves; then 1, or 2% if
    /// that is more.
    pub max_failures: Option<Amount>,
    /// How long its gates must stay green after its last host. Default: 10 minutes, none for the last wave.
    pub soak: Option<Seconds>,
    /// Names of gates that must be green after it.
    pub gates: Texts,
    /// Must somebody approve it before it starts?
    pub approve: Approve,
    /// May it install versions that no earlier wave has proven? Default: all waves but the last.
    pub proves: Option<bool>,
}

/// A wave: how many hosts, or which, and what must hold before the next one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongWave {
    /// Its name; if not given, `canary` for the first of several, `rest` for the rest, else `wave 2` and so on.
    #[serde(default)]
    name: Option<String>,
    /// Its hosts: a number, a percentage of the policy's hosts, `auto`, `rest`, a pattern, or a mapping for a chosen canary.
    hosts: WaveHosts,
    /// Name of its window.
    #[serde(default)]
    window: Option<String>,
    /// Most hosts at the same time, or the percentage of the wave.
    #[serde(default = "default_parallel")]
    #[schemars(default = "default_parallel")]
    parallel: Amount,
    /// Begin with one host, then two, four, ... up to `parallel`?
    #[serde(default = "yes")]
    ramp: bool,
    /// How many failures it takes; the run halts at one more. Default: 0 for the first of several waves; then 1, or 2% if
    /// that is more.
    #[serde(default)]
    max_failures: Option<Amount>,
    /// How long its gates must stay green after its last host. Default: 10 minutes, none for the last wave.
    #[serde(default)]
    soak: Option<Seconds>,
    /// Names of gates that must be green after it.
    #[serde(default)]
    gates: Texts,
    /// Must somebody approve it before it starts?
    #[serde(default)]
    approve: Approve,
    /// May it install versions that no earlier wave has proven? Default: all waves but the last.
    #[serde(default)]
    proves: Option<bool>,
}

/// Hosts of a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaveHosts {
    /// So many, or a percentage of the policy's hosts. Those are taken first that stand for most others.
    Amount(Amount),
    /// All that are in no other wave.
    Rest,
    /// Those of a pattern.
    Pattern(String),
    /// A canary for each class of hosts.
    Auto(AutoCanary),
}

/// A canary for each class of hosts: the smallest set of hosts that has one of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoCanary {
    /// What tells classes apart.
    pub per: Vec<Dimension>,
    /// So many hosts of each class.
    #[schemars(range(min = 1))]
    pub count: u32,
    /// No more hosts than this; classes with most hosts come first, and the others are named.
    #[schemars(range(min = 1))]
    pub at_most: Option<u32>,
    /// These hosts besides (patterns).
    pub plus: Texts,
}

/// What tells classes of hosts apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Distribution and its version.
    Os,
    /// Architecture.
    Arch,
    /// Firmware, virtualisation, model of the machine.
    BootClass,
    /// Which of the policy's `roles` it has.
    Role,
}

/// Must somebody approve a wave?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approve {
    /// No: gates decide.
    #[default]
    Auto,
    /// Yes: it waits for `hostler patch approve`.
    Manual,
}

/// Hosts of which only some may be unavailable at the same time. Unreachable, failed and drained hosts count as unavailable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// Its hosts (patterns), also such that the policy does not patch.
    pub hosts: Texts,
    /// So many may be unavailable. A percentage is rounded down, but at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<Amount>,
    /// So many must be available. A percentage is rounded up. Only one of the two; without any, one host may be unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<Amount>,
    /// Name of a gate that another member is asked before a host is taken, and after it is back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Hosts (patterns) that come last of their wave: leaders, primaries.
    #[serde(default)]
    pub last: Texts,
}

/// Limits of the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunRules {
    /// How many failures the run takes; it halts at one more. A percentage is one of the hosts of the plan.
    pub max_failures: Amount,
    /// What an unreachable host counts for.
    pub unreachable: crate::plan::UnreachableRule,
}

impl Default for RunRules {
    fn default() -> Self {
        RunRules {
            max_failures: Amount::Count(5),
            unreachable: crate::plan::UnreachableRule::CountAsFailure,
        }
    }
}

impl Default for AutoCanary {
    fn default() -> Self {
        AutoCanary {
            per: vec![
                Dimension::Os,
                Dimension::Arch,
                Dimension::BootClass,
                Dimension::Role,
            ],
            count: 1,
            at_most: None,
            plus: Texts::default(),
        }
    }
}

fn default_parallel() -> Amount {
    Amount::Count(10)
}

fn yes() -> bool {
    true
}

impl WaveRule {
    /// A wave of these hosts, everything else as it is by default.
    pub fn new(hosts: WaveHosts) -> Self {
        WaveRule {
            name: None,
            hosts,
            window: None,
            parallel: default_parallel(),
            ramp: true,
            max_failures: None,
            soak: None,
            gates: Texts::default(),
            approve: Approve::Auto,
            proves: None,
        }
    }

    /// `[1, 10%, rest]`.
    pub(super) fn default_waves() -> Vec<Self> {
        vec![
            WaveRule::new(WaveHosts::Amount(Amount::Count(1))),
            WaveRule::new(WaveHosts::Amount(Amount::Percent(10))),
            WaveRule::new(WaveHosts::Rest),
        ]
    }

    /// Its name, for the wave at `index` of `of`.
    pub fn shown_name(&self, index: usize, of: usize) -> String {
        match (&self.name, &self.hosts) {
            (Some(name), _) => name.clone(),
            (None, WaveHosts::Pattern(pattern)) => pattern.clone(),
            (None, WaveHosts::Rest) => "rest".into(),
            (None, _) if index == 0 && of > 1 => "canary".into(),
            (None, _) => format!("wave {}", index + 1),
        }
    }

    /// May it install what no earlier wave has proven?
    pub fn proves(&self, index: usize, of: usize) -> bool {
        self.proves.unwrap_or(index + 1 < of || of == 1)
    }

    /// Seconds that its gates must stay green, for the wave at `index` of `of`.
    pub fn soak_s(&self, index: usize, of: usize) -> u64 {
        let default = if index + 1 < of { 600 } else { 0 };
        self.soak.map_or(default, |it| it.0)
    }

    /// How many failures it takes, for the wave at `index` of `of` with so many hosts.
    pub fn failures_of(&self, index: usize, of: usize, hosts: u32) -> u32 {
        match self.max_failures {
            Some(amount) => amount.max_failures(hosts),
            None if index == 0 && of > 1 => 0,
            None => Amount::Percent(2).max_failures(hosts).max(1),
        }
    }
}

impl std::str::FromStr for WaveHosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        Ok(match text {
            "" => return Err("a number, a percentage, `auto`, `rest` or a pattern".into()),
            "rest" => WaveHosts::Rest,
            "auto" => WaveHosts::Auto(AutoCanary::default()),
            _ if text.ends_with('%') || text.bytes().all(|it| it.is_ascii_digit()) => {
                WaveHosts::Amount(text.parse()?)
            }
            _ => WaveHosts::Pattern(text.to_owned()),
        })
    }
}

impl Serialize for WaveHosts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            WaveHosts::Amount(amount) => amount.serialize(to),
            WaveHosts::Rest => to.serialize_str("rest"),
            WaveHosts::Pattern(pattern) => to.serialize_str(pattern),
            WaveHosts::Auto(auto) => auto.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for WaveHosts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Text(String),
            Auto(AutoCanary),
        }
        match Written::deserialize(from)? {
            Written::Count(count) => Ok(WaveHosts::Amount(Amount::Count(count))),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
            Written::Auto(auto) => Ok(WaveHosts::Auto(auto)),
        }
    }
}

impl JsonSchema for WaveHosts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WaveHosts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let auto = generator.subschema_for::<AutoCanary>();
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "format": "wave-hosts"},
            auto,
        ]})
    }
}

impl<'de> Deserialize<'de> for WaveRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Text(String),
            Long(Box<LongWave>),
        }
        let long = match Written::deserialize(from)? {
            Written::Count(count) => {
                return Ok(WaveRule::new(WaveHosts::Amount(Amount::Count(count))));
            }
            Written::Text(text) => {
                return text.parse().map(WaveRule::new).map_err(D::Error::custom);
            }
            Written::Long(long) => *long,
        };
        Ok(WaveRule {
            name: long.name,
            hosts: long.hosts,
            window: long.window,
            parallel: long.parallel,
            ramp: long.ramp,
            max_failures: long.max_failures,
            soak: long.soak,
            gates: long.gates,
            approve: long.approve,
            proves: long.proves,
        })
    }
}

impl JsonSchema for WaveRule {
    fn schema_name() -> Cow<'static, str> {
        "Wave".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongWave>();
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "format": "wave-hosts"},
            long,
        ]})
    }
}
