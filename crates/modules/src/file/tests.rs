use super::*;
use hostler_module_api::fake::{Checked, FakeHost, check_fails, check_module};

fn args(pairs: &[(&'static str, Value)]) -> Map {
    pairs.iter().cloned().collect()
}

/// Runs, and asserts that the second run changes nothing.
fn settles(pairs: &[(&'static str, Value)], host: FakeHost) -> Checked {
    let done = check_module::<This>(args(pairs), host);
    assert!(done.first.changed, "it should change something");
    assert!(!done.second.changed, "the second run changed something");
    done
}

fn fails(pairs: &[(&'static str, Value)], host: FakeHost) -> String {
    check_fails::<This>(args(pairs), host)
}

#[test]
fn makes_directories_with_those_above() {
    let pairs = [("path", "/srv/a/b/".into()), ("state", "directory".into()), ("mode", "0750".into()), ("owner", "daemon".into())];
    let done = settles(&pairs, FakeHost::bare());
    for path in ["/srv", "/srv/a", "/srv/a/b"] {
        let dir = done.host.at(path).unwrap();
        assert_eq!((dir.kind, dir.mode, dir.uid), (FileKind::Dir, 0o750, 1), "{path}");
    }
    let fields = &done.first.fields;
    assert_eq!(fields.get("path"), Some(&"/srv/a/b".into()));
    assert_eq!(fields.get("state"), Some(&"directory".into()));
    assert_eq!(fields.get("mode"), Some(&"0750".into()));
    assert_eq!(fields.get("owner"), Some(&"daemon".into()));
    assert_eq!(fields.get("gid"), Some(&0.into()));
}

#[test]
fn sets_attributes_of_all_that_is_inside() {
    let host = FakeHost::bare()
        .dir("/srv", 0o755)
        .dir("/srv/d", 0o700)
        .file("/srv/d/f", "x")
        .link("/srv/l", "/etc/passwd");
    let pairs = [("path", "/srv".into()), ("recurse", true.into()), ("mode", "u=rwX,go=rX".into()), ("follow", false.into())];
    let done = settles(&pairs, host);
    let mode = |path: &str| done.host.at(path).unwrap().mode;
    assert_eq!((mode("/srv/d"), mode("/srv/d/f"), mode("/srv/l")), (0o755, 0o644, 0o777));
    assert_eq!(mode("/etc/passwd"), 0o644);
}

#[test]
fn follows_a_link_to_a_directory() {
    let host = FakeHost::bare().dir("/srv", 0o755).link("/l", "srv");
    let pairs = [("path", "/l".into()), ("state", "directory".into()), ("mode", "0700".into())];
    let done = settles(&pairs, host);
    assert_eq!(done.host.at("/srv").unwrap().mode, 0o700);
    assert_eq!(done.first.fields.get("path"), Some(&"/srv".into()));
}

#[test]
fn changes_the_mode_of_a_file() {
    let host = || FakeHost::bare().file("/etc/f", "x");
    let done = settles(&[("dest", "/etc/f".into()), ("mode", "g+w".into())], host());
    assert_eq!(done.host.at("/etc/f").unwrap().mode, 0o664);
    assert_eq!(done.first.fields.get("size"), Some(&1.into()));
    assert_eq!(done.first.deltas, [Delta::field("/etc/f", "mode", "0644", "0664")]);
    let same = check_module::<This>(args(&[("path", "/etc/f".into()), ("mode", "0644".into())]), host());
    assert!(!same.first.changed);
}

#[test]
fn makes_and_changes_symbolic_links() {
    let host = FakeHost::bare().link("/tmp/l", "group").file("/tmp/passwd", "");
    let pairs = [("src", "passwd".into()), ("dest", "/tmp/l".into()), ("state", "link".into())];
    let done = settles(&pairs, host);
    assert_eq!(done.host.at("/tmp/l").unwrap().content, b"passwd");
    assert_eq!(done.first.fields.get("src"), Some(&"passwd".into()));
    assert_eq!(done.first.fields.get("state"), Some(&"link".into()));
    let forced = [("src", "/none".into()), ("path", "/tmp/n".into()), ("state", "link".into()), ("force", true.into())];
    let done = settles(&forced, FakeHost::bare());
    assert_eq!(done.host.at("/tmp/n").unwrap().content, b"/none");
    assert!(done.first.warnings[0].contains("non-existent symlink target"));
}

#[test]
fn refuses_links_in_the_wrong_place() {
    let host = || FakeHost::bare().file("/tmp/f", "").dir("/tmp/d", 0o755).file("/tmp/d/x", "");
    let link = |src: &str, path: &str, force: bool| {
        fails(&[("src", src.into()), ("path", path.into()), ("state", "link".into()), ("force", force.into())], host())
    };
    assert!(link("/none", "/tmp/l", false).starts_with("src file does not exist, use 'force=yes'"));
    assert_eq!(link("/etc", "/tmp/f", false), "refusing to convert from file to symlink for /tmp/f");
    assert_eq!(link("/etc", "/tmp/d", false), "refusing to convert from directory to symlink for /tmp/d");
    assert_eq!(link("/etc", "/tmp/d", true), "the directory /tmp/d is not empty, refusing to convert it");
    let hard = [("src", "/none".into()), ("path", "/tmp/h".into()), ("state", "hard".into())];
    assert_eq!(fails(&hard, host()), "src does not exist");
    let hard = [("src", "/etc/group".into()), ("path", "/tmp/f".into()), ("state", "hard".into())];
    assert_eq!(fails(&hard, host()), "Cannot link, file exists at destination");
}

#[test]
fn replaces_a_file_by_a_link_if_forced() {
    let host = FakeHost::bare().file("/tmp/f", "old").dir("/tmp/d", 0o755);
    let forced = |path: &'static str| {
        [("src", "/etc/group".into()), ("path", path.into()), ("state", "link".into()), ("force", true.into())]
    };
    let done = settles(&forced("/tmp/f"), host.clone());
    assert_eq!(done.host.at("/tmp/f").unwrap().kind, FileKind::Link);
    let done = settles(&forced("/tmp/d"), host);
    assert_eq!(done.host.at("/tmp/d").unwrap().kind, FileKind::Link);
}

#[test]
fn removes_trees_and_links_but_not_what_they_point_to() {
    let host = FakeHost::bare().dir("/srv", 0o755).file("/srv/f", "").link("/tmp/l", "/srv");
    let done = settles(&[("path", "/tmp/l".into()), ("state", "absent".into())], host.clone());
    assert!(done.host.at("/tmp/l").is_none() && done.host.at("/srv/f").is_some());
    let done = settles(&[("path", "/srv".into()), ("state", "absent".into())], host);
    assert!(done.host.at("/srv/f").is_none());
    assert_eq!(done.first.fields.get("state"), Some(&"absent".into()));
}

#[test]
fn touches() {
    let host = FakeHost::bare().on("touch -c -am -- /tmp/new", |_| CommandOutput::default());
    let done = check_module::<This>(args(&[("path", "/tmp/new".into()), ("state", "touch".into()), ("mode", "0600".into())]), host);
    assert!(done.first.changed && done.second.changed);
    assert_eq!(done.host.at("/tmp/new").unwrap().mode, 0o600);
    let pairs = [
        ("path", "/tmp/new".into()),
        ("state", "touch".into()),
        ("access_time", "preserve".into()),
        ("modification_time", "200001010000.00".into()),
    ];
    let done = settles(&pairs, FakeHost::bare());
    assert_eq!(done.host.at("/tmp/new").unwrap().mtime_ns, 946_684_800_000_000_000);
    let orphan = [("path", "/none/x".into()), ("state", "touch".into())];
    assert_eq!(fails(&orphan, FakeHost::bare()), "Error, could not touch target.");
}

#[test]
fn refusals() {
    let host = FakeHost::bare;
    assert_eq!(fails(&[("path", "/none".into())], host()), "file (/none) is absent, cannot continue");
    assert_eq!(
        fails(&[("path", "/etc".into()), ("state", "file".into())], host()),
        "file (/etc) is directory, cannot continue"
    );
    assert_eq!(
        fails(&[("path", "/etc/passwd".into()), ("state", "directory".into())], host()),
        "/etc/passwd already exists as a file"
    );
    assert!(fails(&[("path", "/etc/passwd/x".into()), ("state", "directory".into())], host()).contains("is not a directory"));
    assert!(fails(&[("path", "/etc/passwd".into()), ("recurse", true.into())], host()).contains("recurse option requires"));
    assert!(fails(&[("path", "/x".into()), ("src", "/y".into()), ("state", "touch".into())], host()).contains("src option requires"));
    assert!(fails(&[("path", "/etc/passwd".into()), ("mode", "rw".into())], host()).contains("octal or symbolic"));
}
