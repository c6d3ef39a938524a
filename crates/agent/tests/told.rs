//! What a task tells besides its result: what was in replaced files, what its programs write, what it is doing.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use hostler_change::{Before, Content, Outcome, Replaced};
use hostler_protocol::{FromAgent, RunTask, ToAgent};
use hostler_value::Value;
use sha2::{Digest, Sha256};
use support::{Session, item, item_with};

fn text(path: &Path) -> Value {
    path.display().to_string().into()
}

fn keeping(session: &mut Session, module: &str, item: hostler_protocol::Item) -> Outcome {
    let run = RunTask {
        keep_replaced: true,
        ..session.task(module, vec![item])
    };
    let outcome = session.run_task(0, run).pop().unwrap();
    assert!(outcome.failed.is_none(), "{outcome:?}");
    outcome
}

fn put(session: &mut Session, content: &str, args: &[(&str, Value)]) -> Vec<Replaced> {
    let payload = Content::Bytes(content.as_bytes().to_vec());
    keeping(session, "copy", item_with(payload, args)).replaced
}

#[expect(clippy::unnecessary_wraps, reason = "the type of what is told")]
fn hash(content: &str) -> Option<[u8; 32]> {
    Some(Sha256::digest(content).into())
}

#[expect(clippy::unnecessary_wraps, reason = "the type of what is told")]
fn before(path: &Path, mode: u32, content: &str, told: bool) -> Option<Before> {
    let meta = fs::metadata(path.parent().unwrap()).unwrap();
    Some(Before {
        uid: meta.uid(),
        gid: meta.gid(),
        mode,
        sha256: Sha256::digest(content).into(),
        content: told.then(|| content.as_bytes().to_vec()),
    })
}

fn replaced(path: &Path, before: Option<Before>, after: Option<[u8; 32]>) -> Vec<Replaced> {
    let path = path.display().to_string();
    [Replaced {
        path,
        before,
        after,
    }]
    .to_vec()
}

#[test]
fn what_was_in_a_file_is_told_by_each_edit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let mut session = Session::greeted();
    let dest = || ("dest", text(&path));
    // Made, replaced, its mode set, removed.
    assert_eq!(
        put(&mut session, "one", &[dest(), ("mode", "0640".into())]),
        replaced(&path, None, hash("one"))
    );
    assert_eq!(
        put(&mut session, "two", &[dest()]),
        replaced(&path, before(&path, 0o640, "one", true), hash("two"))
    );
    assert_eq!(put(&mut session, "two", &[dest()]), []);
    let file = |session: &mut Session, args: &[(&str, Value)]| {
        keeping(session, "file", item(0, args)).replaced
    };
    assert_eq!(
        file(
            &mut session,
            &[("path", text(&path)), ("mode", "0600".into())]
        ),
        replaced(&path, before(&path, 0o640, "two", false), hash("two"))
    );
    // Through a link, it is the file that is told.
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(
        file(
            &mut session,
            &[("path", text(&link)), ("mode", "0644".into())]
        ),
        replaced(
            &fs::canonicalize(&path).unwrap(),
            before(&path, 0o600, "two", false),
            hash("two")
        )
    );
    assert_eq!(
        file(
            &mut session,
            &[("path", text(&link)), ("state", "absent".into())]
        ),
        []
    );
    assert_eq!(
        file(
            &mut session,
            &[("path", text(&path)), ("state", "absent".into())]
        ),
        replaced(&path, before(&path, 0o644, "two", true), None)
    );
    assert_eq!(
        file(
            &mut session,
            &[("path", text(&path)), ("state", "touch".into())]
        )[0]
        .after,
        hash("")
    );
    // Nobody who did not ask is told.
    let args = [("dest", text(&path))];
    let run = session.task(
        "copy",
        vec![item_with(Content::Bytes(b"x".to_vec()), &args)],
    );
    assert_eq!(session.run_task(0, run)[0].replaced, []);
    let run = RunTask {
        check: true,
        keep_replaced: true,
        ..session.task(
            "copy",
            vec![item_with(Content::Bytes(b"y".to_vec()), &args)],
        )
    };
    assert_eq!(session.run_task(0, run)[0].replaced, []);
}

#[test]
fn a_link_that_a_file_replaces_is_not_taken_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, target) = (dir.path().join("link"), dir.path().join("target"));
    fs::write(&target, "there").unwrap();
    symlink(&target, &path).unwrap();
    let mut session = Session::greeted();
    let told = put(
        &mut session,
        "new",
        &[("dest", text(&path)), ("follow", false.into())],
    );
    assert_eq!(told, []);
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn large_content_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let large = "x".repeat(usize::try_from(Replaced::CONTENT_MAX).unwrap() + 1);
    fs::write(&path, &large).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut session = Session::greeted();
    assert_eq!(
        put(&mut session, "small", &[("dest", text(&path))]),
        replaced(&path, before(&path, 0o600, &large, false), hash("small"))
    );
}

#[test]
fn a_download_tells_what_it_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/f", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(read > 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nnew")
            .unwrap();
    });
    let mut session = Session::greeted();
    let args = [
        ("url", url.into()),
        ("dest", text(&path)),
        ("force", true.into()),
    ];
    let told = keeping(&mut session, "get_url", item(0, &args)).replaced;
    assert_eq!(
        told,
        replaced(&path, before(&path, 0o600, "old", true), hash("new"))
    );
    server.join().unwrap();
}

