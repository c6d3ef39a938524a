//! What is done to a package.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A package of an architecture. Shown as the package manager writes it: `libc6:amd64` (apt), `glibc.x86_64` (rpm).
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct PackageName {
    /// The package's name, without architecture.
    pub name: String,
    /// Its architecture as the package manager calls it; `all` and `noarch` are such, too.
    pub arch: String,
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.arch)
    }
}

impl PackageName {
    /// Is it this package for another architecture, one of both for all of them? Versions of a package may change
    /// between such; packages of two processors are two packages.
    pub fn changed_arch(&self, other: &PackageName) -> bool {
        let for_all = |it: &PackageName| matches!(&*it.arch, "all" | "noarch" | "any");
        self.name == other.name && self.arch != other.arch && (for_all(self) || for_all(other))
    }
}

/// Is this removal or new installation one half of an upgrade that changes the package's architecture?
pub fn changes_arch(action: &Action, actions: &[Action]) -> bool {
    let other = match action.kind {
        ActionKind::Remove => ActionKind::Install,
        ActionKind::Install => ActionKind::Remove,
        ActionKind::Upgrade | ActionKind::Downgrade => return false,
    };
    actions
        .iter()
        .any(|it| it.kind == other && it.package.changed_arch(&action.package))
}

/// What happens to a package.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Another version takes the place of the installed one: a higher one.
    Upgrade,
    /// A package that is not installed is.
    Install,
    /// It goes.
    Remove,
    /// A lower version takes the place of the installed one. Only a rollback does that.
    Downgrade,
}

/// What an update is for, as far as its source says so.
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
pub enum Class {
    /// It closes a security hole: one of the versions between the installed one and the new one was published as such.
    Security,
    /// The source classifies its updates, and this is no security update.
    Bugfix,
    /// The source does not classify its updates. It may well be a security update.
    #[default]
    Unknown,
}

/// How grave the holes are that an update closes, as the distribution says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Negligible or low.
    Low,
    /// Moderate or medium.
    Moderate,
    /// Important or high.
    Important,
    /// Critical.
    Critical,
}

/// Is this a CVE id: `CVE-`, a year, and 4 to 19 digits (CVE record format 5.1)? Whatever the case.
pub fn is_cve(text: &str) -> bool {
    let digits = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.splitn(3, '-');
    let (Some(head), Some(year), Some(number)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    head.eq_ignore_ascii_case("CVE")
        && (year.len() == 4 && digits(year))
        && ((4..=19).contains(&number.len()) && digits(number))
}

/// One step of a transaction of the package manager.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Action {
    /// The package.
    pub package: PackageName,
    /// What is done.
    pub kind: ActionKind,
    /// The version that is installed before; `None` for [`ActionKind::Install`].
    pub from: Option<String>,
    /// The version that is installed afterwards; `None` for [`ActionKind::Remove`].
    pub to: Option<String>,
    /// Where the new version comes from, as the package manager names it (`Debian-Security:13/stable-security`).
    pub suites: Vec<String>,
    /// What it is for.
    pub class: Class,
    /// Bytes to download.
    pub download_bytes: u64,
    /// SHA-256 of the package file, lower-case hex digits, where the source says it.
    pub sha256: Option<String>,
    /// Only wanted because another package of the transaction needs it.
    pub dependency: bool,
}
