//! What a run may do is kept with it until nothing is left to resume; so is a run that another one needs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use hostler_events::RunId;
use hostler_history::{Keep, NewRun, PruneRequest, RunState, Store};
use support::{end, new_run, now_us, store};

const SECRET: &str = "hunter2-mandate";

fn begin(
    store: &Store,
    name: &str,
    days_ago: i64,
    needs: Option<&str>,
) -> hostler_history::RunWriter {
    let new = NewRun {
        started_us: now_us() - days_ago * 86_400_000_000,
        mandate: needs.map(|_| SECRET.repeat(3).into_bytes()),
        needs: needs.map(|it| RunId(it.into())),
        ..new_run(name, &["web1"])
    };
    store.begin(&new).unwrap()
}

fn keep(days: u32, runs: u32) -> Keep {
    Keep {
        days,
        runs,
        bytes: None,
    }
}

fn left(store: &Store) -> Vec<String> {
    let runs = store.runs(&hostler_history::RunFilter::default()).unwrap();
    runs.into_iter().map(|it| it.run.0).collect()
}

#[test]
fn kept_sealed_until_nothing_is_left_to_resume() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let (run, plain) = (RunId("run-1".into()), RunId("run-0".into()));
    drop(begin(&store, "run-0", 0, None));
    assert_eq!(store.mandate(&plain).unwrap(), None);
    let writer = begin(&store, "run-1", 0, Some("run-0"));
    let kept = || store.mandate(&run).unwrap();
    assert_eq!(kept(), Some(SECRET.repeat(3).into_bytes()));
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let there = bytes
            .windows(SECRET.len())
            .any(|it| it == SECRET.as_bytes());
        assert!(!there, "it is not stored in plain");
    }
    writer.finish(end(RunState::Failed, true)).unwrap();
    drop(writer);
    assert!(kept().is_some());
    let (writer, _, _) = store.reopen(&run, "alice", None).unwrap();
    assert!(kept().is_some());
    writer.finish(end(RunState::Finished, false)).unwrap();
    assert_eq!(kept(), None);
    assert!(store.mandate(&RunId("run-2".into())).is_err());
}

#[test]
fn a_run_that_another_needs_stays_as_long_as_that_one_may_be_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let over = end(RunState::Finished, false);
    for (name, days) in [("old", 95), ("other", 94)] {
        let writer = begin(&store, name, days, None);
        let mut over = over.clone();
        over.keep = keep(1000, 1000);
        writer.finish(over).unwrap();
    }
    let undoing = begin(&store, "undoing", 1, Some("old"));
    drop(undoing);
    let request = |days, runs| PruneRequest {
        keep: keep(days, runs),
        ..PruneRequest::default()
    };
    store.prune(&request(90, 1000)).unwrap();
    assert_eq!(left(&store), ["undoing", "old"], "by age");
    store.prune(&request(90, 1)).unwrap();
    assert_eq!(left(&store), ["undoing", "old"], "by number");
    store.abandon(&RunId("undoing".into())).unwrap();
    store.prune(&request(90, 1000)).unwrap();
    assert_eq!(left(&store), ["undoing"]);
    store.prune(&request(0, 1000)).unwrap();
    assert_eq!(left(&store), [""; 0]);
}
