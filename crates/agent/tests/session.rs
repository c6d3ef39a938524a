//! The real binary over pipes: protocol, isolation, cancelling, content from the controller.

mod support;

use std::fs;

use hostler_change::Content;
use hostler_protocol::{Blob, FrameError, FromAgent, HEADER_LEN, ToAgent};
use hostler_value::Value;
use sha2::{Digest, Sha256};
use support::{Session, item, item_with};

#[test]
fn greets_answers_and_ends_with_its_input() {
    let mut session = Session::start();
    let hello = session.hello(0);
    let binary = fs::read(env!("CARGO_BIN_EXE_hostler-agent")).unwrap();
    assert_eq!(hello.sha256, <[u8; 32]>::from(Sha256::digest(binary)));
    assert_eq!(hello.pid, session.child.id());
    assert!(!hello.user.is_empty() && hello.home.starts_with('/') && hello.clock_us > 0);
    session.send(0, &ToAgent::Ping(7));
    assert!(matches!(session.receive(), (0, FromAgent::Pong(7))));
    assert_eq!(session.end().code(), Some(0));
}

#[test]
fn runs_modules_and_says_which_it_does_not_have() {
    let mut session = Session::greeted();
    let pong = session.run("ping", &[]);
    assert_eq!(pong.fields.get("ping"), Some(&"pong".into()));
    let missing = session.run("no_such_module", &[]);
    assert!(
        missing
            .failed
            .unwrap()
            .msg
            .contains("no module `no_such_module`")
    );
}

#[test]
fn a_long_loop_is_one_request_and_few_pieces() {
    let mut session = Session::greeted();
    let items = (0..1000).map(|index| item(index, &[])).collect();
    let run = session.task("ping", items);
    session.reads = 0;
    assert_eq!(session.run_task(0, run).len(), 1000);
    assert!(session.reads < 100, "{} reads", session.reads);
}

#[test]
fn garbage_ends_the_agent_and_is_told() {
    for bytes in [
        vec![0xff; 64],
        [4, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff].to_vec(),
    ] {
        let mut session = Session::greeted();
        session.send_raw(&bytes);
        assert!(session.try_receive().is_none());
        assert_eq!(session.end().code(), Some(2));
    }
    let huge = FrameError::TooLong(usize::MAX).to_string();
    assert!(huge.contains("at most"));
}

#[test]
fn frames_for_lanes_that_are_not_there_do_no_harm() {
    let mut session = Session::greeted();
    session.send(9, &ToAgent::Ping(1));
    session.send(0, &ToAgent::Ping(2));
    assert!(matches!(session.receive(), (0, FromAgent::Pong(2))));
}

#[test]
fn stops_a_loop_at_the_first_failure_if_asked() {
    let mut session = Session::greeted();
    let line = |line: &str| [("_raw_params", Value::str(line))];
    let items = vec![
        item(0, &line("true")),
        item(1, &line("false")),
        item(2, &line("true")),
    ];
    let mut run = session.task("command", items);
    run.stop_on_failure = true;
    let outcomes = session.run_task(0, run);
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes[0].failed.is_none() && outcomes[1].failed.is_some());
}

#[test]
fn the_tasks_environment_reaches_its_programs() {
    let mut session = Session::greeted();
    let mut run = session.task("shell", vec![item(0, &[("cmd", "echo $HOSTLER_A".into())])]);
    run.environment = vec![("HOSTLER_A".into(), "b c".into())];
    let outcome = session.run_task(0, run).pop().unwrap();
    assert_eq!(outcome.fields.get("stdout"), Some(&"b c".into()));
    let next = session.run("shell", &[("cmd", "echo $HOSTLER_A".into())]);
    assert_eq!(next.fields.get("stdout"), Some(&"".into()));
}

#[test]
fn cancelling_kills_the_programs_and_leaves_other_tasks_alone() {
    let dir = tempfile::tempdir().unwrap();
    let started = dir.path().join("started");
    let mut session = Session::greeted();
    let line = format!(
        "echo $$ > {}.tmp; mv {0}.tmp {0}; sleep 1000 | sleep 1000",
        started.display()
    );
    let items = vec![
        item(0, &[("cmd", line.into())]),
        item(1, &[("cmd", "true".into())]),
    ];
    let run = session.task("shell", items);
    let number = session.begin(0, run);
    // Tasks run side by side: this one waits until the other has started.
    let wait = format!("while ! test -e {}; do sleep 0.01; done", started.display());
    let waiting = session.task("shell", vec![item(0, &[("cmd", wait.into())])]);
    assert!(session.run_task(0, waiting)[0].failed.is_none());
    session.send(0, &ToAgent::Cancel { task: number });
    let outcomes = session.outcomes(0, number);
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert_eq!(outcome.failed.unwrap().msg, "the task was cancelled");
    }
    let shell = fs::read_to_string(&started).unwrap();
    assert!(!fs::exists(format!("/proc/{}", shell.trim())).unwrap());
    assert!(session.run("ping", &[]).failed.is_none());
}

