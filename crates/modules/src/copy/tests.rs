use super::*;
use hostler_module_api::fake::{Checked, FakeHost, check_fails, check_module};

fn args(pairs: &[(&'static str, Value)]) -> Map {
    pairs.iter().cloned().collect()
}

fn settles(pairs: &[(&'static str, Value)], host: FakeHost) -> Checked {
    let done = check_module::<This>(args(pairs), host);
    assert!(done.first.changed, "it should change something");
    assert!(!done.second.changed, "the second run changed something");
    done
}

fn fails(pairs: &[(&'static str, Value)], host: FakeHost) -> String {
    check_fails::<This>(args(pairs), host)
}

const HI_SHA1: &str = "55ca6286e3e4f4fba5d0448333fa99fc5a404a73";

#[test]
fn writes_what_the_controller_sends() {
    let host = FakeHost::bare().file("/etc/f", "old\n").payload_is("hi\n");
    let pairs = [("src", "f.conf".into()), ("dest", "/etc/f".into()), ("mode", "0600".into()), ("backup", true.into())];
    let done = settles(&pairs, host);
    assert_eq!(done.host.text("/etc/f").as_deref(), Some("hi\n"));
    assert_eq!(done.host.at("/etc/f").unwrap().mode, 0o600);
    let fields = &done.first.fields;
    for (name, value) in [
        ("dest", "/etc/f".into()),
        ("src", "f.conf".into()),
        ("checksum", Value::str(HI_SHA1)),
        ("md5sum", "764efa883dda1e11db47671c4a3bbd9e".into()),
        ("size", 3.into()),
        ("mode", "0600".into()),
        ("state", "file".into()),
        ("owner", "root".into()),
        ("backup_file", "/etc/f.backup~".into()),
    ] {
        assert_eq!(fields.get(name), Some(&value), "{name}");
    }
    assert_eq!(
        done.check.deltas,
        [
            Delta::content("/etc/f", Some(b"old\n"), Some(b"hi\n")),
            Delta::field("/etc/f", "mode", "0644", "0600")
        ]
    );
}

#[test]
fn says_the_same_if_nothing_is_to_do() {
    let host = FakeHost::bare().file("/etc/f", "hi\n").payload_is("hi\n");
    let done = check_module::<This>(args(&[("src", "f".into()), ("dest", "/etc/f".into())]), host);
    assert!(!done.first.changed);
    assert_eq!(done.first.fields.get("checksum"), Some(&HI_SHA1.into()));
    assert_eq!(done.first.fields.get("path"), Some(&"/etc/f".into()));
}

#[test]
fn content_may_be_data() {
    let data = Value::from(args(&[("a", Value::list([1.into()]))]));
    let done = settles(&[("content", data), ("dest", "~/f".into())], FakeHost::bare());
    assert_eq!(done.host.text("/root/f").as_deref(), Some("{\"a\": [1]}"));
}

#[test]
fn goes_into_directories_by_its_name() {
    let host = || FakeHost::bare().payload_is("hi\n");
    let pairs = [("dest", "/etc".into()), ("_original_basename", "f".into())];
    assert!(settles(&pairs, host()).host.at("/etc/f").is_some());
    let pairs = [
        ("dest", "/srv/a/".into()),
        ("_original_basename", "b/f".into()),
        ("directory_mode", "0700".into()),
        ("mode", "0600".into()),
    ];
    let done = settles(&pairs, host());
    let mode = |path: &str| done.host.at(path).unwrap().mode;
    assert_eq!((mode("/srv"), mode("/srv/a/b"), mode("/srv/a/b/f")), (0o700, 0o700, 0o600));
    let escaping = [("dest", "/srv/".into()), ("_original_basename", "../x".into())];
    assert!(fails(&escaping, host()).contains("leads out of dest"));
}

#[test]
fn links_at_the_destination() {
    let host = || FakeHost::bare().file("/etc/real", "old").link("/etc/l", "real").payload_is("hi\n");
    let done = settles(&[("dest", "/etc/l".into())], host());
    assert_eq!(done.host.at("/etc/l").unwrap().kind, FileKind::File);
    assert_eq!(done.host.text("/etc/real").as_deref(), Some("old"));
    let done = settles(&[("dest", "/etc/l".into()), ("follow", true.into())], host());
    assert_eq!(done.host.at("/etc/l").unwrap().kind, FileKind::Link);
    assert_eq!(done.host.text("/etc/real").as_deref(), Some("hi\n"));
    assert_eq!(done.first.fields.get("dest"), Some(&"/etc/real".into()));
}

#[test]
fn leaves_a_file_alone_without_force() {
    let host = FakeHost::bare().file("/etc/f", "mine").payload_is("hi\n");
    let done = check_module::<This>(args(&[("dest", "/etc/f".into()), ("force", false.into())]), host);
    assert!(!done.first.changed);
    assert_eq!(done.first.fields.get("msg"), Some(&"file already exists".into()));
}

#[test]
fn copies_a_file_of_the_host_with_its_mode() {
    let host = FakeHost::bare().file("/etc/a", "x").attrs("/etc/a", 0, 0, 0o640);
    let pairs = [("src", "/etc/a".into()), ("dest", "/tmp".into()), ("remote_src", true.into())];
    let done = settles(&pairs, host.clone());
    assert_eq!(done.host.at("/tmp/a").unwrap().mode, 0o640);
    let pairs = [("src", "/etc/a".into()), ("dest", "/etc/passwd".into()), ("remote_src", true.into()), ("mode", "preserve".into())];
    assert_eq!(settles(&pairs, host).host.at("/etc/passwd").unwrap().mode, 0o640);
}

#[test]
fn copies_a_directory_of_the_host() {
    let host = || {
        FakeHost::bare()
            .dir("/srv", 0o755)
            .dir("/srv/d", 0o700)
            .file("/srv/d/f", "new")
            .attrs("/srv/d/f", 0, 0, 0o755)
            .link("/srv/l", "d/f")
            .dir("/tmp/to", 0o755)
            .dir("/tmp/to/srv", 0o755)
            .file("/tmp/to/srv/keep", "mine")
    };
    let pairs = [("src", "/srv".into()), ("dest", "/tmp/to".into()), ("remote_src", true.into()), ("owner", "daemon".into())];
    let done = check_module::<This>(args(&pairs), host());
    assert!(done.first.changed && !done.second.changed);
    let at = |path: &str| done.host.at(path).unwrap();
    assert_eq!((at("/tmp/to/srv/d").mode, at("/tmp/to/srv/d/f").mode), (0o700, 0o755));
    assert_eq!((at("/tmp/to/srv/d/f").uid, at("/tmp/to/srv").uid), (1, 1));
    assert_eq!(at("/tmp/to/srv/l").content, b"d/f");
    assert_eq!(at("/tmp/to/srv/keep").content, b"mine");
    let pairs = [("src", "/srv/".into()), ("dest", "/tmp/x/y".into()), ("remote_src", true.into())];
    assert!(settles(&pairs, host()).host.at("/tmp/x/y/d/f").is_some());
    let inside = [("src", "/srv".into()), ("dest", "/srv/d".into()), ("remote_src", true.into())];
    assert!(fails(&inside, host()).contains("is to be copied"));
}

#[test]
fn refusals() {
    let host = || FakeHost::bare().payload_is("hi\n");
    assert_eq!(fails(&[("dest", "/x".into())], FakeHost::bare()), "src (or content) is required");
    let both = [("dest", "/x".into()), ("src", "a".into()), ("content", "b".into())];
    assert_eq!(fails(&both, host()), "src and content are mutually exclusive");
    assert_eq!(fails(&[("dest", "/etc".into())], host()), "can not use content with a dir as dest");
    assert_eq!(fails(&[("dest", "/etc/".into())], host()), "can not use content with a dir as dest");
    assert_eq!(fails(&[("dest", "/none/f".into())], host()), "Destination directory /none does not exist");
    let sum = [("dest", "/etc/f".into()), ("checksum", "00".into())];
    assert!(fails(&sum, host()).starts_with("Copied file does not match the expected checksum"));
    let remote = |src: &str| fails(&[("dest", "/etc/f".into()), ("src", src.into()), ("remote_src", true.into())], FakeHost::bare());
    assert_eq!(remote("/none"), "Source /none not found");
    let validate = [("dest", "/etc/f".into()), ("validate", "true".into())];
    assert_eq!(fails(&validate, host()), "validate must contain %s: true");
}
