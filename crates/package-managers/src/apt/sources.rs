//! Where packages come from: the indexes that apt has, and what their signed release files say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::{Class, Finding, Repository};

use super::private::{ask, without_credentials};
use crate::dates::rfc_5322_s;
use crate::finding;

/// A release file is some hundred kilobytes.
const RELEASE_MAX: u64 = 16 << 20;
/// Most sources that are reported.
const REPOSITORIES_MAX: usize = 200;

/// The indexes that apt has.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// By the description that `apt-cache policy` shows.
    by_description: BTreeMap<String, Source>,
    /// One for each release file.
    pub(super) repositories: Vec<Repository>,
    /// Origins (`Debian`, `Ubuntu`) of which a suite of security updates is among the sources.
    secured: BTreeSet<String>,
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    /// Signed file, without `InRelease` or `Release` at its end.
    prefix: String,
    /// URI and suite.
    name: String,
    origin: String,
    label: String,
    suite: String,
    codename: String,
    version: String,
    site: String,
}

impl Source {
    /// Do its packages close security holes? By the names that Debian, Ubuntu and their derivatives give such suites.
    fn is_security(&self) -> bool {
        let suite = |name: &str| name == "security" || name.ends_with("-security");
        let label = self.label.to_ascii_lowercase();
        suite(&self.suite)
            || suite(&self.codename)
            || suite(&label)
            || self.origin.starts_with("UbuntuESM")
    }

    /// As simulations show it: `Debian-Security:13/stable-security` (`pkgCache::VerIterator::RelStr` of libapt).
    fn shown(&self) -> String {
        let mut text = String::new();
        if !self.label.is_empty() {
            text.extend([&self.label, ":"]);
        }
        if self.suite.is_empty() {
            let site = match self.site.as_str() {
                "" => "localhost",
                site => site,
            };
            text.push_str(site);
        } else {
            if !self.version.is_empty() {
                text.extend([&self.version, "/"]);
            }
            text.push_str(&self.suite);
        }
        text
    }
}

impl Sources {
    /// Asks apt for its indexes and reads their release files.
    pub(super) fn read(
        host: &dyn Inspect,
        dir: &Path,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, ModuleError> {
        let text = match ask(
            host,
            dir,
            "apt-get",
            ["indextargets", "Created-By: Packages"],
        )? {
            Ok(text) => text,
            Err(said) => {
                return Err(ModuleError::new(format!(
                    "apt has no indexes: {}",
                    said.trim()
                )));
            }
        };
        let mut it = Sources::default();
        for paragraph in text.split("\n\n") {
            if let Some((description, source)) = parse_target(paragraph) {
                it.by_description.insert(description, source);
            }
        }
        let now_s = crate::dates::seconds(host.now());
        let mut seen = BTreeSet::new();
        let mut releases: BTreeMap<String, Option<(String, String)>> = BTreeMap::new();
        for source in it.by_description.values_mut() {
            let release = releases.entry(source.prefix.clone());
            let release = release.or_insert_with(|| read_release(host, &source.prefix));
            let Some((text, sha256)) = release else {
                if seen.insert(source.prefix.clone()) {
                    let text = format!("{} has no release file: it is not signed", source.name);
                    findings.push(finding("unsigned-source", text));
                }
                continue;
            };
            let fields = release_fields(text);
            let get = |key: &str| fields.get(key).copied().unwrap_or_default().to_owned();
            for (field, key) in [
                (&mut source.origin, "Origin"),
                (&mut source.label, "Label"),
                (&mut source.suite, "Suite"),
                (&mut source.codename, "Codename"),
                (&mut source.version, "Version"),
            ] {
                if field.is_empty() {
                    *field = get(key);
                }
            }
            if source.is_security() {
                it.secured.insert(source.origin.clone());
            }
            if !seen.insert(source.prefix.clone()) || it.repositories.len() >= REPOSITORIES_MAX {
                continue;
            }
            let until = fields.get("Valid-Until").copied().and_then(rfc_5322_s);
            if until.is_some_and(|it| it < now_s) {
                let text = format!(
                    "the index of {} was valid until {}",
                    source.name,
                    get("Valid-Until")
                );
                findings.push(finding("stale-index", text));
            }
            it.repositories.push(Repository {
                name: source.name.clone(),
                sha256: sha256.clone(),
                date_s: fields.get("Date").copied().and_then(rfc_5322_s),
                classifies: false,
            });
        }
        let classifying: BTreeSet<String> = it
            .by_description
            .values()
            .filter(|source| it.classifies(source))
            .map(|source| source.name.clone())
            .collect();
        for repository in &mut it.repositories {
            repository.classifies = classifying.contains(&repository.name);
        }
        Ok(it)
    }

    /// Is there any index to find updates in?
    pub(super) fn is_empty(&self) -> bool {
        self.by_description.is_empty()
    }

    /// A source classifies if it is of security updates, or if security updates of the same origin have a suite of
    /// their own among the sources.
    fn classifies(&self, source: &Source) -> bool {
        source.is_security() || (self.secured.contains(&source.origin) && !source.origin.is_empty())
    }

    /// Names of sources that do not say which updates are security updates.
    pub(super) fn unclassified(&self) -> Vec<&str> {
        let all = self.repositories.iter().filter(|it| !it.classifies);
        all.map(|it| it.name.as_str()).collect()
    }

    /// What a version is for that these indexes list.
    pub(super) fn class<'a>(&self, descriptions: impl Iterator<Item = &'a str>) -> Class {
        let mut class = Class::Unknown;
        for source in descriptions.filter_map(|it| self.by_description.get(it)) {
            if source.is_security() {
                return Class::Security;
            }
            if self.classifies(source) {
                class = Class::Bugfix;
            }
        }
        class
    }