#[test]
fn the_end_of_the_connection_ends_running_programs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let mut session = Session::greeted();
    let line = format!(
        "echo $$ > {}.tmp; mv {0}.tmp {0}; exec sleep 1000",
        file.display()
    );
    let run = session.task("shell", vec![item(0, &[("cmd", line.into())])]);
    session.begin(0, run);
    let wait = format!("while ! test -e {}; do sleep 0.01; done", file.display());
    let waiting = session.task("shell", vec![item(0, &[("cmd", wait.into())])]);
    session.run_task(0, waiting);
    assert!(session.end().success());
    let pid = fs::read_to_string(&file).unwrap();
    assert!(!fs::exists(format!("/proc/{}", pid.trim())).unwrap());
}

fn blob(content: &[u8]) -> Content {
    Content::Blob {
        sha256: Sha256::digest(content).into(),
        size: content.len() as u64,
    }
}

fn answer_need(session: &mut Session, content: &[u8]) {
    let sha256: [u8; 32] = Sha256::digest(content).into();
    match session.receive() {
        (0, FromAgent::NeedBlob { sha256: wanted }) if wanted == sha256 => {}
        other => panic!("unexpected {other:?}"),
    }
    let mut offset = 0;
    for bytes in content.chunks(Blob::PIECE_MAX) {
        let end = offset + bytes.len();
        let piece = Blob {
            sha256,
            offset: offset as u64,
            bytes: bytes.to_vec(),
            last: end == content.len(),
        };
        session.send(0, &ToAgent::Blob(piece));
        offset = end;
    }
}

#[test]
fn large_content_is_asked_for_once_and_only_if_it_differs() {
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 253) as u8).collect();
    let mut session = Session::greeted();
    let to = |name: &str| {
        [(
            "dest",
            Value::from(dir.path().join(name).display().to_string()),
        )]
    };
    let mut second = item_with(blob(&content), &to("b"));
    second.index = 1;
    let run = session.task("copy", vec![item_with(blob(&content), &to("a")), second]);
    let number = session.begin(0, run);
    answer_need(&mut session, &content);
    let outcomes = session.outcomes(0, number);
    assert!(
        outcomes.iter().all(|it| it.changed && it.failed.is_none()),
        "{outcomes:?}"
    );
    assert!(fs::read(dir.path().join("a")).unwrap() == content);
    assert!(fs::read(dir.path().join("b")).unwrap() == content);
    let run = session.task("copy", vec![item_with(blob(&content), &to("a"))]);
    assert!(!session.run_task(0, run)[0].changed);
}

#[test]
fn forged_or_missing_content_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old").unwrap();
    let args = [("dest", Value::from(path.display().to_string()))];
    let mut session = Session::greeted();
    let run = session.task("copy", vec![item_with(blob(b"wanted"), &args)]);
    let number = session.begin(0, run);
    let (_, FromAgent::NeedBlob { sha256 }) = session.receive() else {
        panic!()
    };
    let forged = Blob {
        sha256,
        offset: 0,
        bytes: b"forged".to_vec(),
        last: true,
    };
    session.send(0, &ToAgent::Blob(forged));
    let msg = session
        .outcomes(0, number)
        .pop()
        .unwrap()
        .failed
        .unwrap()
        .msg;
    assert!(msg.contains("announced hash"), "{msg}");
    let run = session.task("copy", vec![item_with(blob(b"other!"), &args)]);
    let number = session.begin(0, run);
    let (_, FromAgent::NeedBlob { sha256 }) = session.receive() else {
        panic!()
    };
    let reason = "the file changed".to_owned();
    session.send(0, &ToAgent::NoBlob { sha256, reason });
    let msg = session
        .outcomes(0, number)
        .pop()
        .unwrap()
        .failed
        .unwrap()
        .msg;
    assert!(msg.contains("the file changed"), "{msg}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(HEADER_LEN, 6);
}
