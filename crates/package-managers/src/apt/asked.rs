//! What is asked of apt, and what it refuses.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::{Dpkg, Transaction, parse_simulation};
use hostler_updates::PackageName;

use super::policy::Policy;
use super::private::ask;
use super::resolve::file_of;
use super::survey::{complaint, unmet};
use super::{names, table};
use crate::Wanted;

/// How often what cannot be had is left out and the rest is tried again.
const ROUNDS_MAX: usize = 12;
/// Most packages that are tried alone when apt does not say which one is the matter.
const ALONE_MAX: usize = 40;

/// What is asked for, and what cannot be had of it.
pub(super) struct Asked<'a> {
    dpkg: &'a Dpkg,
    pub(super) policies: BTreeMap<String, Policy>,
    /// Package files on this host of versions that no source has any more.
    pub(super) files: BTreeMap<PackageName, String>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) impossible: Vec<(PackageName, String)>,
}

impl<'a> Asked<'a> {
    /// Leaves out what cannot be had at all, and what is there already.
    pub(super) fn check(
        host: &dyn Inspect,
        dir: &Path,
        dpkg: &'a Dpkg,
        wanted: &[Wanted],
    ) -> Result<Self, ModuleError> {
        let words: Vec<String> = wanted
            .iter()
            .filter_map(|it| table::word_of(&it.package.name, &it.package.arch, dpkg.native()))
            .collect();
        let policies = table::policies(host, dir, &words)?;
        let mut asked = Asked {
            dpkg,
            policies,
            files: BTreeMap::new(),
            wanted: Vec::new(),
            impossible: Vec::new(),
        };
        for it in wanted {
            let obstacle = asked.obstacle(it);
            if let (Some(Obstacle::Gone(_)), Some(version)) = (&obstacle, &it.version)
                && let Some(file) = file_of(host, &it.package, version, 0)
            {
                asked.files.insert(it.package.clone(), file);
                asked.wanted.push(it.clone());
                continue;
            }
            match obstacle {
                Some(Obstacle::Gone(reason) | Obstacle::Other(reason)) => {
                    asked.impossible.push((it.package.clone(), reason));
                }
                None if !asked.is_done(it) => asked.wanted.push(it.clone()),
                None => {}
            }
        }
        Ok(asked)
    }

