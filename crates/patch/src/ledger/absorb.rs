//! What a new scan of a host means beside the one before: what it lacks since when, what is fixed, what drifted.

use std::collections::BTreeMap;

use hostler_updates::{Class, RebootNeed, Scan, Update};

use super::{Drift, DriftedPackage, FirstSeen, Fixed, HostExposure, Open, version_key};

/// Most CVE ids that are kept of an update.
const CVES_MAX: usize = 20;
/// Most packages that are named of a drift.
const DRIFTED_MAX: usize = 100;

/// What was known of a host before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before<'a> {
    /// Its newest scan, and when it was taken by the controller's clock, microseconds since the epoch.
    pub scan: Option<(i64, &'a Scan)>,
    /// What it lacked then.
    pub exposure: Option<&'a HostExposure>,
    /// Has a run worked on it since that scan, or may one have?
    pub worked_on: bool,
}

/// See [`absorb`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Absorbed {
    /// What it lacks now.
    pub exposure: HostExposure,
    /// What it does not lack any more.
    pub fixed: Vec<Fixed>,
    /// What changed without a run.
    pub drift: Option<Drift>,
}

/// Versions of a scan, with their keys, that are to be claimed as seen for the first time.
pub fn first_seen<'a>(
    host: &'a str,
    scan: &'a Scan,
) -> impl Iterator<Item = (String, FirstSeen)> + 'a {
    scan.updates.iter().map(move |update| {
        let seen = FirstSeen {
            host: host.to_owned(),
            suites: update.suites.iter().take(10).cloned().collect(),
            class: update.class,
        };
        (version_key(&scan.os, &update.package, &update.to), seen)
    })
}

/// Reads a new scan beside what was known. `at_us` is the time now by the controller's clock (a host's own may be wrong);
/// `since` says when a version was seen first (by its [`version_key`]); `at_least(a, b)` says whether version `a` is `b`
/// or higher, `None` if it cannot be told.
pub fn absorb(
    before: Before<'_>,
    now: &Scan,
    at_us: i64,
    since: &dyn Fn(&str) -> Option<i64>,
    at_least: &dyn Fn(&str, &str) -> Option<bool>,
) -> Absorbed {
    let waiting: BTreeMap<String, &Update> = now
        .updates
        .iter()
        .filter(|it| it.from.is_some())
        .map(|it| (it.package.to_string(), it))
        .collect();
    let unchanged = before
        .scan
        .is_some_and(|(_, scan)| scan.installed_sha256 == now.installed_sha256);
    let pending = now.reboot.need != RebootNeed::No || !now.stale.is_empty();
    let mut absorbed = Absorbed::default();
    let old = before.exposure.map(|it| it.open.as_slice());
    for was in old.unwrap_or_default() {
        let update = waiting.get(&was.package).copied();
        let mut open = was.clone();
        match fate(was, update, unchanged, at_least) {
            Fate::Gone => continue,
            Fate::Missing => {}
            Fate::Installed => {
                open.installed_us.get_or_insert(at_us);
            }
        }
        if let Some(update) = update.filter(|it| it.to == was.version) {
            describe(&mut open, update);
        }
        if open.installed_us.is_some() && !pending {
            absorbed.fixed.push(Fixed {
                was: open,
                fixed_us: at_us,
            });
        } else {
            absorbed.exposure.open.push(open);
        }
    }
    for (package, update) in &waiting {
        let known = |it: &Open| it.package == *package && it.version == update.to;
        if absorbed.exposure.open.iter().any(known) {
            continue;
        }
        let key = version_key(&now.os, &update.package, &update.to);
        let mut open = Open {
            package: package.clone(),
            version: update.to.clone(),
            from: update.from.clone().unwrap_or_default(),
            class: update.class,
            severity: None,
            cves: Vec::new(),
            since_us: since(&key).unwrap_or(at_us).min(at_us),
            installed_us: None,
        };
        describe(&mut open, update);
        absorbed.exposure.open.push(open);
    }
    bound(&mut absorbed.exposure.open);
    let known = before.exposure;
    absorbed.exposure.reboot_since_us = (now.reboot.need == RebootNeed::Yes)
        .then(|| known.and_then(|it| it.reboot_since_us).unwrap_or(at_us));
    absorbed.exposure.stale_since_us =
        (!now.stale.is_empty()).then(|| known.and_then(|it| it.stale_since_us).unwrap_or(at_us));
    if let Some((after_us, scan)) = before.scan
        && !before.worked_on
        && !unchanged
    {
        absorbed.drift = Some(drift(after_us, scan, now, &waiting));
    }
    absorbed
}

