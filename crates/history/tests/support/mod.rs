//! Runs that tests write down.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test uses some of it"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use hostler_change::Outcome;
use hostler_events::{
    Counts, Recap, RunEvent, RunId, Stamped, Status, TaskId, TaskInfo, TaskKind, TaskResult,
};
use hostler_history::{Input, Keep, NewRun, RunEnd, RunState, StateDir, Store};
use hostler_journal::{Execution, Finished, Intent, Note, Print};
use hostler_protocol::TaskKey;
use hostler_value::{Map, Value};

pub(crate) fn store(path: &Path) -> Store {
    Store::open(&StateDir::open(path).expect("a directory")).expect("a store")
}

/// Microseconds since the epoch.
pub(crate) fn now_us() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock");
    i64::try_from(since.as_micros()).expect("not yet")
}

pub(crate) fn new_run(name: &str, hosts: &[&str]) -> NewRun {
    NewRun {
        run: RunId(name.into()),
        started_us: now_us(),
        who: "alice@ctl".into(),
        version: "0.1.0".into(),
        request: serde_json::json!({"args": ["apply", "site.yml"], "extra": {"pw": "hunter2-request"}}),
        playbooks: vec!["/srv/site.yml".into()],
        inventory: vec!["hosts.ini".into()],
        check: false,
        inputs: vec![Input {
            path: "/srv/site.yml".into(),
            sha256: [7; 32],
        }],
        hosts: hosts.iter().map(|it| (*it).to_owned()).collect(),
        mandate: None,
        needs: None,
    }
}

pub(crate) fn end(state: RunState, resumable: bool) -> RunEnd {
    let mut recap = Recap::default();
    let counts = Counts {
        ok: 2,
        changed: 1,
        ..Counts::default()
    };
    recap.hosts.insert("web1".into(), counts);
    RunEnd {
        state,
        exit_code: 0,
        elapsed_us: 5,
        recap,
        resumable,
        keep: Keep::default(),
    }
}

pub(crate) fn execution(print: u8, occurrence: u32) -> Execution {
    Execution {
        play: 1,
        batch: 1,
        kind: TaskKind::Task,
        print: Print([print; 16]),
        occurrence,
    }
}

pub(crate) fn task(id: u32) -> Note {
    Note::Task {
        id: TaskId(id),
        execution: execution(u8::try_from(id % 250).expect("small"), 1),
        name: format!("task {id}"),
        module: "copy".into(),
    }
}

pub(crate) fn key(task: u32, host: &str, step: u32, attempt: u32) -> TaskKey {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&task.to_le_bytes());
    key[4..6].copy_from_slice(&[step, attempt].map(|it| u8::try_from(it).expect("small")));
    for (to, from) in key[6..].iter_mut().zip(host.bytes()) {
        *to = from;
    }
    TaskKey(key)
}

pub(crate) fn intent(task: u32, host: &str, step: u32, attempt: u32) -> Note {
    Note::Intent(Intent {
        task: TaskId(task),
        host: host.into(),
        step,
        attempt,
        key: key(task, host, step, attempt),
        place: host.into(),
        boot_id: "boot".into(),
        module: "copy".into(),
        request: Print([1; 16]),
        items: vec![0],
        repeatable: true,
    })
}

pub(crate) fn answer(task: u32, host: &str, step: u32, attempt: u32, outcome: Outcome) -> Note {
    Note::Answer {
        key: key(task, host, step, attempt),
        outcomes: BTreeMap::from([(0, outcome)]),
        unknown: false,
    }
}

pub(crate) fn result(status: Status, value: Value, duration_us: u64) -> TaskResult {
    TaskResult {
        status,
        ignored: false,
        rescued: false,
        value,
        message: None,
        hint: None,
        location: None,
        deltas: Vec::new(),
        warnings: Vec::new(),
        delegated_to: None,
        unreachable: None,
        censored: false,
        attempts: 1,
        items: None,
        incomplete: false,
        unknown: Vec::new(),
        forecast: None,
        duration_us,
    }
}

/// A value that JSON cannot hold.
pub(crate) fn odd_value() -> Value {
    let mut map = Map::new();
    map.insert(Value::Int(80), "http");
    map.insert(
        "big",
        Value::BigInt("123456789012345678901234567890".into()),
    );
    map.insert("list", Value::list([Value::Null, Value::Float(1.5)]));
    Value::from(map)
}

pub(crate) fn finished(task: u32, host: &str, result: TaskResult) -> Note {
    Note::Finished {
        task: TaskId(task),
        host: host.into(),
        finished: Box::new(Finished {
            registered: result.value.clone(),
            result,
            notified: vec!["restart".into()],
            facts: None,
            facts_host: host.into(),
            variables: None,
        }),
    }
}

pub(crate) fn stamped(event: RunEvent) -> Stamped {
    Stamped {
        at_us: 2_000_000,
        seq: 1,
        event,
    }
}

pub(crate) fn task_started(id: u32) -> Stamped {
    stamped(RunEvent::TaskStarted(TaskInfo {
        id: TaskId(id),
        name: format!("task {id}"),
        module: "copy".into(),
        kind: TaskKind::Task,
        location: None,
        hosts: 1,
        position: None,
    }))
}

pub(crate) fn task_finished(id: u32, host: &str, result: TaskResult) -> Stamped {
    stamped(RunEvent::TaskFinished {
        task: TaskId(id),
        host: host.into(),
        result: Box::new(result),
    })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(it) = future.as_mut().poll(&mut context) {
            return it;
        }
        std::thread::park();
    }
}
