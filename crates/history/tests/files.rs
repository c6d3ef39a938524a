//! The files of the state directory: private, sealed, refused when they are not ours.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hostler_change::{Before, Delta, Outcome, Replaced};
use hostler_events::{RunId, Status};
use hostler_history::{RunFilter, RunState, Store, StoreError};
use hostler_journal::Journal;
use hostler_value::Value;
use support::*;

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    all.sort();
    all
}

fn reopened(dir: &Path) -> Result<Store, StoreError> {
    Store::open(&hostler_history::StateDir::open(dir).unwrap())
}

/// Writes some of everything, with secrets in it, and leaves the run open.
fn busy_run(store: &Store, secrets: &[&str]) -> hostler_history::RunWriter {
    let mut new = new_run("run-1", &["web1"]);
    new.request = serde_json::json!({ "extra": secrets[0] });
    let writer = store.begin(&new).unwrap();
    writer.acquire(&["web1".to_owned()], None).unwrap();
    writer.note(task(1));
    writer.note(intent(1, "web1", 0, 0));
    let outcome = Outcome {
        fields: Value::from(hostler_value::Map::from_iter([(
            Value::str("stdout"),
            Value::str(secrets[1]),
        )]))
        .as_map()
        .cloned()
        .unwrap(),
        replaced: vec![Replaced {
            path: "/etc/key".into(),
            before: Some(Before {
                uid: 0,
                gid: 0,
                mode: 0o600,
                sha256: [1; 32],
                content: Some(secrets[2].as_bytes().to_vec()),
            }),
            after: None,
        }],
        ..Outcome::default()
    };
    writer.note(answer(1, "web1", 0, 0, outcome));
    let ended = result(Status::Changed, Value::str(secrets[3]), 3);
    writer.note(finished(1, "web1", ended));
    let mut shown = result(Status::Changed, Value::str(secrets[4]), 3);
    shown.deltas = vec![Delta::content(
        "/etc/key",
        Some(secrets[4].as_bytes()),
        Some(secrets[5].as_bytes()),
    )];
    let mut reporter = writer.reporter();
    reporter.event(&task_started(1));
    reporter.event(&task_finished(1, "web1", shown));
    wait(writer.sync()).unwrap();
    writer
}

#[test]
fn nothing_secret_is_in_any_file_and_nobody_else_reads_them() {
    let top = tempfile::tempdir().unwrap();
    let dir = top.path().join("hostler");
    let store = store(&dir);
    let long = "S3cretLong".repeat(200);
    let secrets = [
        "S3cretRequest1",
        "S3cretAnswer22",
        "S3cretContent3",
        "S3cretRegister",
        "S3cretShown555",
        long.as_str(),
    ];
    let search = |when: &str| {
        for path in files(&dir) {
            let bytes = fs::read(&path).unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{} {when}", path.display());
            if bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            for secret in secrets {
                let secret = &secret[..12];
                // Base64 of a text has three forms, by where it begins.
                let coded = [
                    secret.to_owned(),
                    base64(secret.as_bytes()),
                    base64(&secret.as_bytes()[1..]),
                    base64(&secret.as_bytes()[2..]),
                ];
                for it in &coded {
                    let it = &it.as_bytes()[..it.len().min(12) - 1];
                    let found = bytes.windows(it.len()).any(|window| window == it);
                    assert!(!found, "{secret} is in {} {when}", path.display());
                }
            }
        }
    };
    let writer = busy_run(&store, &secrets);
    assert!(files(&dir).len() >= 4, "{:?}", files(&dir));
    search("while it runs");
    writer.finish(end(RunState::Failed, true)).unwrap();
    search("after it");
    assert_eq!(
        fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    // It is there: with the key it can be read.
    let (_writer, memory, record) = store.reopen(&RunId("run-1".into()), "a", None).unwrap();
    assert_eq!(record.request["extra"], secrets[0]);
    let host = &memory.tasks[&execution(1, 1)].hosts["web1"];
    let registered = &host.finished.as_ref().unwrap().registered;
    assert_eq!(registered.as_str(), Some(secrets[3]));
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).flat_map(|it| {
        let bits = u32::from_be_bytes([0, it[0], it[1], it[2]]);
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
    });
    groups.collect()
}

