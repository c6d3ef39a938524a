//! The ledger of patching: facts that outlive the runs that found them. Appended to, never changed.

use hostler_events::RunId;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params_from_iter};

use crate::error::{Result, StoreError};
use crate::seal::{Kind, Sealer};
use crate::store::{DbError, Store, now_us};

type Inner<T> = std::result::Result<T, DbError>;

/// What a fact is about. Which JSON belongs to a kind is known to those who write it (`hostler_patch::ledger`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    /// What a host said of itself. Key: the host.
    Scan,
    /// A version of a package was seen for the first time. Key: distribution, package and version; one fact each.
    FirstSeen,
    /// A version passed its wave. Key: distribution, architecture and package.
    Proven,
    /// A version failed on a host, or is cleared again. Key: likewise.
    Disproven,
    /// How long something took. Key: class of hosts and step.
    Duration,
    /// An occurrence of a window was opened. Key: its id; at most one fact each, whoever writes it.
    Occurrence,
    /// A window is since then as it says. Key: policy and window, `POLICY/WINDOW`.
    Window,
    /// Somebody approved something. Key: the plan or the run.
    Approval,
    /// Somebody wants a run to halt, to go on, to end. Key: the run.
    Order,
    /// A host missed its window. Key: the host.
    Missed,
    /// A plan. Key: its id.
    Plan,
    /// Updates that a host lacks, since when. Key: the host.
    Exposure,
    /// Updates that a host lacked and has, and runs. Key: the host.
    Fixed,
    /// A host's packages changed outside of any run. Key: the host.
    Drift,
    /// The figures of a policy at a time. Key: the policy.
    Figures,
    /// What became of a run. Key: the policy.
    Outcome,
}

/// Facts of a kind that are younger than `days` stay; of the older ones the `newest` of each key, until `at_most_days`.
struct Retention {
    days: u32,
    newest: u32,
    at_most_days: u32,
}

impl FactKind {
    /// Every kind.
    pub const ALL: [FactKind; 16] = [
        FactKind::Scan,
        FactKind::FirstSeen,
        FactKind::Proven,
        FactKind::Disproven,
        FactKind::Duration,
        FactKind::Occurrence,
        FactKind::Window,
        FactKind::Approval,
        FactKind::Order,
        FactKind::Missed,
        FactKind::Plan,
        FactKind::Exposure,
        FactKind::Fixed,
        FactKind::Drift,
        FactKind::Figures,
        FactKind::Outcome,
    ];

    /// As the database has it.
    pub fn word(self) -> &'static str {
        match self {
            FactKind::Scan => "scan",
            FactKind::FirstSeen => "first-seen",
            FactKind::Proven => "proven",
            FactKind::Disproven => "disproven",
            FactKind::Duration => "duration",
            FactKind::Occurrence => "occurrence",
            FactKind::Window => "window",
            FactKind::Approval => "approval",
            FactKind::Order => "order",
            FactKind::Missed => "missed",
            FactKind::Plan => "plan",
            FactKind::Exposure => "exposure",
            FactKind::Fixed => "fixed",
            FactKind::Drift => "drift",
            FactKind::Figures => "figures",
            FactKind::Outcome => "outcome",
        }
    }

    fn retention(self) -> Retention {
        let (days, newest, at_most_days) = match self {
            // Long ones: a scan is 10 to 100 KiB, a plan of 200 hosts a few MiB.
            FactKind::Scan => (3, 2, 400),
            FactKind::Plan => (90, 1, 90),
            FactKind::Exposure => (3, 1, 400),
            // An approval delay must not begin anew for a package that waits for years.
            FactKind::FirstSeen | FactKind::Proven | FactKind::Disproven => (1100, 1, u32::MAX),
            // As long as a window stays as it is, what it says counts.
            FactKind::Window => (400, 1, u32::MAX),
            FactKind::Duration => (0, 50, 400),
            FactKind::Missed => (90, 1, 400),
            FactKind::Occurrence
            | FactKind::Approval
            | FactKind::Order
            | FactKind::Fixed
            | FactKind::Drift
            | FactKind::Figures
            | FactKind::Outcome => (400, 0, 400),
        };
        Retention {
            days,
            newest,
            at_most_days,
        }
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its place in the ledger, from 1; 0 for one that is yet to be written.
    pub seq: i64,
    /// What it is about.
    pub kind: FactKind,
    /// Which: a host, a window, ... In plain in the database, so never a secret.
    pub key: String,
    /// Since when it is one, in microseconds since the epoch.
    pub at_us: i64,
    /// The run that found it.
    pub run: Option<RunId>,
    /// What it says, as JSON. Compressed and sealed in the database.
    pub json: String,
}

