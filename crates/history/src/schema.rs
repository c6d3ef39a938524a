//! The tables, and how a database comes to have them.
//!
//! Each migration is one transaction; the number of those that were done is the database's `user_version`.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::{Result, StoreError, is_corruption};
use crate::store::DbError;

/// `application_id` of our databases: "hstl".
const APPLICATION: i32 = 0x6873_746c;
/// How long (in all) is waited for other processes to let go of the database.
pub(crate) const BUSY: Duration = Duration::from_secs(30);

/// In order; never changed once released.
pub(crate) const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL UNIQUE,
    started_us INTEGER NOT NULL,
    who TEXT NOT NULL,
    version TEXT NOT NULL,
    playbooks TEXT NOT NULL,
    inventory TEXT NOT NULL,
    checks INTEGER NOT NULL,
    form INTEGER NOT NULL,
    request BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 1,
    state INTEGER NOT NULL DEFAULT 0,
    resumable INTEGER NOT NULL,
    ended_us INTEGER,
    elapsed_us INTEGER,
    exit_code INTEGER,
    reason TEXT,
    lost_events INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_by_start ON runs (started_us);

CREATE TABLE inputs (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    path TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (run, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    host TEXT NOT NULL,
    counts TEXT,
    PRIMARY KEY (run, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX hosts_by_name ON hosts (host, run);

CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    address BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE uses (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    content INTEGER NOT NULL REFERENCES contents,
    PRIMARY KEY (run, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_by_content ON uses (content);

CREATE TABLE tasks (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    task INTEGER NOT NULL,
    play TEXT NOT NULL,
    name TEXT NOT NULL,
    module TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (run, task)
) STRICT, WITHOUT ROWID;
CREATE TABLE results (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    task INTEGER NOT NULL,
    host TEXT NOT NULL,
    status TEXT NOT NULL,
    flags INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, task, host)
) STRICT, WITHOUT ROWID;
CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    task INTEGER NOT NULL,
    host TEXT NOT NULL,
    subject TEXT NOT NULL,
    item INTEGER,
    at_us INTEGER NOT NULL,
    seq INTEGER
) STRICT;
CREATE INDEX changes_by_run ON changes (run, host);
CREATE INDEX changes_by_host ON changes (host, subject);
CREATE INDEX changes_by_subject ON changes (subject);

CREATE TABLE replaced (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    task INTEGER NOT NULL,
    host TEXT NOT NULL,
    place TEXT NOT NULL,
    path TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    body BLOB NOT NULL,
    content INTEGER REFERENCES contents
) STRICT;
CREATE INDEX replaced_by_run ON replaced (run);
CREATE INDEX replaced_by_content ON replaced (content);

CREATE TABLE owed (
    host TEXT NOT NULL,
    playbook TEXT NOT NULL,
    play TEXT NOT NULL,
    handler TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (host, playbook, play, handler, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE holders (
    lock TEXT PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    who TEXT NOT NULL,
    controller TEXT NOT NULL,
    machine TEXT NOT NULL,
    boot TEXT NOT NULL,
    pid_space TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_started INTEGER NOT NULL,
    since_us INTEGER NOT NULL,
    heartbeat_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
    host TEXT PRIMARY KEY,
    lock TEXT NOT NULL REFERENCES holders ON DELETE CASCADE ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_lock ON leases (lock);
",
    "
CREATE TABLE patch_notes (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    run TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX facts_by_key ON facts (kind, key, at_us);
CREATE INDEX facts_by_time ON facts (kind, at_us);
CREATE UNIQUE INDEX facts_opened_once ON facts (key) WHERE kind = 'occurrence';
",
    "
CREATE TABLE mandates (run INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE, body BLOB NOT NULL) STRICT;
ALTER TABLE runs ADD COLUMN needs TEXT;
CREATE INDEX runs_by_need ON runs (needs) WHERE needs IS NOT NULL;
",
];

/// A connection to a database that is there.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Makes the database if there is none, and brings it up to date. Returns whether it was made.
pub(crate) fn prepare(
    path: &Path,
    migrations: &[&str],
    key: &[u8],
) -> std::result::Result<bool, DbError> {
    let made = !path.exists() && make(path, migrations, key)?;
    if made {
        return Ok(true);
    }
    let mut connection = connect(path)?;
    let (application, found) = numbers(&connection)?;
    if application != APPLICATION {
        return Err(StoreError::Foreign(path.to_owned()).into());
    }
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        let path = path.to_owned();
        return Err(StoreError::Newer { path, found, known }.into());
    }
    if found < known {
        let copy = with_suffix(path, &format!(".schema-{found}"));
        if !copy.exists() {
            private(&copy)?;
            connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
        }
        migrate(&mut connection, migrations)?;
    }
    Ok(false)
}

/// A new database, whole or not at all: of two programs that make one, the first wins.
fn make(path: &Path, migrations: &[&str], key: &[u8]) -> std::result::Result<bool, DbError> {
    let own = with_suffix(path, &format!(".new-{}", std::process::id()));
    let _gone = fs::remove_file(&own);
    private(&own)?;
    let result = fill(&own, migrations, key).and_then(|()| {
        let linked = fs::hard_link(&own, path).and_then(|()| {
            let directory = path.parent().unwrap_or(Path::new("/"));
            fs::File::open(directory)?.sync_all()
        });
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("make", path, &error).into()),
        }
    });
    for suffix in ["", "-wal", "-shm"] {
        let _gone = fs::remove_file(with_suffix(&own, suffix));
    }
    result
}

fn fill(path: &Path, migrations: &[&str], key: &[u8]) -> std::result::Result<(), DbError> {
    let mut connection = connect(path)?;
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")?;
    connection.pragma_update(None, "application_id", APPLICATION)?;
    migrate(&mut connection, migrations)?;
    connection.execute("INSERT INTO meta VALUES ('key', ?1)", [key])?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Does what is missing, each migration in a transaction of its own.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    for (number, statements) in (1u32..).zip(migrations) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have done it meanwhile.
        let (_, done) = numbers(&transaction)?;
        if done < number {
            transaction.execute_batch(statements)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

fn numbers(connection: &Connection) -> rusqlite::Result<(i32, u32)> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok((application, version))
}

/// Moves a database aside if it is damaged; says where it is then.
pub(crate) fn move_aside_if_damaged(path: &Path) -> Result<Option<PathBuf>> {
    if is_sound(path) {
        return Ok(None);
    }
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let moved = with_suffix(path, &format!(".corrupt-{seconds}"));
    fs::rename(path, &moved).map_err(|error| failed("move aside", path, &error))?;
    for suffix in ["-wal", "-shm"] {
        let _none = fs::rename(with_suffix(path, suffix), with_suffix(&moved, suffix));
    }
    Ok(Some(moved))
}

fn is_sound(path: &Path) -> bool {
    let checked = connect(path).and_then(|connection| {
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    });
    match checked {
        Ok(verdict) => verdict == "ok",
        // Locked, or not readable: that is no proof of damage.
        Err(error) => !is_corruption(&error),
    }
}

/// Makes an empty file that only its owner can read: `SQLite` gives its other files the same mode.
fn private(path: &Path) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| failed("make", path, &error))
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Failed {
        what: format!("cannot {what} {}", path.display()),
        why: error.to_string(),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(path: &Path) -> u32 {
        let connection = connect(path).unwrap();
        numbers(&connection).unwrap().1
    }

    #[test]
    fn an_older_database_is_copied_and_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs.sqlite");
        assert!(prepare(&path, MIGRATIONS, b"key").unwrap());
        let connection = connect(&path).unwrap();
        connection
            .execute("INSERT INTO owed VALUES ('h', 'b', 'p', 'n', 'r')", [])
            .unwrap();
        drop(connection);
        let mut more = MIGRATIONS.to_vec();
        // The second statement fails: nothing of it may stay.
        more.push("ALTER TABLE owed ADD COLUMN note TEXT; CREATE TABLE owed (x);");
        assert!(prepare(&path, &more, b"key").is_err());
        let newest = u32::try_from(MIGRATIONS.len()).unwrap();
        assert_eq!(version(&path), newest);
        let columns = |path: &Path| -> i64 {
            let sql = "SELECT count(*) FROM pragma_table_info('owed')";
            let connection = connect(path).unwrap();
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(columns(&path), 5);

        more.pop();
        more.push("ALTER TABLE owed ADD COLUMN note TEXT;");
        assert!(!prepare(&path, &more, b"key").unwrap());
        assert_eq!((version(&path), columns(&path)), (newest + 1, 6));
        let copy = with_suffix(&path, &format!(".schema-{newest}"));
        assert_eq!((version(&copy), columns(&copy)), (newest, 5));
        let rows: i64 = connect(&copy)
            .unwrap()
            .query_row("SELECT count(*) FROM owed", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
        // The program of before refuses it.
        let refused = prepare(&path, MIGRATIONS, b"key");
        let Err(DbError::Store(StoreError::Newer { found, known, .. })) = refused else {
            panic!("it was taken");
        };
        assert_eq!((found, known), (newest + 1, newest));
    }

    #[test]
    fn every_release_of_the_schema_comes_up_to_date_with_its_rows() {
        for released in 1..MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("runs.sqlite");
            assert!(prepare(&path, &MIGRATIONS[..released], b"key").unwrap());
            let connection = connect(&path).unwrap();
            let row = "INSERT INTO owed VALUES ('h', 'b', 'p', 'n', 'r')";
            connection.execute(row, []).unwrap();
            drop(connection);
            assert!(!prepare(&path, MIGRATIONS, b"key").unwrap());
            let connection = connect(&path).unwrap();
            for (table, rows) in [("owed", 1), ("facts", 0), ("patch_notes", 0)] {
                let sql = format!("SELECT count(*) FROM {table}");
                let found: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
                assert_eq!(found, rows, "{table} of schema {released}");
            }
        }
    }

    #[test]
    fn every_question_finds_its_rows_by_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs.sqlite");
        prepare(&path, MIGRATIONS, b"key").unwrap();
        let connection = connect(&path).unwrap();
        for question in [
            "SELECT * FROM changes WHERE host = 'h' AND subject = 's'",
            "SELECT * FROM changes WHERE subject = 's'",
            "SELECT * FROM changes WHERE run = 1",
            "SELECT * FROM results WHERE run = 1",
            "SELECT * FROM hosts WHERE host = 'h'",
            "SELECT * FROM notes WHERE id BETWEEN 1 AND 2",
            "SELECT * FROM replaced WHERE run = 1",
            "SELECT * FROM uses WHERE content = 1",
            "SELECT * FROM leases WHERE lock = 'l'",
            "SELECT * FROM runs WHERE needs = 'r'",
            "SELECT * FROM mandates WHERE run = 1",
            "SELECT * FROM patch_notes WHERE id BETWEEN 1 AND 2",
            "SELECT * FROM facts WHERE kind = 'k' AND key = 'y'",
            "SELECT * FROM facts WHERE kind = 'k' AND at_us >= 5",
            "SELECT seq FROM facts WHERE kind = 'k' AND key = 'y' ORDER BY at_us DESC, seq DESC LIMIT 1",
        ] {
            let plan: String = connection
                .query_row(&format!("EXPLAIN QUERY PLAN {question}"), [], |row| {
                    row.get(3)
                })
                .unwrap();
            assert!(plan.starts_with("SEARCH"), "{question}: {plan}");
        }
    }
}
