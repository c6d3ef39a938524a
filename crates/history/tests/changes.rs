//! What changed on a host, at a path, by which run; and what goes when the history is pruned.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use hostler_change::{Before, Change, Delta, Outcome, Replaced};
use hostler_events::{ItemResult, RunEvent, RunId, Status};
use hostler_history::{ChangeFilter, Keep, PruneRequest, RunState, Store};
use hostler_journal::{Journal, Note, OwedHandler};
use hostler_value::Value;
use support::*;

fn changed(path: &str, text: &str) -> hostler_events::TaskResult {
    let mut changed = result(Status::Changed, Value::Null, 3);
    changed.deltas = vec![
        Delta::content(path, None, Some(text.as_bytes())),
        Delta::field(path, "mode", "0644", "0600"),
        Delta::action("unit nginx.service", "restart"),
    ];
    changed
}

fn write_run(store: &Store, name: &str, started_us: i64, text: &str, resumable: bool) {
    let mut new = new_run(name, &["web1"]);
    new.started_us = started_us;
    let writer = store.begin(&new).unwrap();
    let mut reporter = writer.reporter();
    reporter.event(&task_started(1));
    reporter.event(&task_finished(1, "web1", changed("/etc/motd", text)));
    writer.note(task(1));
    writer.note(intent(1, "web1", 0, 0));
    let replaced = |path: &str| Replaced {
        path: path.into(),
        before: Some(Before {
            uid: 0,
            gid: 0,
            mode: 0o644,
            sha256: [1; 32],
            content: Some(format!("before {text}").into_bytes()),
        }),
        after: None,
    };
    let outcome = Outcome {
        replaced: vec![replaced("/etc/motd"), replaced("/etc/other")],
        ..Outcome::default()
    };
    writer.note(answer(1, "web1", 0, 0, outcome));
    let state = if resumable {
        RunState::Failed
    } else {
        RunState::Finished
    };
    writer.finish(end(state, resumable)).unwrap();
}

#[test]
fn changes_are_found_by_host_and_subject_with_their_differences() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    write_run(&store, "run-1", now_us(), "one", false);
    write_run(&store, "run-2", now_us(), "two", false);
    let found = |subject: &str| {
        let filter = ChangeFilter {
            host: Some("web1".into()),
            subject: Some(subject.into()),
            ..ChangeFilter::default()
        };
        store.changes(&filter).unwrap()
    };
    let motd = found("/etc/motd");
    let runs: Vec<&str> = motd.iter().map(|it| it.run.0.as_str()).collect();
    assert_eq!(runs.len(), 2, "{motd:?}");
    for it in &motd {
        assert_eq!(
            (it.task_name.as_str(), it.who.as_str()),
            ("task 1", "alice@ctl")
        );
        assert_eq!(it.status, Some(Status::Changed));
        assert_eq!(it.deltas.len(), 2);
        let text = if it.run.0 == "run-1" { "one" } else { "two" };
        let Change::Text { after, .. } = &it.deltas[0].change else {
            panic!("{:?}", it.deltas[0]);
        };
        assert_eq!(after.as_deref(), Some(text));
    }
    // Replaced, and no event told of it.
    let other = found("/etc/other");
    assert_eq!(other.len(), 2);
    assert!(other[0].deltas.is_empty() && other[0].status.is_none());
    assert_eq!(found("/etc/").len(), 4);
    assert!(found("/etc/mot").is_empty());
    let of_run = ChangeFilter {
        run: Some(RunId("run-2".into())),
        limit: Some(2),
        ..ChangeFilter::default()
    };
    assert_eq!(store.changes(&of_run).unwrap().len(), 2);

    let run = RunId("run-2".into());
    assert_eq!(store.tasks(&run).unwrap()[0].name, "task 1");
    let results = store.results(&run).unwrap();
    assert_eq!(results[0].status, Status::Changed);
    let event = store.event(&run, results[0].seq).unwrap();
    assert!(matches!(event.event, RunEvent::TaskFinished { .. }));
}

#[test]
fn items_of_a_loop_tell_their_own_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let writer = store.begin(&new_run("run-1", &["web1"])).unwrap();
    let mut reporter = writer.reporter();
    reporter.event(&task_started(1));
    for index in 0..2 {
        reporter.event(&stamped(RunEvent::ItemFinished {
            task: hostler_events::TaskId(1),
            host: "web1".into(),
            item: ItemResult {
                index,
                label: index.to_string(),
                status: Status::Changed,
                ignored: false,
                value: Value::Null,
                message: None,
                deltas: vec![Delta::action(format!("package p{index}"), "install")],
                unknown: Vec::new(),
                forecast: None,
            },
        }));
    }
    let mut whole = result(Status::Changed, Value::Null, 3);
    whole.items = Some(2);
    whole.deltas = vec![Delta::action("package p0", "install")];
    reporter.event(&task_finished(1, "web1", whole));
    drop(reporter);
    drop(writer);
    let all = store.changes(&ChangeFilter::default()).unwrap();
    let subjects: Vec<_> = all
        .iter()
        .map(|it| (it.subject.as_str(), it.item))
        .collect();
    assert_eq!(subjects, [("package p1", Some(1)), ("package p0", Some(0))]);
}

