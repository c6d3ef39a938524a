//! Records of the Open Source Vulnerability format (<https://ossf.github.io/osv-schema/>), those of Debian and Ubuntu.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

use hostler_updates::is_cve;

use crate::debian::severity;
use crate::error::AdvisoryError;
use crate::index::{Found, Index, release};

/// Keys that a record may begin with and whose value is an object: a tracker has packages there.
pub(crate) const OBJECTS: [&str; 1] = ["database_specific"];

/// A record. Unknown fields are passed over, `versions` above all.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    id: String,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    related: Option<Vec<String>>,
    #[serde(default)]
    severity: Option<Vec<Rating>>,
    #[serde(default)]
    affected: Option<Vec<Affected>>,
}

#[derive(Debug, Deserialize)]
struct Rating {
    r#type: String,
    score: String,
}

#[derive(Debug, Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Package>,
    #[serde(default)]
    severity: Option<Vec<Rating>>,
    #[serde(default)]
    ranges: Option<Vec<Range>>,
    #[serde(default)]
    ecosystem_specific: Option<Specific>,
}

#[derive(Debug, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Range {
    r#type: String,
    events: Vec<Event>,
}

#[derive(Debug, Default, Deserialize)]
struct Event {
    #[serde(default)]
    introduced: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Specific {
    #[serde(default)]
    urgency: Option<String>,
}

/// Takes in an array of records.
pub(crate) struct Records<'a>(pub(crate) &'a mut Index);

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of OSV records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        while let Some(record) = all.next_element::<Record>()? {
            take(self.0, &record).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Keeps what a record says.
pub(crate) fn take(index: &mut Index, record: &Record) -> Result<(), AdvisoryError> {
    if record.withdrawn.is_some() {
        return Ok(());
    }
    let cves = cves(record);
    let advisory = if is_cve(own_cve(&record.id)) {
        ""
    } else {
        record.id.as_str()
    };
    let of_all = rating(record.severity.as_deref());
    for affected in record.affected.iter().flatten() {
        let Some(package) = &affected.package else {
            continue;
        };
        let Some(release) = release_of(&package.ecosystem) else {
            continue;
        };
        let urgency = affected.ecosystem_specific.as_ref();
        let urgency = urgency.and_then(|it| it.urgency.as_deref()).unwrap_or("");
        let found = Found {
            release: &release,
            source: &package.name,
            advisory,
            severity: rating(affected.severity.as_deref())
                .or_else(|| severity(urgency))
                .or(of_all),
            is_unimportant: urgency == "unimportant",
            ..Found::default()
        };
        for range in affected.ranges.iter().flatten() {
            fixes(index, range, &cves, found)?;
        }
    }
    Ok(())
}

/// The versions of a range that close the hole. Events are pairs, in order.
fn fixes(
    index: &mut Index,
    range: &Range,
    cves: &BTreeSet<String>,
    found: Found<'_>,
) -> Result<(), AdvisoryError> {
    // Hashes of commits are no versions.
    if range.r#type != "ECOSYSTEM" {
        return Ok(());
    }
    let mut introduced = "";
    for event in &range.events {
        if let Some(version) = event.introduced.as_deref() {
            introduced = if version == "0" { "" } else { version };
        }
        let Some(fixed) = event.fixed.as_deref() else {
            continue;
        };
        let found = Found {
            introduced,
            fixed,
            ..found
        };
        if cves.is_empty() {
            index.add(&found)?;
        }
        for cve in cves {
            index.add(&Found { cve, ..found })?;
        }
    }
    Ok(())
}

/// CVE ids of a record: its own name, what it is an alias of, and what it comes from. An advisory (`DSA-5678-1`) has its
/// CVE ids among what is related; there, a record that is about a CVE itself has other ones.
fn cves(record: &Record) -> BTreeSet<String> {
    let own = own_cve(&record.id);
    let related = record.related.iter().flatten().filter(|_| !is_cve(own));
    let named = record.aliases.iter().flatten();
    let named = named.chain(record.upstream.iter().flatten()).chain(related);
    let named = named.map(String::as_str).chain([own]);
    let cves = named.filter(|it| is_cve(it));
    cves.map(str::to_ascii_uppercase).collect()
}

/// `CVE-2026-1` of `DEBIAN-CVE-2026-1` and `UBUNTU-CVE-2026-1`.
fn own_cve(id: &str) -> &str {
    let stripped = ["DEBIAN-", "UBUNTU-"]
        .iter()
        .find_map(|it| id.strip_prefix(it));
    stripped.unwrap_or(id)
}

/// Ubuntu's priority; what others give is a vector (CVSS) that says nothing of the distribution.
fn rating(all: Option<&[Rating]>) -> Option<hostler_updates::Severity> {
    let mut all = all.unwrap_or_default().iter();
    all.find(|it| it.r#type == "Ubuntu")
        .and_then(|it| severity(&it.score))
}

/// `Debian:12`, `Ubuntu:22.04:LTS`, `Ubuntu:Pro:18.04:LTS`; others are none of ours.
fn release_of(ecosystem: &str) -> Option<String> {
    let words: Vec<&str> = ecosystem.split(':').collect();
    let is_number = |it: &str| it.starts_with(|it: char| it.is_ascii_digit());
    Some(match words[..] {
        ["Debian", number] => release("debian", number),
        ["Ubuntu", number] | ["Ubuntu", number, "LTS"] if is_number(number) => {
            release("ubuntu", number)
        }
        ["Ubuntu", "Pro", number] | ["Ubuntu", "Pro", number, "LTS"] if is_number(number) => {
            release("ubuntu-pro", number)
        }
        _ => return None,
    })
}
