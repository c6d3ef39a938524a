//! What becomes of a session when its connection does not hold, and the questions about what was sent before.

mod support;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hostler_protocol::{Item, Lease, TaskKey};
use hostler_transport::{
    Deadlines, Lane, Link, LocalEnvironment, NoBlobs, Reason, RunningTask, Session, SessionError,
    TaskMessage, TaskRequest, Unreachable,
};
use hostler_value::{Map, Value};
use support::{Sshd, image};
use tokio::time::Instant;

fn request(module: &str, items: u32) -> TaskRequest {
    let item = |index| Item {
        index,
        args: Value::from(Map::default()),
        payload: None,
    };
    TaskRequest {
        module: module.into(),
        items: (0..items).map(item).collect(),
        check: false,
        preview: None,
        allowed: None,
        diff: false,
        environment: vec![],
        stop_on_failure: false,
        key: None,
        keep_replaced: false,
        watch: false,
    }
}

/// What a task says, each message as words.
async fn told(mut task: RunningTask) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(message) = task.next().await {
        words.push(match message {
            Ok(TaskMessage::Done { index, outcome }) => {
                let said = outcome.fields.get("said").and_then(Value::as_str);
                format!("{index}: {}", said.unwrap_or_default())
            }
            Ok(TaskMessage::Output { bytes, .. }) => String::from_utf8_lossy(&bytes).into_owned(),
            Ok(TaskMessage::Progress(doing)) => doing,
            Ok(TaskMessage::Unresolved(why)) => format!("{why:?}"),
            Ok(TaskMessage::End) => "end".to_owned(),
            Err(error) => error.to_string(),
        });
    }
    words
}

async fn local(home: &tempfile::TempDir) -> Session {
    let home = ("HOME".into(), home.path().display().to_string());
    let link = Link::LocalWith(LocalEnvironment(vec![home]));
    start(link).await
}

async fn start(link: Link) -> Session {
    Session::start(link, image(), Arc::new(NoBlobs), Deadlines::default())
        .await
        .expect("session")
}

