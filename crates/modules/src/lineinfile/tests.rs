use super::*;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};

use crate::edited::check_answers;

fn args(pairs: &[(&str, &str)]) -> Map {
    pairs.iter().copied().collect()
}

#[test]
fn does_what_ansible_core_does() {
    check_answers::<This>(include_str!("../../tests/answers/lineinfile.json"));
}

#[test]
fn a_replaced_line_is_shown_and_the_second_run_changes_nothing() {
    let host = FakeHost::bare().file("/etc/f", "a = 1\nb = 2\n");
    let done = check_module::<This>(
        args(&[("path", "/etc/f"), ("regexp", "^b"), ("line", "b = 3"), ("backup", "yes")]),
        host,
    );
    assert_eq!(done.host.text("/etc/f").as_deref(), Some("a = 1\nb = 3\n"));
    let wanted = [Delta::content(
        "/etc/f",
        Some(b"a = 1\nb = 2\n"),
        Some(b"a = 1\nb = 3\n"),
    )];
    assert_eq!(done.first.deltas, wanted);
    assert_eq!(done.check.fields.get("backup"), Some(&Value::str("")));
    assert_eq!(
        done.first.fields.get("backup"),
        Some(&Value::str("/etc/f.backup~"))
    );
    assert!(!done.second.changed);
}

/// The pattern finds another line each time: one run replaces one line, as ansible-core does.
#[test]
fn a_pattern_that_matches_again_is_applied_once() {
    let host = FakeHost::bare().file("/etc/f", "a\na\na\n");
    let done = check_module::<This>(
        args(&[("path", "/etc/f"), ("regexp", "^a"), ("line", "b")]),
        host,
    );
    assert_eq!(done.host.text("/etc/f").as_deref(), Some("a\nb\nb\n"));
    assert!(done.second.changed);
}

#[test]
fn links_stay_and_missing_directories_are_made() {
    let host = FakeHost::bare().file("/etc/real", "a\n").link("/etc/f", "real");
    let done = check_module::<This>(args(&[("path", "/etc/f"), ("line", "b")]), host);
    assert_eq!(done.host.at("/etc/f").map(|it| it.kind), Some(FileKind::Link));
    assert_eq!(done.host.text("/etc/real").as_deref(), Some("a\nb\n"));

    let new = [("path", "~/x/y/f"), ("line", "b"), ("create", "yes"), ("mode", "0600")];
    let done = check_module::<This>(args(&new), FakeHost::bare());
    assert_eq!(done.host.text("/root/x/y/f").as_deref(), Some("b\n"));
    assert_eq!(done.host.at("/root/x/y/f").map(|it| it.mode), Some(0o600));
}

#[test]
fn says_what_is_wrong() {
    let host = || FakeHost::bare().file("/etc/f", "a\n");
    let fails = |pairs: &[(&str, &str)]| check_fails::<This>(args(pairs), host());
    assert_eq!(
        fails(&[("path", "/etc"), ("line", "x")]),
        "Path /etc is a directory !"
    );
    assert_eq!(
        fails(&[("path", "/etc/f"), ("line", "x"), ("regexp", "(")]),
        "argument `regexp`: missing ), unterminated subpattern at position 0"
    );
    assert_eq!(
        fails(&[("path", "/etc/f"), ("line", "x"), ("validate", "true")]),
        "validate must contain %s: true"
    );
}

#[test]
fn an_empty_pattern_is_warned_of() {
    let host = FakeHost::bare().file("/etc/f", "a\n");
    let empty = args(&[("path", "/etc/f"), ("regexp", ""), ("line", "b")]);
    let done = check_module::<This>(empty, host);
    assert!(done.first.warnings[0].contains("use '^' to match every line"));
}
