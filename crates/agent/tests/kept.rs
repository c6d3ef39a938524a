//! Results that outlive connections, and the lock of a host.
//!
//! The directory is named by a variable that only debug builds of the agent heed; others have nothing to test here.

#![cfg(debug_assertions)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

use hostler_change::Content;
use hostler_protocol::{FromAgent, Hello, Lease, RunTask, TaskKey, ToAgent, Unresolved};
use hostler_value::Value;
use sha2::{Digest, Sha256};
use support::{Session, agent, item, item_with};

const KEY: TaskKey = TaskKey([7; 16]);

struct Store {
    dir: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Store { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn kept(&self) -> PathBuf {
        self.path("kept")
    }

    fn file(&self) -> PathBuf {
        self.kept().join(KEY.to_string())
    }

    fn command(&self) -> Command {
        let mut command = agent();
        command.env("HOSTLER_KEPT_DIRS", self.kept());
        command
    }

    fn session(&self) -> Session {
        let (session, hello) = greet(&mut self.command());
        assert!(hello.keeps_results);
        session
    }
}

fn greet(command: &mut Command) -> (Session, Hello) {
    let mut session = Session::spawn(command);
    let hello = session.hello(0);
    (session, hello)
}

fn shell(line: impl Into<Value>) -> [(&'static str, Value); 1] {
    [("cmd", line.into())]
}

/// A task with a key.
fn keyed(session: &mut Session, lines: &[String]) -> RunTask {
    let items = (0..)
        .zip(lines)
        .map(|(at, line)| item(at, &shell(line.as_str())))
        .collect();
    RunTask {
        key: Some(KEY),
        ..session.task("shell", items)
    }
}

/// A line that says that it has begun and waits to be let go.
fn held(store: &Store) -> String {
    let (began, go) = (store.path("began"), store.path("go"));
    format!(
        "touch {}; while ! test -e {}; do sleep 0.01; done; echo over",
        began.display(),
        go.display()
    )
}

fn wait_for(session: &mut Session, path: &Path) {
    let line = format!("while ! test -e {}; do sleep 0.01; done", path.display());
    assert!(session.run("shell", &shell(line)).failed.is_none());
}

/// What is told of the task: the items' standard outputs, and how it ends.
fn told(session: &mut Session, number: u32) -> (Vec<String>, Option<Unresolved>) {
    let mut outputs = Vec::new();
    loop {
        match session.receive() {
            (
                0,
                FromAgent::Done {
                    task,
                    index,
                    outcome,
                },
            ) if task == number => {
                assert_eq!(index as usize, outputs.len());
                let output = outcome.fields.get("stdout").and_then(Value::as_str);
                let msg = outcome.failed.map(|it| it.msg);
                outputs.push(output.map_or(msg.unwrap_or_default(), str::to_owned));
            }
            (0, FromAgent::End { task }) if task == number => return (outputs, None),
            (0, FromAgent::Unresolved { task, why }) if task == number => {
                return (outputs, Some(why));
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn ask(session: &mut Session, number: u32) {
    session.send(
        0,
        &ToAgent::Resolve {
            task: number,
            key: KEY,
        },
    );
}

fn resolve(session: &mut Session) -> (Vec<String>, Option<Unresolved>) {
    ask(session, 99);
    told(session, 99)
}

fn reap(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn a_task_outlives_its_connection_and_is_handed_over_once_it_ends() {
    let store = Store::new();
    let mut first = store.session();
    let lines = [held(&store), "echo second".to_owned()];
    let run = keyed(&mut first, &lines);
    first.begin(0, run);
    wait_for(&mut first, &store.path("began"));
    // One without a key ends with the connection.
    let pid = store.path("pid");
    let line = format!(
        "echo $$ > {}.tmp; mv {0}.tmp {0}; exec sleep 1000",
        pid.display()
    );
    let run = first.task("shell", vec![item(0, &shell(line))]);
    first.begin(0, run);
    wait_for(&mut first, &pid);
    let child = first.cut();
    let mut second = store.session();
    ask(&mut second, 300);
    // The question is waiting; other tasks are answered.
    assert!(second.run("ping", &[]).failed.is_none());
    let gone = format!(
        "while test -d /proc/{}; do sleep 0.01; done",
        fs::read_to_string(&pid).unwrap().trim()
    );
    assert!(second.run("shell", &shell(gone)).failed.is_none());
    fs::write(store.path("go"), "").unwrap();
    assert_eq!(
        told(&mut second, 300),
        (vec!["over".into(), "second".into()], None)
    );
    assert_eq!(reap(child), Some(0));
    // It is there until it need not be.
    assert_eq!(resolve(&mut second).0.len(), 2);
    assert_eq!(fs::metadata(store.file()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(store.kept()).unwrap().mode() & 0o777, 0o700);
    second.send(0, &ToAgent::Forget(vec![KEY]));
    assert_eq!(
        resolve(&mut second),
        (Vec::new(), Some(Unresolved::NeverBegan))
    );
}

#[test]
fn a_key_runs_once() {
    let store = Store::new();
    let mut session = store.session();
    let line = format!("echo x >> {0}; wc -l < {0}", store.path("runs").display());
    for _ in 0..2 {
        let run = keyed(&mut session, std::slice::from_ref(&line));
        let number = session.begin(0, run);
        assert_eq!(told(&mut session, number), (vec!["1".into()], None));
    }
    assert_eq!(fs::read_to_string(store.path("runs")).unwrap(), "x\n");
}

#[test]
fn a_killed_agent_leaves_what_it_knew() {
    let store = Store::new();
    let mut first = store.session();
    let lines = ["echo one".to_owned(), held(&store), "echo three".to_owned()];
    let run = keyed(&mut first, &lines);
    let number = first.begin(0, run);
    assert!(
        matches!(first.receive(), (0, FromAgent::Done { task, index: 0, .. }) if task == number)
    );
    wait_for(&mut first, &store.path("began"));
    let mut child = first.cut();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut second = store.session();
    let died = Some(Unresolved::AgentDied);
    assert_eq!(resolve(&mut second), (vec!["one".into()], died));
    // A frame that is not whole counts for nothing.
    let mut bytes = fs::read(store.file()).unwrap();
    let half = bytes[..bytes.len() / 2].to_vec();
    bytes.extend(half);
    fs::write(store.file(), bytes).unwrap();
    assert_eq!(resolve(&mut second), (vec!["one".into()], died));
    fs::write(store.file(), [0xff; 100]).unwrap();
    assert_eq!(resolve(&mut second), (Vec::new(), died));
    // Nor is it run again.
    let run = keyed(&mut second, &["echo again".to_owned()]);
    let number = second.begin(0, run);
    assert_eq!(told(&mut second, number), (Vec::new(), died));
    fs::write(store.path("go"), "").unwrap();
}

#[test]
fn what_was_not_known_begins_only_where_that_was_asked() {
    let store = Store::new();
    let (mut late, mut second, mut third) = (store.session(), store.session(), store.session());
    let never = (Vec::new(), Some(Unresolved::NeverBegan));
    assert_eq!(resolve(&mut second), never);
    // The message comes in after all, on the connection that was given up.
    let line = format!("echo x >> {}", store.path("runs").display());
    let run = keyed(&mut late, std::slice::from_ref(&line));
    let number = late.begin(0, run);
    assert_eq!(told(&mut late, number), never);
    assert!(!store.path("runs").exists());
    // Whoever was told may send it again, and who was told by the same file too.
    assert_eq!(resolve(&mut third), never);
    let run = keyed(&mut third, std::slice::from_ref(&line));
    let number = third.begin(0, run);
    assert_eq!(told(&mut third, number), (vec![String::new()], None));
    let run = keyed(&mut second, std::slice::from_ref(&line));
    let number = second.begin(0, run);
    assert_eq!(told(&mut second, number), (vec![String::new()], None));
    // It may come in even later, when the result has been fetched.
    third.send(0, &ToAgent::Forget(vec![KEY]));
    assert_eq!(resolve(&mut third), never);
    let run = keyed(&mut late, &[line]);
    let number = late.begin(0, run);
    assert_eq!(told(&mut late, number), never);
    assert_eq!(fs::read_to_string(store.path("runs")).unwrap(), "x\n");
}

#[test]
fn content_that_cannot_come_any_more_leaves_items_unanswered() {
    let store = Store::new();
    let mut first = store.session();
    let content = b"wanted";
    let dest = store.path("dest");
    let blob = Content::Blob {
        sha256: Sha256::digest(content).into(),
        size: content.len() as u64,
    };
    let args = [("dest", Value::from(dest.display().to_string()))];
    let run = RunTask {
        key: Some(KEY),
        ..first.task("copy", vec![item_with(blob, &args)])
    };
    first.begin(0, run);
    assert!(matches!(first.receive(), (0, FromAgent::NeedBlob { .. })));
    assert_eq!(reap(first.cut()), Some(0));
    assert_eq!(resolve(&mut store.session()), (Vec::new(), None));
    assert!(!dest.exists());
}

#[test]
fn cancelling_ends_a_task_with_a_key_too() {
    let store = Store::new();
    let mut session = store.session();
    let run = keyed(&mut session, &[held(&store)]);
    let number = session.begin(0, run);
    wait_for(&mut session, &store.path("began"));
    session.send(0, &ToAgent::Cancel { task: number });
    let cancelled = (vec!["the task was cancelled".to_owned()], None);
    assert_eq!(told(&mut session, number), cancelled);
    assert_eq!(resolve(&mut session), cancelled);
}

#[test]
fn a_question_can_be_taken_back() {
    let store = Store::new();
    let mut first = store.session();
    let run = keyed(&mut first, &[held(&store)]);
    first.begin(0, run);
    wait_for(&mut first, &store.path("began"));
    let child = first.cut();
    let mut second = store.session();
    ask(&mut second, 5);
    second.send(0, &ToAgent::Cancel { task: 5 });
    assert_eq!(
        told(&mut second, 5),
        (Vec::new(), Some(Unresolved::AgentDied))
    );
    assert_eq!(second.end().code(), Some(0));
    fs::write(store.path("go"), "").unwrap();
    assert_eq!(reap(child), Some(0));
    assert_eq!(resolve(&mut store.session()).0, ["over"]);
}

#[test]
fn a_result_that_does_not_fit_is_told_and_not_taken_for_complete() {
    let store = Store::new();
    // As a full disk: no file may grow beyond some KiB, and the signal for it is ignored.
    let line = format!(
        "trap '' XFSZ; ulimit -f 8; exec {}",
        env!("CARGO_BIN_EXE_hostler-agent")
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &line])
        .env("HOSTLER_KEPT_DIRS", store.kept());
    let (mut session, _) = greet(&mut command);
    let long = "head -c 20000 /dev/zero | tr '\\0' x".to_owned();
    let lines = ["echo one".to_owned(), long, "echo three".to_owned()];
    let run = keyed(&mut session, &lines);
    let outcomes = session.run_task(0, run);
    let warnings: Vec<usize> = outcomes.iter().map(|it| it.warnings.len()).collect();
    assert_eq!(warnings, [0, 1, 1]);
    assert!(outcomes[1].warnings[0].contains("cannot keep this result"));
    let known = (vec!["one".to_owned()], Some(Unresolved::AgentDied));
    assert_eq!(resolve(&mut session), known);
}

#[test]
fn old_results_go_and_those_in_work_stay() {
    let store = Store::new();
    let mut session = store.session();
    let run = keyed(&mut session, &[held(&store)]);
    let working = session.begin(0, run);
    wait_for(&mut session, &store.path("began"));
    let old = SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
    let put = |name: &str, len: usize, time: SystemTime| {
        let path = store.kept().join(name);
        fs::write(&path, vec![0; len]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    };
    put("old", 1, old);
    put("lock", 1, old);
    fs::File::open(store.file())
        .unwrap()
        .set_modified(old)
        .unwrap();
    let hours = |count: u64| SystemTime::now() - Duration::from_secs(3600 * count);
    put("large1", 40 << 20, hours(3));
    put("large2", 40 << 20, hours(2));
    put("small", 1, hours(1));
    // Another process looks before its first task.
    let mut other = store.session();
    let run = RunTask {
        key: Some(TaskKey([8; 16])),
        ..other.task("ping", vec![item(0, &[])])
    };
    other.run_task(0, run);
    let mut names: Vec<_> = fs::read_dir(store.kept())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = [KEY.to_string(), TaskKey([8; 16]).to_string()].to_vec();
    expected.extend(["large2", "lock", "small"].map(str::to_owned));
    assert_eq!(names, expected);
    fs::write(store.path("go"), "").unwrap();
    assert_eq!(told(&mut session, working).0, ["over"]);
}

#[test]
fn too_many_results_are_forgotten_oldest_first() {
    let store = Store::new();
    fs::create_dir(store.kept()).unwrap();
    fs::set_permissions(store.kept(), fs::Permissions::from_mode(0o700)).unwrap();
    for at in 0..1100_u64 {
        let path = store.kept().join(format!("{at:04}"));
        let file = fs::File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(5000 - at))
            .unwrap();
    }
    let mut session = store.session();
    let run = keyed(&mut session, &["true".to_owned()]);
    session.run_task(0, run);
    assert!(!store.kept().join("0099").exists());
    assert!(store.kept().join("0100").exists());
}

#[test]
fn only_a_private_directory_is_used() {
    let store = Store::new();
    let at = |name: &str| store.path(name);
    let make = |name: &str, mode: u32| {
        fs::create_dir(at(name)).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    make("open", 0o755);
    make("target", 0o700);
    symlink(at("target"), at("link")).unwrap();
    fs::write(at("file"), "").unwrap();
    let bad = ["open", "link", "file", "no/such"];
    let dirs = |names: &[&str]| std::env::join_paths(names.iter().map(|name| at(name))).unwrap();
    let (mut session, hello) = greet(agent().env("HOSTLER_KEPT_DIRS", dirs(&bad)));
    assert!(!hello.keeps_results);
    let run = keyed(&mut session, &["echo runs".to_owned()]);
    let number = session.begin(0, run);
    assert_eq!(told(&mut session, number), (vec!["runs".into()], None));
    assert_eq!(resolve(&mut session).1, Some(Unresolved::NeverBegan));
    session.send(
        0,
        &ToAgent::Lease {
            lease: lease("a"),
            breaks: None,
        },
    );
    assert!(matches!(
        session.receive(),
        (0, FromAgent::Leased { held_by: None })
    ));
    let mut more = bad.to_vec();
    more.push("good");
    let (mut session, hello) = greet(agent().env("HOSTLER_KEPT_DIRS", dirs(&more)));
    assert!(hello.keeps_results && !at("good").exists());
    let run = keyed(&mut session, &["echo runs".to_owned()]);
    session.run_task(0, run);
    assert!(at("good").join(KEY.to_string()).exists());
    assert_eq!(fs::read_dir(at("target")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(at("open")).unwrap().count(), 0);
    // Where an earlier result lies in a directory that is not the first any more, it is found.
    more.insert(0, "better");
    let (mut session, _) = greet(agent().env("HOSTLER_KEPT_DIRS", dirs(&more)));
    assert_eq!(resolve(&mut session).0, ["runs"]);
    let run = keyed(&mut session, &["echo again".to_owned()]);
    assert_eq!(session.run_task(0, run).len(), 1);
    assert_eq!(resolve(&mut session).0, ["runs"]);
}

fn lease(run: &str) -> Lease {
    Lease {
        id: format!("lock-of-{run}"),
        run: run.to_owned(),
        who: "me@controller".to_owned(),
        since_us: 7,
    }
}

fn take(session: &mut Session, run: &str, breaks: Option<&str>) -> Option<Lease> {
    let breaks = breaks.map(str::to_owned);
    session.send(
        0,
        &ToAgent::Lease {
            lease: lease(run),
            breaks,
        },
    );
    match session.receive() {
        (0, FromAgent::Leased { held_by }) => held_by,
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn a_host_is_locked_for_a_run_until_its_agent_ends() {
    let store = Store::new();
    let (mut first, mut second, mut third) = (store.session(), store.session(), store.session());
    assert_eq!(take(&mut first, "a", None), None);
    assert_eq!(take(&mut first, "a", None), None);
    assert_eq!(take(&mut second, "b", None), Some(lease("a")));
    // An agent of the same run does not stand in the way, and takes over with its next task.
    assert_eq!(take(&mut third, "a", None), None);
    assert_eq!(first.end().code(), Some(0));
    let run = keyed(&mut third, &["true".to_owned()]);
    third.run_task(0, run);
    assert_eq!(take(&mut second, "b", None), Some(lease("a")));
    assert_eq!(third.end().code(), Some(0));
    assert_eq!(take(&mut second, "b", None), None);
    assert_eq!(
        fs::metadata(store.kept().join("lock")).unwrap().mode() & 0o777,
        0o600
    );
}

#[test]
fn only_the_lock_that_is_named_is_broken() {
    let store = Store::new();
    let (mut first, mut second) = (store.session(), store.session());
    assert_eq!(take(&mut first, "a", None), None);
    assert_eq!(take(&mut second, "b", Some("lock-of-c")), Some(lease("a")));
    assert!(first.run("ping", &[]).failed.is_none());
    assert_eq!(take(&mut second, "b", Some("lock-of-a")), None);
    assert!(first.try_receive().is_none());
    assert_eq!(first.end().code(), None);
}

#[test]
fn a_process_that_is_no_agent_is_not_killed_for_its_lock() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let store = Store::new();
    let mut first = store.session();
    assert_eq!(take(&mut first, "a", None), None);
    let file = store.kept().join("lock");
    let content = fs::read(&file).unwrap();
    let pid = first.child.id();
    assert_eq!(first.end().code(), Some(0));
    // It writes its own number where the agent's was, if that takes as many bytes.
    let script = "import fcntl,os,sys\nf=open(sys.argv[1],'r+b')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\nsys.stdin.read()";
    let mut holder = Command::new("python3")
        .args(["-c", script])
        .arg(&file)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    let varint = |mut number: u32| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
        bytes
    };
    let (old, new) = (varint(pid), varint(holder.id()));
    let mut forged = content.clone();
    forged.splice(6..6 + old.len(), new);
    let len = u32::try_from(forged.len() - 6).unwrap();
    forged[..4].copy_from_slice(&len.to_le_bytes());
    fs::write(&file, forged).unwrap();
    let mut second = store.session();
    assert_eq!(take(&mut second, "b", Some("lock-of-a")), Some(lease("a")));
    assert!(holder.try_wait().unwrap().is_none());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(take(&mut second, "b", None), None);
}
