//! What is written down comes back as it was.

mod support;

use hostler_change::{Before, Delta, Outcome, Replaced};
use hostler_events::{RunEvent, RunId, Stamped, Status, TaskId};
use hostler_history::{RunFilter, RunState, StoreError};
use hostler_journal::{Journal, Note, OwedHandler};
use hostler_value::Value;
use support::*;

fn outcome() -> Outcome {
    Outcome {
        changed: true,
        fields: odd_value().as_map().cloned().unwrap_or_default(),
        replaced: vec![Replaced {
            path: "/etc/motd".into(),
            before: Some(Before {
                uid: 1,
                gid: 2,
                mode: 0o640,
                sha256: [3; 32],
                content: Some(b"old motd\n".to_vec()),
            }),
            after: Some([4; 32]),
        }],
        ..Outcome::default()
    }
}

#[test]
fn a_run_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let run = RunId("run-1".into());
    {
        let writer = store.begin(&new_run("run-1", &["web1", "web2"])).unwrap();
        writer.note(task(1));
        writer.note(intent(1, "web1", 0, 0));
        wait(writer.sync()).unwrap();
        writer.note(answer(1, "web1", 0, 0, outcome()));
        writer.note(finished(
            1,
            "web1",
            result(Status::Changed, odd_value(), 77),
        ));
        writer.note(intent(1, "web2", 0, 0));
        writer.note(intent(1, "web2", 0, 1));
        wait(writer.sync()).unwrap();
        let recalled = wait(writer.recall(&["web2".to_owned()])).unwrap();
        let hosts = &recalled.tasks[&execution(1, 1)].hosts;
        assert!(hosts.contains_key("web2") && !hosts.contains_key("web1"));
        // The writer goes without an end.
    }
    let summary = &store.runs(&RunFilter::default()).unwrap()[0];
    assert_eq!(summary.state, RunState::Interrupted);
    assert!(summary.resumable && summary.held.is_none());

    let (writer, memory, record) = store.reopen(&run, "bob@ctl", None).unwrap();
    assert_eq!(record.request["extra"]["pw"], "hunter2-request");
    assert_eq!(record.inputs[0].sha256, [7; 32]);
    assert_eq!(memory.last_task, 1);
    let task = &memory.tasks[&execution(1, 1)];
    assert_eq!(task.id, TaskId(1));
    let web1 = &task.hosts["web1"];
    let (outcomes, unknown) = web1.steps[&0][0].answer.as_ref().unwrap();
    assert!(!unknown);
    let mut expected = outcome();
    expected.replaced.clear();
    assert_eq!(outcomes[&0], expected);
    let finished = web1.finished.as_ref().unwrap();
    assert_eq!(finished.registered, odd_value());
    assert_eq!(finished.result.value, odd_value());
    assert_eq!(finished.result.duration_us, 77);
    let web2 = &task.hosts["web2"];
    assert_eq!(web2.steps[&0].len(), 2);
    assert!(web2.finished.is_none() && web2.steps[&0][1].answer.is_none());

    // An answer of the resumed run to a message of the first part.
    writer.note(answer(1, "web2", 0, 1, outcome()));
    writer.finish(end(RunState::Finished, false)).unwrap();
    let replaced = store.replaced(&run, None).unwrap();
    assert_eq!(replaced.len(), 2);
    assert_eq!(replaced[0].place, "web2");
    assert_eq!(replaced[1].file, outcome().replaced[0]);
    let of_one = store.replaced(&run, Some(&["web1".to_owned()])).unwrap();
    assert_eq!(of_one.len(), 1);
    let refused = store.reopen(&run, "bob", None).err().unwrap();
    assert!(matches!(refused, StoreError::NotResumable(_)), "{refused}");
    let record = store.run(&run).unwrap();
    assert_eq!(record.summary.state, RunState::Finished);
    assert_eq!(record.summary.totals.changed, 1);
    assert_eq!(record.summary.attempts, 2);
    assert_eq!(record.hosts.len(), 2);
}

#[test]
fn events_come_back_and_go_on_counting() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let run = RunId("run-1".into());
    let long = "long text ".repeat(500);
    let mut shown = result(Status::Changed, Value::str(&long), 5);
    shown.deltas = vec![Delta::content("/etc/motd", None, Some(long.as_bytes()))];
    let mut hostile = hostler_value::Map::new();
    hostile.insert("\u{1}content", "00112233445566778899aabbccddeeff");
    let hostile = Value::from(hostile);
    let told: Vec<Stamped> = vec![
        task_started(1),
        task_finished(1, "web1", shown.clone()),
        task_finished(1, "web2", shown),
        task_finished(1, "web3", result(Status::Ok, hostile, 6)),
    ];
    let text = |event: &Stamped| serde_json::to_string(&event.event).unwrap();
    {
        let writer = store.begin(&new_run("run-1", &[])).unwrap();
        let mut reporter = writer.reporter();
        for event in &told {
            reporter.event(event);
        }
        writer.note(task(1));
        writer.note(task(2));
    }
    let events: Vec<Stamped> = store.events(&run).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        events.iter().map(text).collect::<Vec<_>>(),
        told.iter().map(text).collect::<Vec<_>>()
    );
    let (writer, _, _) = store.reopen(&run, "alice", None).unwrap();
    writer.reporter().event(&task_started(2));
    drop(writer);
    let events: Vec<Stamped> = store.events(&run).unwrap().map(Result::unwrap).collect();
    let numbers: Vec<u64> = events.iter().map(|it| it.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(matches!(events[4].event, RunEvent::TaskStarted(_)));
}

