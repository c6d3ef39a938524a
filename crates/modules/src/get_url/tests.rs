use super::*;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};

const URL: &str = "https://example.com/pub/tool.tar?x=1";
const SHA1_OF_NEW: &str = "c2a6b03f190dfb2b4aa91f8af8d477a9bc3401dc";
const SHA1_OF_OLD: &str = "c00dbbc9dadfbe1e232e93a729dd4752fade0abf";

fn args(pairs: &[(&str, &str)]) -> Map {
    [("url", URL)].iter().chain(pairs).copied().collect()
}

fn host() -> FakeHost {
    FakeHost::bare().dir("/opt", 0o755).serves(URL, "new")
}

#[test]
fn a_missing_file_is_downloaded() {
    let done = check_module::<This>(args(&[("dest", "/opt/f"), ("mode", "0600")]), host());
    assert_eq!(done.host.text("/opt/f").as_deref(), Some("new"));
    assert!(done.check.changed && done.first.changed && !done.second.changed);
    for (name, wanted) in [
        ("dest", Value::str("/opt/f")),
        ("url", Value::str(URL)),
        ("msg", Value::str("OK (3 bytes)")),
        ("status_code", 200.into()),
        ("checksum_src", Value::str(SHA1_OF_NEW)),
        ("checksum_dest", Value::Null),
        ("mode", Value::str("0600")),
        ("size", 3.into()),
        ("owner", Value::str("root")),
        ("state", Value::str("file")),
    ] {
        assert_eq!(done.first.fields.get(name), Some(&wanted), "{name}");
    }
}

#[test]
fn a_file_that_is_there_may_be_the_servers() {
    let old = || host().file("/opt/f", "old");
    let done = check_module::<This>(args(&[("dest", "/opt/f"), ("backup", "yes")]), old());
    assert!(!done.check.changed && done.check.incomplete);
    assert!(done.first.changed && !done.second.changed);
    assert_eq!(done.host.text("/opt/f.backup~").as_deref(), Some("old"));
    let hash = Value::str(SHA1_OF_OLD);
    assert_eq!(done.first.fields.get("checksum_dest"), Some(&hash));
}

#[test]
fn a_file_with_the_right_hash_is_left_alone() {
    let right = format!("sha1:{}", SHA1_OF_NEW.to_uppercase());
    let kept = || FakeHost::bare().dir("/opt", 0o755).file("/opt/f", "new");
    let done = check_module::<This>(args(&[("dest", "/opt/f"), ("checksum", &right)]), kept());
    assert!(!done.first.changed);
    let msg = done.first.fields.get("msg");
    assert_eq!(msg, Some(&Value::str("file already exists")));
    let pairs = [("dest", "/opt/f"), ("checksum", &right), ("mode", "0600")];
    let done = check_module::<This>(args(&pairs), kept());
    assert!(done.first.changed && !done.second.changed);
    let msg = done.first.fields.get("msg");
    assert_eq!(msg, Some(&Value::str("file already exists but file attributes changed")));
}

#[test]
fn a_file_with_another_hash_is_replaced() {
    let right = format!("sha1:{SHA1_OF_NEW}");
    let old = host().file("/opt/f", "old");
    let done = check_module::<This>(args(&[("dest", "/opt/f"), ("checksum", &right)]), old);
    assert!(done.check.changed && done.first.changed && !done.second.changed);
    assert_eq!(done.host.text("/opt/f").as_deref(), Some("new"));
    let wrong = format!("sha1:{SHA1_OF_OLD}");
    let msg = check_fails::<This>(args(&[("dest", "/opt/f"), ("checksum", &wrong)]), host());
    assert!(msg.contains(SHA1_OF_NEW), "{msg}");
}

#[test]
fn the_hash_may_be_in_a_list() {
    let list = format!("0000  other\n{SHA1_OF_NEW} *tool.tar\n");
    let line = "curl -fsSL --max-time 10 --proto =http,https -K -";
    let listed = "sha1:https://example.com/sums";
    let pairs = [("dest", "/opt"), ("checksum", listed)];
    let done = check_module::<This>(args(&pairs), host().answers(line, 0, &list));
    assert_eq!(done.host.text("/opt/tool.tar").as_deref(), Some("new"));
    let msg = check_fails::<This>(args(&pairs), host().answers(line, 0, "a b\nc d\n"));
    let wanted = "Unable to find a checksum for file 'tool.tar' in 'https://example.com/sums'";
    assert_eq!(msg, wanted);
}

#[test]
fn passwords_are_sent_and_not_shown() {
    let url = "https://me:se%40cret@example.com/d/";
    let pairs: Map = [("url", url), ("dest", "/opt/f")].into_iter().collect();
    let parsed: Args = hostler_module_api::from_value(&pairs.into()).unwrap();
    let state = This::observe(&parsed, &host()).unwrap();
    let plan = This::plan(&parsed, &state).unwrap();
    let Edit::Fetch(fetch) = &plan.edits[0].edit else { panic!() };
    assert_eq!(fetch.url, "https://example.com/d/");
    let authorization = ("Authorization".to_owned(), "Basic bWU6c2VAY3JldA==".to_owned());
    assert!(fetch.headers.contains(&authorization));
    assert_eq!(url::masked(url), "https://me:********@example.com/d/");
    assert!(plan.deltas().all(|delta| !format!("{delta:?}").contains("cret")));
    assert_eq!(url::file_name(url), "index.html");
    assert_eq!(url::file_name("file:///a/b.c"), "b.c");
    assert_eq!(url::file_name("http://h"), "index.html");
}

#[test]
fn says_what_is_wrong() {
    let fails = |pairs: &[(&str, &str)]| check_fails::<This>(args(pairs), host());
    assert_eq!(fails(&[("dest", "/none/f")]), "Destination /none does not exist");
    assert_eq!(
        fails(&[("dest", "/opt/f"), ("checksum", "abc")]),
        "The checksum parameter has to be in format <algorithm>:<checksum>"
    );
    assert_eq!(
        fails(&[("dest", "/opt/f"), ("checksum", "sha1:xyz")]),
        "The checksum format is invalid"
    );
    assert_eq!(
        fails(&[("dest", "/opt/f"), ("client_cert", "/x")]),
        "get_url does not support client_cert"
    );
    let ftp: Map = [("url", "ftp://h/x"), ("dest", "/opt/f")].into_iter().collect();
    let msg = check_fails::<This>(ftp, host());
    assert_eq!(msg, "only http, https and file URLs can be downloaded");
    let missing: Map = [("url", "https://h/x"), ("dest", "/opt/f")].into_iter().collect();
    assert_eq!(check_fails::<This>(missing, host()), "Request failed");
}
