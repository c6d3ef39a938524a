//! SIGKILL around every commit, several processes, full disks, files that vanish.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hostler_events::{RunId, Status};
use hostler_history::{LeaseError, Life, RunFilter, RunState, StoreError};
use hostler_journal::{Journal, Memory, Note};
use hostler_value::Value;
use support::*;

const TASKS: u32 = 4;

/// What the child writes, in order, with a name for each note.
fn script() -> Vec<(String, Note)> {
    let mut notes = Vec::new();
    for id in 1..=TASKS {
        notes.push((format!("task {id}"), task(id)));
        for host in ["web1", "web2"] {
            notes.push((format!("intent {id} {host}"), intent(id, host, 0, 0)));
        }
        for host in ["web1", "web2"] {
            let answered = answer(id, host, 0, 0, hostler_change::Outcome::default());
            notes.push((format!("answer {id} {host}"), answered));
            let ended = result(Status::Ok, Value::Int(i64::from(id)), u64::from(id));
            notes.push((format!("finished {id} {host}"), finished(id, host, ended)));
        }
    }
    notes
}

/// The names of the notes that a memory holds.
fn held(memory: &Memory) -> Vec<String> {
    let mut names = Vec::new();
    for task in memory.tasks.values() {
        let id = task.id.0;
        names.push(format!("task {id}"));
        for (host, remembered) in &task.hosts {
            for attempt in remembered.steps.values().flatten() {
                names.push(format!("intent {id} {host}"));
                if attempt.answer.is_some() {
                    names.push(format!("answer {id} {host}"));
                }
            }
            if let Some(finished) = &remembered.finished {
                assert_eq!(finished.registered, Value::Int(i64::from(id)));
                names.push(format!("finished {id} {host}"));
            }
        }
    }
    names
}

/// Not a test: what the other tests start as a process of its own.
#[test]
#[ignore = "the process that the tests of this file start and kill; it proves nothing by itself"]
fn child() {
    let dir = std::env::var("CHILD_DIR").unwrap();
    let name = std::env::var("CHILD_RUN").unwrap();
    let mut out = std::io::stdout();
    let store = store(Path::new(&dir));
    let writer = store.begin(&new_run(&name, &["web1", "web2"])).unwrap();
    let taken = writer.acquire(&["web1".to_owned()], None);
    writeln!(out, "\nleased {}", taken.is_ok()).unwrap();
    let mut reporter = writer.reporter();
    for (number, (_, note)) in script().into_iter().enumerate() {
        if let Note::Task { id, .. } = &note {
            reporter.event(&task_started(id.0));
        }
        let syncs = matches!(note, Note::Intent(_) | Note::Finished { .. });
        drop(writer.patch_note(number.to_string()));
        writer.note(note);
        if syncs {
            let durable = wait(writer.sync());
            writeln!(out, "durable {} {}", number + 1, durable.is_ok()).unwrap();
        }
    }
    if std::env::var("CHILD_WAITS").is_ok() {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    }
    drop(reporter);
    let ended = writer.finish(end(RunState::Finished, true));
    writeln!(out, "ended {}", ended.is_ok()).unwrap();
}