/// Which facts.
#[derive(Clone, Debug)]
pub struct FactFilter<'a> {
    /// Those of this kind.
    pub kind: FactKind,
    /// Those of this key.
    pub key: Option<&'a str>,
    /// Those of this time or later, in microseconds since the epoch.
    pub since_us: Option<i64>,
    /// Those that were written after the one at this place.
    pub after: Option<i64>,
}

impl FactFilter<'_> {
    /// All of a kind.
    pub fn all(kind: FactKind) -> Self {
        FactFilter {
            kind,
            key: None,
            since_us: None,
            after: None,
        }
    }
}

const COLUMNS: &str = "seq, kind, key, at_us, run, body";

impl Store {
    /// Writes facts down, all or none; they are durable when it returns. [`Fact::seq`] is not looked at. Waits for the disk.
    ///
    /// # Errors
    /// If they cannot be written, or one is an occurrence that was opened already.
    pub fn append_facts(&self, facts: &[Fact]) -> Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        self.change(|transaction| {
            for fact in facts {
                insert(transaction, self.sealer(), fact)?;
            }
            Ok(())
        })
    }

    /// Writes down those facts of whose kind and key there is none yet, whoever else tries the same at the same time. Says
    /// for each whether it was written. Waits for the disk.
    ///
    /// # Errors
    /// If they cannot be written: then none was.
    pub fn claim_facts(&self, facts: &[Fact]) -> Result<Vec<bool>> {
        // Most are there already (first-seen of every scan): that needs no transaction that writes.
        let there = self.with(|connection| there(connection, facts))?;
        if there.iter().all(|&it| it) {
            return Ok(vec![false; facts.len()]);
        }
        self.change(|transaction| {
            let mut written = Vec::with_capacity(facts.len());
            for fact in facts {
                let free = !is_there(transaction, fact)?;
                if free {
                    insert(transaction, self.sealer(), fact)?;
                }
                written.push(free);
            }
            Ok(written)
        })
    }

    /// Facts, in the order in which they were written.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn facts(&self, filter: &FactFilter<'_>) -> Result<Vec<Fact>> {
        self.with(|connection| {
            let mut sql = format!("SELECT {COLUMNS} FROM facts WHERE kind = ?");
            let mut values = vec![Sql::Text(filter.kind.word().to_owned())];
            if let Some(key) = filter.key {
                sql.push_str(" AND key = ?");
                values.push(Sql::Text(key.to_owned()));
            }
            if let Some(since) = filter.since_us {
                sql.push_str(" AND at_us >= ?");
                values.push(Sql::Integer(since));
            }
            if let Some(after) = filter.after {
                sql.push_str(" AND seq > ?");
                values.push(Sql::Integer(after));
            }
            sql.push_str(" ORDER BY seq");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut facts = Vec::new();
            while let Some(row) = rows.next()? {
                facts.push(read(self.sealer(), filter.kind, row)?);
            }
            Ok(facts)
        })
    }

    /// The newest fact of a kind and key.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn newest_fact(&self, kind: FactKind, key: &str) -> Result<Option<Fact>> {
        self.with(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM facts WHERE kind = ?1 AND key = ?2
                 ORDER BY at_us DESC, seq DESC LIMIT 1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query((kind.word(), key))?;
            let row = rows.next()?;
            row.map(|row| read(self.sealer(), kind, row)).transpose()
        })
    }

    /// The newest fact of each key of a kind, sorted by key.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn newest_facts(&self, kind: FactKind) -> Result<Vec<Fact>> {
        self.with(|connection| {
            // Only the newest bodies are read: that of a scan is long.
            let sql = format!(
                "SELECT {COLUMNS} FROM facts WHERE seq IN (
                     SELECT (SELECT seq FROM facts WHERE kind = ?1 AND key = keys.key
                             ORDER BY at_us DESC, seq DESC LIMIT 1)
                     FROM (SELECT DISTINCT key FROM facts WHERE kind = ?1) AS keys)
                 ORDER BY key"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([kind.word()])?;
            let mut facts = Vec::new();
            while let Some(row) = rows.next()? {
                facts.push(read(self.sealer(), kind, row)?);
            }
            Ok(facts)
        })
    }
}

