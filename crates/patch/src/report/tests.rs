//! Reports of made-up hosts.

use hostler_updates::{Action, ActionKind, PackageName, RebootNeed, Severity};
use proptest::prelude::*;

use super::*;
use crate::ledger::{
    Drift, Fixed, HostEnd, HostExposure, HostOutcome, Open, RunState, WaveOutcome, samples,
};
use crate::plan::Waiting;

const NOW: i64 = 1000 * DAY;

fn host(name: &str, updates: &[(&str, &str, &str)]) -> HostMaterial {
    HostMaterial {
        host: name.into(),
        scan: Some((NOW - DAY, samples::scan("x", updates))),
        approved: updates.iter().map(|it| format!("{}:amd64", it.0)).collect(),
        ..HostMaterial::default()
    }
}

fn open(package: &str, version: &str, age_days: i64, severity: Option<Severity>) -> Open {
    Open {
        package: format!("{package}:amd64"),
        version: version.into(),
        from: "1".into(),
        class: hostler_updates::Class::Security,
        severity,
        cves: vec!["CVE-2026-1".into()],
        since_us: NOW - age_days * DAY,
        installed_us: None,
    }
}

fn material(hosts: Vec<HostMaterial>) -> Material {
    Material {
        policy: "prod".into(),
        now_us: NOW,
        since_us: NOW - 30 * DAY,
        sla: Sla {
            critical: Some(7),
            important: Some(14),
            ..Sla::default()
        },
        hosts,
        ..Material::default()
    }
}

pub(super) fn outcome(run: &str, hosts: &[(&str, HostEnd)]) -> RunOutcome {
    let one = |(name, end): &(&str, HostEnd)| HostOutcome {
        host: (*name).into(),
        wave: 0,
        end: *end,
        cause: (*end == HostEnd::Failed).then(|| "install".into()),
        step: (*end == HostEnd::Failed).then(|| "install".into()),
        message: match end {
            HostEnd::Done => String::new(),
            _ => format!("why {name}\nmore"),
        },
        started_us: Some(NOW - 5 * DAY),
        ended_us: Some(NOW - 5 * DAY + 60_000_000),
        expected_s: 90,
        actions: vec![Action {
            package: PackageName {
                name: "ssl".into(),
                arch: "amd64".into(),
            },
            kind: ActionKind::Upgrade,
            from: Some("1".into()),
            to: Some("2".into()),
            suites: Vec::new(),
            class: hostler_updates::Class::Security,
            download_bytes: 1,
            sha256: None,
            dependency: false,
        }],
        held: Vec::new(),
        rebooted: false,
        restarted: vec!["cron.service".into()],
        conffiles_left: Vec::new(),
        differences: Vec::new(),
        rolled_back: None,
        kept_in: None,
    };
    RunOutcome {
        run: run.into(),
        plan: "abc".into(),
        policy: "prod".into(),
        by: "alice@ctl".into(),
        started_us: NOW - 5 * DAY,
        ended_us: Some(NOW - 5 * DAY + 3_600_000_000),
        state: RunState::Complete,
        reason: None,
        waves: vec![WaveOutcome {
            name: "canary".into(),
            opened_us: Some(NOW - 5 * DAY),
            hosts_done_us: Some(NOW - 5 * DAY + 600_000_000),
            passed_us: Some(NOW - 5 * DAY + 900_000_000),
            window_end_us: Some(NOW - 5 * DAY + 7_200_000_000),
            proven: 1,
        }],
        gates: Vec::new(),
        approvals: Vec::new(),
        hosts: hosts.iter().map(one).collect(),
    }
}

fn states(report: &Report) -> Vec<(&str, HostState, &str)> {
    let hosts = report.hosts.iter();
    hosts
        .map(|it| (it.host.as_str(), it.state, it.reason.as_str()))
        .collect()
}

