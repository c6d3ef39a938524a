//! Files as Debian and Ubuntu publish them (made up), wrong ones, and hosts that are described by them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use hostler_advisories::{AdvisoryError, Index, describe};
use hostler_updates::{
    BootClass, Class, DatabaseState, Finding, Firmware, Kernel, Manager, Os, PackageName, Reboot,
    RebootNeed, Scan, Scheme, Severity, SourcePackage, Update, compare,
};
use proptest::prelude::*;

const TRACKER: &str = r#"{
  "openssl": {
    "CVE-2026-10001": {"scope": "remote", "description": "a \"hole\"", "debianbug": 1, "releases": {
      "bookworm": {"status": "resolved", "repositories": {"bookworm": "3.0.1"}, "fixed_version": "3.0.17-1~deb12u2", "urgency": "high"},
      "trixie": {"status": "resolved", "fixed_version": "3.5.1-1", "urgency": "not yet assigned"},
      "sid": {"status": "open", "urgency": "not yet assigned"}}},
    "CVE-2026-10002": {"releases": {
      "bookworm": {"status": "resolved", "fixed_version": "3.0.17-1~deb12u3", "urgency": "medium**"}}},
    "CVE-2020-0001": {"releases": {
      "bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"}}},
    "TEMP-0000000-C6A13F": {"releases": {
      "bookworm": {"status": "resolved", "fixed_version": "3.0.17-1~deb12u3", "urgency": "high"}}}
  },
  "vim": {"CVE-2026-10003": {"releases": {
      "bookworm": {"status": "resolved", "fixed_version": "2:9.0.1378-2+deb12u3", "urgency": "unimportant"}}}},
  "linux": {"CVE-2026-10004": {"releases": {
      "bookworm": {"status": "resolved", "fixed_version": "6.1.90-1", "urgency": "low"}}}}
}"#;

const DSA: &str = r#"{"schema_version": "1.7.0", "id": "DSA-6000-1", "modified": "x", "upstream": ["CVE-2026-10001"],
  "related": ["CVE-2026-10002"], "aliases": null, "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
  "affected": [
    {"package": {"ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl"},
     "ranges": [{"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.17-1~deb12u3"}]}],
     "versions": ["3.0.1-1", "3.0.2-1"], "ecosystem_specific": {"urgency": "not yet assigned"}},
    {"package": {"ecosystem": "npm", "name": "openssl"}, "ranges": []},
    {"ranges": []}]}"#;

const UBUNTU: &str = r#"[
  {"id": "UBUNTU-CVE-2026-20001", "upstream": ["CVE-2026-20001"], "related": ["USN-9999-1", "CVE-2026-29999"],
   "severity": [{"type": "Ubuntu", "score": "high"}],
   "affected": [
     {"package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "linux"},
      "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "5.15.0-100.1"}, {"fixed": "5.15.0-112.122"}]}]},
     {"package": {"ecosystem": "Ubuntu:Pro:22.04:LTS", "name": "vim"},
      "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2:8.2-1ubuntu3.1~esm2"}]}]}]},
  {"id": "USN-1-1", "withdrawn": "2026-01-01T00:00:00Z", "upstream": ["CVE-2026-20002"], "affected": [
     {"package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "linux"},
      "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.15.0-112.122"}]}]}]}
]"#;

fn index(files: &[&str]) -> Index {
    let mut index = Index::default();
    for file in files {
        index.read(file.as_bytes()).unwrap();
    }
    index.finish();
    index
}

fn os(id: &str, version: &str, codename: &str) -> Os {
    Os {
        id: id.into(),
        version: version.into(),
        name: String::new(),
        codename: codename.into(),
    }
}

/// An update with its source package: name and both versions.
fn update(name: &str, from: &str, to: &str, source: (&str, &str, &str)) -> Update {
    Update {
        package: PackageName {
            name: name.into(),
            arch: "amd64".into(),
        },
        from: Some(from.into()),
        to: to.into(),
        suites: Vec::new(),
        source: Some(SourcePackage {
            name: source.0.into(),
            from: Some(source.1.into()),
            to: source.2.into(),
        }),
        class: Class::Bugfix,
        security_version: None,
        severity: None,
        advisories: Vec::new(),
        cves: Vec::new(),
        download_bytes: 0,
        kept_back: None,
        phased_percent: None,
    }
}