#[test]
fn only_the_newest_end_counts_as_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let run = RunId("run-1".into());
    let failed = result(Status::Failed, Value::Null, 5);
    let done = result(Status::Ok, Value::Null, 9);
    let told = |memory: &hostler_journal::Memory| {
        let host = &memory.tasks[&execution(1, 1)].hosts["web1"];
        let status = host.finished.as_ref().map(|it| it.result.status);
        (status, host.told)
    };
    let writer = store.begin(&new_run("run-1", &["web1"])).unwrap();
    writer.note(task(1));
    writer.note(finished(1, "web1", failed.clone()));
    writer.reporter().event(&task_started(1));
    writer.reporter().event(&task_finished(1, "web1", failed));
    drop(writer);
    let (writer, memory, _) = store.reopen(&run, "alice", None).unwrap();
    assert_eq!(told(&memory), (Some(Status::Failed), true));
    writer.note(finished(1, "web1", done.clone()));
    drop(writer);
    let (writer, memory, _) = store.reopen(&run, "alice", None).unwrap();
    assert_eq!(told(&memory), (Some(Status::Ok), false));
    writer.reporter().event(&task_finished(1, "web1", done));
    drop(writer);
    let (_writer, memory, _) = store.reopen(&run, "alice", None).unwrap();
    assert_eq!(told(&memory), (Some(Status::Ok), true));
}

#[test]
fn owed_handlers_are_known_to_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let owed = |host: &str, playbook: &str| OwedHandler {
        host: host.into(),
        playbook: playbook.into(),
        play: "web".into(),
        handler: "restart".into(),
        run: RunId("run-1".into()),
    };
    let writer = store.begin(&new_run("run-1", &["web1"])).unwrap();
    for it in [
        owed("web1", "/srv/site.yml"),
        owed("web2", "/srv/site.yml"),
        owed("web1", "/srv/other.yml"),
        owed("web9", "/srv/site.yml"),
    ] {
        writer.note(Note::Owed(it));
    }
    writer.note(Note::Paid(owed("web2", "/srv/site.yml")));
    writer.finish(end(RunState::Failed, false)).unwrap();
    let playbooks = ["/srv/site.yml".to_owned()];
    let hosts = ["web1".to_owned(), "web2".to_owned()];
    let found = store.owed(&playbooks, &hosts, None).unwrap();
    assert_eq!(found, [owed("web1", "/srv/site.yml")]);
    let own = RunId("run-1".into());
    assert!(
        store
            .owed(&playbooks, &hosts, Some(&own))
            .unwrap()
            .is_empty()
    );

    drop(store.begin(&new_run("run-2", &["web1"])).unwrap());
    let (_writer, memory, _) = store.reopen(&RunId("run-2".into()), "alice", None).unwrap();
    assert_eq!(memory.owed, [owed("web1", "/srv/site.yml")]);
}

#[test]
fn runs_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    assert!(matches!(store.find("last"), Err(StoreError::NoSuchRun(_))));
    for (number, name) in ["aa-1", "aa-2", "aa-11"].iter().enumerate() {
        let mut new = new_run(name, &["web1"]);
        new.started_us += i64::try_from(number).unwrap();
        let writer = store.begin(&new).unwrap();
        let state = if number == 0 {
            RunState::Failed
        } else {
            RunState::Finished
        };
        writer.finish(end(state, false)).unwrap();
    }
    assert!(store.begin(&new_run("aa-1", &[])).is_err());
    assert_eq!(store.find("last").unwrap().0, "aa-11");
    assert_eq!(store.find("aa-2").unwrap().0, "aa-2");
    assert_eq!(store.find("aa-1").unwrap().0, "aa-1");
    assert!(matches!(
        store.find("aa"),
        Err(StoreError::Ambiguous { .. })
    ));
    assert!(matches!(store.find("%"), Err(StoreError::NoSuchRun(_))));
    let names = |filter: RunFilter| {
        let runs = store.runs(&filter).unwrap();
        runs.into_iter().map(|it| it.run.0).collect::<Vec<_>>()
    };
    assert_eq!(names(RunFilter::default()), ["aa-11", "aa-2", "aa-1"]);
    let failed = RunFilter {
        state: Some(RunState::Failed),
        ..RunFilter::default()
    };
    assert_eq!(names(failed), ["aa-1"]);
    let none = RunFilter {
        host: Some("web7".into()),
        ..RunFilter::default()
    };
    assert!(names(none).is_empty());
    let newest = RunFilter {
        limit: Some(1),
        playbook: Some("site.yml".into()),
        ..RunFilter::default()
    };
    assert_eq!(names(newest), ["aa-11"]);
}
