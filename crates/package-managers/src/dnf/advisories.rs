//! What advisories say of packages: `dnf updateinfo list`, `dnf5 advisory list`.

use std::cmp::Ordering;

use hostler_updates::{Class, Severity};

use crate::rpm::{compare, split_nevra};

/// A package that an advisory (or a CVE) names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    id: String,
    is_security: bool,
    severity: Option<Severity>,
    name: String,
    arch: String,
    evr: String,
}

/// Advisories of installed packages, of versions newer than the installed ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Advisories {
    advisories: Vec<Named>,
    cves: Vec<Named>,
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
    pub(super) fn parse(advisories: &str, cves: &str) -> Self {
        Advisories {
            advisories: advisories.lines().filter_map(named).collect(),
            cves: cves.lines().filter_map(named).collect(),
        }
    }

    /// What they say of an update from one version to another. Of a package that is new, only what names just that
    /// version counts.
    pub(super) fn of(&self, name: &str, arch: &str, from: Option<&str>, to: &str) -> Told {
        let counts = |it: &&Named| {
            let is_new = match from {
                Some(from) => compare(&it.evr, from) == Ordering::Greater,
                None => it.evr == to,
            };
            it.name == name && it.arch == arch && is_new && compare(&it.evr, to).is_le()
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
        told.advisories.sort();
        told.advisories.dedup();
        told.cves.sort();
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
        arch: package.2.to_owned(),
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

/// Reads how Python writes a SHA-256: `(3, b'\x01A...')`; anything else is none.
pub(super) fn sha256(text: &str) -> Option<String> {
    let at = text.find(", b")? + ", b".len();
    let mut chars = text.get(at..)?.chars();
    let quote = chars.next()?;
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let ch = chars.next()?;
        let byte = match ch {
            _ if ch == quote => break,
            '\\' => match chars.next()? {
                'x' => {
                    let digit = |it: Option<char>| it?.to_digit(16);
                    let byte = digit(chars.next())? * 16 + digit(chars.next())?;
                    u8::try_from(byte).ok()?
                }
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                other => u8::try_from(other).ok()?,
            },
            _ => u8::try_from(ch).ok()?,
        };
        bytes.push(byte);
    }
    let hex = |it: &u8| format!("{it:02x}");
    (bytes.len() == 32).then(|| bytes.iter().map(hex).collect())
}
