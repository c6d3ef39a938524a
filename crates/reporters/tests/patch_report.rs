//! Reports of made-up fleets in every form: kept files, hostile texts, widths, and the grammars of the forms.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "openmetrics/mod.rs"]
mod openmetrics;

use std::collections::BTreeSet;
use std::path::Path;

use hostler_patch::ledger::{
    ApprovalOutcome, Drift, DriftedPackage, Figures, Fixed, GateOutcome, HostEnd, HostExposure,
    HostOutcome, Open, RunOutcome, RunState, WaveOutcome,
};
use hostler_patch::plan::Waiting;
use hostler_patch::report::{Exception, HostMaterial, Material, Report, Sla, report};
use hostler_reporters::{
    Options, Reader, ReportForm, patch_exceptions, patch_report, patch_report_schema,
};
use hostler_updates::{
    Action, ActionKind, Class, DatabaseState, Difference, Manager, Os, PackageName, Reboot,
    RebootNeed, Scan, Severity, StaleProcess, Update,
};

const DAY: i64 = 86_400_000_000;
/// 2026-11-21 06:00 UTC.
const NOW: i64 = 1_795_240_800_000_000;

fn when(at_us: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

fn package(name: &str) -> PackageName {
    PackageName {
        name: name.into(),
        arch: "amd64".into(),
    }
}

fn scan(updates: &[(&str, &str, &str, Option<Severity>)]) -> Scan {
    let update = |(name, from, to, severity): &(&str, &str, &str, Option<Severity>)| Update {
        package: package(name),
        from: Some((*from).into()),
        to: (*to).into(),
        suites: vec!["Debian-Security:13/stable-security".into()],
        class: Class::Security,
        security_version: None,
        severity: *severity,
        advisories: Vec::new(),
        cves: vec!["CVE-2026-1234".into()],
        download_bytes: 1000,
        kept_back: None,
        phased_percent: None,
        source: None,
    };
    Scan {
        taken_us: NOW,
        boot_id: String::new(),
        uptime_s: 1,
        os: Os {
            id: "debian".into(),
            version: "13".into(),
            name: String::new(),
            codename: String::new(),
        },
        arch: "x86_64".into(),
        kernel: hostler_updates::Kernel::default(),
        boot_class: hostler_updates::BootClass::default(),
        manager: Manager::Apt,
        installed_sha256: String::new(),
        installed: 400,
        repositories: Vec::new(),
        updates: updates.iter().map(update).collect(),
        holds: Vec::new(),
        reboot: Reboot {
            need: RebootNeed::No,
            reasons: Vec::new(),
        },
        stale: Vec::new(),
        database: DatabaseState::Whole,
        space: Vec::new(),
        competitors: Vec::new(),
        conffiles: Vec::new(),
        forbidden: None,
        users: Vec::new(),
        findings: Vec::new(),
    }
}

fn open(name: &str, version: &str, days: i64, severity: Option<Severity>) -> Open {
    Open {
        package: package(name).to_string(),
        version: version.into(),
        from: "1".into(),
        class: Class::Security,
        severity,
        cves: vec!["CVE-2026-1234".into()],
        since_us: NOW - days * DAY,
        installed_us: None,
    }
}

/// One host of each five lacks something, in turn: updates, a reboot, restarts, a scan.
fn host(index: usize) -> HostMaterial {
    let name = format!("web{index:03}");
    let mut host = HostMaterial {
        host: name,
        scan: Some((NOW - DAY / 2, scan(&[]))),
        ..HostMaterial::default()
    };
    let critical = Some(Severity::Critical);
    let inner = &mut host.scan.as_mut().unwrap().1;
    match index % 20 {
        0 => {
            *inner = scan(&[
                ("openssl", "3.5.1-1", "3.5.1-1+deb13u1", critical),
                ("libxml2", "2.14.0-1", "2.14.0-1+deb13u2", None),
            ]);
            host.approved = inner
                .updates
                .iter()
                .map(|it| it.package.to_string())
                .collect();
            host.exposure.open = vec![
                open("openssl", "3.5.1-1+deb13u1", 9, critical),
                open("libxml2", "2.14.0-1+deb13u2", 3, None),
            ];
        }
        5 => {
            inner.reboot.need = RebootNeed::Yes;
            inner.reboot.reasons = vec!["kernel 6.12.57 is installed, 6.12.48 runs".into()];
            host.exposure.reboot_since_us = Some(NOW - 4 * DAY);
            let mut kernel = open(
                "linux-image-amd64",
                "6.12.57-1",
                12,
                Some(Severity::Important),
            );
            kernel.installed_us = Some(NOW - 4 * DAY);
            host.exposure.open = vec![kernel];
        }
        10 => {
            inner.stale = vec![StaleProcess {
                pid: 812,
                command: "cron".into(),
                unit: Some("cron.service".into()),
                files: Vec::new(),
            }];
        }
        15 => host.scan = None,
        _ => {}
    }
    host
}

fn host_outcome(index: usize) -> HostOutcome {
    let end = match index % 20 {
        0 => HostEnd::Failed,
        5 => HostEnd::PendingReboot,
        15 => HostEnd::Deferred,
        _ => HostEnd::Done,
    };
    let message = match end {
        HostEnd::Failed => "E: Sub-process /usr/bin/dpkg returned an error code (1)\nmore of it",
        HostEnd::PendingReboot => "the window ends in 4 minutes",
        HostEnd::Deferred => "unreachable at the scan",
        _ => "",
    };
    let actions = vec![Action {
        package: package("openssl"),
        kind: ActionKind::Upgrade,
        from: Some("3.5.1-1".into()),
        to: Some("3.5.1-1+deb13u1".into()),
        suites: Vec::new(),
        class: Class::Security,
        download_bytes: 1000,
        sha256: None,
        dependency: false,
    }];
    let done = matches!(end, HostEnd::Done | HostEnd::PendingReboot);
    let failed = end == HostEnd::Failed;
    HostOutcome {
        host: format!("web{index:03}"),
        wave: u32::from(index > 1),
        end,
        cause: failed.then(|| "install".into()),
        step: failed.then(|| "install".into()),
        message: message.into(),
        started_us: Some(NOW - 5 * DAY),
        ended_us: Some(NOW - 5 * DAY + 90_000_000),
        expected_s: 120,
        actions: if done { actions } else { Vec::new() },
        held: Vec::new(),
        rebooted: false,
        restarted: if done {
            vec!["cron.service".into()]
        } else {
            Vec::new()
        },
        conffiles_left: if index == 7 {
            vec!["/etc/ssl/openssl.cnf.dpkg-dist".into()]
        } else {
            Vec::new()
        },
        differences: Vec::new(),
        rolled_back: None,
        kept_in: Some("/var/lib/hostler/patch/runs/run-7".into()),
    }
}

fn run(hosts: usize) -> RunOutcome {
    let wave = |name: &str, passed: bool| WaveOutcome {
        name: name.into(),
        opened_us: Some(NOW - 5 * DAY),
        hosts_done_us: Some(NOW - 5 * DAY + 1_500_000_000),
        passed_us: passed.then_some(NOW - 5 * DAY + 3_000_000_000),
        window_end_us: Some(NOW - 5 * DAY + 14_400_000_000),
        proven: u32::from(name == "canary"),
    };
    RunOutcome {
        run: "2026-11-16-0600-ab12".into(),
        plan: "0123456789abcdef0123".into(),
        policy: "prod-linux".into(),
        by: "alice@ctl".into(),
        started_us: NOW - 5 * DAY,
        ended_us: Some(NOW - 5 * DAY + 6_000_000_000),
        state: RunState::Halted,
        reason: Some("wave rest: 2 failures, 1 allowed".into()),
        waves: vec![wave("canary", true), wave("rest", false)],
        gates: vec![GateOutcome {
            wave: Some("canary".into()),
            host: None,
            at_us: NOW - 5 * DAY,
            green: true,
            evidence: "http 200 from https://status.example/health".into(),
        }],
        approvals: vec![ApprovalOutcome {
            wave: "rest".into(),
            by: "bob@ctl".into(),
            at_us: NOW - 5 * DAY,
        }],
        hosts: (1..=hosts).map(host_outcome).collect(),
    }
}

fn fleet(hosts: usize) -> Report {
    let figures = |day: i64| {
        let all = u32::try_from(hosts).unwrap();
        let figures = Figures {
            hosts: all,
            compliant: all * u32::try_from(90 - day).unwrap() / 100,
            ..Figures::default()
        };
        (NOW - day * DAY, figures)
    };
    let exception = |owner: &str, days: i64| Exception {
        owner: owner.into(),
        reason: "vendor supports 3.5.1 only".into(),
        ticket: Some("OPS-17".into()),
        hosts: vec!["web005".into(), "web010".into()],
        packages: vec!["openssl".into()],
        expires_us: Some(NOW + days * DAY),
    };
    let fixed = |index: usize, days: i64| {
        let fixed = Fixed {
            was: open("bash", "5.2", days + 2, None),
            fixed_us: NOW - 2 * DAY,
        };
        (format!("web{index:03}"), fixed)
    };
    report(&Material {
        policy: "prod-linux".into(),
        now_us: NOW,
        since_us: NOW - 30 * DAY,
        sla: Sla {
            critical: Some(7),
            important: Some(14),
            ..Sla::default()
        },
        hosts: (1..=hosts).map(host).collect(),
        exceptions: vec![exception("carol", 12), exception("dave", -3)],
        fixed: vec![fixed(1, 2), fixed(1, 5), fixed(1, 31)],
        drift: vec![(
            "web001".into(),
            NOW - DAY,
            Drift {
                after_us: NOW - 2 * DAY,
                installed_before: 400,
                installed_now: 401,
                packages: vec![DriftedPackage {
                    package: "vim:amd64".into(),
                    from: "9.1".into(),
                    to: None,
                }],
            },
        )],
        figures: [80, 60, 40, 20, 7, 6, 5, 1].map(figures).to_vec(),
        runs: vec![run(hosts)],
    })
}

/// Compares with the kept file; `KEEP=1` writes it anew.
fn kept(path: &Path, now: &str) {
    if std::env::var_os("KEEP").is_some() {
        std::fs::write(path, now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let name = path.display();
    assert!(
        kept == now,
        "{name} differs; see git diff after KEEP=1:\n{now}"
    );
}

fn every_form() -> impl Iterator<Item = (ReportForm, Reader)> {
    ReportForm::ALL.into_iter().flat_map(|form| {
        let readers: &[Reader] = if form.has_readers() {
            &[Reader::Manager, Reader::Engineer]
        } else {
            &[Reader::Manager]
        };
        readers.iter().map(move |reader| (form, *reader))
    })
}

#[test]
fn reports_on_twenty_and_two_hundred_hosts_are_as_kept() {
    let report = fleet(20);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/patch");
    for (form, reader) in every_form() {
        let of = match reader {
            _ if !form.has_readers() => "report",
            Reader::Manager => "manager",
            Reader::Engineer => "engineer",
        };
        let text = patch_report(&report, form, reader, &Options::default(), &when);
        kept(&golden.join(format!("{of}.{}", form.extension())), &text);
    }
    let wide = Options {
        width: 200,
        ..Options::default()
    };
    let many = fleet(200);
    for (reader, name) in [
        (Reader::Manager, "manager-200.txt"),
        (Reader::Engineer, "engineer-200.txt"),
    ] {
        let text = patch_report(&many, ReportForm::Text, reader, &wide, &when);
        kept(&golden.join(name), &text);
    }
}

#[test]
fn the_schema_is_as_kept_and_reports_come_back() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    kept(&docs.join("patch-report.json"), &patch_report_schema());
    let report = fleet(20);
    let json = patch_report(
        &report,
        ReportForm::Json,
        Reader::Manager,
        &Options::default(),
        &when,
    );
    let back: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(back, report);
}

#[test]
fn a_terminal_is_wide_enough_for_one_host_and_for_two_hundred() {
    for hosts in [0, 1, 200] {
        let report = fleet(hosts);
        for width in [80, 200] {
            let options = Options {
                width,
                ..Options::default()
            };
            for reader in [Reader::Manager, Reader::Engineer] {
                let text = patch_report(&report, ReportForm::Text, reader, &options, &when);
                let longest = text.lines().map(console::measure_text_width).max();
                assert!(
                    longest <= Some(width),
                    "{hosts} hosts, {width} columns:\n{text}"
                );
                let most = if reader == Reader::Manager { 85 } else { 170 };
                assert!(text.lines().count() < most, "{text}");
            }
            let text = patch_exceptions(&report.exceptions, &options, &when);
            assert!(text.contains("EXPIRED"), "{text}");
        }
    }
}

#[test]
fn every_host_is_in_each_table_once() {
    let report = fleet(200);
    let options = Options::default();
    let write = |form| patch_report(&report, form, Reader::Manager, &options, &when);
    let csv = write(ReportForm::Csv);
    let junit = write(ReportForm::JUnit);
    let metrics = openmetrics::parse(&write(ReportForm::OpenMetrics)).unwrap();
    for index in 1..=200 {
        let host = format!("web{index:03}");
        assert_eq!(csv.matches(&format!(",{host},")).count(), 1);
        let class = format!("<testcase classname=\"{host}\"");
        assert_eq!(junit.matches(&class).count(), 1);
    }
    let hosts = &metrics["hostler_patch_host_compliant"];
    assert_eq!(hosts.len(), 200);
    let value = |family: &str| metrics[family][0].value;
    // 160 are well and 10 are there of each kind that is not.
    assert!((value("hostler_patch_compliance_ratio") - 0.8).abs() < 1e-9);
    assert!((value("hostler_patch_reboots_pending") - 10.0).abs() < 1e-9);
    let head = "tests=\"202\" failures=\"31\" errors=\"10\" skipped=\"0\"";
    assert!(junit.contains(head), "{junit}");
    let states = metrics["hostler_patch_hosts"].iter().map(|it| it.value);
    assert!((states.sum::<f64>() - 200.0).abs() < 1e-9);
}

/// Everything that a host can send, in every place.
const HOSTILE: &str = "=cmd|'/C calc'!A0 <script>alert(1)</script> ]]> &amp; \u{0}\u{1b}[31m\u{202e}\u{ffff}\u{85}\r\n\"' --> ![x](javascript:y) @all \\ {a=\"b\"}";

fn hostile_hosts(name: &String, long: &String) -> Vec<HostMaterial> {
    let mut host = host(20);
    host.host.clone_from(name);
    let scan = &mut host.scan.as_mut().unwrap().1;
    scan.os.id.clone_from(long);
    scan.reboot = Reboot {
        need: RebootNeed::Yes,
        reasons: vec![long.clone(); 1000],
    };
    for update in &mut scan.updates {
        update.package.name.clone_from(long);
        update.to.clone_from(long);
        update.from = Some(long.clone());
        update.cves = vec![long.clone()];
    }
    let evil = Open {
        package: long.clone(),
        version: long.clone(),
        from: long.clone(),
        cves: vec![long.clone()],
        ..open("x", "1", 900, Some(Severity::Critical))
    };
    host.exposure = HostExposure {
        open: vec![evil.clone(); 300],
        ..HostExposure::default()
    };
    host.excepted = Some(long.clone());
    host.approved = BTreeSet::new();
    let mut gone = HostMaterial {
        host: "web2".into(),
        unknown: Some(long.clone()),
        ..HostMaterial::default()
    };
    gone.exposure.open = vec![evil];
    vec![host, gone]
}

fn hostile_run(name: &String, long: &String) -> RunOutcome {
    let mut outcome = run(1);
    outcome.run = HOSTILE.into();
    outcome.reason = Some(long.clone());
    outcome.gates[0].evidence.clone_from(long);
    outcome.waves[0].name = HOSTILE.into();
    let it = &mut outcome.hosts[0];
    it.host.clone_from(name);
    it.end = HostEnd::RolledBack;
    it.cause = Some(long.clone());
    it.message.clone_from(long);
    it.rolled_back = Some(long.clone());
    it.kept_in = Some(HOSTILE.into());
    it.conffiles_left = vec![long.clone()];
    it.restarted = vec![long.clone()];
    it.differences = vec![Difference {
        what: "unit".into(),
        which: long.clone(),
        missing: true,
    }];
    it.held = vec![Waiting {
        package: HOSTILE.into(),
        version: long.clone(),
        reason: long.clone(),
    }];
    outcome
}

fn hostile() -> Report {
    let long = format!("{HOSTILE}{}", "x".repeat(1 << 16));
    let name = format!("{HOSTILE}web1");
    let drift = Drift {
        after_us: 0,
        installed_before: 0,
        installed_now: u32::MAX,
        packages: vec![DriftedPackage {
            package: long.clone(),
            from: long.clone(),
            to: Some(long.clone()),
        }],
    };
    report(&Material {
        policy: HOSTILE.into(),
        now_us: NOW,
        since_us: NOW - 30 * DAY,
        sla: Sla {
            critical: Some(7),
            ..Sla::default()
        },
        hosts: hostile_hosts(&name, &long),
        exceptions: vec![Exception {
            owner: long.clone(),
            reason: long.clone(),
            ticket: Some(long.clone()),
            hosts: vec![name.clone()],
            packages: vec![long.clone()],
            expires_us: Some(i64::MIN),
        }],
        fixed: Vec::new(),
        drift: vec![(name.clone(), NOW, drift)],
        figures: vec![
            (i64::MIN, Figures::default()),
            (i64::MAX, Figures::default()),
        ],
        runs: vec![hostile_run(&name, &long)],
    })
}

/// Markdown without what a backslash makes plain.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '\\' {
            chars.next();
        } else {
            out.push(char);
        }
    }
    out
}

