use super::*;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};

fn args(pairs: &[(&str, &str)]) -> Map {
    pairs.iter().copied().collect()
}

fn field<'a>(outcome: &'a hostler_change::Outcome, name: &str) -> &'a Value {
    outcome.fields.get(name).unwrap()
}

use hostler_module_api::change as hostler_change;

#[test]
fn waits_for_a_port() {
    let host = FakeHost::bare().listens_after("127.0.0.1", 80, 7, "");
    let done = check_module::<This>(args(&[("port", "80"), ("sleep", "2")]), host);
    assert!(done.check.skipped);
    assert!(!done.first.changed);
    assert_eq!(field(&done.first, "elapsed"), &Value::Int(8));
    assert_eq!(field(&done.first, "state"), &Value::str("started"));
    assert_eq!(field(&done.first, "port"), &Value::Int(80));
    assert_eq!(field(&done.second, "elapsed"), &Value::Int(0));
}

#[test]
fn waits_for_a_greeting() {
    let greeting = "SSH-2.0-OpenSSH_9.6\r\n";
    let host = || FakeHost::bare().listens_after("192.0.2.1", 22, 3, greeting);
    let pairs = [("host", "192.0.2.1"), ("port", "22"), ("search_regex", "^SSH.*Open")];
    let done = check_module::<This>(args(&pairs), host());
    assert_eq!(field(&done.first, "elapsed"), &Value::Int(3));
    let pairs = [("host", "192.0.2.1"), ("port", "22"), ("search_regex", "dropbear")];
    assert_eq!(
        check_fails::<This>(args(&pairs), host()),
        "Timeout when waiting for search string dropbear in 192.0.2.1:22"
    );
}

#[test]
fn finds_text_in_a_file() {
    let host = FakeHost::bare().file("/tmp/log", "a\nready=\u{e9} 42\n");
    let pairs = [("path", "/tmp/log"), ("search_regex", r"^ready=(?P<how>\S+) (\d+)(x)?")];
    let done = check_module::<This>(args(&pairs), host);
    let groups = Value::list([Value::str("\u{e9}"), Value::str("42"), Value::Null]);
    assert_eq!(field(&done.first, "match_groups"), &groups);
    assert_eq!(field(&done.first, "match_groupdict").get("how"), Some(&Value::str("\u{e9}")));
    assert_eq!(field(&done.first, "path"), &Value::str("/tmp/log"));
}

#[test]
fn sleeps_without_a_condition() {
    let done = check_module::<This>(args(&[("timeout", "9"), ("delay", "2")]), FakeHost::bare());
    assert_eq!(field(&done.first, "elapsed"), &Value::Int(11));
}

#[test]
fn waits_until_nobody_is_connected() {
    let line = |local: &str, peer: &str, state: &str| {
        format!("   0: {local} {peer} {state} 00000000:00000000 00:00000000 0\n")
    };
    let head = "  sl  local_address rem_address   st\n";
    let tcp = |lines: &[String]| {
        let text = format!("{head}{}", lines.concat());
        FakeHost::bare().file("/proc/net/tcp", text).file("/proc/net/tcp6", head)
    };
    let drained = [("state", "drained"), ("port", "8080"), ("timeout", "5")];
    let active = line("0100007F:1F90", "0200000A:C000", "01");
    let msg = check_fails::<This>(args(&drained), tcp(std::slice::from_ref(&active)));
    assert_eq!(msg, "Timeout when waiting for 127.0.0.1:8080 to drain");
    let quiet = [
        line("0100007F:1F90", "00000000:0000", "0A"),
        line("0100007F:0050", "0200000A:C000", "01"),
        line("0500000A:1F90", "0200000A:C000", "01"),
    ];
    check_module::<This>(args(&drained), tcp(&quiet));
    let excluding = [("state", "drained"), ("port", "8080"), ("exclude_hosts", "10.0.0.2")];
    check_module::<This>(args(&excluding), tcp(std::slice::from_ref(&active)));
    let anywhere = [("state", "drained"), ("port", "8080"), ("host", "0.0.0.0")];
    check_fails::<This>(args(&anywhere), tcp(&quiet));
    let by_name = [("state", "drained"), ("port", "8080"), ("host", "app")];
    let host = tcp(&[active]).answers("getent ahosts -- app", 0, "127.0.0.1 STREAM app\n");
    check_fails::<This>(args(&by_name), host);
}

#[test]
fn what_should_go_away() {
    let host = || FakeHost::bare().file("/tmp/lock", "").listens("127.0.0.1", 80);
    let fails = |pairs: &[(&str, &str)]| check_fails::<This>(args(pairs), host());
    assert_eq!(
        fails(&[("path", "/tmp/lock"), ("state", "absent"), ("timeout", "3")]),
        "Timeout when waiting for /tmp/lock to be absent."
    );
    assert_eq!(
        fails(&[("port", "80"), ("state", "stopped"), ("timeout", "3")]),
        "Timeout when waiting for 127.0.0.1:80 to stop."
    );
    check_module::<This>(args(&[("path", "/tmp/none"), ("state", "absent")]), host());
    check_module::<This>(args(&[("port", "81"), ("state", "stopped")]), host());
}

#[test]
fn says_what_is_wrong() {
    let fails = |pairs: &[(&str, &str)]| check_fails::<This>(args(pairs), FakeHost::bare());
    assert_eq!(
        fails(&[("port", "1"), ("path", "/x")]),
        "port and path parameter can not both be passed to wait_for"
    );
    assert_eq!(
        fails(&[("path", "/x"), ("state", "drained")]),
        "state=drained should only be used for checking a port in the wait_for module"
    );
    assert_eq!(
        fails(&[("port", "1"), ("exclude_hosts", "x")]),
        "exclude_hosts should only be with state=drained"
    );
    assert_eq!(
        fails(&[("port", "1"), ("active_connection_states", "LISTEN")]),
        "unknown active_connection_state (LISTEN) defined"
    );
    assert_eq!(
        fails(&[("path", "/x"), ("search_regex", "(")]),
        "Invalid regular expression: missing ), unterminated subpattern at position 0"
    );
    assert_eq!(
        fails(&[("path", "/tmp/none"), ("timeout", "2"), ("msg", "too slow")]),
        "too slow"
    );
}