#[test]
fn what_is_not_known_is_not_compliant() {
    let mut reboot = host("reboot", &[]);
    let scan = &mut reboot.scan.as_mut().unwrap().1;
    scan.reboot.need = RebootNeed::Yes;
    scan.reboot.reasons = vec!["a newer kernel".into()];
    let mut stale = host("stale", &[]);
    stale.scan.as_mut().unwrap().1.stale = samples::stale();
    let mut untold = host("untold", &[]);
    untold.scan.as_mut().unwrap().1.reboot.need = RebootNeed::Unknown;
    let mut long_ago = host("long-ago", &[]);
    long_ago.scan.as_mut().unwrap().0 = NOW - 8 * DAY;
    let mut waits = host("waits", &[("ssl", "1", "2")]);
    waits.approved.clear();
    let mut unclassified = host("unclassified", &[]);
    unclassified.unknown = Some("its updates are not classified".into());
    let never = HostMaterial {
        host: "never".into(),
        ..HostMaterial::default()
    };
    let lacks = host("lacks", &[("ssl", "1", "2"), ("vim", "1", "2")]);
    let well = host("well", &[]);
    let report = report(&material(vec![
        reboot,
        stale,
        untold,
        long_ago,
        waits,
        unclassified,
        never,
        lacks,
        well,
    ]));
    let unknown = HostState::Unknown;
    assert_eq!(
        states(&report),
        [
            ("lacks", HostState::Missing, "2 approved updates missing"),
            ("long-ago", unknown, "last scanned 8 days ago"),
            ("never", unknown, "never scanned"),
            (
                "reboot",
                HostState::NotRunning,
                "reboot pending: a newer kernel"
            ),
            (
                "stale",
                HostState::NotRunning,
                "1 process runs replaced files"
            ),
            ("unclassified", unknown, "its updates are not classified"),
            (
                "untold",
                unknown,
                "nothing on the host tells whether a reboot is pending"
            ),
            ("waits", HostState::Compliant, ""),
            ("well", HostState::Compliant, ""),
        ]
    );
    let totals = report.totals;
    assert_eq!((totals.hosts, totals.compliant), (9, 2));
    assert_eq!(totals.per_mille(), Some(222));
    assert_eq!(report.coverage.never, ["never"]);
    assert_eq!(report.coverage.stale, ["long-ago"]);
    assert_eq!(report.coverage.scanned, 7);
    assert_eq!((report.reboots.restarts, report.reboots.unknown), (1, 2));
    assert_eq!(Totals::default().per_mille(), None);
}

#[test]
fn exposure_counts_from_available_to_running() {
    let mut one = host("one", &[("ssl", "1", "2"), ("vim", "1", "2")]);
    let critical = open("ssl", "2", 8, Some(Severity::Critical));
    let mut unrated = open("vim", "2", 20, None);
    unrated.installed_us = Some(NOW - DAY);
    one.exposure.open = vec![critical, unrated, open("sed", "2", 99, Some(Severity::Low))];
    one.scan.as_mut().unwrap().1.updates[0].severity = Some(Severity::Critical);
    let mut material = material(vec![one, host("two", &[])]);
    let fixed = |host: &str, days: i64, ago: i64| {
        let fixed = Fixed {
            was: open("bash", "2", ago + days, None),
            fixed_us: NOW - ago * DAY,
        };
        (host.to_owned(), fixed)
    };
    material.fixed = vec![
        fixed("one", 1, 2),
        fixed("one", 3, 2),
        fixed("two", 40, 2),
        fixed("retired", 900, 2),
        fixed("two", 900, 31),
    ];
    let report = report(&material);
    let exposure = report.exposure;
    assert_eq!((exposure.fixed, exposure.open), (3, 3));
    assert_eq!(
        (
            exposure.median_days,
            exposure.p95_days,
            exposure.oldest_open_days
        ),
        (Some(3.0), Some(40.0), Some(99.0))
    );
    assert_eq!(exposure.installed_not_running, 1);
    let breaches: Vec<_> = report
        .breaches
        .rows
        .iter()
        .map(|it| (it.package.as_str(), it.days, it.sla_days, it.installed))
        .collect();
    // Without severity as important ones; low ones have no limit.
    assert_eq!(
        breaches,
        [("vim:amd64", 20, 14, true), ("ssl:amd64", 8, 7, false)]
    );
    let missing: Vec<_> = report
        .missing
        .iter()
        .map(|it| {
            (
                it.severity,
                it.updates,
                it.oldest_days,
                it.sla_days,
                it.over_sla,
            )
        })
        .collect();
    assert_eq!(
        missing,
        [
            (Some(Severity::Critical), 1, 8, Some(7), 1),
            (None, 1, 20, Some(14), 1)
        ]
    );
}

