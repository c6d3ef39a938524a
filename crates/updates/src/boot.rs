//! How a host boots, and whether it should.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hosts of one class come up the same way: what boots on one of them most likely boots on the others.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct BootClass {
    /// Firmware.
    pub firmware: Firmware,
    /// As `systemd-detect-virt` names it: `none` (a machine of metal), `kvm`, `vmware`, `systemd-nspawn`, ...
    pub virtualisation: String,
    /// Model of the machine (DMI product name); empty if unknown, and for virtual machines.
    pub model: String,
}

/// What starts the boot loader.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    /// UEFI.
    Uefi,
    /// BIOS, or another one that Linux does not tell of.
    #[default]
    Bios,
    /// None: a container, whose kernel is its host's.
    None,
}

/// Should the host be rebooted?
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Reboot {
    /// Should it?
    pub need: RebootNeed,
    /// Every signal that says so (or why it cannot be told), a line each.
    pub reasons: Vec<String>,
}

/// See [`Reboot`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebootNeed {
    /// At least one signal says yes.
    Yes,
    /// Signals were looked at, and none says yes.
    No,
    /// Nothing on the host can tell. Never to be taken for "no".
    #[default]
    Unknown,
}
