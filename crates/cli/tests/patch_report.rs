//! Reports of policies, from a run store that scans and a run have filled.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use hostler_history::{Fact, FactKind, StateDir, Store};
use hostler_patch::ledger::{HostEnd, HostExposure, HostOutcome, Open, RunOutcome, RunState};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000_000;

const POLICY: &str = r#"
kind: PatchPolicy
name: prod
targets: web
window: {zone: UTC, weekly: sat, at: "22:00", duration: 4h}
report:
  sla: {important: 7d}
exceptions:
  - {hosts: web3, packages: openssl, owner: carol, reason: vendor, expires: "2098-12-31"}
  - {hosts: web1, owner: dave, reason: old, expires: "2020-01-01"}
"#;

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

fn scan(updates: &Value) -> Value {
    json!({
        "taken_us": 0, "boot_id": "b", "uptime_s": 1,
        "os": {"id": "debian", "version": "13", "name": "Debian"}, "arch": "x86_64",
        "kernel": {"running": "6.12", "newest": null, "livepatch": null},
        "boot_class": {"firmware": "bios", "virtualisation": "kvm", "model": ""},
        "manager": "apt", "installed_sha256": "", "installed": 300,
        "repositories": [{"name": "deb", "sha256": "", "date_s": null, "classifies": true}],
        "updates": updates, "holds": [], "reboot": {"need": "no", "reasons": []},
        "stale": [], "database": "whole", "space": [], "competitors": [], "conffiles": [],
        "forbidden": null, "users": [], "findings": [],
    })
}

fn update() -> Value {
    json!([{
        "package": {"name": "openssl", "arch": "amd64"}, "from": "3.5.0", "to": "3.5.1",
        "suites": ["Debian-Security:13/stable-security"], "class": "security",
        "security_version": null, "severity": null, "advisories": [], "cves": [],
        "download_bytes": 1, "kept_back": null, "phased_percent": null,
    }])
}

fn exposure() -> HostExposure {
    let open = Open {
        package: "openssl:amd64".into(),
        version: "3.5.1".into(),
        from: "3.5.0".into(),
        class: hostler_updates::Class::Security,
        severity: None,
        cves: Vec::new(),
        since_us: now_us() - 9 * DAY,
        installed_us: None,
    };
    HostExposure {
        open: vec![open],
        ..HostExposure::default()
    }
}

fn run() -> RunOutcome {
    let host = HostOutcome {
        host: "web2".into(),
        wave: 0,
        end: HostEnd::Done,
        cause: None,
        step: None,
        message: String::new(),
        started_us: Some(now_us() - DAY),
        ended_us: Some(now_us() - DAY),
        expected_s: 60,
        actions: Vec::new(),
        held: Vec::new(),
        rebooted: true,
        restarted: Vec::new(),
        conffiles_left: Vec::new(),
        differences: Vec::new(),
        rolled_back: None,
        kept_in: None,
    };
    RunOutcome {
        run: "run-of-web2".into(),
        plan: "0123456789abcdef".into(),
        policy: "prod".into(),
        by: "alice@ctl".into(),
        started_us: now_us() - DAY,
        ended_us: Some(now_us() - DAY),
        state: RunState::Complete,
        reason: None,
        waves: Vec::new(),
        gates: Vec::new(),
        approvals: Vec::new(),
        hosts: vec![host],
    }
}

