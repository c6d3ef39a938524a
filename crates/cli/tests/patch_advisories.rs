//! Files of advisories that cannot be used are named before any host is asked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::path::Path;

use support::hostler;

const POLICY: &str = "kind: PatchPolicy
name: monthly
targets: all
advisories: [tracker.json, osv.json]
window: {zone: UTC, weekly: sat, at: \"22:00\", duration: 4h}
";

const TRACKER: &str = r#"{"openssl": {"CVE-2026-10001": {"releases": {"trixie": {"status": "resolved", "fixed_version": "3.5.1-1"}}}}}"#;

/// A policy in a directory of its own, which names its files beside it; hosts that nobody answers for.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::create_dir(path.join("policies")).unwrap();
    std::fs::write(path.join("policies/monthly.yml"), POLICY).unwrap();
    std::fs::write(path.join("policies/tracker.json"), TRACKER).unwrap();
    std::fs::write(
        path.join("hosts"),
        "web1 ansible_host=127.0.0.1 ansible_port=1\n",
    )
    .unwrap();
    directory
}

fn run(directory: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = hostler(directory, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn lint_names_files_that_are_missing_or_wrong() {
    let directory = directory();
    let lint = || {
        run(
            directory.path(),
            &["patch", "lint", "policies/monthly.yml", "-i", "hosts"],
        )
    };
    let (code, _, said) = lint();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("policies/osv.json: No such file"), "{said}");
    assert!(said.contains("monthly.yml:4:28"), "{said}");
    assert!(!said.contains("tracker.json: "), "{said}");
    let osv = directory.path().join("policies/osv.json");
    std::fs::write(&osv, "[{\"id\": \"DSA-1-1\",\n \"affected\": 7}]").unwrap();
    let (code, _, said) = lint();
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains(
            "osv.json: invalid type: integer `7`, expected a sequence at line 2 column 15"
        ),
        "{said}"
    );
    std::fs::write(&osv, "[]").unwrap();
    let (code, out, said) = lint();
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("its advisories name 1 fixes"), "{out}");
    assert!(
        said.contains("no fix of a release of Debian or Ubuntu"),
        "{said}"
    );
}

#[test]
fn nothing_is_asked_with_a_file_or_a_cve_that_is_none() {
    let directory = directory();
    std::fs::write(directory.path().join("osv.json"), "<oval/>").unwrap();
    std::fs::write(directory.path().join("policies/osv.json"), "[]").unwrap();
    let path = directory.path();
    let (code, _, said) = run(
        path,
        &["patch", "scan", "-i", "hosts", "--advisories", "osv.json"],
    );
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("cannot use the advisories osv.json: XML (OVAL)"),
        "{said}"
    );
    let plan = |more: &[&str]| {
        let args = ["patch", "plan", "policies/monthly.yml", "-i", "hosts"];
        run(path, &[&args[..], more].concat())
    };
    let (code, _, said) = plan(&["--advisories", "osv.json"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("XML (OVAL)"), "{said}");
    let (code, _, said) = plan(&["--cve", "CVE-2026-10001,openssl"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("`openssl` is no CVE id"), "{said}");
}