fn scan(os: Os, updates: Vec<Update>) -> Scan {
    Scan {
        taken_us: 0,
        boot_id: String::new(),
        uptime_s: 0,
        os,
        arch: "x86_64".into(),
        kernel: Kernel::default(),
        boot_class: BootClass {
            firmware: Firmware::None,
            virtualisation: String::new(),
            model: String::new(),
        },
        manager: Manager::Apt,
        installed_sha256: String::new(),
        installed: 1,
        repositories: Vec::new(),
        updates,
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
        findings: vec![Finding {
            code: Finding::NO_ADVISORIES.into(),
            text: "x".into(),
        }],
    }
}

/// The one update of a host, described.
fn described(index: &Index, os: Os, update: Update) -> Update {
    let mut scan = scan(os, vec![update]);
    describe(index, &mut scan);
    assert!(scan.findings.is_empty(), "{:?}", scan.findings);
    scan.updates.remove(0)
}

#[test]
fn the_tracker_of_debian() {
    let index = index(&[TRACKER]);
    assert_eq!((index.len(), index.skipped()), (5, 0));
    let bookworm = || os("debian", "12", "bookworm");
    let ssl = |from: &str, to: &str| update("libssl3", from, to, ("openssl", from, to));
    let both = described(
        &index,
        bookworm(),
        ssl("3.0.15-1~deb12u1", "3.0.17-1~deb12u3"),
    );
    assert_eq!(both.cves, ["CVE-2026-10001", "CVE-2026-10002"]);
    assert_eq!(
        (both.class, both.severity),
        (Class::Security, Some(Severity::Important))
    );
    let second = described(
        &index,
        bookworm(),
        ssl("3.0.17-1~deb12u2", "3.0.17-1~deb12u3"),
    );
    assert_eq!(
        second.cves,
        ["CVE-2026-10002"],
        "the installed version has the other fix"
    );
    let first = described(
        &index,
        bookworm(),
        ssl("3.0.15-1~deb12u1", "3.0.17-1~deb12u2"),
    );
    assert_eq!(
        first.cves,
        ["CVE-2026-10001"],
        "the new one does not have the other fix"
    );
    let none = described(
        &index,
        bookworm(),
        ssl("3.0.17-1~deb12u3", "3.0.18-1~deb12u1"),
    );
    assert_eq!((none.cves.len(), none.class), (0, Class::Bugfix));
    let vim = update(
        "vim",
        "2:9.0.1378-2",
        "2:9.0.1378-2+deb12u3",
        ("vim", "2:9.0.1378-2", "2:9.0.1378-2+deb12u3"),
    );
    let vim = described(&index, bookworm(), vim);
    assert_eq!(
        (vim.cves.len(), vim.class),
        (1, Class::Bugfix),
        "a hole that is none in practice makes no security update"
    );
}

#[test]
fn a_binary_version_is_not_that_of_its_source() {
    let index = index(&[TRACKER]);
    let bookworm = || os("debian", "12", "bookworm");
    let odd = update(
        "libssl-doc",
        "1",
        "2",
        ("openssl", "3.0.15-1", "3.0.17-1~deb12u3"),
    );
    assert_eq!(described(&index, bookworm(), odd.clone()).cves.len(), 2);
    // Which versions of the package have the fixes is not known then: the newest does.
    let mut between = odd;
    between.class = Class::Security;
    between.security_version = Some("1.5".into());
    assert_eq!(
        described(&index, bookworm(), between).security_version,
        None
    );
    let ssl = |version: &str| {
        let (from, to) = ("3.0.15-1~deb12u1", "3.0.17-1~deb12u3");
        let mut it = update("libssl3", from, to, ("openssl", from, to));
        it.class = Class::Security;
        it.security_version = Some(version.into());
        described(&index, bookworm(), it).security_version
    };
    assert_eq!(ssl("3.0.17-1~deb12u2"), None, "it lacks one of the fixes");
    assert_eq!(ssl("3.0.17-1~deb12u3").as_deref(), Some("3.0.17-1~deb12u3"));
    let kernel = update(
        "linux-image-amd64",
        "6.1.85-1",
        "6.1.90-1",
        ("linux-signed-amd64", "6.1.85+1", "6.1.90+1"),
    );
    assert_eq!(
        described(&index, bookworm(), kernel).cves,
        ["CVE-2026-10004"]
    );
}