    fn installed(&self, package: &PackageName) -> Option<&'a hostler_probes::Package> {
        self.dpkg.installed(&names::word(package))
    }

    fn is_done(&self, it: &Wanted) -> bool {
        self.installed(&it.package).map(|it| it.version.as_str()) == it.version.as_deref()
    }

    /// Why it cannot be had, if that is clear without a simulation.
    fn obstacle(&self, it: &Wanted) -> Option<Obstacle> {
        let other = |reason: &str| Some(Obstacle::Other(reason.to_owned()));
        if !names::is_askable(&it.package) {
            return other("this is no name of a package");
        }
        if !self.is_done(it) && self.installed(&it.package).is_some_and(|it| it.held) {
            return other("it is held (apt-mark hold)");
        }
        let version = it.version.as_deref()?;
        if !names::is_version(version) {
            return other("this is no version");
        }
        if self.is_done(it) {
            return None;
        }
        let shown = names::shown(&it.package.name, &it.package.arch, self.dpkg.native());
        let there = self.policies.get(&shown);
        let there = there.map(|it| it.versions.as_slice()).unwrap_or_default();
        let mut available = there.iter().filter(|it| it.is_available());
        let newest = available.clone().next().map(|it| it.number.as_str());
        if available.any(|it| it.number == version) {
            return None;
        }
        Some(Obstacle::Gone(match newest {
            None => format!("no source has version {version}, or any other"),
            Some(newest) => {
                format!("no source has version {version}; the newest there is {newest}")
            }
        }))
    }

    /// Lets apt say what it would do; what it refuses is left out, and the rest is tried again.
    pub(super) fn simulate(
        &mut self,
        host: &dyn Inspect,
        dir: &Path,
    ) -> Result<Transaction, ModuleError> {
        for _ in 0..ROUNDS_MAX {
            if self.wanted.is_empty() {
                return Ok(Transaction::default());
            }
            let words = self.words(&self.wanted);
            let said = match ask(host, dir, "apt-get", words.iter().map(String::as_str))? {
                Ok(text) => return Ok(parse_simulation(&text)),
                Err(said) => said,
            };
            let before = self.wanted.len();
            for (name, reason) in culprits(&said) {
                self.leave_out(&reason, |it| it.package.name == name);
            }
            if self.wanted.len() == before {
                self.try_alone(host, dir)?;
            }
            if self.wanted.len() == before {
                let reason = complaint(&said);
                self.leave_out(&reason, |_| true);
            }
        }
        self.leave_out("apt could not resolve it with the others", |_| true);
        Ok(Transaction::default())
    }

    /// apt names nobody who is wanted: whoever cannot be had alone is left out.
    fn try_alone(&mut self, host: &dyn Inspect, dir: &Path) -> Result<(), ModuleError> {
        if self.wanted.len() < 2 {
            return Ok(());
        }
        let mut refused = Vec::new();
        for it in self.wanted.iter().take(ALONE_MAX) {
            let words = self.words(std::slice::from_ref(it));
            if let Err(said) = ask(host, dir, "apt-get", words.iter().map(String::as_str))? {
                refused.push((it.package.clone(), complaint(&said)));
            }
        }
        for (package, reason) in refused {
            self.leave_out(&reason, |it| it.package == package);
        }
        Ok(())
    }

    /// Words of the simulation. A lower version is only brought if it was asked for.
    fn words(&self, wanted: &[Wanted]) -> Vec<String> {
        let mut words = ["-q", "-y", "--simulate"].map(str::to_owned).to_vec();
        if wanted.iter().any(|it| self.is_lower(it)) {
            words.push("--allow-downgrades".to_owned());
        }
        words.push("install".to_owned());
        words.extend(wanted.iter().map(|it| {
            let word = names::word(&it.package);
            match (&it.version, self.files.get(&it.package)) {
                (Some(_), Some(file)) => file.clone(),
                (Some(version), None) => format!("{word}={version}"),
                (None, _) => format!("{word}-"),
            }
        }));
        words
    }

    fn is_lower(&self, it: &Wanted) -> bool {
        let (Some(version), Some(now)) = (&it.version, self.installed(&it.package)) else {
            return false;
        };
        hostler_probes::compare_versions(version, &now.version).is_lt()
    }

    fn leave_out(&mut self, reason: &str, is_out: impl Fn(&Wanted) -> bool) {
        let (out, left) = std::mem::take(&mut self.wanted)
            .into_iter()
            .partition(is_out);
        self.wanted = left;
        let out: Vec<Wanted> = out;
        self.impossible
            .extend(out.into_iter().map(|it| (it.package, reason.to_owned())));
    }
}

/// Why something cannot be had.
enum Obstacle {
    /// No source has the version any more.
    Gone(String),
    /// Something else.
    Other(String),
}

/// Packages that apt's complaints are about, with the reasons.
fn culprits(said: &str) -> Vec<(String, String)> {
    let mut all = unmet(said);
    for (name, _) in &mut all {
        name.truncate(name.find(':').unwrap_or(name.len()));
    }
    let errors = said.lines().filter_map(|it| it.strip_prefix("E: "));
    all.extend(errors.filter_map(|line| Some((named(line)?, line.to_owned()))));
    all
}

/// The package that an error names: `Version '1' for 'foo' was not found`, `Unable to locate package foo`.
fn named(error: &str) -> Option<String> {
    let name = if let Some((_, rest)) = error.split_once("' for '") {
        rest.split('\'').next()?
    } else if let Some(rest) = error.strip_prefix("Unable to locate package ") {
        rest
    } else {
        error
            .strip_prefix("Package ")?
            .strip_suffix(" has no installation candidate")?
            .trim_matches('\'')
    };
    Some(name.split(':').next()?.to_owned())
}