enum Fate {
    Missing,
    Installed,
    /// It was withdrawn, and nothing was installed.
    Gone,
}

fn fate(
    was: &Open,
    update: Option<&Update>,
    unchanged: bool,
    at_least: &dyn Fn(&str, &str) -> Option<bool>,
) -> Fate {
    if was.installed_us.is_some() {
        return Fate::Installed;
    }
    let Some(update) = update else {
        return if unchanged {
            Fate::Gone
        } else {
            Fate::Installed
        };
    };
    let installed = update.from.as_deref().unwrap_or_default();
    if installed == was.version {
        return Fate::Installed;
    }
    // Something in between may have been installed; without an order of versions it is taken for missing still.
    if installed != was.from && at_least(installed, &was.version) == Some(true) {
        return Fate::Installed;
    }
    Fate::Missing
}

fn describe(open: &mut Open, update: &Update) {
    // A source that stops classifying takes nothing back, nor does a scan without the advisories of the one before.
    let is_untold =
        open.class == Class::Security && !open.cves.is_empty() && update.cves.is_empty();
    if update.class != Class::Unknown && !is_untold {
        open.class = update.class;
    }
    open.severity = open.severity.max(update.severity);
    if open.cves.is_empty() {
        open.cves = update.cves.iter().take(CVES_MAX).cloned().collect();
    }
}

fn bound(open: &mut Vec<Open>) {
    if open.len() > HostExposure::OPEN_MAX {
        open.sort_by_key(|it| (it.class == Class::Bugfix, it.since_us));
        open.truncate(HostExposure::OPEN_MAX);
    }
    open.sort();
}