async fn lost(task: RunningTask) -> Unreachable {
    let mut task = task;
    match task.next().await {
        Some(Err(SessionError::Lost(lost))) => lost,
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn what_came_of_an_earlier_message_is_asked_for() {
    let home = tempfile::tempdir().expect("dir");
    let session = local(&home).await;
    for (byte, expected) in [
        (0, &["0: before", "end"][..]),
        (1, &["0: before", "AgentDied"]),
        (9, &["NeverBegan"]),
    ] {
        let task = session
            .resolve(Lane::FIRST, TaskKey([byte; 16]), [0, 1])
            .await;
        assert_eq!(told(task.expect("asked")).await, expected);
    }
    session
        .forget(Lane::FIRST, vec![TaskKey([0; 16]), TaskKey([1; 16])])
        .await
        .expect("told");
    let counts = session
        .run(Lane::FIRST, request("counts", 1))
        .await
        .expect("sent");
    assert_eq!(told(counts).await, ["0: 0 cancelled, 2 forgotten", "end"]);
}

#[tokio::test]
async fn a_task_is_cancelled_when_it_is_dropped_and_not_when_it_is_detached() {
    let home = tempfile::tempdir().expect("dir");
    let session = local(&home).await;
    let run = |module| session.run(Lane::FIRST, request(module, 1));
    run("wait").await.expect("sent").detach();
    let detached = run("counts").await.expect("sent");
    assert_eq!(told(detached).await, ["0: 0 cancelled, 0 forgotten", "end"]);
    drop(run("wait").await.expect("sent"));
    let dropped = run("counts").await.expect("sent");
    assert_eq!(told(dropped).await, ["0: 1 cancelled, 0 forgotten", "end"]);
    // One that has ended, however, is not.
    let unknown = session.resolve(Lane::FIRST, TaskKey([1; 16]), [0]).await;
    told(unknown.expect("asked")).await;
    let ended = run("counts").await.expect("sent");
    assert_eq!(told(ended).await, ["0: 1 cancelled, 0 forgotten", "end"]);
}

#[tokio::test]
async fn watching_is_asked_for_while_a_task_runs() {
    let home = tempfile::tempdir().expect("dir");
    let session = local(&home).await;
    let task = session
        .run(Lane::FIRST, request("wait", 1))
        .await
        .expect("sent");
    task.watch(true).await;
    task.watch(false).await;
    task.cancel().await;
    assert_eq!(
        told(task).await,
        ["watched: true", "watched: false", "0: cancelled", "end"]
    );
}

fn lease(run: &str) -> Lease {
    Lease {
        run: run.to_owned(),
        ..Lease::default()
    }
}

#[tokio::test]
async fn who_holds_a_lock_is_told_in_printable_words() {
    let home = tempfile::tempdir().expect("dir");
    let session = local(&home).await;
    let ours = session.lease(Lane::FIRST, lease("a"), None).await;
    assert_eq!(ours.expect("answer"), None);
    let other = session.lease(Lane::FIRST, lease("b"), None).await;
    let other = other.expect("answer").expect("held");
    assert!(
        other.run == "a" && other.id.starts_with("lock"),
        "{other:?}"
    );
    assert!(!other.id.contains('\u{1b}'));
    let broken = session.lease(Lane::FIRST, lease("b"), Some(other.id)).await;
    assert_eq!(broken.expect("answer"), None);
    tokio::time::pause();
    let silent = session.lease(Lane::FIRST, lease("silent"), None).await;
    assert!(matches!(
        silent.expect_err("none").reason,
        Reason::Timeout(_)
    ));
    tokio::time::resume();
}

#[tokio::test]
async fn answers_that_nobody_asked_for_end_the_session() {
    let home = tempfile::tempdir().expect("dir");
    for module in ["unasked-lock", "not-known"] {
        let session = local(&home).await;
        let task = session
            .run(Lane::FIRST, request(module, 1))
            .await
            .expect("sent");
        assert_eq!(lost(task).await.reason, Reason::AgentProtocol, "{module}");
    }
}

#[tokio::test]
async fn what_a_host_may_make_us_hold_is_bounded() {
    let home = tempfile::tempdir().expect("dir");
    let session = local(&home).await;
    let mut task = session
        .run(Lane::FIRST, request("babbles", 1))
        .await
        .expect("sent");
    let (mut bytes, mut messages, mut last) = (0, 0, None);
    // Nobody reads until all has come.
    let end = session
        .run(Lane::FIRST, request("ping", 1))
        .await
        .expect("sent");
    assert_eq!(told(end).await, ["0: ping", "end"]);
    while let Some(message) = task.next().await {
        messages += 1;
        match message.expect("message") {
            TaskMessage::Output { bytes: more, .. } => bytes += more.len(),
            message => last = Some(message),
        }
    }
    assert!(bytes > 0 && bytes <= 8 << 20, "{bytes}");
    assert!(messages < 70_000, "{messages}");
    assert!(matches!(last, Some(TaskMessage::End)));
    let task = session
        .run(Lane::FIRST, request("bloats", 40))
        .await
        .expect("sent");
    let words = told(task).await;
    let why = words.last().expect("words");
    assert!(why.contains("larger than any real ones"), "{why}");
    assert!(words.len() < 20);
}

/// A way to a server that can be cut, or can swallow all that comes.
struct Way {
    port: u16,
    hole: Arc<AtomicBool>,
    ends: std::sync::mpsc::Receiver<(TcpStream, TcpStream)>,
}

impl Way {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let own = listener.local_addr().expect("address").port();
        let hole = Arc::new(AtomicBool::new(false));
        let (sender, ends) = std::sync::mpsc::channel();
        let swallows = Arc::clone(&hole);
        std::thread::spawn(move || {
            let (near, _) = listener.accept().expect("accept");
            let far = TcpStream::connect(("127.0.0.1", port)).expect("connect");
            let twin = |it: &TcpStream| it.try_clone().expect("clone");
            for (from, to) in [(twin(&near), twin(&far)), (twin(&far), twin(&near))] {
                let swallows = Arc::clone(&swallows);
                std::thread::spawn(move || copy(from, to, &swallows));
            }
            sender.send((near, far)).expect("test");
        });
        Self {
            port: own,
            hole,
            ends,
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, hole: &AtomicBool) {
    use std::io::{Read as _, Write as _};
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            let _other_end_may_be_gone = to.shutdown(Shutdown::Write);
            return;
        }
        if !hole.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

async fn over(way: &Way, sshd: &Sshd) -> Session {
    start(link_over(way, sshd).await).await
}

async fn link_over(way: &Way, sshd: &Sshd) -> Link {
    let known = format!(
        "[127.0.0.1]:{} {}\n",
        way.port,
        sshd.public_key("hk_ed25519")
    );
    std::fs::write(sshd.path("known_hosts"), known).expect("known_hosts");
    let mut target = sshd.target();
    target.port = Some(way.port);
    let connection = sshd.connector().connect(&target).await.expect("connected");
    Link::Ssh(Box::new(connection))
}

#[tokio::test]
async fn a_cut_is_noticed_at_once() {
    let sshd = Sshd::start(&["ed25519"], "");
    let way = Way::to(sshd.port);
    let session = over(&way, &sshd).await;
    let task = session
        .run(Lane::FIRST, request("wait", 1))
        .await
        .expect("sent");
    let (near, far) = way.ends.recv().expect("ends");
    near.shutdown(Shutdown::Both).expect("shutdown");
    // Whoever copies between the two may have passed it on already.
    let _passed_on = far.shutdown(Shutdown::Both);
    let start = Instant::now();
    assert_eq!(lost(task).await.reason, Reason::Lost);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(session.ping(Duration::from_secs(1)).await.is_err());
}

#[tokio::test]
async fn silence_is_noticed_within_45_seconds() {
    let sshd = Sshd::start(&["ed25519"], "");
    let way = Way::to(sshd.port);
    let session = over(&way, &sshd).await;
    let task = session
        .run(Lane::FIRST, request("wait", 1))
        .await
        .expect("sent");
    session.ping(Duration::from_secs(10)).await.expect("pong");
    way.hole.store(true, Ordering::SeqCst);
    // Nothing comes any more, so the clock may jump.
    tokio::time::pause();
    let start = Instant::now();
    assert_eq!(lost(task).await.reason, Reason::Lost);
    let waited = start.elapsed();
    assert!(
        waited > Duration::from_secs(20) && waited <= Duration::from_secs(45),
        "{waited:?}"
    );
    // Who sends meanwhile is not stuck for longer either.
    let sent = session.run(Lane::FIRST, request("wait", 1)).await;
    assert!(matches!(sent, Err(SessionError::Lost(_))));
}

/// Stops a process, or has it go on.
fn signal(pid: u32, signal: &str) {
    let kill = std::process::Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(kill.expect("kill").success());
}

#[tokio::test]
async fn an_agent_that_is_stopped_on_a_connection_that_lives_counts_as_lost() {
    let sshd = Sshd::start(&["ed25519"], "");
    let link = link_over(&Way::to(sshd.port), &sshd).await;
    let deadlines = Deadlines {
        silence: Duration::from_secs(2),
        ..Deadlines::default()
    };
    let session = Session::start(link, image(), Arc::new(NoBlobs), deadlines)
        .await
        .expect("session");
    let mut task = session
        .run(Lane::FIRST, request("wait", 1))
        .await
        .expect("sent");
    // As long as it answers, a task may take its time.
    let first = tokio::time::timeout(Duration::from_secs(5), task.next()).await;
    assert!(!matches!(first, Ok(Some(Err(_)))), "it answers: {first:?}");
    let pid = session.hello().pid;
    signal(pid, "-STOP");
    let stopped = Instant::now();
    let lost = lost(task).await;
    signal(pid, "-CONT");
    assert_eq!(lost.reason, Reason::Lost);
    assert!(lost.detail.contains("said nothing for 2 s"), "{lost}");
    assert!(stopped.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn sending_much_into_silence_ends_in_time_too() {
    let sshd = Sshd::start(&["ed25519"], "");
    let way = Way::to(sshd.port);
    let session = over(&way, &sshd).await;
    session.ping(Duration::from_secs(10)).await.expect("pong");
    way.hole.store(true, Ordering::SeqCst);
    let mut large = request("wait", 1);
    large.environment = vec![("BIG".to_owned(), "x".repeat(8 << 20))];
    let start = Instant::now();
    tokio::time::pause();
    let error = loop {
        match session.run(Lane::FIRST, large.clone()).await {
            Ok(task) => task.detach(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SessionError::Lost(_)));
    let waited = start.elapsed();
    assert!(waited <= Duration::from_secs(45), "{waited:?}");
}

#[tokio::test]
async fn a_local_agent_is_left_to_end_by_itself() {
    let home = tempfile::tempdir().expect("dir");
    let session = local(&home).await;
    let pid = session.hello().pid;
    drop(session);
    let gone = async {
        while std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z"))
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("it ends");
}
