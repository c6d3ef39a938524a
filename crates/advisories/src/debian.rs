//! The security tracker of Debian (<https://security-tracker.debian.org/tracker/data/json>):
//! `{source package: {CVE: {releases: {codename: {status, fixed_version, urgency}}}}}`.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use hostler_updates::Severity;

use crate::error::AdvisoryError;
use crate::index::{Found, Index, release};

/// In how many objects a record lies: package and CVE.
pub(crate) const RECORD_DEPTH: u32 = 2;

/// Takes in a whole tracker.
pub(crate) struct Tracker<'a>(pub(crate) &'a mut Index);

/// The CVEs of a source package.
struct Package<'a> {
    index: &'a mut Index,
    source: &'a str,
}

/// What is said of a CVE. Unknown fields are passed over.
#[derive(Deserialize)]
struct Hole {
    #[serde(default)]
    releases: HashMap<String, State>,
}

/// How a release stands.
#[derive(Deserialize)]
struct State {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
}

impl<'de> DeserializeSeed<'de> for Tracker<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tracker<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of source packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        while let Some(source) = all.next_key::<String>()? {
            all.next_value_seed(Package {
                index: &mut *self.0,
                source: &source,
            })?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Package<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Package<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of CVE ids")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut all: A) -> Result<(), A::Error> {
        while let Some(cve) = all.next_key::<String>()? {
            // Holes without an id have names that change (`TEMP-0000000-C6A13F`).
            if !hostler_updates::is_cve(&cve) {
                all.next_value::<IgnoredAny>()?;
                continue;
            }
            let hole: Hole = all.next_value()?;
            self.take(&cve, &hole).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

impl Package<'_> {
    fn take(&mut self, cve: &str, hole: &Hole) -> Result<(), AdvisoryError> {
        for (codename, state) in &hole.releases {
            let fixed = state.fixed_version.as_deref().unwrap_or_default();
            // Version 0: the release never had the hole.
            if state.status != "resolved" || fixed.is_empty() || fixed == "0" {
                continue;
            }
            let urgency = state.urgency.as_deref().unwrap_or_default();
            self.index.add(&Found {
                release: &release("debian", codename),
                source: self.source,
                fixed,
                cve,
                severity: severity(urgency),
                is_unimportant: urgency == "unimportant",
                ..Found::default()
            })?;
        }
        Ok(())
    }
}

/// Urgencies of Debian and priorities of Ubuntu. An asterisk marks a guess of the tracker.
pub(crate) fn severity(word: &str) -> Option<Severity> {
    match word.trim_end_matches('*').to_ascii_lowercase().as_str() {
        "unimportant" | "negligible" | "low" => Some(Severity::Low),
        "medium" => Some(Severity::Moderate),
        "high" => Some(Severity::Important),
        "critical" => Some(Severity::Critical),
        _ => None,
    }
}