#[test]
fn what_is_only_kept_for_resuming_goes_when_there_is_nothing_to_resume() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let writer = busy_run(&store, &["a", "b", "c", "d", "e", "f"]);
    writer.finish(end(RunState::Finished, false)).unwrap();
    let connection = rusqlite::Connection::open(store.dir().database()).unwrap();
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count("notes"), 0);
    assert_eq!(count("holders"), 0);
    assert_eq!((count("replaced"), count("chunks")), (1, 1));
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = store(dir.path()).dir().database();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = reopened(dir.path()).err().unwrap();
    assert!(
        matches!(refused, StoreError::Newer { found: 99, .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("newer hostler"), "{refused}");
    assert!(path.exists());
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = store(dir.path()).dir().database();
    for suffix in ["", "-wal", "-shm"] {
        let _none = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE recipes (name)")
        .unwrap();
    drop(connection);
    let refused = reopened(dir.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Foreign(_)), "{refused}");
    assert!(path.exists());
}

#[test]
fn a_damaged_database_is_moved_aside_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let path = store.dir().database();
    for number in 0..20 {
        let writer = store
            .begin(&new_run(&format!("run-{number}"), &["web1"]))
            .unwrap();
        writer.finish(end(RunState::Finished, false)).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    for (index, byte) in bytes.iter_mut().enumerate().skip(100) {
        *byte ^= u8::try_from(index % 251).unwrap();
    }
    fs::write(&path, &bytes).unwrap();
    let error = reopened(dir.path())
        .and_then(|store| store.runs(&RunFilter::default()))
        .err()
        .unwrap();
    let StoreError::Corrupt { moved, .. } = &error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains(&moved.display().to_string()));
    assert_eq!(fs::read(moved).unwrap(), bytes);
    assert!(!path.exists());
    // The next one starts a new one.
    let fresh = reopened(dir.path()).unwrap();
    assert!(fresh.runs(&RunFilter::default()).unwrap().is_empty());
}

#[test]
fn a_missing_or_other_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(dir.path()));
    let key = dir.path().join("store.key");
    fs::rename(&key, dir.path().join("away")).unwrap();
    let missing = reopened(dir.path()).err().unwrap();
    assert!(matches!(missing, StoreError::Key(_)));
    assert!(
        missing.to_string().contains("store.key is missing"),
        "{missing}"
    );
    fs::write(&key, [9; 32]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let other = reopened(dir.path()).err().unwrap();
    assert!(
        other.to_string().contains("store.key is not the key"),
        "{other}"
    );
    fs::rename(dir.path().join("away"), &key).unwrap();
    reopened(dir.path()).unwrap();
}

#[test]
fn an_entry_in_the_place_of_another_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for name in ["run-1", "run-2"] {
        let writer = store.begin(&new_run(name, &["web1"])).unwrap();
        writer.note(task(1));
    }
    let connection = rusqlite::Connection::open(store.dir().database()).unwrap();
    let sql = "UPDATE notes SET body = (SELECT body FROM notes ORDER BY id LIMIT 1)";
    connection.execute(sql, []).unwrap();
    let refused = store
        .reopen(&RunId("run-2".into()), "a", None)
        .err()
        .unwrap();
    assert!(matches!(refused, StoreError::Unreadable(_)), "{refused}");
    // The refusal left the run as it was.
    assert_eq!(
        store.run(&RunId("run-2".into())).unwrap().summary.attempts,
        1
    );
    assert!(store.reopen(&RunId("run-1".into()), "a", None).is_ok());
}