#[test]
fn exceptions_change_no_figure_and_are_loud_when_expired() {
    let exception = |owner: &str, host: &str, days: i64| Exception {
        owner: owner.into(),
        reason: "vendor".into(),
        hosts: vec![host.into(), "elsewhere".into()],
        expires_us: Some(NOW + days * DAY),
        ..Exception::default()
    };
    let updates = [("ssl", "1", "2")];
    let mut material = material(vec![
        host("a", &updates),
        host("b", &updates),
        host("c", &[]),
    ]);
    material.exceptions = vec![exception("bob", "a", 5), exception("eve", "b", 0)];
    material.hosts[0].excepted = Some("bob".into());
    material.hosts[2].excepted = Some("bob".into());
    let report = report(&material);
    let rows: Vec<_> = report
        .exceptions
        .iter()
        .map(|it| {
            (
                it.owner.as_str(),
                it.expired,
                it.days_left,
                it.hosts.clone(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("eve", true, Some(0), vec!["b".to_owned()]),
            ("bob", false, Some(5), vec!["a".to_owned()])
        ]
    );
    assert_eq!((report.totals.missing, report.totals.excepted), (2, 1));
    assert_eq!(report.hosts[0].excepted.as_deref(), Some("bob"));
    assert_eq!(report.hosts[1].excepted, None);
    assert_eq!(report.hosts[2].excepted, None, "it needs none");
}

#[test]
fn runs_are_told_by_wave_cause_and_reason() {
    let mut material = material(vec![host("a", &[("ssl", "1", "3")]), host("b", &[])]);
    let mut run = outcome(
        "run-2",
        &[
            ("b", HostEnd::Done),
            ("a", HostEnd::Failed),
            ("c", HostEnd::Deferred),
        ],
    );
    run.hosts[0].held = vec![Waiting {
        package: "vim".into(),
        version: "9".into(),
        reason: "not proven".into(),
    }];
    run.hosts[0].conffiles_left = vec!["/etc/x.dpkg-dist".into()];
    let mut old = outcome("run-1", &[("a", HostEnd::Failed)]);
    old.started_us = NOW - 60 * DAY;
    old.ended_us = Some(NOW - 59 * DAY);
    material.runs = vec![old, run];
    let drift = Drift {
        after_us: NOW - 2 * DAY,
        installed_before: 5,
        installed_now: 4,
        packages: Vec::new(),
    };
    material.drift = vec![
        ("b".into(), NOW - DAY, drift.clone()),
        ("b".into(), NOW - 40 * DAY, drift),
    ];
    let report = report(&material);
    assert_eq!(
        report.last_run.as_deref(),
        Some("1 of 3 hosts patched, 1 deferred, 1 failed; complete.")
    );
    assert_eq!(report.runs.count, 1);
    let page = &report.runs.rows[0];
    let wave = &page.waves[0];
    assert_eq!(
        (wave.worked_s, wave.soaked_s, wave.window_s, wave.passed),
        (Some(600), Some(300), Some(7200), true)
    );
    let put_off: Vec<_> = page
        .put_off
        .iter()
        .map(|it| (it.what.as_str(), it.reason.as_str(), it.hosts.join(",")))
        .collect();
    assert_eq!(
        put_off,
        [
            ("host", "why c", "c".to_owned()),
            ("vim 9", "not proven", "b".to_owned())
        ]
    );
    assert_eq!(page.conffiles, [("b".into(), "/etc/x.dpkg-dist".into())]);
    let [failure] = report.failures.as_slice() else {
        panic!("{:?}", report.failures);
    };
    assert_eq!(
        (
            failure.cause.as_str(),
            failure.count,
            &failure.messages[0][..]
        ),
        ("install", 1, "why a")
    );
    // b has 2 by the run; a says itself that it has 1.
    assert_eq!(report.skew.count, 1);
    let versions = &report.skew.rows[0].versions;
    let versions: Vec<_> = versions
        .iter()
        .map(|it| (&it.version[..], it.hosts))
        .collect();
    assert_eq!(versions, [("1", 1), ("2", 1)]);
    assert_eq!(
        (report.drift.count, report.drift.rows[0].installed_more),
        (1, -1)
    );
    assert_eq!(
        report.hosts[0].last,
        Some(("run-2".into(), HostEnd::Failed))
    );
}

#[test]
fn a_day_has_one_point_and_the_last_one_is_now() {
    let mut material = material(vec![host("a", &[])]);
    let figures = |compliant| Figures {
        hosts: 1,
        compliant,
        ..Figures::default()
    };
    material.figures = vec![
        (NOW - 3 * DAY + 5, figures(1)),
        (NOW - 3 * DAY + 1, figures(0)),
        (NOW - 91 * DAY, figures(0)),
        (NOW + 1, figures(0)),
    ];
    let report = report(&material);
    let points: Vec<_> = report
        .trend
        .iter()
        .map(|it| (it.at_us, it.figures.compliant))
        .collect();
    assert_eq!(points, [(NOW - 3 * DAY + 5, 1), (NOW, 1)]);
}

prop_compose! {
    fn any_host()(
        name in "[a-f]{1,2}",
        age in prop::option::of(0_i64..20),
        lacks in 0_usize..4,
        approved in 0_usize..4,
        need in 0_u8..3,
        stale in any::<bool>(),
        ages in prop::collection::vec(0_i64..100, 0..4),
        unknown in any::<bool>(),
    ) -> HostMaterial {
        let names = ["ssl", "vim", "sed", "git"];
        let updates: Vec<_> = names.iter().take(lacks).map(|&it| (it, "1", "2")).collect();
        let mut host = host(&name, &updates);
        host.approved = names.iter().take(approved).map(|it| format!("{it}:amd64")).collect();
        host.scan = host.scan.zip(age).map(|((_, mut scan), age)| {
            scan.reboot.need = [RebootNeed::Yes, RebootNeed::No, RebootNeed::Unknown][usize::from(need)];
            scan.stale = if stale { samples::stale() } else { Vec::new() };
            (NOW - age * DAY, scan)
        });
        host.exposure = HostExposure {
            open: names.iter().zip(ages).map(|(it, age)| open(it, "2", age, Some(Severity::Critical))).collect(),
            ..HostExposure::default()
        };
        host.unknown = unknown.then(|| "it says so".to_owned());
        host
    }
}

proptest! {
    #[test]
    fn every_host_is_counted_once(hosts in prop::collection::vec(any_host(), 0..30)) {
        let names: BTreeSet<String> = hosts.iter().map(|it| it.host.clone()).collect();
        let material = material(hosts);
        let report = report(&material);
        let shown: Vec<String> = report.hosts.iter().map(|it| it.host.clone()).collect();
        prop_assert_eq!(shown, names.iter().cloned().collect::<Vec<_>>());
        let totals = report.totals;
        prop_assert_eq!(totals.hosts as usize, names.len());
        prop_assert_eq!(
            totals.compliant + totals.missing + totals.not_running + totals.unknown,
            totals.hosts
        );
        let coverage = &report.coverage;
        prop_assert_eq!(
            coverage.scanned as usize + coverage.stale.len() + coverage.never.len(),
            names.len()
        );
        match totals.per_mille() {
            None => prop_assert!(names.is_empty()),
            Some(it) => {
                prop_assert!(it <= 1000);
                prop_assert_eq!(it == 1000, totals.compliant == totals.hosts);
            }
        }
        for host in &report.hosts {
            let compliant = host.state == HostState::Compliant;
            prop_assert!(!compliant || host.missing == 0 && host.reboot == Some(false) && host.restarts == 0);
            prop_assert_eq!(compliant, host.reason.is_empty());
        }
        prop_assert!(report.exposure.median_days <= report.exposure.p95_days);
        prop_assert!(report.exposure.open_median_days <= report.exposure.oldest_open_days);
        prop_assert!(report.breaches.count <= report.exposure.open);
        for row in &report.missing {
            prop_assert!(row.over_sla <= row.updates && row.hosts <= row.updates);
        }
        prop_assert_eq!(report.trend.last().map(|it| it.figures), Some(figures(&report)));
    }

    #[test]
    fn the_order_of_what_it_is_made_of_does_not_matter(
        hosts in prop::collection::btree_map("[a-f]{1,3}", any_host(), 0..15),
        seed in any::<u64>(),
    ) {
        let hosts: Vec<HostMaterial> = hosts
            .into_iter()
            .map(|(name, host)| HostMaterial { host: name, ..host })
            .collect();
        let mut mixed = hosts.clone();
        let mut random = seed;
        for at in (1..mixed.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let with = usize::try_from(random >> 33).unwrap() % (at + 1);
            mixed.swap(at, with);
        }
        prop_assert_eq!(report(&material(hosts)), report(&material(mixed)));
    }
}
