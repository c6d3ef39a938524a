//! The program from outside: statuses, where output goes, what a wrong word gets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::path::Path;
use std::process::Command;

use support::hostler;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn playbook(directory: &Path, text: &str) {
    std::fs::write(directory.join("site.yml"), text).unwrap();
}

const GOOD: &str = "- name: Web
  hosts: all
  gather_facts: false
  tasks:
    - name: Say
      debug: {msg: hello}
      tags: [talk]
    - name: Touch
      file: {path: /tmp/x, state: touch}
";

#[test]
fn a_wrong_command_line_ends_with_5() {
    let directory = tempfile::tempdir().unwrap();
    for args in [
        &["apply"][..],
        &["apply", "site.yml", "--frobnicate"],
        &["apply", "site.yml", "-f", "0"],
        &["apply", "site.yml", "-q", "-v"],
        &["nonsense"],
    ] {
        let out = hostler(directory.path(), args);
        assert_eq!(out.status.code(), Some(5), "{args:?}");
        assert!(out.stdout.is_empty() && !out.stderr.is_empty(), "{args:?}");
    }
    let out = hostler(directory.path(), &["apply", "--help"]);
    assert_eq!(out.status.code(), Some(0));
    let help = text(&out.stdout);
    for flag in [
        "-i",
        "-l",
        "-t",
        "-e",
        "-C",
        "-D",
        "-b",
        "-K",
        "-k",
        "-u",
        "--accept-new",
    ] {
        assert!(help.contains(flag), "{flag}\n{help}");
    }
}

#[test]
fn a_wrong_environment_is_told_and_not_guessed() {
    let directory = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_hostler"))
        .args(["apply", "site.yml"])
        .current_dir(directory.path())
        .env("ANSIBLE_FORKS", "lots")
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(5));
    assert!(text(&out.stderr).contains("ANSIBLE_FORKS"));
}

#[test]
fn lists_hosts_tasks_and_tags_without_a_connection() {
    let directory = tempfile::tempdir().unwrap();
    playbook(directory.path(), GOOD);
    let out = hostler(
        directory.path(),
        &[
            "apply",
            "site.yml",
            "-i",
            "a.invalid,b.invalid,",
            "--list-hosts",
            "--list-tasks",
        ],
    );
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let listing = text(&out.stdout);
    assert!(
        listing.contains("    hosts (2):\n      a.invalid\n      b.invalid\n"),
        "{listing}"
    );
    assert!(
        listing.contains("      Say\tTAGS: [talk]\n      Touch\tTAGS: []\n"),
        "{listing}"
    );
}

#[test]
fn mistakes_are_shown_with_their_place_all_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let bad = GOOD
        .replace("      debug:", "      debgu:")
        .replace("state: touch", "stat: touch");
    playbook(directory.path(), &bad);
    for args in [
        &["check", "site.yml", "-i", "a.invalid,"][..],
        &["apply", "site.yml", "-i", "a.invalid,", "--syntax-check"],
        &["apply", "site.yml", "-i", "a.invalid,"],
    ] {
        let out = hostler(directory.path(), args);
        assert_eq!(out.status.code(), Some(4), "{args:?}");
        let problems = text(&out.stderr);
        assert!(out.stdout.is_empty(), "{args:?}");
        assert!(problems.contains("site.yml:6:7"), "{problems}");
        assert!(problems.contains("debgu: {msg: hello}"), "{problems}");
        assert!(problems.contains("^^^^^"), "{problems}");
        assert!(problems.contains("did you mean `debug`"), "{problems}");
        assert!(problems.contains("site.yml:9:"), "{problems}");
    }
    let out = hostler(
        directory.path(),
        &["check", "site.yml", "-i", "a.invalid,", "--output", "json"],
    );
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(json["problems"].as_array().unwrap().len() >= 2, "{json}");
    assert_eq!(json["problems"][0]["labels"][0]["file"], "site.yml");
}

#[test]
fn what_is_in_order_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    playbook(directory.path(), GOOD);
    let out = hostler(directory.path(), &["check", "site.yml", "-i", "a,b,"]);
    assert_eq!(text(&out.stdout), "1 play and 2 hosts are in order\n");
    assert_eq!(out.status.code(), Some(0));
}

#[test]
fn an_unreachable_host_ends_with_4_and_a_recap_that_scripts_read() {
    let directory = tempfile::tempdir().unwrap();
    playbook(directory.path(), GOOD);
    // Nothing listens there: port 1 of an address of the machine itself.
    std::fs::write(
        directory.path().join("hosts.ini"),
        "gone ansible_host=127.0.0.1 ansible_port=1\n",
    )
    .unwrap();
    let out = hostler(
        directory.path(),
        &["apply", "site.yml", "-i", "hosts.ini", "-T", "5"],
    );
    let lines = text(&out.stdout);
    assert_eq!(out.status.code(), Some(4), "{lines}{}", text(&out.stderr));
    assert!(lines.contains("fatal: [gone]: UNREACHABLE! => "), "{lines}");
    assert!(
        lines.contains(
            "gone                       : ok=1    changed=0    unreachable=1    failed=0"
        ),
        "{lines}"
    );
}

#[test]
fn files_that_are_missing_are_named_before_the_first_connection() {
    let directory = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let hosts = format!("web1 ansible_host=127.0.0.1 ansible_port={port}\n");
    std::fs::write(directory.path().join("hosts"), hosts).unwrap();
    let missing =
        "- hosts: all\n  gather_facts: false\n  vars_files: [missing.yml]\n  tasks: [{ping: }]\n";
    let source =
        "- hosts: all\n  gather_facts: false\n  tasks: [{copy: {src: missing.yml, dest: /x}}]\n";
    let cases = [
        (GOOD, &["-e", "@missing.yml"][..]),
        (GOOD, &["--connection-password-file", "missing.yml"]),
        (GOOD, &["--become-password-file", "missing.yml"]),
        (GOOD, &["-F", "missing.yml"]),
        (GOOD, &["-i", "missing.yml"]),
        (missing, &[]),
        (source, &[]),
    ];
    for (text_of_play, more) in cases {
        playbook(directory.path(), text_of_play);
        let args = [&["apply", "site.yml", "-i", "hosts"][..], more].concat();
        let out = hostler(directory.path(), &args);
        let said = text(&out.stdout) + &text(&out.stderr);
        assert!(matches!(out.status.code(), Some(4 | 5)), "{args:?}: {said}");
        assert!(said.contains("missing.yml"), "{args:?}: {said}");
        let none = listener.accept().map(|_| ()).map_err(|it| it.kind());
        assert_eq!(none, Err(std::io::ErrorKind::WouldBlock), "{args:?}");
    }
}
