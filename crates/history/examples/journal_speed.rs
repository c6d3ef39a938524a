//! How fast a run is written down: `cargo run --release -p hostler-history --example journal_speed [HOSTS] [TASKS] [DIR]`.
//!
//! Each host takes its tasks at its own pace, as in a run: an intent that is waited for, an answer, a result, two events.
//! Give a DIR on the disk that is meant; a temporary one is often in memory.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use hostler_change::Outcome;
use hostler_events::{RunEvent, RunId, Stamped, Status, TaskId, TaskInfo, TaskKind, TaskResult};
use hostler_history::{Keep, NewRun, RunEnd, RunState, RunWriter, StateDir, Store};
use hostler_journal::{Execution, Finished, Intent, Journal, Note, Print};
use hostler_protocol::TaskKey;
use hostler_value::{Map, Value};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
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

fn result(host: u32, task: u32) -> TaskResult {
    let mut value = Map::new();
    value.insert("changed", host.is_multiple_of(5));
    value.insert("dest", "/etc/example/example.conf");
    value.insert("checksum", "6adf97f83acf6453d4a6a4b1070f3754");
    value.insert("uid", 0i64);
    TaskResult {
        status: if host.is_multiple_of(5) {
            Status::Changed
        } else {
            Status::Ok
        },
        ignored: false,
        rescued: false,
        value: Value::from(value),
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
        duration_us: u64::from(host * 31 + task),
    }
}

fn key(host: u32, task: u32) -> TaskKey {
    TaskKey((u128::from(task) << 64 | u128::from(host)).to_le_bytes())
}

fn intent(host: u32, task: u32) -> Note {
    Note::Intent(Intent {
        task: TaskId(task),
        host: format!("web{host:03}"),
        step: 0,
        attempt: 0,
        key: key(host, task),
        place: format!("web{host:03}"),
        boot_id: "0f5e4c0e-7c8f-4a53-9d55-7c1f5f4f9f35".into(),
        module: "template".into(),
        request: Print([3; 16]),
        items: vec![0],
        repeatable: true,
    })
}

fn begin_task(writer: &RunWriter, task: u32, hosts: u32) -> Stamped {
    writer.note(Note::Task {
        id: TaskId(task),
        execution: Execution {
            play: 1,
            batch: 1,
            kind: TaskKind::Task,
            print: Print(u128::from(task).to_le_bytes()),
            occurrence: task,
        },
        name: format!("Task number {task}"),
        module: "template".into(),
    });
    stamped(RunEvent::TaskStarted(TaskInfo {
        id: TaskId(task),
        name: format!("Task number {task}"),
        module: "template".into(),
        kind: TaskKind::Task,
        location: None,
        hosts,
        position: None,
    }))
}

fn stamped(event: RunEvent) -> Stamped {
    Stamped {
        at_us: 1_700_000_000_000_000,
        seq: 1,
        event,
    }
}

/// The tellers of events are many here, and one in a run.
type Teller = Mutex<Box<dyn hostler_events::Reporter>>;

fn tell(teller: &Teller, event: &Stamped) {
    if let Ok(mut reporter) = teller.lock() {
        reporter.event(event);
    }
}

/// A task on a host; how long its intent was waited for.
fn on_host(writer: &RunWriter, teller: &Teller, host: u32, task: u32) -> Option<Duration> {
    let name = format!("web{host:03}");
    writer.note(intent(host, task));
    let asked = Instant::now();
    wait(writer.sync()).ok()?;
    let waited = asked.elapsed();
    writer.note(Note::Answer {
        key: key(host, task),
        outcomes: BTreeMap::from([(0, Outcome::default())]),
        unknown: false,
    });
    let result = result(host, task);
    writer.note(Note::Finished {
        task: TaskId(task),
        host: name.clone(),
        finished: Box::new(Finished {
            registered: result.value.clone(),
            result: result.clone(),
            notified: vec![],
            facts: None,
            facts_host: name.clone(),
            variables: None,
        }),
    });
    let event = RunEvent::TaskFinished {
        task: TaskId(task),
        host: name,
        result: Box::new(result),
    };
    tell(teller, &stamped(event));
    Some(waited)
}

fn begin(store: &Store) -> hostler_history::Result<RunWriter> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    store.begin(&NewRun {
        run: RunId(format!("speed-{}", std::process::id())),
        started_us: i64::try_from(since.as_micros()).unwrap_or_default(),
        who: "bench@here".into(),
        version: "0".into(),
        request: serde_json::Value::Null,
        playbooks: vec![],
        inventory: vec![],
        check: false,
        inputs: vec![],
        hosts: vec![],
        mandate: None,
        needs: None,
    })
}

/// All tasks on all hosts; how long each intent was waited for.
fn write(writer: &RunWriter, hosts: u32, tasks: u32) -> Vec<Duration> {
    let teller: Teller = Mutex::new(writer.reporter());
    let mut all = Vec::new();
    for task in 1..=tasks {
        tell(&teller, &begin_task(writer, task, hosts));
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..hosts)
                .map(|host| {
                    let teller = &teller;
                    scope.spawn(move || on_host(writer, teller, host, task))
                })
                .collect();
            all.extend(threads.into_iter().filter_map(|it| it.join().ok()?));
        });
    }
    all.sort();
    all
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let hosts: u32 = args.next().map_or(Ok(200), |it| it.parse())?;
    let tasks: u32 = args.next().map_or(Ok(20), |it| it.parse())?;
    let temporary = tempfile::tempdir()?;
    let dir = args
        .next()
        .map_or_else(|| temporary.path().join("state"), Into::into);
    let store = Store::open(&StateDir::open(&dir)?)?;
    let writer = begin(&store)?;
    let before = Instant::now();
    let waited = write(&writer, hosts, tasks);
    wait(writer.sync())?;
    let took = before.elapsed();
    let database = rusqlite::Connection::open(store.dir().database())?;
    let commits: u32 = database.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?;
    let size = store.size()?;
    let asked = Instant::now();
    let memory = wait(writer.recall(&[]))?;
    let remembered = asked.elapsed();
    writer.finish(RunEnd {
        state: RunState::Finished,
        exit_code: 0,
        elapsed_us: 0,
        recap: hostler_events::Recap::default(),
        resumable: false,
        keep: Keep::default(),
    })?;
    let notes = f64::from(tasks * (1 + 3 * hosts));
    let per_task = f64::from(commits) / f64::from(tasks);
    let at = |part: usize| {
        let place = waited.len().saturating_sub(1) * part / 100;
        waited.get(place).copied().unwrap_or_default()
    };
    let results = u64::from(hosts * tasks);
    println!("{hosts} hosts x {tasks} tasks in {took:.2?}");
    println!("{:.0} notes a second", notes / took.as_secs_f64());
    println!("{per_task:.1} commits (each one fsync) for a task on all hosts");
    println!(
        "an intent is durable after {:.2?} (half), {:.2?} (99 of 100)",
        at(50),
        at(99)
    );
    println!(
        "{} bytes on disk for a result on a host while it runs, {} afterwards",
        size / results,
        used(&database)? / results
    );
    println!(
        "{} tasks remembered in {remembered:.2?}",
        memory.tasks.len()
    );
    Ok(())
}

/// Bytes of the database that are in use.
fn used(database: &rusqlite::Connection) -> Result<u64, Failure> {
    let number = |name: &str| -> Result<u64, Failure> {
        let number: i64 = database.pragma_query_value(None, name, |row| row.get(0))?;
        Ok(number.cast_unsigned())
    };
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}