#[test]
fn hostile_texts_stay_texts() {
    let report = hostile();
    for width in [80, 200] {
        let options = Options {
            width,
            ..Options::default()
        };
        for (form, reader) in every_form() {
            let text = patch_report(&report, form, reader, &options, &when);
            let what = format!("{form:?} for {reader:?}");
            let bad = |char: char| {
                (char.is_control() && char != '\n') || matches!(char, '\u{202e}' | '\u{85}')
            };
            let rest = text.replace("\r\n", "\n");
            assert!(!rest.contains(bad), "{what}");
            assert!(text.len() < 1 << 20, "{what}: {} bytes", text.len());
            match form {
                ReportForm::Text => {
                    let longest = text.lines().map(console::measure_text_width).max();
                    assert!(longest <= Some(width), "{what}:\n{text}");
                }
                ReportForm::Html | ReportForm::JUnit => {
                    assert!(!text.contains("<script"), "{what}");
                    assert!(text.contains("&lt;script&gt;"), "{what}");
                    assert!(form == ReportForm::Html || !text.contains("]]>"), "{what}");
                }
                ReportForm::Markdown => {
                    for markup in ["<script", "![", "@all", "](", "&amp"] {
                        assert!(!unescaped(&text).contains(markup), "{what}: {markup}");
                    }
                    // Tables keep their columns.
                    for row in text.lines().filter(|it| it.starts_with('|')) {
                        assert!(row.ends_with(" |"), "{what}: {row}");
                    }
                }
                ReportForm::OpenMetrics => {
                    let metrics = openmetrics::parse(&text).unwrap();
                    assert_eq!(metrics["hostler_patch_host_compliant"].len(), 2);
                }
                ReportForm::Json => {
                    let back: Report = serde_json::from_str(&text).unwrap();
                    assert_eq!(back, report);
                }
                ReportForm::Csv => {}
            }
        }
    }
}