fn drift(after_us: i64, scan: &Scan, now: &Scan, waiting: &BTreeMap<String, &Update>) -> Drift {
    let mut packages: Vec<DriftedPackage> = scan
        .updates
        .iter()
        .filter_map(|update| {
            let from = update.from.clone()?;
            let package = update.package.to_string();
            let to = match waiting.get(&package) {
                Some(it) => Some(it.from.clone().filter(|to| *to != from)?),
                None => None,
            };
            Some(DriftedPackage { package, from, to })
        })
        .collect();
    packages.sort();
    packages.truncate(DRIFTED_MAX);
    Drift {
        after_us,
        installed_before: scan.installed,
        installed_now: now.installed,
        packages,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    const DAY: i64 = 86_400_000_000;

    /// Versions in these tests are numbers.
    fn at_least(a: &str, b: &str) -> Option<bool> {
        Some(a.parse::<u32>().ok()? >= b.parse::<u32>().ok()?)
    }

    struct Host {
        scan: Option<(i64, Scan)>,
        exposure: HostExposure,
    }

    impl Host {
        fn new() -> Self {
            Host {
                scan: None,
                exposure: HostExposure::default(),
            }
        }

        fn sees(&mut self, day: i64, scan: Scan, worked_on: bool) -> Absorbed {
            let before = Before {
                scan: self.scan.as_ref().map(|(at, scan)| (*at, scan)),
                exposure: Some(&self.exposure),
                worked_on,
            };
            let absorbed = absorb(before, &scan, day * DAY, &|_| None, &at_least);
            self.exposure = absorbed.exposure.clone();
            self.scan = Some((day * DAY, scan));
            absorbed
        }
    }

    fn open(absorbed: &Absorbed) -> Vec<(&str, &str, i64, Option<i64>)> {
        let row = |it: &'_ Open| (it.since_us / DAY, it.installed_us.map(|at| at / DAY));
        absorbed
            .exposure
            .open
            .iter()
            .map(|it| {
                let (since, installed) = row(it);
                (it.package.as_str(), it.version.as_str(), since, installed)
            })
            .collect()
    }

    #[test]
    fn an_update_is_open_until_it_runs() {
        let mut host = Host::new();
        let lacks = samples::scan("a", &[("ssl", "1", "2")]);
        assert_eq!(
            open(&host.sees(1, lacks.clone(), false)),
            [("ssl:amd64", "2", 1, None)]
        );
        // A newer one does not make the older one new.
        let newer = samples::scan("a", &[("ssl", "1", "4")]);
        let absorbed = host.sees(3, newer, false);
        assert_eq!(
            open(&absorbed),
            [("ssl:amd64", "2", 1, None), ("ssl:amd64", "4", 3, None)]
        );
        assert_eq!((absorbed.fixed.len(), absorbed.drift), (0, None));
        // One in between is installed: the first is closed only when nothing runs the old files any more.
        let mut between = samples::scan("b", &[("ssl", "3", "4")]);
        between.stale = samples::stale();
        let absorbed = host.sees(5, between.clone(), true);
        assert_eq!(
            open(&absorbed),
            [("ssl:amd64", "2", 1, Some(5)), ("ssl:amd64", "4", 3, None)]
        );
        assert_eq!(absorbed.exposure.stale_since_us, Some(5 * DAY));
        between.stale.clear();
        between.reboot.need = RebootNeed::Unknown;
        assert_eq!(host.sees(6, between.clone(), false).fixed, []);
        between.reboot.need = RebootNeed::No;
        let absorbed = host.sees(7, between, false);
        let [fixed] = absorbed.fixed.as_slice() else {
            panic!("{:?}", absorbed.fixed);
        };
        assert_eq!((fixed.was.version.as_str(), fixed.fixed_us), ("2", 7 * DAY));
        assert_eq!(open(&absorbed), [("ssl:amd64", "4", 3, None)]);
        assert_eq!(absorbed.drift, None);
    }

    #[test]
    fn a_scan_without_advisories_takes_nothing_back() {
        let mut host = Host::new();
        let without = || {
            let mut scan = samples::scan("a", &[("ssl", "1", "2")]);
            scan.updates[0].class = Class::Bugfix;
            scan
        };
        let mut with = without();
        with.updates[0].class = Class::Security;
        with.updates[0].cves = vec!["CVE-2026-10001".into()];
        host.sees(1, with, false);
        let absorbed = host.sees(2, without(), false);
        let open = &absorbed.exposure.open[0];
        assert_eq!((open.class, open.cves.len()), (Class::Security, 1));
        // Nor is one made of it by a source that says otherwise from the start.
        let other = Host::new().sees(1, without(), false);
        assert_eq!(other.exposure.open[0].class, Class::Bugfix);
    }

    #[test]
    fn an_update_that_is_withdrawn_is_neither_open_nor_fixed() {
        let mut host = Host::new();
        host.sees(1, samples::scan("a", &[("ssl", "1", "2")]), false);
        let absorbed = host.sees(2, samples::scan("a", &[]), false);
        assert_eq!(absorbed, Absorbed::default());
    }

    #[test]
    fn packages_that_change_without_a_run_are_drift() {
        let mut host = Host::new();
        let before = samples::scan(
            "a",
            &[("ssl", "1", "2"), ("vim", "7", "9"), ("sed", "1", "2")],
        );
        assert_eq!(host.sees(1, before, false).drift, None);
        let after = samples::scan("b", &[("vim", "8", "9"), ("sed", "1", "2")]);
        let drift = host.sees(2, after.clone(), false).drift.unwrap();
        let changed: Vec<_> = drift
            .packages
            .iter()
            .map(|it| (it.package.as_str(), it.from.as_str(), it.to.as_deref()))
            .collect();
        assert_eq!(
            changed,
            [("ssl:amd64", "1", None), ("vim:amd64", "7", Some("8"))]
        );
        assert_eq!(drift.after_us, DAY);
        let again = samples::scan("c", &[("sed", "1", "2")]);
        assert_eq!(host.sees(3, again, true).drift, None, "a run did it");
    }

    #[test]
    fn a_reboot_is_pending_since_the_first_scan_that_says_so() {
        let mut host = Host::new();
        let mut scan = samples::scan("a", &[]);
        scan.reboot.need = RebootNeed::Yes;
        host.sees(1, scan.clone(), false);
        let since = host.sees(4, scan.clone(), false).exposure.reboot_since_us;
        assert_eq!(since, Some(DAY));
        scan.reboot.need = RebootNeed::No;
        assert_eq!(host.sees(5, scan, false).exposure.reboot_since_us, None);
    }
}