fn names(store: &Store) -> Vec<String> {
    let runs = store.runs(&hostler_history::RunFilter::default()).unwrap();
    runs.into_iter().map(|it| it.run.0).collect()
}

fn keep(days: u32, runs: u32) -> PruneRequest {
    PruneRequest {
        keep: Keep {
            days,
            runs,
            bytes: None,
        },
        ..PruneRequest::default()
    }
}

#[test]
fn pruning_keeps_what_is_new_held_or_needed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let now = now_us();
    let day = 86_400_000_000;
    let long = |text: &str| text.repeat(100_000);
    write_run(&store, "plain-1", now - 5 * day, &long("shared"), false);
    write_run(&store, "needed", now - 4 * day, "needed", true);
    write_run(&store, "plain-2", now - 3 * day, &long("shared"), false);
    let mut owes = new_run("owes", &["web1"]);
    owes.started_us = now - 50 * day;
    let writer = store.begin(&owes).unwrap();
    let mut old = new_run("old", &["web1"]);
    old.started_us = now - 100 * day;
    drop(store.begin(&old).unwrap());
    writer.note(Note::Owed(OwedHandler {
        host: "web1".into(),
        playbook: "/srv/site.yml".into(),
        play: "web".into(),
        handler: "restart".into(),
        run: RunId("owes".into()),
    }));
    let mut held = new_run("held", &["web1"]);
    held.started_us = now - 200 * day;
    let holder = store.begin(&held).unwrap();

    // `held` is older still, but its process is here.
    let dry = PruneRequest {
        dry_run: true,
        ..keep(90, 1000)
    };
    let would: Vec<_> = store.prune(&dry).unwrap().runs;
    assert_eq!(would, [RunId("old".into())]);
    assert_eq!(names(&store).len(), 6);
    assert_eq!(store.prune(&keep(90, 1000)).unwrap().runs, would);

    writer.finish(end(RunState::Finished, false)).unwrap();
    assert!(names(&store).contains(&"plain-1".to_owned()));
    let by_count = store.prune(&keep(100_000, 1)).unwrap();
    assert_eq!(
        by_count.runs,
        [RunId("plain-1".into()), RunId("plain-2".into())]
    );
    assert_eq!(names(&store), ["needed", "owes", "held"]);
    let asked = PruneRequest {
        also_resumable: true,
        ..keep(100_000, 1)
    };
    assert_eq!(
        store.prune(&asked).unwrap().runs,
        [RunId("owes".into()), RunId("needed".into())]
    );
    let named = PruneRequest {
        runs: vec![RunId("held".into())],
        ..keep(90, 1000)
    };
    let refused = store.prune(&named).unwrap();
    assert_eq!((refused.runs.len(), refused.held.len()), (0, 1));
    drop(holder);
    let last = store.prune(&named).unwrap();
    assert_eq!(last.runs.len(), 1);
    assert!(names(&store).is_empty());
    // Nothing is left of what they stored.
    assert!(last.bytes_after < 300_000, "{}", last.bytes_after);
}

#[test]
fn a_shared_text_stays_as_long_as_one_run_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let long = "a long shared text ".repeat(200);
    write_run(&store, "run-1", now_us(), &long, false);
    write_run(&store, "run-2", now_us(), &long, false);
    let named = PruneRequest {
        runs: vec![RunId("run-1".into())],
        ..keep(100_000, 1000)
    };
    store.prune(&named).unwrap();
    let events = store.events(&RunId("run-2".into())).unwrap();
    let json: Vec<String> = events
        .map(|it| serde_json::to_string(&it.unwrap().event).unwrap())
        .collect();
    assert!(json[1].contains(&long));
    let replaced = store.replaced(&RunId("run-2".into()), None).unwrap();
    let before = replaced[0].file.before.as_ref().unwrap();
    assert_eq!(
        before.content.as_deref(),
        Some(format!("before {long}").as_bytes())
    );
}

#[test]
fn by_size_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for number in 0u64..6 {
        // Not compressible, so that each run takes its 200 KB.
        let mut state: u64 = number + 1;
        let noise: String = (0..200_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(b' ' + u8::try_from((state >> 33) % 95).unwrap())
            })
            .collect();
        write_run(&store, &format!("run-{number}"), now_us(), &noise, false);
    }
    let mut request = keep(100_000, 1000);
    request.keep.bytes = Some(1_000_000);
    let pruned = store.prune(&request).unwrap();
    assert!((1..6).contains(&pruned.runs.len()), "{pruned:?}");
    assert_eq!(pruned.runs[0].0, "run-0");
    assert!(pruned.bytes_after < 1_200_000, "{pruned:?}");
    assert_eq!(names(&store)[0], "run-5");
}

#[test]
fn a_run_that_is_given_up_cannot_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let run = RunId("run-1".into());
    let writer = store.begin(&new_run("run-1", &["web1"])).unwrap();
    store.abandon(&run).unwrap_err();
    drop(writer);
    store.abandon(&run).unwrap();
    let record = store.run(&run).unwrap();
    assert_eq!(record.summary.state, RunState::Interrupted);
    assert!(!record.summary.resumable);
    assert!(store.reopen(&run, "alice", None).is_err());
}
