//! One controller at a time.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use hostler_events::RunId;
use hostler_history::{Conflict, LeaseError, Life, RunState, Store, StoreError};
use hostler_journal::Journal;
use support::*;

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

fn conflicts(refused: Result<(), LeaseError>) -> Vec<Conflict> {
    match refused {
        Err(LeaseError::Conflicts(conflicts)) => conflicts,
        other => panic!("{other:?}"),
    }
}

/// Changes the row of the one holder, as if another process had written it.
fn forge(store: &Store, columns: &str) {
    let database = store.dir().database();
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .execute(&format!("UPDATE holders SET {columns}"), [])
        .unwrap();
}

/// A run that was begun and leased two hosts, and whose writer is still there.
fn running(store: &Store) -> hostler_history::RunWriter {
    let writer = store.begin(&new_run("run-1", &["web1", "web2"])).unwrap();
    writer.acquire(&hosts(&["web1", "web2"]), None).unwrap();
    writer
}

#[test]
fn all_hosts_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = running(&store);
    let second = store.begin(&new_run("run-2", &[])).unwrap();
    let found = conflicts(second.acquire(&hosts(&["web2", "web3"]), None));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].hosts, ["web2"]);
    let held = &found[0].held;
    assert_eq!(
        (held.run.0.as_str(), held.who.as_str()),
        ("run-1", "alice@ctl")
    );
    assert_eq!(
        (held.lock.as_str(), held.life),
        (first.lease().id.as_str(), Life::Alive)
    );
    assert_eq!(held.pid, std::process::id());
    assert!(held.since_us > 0 && held.heartbeat_age_us < 10_000_000);
    let text = LeaseError::Conflicts(found).to_string();
    assert!(
        text.contains("web2: held by run run-1") && text.contains("alive"),
        "{text}"
    );

    // web3 was not taken; the same run may ask again.
    let third = store.begin(&new_run("run-3", &[])).unwrap();
    third.acquire(&hosts(&["web3"]), None).unwrap();
    third.acquire(&hosts(&["web3", "web4"]), None).unwrap();
    first.finish(end(RunState::Finished, false)).unwrap();
    second.acquire(&hosts(&["web2"]), None).unwrap();
    assert_eq!(store.leases().unwrap().len(), 2);
    drop((second, third));
    assert!(store.leases().unwrap().is_empty());
}

#[test]
fn stale_locks_say_so_and_are_broken_by_their_id_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = running(&store);
    let lock = first.lease().id;
    let second = store.begin(&new_run("run-2", &[])).unwrap();
    let wanted = hosts(&["web1"]);
    let seen = || conflicts(second.acquire(&wanted, None))[0].held.life;
    // Other columns than those of the second run, which holds no host.
    let forge = |columns: &str| forge(&store, &format!("{columns} WHERE run = 'run-1'"));
    forge("pid_started = 1");
    assert_eq!(seen(), Life::ProcessGone);
    forge("boot = 'other', machine = 'm', heartbeat_us = 0");
    assert_eq!(seen(), Life::Silent);
    forge("controller = 'elsewhere'");
    assert_eq!(seen(), Life::Silent);
    // The clock of another machine is ahead: that is a sign of life.
    forge("heartbeat_us = 9000000000000000");
    assert_eq!(seen(), Life::Alive);

    conflicts(second.acquire(&wanted, Some("0000000000")));
    second.acquire(&wanted, Some(&lock)).unwrap();
    let leases = store.leases().unwrap();
    let left = leases.iter().find(|it| it.held.lock == lock).unwrap();
    assert_eq!(left.hosts, ["web2"]);
    assert!(store.break_lock("0000000000").unwrap().is_none());
    assert_eq!(store.break_lock(&lock).unwrap().unwrap().run.0, "run-1");
    assert_eq!(store.leases().unwrap().len(), 1);
    assert!(!first.lock_broken());
    first.note(task(1));
    let broken = wait(first.sync()).unwrap_err();
    assert!(broken.to_string().contains(&lock), "{broken}");
    assert!(first.lock_broken());
    // Somebody else may have gone on with it: not even its end is written.
    assert!(first.finish(end(RunState::Finished, false)).is_err());
    let run = store.run(&RunId("run-1".into())).unwrap().summary;
    assert_eq!((run.state, run.resumable), (RunState::Interrupted, true));
}

#[test]
fn hosts_that_are_taken_away_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = running(&store);
    let second = store.begin(&new_run("run-2", &[])).unwrap();
    second
        .acquire(&hosts(&["web1"]), Some(&first.lease().id))
        .unwrap();
    first.note(task(1));
    wait(first.sync()).unwrap();
    assert!(first.lock_broken() && first.broken().is_none());
}

#[test]
fn a_run_is_taken_over_from_a_process_that_is_gone_and_from_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let run = RunId("run-1".into());
    let first = running(&store);
    first.note(task(1));
    wait(first.sync()).unwrap();
    let refused = store.reopen(&run, "bob@ctl", None).err().unwrap();
    assert!(
        matches!(refused, StoreError::StillRunning { .. }),
        "{refused}"
    );

    forge(&store, "pid_started = 1");
    let shown = store.run(&run).unwrap().summary;
    assert_eq!(shown.state, RunState::Interrupted);
    assert_eq!(shown.held.unwrap().life, Life::ProcessGone);
    let (second, memory, _) = store.reopen(&run, "bob@ctl", None).unwrap();
    assert_eq!(memory.last_task, 1);
    assert_ne!(second.lease().id, first.lease().id);
    // Its hosts came with it.
    let leases = store.leases().unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].hosts, ["web1", "web2"]);
    assert_eq!(leases[0].held.who, "bob@ctl");
    second.acquire(&hosts(&["web1", "web2"]), None).unwrap();

    // A process on another machine of which nothing is heard may be there: only by its lock's id.
    forge(
        &store,
        "boot = 'other', controller = 'elsewhere', heartbeat_us = 0",
    );
    let refused = store.reopen(&run, "eve@ctl", None).err().unwrap();
    assert!(
        refused.to_string().contains(&second.lease().id),
        "{refused}"
    );
    let (third, ..) = store
        .reopen(&run, "eve@ctl", Some(&second.lease().id))
        .unwrap();
    // From now on nobody else writes this run.
    for other in [&first, &second] {
        other.note(task(2));
        wait(other.sync()).unwrap_err();
        other.finish(end(RunState::Finished, false)).unwrap_err();
    }
    third.note(task(2));
    wait(third.sync()).unwrap();
    drop((first, second));
    assert_eq!(store.run(&run).unwrap().summary.state, RunState::Running);
}