fn start(dir: &Path, run: &str, settings: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("CHILD_DIR", dir)
        .env("CHILD_RUN", run)
        .envs(settings.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lines that the child wrote.
fn lines(child: Child) -> (Vec<String>, bool) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (
        text.lines().map(str::to_owned).collect(),
        output.status.success(),
    )
}

/// The number of notes that the child was told are durable.
fn acknowledged(lines: &[String]) -> usize {
    let durable = lines.iter().filter_map(|line| {
        let (count, ok) = line.strip_prefix("durable ")?.split_once(' ')?;
        (ok == "true").then(|| count.parse::<usize>().unwrap())
    });
    durable.max().unwrap_or(0)
}

/// What is remembered is a beginning of the script with all that was acknowledged; its length.
fn check_prefix(memory: &Memory, acknowledged: usize, when: &str) -> usize {
    let mut found = held(memory);
    let script: Vec<String> = script().into_iter().map(|(name, _)| name).collect();
    let mut expected = script[..found.len()].to_vec();
    found.sort();
    expected.sort();
    assert_eq!(
        found, expected,
        "{when}: not a beginning of what was written"
    );
    assert!(found.len() >= acknowledged, "{when}: {found:?}");
    found.len()
}

#[test]
fn killed_before_every_commit_the_journal_is_a_beginning_of_what_was_written() {
    killed_at("journal-commit-before");
}

#[test]
fn killed_after_every_commit_the_journal_is_a_beginning_of_what_was_written() {
    killed_at("journal-commit-after");
}

fn killed_at(place: &str) {
    let run = RunId("run-1".into());
    let mut lengths = std::collections::BTreeSet::new();
    for number in 1.. {
        let when = format!("{place} {number}");
        let dir = tempfile::tempdir().unwrap();
        let failpoint = format!("{place}:{number}:kill");
        let child = start(dir.path(), "run-1", &[("HOSTLER_FAILPOINT", &failpoint)]);
        let (lines, ended) = lines(child);
        if ended {
            assert!(number > 10, "only {number} commits");
            break;
        }
        let store = store(dir.path());
        let runs = store.runs(&RunFilter::default()).unwrap();
        if runs.is_empty() {
            assert_eq!((place, number), ("journal-commit-before", 1));
            continue;
        }
        // The end itself may be written already, by the commit that was the last thing it did.
        if !lines.contains(&"ended true".to_owned()) && runs[0].ended_us.is_none() {
            assert_eq!(runs[0].state, RunState::Interrupted, "{when}");
            assert_eq!(
                runs[0].held.as_ref().map(|it| it.life),
                Some(Life::ProcessGone)
            );
        }
        let (writer, memory, _) = store.reopen(&run, "alice", None).unwrap();
        let length = check_prefix(&memory, acknowledged(&lines), &when);
        lengths.insert(length);
        // Each was given just before its note, and one transaction writes both.
        let patch_notes = store.patch_notes(&run).unwrap();
        let expected: Vec<String> = (0..patch_notes.len()).map(|it| it.to_string()).collect();
        assert_eq!(patch_notes, expected, "{when}");
        assert!((length..=length + 1).contains(&patch_notes.len()), "{when}");
        // Events are a beginning, too, and those that come go on behind them.
        writer.reporter().event(&task_started(99));
        drop(writer);
        let events: Vec<_> = store.events(&run).unwrap().map(Result::unwrap).collect();
        let numbers: Vec<u64> = events.iter().map(|it| it.seq).collect();
        assert_eq!(
            numbers,
            (1..=events.len() as u64).collect::<Vec<_>>(),
            "{when}"
        );
    }
    assert!(lengths.len() > 10, "{lengths:?}");
}

#[test]
fn a_write_error_is_told_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let failpoint = ("HOSTLER_FAILPOINT", "journal-commit-before:6:error");
    let (lines, ended) = lines(start(dir.path(), "run-1", &[failpoint]));
    assert!(ended);
    let verdicts: Vec<bool> = lines
        .iter()
        .filter(|line| line.starts_with("durable "))
        .map(|line| line.ends_with("true"))
        .collect();
    let broken = verdicts.iter().position(|ok| !ok).unwrap();
    assert!(
        broken > 0 && verdicts[broken..].iter().all(|ok| !ok),
        "{lines:?}"
    );
    assert!(lines.contains(&"ended false".to_owned()));
    let store = store(dir.path());
    let (_writer, memory, _) = store.reopen(&RunId("run-1".into()), "alice", None).unwrap();
    check_prefix(&memory, acknowledged(&lines), "error");
}

#[test]
fn two_processes_write_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(dir.path()));
    let children: Vec<Child> = (0..3)
        .map(|number| start(dir.path(), &format!("run-{number}"), &[]))
        .collect();
    let mut leased = 0;
    for child in children {
        let (lines, ended) = lines(child);
        assert!(
            ended && lines.contains(&"ended true".to_owned()),
            "{lines:?}"
        );
        leased += usize::from(lines.contains(&"leased true".to_owned()));
    }
    assert!(leased >= 1);
    let store = store(dir.path());
    for number in 0..3 {
        let run = RunId(format!("run-{number}"));
        let (_writer, memory, _) = store.reopen(&run, "alice", None).unwrap();
        assert_eq!(held(&memory).len(), script().len());
    }
}

