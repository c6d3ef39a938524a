//! Which updates wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hostler_module_api::{Inspect, ModuleError};
use hostler_probes::{Dpkg, Transaction, parse_simulation};
use hostler_updates::{Finding, PackageName, SourcePackage, Update};

use super::policy::Policy;
use super::private::{self, ask};
use super::sources::Sources;
use super::table::{self, Records};
use super::{conffiles, names, pins};
use crate::{Survey, finding};

/// Most updates that are reported.
const UPDATES_MAX: usize = 5000;
/// Most packages that are asked about one by one why they are kept back.
const REASONS_MAX: usize = 10;
/// Most packages that are named of those that need a subscription.
const EXPOSED_MAX: usize = 50;

/// See [`crate::PackageManager::survey`].
pub(super) fn survey(host: &dyn Inspect, dir: &Path, refresh: bool) -> Result<Survey, ModuleError> {
    private::prepare(host, dir)?;
    let mut findings = if refresh {
        private::refresh(host, dir)?
    } else {
        Vec::new()
    };
    let sources = Sources::read(host, dir, &mut findings)?;
    if sources.is_empty() {
        let reason = findings
            .first()
            .map_or("apt has no sources", |it| it.text.as_str());
        return Err(ModuleError::new(format!(
            "no source of packages is usable: {reason}"
        )));
    }
    let dpkg = hostler_probes::dpkg(host)?;
    let mut found = Found::look(host, dir, &dpkg)?;
    found.simulate(host, dir, &mut findings)?;
    let updates = found.updates(host, dir, &dpkg, &sources)?;
    describe(&sources, &updates, &mut findings);
    let named: BTreeSet<&str> = updates
        .iter()
        .filter(|it| it.from.is_some())
        .map(|it| it.package.name.as_str())
        .collect();
    Ok(Survey {
        conffiles: conffiles::modified(host, &named)?,
        holds: pins::holds(host, &dpkg),
        repositories: sources.repositories,
        updates,
        findings,
    })
}

/// A package that has, or would get, another version.
struct Waiting {
    package: PackageName,
    /// As apt shows it.
    shown: String,
    from: Option<String>,
    /// What the installed one was built of: source package and version.
    built_of: Option<(String, String)>,
    to: String,
    kept_back: Option<String>,
}

/// What is found on the way.
struct Found {
    policies: BTreeMap<String, Policy>,
    waiting: Vec<Waiting>,
}

impl Found {
    /// Compares what is installed with what there is.
    fn look(host: &dyn Inspect, dir: &Path, dpkg: &Dpkg) -> Result<Self, ModuleError> {
        let words: Vec<String> = dpkg
            .all_installed()
            .filter_map(|(name, it)| table::word_of(name, &it.architecture, dpkg.native()))
            .collect();
        let policies = table::policies(host, dir, &words)?;
        let mut waiting = Vec::new();
        for (name, installed) in dpkg.all_installed() {
            let shown = names::shown(name, &installed.architecture, dpkg.native());
            let Some(policy) = policies.get(&shown) else {
                continue;
            };
            let hidden = policy.hidden_by_pin().map(|it| it.number.as_str());
            let newer =
                |it: &&str| hostler_probes::compare_versions(it, &installed.version).is_gt();
            let candidate = policy.candidate.as_deref().filter(newer);
            let (Some(to), pinned) = (candidate.or(hidden.filter(newer)), candidate.is_none())
            else {
                continue;
            };
            let kept_back = match (installed.held, pinned) {
                (true, _) => Some("held (apt-mark hold)".to_owned()),
                (_, true) => Some("pinned to another version".to_owned()),
                _ => None,
            };
            waiting.push(Waiting {
                package: PackageName {
                    name: name.to_owned(),
                    arch: installed.architecture.clone(),
                },
                shown,
                from: Some(installed.version.clone()),
                built_of: {
                    let (source, version) =
                        hostler_probes::source_package(&installed.source, name, &installed.version);
                    Some((source.to_owned(), version.to_owned()))
                },
                to: to.to_owned(),
                kept_back,
            });
        }
        Ok(Found { policies, waiting })
    }

