//! `known_hosts` files: the cases where a careless reader is wrong, and agreement with `ssh-keygen -F`.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hostler_transport::known_hosts::{
    HostName, KnownHostsFile, KnownHostsStore, Marker, StoreError, Verdict,
};
use russh::keys::{Algorithm, PublicKey};
use support::keygen;

struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        for (name, kind) in [("a", "ed25519"), ("b", "ed25519"), ("r", "rsa")] {
            keygen(&dir.path().join(name), kind, "");
        }
        Self { dir }
    }

    /// With its comment, which must play no part.
    fn key(&self, name: &str) -> PublicKey {
        let text = fs::read_to_string(self.dir.path().join(format!("{name}.pub"))).expect("key");
        PublicKey::from_openssh(text.trim()).expect("public key")
    }

    fn text(&self, name: &str) -> String {
        let mut key = self.key(name);
        key.set_comment("");
        key.to_openssh().expect("text").trim().to_owned()
    }

    fn verdict(&self, lines: &str, host: &HostName, key: &str) -> Verdict {
        let path = self.dir.path().join("known_hosts");
        fs::write(&path, lines).expect("write");
        KnownHostsStore::default()
            .lookup([path.as_path()], host)
            .check_key(&self.key(key))
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_form_of_line() {
    let keys = Keys::new();
    let (a, b, r) = (keys.text("a"), keys.text("b"), keys.text("r"));
    let path = keys.dir.path().join("known_hosts");
    let changed = |line| Verdict::Changed {
        file: path.clone(),
        line,
    };
    let revoked = |line| Verdict::Revoked {
        file: path.clone(),
        line,
    };
    let unknown = Verdict::Unknown { note: None };
    let h = HostName::new("H.ex", 22);
    for (what, lines, host, expected) in [
        ("plain", format!("h.ex {a}\n"), &h, Verdict::Known),
        ("another host", format!("g.ex {a}\n"), &h, unknown.clone()),
        (
            "upper case in the file",
            format!("H.EX {a}\n"),
            &h,
            Verdict::Known,
        ),
        (
            "a comment after the key",
            format!("h.ex {a} some comment\n"),
            &h,
            Verdict::Known,
        ),
        (
            "tabs and blanks",
            format!("  h.ex\t\t{}\r\n", a.replace(' ', "   ")),
            &h,
            Verdict::Known,
        ),
        (
            "no newline at the end",
            format!("h.ex {a}"),
            &h,
            Verdict::Known,
        ),
        (
            "a list of names",
            format!("x,h.ex,10.0.0.1 {a}\n"),
            &h,
            Verdict::Known,
        ),
        ("pattern", format!("*.ex {a}\n"), &h, Verdict::Known),
        ("question mark", format!("?.ex {a}\n"), &h, Verdict::Known),
        ("negated", format!("*.ex,!h.ex {a}\n"), &h, unknown.clone()),
        ("changed", format!("# x\nh.ex {b}\n"), &h, changed(2)),
        (
            "two keys of one type",
            format!("h.ex {b}\nh.ex {a}\n"),
            &h,
            Verdict::Known,
        ),
        (
            "only another type is listed",
            format!("h.ex {r}\n"),
            &h,
            changed(1),
        ),
        (
            "revoked before",
            format!("@revoked h.ex {a}\nh.ex {a}\n"),
            &h,
            revoked(1),
        ),
        (
            "revoked after",
            format!("h.ex {a}\n@revoked * {a}\n"),
            &h,
            revoked(2),
        ),
        (
            "revoked elsewhere",
            format!("h.ex {a}\n@revoked g.ex {a}\n"),
            &h,
            Verdict::Known,
        ),
        (
            "revoked another key",
            format!("h.ex {a}\n@revoked * {b}\n"),
            &h,
            Verdict::Known,
        ),
        (
            "an authority is no host key",
            format!("@cert-authority h.ex {a}\n"),
            &h,
            unknown.clone(),
        ),
        (
            "an unknown marker",
            format!("@future h.ex {a}\n"),
            &h,
            unknown.clone(),
        ),
        (
            "a line that cannot be read",
            format!("h.ex ssh-dss AAAAB3NzaC1kc3M=\nh.ex x y\nh.ex\nh.ex {a}\n"),
            &h,
            Verdict::Known,
        ),
        (
            "the type does not fit the key",
            format!("h.ex ssh-rsa {}\n", &a[12..]),
            &h,
            unknown.clone(),
        ),
        (
            "port",
            format!("[h.ex]:2222 {a}\n"),
            &HostName::new("h.ex", 2222),
            Verdict::Known,
        ),
        (
            "another port",
            format!("[h.ex]:2223 {a}\n"),
            &HostName::new("h.ex", 2222),
            unknown.clone(),
        ),
        (
            "the bare name matches too",
            format!("h.ex {a}\n"),
            &HostName::new("h.ex", 2222),
            Verdict::Known,
        ),
        (
            "the bare name cannot change",
            format!("h.ex {b}\n"),
            &HostName::new("h.ex", 2222),
            unknown.clone(),
        ),
        (
            "the port's own line wins",
            format!("h.ex {a}\n[h.ex]:2222 {b}\n"),
            &HostName::new("h.ex", 2222),
            changed(2),
        ),
        (
            "alias",
            format!("db {a}\n"),
            &HostName::alias("DB"),
            Verdict::Known,
        ),
    ] {
        assert_eq!(keys.verdict(&lines, host, "a"), expected, "{what}: {lines}");
    }
}

#[test]
fn hashed_names_as_ssh_keygen_makes_them() {
    let keys = Keys::new();
    let path = keys.dir.path().join("known_hosts");
    fs::write(
        &path,
        format!("h.ex {}\n[h.ex]:2222 {}\n", keys.text("a"), keys.text("b")),
    )
    .expect("write");
    assert!(
        Command::new("ssh-keygen")
            .args(["-q", "-H", "-f"])
            .arg(&path)
            .status()
            .expect("ssh-keygen")
            .success()
    );
    let text = fs::read_to_string(&path).expect("read");
    assert!(text.starts_with("|1|") && !text.contains("h.ex"));
    let store = KnownHostsStore::default();
    assert_eq!(
        store
            .lookup([path.as_path()], &HostName::new("H.ex", 22))
            .check_key(&keys.key("a")),
        Verdict::Known
    );
    assert_eq!(
        store
            .lookup([path.as_path()], &HostName::new("h.ex", 2222))
            .check_key(&keys.key("b")),
        Verdict::Known
    );
    let other = store
        .lookup([path.as_path()], &HostName::new("g.ex", 22))
        .check_key(&keys.key("a"));
    assert_eq!(other, Verdict::Unknown { note: None });
}

#[test]
fn the_listed_types_come_first_in_the_offer() {
    let keys = Keys::new();
    let path = keys.dir.path().join("known_hosts");
    fs::write(
        &path,
        format!(
            "h {}\nh {}\n@cert-authority *.ex {}\n",
            keys.text("r"),
            keys.text("a"),
            keys.text("b")
        ),
    )
    .expect("write");
    let store = KnownHostsStore::default();
    let records = store.lookup([path.as_path()], &HostName::new("h", 22));
    let names: Vec<String> = records
        .key_algorithms()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    assert!(
        !records
            .key_algorithms()
            .contains(&Algorithm::Rsa { hash: None })
    );
    assert!(!records.has_authority());
    assert!(
        store
            .lookup([path.as_path()], &HostName::new("h.ex", 22))
            .has_authority()
    );
}

#[test]
fn finds_the_lines_that_ssh_keygen_finds() {
    let keys = Keys::new();
    let (a, b) = (keys.text("a"), keys.text("b"));
    let text = format!(
        "# comment\nweb1 {a}\nWEB2,10.0.0.2 {b}\n*.ex.org,!bad.ex.org {a}\n[web1]:2222 {b}\n[*.ex.org]:22?? {a}\n\
         web1 {b} again\n  web3 {a}\nweb?\t{b}\n@revoked web1 {b}\n@cert-authority *.ca {a}\n!web9,web* {a}\nbroken\n"
    );
    let path = keys.dir.path().join("known_hosts");
    fs::write(&path, &text).expect("write");
    let file = KnownHostsFile::parse(Path::new("f"), &text);
    for (host, port) in [
        ("web1", 22),
        ("web2", 22),
        ("10.0.0.2", 22),
        ("web3", 22),
        ("web9", 22),
        ("web10", 22),
        ("a.ex.org", 22),
        ("bad.ex.org", 22),
        ("web1", 2222),
        ("a.ex.org", 2201),
        ("x.ca", 22),
        ("nowhere", 22),
    ] {
        let query = if port == 22 {
            host.to_owned()
        } else {
            format!("[{host}]:{port}")
        };
        let output = Command::new("ssh-keygen")
            .args(["-F", &query, "-f"])
            .arg(&path)
            .output()
            .expect("ssh-keygen");
        let theirs: Vec<usize> = String::from_utf8(output.stdout)
            .expect("UTF-8")
            .lines()
            .filter_map(|line| {
                line.strip_prefix("# Host ")?
                    .split("line ")
                    .nth(1)?
                    .split(' ')
                    .next()?
                    .parse()
                    .ok()
            })
            .collect();
        let ours: Vec<usize> = file
            .records_for(&HostName::new(host, port))
            .map(|r| r.line)
            .collect();
        assert_eq!(ours, theirs, "{query}");
    }
    let marks: Vec<Marker> = file
        .records_for(&HostName::new("x.ca", 22))
        .map(|r| r.marker)
        .collect();
    assert_eq!(marks, [Marker::CertAuthority]);
}

#[test]
fn two_hundred_writers_at_once_lose_nothing() {
    let keys = Keys::new();
    let path = keys.dir.path().join("new/known_hosts");
    // Two stores stand for two processes: only the file lock is between them.
    let stores = [
        Arc::new(KnownHostsStore::default()),
        Arc::new(KnownHostsStore::default()),
    ];
    let key = keys.key("a");
    std::thread::scope(|scope| {
        for number in 0..200 {
            let (store, path, key) = (&stores[number % 2], &path, &key);
            scope.spawn(move || {
                let name = HostName::new(&format!("host{}", number / 2), 22);
                store
                    .append(path, &name, key, number % 3 == 0)
                    .expect("append");
            });
        }
    });
    let text = fs::read_to_string(&path).expect("read");
    assert_eq!(text.lines().count(), 100, "each host once");
    let file = KnownHostsFile::parse(&path, &text);
    for number in 0..100 {
        assert_eq!(
            file.records_for(&HostName::new(&format!("host{number}"), 22))
                .count(),
            1,
            "host{number}"
        );
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&path).expect("metadata").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn appending_keeps_the_last_line_whole_and_refuses_a_race() {
    let keys = Keys::new();
    let path = keys.dir.path().join("known_hosts");
    fs::write(&path, "old line without newline").expect("write");
    let store = KnownHostsStore::default();
    store
        .append(&path, &HostName::new("h", 22), &keys.key("a"), false)
        .expect("append");
    assert_eq!(
        fs::read_to_string(&path).expect("read"),
        format!("old line without newline\nh {}\n", keys.text("a"))
    );
    let raced = store.append(&path, &HostName::new("h", 22), &keys.key("b"), false);
    assert!(matches!(raced, Err(StoreError::Raced { .. })), "{raced:?}");
    store
        .append(
            Path::new("/dev/null"),
            &HostName::new("h", 22),
            &keys.key("b"),
            false,
        )
        .expect("the null device");
    let failed = store.append(
        Path::new("/proc/known_hosts"),
        &HostName::new("h", 22),
        &keys.key("b"),
        false,
    );
    assert!(matches!(failed, Err(StoreError::Io { .. })), "{failed:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let keys = Keys::new();
    let verdict = KnownHostsStore::default()
        .lookup([keys.dir.path()], &HostName::new("h", 22))
        .check_key(&keys.key("a"));
    let Verdict::Unknown { note: Some(note) } = verdict else {
        panic!("{verdict:?}")
    };
    assert!(note.contains("cannot be read"), "{note}");
}