#[test]
fn the_first_of_several_processes_makes_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..3)
        .map(|number| start(dir.path(), &format!("run-{number}"), &[]))
        .collect();
    for child in children {
        let (lines, ended) = lines(child);
        assert!(
            ended && lines.contains(&"ended true".to_owned()),
            "{lines:?}"
        );
    }
    assert_eq!(
        store(dir.path()).runs(&RunFilter::default()).unwrap().len(),
        3
    );
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("new-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_locks_of_a_killed_process_are_stale_and_its_run_goes_on_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path(), "run-1", &[("CHILD_WAITS", "1")]);
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let all = script().len();
    let mut line = String::new();
    while !line.starts_with(&format!("durable {all} ")) {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    let store = store(dir.path());
    let own = store.begin(&new_run("run-2", &["web1"])).unwrap();
    let life = || match own.acquire(&["web1".to_owned()], None) {
        Err(LeaseError::Conflicts(conflicts)) => conflicts[0].held.life,
        other => panic!("{other:?}"),
    };
    assert_eq!(life(), Life::Alive);
    let run = RunId("run-1".into());
    assert!(matches!(
        store.reopen(&run, "alice", None),
        Err(StoreError::StillRunning { .. })
    ));
    child.kill().unwrap();
    // Not reaped yet: a zombie holds nothing either.
    while life() == Life::Alive {
        std::thread::yield_now();
    }
    assert_eq!(life(), Life::ProcessGone);
    child.wait().unwrap();
    let (_writer, memory, _) = store.reopen(&run, "alice", None).unwrap();
    assert_eq!(held(&memory).len(), all);
    assert_eq!(life(), Life::Alive);
}

#[test]
fn what_waits_is_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let writer = store.begin(&new_run("run-1", &[])).unwrap();
    writer.note(task(1));
    wait(writer.sync()).unwrap();
    // Somebody else writes: everything has to wait.
    let other = rusqlite::Connection::open(store.dir().database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = std::sync::Barrier::new(201);
    std::thread::scope(|scope| {
        for number in 0..200 {
            let (writer, asked) = (writer.clone(), &asked);
            scope.spawn(move || {
                writer.note(intent(1, &format!("web{number}"), 0, 0));
                let durable = writer.sync();
                asked.wait();
                wait(durable).unwrap();
            });
        }
        asked.wait();
        other.execute_batch("COMMIT").unwrap();
    });
    let count = "SELECT count(*) FROM notes";
    let entries: i64 = other.query_row(count, [], |row| row.get(0)).unwrap();
    assert!(entries <= 3, "{entries} transactions for 200 notes");
    let memory = wait(writer.recall(&["web199".to_owned()])).unwrap();
    assert_eq!(memory.tasks[&execution(1, 1)].hosts.len(), 1);
}

#[test]
fn a_store_that_is_busy_does_not_hold_up_who_shows_events() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let writer = store.begin(&new_run("run-1", &[])).unwrap();
    let other = rusqlite::Connection::open(store.dir().database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut reporter = writer.reporter();
    // More than makes a chunk, so that the writer tries and waits.
    for id in 0..2000 {
        reporter.event(&task_started(id));
    }
    other.execute_batch("COMMIT").unwrap();
    writer.finish(end(RunState::Finished, false)).unwrap();
    assert_eq!(store.run(writer.run()).unwrap().summary.lost_events, 0);
    assert_eq!(store.events(writer.run()).unwrap().count(), 2000);
}

#[test]
fn a_database_that_is_removed_breaks_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let store = store(&path);
    let writer = store.begin(&new_run("run-1", &[])).unwrap();
    writer.note(task(1));
    wait(writer.sync()).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    writer.note(task(2));
    let error = wait(writer.sync()).unwrap_err();
    assert!(error.to_string().contains("removed"), "{error}");
    assert_eq!(wait(writer.sync()).unwrap_err(), error);
    assert_eq!(writer.broken().as_deref(), Some(error.0.as_str()));
    assert!(wait(writer.recall(&[])).is_err());
    assert!(writer.acquire(&["web1".to_owned()], None).is_err());
    assert!(writer.finish(end(RunState::Finished, false)).is_err());
}

/// Text that does not become smaller when it is compressed.
fn noise(bytes: usize, seed: u64) -> String {
    let mut state = seed;
    let next = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + ((state >> 33) % 94) as u8)
    });
    next.take(bytes).collect()
}

#[test]
fn on_a_full_disk_the_run_still_gets_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mount = dir.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs"])
        .arg(&mount)
        .output();
    if !mounted.is_ok_and(|it| it.status.success()) {
        eprintln!("skipped: only root can make a small file system");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let store = store(&mount);
        let writer = store.begin(&new_run("run-1", &["web1"])).unwrap();
        writer.note(task(1));
        let mut written = 0;
        let error = loop {
            let ended = result(Status::Ok, Value::from(noise(300_000, written)), written);
            writer.note(finished(1, &format!("web{written}"), ended));
            match wait(writer.sync()) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 100);
        };
        assert!(written > 2, "{error}");
        assert_eq!(wait(writer.sync()).unwrap_err(), error);
        writer.finish(end(RunState::Finished, true)).unwrap();
        drop(writer);
        let run = RunId("run-1".into());
        let summary = store.run(&run).unwrap().summary;
        assert_eq!(summary.state, RunState::JournalBroken);
        assert!(summary.reason.unwrap().contains("full"));
        assert!(summary.held.is_none());
        // What was in memory when the disk was full was written with the end.
        assert!(!mount.join("ballast").exists());
        // Somebody makes room.
        let larger = Command::new("mount")
            .args(["-o", "remount,size=32m"])
            .arg(&mount)
            .status();
        assert!(larger.unwrap().success());
        let (_writer, memory, _) = store.reopen(&run, "alice", None).unwrap();
        let hosts = memory.tasks[&execution(1, 1)].hosts.len() as u64;
        assert_eq!(hosts, written + 1);
    });
    let unmounted = Command::new("umount").arg("-l").arg(&mount).status();
    assert!(unmounted.unwrap().success());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}
