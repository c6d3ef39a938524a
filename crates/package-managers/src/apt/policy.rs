//! `apt-cache policy`: which versions of a package there are, where they come from, and which one counts.

use std::collections::BTreeMap;

/// A package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// What would be installed.
    pub(super) candidate: Option<String>,
    /// Every version, as apt lists them: the highest first.
    pub(super) versions: Vec<Version>,
}

/// A version of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// The version.
    pub(super) number: String,
    /// What it counts for.
    pub(super) priority: i64,
    /// Percentage of hosts that are to get it now, where it is phased.
    pub(super) phased: Option<u8>,
    /// Priorities and descriptions of the indexes that list it; `/var/lib/dpkg/status` is one if it is installed.
    pub(super) sources: Vec<(i64, String)>,
}

/// The index of what is installed.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

impl Version {
    /// Indexes that it can be had from.
    pub(super) fn origins(&self) -> impl Iterator<Item = &str> {
        let all = self.sources.iter().map(|it| it.1.as_str());
        all.filter(|it| *it != STATUS)
    }

    /// Can it be had?
    pub(super) fn is_available(&self) -> bool {
        self.origins().next().is_some()
    }

    /// Does it count for more or less than its sources do? Then the package has a pin of its own.
    fn is_pinned(&self) -> bool {
        let highest = self.sources.iter().map(|it| it.0).max();
        highest.is_some_and(|it| it != self.priority)
    }
}

impl Policy {
    /// A version of it.
    pub(super) fn version(&self, version: &str) -> Option<&Version> {
        self.versions.iter().find(|it| it.number == version)
    }

    /// The highest version that only a pin keeps from being the candidate. A version of a source that never counts for
    /// much (backports) is none.
    pub(super) fn hidden_by_pin(&self) -> Option<&Version> {
        let candidate = self.candidate.as_deref()?;
        let at = self.versions.iter().position(|it| it.number == candidate)?;
        let higher = self
            .versions
            .get(..at)?
            .iter()
            .filter(|it| it.is_available());
        let candidate_is_pinned = self.versions[at].is_pinned();
        let mut hidden = higher.filter(|it| {
            let usual = it.sources.iter().map(|it| it.0).max().unwrap_or(0);
            it.is_pinned() || (candidate_is_pinned && usual >= 500)
        });
        hidden.next()
    }
}

/// Reads what `apt-cache policy NAME...` prints, by the names in it: `libc6`, `libc6:i386`.
pub(super) fn parse(text: &str) -> BTreeMap<String, Policy> {
    let mut all: BTreeMap<String, Policy> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        if indent == 0 {
            let Some(head) = line.strip_suffix(':') else {
                continue;
            };
            if !line.starts_with("***") {
                head.clone_into(&mut name);
                all.insert(name.clone(), Policy::default());
                continue;
            }
        }
        let Some(policy) = all.get_mut(&name) else {
            continue;
        };
        if indent == 2 {
            if let Some(version) = body.strip_prefix("Candidate: ") {
                policy.candidate = Some(version.to_owned()).filter(|it| it != "(none)");
            }
        } else if indent == 5 || line.starts_with(" *** ") {
            let body = body.strip_prefix("*** ").unwrap_or(body);
            policy.versions.extend(parse_version(body));
        } else if indent > 5
            && let Some((priority, source)) = body.split_once(' ')
            && let (Ok(priority), Some(version)) = (priority.parse(), policy.versions.last_mut())
        {
            version.sources.push((priority, source.trim().to_owned()));
        }
    }
    all
}

/// Reads `1.2-3 500 (phased 10%)`.
fn parse_version(body: &str) -> Option<Version> {
    let mut words = body.split_whitespace();
    let number = words.next()?.to_owned();
    let priority = words.next()?.parse().ok()?;
    let phased = body.split_once("(phased ").and_then(|(_, it)| {
        let percent = it.split_once('%')?.0;
        percent.parse::<u8>().ok()
    });
    Some(Version {
        number,
        priority,
        phased,
        sources: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("corpus/policy.txt");

    #[test]
    fn versions_and_where_they_come_from() {
        let all = parse(TEXT);
        let ssl = &all["libssl3"];
        assert_eq!(ssl.candidate.as_deref(), Some("3.0.22-1~deb12u2"));
        let versions: Vec<&str> = ssl.versions.iter().map(|it| it.number.as_str()).collect();
        assert_eq!(
            versions,
            [
                "3.0.22-1~deb12u2",
                "3.0.20-1~deb12u2",
                "3.0.19-1~deb12u2",
                "3.0.17-1~deb12u2"
            ]
        );
        assert!(!ssl.version("3.0.19-1~deb12u2").unwrap().is_available());
        let origins: Vec<&str> = ssl.versions[0].origins().collect();
        assert_eq!(
            origins,
            ["http://deb.debian.org/debian-security bookworm-security/main amd64 Packages"]
        );
        assert!(ssl.hidden_by_pin().is_none());
        assert_eq!(all["nosuch"], Policy::default());
    }

    #[test]
    fn pins_hide_versions_and_backports_do_not_count() {
        let all = parse(TEXT);
        assert_eq!(
            all["nginx"].hidden_by_pin().unwrap().number,
            "1.22.1-9+deb12u3"
        );
        assert_eq!(
            all["redis:i386"].hidden_by_pin().unwrap().number,
            "5:7.0.15-1~deb12u4"
        );
        assert!(all["podman"].hidden_by_pin().is_none());
        assert_eq!(all["snapd"].versions[0].phased, Some(30));
    }

    #[test]
    fn nonsense_is_no_policy() {
        assert!(parse("").is_empty() && parse("x\n     1 2\n").is_empty());
        assert!(
            parse("a:\n     onlyversion\n  Candidate: (none)\n")["a"]
                .versions
                .is_empty()
        );
    }
}
