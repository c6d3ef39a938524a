use super::*;
use hostler_module_api::fake::{FakeHost, check_fails, check_module};

const A: &str = "ssh-ed25519 AAAAC3aaa a@x";
const B: &str = "ssh-rsa AAAAB3bbb";

fn host() -> FakeHost {
    let passwd = "root:x:0:0::/root:/bin/sh\ndeploy:x:1000:1000::/home/deploy:/bin/sh\n";
    FakeHost::bare()
        .file("/etc/passwd", passwd)
        .dir("/home/deploy", 0o755)
        .attrs("/home/deploy", 1000, 1000, 0o755)
}

fn host_with(text: &str) -> FakeHost {
    host()
        .dir("/home/deploy/.ssh", 0o700)
        .attrs("/home/deploy/.ssh", 1000, 1000, 0o700)
        .file(FILE, text)
        .attrs(FILE, 1000, 1000, 0o600)
}

const FILE: &str = "/home/deploy/.ssh/authorized_keys";

fn args(pairs: &[(&str, &str)]) -> Map {
    [("user", "deploy")].iter().chain(pairs).copied().collect()
}

#[test]
fn the_first_key_makes_the_directory() {
    let done = check_module::<This>(args(&[("key", A)]), host());
    assert_eq!(done.host.text(FILE).unwrap(), format!("{A}\n"));
    for (path, mode) in [("/home/deploy/.ssh", 0o700), (FILE, 0o600)] {
        let file = done.host.at(path).unwrap();
        assert_eq!((file.uid, file.gid, file.mode), (1000, 1000, mode), "{path}");
    }
    assert_eq!(done.first.fields.get("keyfile"), Some(&Value::str(FILE)));
    assert!(done.first.changed && !done.second.changed);
}

#[test]
fn other_lines_stay_as_they_are() {
    let text = format!("# mine\n\n  {B}  \nnot a key\n{A}");
    let done = check_module::<This>(args(&[("key", A)]), host_with(&text));
    assert!(!done.first.changed);
    let both = format!("{A}\nssh-ed25519 AAAAC3ccc\n");
    let done = check_module::<This>(args(&[("key", &both)]), host_with(&text));
    let wanted = format!("{text}\nssh-ed25519 AAAAC3ccc\n");
    assert_eq!(done.host.text(FILE).unwrap(), wanted);
    assert!(!done.second.changed);
}

#[test]
fn options_and_comment_replace_the_line() {
    let pairs = [
        ("key", A),
        ("key_options", "from=\"10.0.0.0/8,192.0.2.1\",command=\"echo a b\",no-pty"),
        ("comment", "ci"),
    ];
    let done = check_module::<This>(args(&pairs), host_with(&format!("{A}\n{B}\n")));
    let wanted = format!(
        "{B}\nfrom=\"10.0.0.0/8,192.0.2.1\",command=\"echo a b\",no-pty ssh-ed25519 AAAAC3aaa ci\n"
    );
    assert_eq!(done.host.text(FILE).unwrap(), wanted);
    assert!(!done.second.changed);
}

#[test]
fn absent_and_exclusive_remove() {
    let text = format!("# c\nno-pty {A}\n{B}\n");
    let done = check_module::<This>(args(&[("key", A), ("state", "absent")]), host_with(&text));
    assert_eq!(done.host.text(FILE).unwrap(), format!("# c\n{B}\n"));
    assert!(!done.second.changed);
    let exclusive = args(&[("key", B), ("exclusive", "yes")]);
    let done = check_module::<This>(exclusive, host_with(&text));
    assert_eq!(done.host.text(FILE).unwrap(), format!("{B}\n"));
    assert!(!done.second.changed);
}

#[test]
fn a_link_is_followed_only_if_asked() {
    let linked = || host_with("").file("/home/deploy/real", "").link(FILE, "../real");
    let done = check_module::<This>(args(&[("key", A), ("follow", "yes")]), linked());
    assert_eq!(done.host.text("/home/deploy/real").unwrap(), format!("{A}\n"));
    let done = check_module::<This>(args(&[("key", A)]), linked());
    assert_eq!(done.host.text("/home/deploy/real").unwrap(), "");
    assert_eq!(done.host.text(FILE).unwrap(), format!("{A}\n"));
}

#[test]
fn says_what_is_wrong() {
    let fails = |pairs: &[(&str, &str)]| check_fails::<This>(args(pairs), host());
    assert_eq!(fails(&[("key", "ssh-foo AAAA")]), "invalid key specified: ssh-foo AAAA");
    assert_eq!(fails(&[("key", "ssh-rsa")]), "invalid key specified: ssh-rsa");
    assert!(fails(&[("key", "https://example.org/k")]).contains("downloaded"));
    assert!(fails(&[("key", A), ("comment", "x\nssh-rsa EVIL")]).contains("line breaks"));
    let nobody: Map = [("user", "nobody-here"), ("key", A)].into_iter().collect();
    assert!(check_fails::<This>(nobody, host()).starts_with("Failed to lookup user nobody-here"));
}
