//! `patch windows`, `patch install-schedule`, `patch daemon` from outside, as far as that goes without hosts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::path::Path;
use std::process::{Command, Output};

use support::hostler;

const POLICY: &str = "kind: PatchPolicy
name: monthly
targets: all
windows:
  night: {zone: Europe/Berlin, monthly: 2nd tuesday, offset: 4d, at: \"22:00\", duration: 4h}
  fortnight: {zone: UTC, rrule: \"FREQ=WEEKLY;INTERVAL=2;BYDAY=WE\", from: 2026-01-07, at: \"09:00\", duration: 3h}
  offices: {zone: Europe/Berlin, weekly: [sat, sun], at: \"23:00\", duration: 9h, hosts: web2}
freezes:
  ever: {from: 2099-01-01, to: 2099-12-31, zone: UTC}
waves:
  - {hosts: 1, window: fortnight}
  - {hosts: rest, window: night}
";

fn directory(policy: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("monthly.yml"), policy).unwrap();
    std::fs::write(directory.path().join("hosts"), "web1\nweb2\n").unwrap();
    directory
}

fn run(directory: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = hostler(directory, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn windows_are_listed() {
    let directory = directory(POLICY);
    let listed = |more: &[&str]| {
        let args = [
            "patch",
            "windows",
            "monthly.yml",
            "-i",
            "hosts",
            "--output",
            "json",
            "--next",
            "40",
        ];
        let (code, out, err) = run(directory.path(), &[&args[..], more].concat());
        assert_eq!(code, Some(0), "{err}");
        let lines = out
            .lines()
            .map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
        // Warnings of the policy are lines of their own.
        let windows = lines.filter(|it| it["window"].is_string());
        windows.collect::<Vec<_>>()
    };
    let all = listed(&[]);
    assert_eq!(all.len(), 40);
    let starts: Vec<i64> = all
        .iter()
        .map(|it| it["whole"]["start_us"].as_i64().unwrap())
        .collect();
    assert!(starts.is_sorted());
    let of = |all: &[serde_json::Value], window: &str| {
        let of = all.iter().filter(|it| it["window"] == window);
        of.cloned().collect::<Vec<_>>()
    };
    let nights = of(&all, "night");
    assert!(!nights.is_empty());
    for night in &nights {
        assert_eq!(
            (&night["hosts"], &night["length"]),
            (&2.into(), &"4h".into())
        );
        assert_eq!(night["waves"], serde_json::json!(["rest"]));
        assert!(
            night["start"].as_str().unwrap().contains(" 22:00 CE"),
            "{night}"
        );
        assert_eq!(night["opened"], false);
    }
    assert_eq!(
        of(&all, "fortnight")[0]["waves"],
        serde_json::json!(["canary"])
    );
    assert!(of(&all, "offices").is_empty(), "a limit opens nothing");
    let remark = nights[0]["remarks"][0].as_str().unwrap();
    assert_eq!(remark, "`offices` leaves 3h of it to 1 of the hosts");

    // For a host with a limit only what both leave is open: 23:00 to 02:00.
    let narrow = of(&listed(&["--host", "web2"]), "night");
    assert_eq!(narrow[0]["left"], "3h", "{}", narrow[0]);
    let free = of(&listed(&["--host", "web1"]), "night");
    assert_eq!(free[0]["left"], "4h");
    let (code, _, err) = run(
        directory.path(),
        &[
            "patch",
            "windows",
            "monthly.yml",
            "-i",
            "hosts",
            "--host",
            "wbe1",
        ],
    );
    assert_eq!(code, Some(4));
    assert!(
        err.contains("wbe1 is no host of the policy") && err.contains("web1"),
        "{err}"
    );
    assert!(
        !directory.path().join(".local").exists(),
        "who only looks keeps nothing"
    );
}

#[test]
fn what_can_never_be_is_named_before_anything_starts() {
    for (from, to, words) in [
        (
            "zone: UTC",
            "zone: Europe/Berln",
            "did you mean `Europe/Berlin`?",
        ),
        ("duration: 3h", "duration: 0h", "no duration"),
        ("duration: 3h", "duration: 9d", "too long"),
        ("from: 2099-01-01", "from: 2020-01-01", "freeze"),
        ("at: \"23:00\"", "at: \"10:00\"", "never"),
    ] {
        let policy = POLICY.replacen(from, to, 1);
        assert_ne!(policy, POLICY);
        let directory = directory(&policy);
        for command in ["windows", "daemon"] {
            let (code, _, err) = run(
                directory.path(),
                &["patch", command, "monthly.yml", "-i", "hosts"],
            );
            assert_eq!(code, Some(4), "{command} with {to}: {err}");
            assert!(err.contains(words), "{command} with {to}: {err}");
        }
    }
    let without = "kind: PatchPolicy\nname: monthly\ntargets: all\n";
    let directory = directory(without);
    let (code, _, err) = run(
        directory.path(),
        &["patch", "daemon", "monthly.yml", "-i", "hosts"],
    );
    assert_eq!(code, Some(4));
    assert!(err.contains("has no window"), "{err}");
}

#[test]
fn units_are_what_systemd_reads() {
    let directory = directory(POLICY);
    let units = directory.path().join("units");
    let args = [
        "patch",
        "install-schedule",
        "monthly.yml",
        "--directory",
        "units",
    ];
    let flags = ["--run-as", "root", "--", "-i", "a b%$HOME\"c"];
    let (code, out, err) = run(directory.path(), &[&args[..], &flags[..]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("systemctl enable --now hostler-patch-monthly.timer")
            || out.contains("enable --now hostler-patch-monthly.timer"),
        "{out}"
    );
    let read = |name: &str| std::fs::read_to_string(units.join(name)).unwrap();
    let service = read("hostler-patch-monthly.service");
    let policy = directory.path().join("monthly.yml");
    let end = format!(
        "patch daemon --once {} -i \"a b%%$$HOME\\\"c\"",
        policy.display()
    );
    assert!(
        service
            .lines()
            .any(|it| it.starts_with("ExecStart=/") && it.ends_with(&end)),
        "{service}"
    );
    let timer = read("hostler-patch-monthly.timer");
    assert!(
        timer.contains("OnCalendar=Sat *-*-12..18 22:00:00 Europe/Berlin\n"),
        "{timer}"
    );
    assert!(
        timer.contains("OnCalendar=*-*-* 09:00:00 UTC\n"),
        "each other week is no calendar: {timer}"
    );
    assert!(!timer.contains("offices"), "a limit opens nothing: {timer}");

    let (code, printed, _) = run(
        directory.path(),
        &["patch", "install-schedule", "monthly.yml", "--print"],
    );
    assert_eq!(code, Some(0));
    assert!(printed.contains("# hostler-patch-monthly.timer\n") && printed.contains("[Service]"));

    let paths = [
        "hostler-patch-monthly.service",
        "hostler-patch-monthly.timer",
    ];
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(paths.map(|it| units.join(it)))
        .output();
    let Ok(verify) = verify else {
        eprintln!("not checked: this machine has no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verify.stderr);
    let ours: Vec<&str> = said
        .lines()
        .filter(|it| it.contains("hostler-patch"))
        .collect();
    assert!(ours.is_empty(), "{said}");
}

#[test]
fn a_daemon_without_anything_due_ends_when_it_is_asked_to() {
    let directory = directory(POLICY);
    let args = ["patch", "daemon", "monthly.yml", "-i", "hosts", "--once"];
    let (code, out, err) = run(directory.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("monthly.yml: the next window opens at "),
        "{out}"
    );
}
