//! Writes the seeds that are not text, `cargo run --example seeds`: again whenever a message or a note gets another form.

use std::fs;
use std::path::Path;

use hostler_change::{Before, Outcome, Replaced};
use hostler_events::{RunEvent, Stamped, Status, TaskId, TaskKind, TaskResult};
use hostler_journal::{Execution, Finished, Intent, Print};
use hostler_protocol::{
    FromAgent, Hello, Item, LaneError, LaneErrorKind, Lease, Maker, RunTask, TaskKey, ToAgent,
    Unresolved, encode,
};
use hostler_value::{Map, Value};

fn main() {
    let talk = [
        FromAgent::Progress {
            task: 1,
            doing: "waits for the lock".into(),
        },
        FromAgent::Output {
            task: 1,
            is_stderr: true,
            bytes: b"warning\x1b[31m\n".to_vec(),
        },
        FromAgent::Done {
            task: 1,
            index: 0,
            outcome: Box::new(outcome()),
        },
        FromAgent::End { task: 1 },
        FromAgent::Pong(7),
    ];
    let odd = [
        FromAgent::Hello(hello()),
        FromAgent::Leased {
            held_by: Some(Lease {
                id: "l1".into(),
                run: "r1".into(),
                who: "bob@ctl".into(),
                since_us: 5,
            }),
        },
        FromAgent::NeedBlob { sha256: [3; 32] },
        FromAgent::Unresolved {
            task: 2,
            why: Unresolved::AgentDied,
        },
        FromAgent::LaneFailed(LaneError {
            lane: 1,
            kind: LaneErrorKind::PasswordWrong,
            message: "sorry".into(),
        }),
        FromAgent::LaneClosed {
            lane: 1,
            reason: "killed".into(),
        },
    ];
    for target in ["frames", "session"] {
        write(target, "talk", &frames(&talk));
        write(target, "odd", &frames(&odd));
    }
    let asked = [
        ToAgent::Run(run()),
        ToAgent::Ping(7),
        ToAgent::Cancel { task: 1 },
    ];
    write(
        "frames",
        "asked",
        &asked
            .iter()
            .flat_map(|it| encode(0, it).expect("small"))
            .collect::<Vec<u8>>(),
    );

    write("journal", "finished", &pack(&finished()));
    write("journal", "outcome", &pack(&outcome()));
    write("journal", "intent", &pack(&intent()));
    write("journal", "execution", &pack(&execution()));
    write("journal", "value", &pack(&value()));
    let stamped = Stamped {
        seq: 1,
        at_us: 2,
        event: RunEvent::TaskEnded { task: TaskId(1) },
    };
    write("journal", "event.json", &json(&stamped));
    write("journal", "result.json", &json(&finished().result));
    write("journal", "value.json", &json(&value()));
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join(name), bytes).expect("a file");
}

fn frames(messages: &[FromAgent]) -> Vec<u8> {
    // A hello comes on the lane that was opened.
    let lane = |it: &FromAgent| u16::from(matches!(it, FromAgent::Hello(_)));
    messages
        .iter()
        .flat_map(|it| encode(lane(it), it).expect("small"))
        .collect()
}

fn pack<T: serde::Serialize>(it: &T) -> Vec<u8> {
    postcard::to_allocvec(it).expect("it can be written")
}

fn json<T: serde::Serialize>(it: &T) -> Vec<u8> {
    serde_json::to_vec(it).expect("it can be written")
}

fn value() -> Value {
    let mut map = Map::new();
    map.insert(
        "a",
        Value::list([Value::Int(-1), Value::Null, Value::Float(1.5)]),
    );
    map.insert(Value::Int(80), "http");
    map.insert(
        "big",
        Value::BigInt("123456789012345678901234567890".into()),
    );
    map.insert("t", true);
    Value::from(map)
}

fn outcome() -> Outcome {
    Outcome {
        changed: true,
        fields: value().as_map().cloned().unwrap_or_default(),
        facts: Some(Map::new()),
        warnings: vec!["careful".into()],
        replaced: vec![Replaced {
            path: "/etc/motd".into(),
            before: Some(Before {
                uid: 1,
                gid: 2,
                mode: 0o640,
                sha256: [3; 32],
                content: Some(b"old".to_vec()),
            }),
            after: None,
        }],
        ..Outcome::failure("no")
    }
}

fn hello() -> Hello {
    Hello {
        sha256: [7; 32],
        maker: Maker {
            uid: 0,
            gid: 0,
            umask: 0o22,
        },
        user: "root".into(),
        home: "/root".into(),
        hostname: "web1".into(),
        boot_id: "b".into(),
        clock_us: 1,
        pid: 2,
        keeps_results: true,
    }
}

fn run() -> RunTask {
    RunTask {
        task: 1,
        module: "copy".into(),
        items: vec![Item {
            index: 0,
            args: value(),
            payload: None,
        }],
        preview: None,
        allowed: None,
        check: false,
        diff: true,
        environment: vec![("LANG".into(), "C".into())],
        stop_on_failure: true,
        key: Some(TaskKey([9; 16])),
        keep_replaced: true,
        watch: true,
    }
}

fn execution() -> Execution {
    Execution {
        play: 1,
        batch: 1,
        kind: TaskKind::Task,
        print: Print([4; 16]),
        occurrence: 3,
    }
}

fn intent() -> Intent {
    Intent {
        task: TaskId(1),
        host: "web1".into(),
        step: 0,
        attempt: 0,
        key: TaskKey([9; 16]),
        place: "web1".into(),
        boot_id: "b".into(),
        module: "copy".into(),
        request: Print([1; 16]),
        items: vec![0, 1],
        repeatable: true,
    }
}

fn finished() -> Finished {
    Finished {
        result: TaskResult {
            status: Status::Changed,
            ignored: false,
            rescued: false,
            value: value(),
            message: Some("done".into()),
            hint: None,
            location: None,
            deltas: Vec::new(),
            warnings: Vec::new(),
            delegated_to: None,
            unreachable: None,
            censored: false,
            attempts: 1,
            items: Some(2),
            incomplete: false,
            unknown: Vec::new(),
            forecast: None,
            duration_us: 5,
        },
        registered: value(),
        notified: vec!["restart".into()],
        facts: None,
        facts_host: "web1".into(),
        variables: Some(Map::new()),
    }
}