fn there(connection: &Connection, facts: &[Fact]) -> Inner<Vec<bool>> {
    facts.iter().map(|it| is_there(connection, it)).collect()
}

fn is_there(connection: &Connection, fact: &Fact) -> Inner<bool> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM facts WHERE kind = ?1 AND key = ?2 LIMIT 1")?
        .query_row((fact.kind.word(), &fact.key), |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}

fn insert(transaction: &Transaction<'_>, sealer: &Sealer, fact: &Fact) -> Inner<()> {
    let place = place(fact.kind, &fact.key, fact.at_us);
    let body = sealer.seal(Kind::Fact, &place, fact.json.as_bytes())?;
    let run = fact.run.as_ref().map(|it| it.0.as_str());
    transaction
        .prepare_cached(
            "INSERT INTO facts (kind, key, at_us, run, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((fact.kind.word(), &fact.key, fact.at_us, run, body))?;
    Ok(())
}

fn read(sealer: &Sealer, kind: FactKind, row: &Row<'_>) -> Inner<Fact> {
    let key: String = row.get(2)?;
    let at_us: i64 = row.get(3)?;
    let body = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
    let plain = sealer.open(Kind::Fact, &place(kind, &key, at_us), body)?;
    Ok(Fact {
        seq: row.get(0)?,
        kind,
        key,
        at_us,
        run: row.get::<_, Option<String>>(4)?.map(RunId),
        json: String::from_utf8(plain).map_err(StoreError::unreadable)?,
    })
}

/// What is authenticated with a body. Kinds have no zero byte in them, so it can be read in one way only.
fn place(kind: FactKind, key: &str, at_us: i64) -> Vec<u8> {
    let mut place = kind.word().as_bytes().to_vec();
    place.push(0);
    place.extend_from_slice(&at_us.to_be_bytes());
    place.extend_from_slice(key.as_bytes());
    place
}

/// Removes facts that nobody needs any more.
pub(crate) fn thin(transaction: &Transaction<'_>) -> Inner<()> {
    let now = now_us();
    for kind in FactKind::ALL {
        let Retention {
            days,
            newest,
            at_most_days,
        } = kind.retention();
        let before = |days: u32| now.saturating_sub(i64::from(days).saturating_mul(86_400_000_000));
        let old = before(days);
        transaction
            .prepare_cached(
                "DELETE FROM facts WHERE kind = ?1 AND at_us < ?2 AND (at_us < ?3 OR ?4 = 0
                   OR (SELECT count(*) FROM facts AS newer WHERE newer.kind = ?1
                         AND newer.key = facts.key
                         AND (newer.at_us, newer.seq) > (facts.at_us, facts.seq)) >= ?4)",
            )?
            .execute((kind.word(), old, before(at_most_days), newest))?;
    }
    Ok(())
}