    /// The suites of these indexes, as simulations show them.
    pub(super) fn suites<'a>(&self, descriptions: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut suites: Vec<String> = Vec::new();
        for description in descriptions {
            let shown = self.by_description.get(description).map(Source::shown);
            let shown = shown.unwrap_or_else(|| without_credentials(description));
            if !suites.contains(&shown) {
                suites.push(shown);
            }
        }
        suites
    }
}

/// Reads a paragraph of `apt-get indextargets`.
fn parse_target(paragraph: &str) -> Option<(String, Source)> {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    for line in paragraph.lines() {
        if let Some((key, value)) = line.split_once(':') {
            fields.insert(key, value.trim());
        }
    }
    let get = |key: &str| fields.get(key).copied().unwrap_or_default();
    let description = fields.get("Description")?;
    // `/dir/host_debian_dists_trixie_` + `main_binary-amd64_Packages`
    let index = get("MetaKey").replace('/', "_");
    let file = get("Filename");
    let stem = file.rfind(&index).filter(|_| !index.is_empty())?;
    let uri = without_credentials(get("Repo-URI"));
    let source = Source {
        prefix: file[..stem].to_owned(),
        name: format!("{} {}", uri.trim_end_matches('/'), get("Release"))
            .trim()
            .to_owned(),
        origin: get("Origin").to_owned(),
        label: get("Label").to_owned(),
        suite: get("Suite").to_owned(),
        codename: get("Codename").to_owned(),
        version: get("Version").to_owned(),
        site: uri
            .split("://")
            .nth(1)
            .unwrap_or_default()
            .split('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    Some(((*description).to_owned(), source))
}

/// The text of the release file and its SHA-256.
fn read_release(host: &dyn Inspect, prefix: &str) -> Option<(String, String)> {
    ["InRelease", "Release"].iter().find_map(|name| {
        let path = format!("{prefix}{name}");
        let path = Path::new(&path);
        let bytes = host.read(path, RELEASE_MAX).ok()??;
        let sha256 = host.checksum(path, "sha256").ok()??;
        Some((String::from_utf8_lossy(&bytes).into_owned(), sha256))
    })
}

/// Fields of one line each, up to the lists of hashes.
fn release_fields(text: &str) -> BTreeMap<&str, &str> {
    let lines = text
        .lines()
        .take_while(|it| !it.starts_with("SHA256:") && !it.starts_with("MD5Sum:"));
    let fields = lines.filter_map(|it| it.split_once(": "));
    fields.map(|(key, value)| (key, value.trim())).collect()
}