/// What comes of a task that says something: its output, and what it was doing.
fn listen(session: &mut Session, number: u32) -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let (mut out, mut err, mut doing) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match session.receive().1 {
            FromAgent::Output {
                task,
                is_stderr,
                bytes,
            } if task == number => {
                if is_stderr { &mut err } else { &mut out }.extend(bytes);
            }
            FromAgent::Progress { task, doing: what } if task == number => doing.push(what),
            FromAgent::Done { outcome, .. } => assert!(outcome.failed.is_none()),
            FromAgent::End { task } if task == number => return (out, err, doing),
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn shell(session: &mut Session, line: &str, watch: bool) -> u32 {
    let run = RunTask {
        watch,
        ..session.task("shell", vec![item(0, &[("cmd", line.into())])])
    };
    session.begin(0, run)
}

#[test]
fn a_watched_task_sends_what_its_programs_write_while_they_do() {
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let line = format!(
        "echo first; while ! test -e {}; do sleep 0.01; done; echo second; echo bad >&2",
        go.display()
    );
    let mut session = Session::greeted();
    let number = shell(&mut session, &line, true);
    match session.receive().1 {
        FromAgent::Output {
            bytes,
            is_stderr: false,
            ..
        } => assert_eq!(bytes, b"first\n"),
        other => panic!("unexpected {other:?}"),
    }
    fs::write(&go, "").unwrap();
    let (out, err, _) = listen(&mut session, number);
    assert_eq!(
        (out.as_slice(), err.as_slice()),
        (&b"second\n"[..], &b"bad\n"[..])
    );
    let number = shell(&mut session, "echo unheard", false);
    assert_eq!(listen(&mut session, number).0, b"");
}

#[test]
fn watching_starts_and_stops_while_a_task_runs() {
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let line = format!(
        "while ! test -e {}; do sleep 0.01; done; echo out",
        go.display()
    );
    for on in [true, false] {
        let mut session = Session::greeted();
        let number = shell(&mut session, &line, !on);
        session.send(0, &ToAgent::Watch { task: number, on });
        session.send(0, &ToAgent::Ping(1));
        assert!(matches!(session.receive().1, FromAgent::Pong(1)));
        fs::write(&go, "").unwrap();
        assert_eq!(!listen(&mut session, number).0.is_empty(), on);
        fs::remove_file(&go).unwrap();
    }
}

#[test]
fn a_flood_is_sent_in_part() {
    let mut session = Session::greeted();
    let number = shell(&mut session, "head -c 30000000 /dev/zero; true", true);
    let (out, ..) = listen(&mut session, number);
    assert!(!out.is_empty() && out.len() <= 1 << 20, "{}", out.len());
}

#[test]
fn a_task_that_takes_long_says_what_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = Session::greeted();
    let go = dir.path().join("go");
    let line = format!("while ! test -e {}; do sleep 0.1; done", go.display());
    session.hears_progress = true;
    let number = shell(&mut session, &line, false);
    match session.receive().1 {
        FromAgent::Progress { task, doing } => {
            assert_eq!((task, doing.as_str()), (number, "sh"));
        }
        other => panic!("unexpected {other:?}"),
    }
    fs::write(&go, "").unwrap();
    listen(&mut session, number);
}

#[test]
fn who_holds_the_lock_that_apt_waits_for_is_named() {
    let there = |path: &str| Path::new(path).exists();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let lock = "/var/lib/dpkg/lock-frontend";
    if !(is_root && there(lock) && there("/usr/bin/python3") && there("/usr/bin/unshare")) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (own_lock, go) = (dir.path().join("lock"), dir.path().join("go"));
    fs::write(&own_lock, "").unwrap();
    let script = "import fcntl,sys\nf=open(sys.argv[1],'r+b')\nfcntl.lockf(f,fcntl.LOCK_EX)\nopen('/proc/self/comm','w').write('evil\\x1b[31m')\nprint('held',flush=True)\nsys.stdin.read()";
    let mut holder = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .arg(&own_lock)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 5];
    holder
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut line)
        .unwrap();
    let program = dir.path().join("apt-get");
    let wait = format!(
        "#!/bin/sh\nwhile ! test -e {}; do sleep 0.1; done\n",
        go.display()
    );
    fs::write(&program, wait).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let start = format!(
        "mount --bind {} {lock} && exec {}",
        own_lock.display(),
        env!("CARGO_BIN_EXE_hostler-agent")
    );
    let mut session = Session::spawn(Command::new("unshare").args(["-m", "sh", "-c", &start]));
    session.hello(0);
    let args = [("_raw_params", program.display().to_string().into())];
    let run = session.task("command", vec![item(0, &args)]);
    session.hears_progress = true;
    let number = session.begin(0, run);
    match session.receive().1 {
        FromAgent::Progress { task, doing } => {
            let pid = holder.id();
            let expected = format!("apt-get: waits for the lock held by evil?[31m (pid {pid})");
            assert_eq!((task, doing), (number, expected));
        }
        other => panic!("unexpected {other:?}"),
    }
    session.hears_progress = false;
    // One that installs is not interrupted.
    session.send(0, &ToAgent::Cancel { task: number });
    session.send(0, &ToAgent::Ping(1));
    assert!(matches!(session.receive().1, FromAgent::Pong(1)));
    fs::write(&go, "").unwrap();
    listen(&mut session, number);
    holder.kill().unwrap();
    holder.wait().unwrap();
}