#[test]
fn osv_records_of_debian() {
    // One after the other, as in a file of lines.
    let index = index(&[&format!("{DSA}\n{DSA}")]);
    assert_eq!(index.len(), 2, "what is said twice counts once");
    let (from, to) = ("3.0.15-1", "3.0.17-1~deb12u3");
    // The number of the release is what counts here, and not its codename.
    let ssl = update("libssl3", from, to, ("openssl", from, to));
    let ssl = described(&index, os("debian", "12", ""), ssl);
    assert_eq!(ssl.cves, ["CVE-2026-10001", "CVE-2026-10002"]);
    assert_eq!(ssl.advisories, ["DSA-6000-1"]);
}

#[test]
fn osv_records_of_ubuntu() {
    let index = index(&[UBUNTU]);
    let jammy = || os("ubuntu", "22.04", "jammy");
    let kernel = |from: &str| {
        let to = "5.15.0.112.110";
        let it = update("linux-image-generic", from, to, ("linux-meta", from, to));
        described(&index, jammy(), it)
    };
    let old = kernel("5.15.0.111.109");
    assert_eq!(old.cves, ["CVE-2026-20001"]);
    assert_eq!(
        (old.class, old.severity),
        (Class::Security, Some(Severity::Important))
    );
    assert!(old.advisories.is_empty());
    assert!(
        kernel("5.15.0.99.98").cves.is_empty(),
        "older than the hole"
    );
    assert!(kernel("5.15.0.112.109").cves.is_empty());
    let vim = |to: &str| {
        let from = "2:8.2-1ubuntu3.1~esm1";
        described(&index, jammy(), update("vim", from, to, ("vim", from, to)))
            .cves
            .len()
    };
    assert_eq!(vim("2:8.2-1ubuntu3.1~esm2"), 1);
    assert_eq!(
        vim("2:8.2-1ubuntu3.2"),
        0,
        "what subscribers get says nothing of others"
    );
}

#[test]
fn what_is_not_known_is_said() {
    let index = index(&[TRACKER]);
    let mut other = scan(os("debian", "11", "bullseye"), Vec::new());
    describe(&index, &mut other);
    assert_eq!(other.findings.len(), 1);
    assert_eq!(other.findings[0].code, Finding::NO_ADVISORIES);
    assert!(other.findings[0].text.contains("debian 11 (bullseye)"));
    let mut lost = update("libssl3", "1", "2", ("openssl", "1", "2"));
    lost.source = None;
    let mut lost = scan(os("debian", "12", "bookworm"), vec![lost]);
    describe(&index, &mut lost);
    assert_eq!(lost.findings[0].code, "no-source-package");
    let mut rpm = scan(os("debian", "12", "bookworm"), Vec::new());
    rpm.manager = Manager::Dnf;
    let before = rpm.clone();
    describe(&index, &mut rpm);
    assert_eq!(rpm, before);
}

fn refused(file: &[u8]) -> String {
    Index::default().read(file).unwrap_err().to_string()
}

