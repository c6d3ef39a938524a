//! How hosts stand.

use hostler_updates::{Class, RebootNeed, Scan};

use super::material::{HostMaterial, Material};
use super::model::{Coverage, DriftRow, HostRow, HostState, RebootRow, Reboots, Totals};
use super::{DAY, SCAN_DAYS, days, text};
use crate::ledger::{HostOutcome, RunOutcome};

/// Longest list of reasons.
const REASONS_MAX: usize = 10;

pub(super) fn row(
    host: &HostMaterial,
    material: &Material,
    last: Option<&(&RunOutcome, &HostOutcome)>,
) -> HostRow {
    let scan = host.scan.as_ref().map(|(_, scan)| scan);
    let (state, reason) = state(host, material.now_us);
    let approved = |scan: &Scan, only: Option<Class>| {
        let of = |it: &&hostler_updates::Update| {
            host.approved.contains(&it.package.to_string())
                && only.is_none_or(|it_is| it.class == it_is)
        };
        u32::try_from(scan.updates.iter().filter(of).count()).unwrap_or(u32::MAX)
    };
    let security = host
        .exposure
        .open
        .iter()
        .filter(|it| it.class == Class::Security);
    HostRow {
        host: host.host.clone(),
        os: scan.map(os).unwrap_or_default(),
        state,
        reason,
        missing: scan.map_or(0, |it| approved(it, None)),
        missing_security: scan.map_or(0, |it| approved(it, Some(Class::Security))),
        waiting: u32::try_from(host.waiting.len()).unwrap_or(u32::MAX),
        reboot: scan.and_then(|it| match it.reboot.need {
            RebootNeed::Yes => Some(true),
            RebootNeed::No => Some(false),
            RebootNeed::Unknown => None,
        }),
        restarts: scan.map_or(0, |it| u32::try_from(it.stale.len()).unwrap_or(u32::MAX)),
        scanned_us: host.scan.as_ref().map(|(at, _)| *at),
        oldest_days: security
            .map(|it| it.since_us)
            .min()
            .map(|it| days(it, material.now_us)),
        excepted: host
            .excepted
            .as_deref()
            .filter(|_| state != HostState::Compliant)
            .map(text),
        last: last.map(|(run, it)| (run.run.clone(), it.end)),
    }
}

/// How a host stands, and why.
fn state(host: &HostMaterial, now_us: i64) -> (HostState, String) {
    let Some((at_us, scan)) = &host.scan else {
        let why = host.unknown.as_deref().unwrap_or("never scanned");
        return (HostState::Unknown, text(why));
    };
    let age = now_us.saturating_sub(*at_us);
    if age > SCAN_DAYS * DAY {
        let days = days(*at_us, now_us);
        return (HostState::Unknown, format!("last scanned {days} days ago"));
    }
    let missing = scan
        .updates
        .iter()
        .filter(|it| host.approved.contains(&it.package.to_string()))
        .count();
    if missing > 0 {
        let s = if missing == 1 { "" } else { "s" };
        return (
            HostState::Missing,
            format!("{missing} approved update{s} missing"),
        );
    }
    if let Some(why) = &host.unknown {
        return (HostState::Unknown, text(why));
    }
    if scan.reboot.need == RebootNeed::Yes {
        let why = scan.reboot.reasons.first().map(|it| text(it));
        let why = why.map(|it| format!(": {it}")).unwrap_or_default();
        return (HostState::NotRunning, format!("reboot pending{why}"));
    }
    if !scan.stale.is_empty() {
        let count = scan.stale.len();
        let words = if count == 1 {
            "1 process runs"
        } else {
            &format!("{count} processes run")
        };
        return (HostState::NotRunning, format!("{words} replaced files"));
    }
    if scan.reboot.need == RebootNeed::Unknown {
        let why = "nothing on the host tells whether a reboot is pending";
        return (HostState::Unknown, why.to_owned());
    }
    (HostState::Compliant, String::new())
}

fn os(scan: &Scan) -> String {
    text(format!("{} {}", scan.os.id, scan.os.version).trim_end())
}

pub(super) fn totals(hosts: &[HostRow]) -> Totals {
    let mut totals = Totals::default();
    for host in hosts {
        totals.hosts += 1;
        match host.state {
            HostState::Compliant => totals.compliant += 1,
            HostState::Missing => totals.missing += 1,
            HostState::NotRunning => totals.not_running += 1,
            HostState::Unknown => totals.unknown += 1,
        }
        totals.excepted += u32::from(host.excepted.is_some());
    }
    totals
}

pub(super) fn coverage(material: &Material) -> Coverage {
    let mut coverage = Coverage::default();
    for host in &material.hosts {
        let name = host.host.clone();
        let Some((at_us, scan)) = &host.scan else {
            coverage.never.push(name);
            continue;
        };
        let classifies = scan.repositories.iter().all(|it| it.classifies);
        if !classifies || scan.updates.iter().any(|it| it.class == Class::Unknown) {
            coverage.unclassified.push(name.clone());
        }
        if material.now_us.saturating_sub(*at_us) > SCAN_DAYS * DAY {
            coverage.stale.push(name);
        } else {
            coverage.scanned += 1;
        }
    }
    coverage
}

pub(super) fn reboots(material: &Material) -> Reboots {
    let mut reboots = Reboots::default();
    for host in &material.hosts {
        let Some((at_us, scan)) = &host.scan else {
            reboots.unknown += 1;
            continue;
        };
        match scan.reboot.need {
            RebootNeed::Yes => {
                let since = host.exposure.reboot_since_us.unwrap_or(*at_us);
                let reasons = scan.reboot.reasons.iter().take(REASONS_MAX);
                reboots.hosts.push(RebootRow {
                    host: host.host.clone(),
                    days: days(since, material.now_us),
                    reasons: reasons.map(|it| text(it)).collect(),
                });
            }
            RebootNeed::Unknown => reboots.unknown += 1,
            RebootNeed::No => reboots.restarts += u32::from(!scan.stale.is_empty()),
        }
    }
    // Stable: hosts of the same day stay in their order.
    reboots.hosts.sort_by_key(|it| std::cmp::Reverse(it.days));
    reboots
}

pub(super) fn drift(material: &Material) -> Vec<DriftRow> {
    let mut rows: Vec<DriftRow> = material
        .drift
        .iter()
        .map(|(host, found_us, drift)| {
            let mut packages = drift.packages.clone();
            for it in &mut packages {
                it.package = text(&it.package);
                it.from = text(&it.from);
                it.to = it.to.as_deref().map(text);
            }
            DriftRow {
                host: host.clone(),
                found_us: *found_us,
                after_us: drift.after_us,
                packages,
                installed_more: i64::from(drift.installed_now) - i64::from(drift.installed_before),
            }
        })
        .collect();
    rows.sort_by(|a, b| (b.found_us, &a.host).cmp(&(a.found_us, &b.host)));
    rows
}