/// web1 lacks an update, web2 is well, web3 lacks what it has an exception for, web4 was never scanned.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Site(tempfile::tempdir().unwrap());
        let inventory = "[web]\nweb1\nweb2\nweb3\nweb4\n[db]\ndb1\n";
        std::fs::write(site.path("hosts"), inventory).unwrap();
        std::fs::write(site.path("prod.yml"), POLICY).unwrap();
        let store = Store::open(&StateDir::open(&site.path("state")).unwrap()).unwrap();
        let fact = |kind, key: &str, body: &Value| Fact {
            seq: 0,
            kind,
            key: key.into(),
            at_us: now_us() - DAY,
            run: None,
            json: body.to_string(),
        };
        let facts = [
            fact(FactKind::Scan, "web1", &scan(&update())),
            fact(
                FactKind::Exposure,
                "web1",
                &serde_json::to_value(exposure()).unwrap(),
            ),
            fact(FactKind::Scan, "web2", &scan(&json!([]))),
            fact(FactKind::Scan, "web3", &scan(&update())),
            fact(
                FactKind::Exposure,
                "web3",
                &serde_json::to_value(exposure()).unwrap(),
            ),
            // Of no policy.
            fact(FactKind::Scan, "db1", &scan(&update())),
            fact(
                FactKind::Outcome,
                "prod",
                &serde_json::to_value(run()).unwrap(),
            ),
        ];
        store.append_facts(&facts).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn expect(&self, code: i32, args: &[&str]) -> String {
        let mut all = vec!["patch"];
        all.extend(args);
        all.extend(["-i", "hosts", "--state-dir", "state"]);
        let ran = support::hostler(self.0.path(), &all);
        let (out, err) = (
            ran.stdout,
            String::from_utf8_lossy(&ran.stderr).into_owned(),
        );
        let out = String::from_utf8(out).unwrap();
        assert_eq!(ran.status.code(), Some(code), "{all:?}\n{out}\n{err}");
        // Warnings beside a report are none of it.
        if code == 0 { out } else { out + &err }
    }
}

#[test]
fn a_report_tells_how_the_hosts_of_the_policy_stand() {
    let site = Site::new();
    let text = site.expect(0, &["report", "prod.yml"]);
    for expected in [
        "25.0 % compliant: 1 of 4 hosts",
        "1 of 1 host patched; complete.",
        "EXPIRED",
        "Never scanned           web4",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    let engineer = site.expect(0, &["report", "prod.yml", "--engineer"]);
    assert!(engineer.contains("Run run-of-web2"), "{engineer}");
    let json = site.expect(0, &["report", "prod.yml", "--format", "json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    let hosts: Vec<(&str, &str, &Value)> = report["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap();
            (text("host"), text("state"), &it["excepted"])
        })
        .collect();
    let carol = json!("carol");
    assert_eq!(
        hosts,
        [
            ("web1", "missing", &Value::Null),
            ("web2", "compliant", &Value::Null),
            ("web3", "missing", &carol),
            ("web4", "unknown", &Value::Null),
        ]
    );
    assert_eq!(report["breaches"]["count"], 2);
    // The first report left its figures: one point for the day, whatever was asked since.
    assert_eq!(report["trend"].as_array().unwrap().len(), 1);
    let one = site.expect(0, &["report", "prod.yml", "--limit", "web2"]);
    assert!(one.contains("100.0 % compliant: 1 of 1 host"), "{one}");
}

#[test]
fn a_directory_gets_every_form() {
    let site = Site::new();
    let told = site.expect(0, &["report", "prod.yml", "-o", "out/"]);
    let mut names: Vec<String> = std::fs::read_dir(site.path("out"))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "prod-engineer.csv",
            "prod-engineer.html",
            "prod-engineer.md",
            "prod-engineer.txt",
            "prod-manager.csv",
            "prod-manager.html",
            "prod-manager.md",
            "prod-manager.txt",
            "prod.json",
            "prod.prom",
            "prod.xml"
        ]
    );
    assert_eq!(told.lines().count(), names.len(), "{told}");
    let page = std::fs::read_to_string(site.path("out/prod-manager.html")).unwrap();
    assert!(page.contains("default-src 'none'") && !page.contains("<script"));
    site.expect(0, &["report", "prod.yml", "-o", "one.prom"]);
    let metrics = std::fs::read_to_string(site.path("one.prom")).unwrap();
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
}

#[test]
fn exceptions_are_listed_and_what_cannot_be_is_said() {
    let site = Site::new();
    let text = site.expect(0, &["exceptions", "prod.yml"]);
    let (expired, active) = (text.find("dave").unwrap(), text.find("carol").unwrap());
    assert!(expired < active, "{text}");
    let json = site.expect(0, &["exceptions", "prod.yml", "--output", "json"]);
    assert!(json.contains("\"expired\": true"), "{json}");
    let none = site.expect(4, &["report"]);
    assert!(none.contains("no policy is named"), "{none}");
    let both = site.expect(5, &["report", "prod.yml", "--format", "csv,html"]);
    assert!(both.contains("several forms need a directory"), "{both}");
    let missing = site.expect(4, &["report", "nowhere.yml"]);
    assert!(missing.contains("cannot read the policy"), "{missing}");
}
