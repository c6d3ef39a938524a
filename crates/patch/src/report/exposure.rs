//! What hosts lack, and how long that takes.

use std::collections::{BTreeMap, BTreeSet};

use hostler_updates::{Class, Severity};

use super::material::{HostMaterial, Material};
use super::model::{Breach, Exposure, MissingRow};
use super::{DAY, days, text};
use crate::ledger::Open;

/// Approved updates that hosts lack, by class and severity, the gravest first.
pub(super) fn missing(material: &Material) -> Vec<MissingRow> {
    struct Sum<'a> {
        row: MissingRow,
        hosts: BTreeSet<&'a str>,
    }
    let mut rows: BTreeMap<(u8, u8), Sum<'_>> = BTreeMap::new();
    for host in &material.hosts {
        let Some((at_us, scan)) = &host.scan else {
            continue;
        };
        let since = since(host);
        for update in &scan.updates {
            let package = update.package.to_string();
            if !host.approved.contains(&package) {
                continue;
            }
            let sla_days = (update.class == Class::Security)
                .then(|| material.sla.days(update.severity))
                .flatten();
            let sum = rows
                .entry(rank(update.class, update.severity))
                .or_insert_with(|| Sum {
                    row: MissingRow {
                        class: update.class,
                        severity: update.severity,
                        updates: 0,
                        hosts: 0,
                        oldest_days: 0,
                        sla_days,
                        over_sla: 0,
                    },
                    hosts: BTreeSet::new(),
                });
            let since = since.get(package.as_str()).copied().unwrap_or(*at_us);
            let row = &mut sum.row;
            row.updates += 1;
            row.oldest_days = row.oldest_days.max(days(since, material.now_us));
            let over = sla_days.is_some_and(|it| is_over(since, it, material.now_us));
            row.over_sla += u32::from(over);
            sum.hosts.insert(&host.host);
        }
    }
    rows.into_values()
        .map(|mut it| {
            it.row.hosts = u32::try_from(it.hosts.len()).unwrap_or(u32::MAX);
            it.row
        })
        .collect()
}

/// Since when the oldest open update of each package is available.
fn since(host: &HostMaterial) -> BTreeMap<&str, i64> {
    let mut since: BTreeMap<&str, i64> = BTreeMap::new();
    for it in &host.exposure.open {
        let oldest = since.entry(&it.package).or_insert(it.since_us);
        *oldest = it.since_us.min(*oldest);
    }
    since
}

/// Security before unknown before bugfix; critical before low, and without severity after important.
fn rank(class: Class, severity: Option<Severity>) -> (u8, u8) {
    let class = match class {
        Class::Security => 0,
        Class::Unknown => 1,
        Class::Bugfix => 2,
    };
    let severity = match severity {
        Some(Severity::Critical) => 0,
        Some(Severity::Important) => 1,
        None => 2,
        Some(Severity::Moderate) => 3,
        Some(Severity::Low) => 4,
    };
    (class, severity)
}

fn is_over(since_us: i64, sla_days: u32, now_us: i64) -> bool {
    now_us.saturating_sub(since_us) > i64::from(sla_days).saturating_mul(DAY)
}

/// Security updates that are open for longer than they may be, oldest first.
pub(super) fn breaches(material: &Material) -> Vec<Breach> {
    let mut breaches: Vec<(i64, Breach)> = Vec::new();
    for host in &material.hosts {
        for open in security(host) {
            let Some(sla_days) = material.sla.days(open.severity) else {
                continue;
            };
            if !is_over(open.since_us, sla_days, material.now_us) {
                continue;
            }
            let breach = Breach {
                host: host.host.clone(),
                package: text(&open.package),
                version: text(&open.version),
                severity: open.severity,
                cves: open.cves.iter().map(|it| text(it)).collect(),
                days: days(open.since_us, material.now_us),
                sla_days,
                installed: open.installed_us.is_some(),
                owner: host.excepted.as_deref().map(text),
            };
            breaches.push((open.since_us, breach));
        }
    }
    breaches.sort_by(|(a, one), (b, other)| {
        (a, &one.host, &one.package).cmp(&(b, &other.host, &other.package))
    });
    breaches.into_iter().map(|(_, it)| it).collect()
}

fn security(host: &HostMaterial) -> impl Iterator<Item = &Open> {
    let open = host.exposure.open.iter();
    open.filter(|it| it.class == Class::Security)
}

pub(super) fn exposure(material: &Material) -> Exposure {
    let mut took: Vec<i64> = material
        .fixed
        .iter()
        .filter(|(_, it)| it.was.class == Class::Security)
        .map(|(_, it)| it.fixed_us.saturating_sub(it.was.since_us).max(0))
        .collect();
    took.sort_unstable();
    let all = || material.hosts.iter().flat_map(security);
    let mut open: Vec<i64> = all()
        .map(|it| material.now_us.saturating_sub(it.since_us).max(0))
        .collect();
    open.sort_unstable();
    let unclassified = material.hosts.iter().flat_map(|it| &it.exposure.open);
    Exposure {
        fixed: took.len() as u64,
        median_days: at_most(&took, 50).map(in_days),
        p95_days: at_most(&took, 95).map(in_days),
        open: open.len() as u64,
        open_median_days: at_most(&open, 50).map(in_days),
        oldest_open_days: open.last().copied().map(in_days),
        installed_not_running: all().filter(|it| it.installed_us.is_some()).count() as u64,
        unclassified_open: unclassified.filter(|it| it.class == Class::Unknown).count() as u64,
    }
}

/// The smallest value that so many percent of a sorted list are not above (nearest rank).
fn at_most(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Days with one decimal place, rounded.
#[expect(
    clippy::cast_precision_loss,
    reason = "tenths of days of a life are exact in an f64"
)]
fn in_days(us: i64) -> f64 {
    let tenths = us.saturating_add(DAY / 20) / (DAY / 10);
    tenths as f64 / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_of_the_list() {
        assert_eq!(at_most(&[], 50), None);
        assert_eq!((at_most(&[7], 50), at_most(&[7], 95)), (Some(7), Some(7)));
        let list: Vec<i64> = (1..=20).collect();
        assert_eq!(
            (at_most(&list, 50), at_most(&list, 95)),
            (Some(10), Some(19))
        );
        assert_eq!(at_most(&[1, 2, 3], 50), Some(2));
        assert!((in_days(DAY * 5 / 2) - 2.5).abs() < 1e-9);
        assert!((in_days(DAY / 19) - 0.1).abs() < 1e-9);
    }
}