#[test]
fn wrong_files_are_refused_with_the_place() {
    assert_eq!(refused(b" \n"), "it is empty");
    assert!(refused(b"PK\x03\x04xx").contains("unzip -p"));
    assert!(refused(b"\x1F\x8B\x08").contains("unpack it first"));
    assert!(refused(b"<?xml?><oval_definitions/>").contains("OVAL"));
    assert!(refused(b"openssl 1").contains("neither"));
    assert_eq!(
        refused(
            b"{\"openssl\": {\"CVE-2026-10001\":\n {\"releases\": {\"trixie\": {\"status\": 1}}}}}"
        ),
        "invalid type: integer `1`, expected a string at line 2 column 38"
    );
    assert!(refused(b"{\"openssl\": {\"CVE-2026-10001\": []}, ").contains("line 1 column"));
    assert!(refused(b"{\"openssl\": {}} x").contains("trailing characters at line 1 column 17"));
    assert!(refused(b"{\"openssl\": 5}").contains("missing field `id` at line 1"));
    assert!(refused(b"[{\"id\": \"x\", \"affected\": 7}]").contains("invalid type: integer `7`"));
    assert!(refused(b"[{\"id\": \"x\"}").contains("EOF"));
    let long = format!(
        "[{{\"id\": \"x\", \"affected\": \"{}\"}}]",
        "\\u001b9".repeat(10_000)
    );
    let said = refused(long.as_bytes());
    assert!(
        said.chars().count() < 320 && !said.contains('\u{1b}'),
        "{said}"
    );
    assert!(said.ends_with("at line 1 column 70027"), "{said}");
}

#[test]
fn bounds_hold_for_every_kind() {
    let deep = format!(
        "{{\"a\": {{\"CVE-2026-10001\": {{\"x\": {}",
        "[".repeat(1000)
    );
    assert!(refused(deep.as_bytes()).starts_with("nested deeper than 64 levels at line 1"));
    let mut long = String::from("[{\"id\": \"");
    long.push_str(&"x".repeat(5 << 20));
    assert!(refused(long.as_bytes()).starts_with("a value is longer than 4 MiB"));
    let mut wide = String::from("{\"id\": \"x\", \"aliases\": [");
    while wide.len() < 17 << 20 {
        wide.push_str("\"CVE-2026-10001\", ");
    }
    let error = Index::default().read(wide.as_bytes()).unwrap_err();
    assert!(matches!(error, AdvisoryError::TooMuch(_)), "{error}");
}

#[test]
fn odd_names_and_versions_are_passed_over() {
    let file = r#"{"open\u001bssl": {"CVE-2026-10001": {"releases": {"trixie": {"status": "resolved", "fixed_version": "1"}}}},
      "a": {"CVE-2026-10001": {"releases": {"trixie": {"status": "resolved", "fixed_version": "<end-of-life>"}}}}}"#;
    let index = index(&[file]);
    assert_eq!((index.len(), index.skipped()), (0, 2));
}

proptest! {
    /// Whatever a file holds, it is read or refused; and what is read can be asked.
    #[test]
    fn any_file(text in "[ -~\n]{0,200}", cut in 0..TRACKER.len(), with in any::<u8>()) {
        let _ = Index::default().read(text.as_bytes());
        for whole in [TRACKER, DSA, UBUNTU] {
            let mut bytes = whole.as_bytes().to_vec();
            let at = cut % bytes.len();
            bytes[at] = with;
            let mut index = Index::default();
            if index.read(bytes.as_slice()).is_ok() {
                index.finish();
                let all = index.between(&os("debian", "12", "bookworm"), "openssl", "0", "9");
                for fix in all {
                    prop_assert!(compare(Scheme::Deb, fix.version, "9").is_le());
                }
            }
        }
    }

    /// A CVE belongs to an update exactly if its fix is above the installed version and not above the new one.
    #[test]
    fn the_rule(fixed in "[0-9]\\.[0-9]-[0-9](~deb12u[0-9])?", from in "[0-9]\\.[0-9]-[0-9]", to in "[0-9]\\.[0-9]-[0-9]") {
        let file = format!(
            r#"{{"a": {{"CVE-2026-10001": {{"releases": {{"bookworm": {{"status": "resolved", "fixed_version": "{fixed}"}}}}}}}}}}"#
        );
        let index = index(&[&file]);
        let found = index.between(&os("debian", "12", "bookworm"), "a", &from, &to).count() == 1;
        let wanted = compare(Scheme::Deb, &from, &fixed).is_lt() && compare(Scheme::Deb, &fixed, &to).is_le();
        prop_assert_eq!(found, wanted);
    }
}