    /// Lets apt say what an upgrade of everything would do: what would come in addition, what would go, and what cannot
    /// be upgraded.
    fn simulate(
        &mut self,
        host: &dyn Inspect,
        dir: &Path,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ModuleError> {
        // Ubuntu's hook says something even if nothing waits.
        if self.waiting.is_empty() && !hostler_probes::exists(host, "/var/lib/ubuntu-advantage") {
            return Ok(());
        }
        let full = match upgrade(host, dir, &["dist-upgrade"])? {
            Ok(text) => text,
            Err(said) => {
                findings.push(finding("no-simulation", said));
                return Ok(());
            }
        };
        findings.extend(exposed(&full));
        let full = parse_simulation(&full);
        let removed: Vec<&str> = removals(&full);
        let in_full = upgraded(&full);
        let mut gentle = None;
        if !removed.is_empty() {
            let text = format!("a full upgrade would remove {}", removed.join(", "));
            findings.push(finding("removal", text));
            let said = upgrade(host, dir, &["upgrade", "--with-new-pkgs"])?;
            gentle = said.ok().map(|it| parse_simulation(&it));
        }
        let in_gentle = gentle.as_ref().map(upgraded);
        let mut asked = 0;
        for it in self.waiting.iter_mut().filter(|it| it.kept_back.is_none()) {
            if in_gentle
                .as_ref()
                .is_some_and(|some| !some.contains(&it.shown))
                && in_full.contains(&it.shown)
            {
                it.kept_back = Some(format!("needs the removal of {}", removed.join(", ")));
            } else if !in_full.contains(&it.shown) {
                asked += 1;
                it.kept_back = Some(if asked <= REASONS_MAX {
                    why_kept(host, dir, &it.shown)?
                } else {
                    "apt keeps it back".to_owned()
                });
            }
        }
        let chosen = gentle.as_ref().unwrap_or(&full);
        for step in chosen.steps.iter().filter(|it| it.before.is_none()) {
            let (Some(to), name) = (&step.after, step.package.split(':').next()) else {
                continue;
            };
            self.waiting.push(Waiting {
                package: PackageName {
                    name: name.unwrap_or_default().to_owned(),
                    arch: step.architecture.clone().unwrap_or_default(),
                },
                shown: step.package.clone(),
                from: None,
                built_of: None,
                to: to.clone(),
                kept_back: None,
            });
        }
        Ok(())
    }

    /// Completes what waits with where it comes from, what it is for, and its size.
    fn updates(
        mut self,
        host: &dyn Inspect,
        dir: &Path,
        dpkg: &Dpkg,
        sources: &Sources,
    ) -> Result<Vec<Update>, ModuleError> {
        self.waiting.truncate(UPDATES_MAX);
        let new: Vec<String> = self
            .waiting
            .iter()
            .filter(|it| it.from.is_none() && names::is_askable(&it.package))
            .map(|it| it.shown.clone())
            .collect();
        self.policies.extend(table::policies(host, dir, &new)?);
        let exact: Vec<(String, String)> = self
            .waiting
            .iter()
            .filter(|it| names::is_askable(&it.package) && names::is_version(&it.to))
            .map(|it| (it.shown.clone(), it.to.clone()))
            .collect();
        let records = Records::read(host, dir, &exact)?;
        let nothing = Policy::default();
        let update = |it: Waiting| {
            let policy = self.policies.get(&it.shown).unwrap_or(&nothing);
            let version = policy.version(&it.to);
            let record = records.get(&it.package.name, &it.package.arch, &it.to);
            let between = table::between(policy, it.from.as_deref(), &it.to, sources);
            let source = record.map(|record| built_of(&it, record));
            let listed = version.and_then(|it| it.phased);
            let phased_percent = listed.or(record.and_then(|it| it.phased));
            let mut package = it.package;
            // It may have changed with the version: to `all` and back.
            if let Some(record) = record.filter(|it| is_same_kind(&package.arch, it, dpkg)) {
                package.arch.clone_from(&record.architecture);
            }
            Update {
                package,
                from: it.from,
                to: it.to,
                suites: version
                    .map(|it| sources.suites(it.origins()))
                    .unwrap_or_default(),
                source,
                class: between.class,
                security_version: between.security_version,
                severity: None,
                advisories: Vec::new(),
                cves: Vec::new(),
                download_bytes: record.map_or(0, |it| it.size),
                kept_back: it.kept_back,
                phased_percent: phased_percent.filter(|it| *it < 100),
            }
        };
        let mut updates: Vec<Update> = self.waiting.into_iter().map(update).collect();
        hostler_value::order::sort(&mut updates);
        Ok(updates)
    }
}

/// The source package of what waits.
fn built_of(waiting: &Waiting, record: &super::records::Record) -> SourcePackage {
    let name = &waiting.package.name;
    let (name, to) = hostler_probes::source_package(&record.source, name, &waiting.to);
    let before = waiting.built_of.as_ref().filter(|it| it.0 == name);
    SourcePackage {
        name: name.to_owned(),
        from: before.map(|(_, version)| version.clone()),
        to: to.to_owned(),
    }
}

/// Is a record's architecture one that this package may have: its own, `all`, or the host's?
fn is_same_kind(arch: &str, record: &super::records::Record, dpkg: &Dpkg) -> bool {
    arch == "all" || record.architecture == "all" || arch == dpkg.native()
}

/// Simulates an upgrade.
fn upgrade(
    host: &dyn Inspect,
    dir: &Path,
    words: &[&str],
) -> Result<Result<String, String>, ModuleError> {
    let all = ["-q", "-y", "--simulate"].iter().chain(words).copied();
    Ok(ask(host, dir, "apt-get", all)?.map_err(|said| complaint(&said)))
}

/// What Ubuntu's hook of apt says of security updates that only a subscription brings: a line that names the service
/// and ends with a colon, then names, indented.
fn exposed(said: &str) -> Option<Finding> {
    let mut names = Vec::new();
    let mut is_list = false;
    for line in said.lines() {
        let is_about = ["ESM", "esm-infra", "esm-apps", "Ubuntu Pro"];
        if line.starts_with("  ") && is_list {
            names.extend(line.split_whitespace());
        } else {
            is_list = line.ends_with(':') && is_about.iter().any(|it| line.contains(it));
        }
    }
    let shown = names.iter().take(EXPOSED_MAX).copied();
    let shown = shown.collect::<Vec<&str>>().join(", ");
    let text = format!(
        "{} security updates need a subscription (Ubuntu Pro), and cannot be installed here: {shown}",
        names.len()
    );
    (!names.is_empty()).then(|| finding("exposed-not-patchable", text))
}

/// Errors of apt, in one line.
pub(super) fn complaint(said: &str) -> String {
    let errors: Vec<&str> = said
        .lines()
        .filter_map(|it| it.strip_prefix("E: "))
        .collect();
    let text = if errors.is_empty() {
        said.lines()
            .map(str::trim)
            .find(|it| !it.is_empty())
            .unwrap_or("apt failed")
            .to_owned()
    } else {
        errors.join("; ")
    };
    text.chars().take(1000).collect()
}

fn removals(transaction: &Transaction) -> Vec<&str> {
    let gone = transaction.steps.iter().filter(|it| it.after.is_none());
    gone.map(|it| it.package.as_str()).collect()
}

fn upgraded(transaction: &Transaction) -> BTreeSet<String> {
    let changed = transaction.steps.iter().filter(|it| it.after.is_some());
    changed.map(|it| it.package.clone()).collect()
}

/// Asks for it alone: what apt says then is the reason.
fn why_kept(host: &dyn Inspect, dir: &Path, word: &str) -> Result<String, ModuleError> {
    let words = ["-q", "-y", "--no-remove", "--simulate", "install", word];
    Ok(match ask(host, dir, "apt-get", words)? {
        Ok(_) => "apt keeps it back from an upgrade of everything".to_owned(),
        Err(said) => match unmet(&said).first() {
            Some((_, reason)) => reason.clone(),
            None => complaint(&said),
        },
    })
}

/// Reads ` foo : Depends: bar (>= 2) but 1 is to be installed`, with more reasons indented below.
pub(super) fn unmet(said: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let lines = said
        .lines()
        .skip_while(|it| !it.contains("unmet dependencies"));
    for line in lines.skip(1).take_while(|it| it.starts_with(' ')) {
        match line.split_once(" : ") {
            Some((name, reason)) => all.push((name.trim().to_owned(), reason.trim().to_owned())),
            None => {
                if let Some((_, reasons)) = all.last_mut() {
                    reasons.push_str("; ");
                    reasons.push_str(line.trim());
                }
            }
        }
    }
    all
}

/// What the lists do not tell, and what only a paid service offers.
fn describe(sources: &Sources, updates: &[Update], findings: &mut Vec<Finding>) {
    for name in sources.unclassified() {
        let text = format!("{name} does not say which of its updates close security holes");
        findings.push(finding("no-classification", text));
    }
    if !updates.is_empty() {
        let text = "the package lists of apt name no advisories, CVE ids and severities: give a file that does, with \
                    --advisories or `advisories` in the policy";
        findings.push(finding(Finding::NO_ADVISORIES, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_that_need_a_subscription() {
        let said = "Calculating upgrade...\nGet more security updates through Ubuntu Pro with 'esm-apps' enabled:\n  libcjson1 libavdevice58\n  ffmpeg\nLearn more about Ubuntu Pro at https://ubuntu.com/pro\nThe following packages will be upgraded:\n  base-files\n";
        let found = exposed(said).unwrap();
        assert!(
            found.text.starts_with("3 security updates"),
            "{}",
            found.text
        );
        assert!(found.text.ends_with(": libcjson1, libavdevice58, ffmpeg"));
        let older = "The following packages could receive security updates with UA Infra: ESM service enabled:\n  libglib2.0-data\n";
        assert!(exposed(older).unwrap().text.ends_with(": libglib2.0-data"));
        assert!(exposed("The following packages will be upgraded:\n  base-files\n").is_none());
    }

    #[test]
    fn unmet_dependencies() {
        let said = "The following packages have unmet dependencies:\n a:i386 : Depends: b (>= 2) but 1 is to be installed\n          Breaks: c\n d : Conflicts: e\nE: Unable to correct problems\n";
        let found = unmet(said);
        assert_eq!(found[0].0, "a:i386");
        assert_eq!(
            found[0].1,
            "Depends: b (>= 2) but 1 is to be installed; Breaks: c"
        );
        assert_eq!(found.len(), 2);
        assert!(unmet("E: x").is_empty());
        assert_eq!(complaint("x\nE: one\nE: two\n"), "one; two");
    }
}
