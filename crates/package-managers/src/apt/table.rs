//! Versions of many packages and what they are made of, asked for in few calls.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_module_api::{Inspect, ModuleError};
use hostler_updates::{Class, PackageName};

use super::names;
use super::policy::{self, Policy, Version};
use super::private::ask;
use super::records::{self, Record};
use super::sources::Sources;

/// How many packages are asked about at a time: what a program prints is kept only in part if it is too long.
const AT_A_TIME: usize = 250;

/// `apt-cache policy` of packages, by the words they were asked with.
pub(super) fn policies(
    host: &dyn Inspect,
    dir: &Path,
    words: &[String],
) -> Result<BTreeMap<String, Policy>, ModuleError> {
    let mut all = BTreeMap::new();
    for some in words.chunks(AT_A_TIME) {
        let words = ["policy"]
            .into_iter()
            .chain(some.iter().map(String::as_str));
        let (Ok(text) | Err(text)) = ask(host, dir, "apt-cache", words)?;
        let found = policy::parse(&text);
        // It fails for names that it does not know, and prints the others.
        if let (true, Some(said)) = (
            found.is_empty(),
            text.lines().find(|it| it.starts_with("E: ")),
        ) {
            return Err(ModuleError::new(format!("apt-cache policy: {said}")));
        }
        all.extend(found);
    }
    Ok(all)
}

/// Records of exact versions, by package and version.
pub(super) struct Records(BTreeMap<(String, String), Vec<Record>>);

impl Records {
    /// Asks for them; a version that no index lists has none.
    pub(super) fn read(
        host: &dyn Inspect,
        dir: &Path,
        wanted: &[(String, String)],
    ) -> Result<Self, ModuleError> {
        let mut all = BTreeMap::new();
        let words: Vec<String> = wanted
            .iter()
            .map(|(word, version)| format!("{word}={version}"))
            .collect();
        for some in words.chunks(AT_A_TIME) {
            let words = ["show"].into_iter().chain(some.iter().map(String::as_str));
            // It fails if one of them is not there, and prints the others.
            let (Ok(text) | Err(text)) = ask(host, dir, "apt-cache", words)?;
            all.extend(records::parse(&text));
        }
        Ok(Records(all))
    }

    /// A version of a package, of an architecture if there are several.
    pub(super) fn get(&self, name: &str, arch: &str, version: &str) -> Option<&Record> {
        let same = self.0.get(&(name.to_owned(), version.to_owned()))?;
        same.iter()
            .find(|it| it.architecture == arch)
            .or_else(|| same.first())
    }
}

/// What is known of the way from one version to another.
pub(super) struct Between {
    /// Security if one of the versions on the way is; else what the last one is.
    pub(super) class: Class,
    /// The newest security version, if that is not the last one.
    pub(super) security_version: Option<String>,
}

/// Looks at every version above `from` up to `to`: a security update may hide behind a newer one that is none.
pub(super) fn between(policy: &Policy, from: Option<&str>, to: &str, sources: &Sources) -> Between {
    let above = |it: &&Version| {
        let compare = hostler_probes::compare_versions;
        from.is_none_or(|from| compare(&it.number, from).is_gt()) && compare(&it.number, to).is_le()
    };
    let class_of = |it: &Version| sources.class(it.origins());
    let last = policy.version(to).map(class_of).unwrap_or_default();
    let on_the_way = policy.versions.iter().filter(above);
    // A new package closes no hole of an older version.
    let on_the_way = on_the_way.filter(|it| from.is_some() || it.number == to);
    let secure: Vec<&Version> = on_the_way
        .filter(|it| class_of(it) == Class::Security)
        .collect();
    let newest = secure
        .iter()
        .max_by(|a, b| hostler_probes::compare_versions(&a.number, &b.number));
    Between {
        class: if secure.is_empty() {
            last
        } else {
            Class::Security
        },
        security_version: newest.map(|it| it.number.clone()).filter(|it| it != to),
    }
}

/// The word that a package of dpkg's database is asked about with.
pub(super) fn word_of(name: &str, arch: &str, native: &str) -> Option<String> {
    let package = PackageName {
        name: name.to_owned(),
        arch: arch.to_owned(),
    };
    names::is_askable(&package).then(|| names::shown(name, arch, native))
}
