//! What advisories say of packages: `dnf updateinfo list`, `dnf5 advisory list`, `zypper list-patches`.

use std::cmp::Ordering;

use hostler_updates::{Class, Severity};

use super::{compare, split_nevra};

/// A package that an advisory (or a CVE) names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The advisory, or the CVE.
    pub(crate) id: String,
    /// It is about security.
    pub(crate) is_security: bool,
    /// How grave.
    pub(crate) severity: Option<Severity>,
    /// The package.
    pub(crate) name: String,
    /// Its architecture; `None`: any.
    pub(crate) arch: Option<String>,
    /// The version that is whole.
    pub(crate) evr: String,
}

/// Advisories of installed packages, of versions newer than the installed ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Advisories {
    pub(crate) advisories: Vec<Named>,
    pub(crate) cves: Vec<Named>,
}

/// What advisories say of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// What it is for.
    pub(crate) class: Class,
    /// The gravest of all.
    pub(crate) severity: Option<Severity>,
    /// Their names.
    pub(crate) advisories: Vec<String>,
    /// CVE ids.
    pub(crate) cves: Vec<String>,
    /// The newest version that is a security update, if that is not the newest.
    pub(crate) security_version: Option<String>,
}

impl Advisories {
    /// Reads the lists of advisories and of CVEs.
    pub(crate) fn parse(advisories: &str, cves: &str) -> Self {
        Advisories {
            advisories: advisories.lines().filter_map(named).collect(),
            cves: cves.lines().filter_map(named).collect(),
        }
    }

    /// What they say of an update from one version to another. Of a package that is new, only what names just that
    /// version counts.
    pub(crate) fn of(&self, name: &str, arch: &str, from: Option<&str>, to: &str) -> Told {
        let counts = |it: &&Named| {
            let is_new = match from {
                Some(from) => compare(&it.evr, from) == Ordering::Greater,
                None => it.evr == to,
            };
            it.name == name
                && it.arch.as_deref().is_none_or(|it| it == arch)
                && is_new
                && compare(&it.evr, to).is_le()
        };
        let found: Vec<&Named> = self.advisories.iter().filter(counts).collect();
        let security = || found.iter().filter(|it| it.is_security);
        let newest = security().max_by(|a, b| compare(&a.evr, &b.evr));
        let mut told = Told {
            class: match (newest, found.is_empty()) {
                (Some(_), _) => Class::Security,
                (None, false) => Class::Bugfix,
                (None, true) => Class::Unknown,
            },
            severity: security().filter_map(|it| it.severity).max(),
            advisories: found.iter().map(|it| it.id.clone()).collect(),
            cves: self
                .cves
                .iter()
                .filter(counts)
                .map(|it| it.id.clone())
                .collect(),
            security_version: newest.map(|it| it.evr.clone()).filter(|it| it != to),
        };
        hostler_value::order::sort(&mut told.advisories);
        told.advisories.dedup();
        hostler_value::order::sort(&mut told.cves);
        told.cves.dedup();
        told
    }
}

/// Reads `RHSA-2026:1 Important/Sec. tool-1.1-1.noarch` (dnf 4) or
/// `RHSA-2026:1 security Important tool-1.1-1.noarch 2026-01-03 03:04:05` (dnf 5).
fn named(line: &str) -> Option<Named> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (id, kind) = (*words.first()?, *words.get(1)?);
    let package = words.iter().skip(2).find_map(|it| split_nevra(it))?;
    let of_four = kind.strip_suffix("/Sec.");
    Some(Named {
        id: id.to_owned(),
        is_security: of_four.is_some() || kind == "security",
        severity: severity(of_four.unwrap_or(words.get(2)?)),
        name: package.0.to_owned(),
        arch: Some(package.2.to_owned()),
        evr: package.1.to_owned(),
    })
}

/// As Red Hat, SUSE and Amazon name them.
pub(crate) fn severity(word: &str) -> Option<Severity> {
    match word.to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "important" | "high" => Some(Severity::Important),
        "moderate" | "medium" => Some(Severity::Moderate),
        "low" => Some(Severity::Low),
        _ => None,
    }
}
